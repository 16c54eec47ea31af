//! What it reads of the system that it runs on: `/etc`, which is the test's own there.

use std::fs;
use std::process::{Command, Stdio};

use crate::bench::{Bench, Outcome, SVCCTL};

/// Runs it in a mount namespace whose `/etc` the shell lines `etc` have made; `None` where the
/// host forbids that.
fn run(bench: &Bench, etc: &str, arguments: &[&str]) -> Option<Outcome> {
    let allowed = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", "/etc"])
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("skipped: unshare(1) cannot mount a tmpfs here");
        return None;
    }
    let script = format!(
        "set -e; mount -t tmpfs none /etc; mkdir /etc/services.d; cd /etc/services.d\n{etc}\n\
         shift; exec \"$0\" --socket \"$1\" \"${{@:2}}\""
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "bash", "-c", &script, SVCCTL, bench.place.path().to_str().unwrap()]);
    command.arg(bench.path("control")).args(arguments).stdin(Stdio::null());
    Some(Outcome::of(command.output().unwrap(), bench.place.path()))
}

const ACCOUNTS: &str = "echo root:x:0:0::/:/bin/sh > /etc/passwd; echo root:x:0: > /etc/group";

#[test]
fn a_description_that_came_after_the_boot_is_named() {
    let etc = "touch late.toml";
    let Some(outcome) = run(&Bench::new(), etc, &["start", "late"]) else { return };
    let stderr = "\
svcctl: error: there is no service `late` yet: PID 1 has not read `/etc/services.d/late.toml`
  hint: descriptions are read at boot: `svcctl check /etc/services.d/late.toml`, then `reboot`
";
    assert_eq!((outcome.stderr.as_str(), outcome.code), (stderr, 4));
}

#[test]
fn only_what_was_asked_for_is_checked() {
    let bench = Bench::new();
    let file = bench.path("web.toml");
    fs::write(&file, "command = [\"/bin/sh\"]\nwants = [\"odd\"]\n").unwrap();
    let etc = format!(
        "{ACCOUNTS}; echo x > 'Bad Name.toml'; ln -s /nowhere odd.toml; echo 'command = 1' > c.toml"
    );
    let file = file.to_str().unwrap();
    let Some(outcome) = run(&bench, &etc, &["check", file]) else { return };
    assert_eq!(outcome.stdout, "1 service descriptions, nothing wrong\n", "{outcome:?}");
    assert_eq!(outcome.code, 0);
    // Asked for everything, it says everything.
    let all = run(&bench, &format!("{etc}; rm odd.toml"), &["check"]).unwrap();
    assert!(all.stdout.contains("Bad Name.toml:1:1: error: "), "{all:?}");
    assert!(all.stdout.contains("c.toml:1:11: error: ") && all.code == 1, "{all:?}");
}

#[test]
fn what_the_system_lacks_is_a_warning_of_a_file_and_an_error_of_its_own() {
    let bench = Bench::new();
    let text = "command = [\"/bin/nosuchprog\"]\nuser = \"nosuchuser\"\n";
    let file = bench.path("web.toml");
    fs::write(&file, text).unwrap();
    let Some(outcome) = run(&bench, ACCOUNTS, &["check", file.to_str().unwrap()]) else { return };
    let stdout = "\
PLACE/web.toml:1:12: warning: there is no program \"/bin/nosuchprog\"
  hint: write its whole path as it is when the service starts
PLACE/web.toml:2:8: warning: there is no user \"nosuchuser\" in `/etc/passwd`
  hint: PID 1 could not start the service
";
    assert_eq!((outcome.stdout.as_str(), outcome.code), (stdout, 0), "{outcome:?}");
    let etc = format!("{ACCOUNTS}; cp {} .", file.display());
    let own = run(&bench, &etc, &["check"]).unwrap();
    assert!(own.stdout.contains("web.toml:2:8: error: there is no user"), "{own:?}");
    assert!(own.stdout.contains("web.toml:1:12: warning: there is no program"), "{own:?}");
    assert_eq!(own.code, 1);
    let by_name = run(&bench, &etc, &["check", "/etc/services.d/"]).unwrap();
    assert!(by_name.stdout.contains("web.toml:2:8: error: there is no user"), "{by_name:?}");
    assert_eq!(by_name.code, 1);
}

#[test]
fn a_directory_of_the_systems_own_is_checked_with_the_other_one() {
    let etc = format!(
        "{ACCOUNTS}; mkdir -p $1/old $1/new/services.d; mount --rbind /usr/lib $1/old; \
         for one in /usr/lib/*; do ln -s $1/old/${{one##*/}} $1/new/; done; \
         echo 'command = 1' > $1/new/services.d/devd.toml; mount --bind $1/new /usr/lib; \
         printf 'command = [\"/bin/sh\"]\\nrequires = [\"devd\"]\\n' > web.toml"
    );
    let Some(outcome) = run(&Bench::new(), &etc, &["check", "/etc/services.d"]) else { return };
    assert_eq!(outcome.stdout, "1 service descriptions, nothing wrong\n", "{outcome:?}");
    assert_eq!(outcome.code, 0);
}
