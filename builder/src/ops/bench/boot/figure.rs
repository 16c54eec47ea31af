//! From samples to figures: one quantity over all boots, and its aim. Pure.

use super::super::spread::Spread;
use super::sample::{Memory, Sample, Samples};
use super::server;
use crate::arch::Arch;

/// What a figure is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// Milliseconds of the guest's monotonic clock.
    Ms,
    /// 1024 bytes, which the kernel calls kB.
    KiB,
    /// How many times as long.
    Times,
}

impl Unit {
    /// What stands behind a number of it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::KiB => "KiB",
            Self::Times => "x",
        }
    }

    /// Digits after the point that mean something.
    pub(super) const fn digits(self) -> usize {
        match self {
            Self::Ms => 1,
            Self::KiB => 0,
            Self::Times => 2,
        }
    }
}

/// Which of the images a figure belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Load {
    /// `execd` alone, as in `minimal`.
    Empty,
    /// And a hundred services.
    Full,
    /// The image `server`.
    Server,
    /// The image `busybox`.
    Busybox,
}

/// One quantity over all boots.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Figure {
    pub(super) load: Load,
    /// Its name for programs, without image and unit.
    pub(super) key: &'static str,
    /// Its name for people.
    pub(super) label: &'static str,
    pub(super) unit: Unit,
    /// In the order of the boots; at least one.
    pub(super) samples: Vec<f64>,
    /// What the median is to be at most.
    pub(super) aim: Option<f64>,
}

impl Figure {
    /// The least.
    pub(super) fn min(&self) -> f64 {
        Spread::of(&self.samples).min
    }

    /// The middle one; of an even number the greater of the two.
    pub(super) fn median(&self) -> f64 {
        Spread::of(&self.samples).median
    }

    /// The greatest.
    pub(super) fn max(&self) -> f64 {
        Spread::of(&self.samples).max
    }

    /// Whether the aim is met, if there is one.
    pub(super) fn is_met(&self) -> Option<bool> {
        self.aim.map(|aim| self.median() <= aim)
    }
}

/// Aims for an image without services: PID 1's first instruction to all ready.
const READY_MS: f64 = 50.0;
/// For one with a hundred.
const RESIDENT_KIB: f64 = 700.0;
const ANONYMOUS_KIB: f64 = 150.0;
/// PID 1 beside the bare loop.
const RATIO: f64 = 1.5;
/// For `server`: until its SSH server takes connections, and all its processes.
const SSH_MS: f64 = 5_000.0;
const SERVER_KIB: f64 = 64.0 * 1024.0;

/// For `busybox`: until its prompt is there.
const fn prompt_ms(arch: Arch) -> f64 {
    match arch {
        Arch::X86_64 => 1_600.0,
        Arch::Aarch64 => 800.0,
    }
}

/// Every figure of an architecture, in the order in which they are shown.
pub(super) fn figures(arch: Arch, samples: &Samples) -> Vec<Figure> {
    let mut figures = Vec::new();
    boot(&mut figures, Load::Empty, &samples.empty);
    beside_the_barest(&mut figures, samples);
    boot(&mut figures, Load::Full, &samples.full);
    race(&mut figures, samples);
    memory(&mut figures, Load::Empty, &samples.empty);
    memory(&mut figures, Load::Full, &samples.full);
    server(&mut figures, &samples.server);
    prompt(&mut figures, arch, &samples.prompts_us);
    figures
}

fn boot(figures: &mut Vec<Figure>, load: Load, samples: &[Sample]) {
    let mut add = |key, label, aim, of: &dyn Fn(&Sample) -> u64| {
        let samples = samples.iter().map(|sample| ms(of(sample))).collect();
        figures.push(Figure { load, key, label, unit: Unit::Ms, samples, aim });
    };
    let ready_aim = (load == Load::Empty).then_some(READY_MS);
    add("kernel_to_init", "kernel start to /init", None, &|sample| sample.started_us);
    add("init_to_ready", "/init to all services ready", ready_aim, &|sample| {
        sample.complete_us - sample.started_us
    });
    add("init_to_first_start", "of it before the first start", None, &|sample| {
        sample.first_start_us - sample.started_us
    });
    add("total", "total", None, &|sample| sample.complete_us);
}

