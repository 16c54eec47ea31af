//! The stub's own image in memory, by the `LoadedImage` protocol
//! (UEFI Specification 2.10, section 9.1).

use core::ops::Range;
use core::slice;

use uefi::Status;
use uefi::boot;
use uefi::proto::loaded_image::LoadedImage;
use uefi_stub::sections::HEADERS_MAX_BYTES;

/// Where this program lies, with all its sections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnImage {
    base: *const u8,
    len_bytes: usize,
}

impl OwnImage {
    /// Asks the firmware.
    pub(crate) fn find() -> Result<Self, Status> {
        let loaded = boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle())
            .map_err(|error| error.status())?;
        let (base, len_bytes) = loaded.info();
        let len_bytes = usize::try_from(len_bytes).map_err(|_| Status::LOAD_ERROR)?;
        if base.is_null() || isize::try_from(len_bytes).is_err() {
            return Err(Status::LOAD_ERROR);
        }
        Ok(Self { base: base.cast(), len_bytes })
    }

    /// How long it is, in bytes.
    pub(crate) fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Its beginning, where the headers are.
    pub(crate) fn headers(&self) -> &'static [u8] {
        self.content(0..HEADERS_MAX_BYTES)
    }

    /// What lies at `place`, relative to its start; nothing where that is not
    /// wholly in the image.
    pub(crate) fn content(&self, place: Range<usize>) -> &'static [u8] {
        if place.start > place.end || place.end > self.len_bytes {
            return &[];
        }
        // SAFETY: the firmware keeps the image where it says as long as it runs. The
        // place is within it, and nobody writes there: it is asked for the headers,
        // which end before the first section begins, and for sections that the
        // builder has added, which no code of this program refers to.
        unsafe { slice::from_raw_parts(self.base.add(place.start), place.len()) }
    }
}
