//! Instructions of x86-64: which of them a uprobe costs little at, and what they do to registers.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

use super::step::{Registers, Step};

/// Longest instruction of x86-64.
const INSTRUCTION_BYTES: usize = 15;
/// `rsp`. The order is that of the encoding: rax rcx rdx rbx rsp rbp rsi rdi r8 …
pub const RSP: Registers = 1 << 4;
/// The first two arguments, `rdi` and `rsi`.
pub const ARGUMENTS: Registers = 1 << 6 | 1 << 7;
/// What a called function may change: rax rcx rdx rsi rdi r8 r9 r10 r11 (System V ABI, AMD64 supplement).
const CALLER_SAVED: Registers = 0b1111_1100_0111;

/// The first instruction of `code`.
pub fn step(code: &[u8], address: u64) -> Option<Step> {
    let code = code.get(..INSTRUCTION_BYTES.min(code.len()))?;
    let instruction = Decoder::with_ip(64, code, address, DecoderOptions::NONE).decode();
    let own = code.get(..instruction.len())?;
    if instruction.is_invalid() {
        return None;
    }
    Some(Step {
        address,
        next: successors(&instruction)?,
        is_plain: instruction.flow_control() == FlowControl::Next,
        is_emulated: is_emulated(&instruction, own),
        is_push: instruction.mnemonic() == Mnemonic::Push,
        is_return: instruction.flow_control() == FlowControl::Return,
        written: written(&mut InstructionInfoFactory::new(), &instruction),
        copied: copied(&instruction),
        zeroed: zeroed(&instruction),
    })
}

/// Where a function goes on after an instruction; `None` if that cannot be told.
fn successors(instruction: &Instruction) -> Option<Vec<u64>> {
    match instruction.flow_control() {
        FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
            Some(vec![instruction.next_ip()])
        }
        FlowControl::ConditionalBranch => Some(vec![instruction.next_ip(), instruction.near_branch_target()]),
        FlowControl::UnconditionalBranch => Some(vec![instruction.near_branch_target()]),
        FlowControl::Return | FlowControl::Exception | FlowControl::Interrupt => Some(Vec::new()),
        FlowControl::IndirectBranch | FlowControl::XbeginXabortXend => None,
    }
}

/// The bit of a register, whatever part of it is meant; none for others.
fn bit(register: Register) -> Registers {
    let full = register.full_register();
    if full.is_gpr64() { 1 << full.number() } else { 0 }
}

/// Whether the kernel emulates an instruction that is probed, instead of single-stepping it out of line, which costs
/// two more traps: `branch_setup_xol_ops` and `push_setup_xol_ops` in arch/x86/kernel/uprobes.c, since Linux 4.16.
fn is_emulated(instruction: &Instruction, code: &[u8]) -> bool {
    match *code {
        // push of rax to rdi, and of r8 to r15; nop.
        [0x50..=0x57 | 0x90] | [0x41, 0x50..=0x57] => true,
        // Jumps and calls to fixed places, without prefix.
        [0xeb | 0x70..=0x7f, _] | [0xe8 | 0xe9, _, _, _, _] | [0x0f, 0x80..=0x8f, ..] => {
            instruction.is_jmp_short_or_near()
                || instruction.is_jcc_short_or_near()
                || instruction.is_call_near()
        }
        _ => false,
    }
}

/// The registers that an instruction may change.
fn written(factory: &mut InstructionInfoFactory, instruction: &Instruction) -> Registers {
    let called = if instruction.is_call_near() || instruction.is_call_near_indirect() {
        CALLER_SAVED
    } else {
        0
    };
    let writes = |access| {
        matches!(
            access,
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        )
    };
    factory
        .info(instruction)
        .used_registers()
        .iter()
        .filter(|used| writes(used.access()))
        .fold(called, |all, used| all | bit(used.register()))
}

/// If an instruction copies one whole register to another: to which and from which.
fn copied(instruction: &Instruction) -> Option<(Registers, Registers)> {
    let is_copy = matches!(instruction.code(), Code::Mov_r64_rm64 | Code::Mov_rm64_r64)
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register;
    is_copy.then(|| (bit(instruction.op0_register()), bit(instruction.op1_register())))
}

/// The register that an instruction sets to zero, if that is all it does.
fn zeroed(instruction: &Instruction) -> Registers {
    let is_wide = matches!(instruction.op0_register().size(), 4 | 8);
    let is_zero = match instruction.mnemonic() {
        Mnemonic::Xor => {
            instruction.op0_kind() == OpKind::Register
                && instruction.op1_kind() == OpKind::Register
                && instruction.op0_register() == instruction.op1_register()
        }
        Mnemonic::Mov => {
            instruction.op0_kind() == OpKind::Register
                && matches!(
                    instruction.op1_kind(),
                    OpKind::Immediate32 | OpKind::Immediate64 | OpKind::Immediate32to64
                )
                && instruction.immediate(1) == 0
        }
        _ => false,
    };
    if is_zero && is_wide {
        bit(instruction.op0_register())
    } else {
        0
    }
}
