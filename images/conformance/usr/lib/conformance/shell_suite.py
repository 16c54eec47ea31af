"""Runs files of yash's test suite for POSIX shells with this system's sh, and tells every test's outcome.

    shell_suite.py --take DIRECTORY NAME=HEX …    writes files of the suite, given in hexadecimal
    shell_suite.py DIRECTORY alias-p.sh …         runs them

The suite's own run-test.sh runs a file. The shell that it is a script for is dash, which may be
the shell in question as well: the judge is a copy of it, so that a process tells which one it
is of. telling.py says what is told.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from telling import apart, session, tell

SHELL = "/usr/bin/sh"
DASH = "/usr/bin/dash"
# A test whose file's log does not grow for so long waits for what never comes: none
# sleeps longer than some seconds. It is killed, and the next one begins.
SILENCE_S_MAX = 15
# Longer than the slowest file takes on an emulated processor.
TIMEOUT_S = 480
PAUSE_S = 0.2

# The second field of a line is the test's place in its file, if the judge knew it.
START = re.compile(r"%%% START: [^:]*:[^:]*: (.*)")
END = re.compile(r"%%% (OK|ERROR|SKIPPED)(?:\[\w+\])?: [^:]*:[^:]*: (.*)")
STATUS = re.compile(r"% exit status: expected=(\S+) actual=(\S+)")


class Log:
    """What run-test.sh writes of one file, read as it grows."""

    def __init__(self, path, part, judge):
        self.path, self.part, self.judge = path, part, judge
        self.position = 0
        self.rest = b""
        self.test = None
        self.reasons = []
        self.section = ""
        self.times_told = {}
        self.was_killed = False

    def read(self):
        """Tells the outcomes that have come, and says whether anything has."""
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            file.seek(self.position)
            news = file.read()
            self.position += len(news)
            *lines, self.rest = (self.rest + news).split(b"\n")
            for line in lines:
                self.take(line.decode(errors="replace"))
            return bool(news)
        return False

    def take(self, line):
        if start := START.fullmatch(line):
            self.test, self.reasons, self.section = start[1], [], ""
            self.was_killed = False
        elif end := END.fullmatch(line):
            self.end(*end.groups())
        elif status := STATUS.match(line):
            expected, actual = status.groups()
            if expected == "non-zero":
                is_as_expected = actual != "0"
            else:
                is_as_expected = expected in re.split("[()]", actual)
            if not is_as_expected:
                self.reasons.append(f"status {actual}, not {expected}")
        elif line.startswith("% standard "):
            self.section = line.removeprefix("% ").split(" (")[0].removesuffix(" diff:")
            if "expecting non-empty" in line:
                self.reasons.append("no diagnostic")
        elif line and self.section:
            if "no diagnostic" in self.reasons:
                self.reasons.remove("no diagnostic")
            elif line.startswith("@@"):
                self.reasons.append(f"another {self.section}")

    def end(self, outcome, test):
        outcome = {"OK": "passed", "ERROR": "failed", "SKIPPED": "skipped"}[outcome]
        if outcome == "failed" and self.was_killed:
            self.reasons = [f"not done after {SILENCE_S_MAX} s"]
        skipped = "its file says that it cannot be run here"
        reasons = {"passed": "", "failed": ", ".join(self.reasons), "skipped": skipped}
        self.tell(outcome, test, reasons[outcome])
        self.test = None

    def tell(self, outcome, test, reason):
        # Some tests of a file have the same name.
        number = self.times_told[test] = self.times_told.get(test, 0) + 1
        name = test if number == 1 else f"{test} ({number})"
        tell(sys.stdout, outcome, self.part, name, reason)

    def kill(self, session_id):
        """Ends the test that is being run, but not its judge."""
        for process_id in session(session_id):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{process_id}/exe") != self.judge:
                    os.kill(process_id, signal.SIGKILL)
        self.was_killed = True


def run_file(directory, name):
    """Runs one file and tells its tests' outcomes."""
    suite, shell = os.path.realpath(directory), os.path.realpath(SHELL)
    nothing = subprocess.DEVNULL
    judge = os.path.join(suite, "judge")
    if not os.path.exists(judge):
        shutil.copy(DASH, judge)
    script = 'cd "$1" && TMPDIR=$OLDPWD exec "$0" ./run-test.sh "$2" "$3" "$OLDPWD/log"'
    command = [judge, "-c", script, judge, suite, shell, name]
    # run-test.sh takes it for granted.
    environment = {**os.environ, "LANG": "C"}
    said = tempfile.TemporaryFile()
    files = {"stdin": nothing, "stdout": nothing, "stderr": said, "env": environment}
    with said, apart(command, **files) as (process, place):
        log = Log(os.path.join(place, "log"), name, judge)
        deadline = time.monotonic() + TIMEOUT_S
        heard = time.monotonic()
        while (status := process.poll()) is None:
            now = time.monotonic()
            if log.read():
                heard = now
            elif now > deadline:
                break
            elif now - heard > SILENCE_S_MAX:
                log.kill(process.pid)
                heard = now
            time.sleep(PAUSE_S)
        log.read()
        said.seek(0)
        last_words = said.read().decode(errors="replace").strip().rpartition("\n")[2]
    if status is None:
        tell(sys.stdout, "broken", name, log.test or "-", f"not done after {TIMEOUT_S} s")
    elif status != 0:
        reason = f"run-test.sh ended with status {status}: {last_words}"
        tell(sys.stdout, "broken", name, log.test or "-", reason)
    elif not log.times_told:
        tell(sys.stdout, "broken", name, "-", "it has no tests")


def take(directory, files):
    """Writes files of the suite."""
    os.makedirs(directory, exist_ok=True)
    for word in files:
        name, content = word.split("=")
        with open(os.path.join(directory, os.path.basename(name)), "wb") as file:
            file.write(bytes.fromhex(content))


def main(words):
    if words[0] == "--take":
        take(words[1], words[2:])
        return
    for name in words[1:]:
        run_file(words[0], name)


if __name__ == "__main__":
    main(sys.argv[1:])
