//! Virtual machines with other kernels than this one's: an initial root file system of our own making, and QEMU without hardware
//! support, which works everywhere.

pub(crate) mod budget;
mod cpio;
pub(crate) mod golden;
mod initramfs;
pub(crate) mod kernels;
mod machine;
mod qemu;
pub(crate) mod results;
pub(crate) mod userland;

pub(crate) use initramfs::Files;
pub(crate) use kernels::Kernel;
pub(crate) use machine::{Laboratory, Outcome};
