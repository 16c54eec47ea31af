"""What the runners of all suites have in common: a process of a test's own, and a line for each outcome."""

import contextlib
import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import termios

REASON_LENGTH_MAX = 300
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def tell(out, outcome, part, test="-", reason=""):
    """Writes one line: outcome, part of the suite, test and reason, separated by tabs.

    The outcome is passed, failed, skipped or, for a part that cannot be run to its end,
    broken.
    """
    fields = [COLOUR.sub("", str(field)) for field in (outcome, part, test, reason)]
    words = [" ".join(field.split()) for field in fields]
    # Python's tests put their process into names of files.
    words[3] = re.sub(r"@test_\d+", "@test", words[3])[:REASON_LENGTH_MAX]
    print(*words, sep="\t", file=out, flush=True)


@contextlib.contextmanager
def apart(command, **files):
    """Starts a program in a session, with a controlling terminal and in an empty directory,
    all its own, which are the value. Nothing of its session is left afterwards, nor the
    directory.
    """
    master, terminal = pty.openpty()
    directory = tempfile.mkdtemp(prefix="conformance-")
    # Some tests become another user.
    os.chmod(directory, 0o755)
    process = subprocess.Popen(
        command, **{"stdin": terminal, **files}, cwd=directory, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0), close_fds=True,
    )
    try:
        yield process, directory
    finally:
        for process_id in session(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        process.wait()
        os.close(master)
        os.close(terminal)
        shutil.rmtree(directory, ignore_errors=True)


def session(session_id):
    """The processes of a session (proc_pid_stat(5), field 6)."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
            # The name of the program, in parentheses, may have anything in it.
            fields = stat.read().rpartition(b")")[2].split()
            if int(fields[3]) == session_id:
                found.append(int(name))
    return found