fn beside_the_barest(figures: &mut Vec<Figure>, samples: &Samples) {
    let bare: Vec<f64> = samples.bare_us.iter().copied().map(ms).collect();
    let took = samples.empty.iter().map(|boot| ms(boot.complete_us - boot.started_us));
    // Guests that were booted one after the other: what slows the host is in both.
    let ratio = took.zip(&bare).map(|(took, bare)| took / bare).collect();
    let mut add = |key, label, unit, samples| {
        figures.push(Figure { load: Load::Empty, key, label, unit, samples, aim: None });
    };
    add("bare_boot", "/init to execd ready in the barest boot", Unit::Ms, bare);
    add("init_to_ready_by_bare", "PID 1's time by the barest", Unit::Times, ratio);
}

fn race(figures: &mut Vec<Figure>, samples: &Samples) {
    let up = |boot: &Sample| ms(boot.complete_us - boot.first_start_us);
    let up: Vec<f64> = samples.full.iter().map(up).collect();
    let floor: Vec<f64> = samples.floors_us.iter().copied().map(ms).collect();
    // Boot by boot, so that what slows a guest is in both.
    let ratio = up.iter().zip(&floor).map(|(up, floor)| up / floor).collect();
    let mut add = |key, label, unit, samples, aim| {
        figures.push(Figure { load: Load::Full, key, label, unit, samples, aim });
    };
    add("services_up", "first start to all services ready", Unit::Ms, up, None);
    add("floor", "bare vfork-and-exec loop", Unit::Ms, floor, None);
    add("services_up_by_floor", "the former by the latter", Unit::Times, ratio, Some(RATIO));
}

fn memory(figures: &mut Vec<Figure>, load: Load, samples: &[Sample]) {
    let mut add = |key, label, aim: Option<f64>, of: &dyn Fn(&Memory) -> u64| {
        let samples = samples.iter().map(|sample| of(&sample.memory) as f64).collect();
        let aim = aim.filter(|_| load == Load::Full);
        figures.push(Figure { load, key, label, unit: Unit::KiB, samples, aim });
    };
    add("pid1_resident", "PID 1 resident", Some(RESIDENT_KIB), &|memory| memory.resident_kib);
    add("pid1_anonymous", "of it anonymous", Some(ANONYMOUS_KIB), &|memory| memory.anonymous_kib);
    add("pid1_private", "of it private", None, &|memory| memory.private_kib);
}

fn server(figures: &mut Vec<Figure>, samples: &[server::Sample]) {
    let mut add = |key, label, unit, samples: Vec<f64>, aim| {
        if !samples.is_empty() {
            figures.push(Figure { load: Load::Server, key, label, unit, samples, aim });
        }
    };
    let ssh = samples.iter().filter_map(|sample| sample.ssh_ready_us).map(ms).collect();
    let up = samples.iter().map(|sample| ms(sample.complete_us)).collect();
    let memory = samples.iter().map(|sample| sample.memory_kib as f64).collect();
    add("ssh_ready", "kernel start to SSH-ready", Unit::Ms, ssh, Some(SSH_MS));
    add("total", "kernel start to all services ready", Unit::Ms, up, None);
    add("userland_memory", "memory of all processes", Unit::KiB, memory, Some(SERVER_KIB));
}

fn prompt(figures: &mut Vec<Figure>, arch: Arch, prompts_us: &[u64]) {
    figures.push(Figure {
        load: Load::Busybox,
        key: "prompt",
        label: "kernel start to prompt",
        unit: Unit::Ms,
        samples: prompts_us.iter().copied().map(ms).collect(),
        aim: Some(prompt_ms(arch)),
    });
}

