//! ATTACH: loads the kernel side and hooks it into what is in use, by the cheapest tier that the kernel takes.

mod bpf;
mod btf;
mod budget;
mod copies;
mod error;
mod fentry;
mod functions;
mod hooks;
mod kprobes;
mod layout;
mod load;
mod misses;
mod multi;
mod perf;
mod rest;
mod runs;
mod table;
mod tier;
mod undisturbed;
mod uprobes;
mod way;

pub use btf::KERNEL_BTF;
pub use budget::budgets;
pub use error::AttachError;
pub use hooks::Hooks;
pub use load::{Kernel, KernelSettings, start, try_out};
pub use misses::Misses;
pub use rest::Rest;
pub use table::{Counters, Table};
pub use tier::{Choice, Refusal, Tier, list as list_refusals, misses_nothing};
pub use way::try_probe;
