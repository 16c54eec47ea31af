//! One module per subcommand: its arguments, and the work in terms of the layers below.

pub mod bench;
pub mod check;
pub mod clean;
pub mod completions;
pub mod diff;
pub mod doctor;
pub mod guest;
pub mod image;
mod image_file;
pub mod inspect;
pub mod kernel;
pub mod lock;
pub mod man;
pub mod run;
pub mod test;