fn ms(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(started_us: u64, complete_us: u64, resident_kib: u64) -> Sample {
        let memory = Memory { resident_kib, anonymous_kib: 60, private_kib: 500 };
        Sample { started_us, first_start_us: 20_000, complete_us, services_up: 1, memory }
    }

    fn samples() -> Samples {
        Samples {
            empty: vec![sample(900, 31_000, 560), sample(400, 20_400, 540)],
            bare_us: vec![15_050, 40_000],
            full: vec![sample(500, 60_000, 800), sample(500, 80_000, 690)],
            floors_us: vec![20_000, 60_000],
            server: vec![of_server(Some(4_000_000)), of_server(None)],
            prompts_us: vec![1_600_000, 700_500],
        }
    }

    fn of_server(ssh_ready_us: Option<u64>) -> server::Sample {
        server::Sample { complete_us: 4_500_000, ssh_ready_us, memory_kib: 70_000 }
    }

    #[test]
    fn an_image_without_ssh_has_no_figure_for_it() {
        let figures = |server| figures(Arch::X86_64, &Samples { server, ..samples() });
        let with = figures(vec![of_server(Some(4_000_000))]);
        assert_eq!(find(&with, Load::Server, "ssh_ready").samples, [4_000.0]);
        assert_eq!(find(&with, Load::Server, "ssh_ready").is_met(), Some(true));
        assert_eq!(find(&with, Load::Server, "userland_memory").is_met(), Some(false));
        let without = figures(vec![of_server(None)]);
        assert!(!without.iter().any(|figure| figure.key == "ssh_ready"));
        assert_eq!(find(&without, Load::Server, "total").samples, [4_500.0]);
    }

    fn find(figures: &[Figure], load: Load, key: &str) -> Figure {
        figures.iter().find(|figure| figure.load == load && figure.key == key).unwrap().clone()
    }

    #[test]
    fn figures_come_from_the_boots_they_are_named_after() {
        let figures = figures(Arch::X86_64, &samples());
        for (load, key, expected) in [
            (Load::Empty, "kernel_to_init", [0.9, 0.4]),
            (Load::Empty, "init_to_ready", [30.1, 20.0]),
            (Load::Empty, "init_to_first_start", [19.1, 19.6]),
            (Load::Empty, "total", [31.0, 20.4]),
            (Load::Empty, "bare_boot", [15.05, 40.0]),
            (Load::Empty, "init_to_ready_by_bare", [2.0, 0.5]),
            (Load::Full, "init_to_ready", [59.5, 79.5]),
            (Load::Full, "services_up", [40.0, 60.0]),
            (Load::Full, "floor", [20.0, 60.0]),
            (Load::Full, "services_up_by_floor", [2.0, 1.0]),
            (Load::Empty, "pid1_resident", [560.0, 540.0]),
            (Load::Full, "pid1_resident", [800.0, 690.0]),
            (Load::Full, "pid1_anonymous", [60.0, 60.0]),
            (Load::Full, "pid1_private", [500.0, 500.0]),
            (Load::Busybox, "prompt", [1_600.0, 700.5]),
        ] {
            assert_eq!(find(&figures, load, key).samples, expected, "{key}");
        }
    }

    #[test]
    fn only_what_has_an_aim_can_miss_it_and_the_median_decides() {
        let figures = figures(Arch::X86_64, &samples());
        for (load, key, met) in [
            (Load::Empty, "init_to_ready", Some(true)),
            (Load::Full, "init_to_ready", None),
            (Load::Empty, "pid1_resident", None),
            (Load::Full, "pid1_resident", Some(false)),
            (Load::Full, "pid1_anonymous", Some(true)),
            (Load::Full, "services_up_by_floor", Some(false)),
        ] {
            assert_eq!(find(&figures, load, key).is_met(), met, "{key}");
        }
    }

    #[test]
    fn a_prompt_has_an_aim_for_each_architecture() {
        for (arch, met) in [(Arch::X86_64, true), (Arch::Aarch64, false)] {
            let figures = figures(arch, &samples());
            assert_eq!(find(&figures, Load::Busybox, "prompt").is_met(), Some(met), "{arch}");
        }
    }

    #[test]
    fn order_does_not_matter_to_the_middle() {
        let mut figure = find(&figures(Arch::X86_64, &samples()), Load::Empty, "total");
        figure.samples = vec![5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!((figure.min(), figure.median(), figure.max()), (1.0, 3.0, 5.0));
        figure.samples = vec![2.0, 1.0];
        assert_eq!(figure.median(), 2.0);
    }
}
