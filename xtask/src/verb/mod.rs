//! One file per command.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod build_ebpf;
pub(crate) mod ci;
pub(crate) mod fuzz;
pub(crate) mod image;
pub(crate) mod lint;
pub(crate) mod load;
pub(crate) mod run;
pub(crate) mod stack;
pub(crate) mod test;
pub(crate) mod vm;
