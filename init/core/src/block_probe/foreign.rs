//! What nobody here reads and which is only recognized, so that it is not overwritten unasked:
//! the signatures of file systems, volumes and swap areas, each as its kernel driver has it.

/// How many bytes at the start of a device [`foreign`] wants to see.
pub const FOREIGN_HEAD_LENGTH_BYTES: usize = 0x1_0048;

/// Where in bytes, what is there, and what it is, in words that follow "holds".
type Signature = (usize, &'static [u8], &'static str);

const SIGNATURES: &[Signature] = &[
    (0, b"XFSB", "XFS"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
    (3, b"NTFS    ", "NTFS"),
    (3, b"EXFAT   ", "exFAT"),
    (1024, &[0x10, 0x20, 0xf5, 0xf2], "f2fs"),
    (0, b"hsqs", "squashfs"),
    (0x8001, b"CD001", "ISO 9660"),
    (0, b"LUKS\xba\xbe", "an encrypted volume (LUKS)"),
    // In any of the first four sectors.
    (0, LVM, LVM_NAME),
    (512, LVM, LVM_NAME),
    (1024, LVM, LVM_NAME),
    (1536, LVM, LVM_NAME),
    // Versions 1.1 and 1.2; that of 1.0 is at the end, with what it mirrors at the start.
    (0, RAID, RAID_NAME),
    (4096, RAID, RAID_NAME),
    // At the end of the first page, of the sizes that there are.
    (4096 - 10, SWAP, SWAP_NAME),
    (4096 - 10, OLD_SWAP, SWAP_NAME),
    (16_384 - 10, SWAP, SWAP_NAME),
    (65_536 - 10, SWAP, SWAP_NAME),
];

const LVM: &[u8] = b"LABELONE";
const LVM_NAME: &str = "a volume of LVM";
const RAID: &[u8] = &[0xfc, 0x4e, 0x2b, 0xa9];
const RAID_NAME: &str = "a part of a RAID";
const SWAP: &[u8] = b"SWAPSPACE2";
const OLD_SWAP: &[u8] = b"SWAP-SPACE";
const SWAP_NAME: &str = "a swap area";

/// What a device holds that starts with `head` ([`FOREIGN_HEAD_LENGTH_BYTES`]; fewer are
/// searched as far as they go), if it is neither of [`super::identify`]'s nor a partition table.
#[must_use]
pub fn foreign(head: &[u8]) -> Option<&'static str> {
    let is_there =
        |(at, bytes, _): &&Signature| head.get(*at..).is_some_and(|rest| rest.starts_with(bytes));
    SIGNATURES.iter().find(is_there).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_lies_in_the_head_and_is_found() {
        for (at, bytes, name) in SIGNATURES {
            let mut head = vec![0; FOREIGN_HEAD_LENGTH_BYTES];
            head[*at..*at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(foreign(&head), Some(*name));
            assert_eq!(foreign(&head[..*at + bytes.len() - 1]), None, "{name} cut off");
        }
        assert_eq!(foreign(&[0; FOREIGN_HEAD_LENGTH_BYTES]), None);
        assert_eq!(foreign(&[]), None);
    }
}
