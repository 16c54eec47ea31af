//! Help, mistakes on the command line, and a reader that goes.

use std::process::Stdio;

use crate::bench::{Bench, assert_outcome};

#[test]
fn help_is_output_and_a_wrong_command_line_is_exit_code_2() {
    let bench = Bench::new();
    let help = bench.run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    assert!(help.stdout.contains("4  there is no service of that name"));
    assert!(bench.run(&["why", "-h"]).stdout.starts_with("Explains why"));
    let wrong = bench.run(&["strat", "web"]);
    let stderr = "svcctl: error: there is no command `strat`\n  hint: did you mean `start`?\n";
    assert_outcome(&wrong, "", stderr, 2);
    assert_eq!(bench.run(&[]).code, 2);
}

#[test]
fn nobody_reading_on_is_no_failure() {
    let bench = Bench::new();
    let mut child = bench.command(&["list"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
