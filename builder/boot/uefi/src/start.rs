//! The way from the stub's own image to the running kernel, top down.

use core::convert::Infallible;

use uefi::boot::{self, LoadImageSource};
use uefi_stub::command_line::{self, CAPACITY};
use uefi_stub::sections::SectionTable;

use crate::failure::Failure;
use crate::sys::own_image::OwnImage;
use crate::sys::{initramfs, kernel};

/// Starts the kernel; comes back only if that fails.
pub(crate) fn start() -> Result<Infallible, Failure> {
    let image = OwnImage::find().map_err(Failure::Unlocated)?;
    let table = SectionTable::read(image.headers(), image.len_bytes())?;
    let section = |name: &str| {
        table.find(name).map(|place| place.map(|place| image.content(place)).unwrap_or_default())
    };
    let linux = section(".linux")?;
    if linux.is_empty() {
        return Err(Failure::NoKernel);
    }
    let mut options = [0; CAPACITY];
    let options = command_line::encode(section(".cmdline")?, &mut options)?;
    // Whether there is one of the image's own or not: the kernel takes what it finds.
    if initramfs::is_offered() {
        return Err(Failure::ForeignInitramfs);
    }
    let source = LoadImageSource::FromBuffer { buffer: linux, file_path: None };
    let loaded = boot::load_image(boot::image_handle(), source)
        .map_err(|error| Failure::Load(error.status()))?;
    let status = match section(".initrd")? {
        [] => kernel::start(loaded, options),
        content => initramfs::offer(content, || kernel::start(loaded, options))
            .map_err(Failure::Initramfs)?,
    };
    Err(Failure::Start(status))
}
