//! Requests to block devices and file systems that rustix does not have
//! (`include/uapi/linux/blkpg.h`, `include/uapi/linux/fs.h`, `include/uapi/linux/ext4.h`).

use std::ffi::{c_int, c_longlong, c_void};
use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// Where a partition is, for the kernel's own table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionPlace {
    /// Its number, from 1.
    pub number: u32,
    /// Where it begins on its disk, in bytes.
    pub start_bytes: u64,
    /// Its length in bytes.
    pub length_bytes: u64,
}

/// `struct blkpg_partition`.
#[repr(C)]
struct BlkpgPartition {
    start: c_longlong,
    length: c_longlong,
    number: c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct BlkpgArgument {
    operation: c_int,
    flags: c_int,
    length: c_int,
    data: *mut c_void,
}

const BLKPG: Opcode = opcode::none(0x12, 105);
const BLKPG_ADD_PARTITION: c_int = 1;
const BLKPG_RESIZE_PARTITION: c_int = 3;
const BLKZEROOUT: Opcode = opcode::none(0x12, 127);
const EXT4_IOC_RESIZE_FS: Opcode = opcode::write::<u64>(b'f', 16);

/// Tells the kernel of a partition that its table of `disk` does not have yet.
///
/// # Errors
/// What ioctl(2) says: `EBUSY` if it overlaps another one.
pub fn add_partition(disk: impl AsFd, place: PartitionPlace) -> io::Result<()> {
    partition_request(disk, BLKPG_ADD_PARTITION, place)
}

/// Tells the kernel that a partition has become longer or shorter; it may be in use.
///
/// # Errors
/// What ioctl(2) says: `EBUSY` if it overlaps another one.
pub fn resize_partition(disk: impl AsFd, place: PartitionPlace) -> io::Result<()> {
    partition_request(disk, BLKPG_RESIZE_PARTITION, place)
}

fn partition_request(disk: impl AsFd, operation: c_int, place: PartitionPlace) -> io::Result<()> {
    let too_large = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut partition = BlkpgPartition {
        start: place.start_bytes.try_into().map_err(too_large)?,
        length: place.length_bytes.try_into().map_err(too_large)?,
        number: place.number.try_into().map_err(too_large)?,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let length = c_int::try_from(size_of::<BlkpgPartition>()).map_err(too_large)?;
    let data = (&raw mut partition).cast();
    let argument = BlkpgArgument { operation, flags: 0, length, data };
    // SAFETY: BLKPG reads a `struct blkpg_ioctl_arg` and, for both operations, the
    // `struct blkpg_partition` that it points to; both are laid out as the header has them
    // and live until the call returns. On what is no block device it answers an error.
    unsafe { ioctl(disk, Setter::<BLKPG, BlkpgArgument>::new(argument))? };
    Ok(())
}

/// Makes `length_bytes` of a block device from `start_bytes` on read as zeros, by whatever
/// means it has; both are multiples of 512.
///
/// # Errors
/// What ioctl(2) says.
pub fn zero_out(device: impl AsFd, start_bytes: u64, length_bytes: u64) -> io::Result<()> {
    // SAFETY: BLKZEROOUT reads two 64-bit numbers.
    unsafe { ioctl(device, Setter::<BLKZEROOUT, [u64; 2]>::new([start_bytes, length_bytes]))? };
    Ok(())
}

/// Grows the mounted ext4 that the directory `inside` belongs to, to so many blocks.
///
/// # Errors
/// What ioctl(2) says: `ENOTTY` on other file systems, `ENOSPC` if its device is too small.
pub fn resize_ext4(inside: impl AsFd, blocks: u64) -> io::Result<()> {
    // SAFETY: EXT4_IOC_RESIZE_FS reads one 64-bit number.
    unsafe { ioctl(inside, Setter::<EXT4_IOC_RESIZE_FS, u64>::new(blocks))? };
    Ok(())
}

const _: () = assert!(size_of::<BlkpgPartition>() == 152);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_block_device_answers_an_error() {
        let file = tempfile::tempfile().unwrap();
        let place = PartitionPlace { number: 3, start_bytes: 1 << 20, length_bytes: 1 << 20 };
        assert!(add_partition(&file, place).is_err());
        assert!(resize_partition(&file, place).is_err());
        assert!(zero_out(&file, 0, 512).is_err());
        let huge = PartitionPlace { start_bytes: u64::MAX, ..place };
        assert_eq!(add_partition(&file, huge).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
