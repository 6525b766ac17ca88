//! The registers of a probed program, by the numbers that its instructions use.

use aya_ebpf::{
    bindings,
    programs::{ProbeContext, RetProbeContext},
};

#[cfg(bpf_target_arch = "aarch64")]
type Registers = bindings::user_pt_regs;
#[cfg(not(bpf_target_arch = "aarch64"))]
type Registers = bindings::pt_regs;

/// The register of this number; 0 if there is none.
#[inline(always)]
pub fn numbered(ctx: &ProbeContext, number: u64) -> u64 {
    read(registers(ctx), number)
}

/// An argument in Go's own calling convention (Go, src/cmd/compile/abi-internal.md).
#[inline(always)]
pub fn go_argument(ctx: &ProbeContext, index: u64) -> Option<u64> {
    // amd64 passes them in rax, rbx, …; arm64 in x0, x1, ….
    let number = if cfg!(bpf_target_arch = "aarch64") || index == 0 {
        index
    } else {
        3
    };
    (index < 2).then(|| numbered(ctx, number))
}

/// The stack pointer of the caller of the function whose first instruction is probed: what it is again when it has returned.
#[inline(always)]
pub fn frame_at_entry(ctx: &ProbeContext) -> u64 {
    // x86-64 has put the return address there.
    stack_pointer(registers(ctx)) + if cfg!(bpf_target_arch = "aarch64") { 0 } else { 8 }
}

/// The stack pointer after a function has returned.
#[inline(always)]
pub fn frame_at_return(ctx: &RetProbeContext) -> u64 {
    // SAFETY: the registers at the probe, as the kernel hands them to the program.
    stack_pointer(unsafe { &*ctx.regs.cast::<Registers>() })
}

#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
fn stack_pointer(registers: &Registers) -> u64 {
    registers.rsp
}

#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn stack_pointer(registers: &Registers) -> u64 {
    registers.sp
}

#[inline(always)]
fn registers(ctx: &ProbeContext) -> &Registers {
    // SAFETY: the registers at the probe, as the kernel hands them to the program.
    unsafe { &*ctx.regs.cast::<Registers>() }
}

#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
fn read(registers: &Registers, number: u64) -> u64 {
    match number {
        0 => registers.rax,
        1 => registers.rcx,
        2 => registers.rdx,
        3 => registers.rbx,
        5 => registers.rbp,
        6 => registers.rsi,
        7 => registers.rdi,
        8 => registers.r8,
        9 => registers.r9,
        10 => registers.r10,
        11 => registers.r11,
        12 => registers.r12,
        13 => registers.r13,
        14 => registers.r14,
        15 => registers.r15,
        _ => 0,
    }
}

/// The verifier wants each offset to be a constant.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn read(registers: &Registers, number: u64) -> u64 {
    macro_rules! each {
        ($($index:literal)*) => {
            match number {
                $($index => registers.regs[$index],)*
                _ => 0,
            }
        };
    }
    each!(0 1 2 3 4 5 6 7 8 19 20 21 22 23 24 25 26 27 28)
}
