//! The boot loaders that come with the project, built from `builder/boot/`.

pub mod bios;
