//! Reports as a person reads them.

use std::fmt::{self, Display, Formatter};

use super::{
    ArchiveReport, ArmImageReport, BzImageReport, EfiFileReport, ElfReport, Entry, Ext4Report,
    FatReport, GptReport, PartitionReport, PeReport, Report,
};
use crate::format::mib_ceil;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpio(report) => report.fmt(f),
            Self::Ext4(report) => report.fmt(f),
            Self::Fat(report) => report.fmt(f),
            Self::Gpt(report) => report.fmt(f),
            Self::BzImage(report) => report.fmt(f),
            Self::ArmImage(report) => report.fmt(f),
            Self::Pe(report) => report.fmt(f),
            Self::Elf(report) => report.fmt(f),
            Self::Json { content } => writeln!(f, "{content:#}"),
        }
    }
}

/// One line as `ls -l` has it.
impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            "directory" => 'd',
            "link" => 'l',
            "char" => 'c',
            "block" => 'b',
            "fifo" => 'p',
            "socket" => 's',
            _ => '-',
        };
        let mode = self.mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok());
        write!(f, "{letter}{}", mode.map_or_else(String::new, permissions))?;
        if let (Some(uid), Some(gid)) = (self.uid, self.gid) {
            write!(f, " {uid:>5} {gid:>5}")?;
        }
        let size = match (self.device, self.size_bytes) {
            (Some((major, minor)), _) => format!("{major}, {minor}"),
            (None, Some(size)) => size.to_string(),
            (None, None) => "-".into(),
        };
        write!(f, " {size:>10} {}", printable(&self.path))?;
        if let Some(target) = &self.target {
            write!(f, " -> {}", printable(target))?;
        }
        if !self.xattrs.is_empty() {
            let names: Vec<&str> = self.xattrs.keys().map(String::as_str).collect();
            write!(f, " [{}]", printable(&names.join(", ")))?;
        }
        Ok(())
    }
}

/// Names from an image must not move the terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

fn permissions(mode: u32) -> String {
    let bit = |bit: u32, letter: char| if mode & bit != 0 { letter } else { '-' };
    let last = |execute: u32, special: u32, both: char, alone: char| match (
        mode & execute != 0,
        mode & special != 0,
    ) {
        (true, true) => both,
        (false, true) => alone,
        (true, false) => 'x',
        (false, false) => '-',
    };
    [
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        last(0o100, 0o4000, 's', 'S'),
        bit(0o040, 'r'),
        bit(0o020, 'w'),
        last(0o010, 0o2000, 's', 'S'),
        bit(0o004, 'r'),
        bit(0o002, 'w'),
        last(0o001, 0o1000, 't', 'T'),
    ]
    .iter()
    .collect()
}

fn list(f: &mut Formatter<'_>, entries: &[Entry], indent: &str) -> fmt::Result {
    entries.iter().try_for_each(|entry| writeln!(f, "{indent}{entry}"))
}

pub(super) fn problems(f: &mut Formatter<'_>, problems: &[String]) -> fmt::Result {
    problems.iter().try_for_each(|problem| writeln!(f, "problem: {problem}"))
}

impl Display for ArchiveReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        problems(f, &self.problems)?;
        for member in &self.members {
            let compression =
                member.compression.map(|name| format!(", {name}")).unwrap_or_default();
            let (count, at) = (member.entries.len(), member.offset_bytes);
            writeln!(f, "cpio archive{compression}: {count} entries at byte {at}")?;
            list(f, &member.entries, "")?;
        }
        let Some(bootconfig) = &self.bootconfig else { return Ok(()) };
        match &bootconfig.command_line {
            Some(line) => {
                writeln!(f, "boot configuration, kernel command line: {}", printable(line))
            }
            None => writeln!(f, "boot configuration:\n{}", bootconfig.text),
        }
    }
}

impl Display for Ext4Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "ext4 file system, {} MiB, {} MiB free, {} of {} inodes used, label `{}`, UUID {}",
            mib_ceil(self.size_bytes),
            self.free_bytes / crate::format::MIB,
            self.inodes.saturating_sub(self.inodes_free),
            self.inodes,
            printable(&self.label),
            self.uuid
        )?;
        list(f, &self.entries, "")
    }
}

