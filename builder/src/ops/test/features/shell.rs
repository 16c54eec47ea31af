//! Features of the shells: `/bin/sh`, which scripts are for, and the one that people type
//! at. Every command here is a script for `/bin/sh` itself; `typist` plays terminals.

use super::{Feature, command, says, succeeds};
use crate::arch::Arch;
use crate::ops::guest::Output;
use crate::ops::test::guest_checks::Verdict;

const SHELLS: &str = "tools.md#the-shells";
const SCRIPTS: &str = "conformance.md#the-shell";
const LINE: &str = "tools.md#the-shell-and-the-line-it-is-on";

pub(super) const FEATURES: &[Feature] = &[
    command(
        "Scripts have a shell by POSIX, and people one that edits lines",
        SHELLS,
        "readlink -f /bin/sh /bin/bash && grep -c 'sh$' /etc/passwd && \
         grep -c ':/usr/bin/bash$' /etc/passwd",
        |_, output| says(output, "/usr/bin/dash\n/usr/bin/bash\n3\n3\n"),
    ),
    command("A script waits for each of its jobs and learns its status", SCRIPTS, WAIT, |_, o| {
        says(o, "137\n7\n127\n138\nall done\n")
    }),
    command("A script traps signals, ignores them, and cleans up at its end", SCRIPTS, TRAP, traps),
    command("kill sends signals by name, number and to nobody", SCRIPTS, KILL, |_, output| {
        says(output, "TERM KILL\n0\n143\n1\n")
    }),
    command(
        "kill asks a process to end, in the shell that people type at too",
        LINE,
        ASK,
        |_, o| says(o, "/bin/kill\nasked\n/bin/kill\nasked\n"),
    ),
    command("A trapped signal ends a wait for input", SCRIPTS, READ, |_, output| {
        says(output, "caught\n")
    }),
    command("umask takes and shows symbolic masks", SCRIPTS, UMASK, |_, output| {
        says(output, "0077\nu=rwx,g=,o=\n600\n0027\n750\n")
    }),
    command(
        "Exit statuses tell how a command ended, or that there is none",
        SCRIPTS,
        STATUS,
        |_, o| says(o, "3 1 0 127 126 137 139 0 5\n"),
    ),
    command(
        "Here-documents are expanded, taken as they are, and unindented",
        SCRIPTS,
        HERE,
        |_, o| says(o, "dash 42 two\n$shell $((40 + 2)) `echo two`\nunindented\n\ttab\n"),
    ),
    command(
        "Scripts come by a pipe too, whole, to both shells",
        LINE,
        PIPED_SCRIPT,
        |_, output| says(output, &PIPED_SCRIPT_SAYS.repeat(2)),
    ),
    command(
        "A script's commands write where 2>&1 and >&3 send them, in both shells",
        LINE,
        SCRIPT_FILES,
        |_, output| says(output, &"2 lines\nthird\n".repeat(2)),
    ),
    command("Readers and writers of a fifo wait for each other", SCRIPTS, FIFO, |_, output| {
        says(output, "p\none\ntwo\nwriter 0, reader 0\nwriter 141\n")
    }),
    command("An error that must end a script does", SCRIPTS, ERRORS, |_, output| {
        says(output, "unset ended\nread-only ended\nfailed 1\nas errexit says\n")
    }),
    command(
        "Jobs are stopped, listed, and go on in the background or foreground",
        SCRIPTS,
        JOBS,
        succeeds,
    ),
    command("A job's whole process group is sent a signal", SCRIPTS, GROUP, succeeds),
    command(
        "The shell edits lines, completes names and remembers them on a serial line",
        LINE,
        SHELL_SESSION,
        succeeds,
    ),
    command(
        "The shell gives a basic prompt where no terminal answers",
        LINE,
        "typist --mute --size 0x0 --wait 60 bash <<'END'\n\
         see #\ntype echo sum-$((20+3)) $TERM\\r\nsee sum-23 dumb\nsee #\ntype exit 5\\r\nend 5\nEND",
        succeeds,
    ),
];

