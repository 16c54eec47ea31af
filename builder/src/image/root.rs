//! Whether an ext4 root of a fixed size can hold what is to be in it.

use init_core::diagnostic::Finding;

use crate::definition::Image;
use crate::definition::resolved::Size;
use crate::error::Result;
use crate::format::ext4::Shortage;
use crate::tree::FileTree;

/// What the ext4 root of a fixed size lacks for the tree, with the line that
/// gives the size. `content` says for the message what the tree holds.
///
/// # Errors
/// If no ext4 image holds the tree.
pub(super) fn shortage(image: &Image, tree: &FileTree, content: &str) -> Result<Option<Finding>> {
    let (true, Size::Bytes(bytes, place)) = (image.has_root(), &image.root.size) else {
        return Ok(None);
    };
    Ok(Shortage::of(tree, *bytes)?.map(|shortage| {
        let message = format!("the root is too small for {content}: {shortage}");
        Finding::new(place.clone(), message).with_hint(shortage.remedy())
    }))
}
