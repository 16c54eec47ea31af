//! Whether the kernel's own configuration step kept what was asked for. Pure.
//!
//! `make olddefconfig` drops what it cannot satisfy without a word. Every
//! requested line is compared with the result, and each that did not survive
//! becomes a finding with its cause.

use init_core::diagnostic::Finding;

use super::config::Config;
use super::fragment::{Assignment, Merged};
use super::kconfig::Kconfig;
use super::kconfig::explain::explain;

/// The requested lines that the final configuration does not have. Lines that
/// unset an option which does not exist are not among them.
#[must_use]
pub fn missed<'a>(requested: &'a Merged, config: &Config) -> Vec<&'a Assignment> {
    requested
        .options
        .values()
        .filter(|assignment| config.value(&assignment.name) != assignment.value)
        .collect()
}

/// One finding for each requested line that did not survive or names an option
/// that this kernel does not have.
#[must_use]
pub fn findings(requested: &Merged, config: &Config, kconfig: &Kconfig) -> Vec<Finding> {
    let mut findings: Vec<Finding> = requested
        .options
        .values()
        .filter_map(|assignment| finding(assignment, config, kconfig))
        .collect();
    findings.sort_by(|left, right| left.place.cmp(&right.place));
    findings
}

fn finding(assignment: &Assignment, config: &Config, kconfig: &Kconfig) -> Option<Finding> {
    let Assignment { name, value: wanted, place } = assignment;
    let got = config.value(name);
    let is_known = kconfig.symbol(name).is_some();
    let what = if !is_known {
        format!("CONFIG_{name} is no option of this kernel: wanted {wanted}")
    } else if got == wanted {
        return None;
    } else if got == "n" {
        format!("CONFIG_{name} was dropped: wanted {wanted}, got n")
    } else if got == "m" && wanted == "y" {
        format!("CONFIG_{name} was demoted: wanted y, got m")
    } else {
        format!("CONFIG_{name} was changed: wanted {wanted}, got {got}")
    };
    if wanted == "m" && is_known && config.value("MODULES") != "y" {
        let hint = "this kernel is to have no modules; add CONFIG_MODULES=y";
        return Some(Finding::new(place.clone(), what).with_hint(hint));
    }
    let explanation = explain(kconfig, config, name, wanted);
    let remedy = match explanation.remedy {
        Some(remedy) if is_known => format!("; add {remedy}"),
        Some(remedy) => format!("; write {remedy}"),
        None => String::new(),
    };
    Some(Finding::new(place.clone(), what).with_hint(explanation.cause + &remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::fragment::merge;
    use crate::kernel::kconfig::parser;

    const TREE: &str = "config MODULES\n\tbool \"modules\"\n\
        config MISC\n\tbool \"misc\"\n\
        config EROFS\n\ttristate \"erofs\"\n\tdepends on MISC\n\
        config COUNT\n\tint \"count\"\n\trange 2 64\n\
        config KEPT\n\tbool \"kept\"\nconfig OFF\n\tbool \"off\"\n";

    fn check(fragment: &str, config: &str) -> Vec<String> {
        let merged = merge([("f.config", fragment)]).unwrap();
        let kconfig = parser::parse("x86", &|path| (path == "Kconfig").then(|| TREE.to_owned()));
        let config = Config::parse(config);
        findings(&merged, &config, &kconfig).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_survived_is_no_finding() {
        let text = "CONFIG_KEPT=y\n# CONFIG_OFF is not set\nCONFIG_COUNT=8\n";
        assert!(check(text, "CONFIG_KEPT=y\nCONFIG_COUNT=8\n").is_empty());
        let merged = merge([("f", text)]).unwrap();
        assert!(missed(&merged, &Config::parse("CONFIG_KEPT=y\nCONFIG_COUNT=8\n")).is_empty());
        assert_eq!(missed(&merged, &Config::parse("CONFIG_OFF=y\n")).len(), 3);
    }

    #[test]
    fn a_module_is_neither_built_in_nor_left_out() {
        let fragment = "CONFIG_MODULES=y\nCONFIG_MISC=y\nCONFIG_EROFS=m\n";
        let with = "CONFIG_MODULES=y\nCONFIG_MISC=y\n";
        assert!(check(fragment, &format!("{with}CONFIG_EROFS=m\n")).is_empty());
        let changed = check(fragment, &format!("{with}CONFIG_EROFS=y\n")).join("\n");
        assert!(
            changed.contains("f.config:3:1: CONFIG_EROFS was changed: wanted m, got y"),
            "{changed}"
        );
        let dropped = check(fragment, with).join("\n");
        assert!(
            dropped.contains("f.config:3:1: CONFIG_EROFS was dropped: wanted m, got n"),
            "{dropped}"
        );
        assert_eq!(
            check("CONFIG_MISC=y\nCONFIG_EROFS=m\n", "CONFIG_MISC=y\nCONFIG_EROFS=y\n"),
            [
                "f.config:2:1: CONFIG_EROFS was changed: wanted m, got y\n  hint: this kernel is to have no modules; add CONFIG_MODULES=y"
            ]
        );
    }

    #[test]
    fn every_lost_line_is_named_with_wanted_got_and_cause_in_file_order() {
        let fragment = "CONFIG_EROFS=y\nCONFIG_KEPT=y\nCONFIG_COUNT=9999\n# CONFIG_OFF is not set\n\
                        CONFIG_EROOFS=y\n# CONFIG_NEVER_HEARD_OF_IT is not set\nCONFIG_MISC=y\n";
        let config = "CONFIG_KEPT=m\nCONFIG_COUNT=64\nCONFIG_OFF=y\nCONFIG_MISC=n\n";
        let expected = [
            "f.config:1:1: CONFIG_EROFS was dropped: wanted y, got n\n  hint: EROFS needs MISC, which is not set (Kconfig:7); add CONFIG_MISC=y",
            "f.config:2:1: CONFIG_KEPT was demoted: wanted y, got m\n  hint: the dependencies of KEPT are met, but its definition as bool allows another value only (Kconfig:11)",
            "f.config:3:1: CONFIG_COUNT was changed: wanted 9999, got 64\n  hint: the dependencies of COUNT are met, but its definition as int allows another value only (Kconfig:8)",
            "f.config:4:1: CONFIG_OFF was changed: wanted n, got y\n  hint: OFF is set by its default (Kconfig:13)",
            "f.config:5:1: CONFIG_EROOFS is no option of this kernel: wanted y\n  hint: no Kconfig file of this kernel and architecture defines it; write CONFIG_EROFS, if that was meant",
            "f.config:6:1: CONFIG_NEVER_HEARD_OF_IT is no option of this kernel: wanted n\n  hint: no Kconfig file of this kernel and architecture defines it",
            "f.config:7:1: CONFIG_MISC was dropped: wanted y, got n\n  hint: the dependencies of MISC are met, but its definition as bool allows another value only (Kconfig:3)",
        ];
        assert_eq!(check(fragment, config), expected);
    }
}
