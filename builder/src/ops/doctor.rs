//! `builder doctor`: what the host lacks, all at once, and installing it.

use std::fmt::Write;

use serde_json::json;

use crate::arch::Arch;
use crate::cache::Cache;
use crate::error::Result;
use crate::host_needs::{self, Need, Needs};
use crate::qemu::accel;
use crate::qemu::accelerator::Accelerator;
use crate::shell::Shell;

/// Arguments of `builder doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look only at what this architecture needs; may be repeated [default: all]
    #[arg(long = "arch", value_name = "ARCH")]
    arches: Vec<Arch>,
    /// Install what is missing
    #[arg(long, visible_alias = "yes")]
    install: bool,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Prints each need and whether it is met.
///
/// # Errors
/// If something is missing: kind `Host`, naming all of it.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let arches = if args.arches.is_empty() { Arch::ALL.to_vec() } else { args.arches.clone() };
    let mut needs = Needs::new().judges();
    for arch in &arches {
        needs = needs.kernel(*arch).bios_loader(*arch).userland(*arch).guest(*arch, true);
    }
    if args.install {
        host_needs::ensure(shell, &needs, true)?;
    }
    let missing = needs.missing();
    shell.data(&if args.json { as_json(&needs, &missing) } else { as_table(&needs, &missing) });
    if !missing.is_empty() {
        return Err(host_needs::lacking(&missing, host_needs::can_install()));
    }
    for arch in arches {
        // A guest without KVM is only slower, so it is said and no failure.
        if Some(arch) == Arch::host() {
            let choice = accel::choose(shell, &Cache::open()?, arch, accel::Choice::Auto)?;
            if choice == Accelerator::Kvm {
                shell.note(format_args!("{arch} guests run under KVM"));
            }
        }
    }
    Ok(())
}

fn as_table(needs: &Needs, missing: &[&Need]) -> String {
    let mut table = String::new();
    for need in needs.iter() {
        let state = if missing.contains(&need) { "missing" } else { "ok" };
        let thing = need.thing.to_string();
        let _infallible =
            writeln!(table, "{state:<8} {thing:<27} {:<22} {}", need.debian, need.purpose);
    }
    table
}

fn as_json(needs: &Needs, missing: &[&Need]) -> String {
    let entries: Vec<_> = needs
        .iter()
        .map(|need| {
            json!({
                "name": need.thing.to_string(),
                "package": need.debian,
                "purpose": need.purpose,
                "present": !missing.contains(&need),
            })
        })
        .collect();
    format!("{:#}\n", json!({ "needs": entries }))
}
