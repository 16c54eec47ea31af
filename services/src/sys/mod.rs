//! The few things that safe Rust cannot say, each with its argument:
//! taking over a descriptor that PID 1 left open for this process, clearing the kernel's log,
//! the loopback interface, packet sockets, the clocks, requests to block devices, going before other programs,
//! making processes with nothing but vfork, and hanging up a terminal.

#![expect(unsafe_code, reason = "this folder holds the package's unsafe code")]

mod block_ioctl;
mod clock;
mod inherited;
mod klog;
mod loopback;
#[cfg(feature = "network")]
mod packet;
mod realtime;
mod vfork;
mod vhangup;

pub use block_ioctl::{PartitionPlace, add_partition, resize_ext4, resize_partition, zero_out};
pub use clock::{SLEW_NS_MAX, is_clock_synchronised, set_hardware_clock, slew_clock, step_clock};
pub use inherited::inherited_fd;
pub use klog::clear_kernel_log;
pub use loopback::loopback_up;
#[cfg(feature = "network")]
pub use packet::{Instruction, packet_socket, send_packet};
pub use realtime::become_realtime;
pub use vfork::{Program, vfork_exec, vfork_exit};
pub use vhangup::hang_up_terminal;