/// Out of their order; somebody else's process; a trapped signal; the rest.
const WAIT: &str = "\
(exit 7) & first=$!
sh -c 'kill -s KILL $$' & second=$!
wait $second; echo $?
wait $first; echo $?
wait 1; echo $?
trap : USR1
sleep 60 & third=$!
(sleep 1; kill -s USR1 $$) &
wait $third; echo $?
kill $third
wait; echo all done";

/// In a script of its own, which a signal ends that is neither caught nor ignored.
const TRAP: &str = "\
cat > /tmp/trap.sh <<'END'
trap 'echo caught TERM' TERM
trap '' HUP
trap 'echo ends with $?' EXIT
kill -s TERM $$
kill -s HUP $$
sh -c 'kill -s HUP $$; echo the child ignores it too'
(trap - TERM; sh -c 'kill -s TERM $PPID'; echo not reached)
echo the subshell $?
trap
exit 3
END
sh /tmp/trap.sh 2> /dev/null; echo $?
sh -c 'kill -s TERM $$; echo not reached'; echo $?";

fn traps(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let (said, traps): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| !line.starts_with("trap "));
    let expected =
        ["caught TERM", "the child ignores it too", "the subshell 143", "ends with 3", "3", "143"];
    let is_listed = |signal: &str| traps.iter().any(|line| line.ends_with(signal));
    match said == expected && ["TERM", "HUP", "EXIT"].into_iter().all(is_listed) {
        true => Ok(String::new()),
        false => Err(format!("{text:?}")),
    }
}

const KILL: &str = "\
echo $(kill -l 15) $(kill -l 137)
sleep 60 & pid=$!
kill -s 0 $pid; echo $?
kill -TERM $pid
wait $pid; echo $?
kill -0 $pid 2> /dev/null; echo $?";

/// In a shell of a login, and in one that is started by hand.
const ASK: &str = "\
for how in -l -i; do
    sh -c 'trap \"echo asked; exit\" TERM; while :; do sleep 0.1; done' & pid=$!
    sleep 0.5
    bash $how -c \"type -p kill; kill $pid\"
    wait $pid
done";

/// Nobody ever writes.
const READ: &str = "\
cat > /tmp/read.sh <<'END'
rm -f /tmp/never; mkfifo /tmp/never; exec 3<> /tmp/never
trap 'echo caught; exit 0' TERM
(sleep 1; kill -s TERM $$) &
read line <&3
echo it was read
END
timeout 30 sh /tmp/read.sh";

const UMASK: &str = "\
cd /tmp && rm -rf masked masked-too
umask u=rwx,g=,o=; umask; umask -S
: > masked; stat -c %a masked
umask g+rx; umask
mkdir masked-too; stat -c %a masked-too";

const STATUS: &str = "\
printf 'not a program' > /tmp/no-program
sh -c 'exit 3'; echo $? > /tmp/status
false; echo $? >> /tmp/status
! false; echo $? >> /tmp/status
/tmp/none 2> /dev/null; echo $? >> /tmp/status
/tmp/no-program 2> /dev/null; echo $? >> /tmp/status
sh -c 'kill -s KILL $$' 2> /dev/null; echo $? >> /tmp/status
sh -c 'kill -s SEGV $$' 2> /dev/null; echo $? >> /tmp/status
false | true; echo $? >> /tmp/status
true | (exit 5); echo $? >> /tmp/status
echo $(cat /tmp/status)";

const HERE: &str = "\
shell=dash
cat <<END
$shell $((40 + 2)) `echo two`
END
cat <<'END'
$shell $((40 + 2)) `echo two`
END
cat <<-END
\tunindented
\tEND
printf '\\ttab\\n'";

