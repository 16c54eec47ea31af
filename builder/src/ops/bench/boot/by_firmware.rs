//! What firmware and boot loader add to a boot: the same disk by every way to
//! boot it. When the kernel started is calculated ([`clock`]).

use super::super::spread::Spread;
use super::clock::{self, Question};
use super::sample::{self, Sample};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::run::boot_method::BootMethod;
use crate::qemu::board::Machine;

/// One boot from the disk, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Phases {
    /// QEMU lets the machine go; the kernel sets up its clock.
    pub(super) power_on_to_kernel_us: u64,
    /// PID 1's first instruction.
    pub(super) kernel_to_init_us: u64,
    /// Every service that starts at boot is up.
    pub(super) init_to_ready_us: u64,
}

/// All boots by one way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Column {
    pub(super) boot: BootMethod,
    /// In the order of the boots; at least one.
    pub(super) boots: Vec<Phases>,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its name for programs.
    pub(super) key: &'static str,
    /// Its name for people.
    pub(super) label: &'static str,
    of: fn(&Phases) -> u64,
}

/// The rows, in the order in which they are shown.
pub(super) const ROWS: [Row; 4] = [
    Row {
        key: "power_on_to_kernel",
        label: "power-on to kernel start",
        of: |phases| phases.power_on_to_kernel_us,
    },
    Row {
        key: "kernel_to_init",
        label: "kernel start to /init",
        of: |phases| phases.kernel_to_init_us,
    },
    Row {
        key: "init_to_ready",
        label: "/init to all services ready",
        of: |phases| phases.init_to_ready_us,
    },
    Row {
        key: "total",
        label: "total",
        of: |phases| {
            phases.power_on_to_kernel_us + phases.kernel_to_init_us + phases.init_to_ready_us
        },
    },
];

impl Row {
    /// Its samples in one column, in milliseconds.
    pub(super) fn samples(&self, column: &Column) -> Vec<f64> {
        column.boots.iter().map(|phases| (self.of)(phases) as f64 / 1000.0).collect()
    }

    /// How they spread.
    pub(super) fn spread(&self, column: &Column) -> Spread {
        Spread::of(&self.samples(column))
    }
}

/// Every way to boot a disk on the usual machine of `arch`, the one without firmware last.
pub(super) fn ways(arch: Arch) -> impl Iterator<Item = BootMethod> {
    [BootMethod::Bios, BootMethod::Uefi, BootMethod::Direct]
        .into_iter()
        .filter(move |boot| boot.is_on(Machine::of(arch)))
}

/// Reads when what happened in a guest without services but `execd`.
///
/// # Errors
/// If the guest does not answer, or says what cannot be.
pub(super) fn take(guest: &mut Guest) -> Result<Phases> {
    let sample = sample::take(guest, 0)?;
    let start_us = clock::kernel_start_us(guest, &Question::MEASURE)?;
    Ok(phases(start_us, &sample))
}

fn phases(power_on_to_kernel_us: u64, sample: &Sample) -> Phases {
    Phases {
        power_on_to_kernel_us,
        kernel_to_init_us: sample.started_us,
        init_to_ready_us: sample.complete_us - sample.started_us,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Memory;
    use super::*;

    #[test]
    fn the_phases_add_up_to_the_total() {
        let memory = Memory { resident_kib: 1, anonymous_kib: 1, private_kib: 1 };
        let sample = Sample {
            started_us: 700_000,
            first_start_us: 710_000,
            complete_us: 730_500,
            services_up: 1,
            memory,
        };
        let column = Column { boot: BootMethod::Bios, boots: vec![phases(2_000_000, &sample)] };
        let figures = ROWS.map(|row| (row.key, row.samples(&column)));
        assert_eq!(
            figures,
            [
                ("power_on_to_kernel", vec![2000.0]),
                ("kernel_to_init", vec![700.0]),
                ("init_to_ready", vec![30.5]),
                ("total", vec![2730.5]),
            ]
        );
    }

    #[test]
    fn each_architecture_has_its_ways() {
        use BootMethod::{Bios, Direct, Uefi};
        assert!(ways(Arch::X86_64).eq([Bios, Uefi, Direct]));
        assert!(ways(Arch::Aarch64).eq([Uefi, Direct]));
    }
}
