//! What this kernel is like: offsets of fields, numbers of kinds, and which functions it has.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use agent_common::{
    iterator,
    offsets::{FIELDS, saved},
};
use rustix::param::page_size;

use super::{
    AttachError, Tier,
    btf::Btf,
    copies,
    functions::{FUNCTIONS, Function},
};

/// Least size of the kernel's stacks on arm64, in bytes; where pages are larger, it is a page.
const SMALLEST_STACK: u32 = 16 * 1024;

/// The kernel's list of its symbols; their names can be read also where their addresses are hidden.
const SYMBOLS: &str = "/proc/kallsyms";

/// Where everything is that the kernel side reads, and what it hooks.
pub(super) struct Layout {
    /// Globals and their values.
    pub(super) globals: Vec<(&'static str, u32)>,
    /// The functions of the tier that this kernel has.
    pub(super) functions: Vec<&'static Function>,
    /// How many copies of each program are attached.
    pub(super) copies: usize,
}

impl Layout {
    /// Reads it from the kernel's types, which are dropped before the object is loaded: they are the largest thing that the agent
    /// ever holds.
    pub(super) fn read(btf: &Path, tier: Tier) -> Result<Self, AttachError> {
        let btf = Btf::read(btf)?;
        let mut globals = field_offsets(&btf)?;
        if cfg!(target_arch = "aarch64") {
            globals.extend(saved_registers(&btf)?);
        }
        let mut functions = Vec::new();
        if tier != Tier::Tracepoint {
            globals.extend(message_layout(&btf)?);
            functions.extend(present(&btf, tier));
        }
        Ok(Self {
            globals,
            functions,
            copies: copies::needed(tier, &btf),
        })
    }
}

/// The functions of the tier that this kernel has. fentry needs their types; kprobes only their symbols, and not every function that a
/// kernel has is in its types (5.10 on arm64 lacks `unix_stream_sendpage` there).
fn present(btf: &Btf, tier: Tier) -> impl Iterator<Item = &'static Function> {
    let is_typed = |function: &Function| !function.optional || btf.has_function(function.name);
    let untyped: Vec<&str> = FUNCTIONS
        .iter()
        .filter(|function| !is_typed(function))
        .map(|function| function.name)
        .collect();
    let symbols = match tier {
        Tier::Kprobe if !untyped.is_empty() => File::open(SYMBOLS).ok(),
        _ => None,
    };
    let listed = symbols.map_or_else(Vec::new, |symbols| listed(BufReader::new(symbols), &untyped));
    FUNCTIONS
        .iter()
        .filter(move |function| !untyped.contains(&function.name) || listed.contains(&function.name))
}

/// Those of `names` that are symbols of the kernel, or of its modules. Each line has an address, a kind and a name (`kernel/kallsyms.c:s_show`).
fn listed<'a>(symbols: impl BufRead, names: &[&'a str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for line in symbols.lines().map_while(Result::ok) {
        let name = line.split_ascii_whitespace().nth(2).unwrap_or_default();
        found.extend(names.iter().copied().filter(|wanted| *wanted == name));
    }
    found
}

/// What the function tiers read beyond that.
fn message_layout(btf: &Btf) -> Result<Vec<(&'static str, u32)>, AttachError> {
    let mut layout = Vec::new();
    for field in iterator::FIELDS {
        let offset = field
            .paths
            .iter()
            .find_map(|path| btf.offset(field.structure, path))
            .or(field.absent)
            .ok_or(AttachError::NoField {
                structure: field.structure,
                field: field.paths[0],
            })?;
        layout.push((field.global, offset));
    }
    for (global, name) in iterator::ENUMERATORS {
        let value = btf.enumerator(iterator::KINDS, name).unwrap_or(iterator::NO_KIND);
        layout.push((*global, value));
    }
    let (structure, field) = iterator::OWN_BYTE;
    let (global, own_byte, shared) = iterator::KIND_MASK;
    let mask = if btf.offset(structure, field).is_some() {
        own_byte
    } else {
        shared
    };
    layout.push((global, mask));
    Ok(layout)
}

/// Where the kernel side finds Go's `g` on arm64 in a program without C.
fn saved_registers(btf: &Btf) -> Result<[(&'static str, u32); 2], AttachError> {
    let missing = |field| AttachError::NoField {
        structure: saved::REGISTERS,
        field,
    };
    let size = btf.size(saved::REGISTERS).ok_or(missing("sizeof"))?;
    let first = btf
        .offset(saved::REGISTERS, saved::FIRST)
        .ok_or(missing(saved::FIRST))?;
    let stack = btf
        .offset(saved::STACK.structure, saved::STACK.path)
        .ok_or(AttachError::NoField {
            structure: saved::STACK.structure,
            field: saved::STACK.path,
        })?;
    // `THREAD_SIZE` in arch/arm64/include/asm/memory.h.
    let stack_bytes = u32::try_from(page_size())
        .unwrap_or(SMALLEST_STACK)
        .max(SMALLEST_STACK);
    let to_g = (stack_bytes + first + 8 * saved::G).saturating_sub(size);
    Ok([(saved::STACK.global, stack), (saved::STACK_G, to_g)])
}

fn field_offsets(btf: &Btf) -> Result<Vec<(&'static str, u32)>, AttachError> {
    FIELDS
        .iter()
        .map(|field| {
            btf.offset(field.structure, field.path)
                .map(|offset| (field.global, offset))
                .ok_or(AttachError::NoField {
                    structure: field.structure,
                    field: field.path,
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_found_by_their_whole_name() {
        let symbols = "0000000000000000 t unix_stream_sendpage\n\
                       0000000000000000 T inet_sendpage.part.0\n\
                       ffff800010989560 t tcp_splice_read\t[module]\n";
        let names = ["unix_stream_sendpage", "inet_sendpage", "tcp_splice_read"];
        assert_eq!(
            listed(symbols.as_bytes(), &names),
            ["unix_stream_sendpage", "tcp_splice_read"]
        );
    }
}