/// A function, a loop, a quoted newline, a fifo between two jobs, and exit statuses.
const PIPED_SCRIPT: &str = r#"cat > /tmp/piped <<'END'
count() {
    for word in "$@"; do
        echo "$word"
    done | wc -l
}
text="two
lines"
echo "$text" | wc -l
count a b c
rm -f /tmp/fifo; mkfifo /tmp/fifo
echo through > /tmp/fifo &
cat /tmp/fifo
wait
sh -c 'exit 7'; echo status $?
sh -c 'kill -KILL $$'; echo status $?
exit 3
END
cat /tmp/piped | sh +m; echo ended with $?
cat /tmp/piped | bash +m; echo ended with $?"#;
const PIPED_SCRIPT_SAYS: &str = "2\n3\nthrough\nstatus 7\nstatus 137\nended with 3\n";

/// Of two commands in a script, both fail: one's error goes to the script's own standard
/// output, the other's to what that was when a function was called.
const SCRIPT_FILES: &str = "\
for shell in sh bash; do
cat > /tmp/files.sh <<END
#!/bin/$shell
ls /none-1 2>&1
both() { ls /none-2; }
both 2>&1
echo third >&3
END
chmod +x /tmp/files.sh
/tmp/files.sh 3>/tmp/third 2>/dev/null | grep -c none | sed 's/$/ lines/'; cat /tmp/third
done";

/// The second reader goes after one line: its writer is told by SIGPIPE.
const FIFO: &str = "\
cd /tmp && rm -f queue && mkfifo queue && stat -c %A queue | cut -c1
printf 'one\\ntwo\\n' > queue & writer=$!
cat queue; reader=$?
wait $writer; echo writer $?, reader $reader
(while :; do echo y; done) > queue & writer=$!
head -n 1 queue > /dev/null
wait $writer; echo writer $?";

const ERRORS: &str = "\
sh -c 'set -u; echo $nothing; echo not reached' 2> /dev/null || echo unset ended
sh -c 'readonly a=1; a=2; echo not reached' 2> /dev/null || echo read-only ended
sh -c 'set -e; if false; then :; fi; false || :; (exit 1); echo not reached' || echo failed $?
sh -ec 'false | true; ! true; echo as errexit says'";

/// Control-Z and Control-C go to who is in the foreground; a job that has stopped itself
/// goes on in the background.
const JOBS: &str = r#"typist --wait 60 sh <<'END'
see #
type cat\r
type one\r
see one
see one
type \x1a
see Stopped
see #
type jobs\r
see Stopped
see #
type fg\r
see cat
type two\r
see two
see two
type \x03
see #
type echo "<$?>"\r
see <130>
type sh -c 'echo begun-$((1+1)); kill -s STOP $$; echo gone-on-$((1+1)); exec sleep 300'\r
see begun-2
see Stopped
see #
type bg\r
see gone-on-2
type jobs\r
see Running
type kill %1; wait %1; echo "<$?>"\r
see <143>
type exit 4\r
end 4
END"#;

/// The group's number is that of the job's first process.
const GROUP: &str = r#"rm -f /tmp/group-out; cat > /tmp/group.sh <<'END'
set -m
sh -c 'echo $$; trap "" HUP; sleep 300; echo not reached' | cat > /tmp/group-out & last=$!
set +m
until [ -s /tmp/group-out ]; do sleep 0.1; done
kill -s TERM -- -$(cat /tmp/group-out)
wait $last; echo "<$?>"
END
typist --wait 60 sh /tmp/group.sh <<'END'
see <143>
unseen not reached
end 0
END"#;

/// A serial line of unknown size: typed with a mistake that is corrected, recalled from
/// the history, and completed; and the history is a file afterwards.
const SHELL_SESSION: &str = "\
    export HOME=/tmp/shell-home && mkdir -p $HOME && echo found-it > $HOME/a-long-file-name && \
    cd $HOME && typist --size 0x0 --wait 60 bash <<'END' && cat $HOME/.brush_history
see #
type echo sum-$((20+4X\\x7f))\\r
see sum-24
see #
type \\e[A\\r
see sum-24
see #
type cat a-lo\\t\\r
see found-it
see #
type exit 5\\r
end 5
END";
