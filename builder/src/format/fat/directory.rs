//! Directory entries as bytes.

use super::name::{Names, checksum};
use super::time::FatTime;
use super::{ENTRY_BYTES, attribute};

/// What a short entry says beside its name.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    pub(super) attributes: u8,
    pub(super) cluster: u32,
    pub(super) size_bytes: u32,
    pub(super) time: FatTime,
}

/// Appends an entry with its names.
pub(super) fn push(directory: &mut Vec<u8>, names: &Names, facts: Facts) {
    let checksum = checksum(&names.short);
    for (number, units) in names.long_parts() {
        let mut entry = [0; ENTRY_BYTES];
        entry[0] = number;
        entry[11] = attribute::LONG_NAME;
        entry[13] = checksum;
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
        for (place, unit) in places.zip(units) {
            entry[place..place + 2].copy_from_slice(&unit.to_le_bytes());
        }
        directory.extend_from_slice(&entry);
    }
    push_short(directory, &names.short, facts);
}

/// Appends an entry that has only a short name: the label, `.` and `..`.
pub(super) fn push_short(directory: &mut Vec<u8>, short: &[u8; 11], facts: Facts) {
    let mut entry = [0; ENTRY_BYTES];
    entry[..11].copy_from_slice(short);
    entry[11] = facts.attributes;
    let FatTime { date, time, fine } = facts.time;
    if facts.attributes != attribute::VOLUME_LABEL {
        entry[13] = fine;
        entry[14..16].copy_from_slice(&time.to_le_bytes());
        entry[16..18].copy_from_slice(&date.to_le_bytes());
        entry[18..20].copy_from_slice(&date.to_le_bytes());
    }
    let [low0, low1, high0, high1] = facts.cluster.to_le_bytes();
    entry[20..22].copy_from_slice(&[high0, high1]);
    entry[22..24].copy_from_slice(&time.to_le_bytes());
    entry[24..26].copy_from_slice(&date.to_le_bytes());
    entry[26..28].copy_from_slice(&[low0, low1]);
    entry[28..32].copy_from_slice(&facts.size_bytes.to_le_bytes());
    directory.extend_from_slice(&entry);
}
