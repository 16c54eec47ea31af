//! The initramfs as the kernel's EFI stub asks for it: by the `LoadFile2`
//! protocol (UEFI Specification 2.10, section 13.2) on the vendor media device
//! path `LINUX_EFI_INITRD_MEDIA_GUID` (include/linux/efi.h;
//! drivers/firmware/efi/libstub/efi-stub-helper.c, `efi_load_initrd_dev_path`).

use core::ffi::c_void;
use core::ptr;

use uefi::boot;
use uefi::proto::device_path::DevicePath;
use uefi::proto::media::load_file::LoadFile2;
use uefi::{Guid, Handle, Identify, Status, guid};
use uefi_raw::Boolean;
use uefi_raw::protocol::device_path::DevicePathProtocol;
use uefi_raw::protocol::media::LoadFile2Protocol;

/// `LINUX_EFI_INITRD_MEDIA_GUID`.
const INITRD_MEDIA: Guid = guid!("5568e427-68fc-4f3d-ac74-ca555231cc68");

/// A device path of one vendor media node (section 10.3.5.3: type 4, subtype 3,
/// 20 bytes) and the end.
static DEVICE_PATH: [u8; 24] = {
    let mut path = [0; 24];
    path[0] = 4;
    path[1] = 3;
    path[2] = 20;
    let vendor = INITRD_MEDIA.to_bytes();
    let mut at = 0;
    while at < vendor.len() {
        path[4 + at] = vendor[at];
        at += 1;
    }
    path[20] = 0x7F;
    path[21] = 0xFF;
    path[22] = 4;
    path
};

/// What the kernel gets a pointer to: the protocol, and behind it what only
/// [`load_file`] knows of.
#[repr(C)]
struct Offer<'a> {
    protocol: LoadFile2Protocol,
    content: &'a [u8],
}

/// Whether somebody offers the kernel an initramfs already.
pub(crate) fn is_offered() -> bool {
    match <&DevicePath>::try_from(DEVICE_PATH.as_slice()) {
        Ok(mut path) => boot::locate_device_path::<LoadFile2>(&mut path).is_ok(),
        Err(_) => false,
    }
}

/// Offers `content` to the kernel while `run` runs.
///
/// # Errors
/// If the firmware does not take the offer; `run` is then not called.
pub(crate) fn offer<T>(content: &[u8], run: impl FnOnce() -> T) -> Result<T, Status> {
    let offer = Offer { protocol: LoadFile2Protocol { load_file }, content };
    let path = Installed::new(None, &DevicePath::GUID, DEVICE_PATH.as_ptr().cast())?;
    let handle = Some(path.handle);
    let _file = Installed::new(handle, &LoadFile2::GUID, ptr::from_ref(&offer).cast())?;
    Ok(run())
}

/// A protocol on a handle, taken off again when it is dropped.
struct Installed<'a> {
    handle: Handle,
    protocol: &'a Guid,
    interface: *const c_void,
}

impl<'a> Installed<'a> {
    fn new(
        handle: Option<Handle>,
        protocol: &'a Guid,
        interface: *const c_void,
    ) -> Result<Self, Status> {
        // SAFETY: both callers pass an interface of the kind that `protocol` names,
        // which lives until the value returned here is dropped: a static, and a local
        // that is declared before it.
        let installed = unsafe { boot::install_protocol_interface(handle, protocol, interface) };
        let handle = installed.map_err(|error| error.status())?;
        Ok(Self { handle, protocol, interface })
    }
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        // SAFETY: whoever has used the interface was the kernel, and it has come back.
        // If the firmware refuses, nothing is left to be done about it.
        let _refused = unsafe {
            boot::uninstall_protocol_interface(self.handle, self.protocol, self.interface)
        };
    }
}

/// `EFI_LOAD_FILE2_PROTOCOL.LoadFile()`: says how long the initramfs is, and
/// copies it where there is room.
// SAFETY: called by the kernel with the pointer it was given, which is that of an
// `Offer`, and with pointers it is bound by the specification to give.
unsafe extern "efiapi" fn load_file(
    this: *mut LoadFile2Protocol,
    file_path: *const DevicePathProtocol,
    boot_policy: Boolean,
    buffer_bytes: *mut usize,
    buffer: *mut c_void,
) -> Status {
    if this.is_null() || file_path.is_null() || buffer_bytes.is_null() {
        return Status::INVALID_PARAMETER;
    }
    if boot_policy != Boolean::FALSE {
        return Status::UNSUPPORTED;
    }
    // SAFETY: `this` is the only pointer this function is reached by, and points to
    // the first field of an `Offer`; the length is the caller's own variable.
    let (content, room) = unsafe { ((*this.cast::<Offer<'_>>()).content, *buffer_bytes) };
    // SAFETY: as above.
    unsafe { *buffer_bytes = content.len() };
    if buffer.is_null() || room < content.len() {
        return Status::BUFFER_TOO_SMALL;
    }
    // SAFETY: the caller says that `buffer` has `room` bytes, which are its own.
    unsafe { ptr::copy_nonoverlapping(content.as_ptr(), buffer.cast(), content.len()) };
    Status::SUCCESS
}
