//! Builds kernels, root trees and images on the host, and runs them.
//!
//! The layers, each of which may use those to its right:
//! `cli` -> `ops` -> {`definition`, `kernel`, `userland`, `debian`, `boot`, `image`, `qemu`} -> {`tree`, `elf`, `format`}.
//! [`project`] knows where the repository is, [`host`] alone starts programs, [`shell`] alone prints, [`download`] alone
//! speaks with servers itself, [`cache`] alone decides where finished work is kept, [`whole_file`] lets no file be half written,
//! [`sparse_file`] reads no hole, [`command_line`] alone puts command lines of kernels together.

pub mod arch;
pub mod boot;
pub mod bus;
pub mod cache;
pub mod cli;
pub mod command_line;
pub mod debian;
pub mod definition;
pub mod download;
pub mod elf;
pub mod error;
pub mod format;
pub mod host;
pub mod host_needs;
pub mod image;
pub mod inspect;
pub mod kernel;
pub mod ops;
pub mod project;
pub mod qemu;
pub mod shell;
pub mod sparse_file;
pub mod tree;
pub mod userland;
pub mod whole_file;
