//! ATTACH: loads the kernel side and hooks it into what is in use.

mod btf;
mod error;
mod hooks;
mod load;
mod rest;
mod uprobes;

pub use btf::KERNEL_BTF;
pub use error::AttachError;
pub use hooks::Hooks;
pub use load::{Kernel, KernelSettings, load};
pub use rest::Rest;
