//! Instructions of arm64, as far as they are asked for: all have 32 bits, and each question is a mask or two (Arm Architecture
//! Reference Manual for A-profile, C4, "A64 instruction set encoding").

/// Condition "lower or same".
const LOWER_OR_SAME: u32 = 9;

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Its address.
    pub address: u64,
    /// Its 32 bits.
    pub word: u32,
}

/// A read of memory at a fixed distance from a register, without change of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Bytes.
    pub size: u64,
    /// The register that gets them.
    pub to: u8,
    /// The register from which on.
    pub base: u8,
    /// How far from there.
    pub offset: u64,
}

/// All whole instructions of some code.
pub fn instructions(address: u64, code: &[u8]) -> impl Iterator<Item = Instruction> {
    let words = code.as_chunks::<4>().0.iter().copied().map(u32::from_le_bytes);
    words
        .zip((0..).map(move |index: u64| address.wrapping_add(4 * index)))
        .map(|(word, address)| Instruction { address, word })
}

impl Instruction {
    fn is(self, mask: u32, value: u32) -> bool {
        self.word & mask == value
    }

    /// The number of a register whose field begins at a bit.
    pub fn register(self, bit: u32) -> u8 {
        (self.word >> bit & 0x1f) as u8
    }

    fn bits(self, bit: u32, count: u32) -> u32 {
        self.word >> bit & ((1 << count) - 1)
    }

    /// So many instructions from here, a signed number at a bit.
    fn target(self, bit: u32, count: u32) -> u64 {
        let unused = 32 - count;
        let distance = i64::from((self.bits(bit, count) << unused) as i32 >> unused);
        self.address.wrapping_add_signed(4 * distance)
    }

    /// Where `bl` goes.
    pub fn call(self) -> Option<u64> {
        self.is(0xfc00_0000, 0x9400_0000).then(|| self.target(0, 26))
    }

    /// Where `b` goes.
    pub fn jump(self) -> Option<u64> {
        self.is(0xfc00_0000, 0x1400_0000).then(|| self.target(0, 26))
    }

    /// Where `b.CONDITION`, `cbz`, `cbnz`, `tbz` and `tbnz` may go.
    pub fn branch(self) -> Option<u64> {
        if self.is(0xff00_0010, 0x5400_0000) || self.is(0x7e00_0000, 0x3400_0000) {
            return Some(self.target(5, 19));
        }
        self.is(0x7e00_0000, 0x3600_0000).then(|| self.target(5, 14))
    }

    /// `b.ls`
    pub fn is_if_lower_or_same(self) -> bool {
        self.is(0xff00_0010, 0x5400_0000) && self.bits(0, 4) == LOWER_OR_SAME
    }

    /// A branch to where a register says: `br`, `blr`, `ret` and their forms with authentication.
    pub fn is_indirect(self) -> bool {
        self.is(0xfe00_0000, 0xd600_0000)
    }

    /// `blr`, `blraa`, …
    pub fn is_indirect_call(self) -> bool {
        self.is(0xfeff_f000, 0xd63f_0000)
    }

    /// `ret`, `retaa`, `retab`
    pub fn is_return(self) -> bool {
        self.is(0xffff_f000, 0xd65f_0000)
    }

    /// `brk` and `udf`
    pub fn is_fault(self) -> bool {
        self.is(0xffe0_001f, 0xd420_0000) || self.is(0xffff_0000, 0)
    }

    /// `adrp` and `adr`: the register, and the address that it gets.
    pub fn address_made(self) -> Option<(u8, u64)> {
        if !self.is(0x1f00_0000, 0x1000_0000) {
            return None;
        }
        let distance = i64::from(((self.bits(5, 19) << 2 | self.bits(29, 2)) << 11) as i32 >> 11);
        let address = if self.is(0x8000_0000, 0) {
            self.address.wrapping_add_signed(distance)
        } else {
            (self.address & !0xfff).wrapping_add_signed(distance << 12)
        };
        Some((self.register(0), address))
    }

    /// `ldr`, `ldrb`, `ldrsw` and so on, `[BASE, #OFFSET]`.
    pub fn load(self) -> Option<Load> {
        let (is_load, size) = (self.bits(22, 2) != 0, 1 << self.bits(30, 2));
        // `prfm` has the place of a sign-extending load of 64 bits.
        let is_prefetch = self.is(0xffc0_0000, 0xf980_0000);
        (self.is(0x3f00_0000, 0x3900_0000) && is_load && !is_prefetch).then(|| Load {
            size,
            to: self.register(0),
            base: self.register(5),
            offset: u64::from(self.bits(10, 12)) * size,
        })
    }

    /// `cmp` of two whole registers; the first may be the stack pointer.
    pub fn compared(self) -> Option<(u8, u8)> {
        let is_compare = self.is(0xffe0_fc1f, 0xeb00_001f) || self.is(0xffe0_fc1f, 0xeb20_601f);
        is_compare.then(|| (self.register(5), self.register(16)))
    }

    /// `mov` of a whole register to another: to which and from which.
    pub fn moved(self) -> Option<(u8, u8)> {
        self.is(0xffe0_ffe0, 0xaa00_03e0)
            .then(|| (self.register(0), self.register(16)))
    }

    /// `movz`: the register, and what it gets.
    pub fn constant(self) -> Option<(u8, u64)> {
        self.is(0x7f80_0000, 0x5280_0000)
            .then(|| (self.register(0), self.shifted()))
    }

    /// `movk`: the register, and what its part becomes, which was zero.
    pub fn constant_part(self) -> Option<(u8, u64)> {
        self.is(0x7f80_0000, 0x7280_0000)
            .then(|| (self.register(0), self.shifted()))
    }

    fn shifted(self) -> u64 {
        u64::from(self.bits(5, 16)) << (16 * self.bits(21, 2))
    }

    /// The register that becomes zero.
    pub fn zeroed(self) -> Option<u8> {
        // mov REGISTER, zr
        let is_moved = self.is(0x7fff_ffe0, 0x2a1f_03e0);
        let is_constant = self.constant().is_some_and(|(_, value)| value == 0);
        (is_moved || is_constant).then(|| self.register(0))
    }

    /// `mrs REGISTER, TPIDR_EL0`: the register that gets the thread pointer.
    pub fn thread_pointer(self) -> Option<u8> {
        self.is(0xffff_ffe0, 0xd53b_d040).then(|| self.register(0))
    }

    /// `str VALUE, [BASE, INDEX]` of a whole register: value, base, index.
    pub fn stored_at_index(self) -> Option<(u8, u8, u8)> {
        self.is(0xffe0_fc00, 0xf820_6800)
            .then(|| (self.register(0), self.register(5), self.register(16)))
    }

    /// Whether the kernel simulates it when it is probed, instead of letting it run elsewhere and stop behind, which costs another
    /// exception: arch/arm64/kernel/probes/decode-insn.c, since Linux 4.10.
    pub fn is_simulated(self) -> bool {
        // Those with authentication are not, and nothing can be probed there.
        let is_plain = [0xd61f_0000, 0xd63f_0000, 0xd65f_0000].contains(&(self.word & 0xffff_fc1f));
        self.call().or(self.jump()).or(self.branch()).is_some() || is_plain || self.address_made().is_some()
    }
}
