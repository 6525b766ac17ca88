//! CAPTURE: all of sidelight that runs in the kernel.
//!
//! A hook ([`syscalls`], [`kprobes`], [`fentry`]) says which socket, which direction, which buffers and what the call returned; from there on
//! every tier shares one way: [`transfer`] finds the [`connections`] entry, decides how much to copy, and [`emit`]s
//! events. [`sockets`] follows the life of connections, [`processes`] that of processes. [`units`] tells which execution unit
//! acts, [`uprobes`] where units start others.
//!
//! The kernel side copies bytes and identity only. It never looks at what the bytes mean.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod calls;
mod connections;
mod copy;
mod emit;
mod fentry;
mod functions;
mod kernel;
mod kprobes;
mod log;
mod maps;
mod offsets;
mod processes;
mod registers;
mod sockets;
mod syscalls;
mod transfer;
mod units;
mod uprobes;
mod work;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// Helpers such as `bpf_probe_read_kernel` are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
