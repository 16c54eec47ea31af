//! Facts of real files and of damaged ones.

use super::*;

/// The test binary itself: a dynamically linked program of the host.
fn own_binary() -> Vec<u8> {
    std::fs::read(std::env::current_exe().unwrap()).unwrap()
}

#[test]
fn the_facts_of_a_real_program_agree_with_readelf() {
    let path = std::env::current_exe().unwrap();
    let facts = file_facts(&path).unwrap().unwrap();
    assert_eq!(facts, super::facts(&own_binary()).unwrap().unwrap());
    assert_eq!(facts.machine_name(), Arch::host().unwrap().as_str());
    assert!(!facts.is_static());
    if crate::host::find_program("readelf").is_none() {
        println!("skipped: readelf is not installed");
        return;
    }
    let text =
        crate::host::Invocation::new("readelf").args(["-ld"]).arg(&path).read_text().unwrap();
    let interpreter = String::from_utf8(facts.interpreter.unwrap()).unwrap();
    assert!(text.contains(&format!("[Requesting program interpreter: {interpreter}]")), "{text}");
    let needed: Vec<String> = text
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1).map(str::to_owned))
        .collect();
    let found: Vec<String> =
        facts.needed.into_iter().map(|name| String::from_utf8(name).unwrap()).collect();
    assert_eq!(found, needed);
}

#[test]
fn a_dynamic_program_is_not_proven_static_and_says_why() {
    let path = std::env::current_exe().unwrap();
    let arch = Arch::host().unwrap();
    let error = prove_static(&path, arch).unwrap_err().to_string();
    assert!(error.contains("is not static: it needs /") && error.contains("libc.so"), "{error}");
    let other = Arch::ALL.into_iter().find(|other| *other != arch).unwrap();
    let error = prove_static(&path, other).unwrap_err().to_string();
    assert!(error.contains(&format!("is for {arch}, not for {other}")), "{error}");
    let error = prove_static(Path::new("/proc/self/status"), arch).unwrap_err().to_string();
    assert!(error.contains("is no ELF file"), "{error}");
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let good = own_binary();
    let good = &good[..good.len().min(400_000)];
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap()
    };
    for round in 0..3000 {
        let mut bad =
            good[..if round % 3 == 0 { next() % good.len() } else { good.len() }].to_vec();
        for _ in 0..4 {
            // The file header and the program headers come first.
            let at = next() % 800.min(bad.len().max(1));
            if let Some(byte) = bad.get_mut(at) {
                *byte = next().to_le_bytes()[0];
            }
        }
        let _either = super::facts(&bad);
    }
}