impl Display for FatReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} file system, room for {} MiB, label `{}`, volume {}",
            self.fat_type,
            mib_ceil(self.data_bytes),
            printable(&self.label),
            self.volume_id
        )?;
        list(f, &self.entries, "")?;
        self.efi_files.iter().try_for_each(|file| file.fmt(f))
    }
}

impl Display for EfiFileReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}: ", printable(&self.path))?;
        match (&self.content, &self.problem) {
            (Some(content), _) => content.fmt(f),
            (None, problem) => writeln!(f, "{}", problem.as_deref().unwrap_or("unknown")),
        }
    }
}

impl Display for PeReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match (self.is_unified_kernel_image, self.is_efi_application) {
            (true, _) => "unified kernel image",
            (false, true) => "UEFI application",
            (false, false) => "PE file",
        };
        let signed = if self.is_signed { ", signed" } else { "" };
        writeln!(f, "{kind} for {}, {} bytes{signed}", self.machine, self.size_bytes)?;
        for section in &self.sections {
            writeln!(
                f,
                "{:<8} {:>10} bytes at {:>9}, SHA-256 {}",
                printable(&section.name),
                section.len_bytes,
                section.offset_bytes,
                section.sha256
            )?;
            for line in section.text.iter().flat_map(|text| text.lines()) {
                writeln!(f, "    {}", printable(line))?;
            }
        }
        Ok(())
    }
}

impl Display for GptReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "GPT disk, {} MiB, GUID {}", mib_ceil(self.size_bytes), self.guid)?;
        problems(f, &self.problems)?;
        if let Some(loader) = &self.bios_loader {
            loader.fmt(f)?;
        }
        self.partitions.iter().try_for_each(|partition| partition.fmt(f))
    }
}

impl Display for PartitionReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\npartition {}, `{}`: {} MiB at {} MiB, {}, PARTUUID {}",
            self.number,
            printable(&self.name),
            mib_ceil(self.len_bytes),
            self.offset_bytes / crate::format::MIB,
            self.type_name.unwrap_or(&self.type_guid),
            self.guid
        )?;
        if let Some(content) = &self.content {
            return content.fmt(f);
        }
        match &self.problem {
            Some(problem) => writeln!(f, "problem: {problem}"),
            None => Ok(()),
        }
    }
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

impl Display for BzImageReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "bzImage kernel, {} bytes", self.size_bytes)?;
        writeln!(f, "release:          {}", self.release.as_deref().unwrap_or("unknown"))?;
        writeln!(f, "boot protocol:    {}", self.boot_protocol)?;
        writeln!(f, "64-bit entry:     {}", yes(self.is_64))?;
        writeln!(f, "EFI stub:         {}", yes(self.has_efi_stub))?;
        writeln!(f, "compression:      {}", self.compression.unwrap_or("unknown"))?;
        writeln!(f, "command line:     at most {} bytes", self.command_line_max_bytes)?;
        writeln!(f, "memory to start:  {} MiB", mib_ceil(self.init_size_bytes.into()))
    }
}

impl Display for ArmImageReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "arm64 Image kernel, {} bytes", self.size_bytes)?;
        writeln!(f, "release:          {}", self.release.as_deref().unwrap_or("unknown"))?;
        writeln!(f, "EFI stub:         {}", yes(self.has_efi_stub))?;
        let pages = self.page_kib.map_or("unknown".into(), |kib| format!("{kib} KiB"));
        writeln!(f, "page size:        {pages}")?;
        writeln!(f, "byte order:       {}", if self.is_big_endian { "big" } else { "little" })?;
        writeln!(f, "memory it takes:  {} MiB", mib_ceil(self.image_size_bytes))
    }
}

impl Display for ElfReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "ELF file for {}", self.machine)?;
        writeln!(f, "static:       {}", yes(self.is_static))?;
        if let Some(interpreter) = &self.interpreter {
            writeln!(f, "interpreter:  {}", printable(interpreter))?;
        }
        if let Some(soname) = &self.soname {
            writeln!(f, "soname:       {}", printable(soname))?;
        }
        for (name, values) in [
            ("needs:       ", &self.needed),
            ("rpath:       ", &self.rpath),
            ("runpath:     ", &self.runpath),
        ] {
            for value in values {
                writeln!(f, "{name} {}", printable(value))?;
            }
        }
        Ok(())
    }
}
