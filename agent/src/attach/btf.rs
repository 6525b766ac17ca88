//! A small reader of the kernel's BTF: where a field is in a struct.
//!
//! aya can load BTF but keeps its types private, and Rust programs carry no CO-RE relocations; so the offsets are read
//! here and handed to the kernel side. Format: <https://docs.kernel.org/bpf/btf.html>.

use std::{fs, path::Path};

use super::AttachError;

/// Where a running kernel publishes its types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const HEADER_BYTES: usize = 24;
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
const ENUMERATOR_BYTES: usize = 8;

/// Kinds of BTF types that matter here: `include/uapi/linux/btf.h`.
mod kind {
    pub const INT: u32 = 1;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// The types of a kernel.
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// Where each type begins in `data`; type ids count from 1.
    types: Vec<u32>,
}

/// One type's fixed part.
#[derive(Clone, Copy)]
struct Type {
    at: usize,
    name: u32,
    kind: u32,
    members: usize,
    bitfields: bool,
    /// Size, or the id of the type it refers to.
    target: u32,
}

impl Btf {
    /// Reads the types from a file.
    ///
    /// # Errors
    /// [`AttachError::NoBtf`] when the file cannot be read, [`AttachError::BadBtf`] when it is not BTF.
    pub fn read(path: &Path) -> Result<Self, AttachError> {
        let data = fs::read(path).map_err(|source| AttachError::NoBtf {
            path: path.into(),
            source,
        })?;
        Self::parse(data).map_err(|reason| AttachError::BadBtf {
            path: path.into(),
            reason,
        })
    }

    fn parse(data: Vec<u8>) -> Result<Self, &'static str> {
        if data.len() < HEADER_BYTES || half(&data, 0) != Some(MAGIC) {
            return Err("it does not begin with the magic number of BTF");
        }
        let word = |at| {
            word(&data, at)
                .map(|value| value as usize)
                .ok_or("its header is cut off")
        };
        let (header, type_at, type_len, strings) = (word(4)?, word(8)?, word(12)?, word(16)?);
        let (begin, end) = (header + type_at, header + type_at + type_len);
        let strings = header + strings;
        if end > data.len() || strings > data.len() {
            return Err("its header points beyond its end");
        }
        let mut btf = Self {
            data,
            strings,
            types: Vec::new(),
        };
        let mut at = begin;
        while at < end {
            btf.types.push(at as u32);
            let this = btf.read_type(at).ok_or("a type is cut off")?;
            at += TYPE_BYTES + extra_bytes(this).ok_or("it has a kind of type that is not known")?;
        }
        Ok(btf)
    }

    /// Byte offset of a member; `path` names members separated by dots and passes through anonymous ones.
    /// `None` if the struct or the member does not exist, or is a bitfield.
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut current = self.structure(structure)?;
        let mut bits = 0;
        for name in path.split('.') {
            let (offset, target) = self.member(current, name)?;
            bits += offset;
            current = self.resolve(target)?;
        }
        (bits % 8 == 0).then_some(bits / 8)
    }

    /// Bytes of a struct.
    pub fn size(&self, structure: &str) -> Option<u32> {
        Some(self.structure(structure)?.target)
    }

    /// The value of an enumerator.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        let found = self.types.iter().find_map(|&at| {
            let this = self.read_type(at as usize)?;
            (this.kind == kind::ENUM && this.members > 0 && self.string(this.name) == Some(enumeration))
                .then_some(this)
        })?;
        (0..found.members).find_map(|index| {
            let at = found.at + TYPE_BYTES + index * ENUMERATOR_BYTES;
            (self.string(word(&self.data, at)?) == Some(name)).then(|| word(&self.data, at + 4))?
        })
    }

    /// Whether there is a function of this name.
    pub fn has_function(&self, name: &str) -> bool {
        self.types.iter().any(|&at| {
            self.read_type(at as usize)
                .is_some_and(|this| this.kind == kind::FUNC && self.string(this.name) == Some(name))
        })
    }

    /// The struct of this name with members (forward declarations have none).
    fn structure(&self, name: &str) -> Option<Type> {
        self.types
            .iter()
            .filter_map(|&at| self.read_type(at as usize))
            .find(|this| {
                this.kind == kind::STRUCT && this.members > 0 && self.string(this.name) == Some(name)
            })
    }

    /// Offset in bits and type of a member, also of one inside anonymous members.
    fn member(&self, parent: Type, name: &str) -> Option<(u32, u32)> {
        for index in 0..parent.members {
            let at = parent.at + TYPE_BYTES + index * MEMBER_BYTES;
            let (member_name, target) = (word(&self.data, at)?, word(&self.data, at + 4)?);
            let raw = word(&self.data, at + 8)?;
            let (offset, bitfield) = if parent.bitfields {
                (raw & 0x00ff_ffff, raw >> 24)
            } else {
                (raw, 0)
            };
            let own_name = self.string(member_name)?;
            if own_name == name {
                return (bitfield == 0).then_some((offset, target));
            }
            if own_name.is_empty() {
                let inner = self
                    .resolve(target)
                    .filter(|inner| matches!(inner.kind, kind::STRUCT | kind::UNION));
                if let Some((inside, target)) = inner.and_then(|inner| self.member(inner, name)) {
                    return Some((offset + inside, target));
                }
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, id: u32) -> Option<Type> {
        let mut id = id;
        for _ in 0..16 {
            let index = (id as usize).checked_sub(1)?;
            let this = self.read_type(*self.types.get(index)? as usize)?;
            match this.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = this.target;
                }
                _ => return Some(this),
            }
        }
        None
    }

    fn read_type(&self, at: usize) -> Option<Type> {
        let info = word(&self.data, at + 4)?;
        Some(Type {
            at,
            name: word(&self.data, at)?,
            kind: (info >> 24) & 0x1f,
            members: (info & 0xffff) as usize,
            bitfields: info >> 31 == 1,
            target: word(&self.data, at + 8)?,
        })
    }

    fn string(&self, offset: u32) -> Option<&str> {
        let rest = self.data.get(self.strings + offset as usize..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }
}

/// Bytes that follow a type's fixed part; `None` for a kind that is not known.
fn extra_bytes(this: Type) -> Option<usize> {
    Some(match this.kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => this.members * 12,
        kind::ENUM | kind::FUNC_PROTO => this.members * 8,
        0 | 20.. => return None,
        _ => 0,
    })
}

fn half(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int a; struct { union { int b; int c; }; inner_t d; }; int e:3; }`, `struct inner { int x, y; }`.
    fn sample() -> Vec<u8> {
        let mut strings = vec![0u8];
        let mut name = |text: &str| {
            let at = strings.len() as u32;
            strings.extend(text.bytes().chain([0]));
            at
        };
        let info = |kind: u32, members: u32, bitfields: u32| (bitfields << 31) | (kind << 24) | members;
        let words: Vec<u32> = [
            vec![name("int"), info(kind::INT, 0, 0), 4, 32],
            vec![
                name("inner"),
                info(kind::STRUCT, 2, 0),
                8,
                name("x"),
                1,
                0,
                name("y"),
                1,
                32,
            ],
            vec![name("inner_t"), info(kind::TYPEDEF, 0, 0), 2],
            vec![0, info(kind::UNION, 2, 0), 4, name("b"), 1, 0, name("c"), 1, 0],
            vec![0, info(kind::STRUCT, 2, 0), 12, 0, 4, 0, name("d"), 3, 32],
            vec![
                name("outer"),
                info(kind::STRUCT, 3, 1),
                20,
                name("a"),
                1,
                0,
                0,
                5,
                32,
                name("e"),
                1,
                (3 << 24) | 128,
            ],
            vec![
                name("colours"),
                info(kind::ENUM, 2, 0),
                4,
                name("RED"),
                4,
                name("BLUE"),
                7,
            ],
            vec![name("paint"), info(kind::FUNC, 0, 0), 1],
        ]
        .concat();
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut data = vec![0x9f, 0xeb, 1, 0];
        let sections = [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            strings.len() as u32,
        ];
        data.extend(sections.iter().flat_map(|word| word.to_le_bytes()));
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn offsets_pass_through_anonymous_members_and_typedefs() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(btf.offset("outer", "a"), Some(0));
        assert_eq!(btf.offset("outer", "c"), Some(4));
        assert_eq!(btf.offset("outer", "d.y"), Some(12));
        assert_eq!(btf.offset("inner", "y"), Some(4));
        assert_eq!((btf.size("outer"), btf.size("nobody")), (Some(20), None));
    }

    #[test]
    fn what_does_not_exist_or_is_a_bitfield_has_no_offset() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(btf.offset("outer", "e"), None);
        assert_eq!(btf.offset("outer", "z"), None);
        assert_eq!(btf.offset("nobody", "a"), None);
        assert_eq!(btf.offset("outer", "a.x"), None);
    }

    #[test]
    fn enumerators_and_functions_are_found_by_name() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(btf.enumerator("colours", "BLUE"), Some(7));
        assert_eq!(btf.enumerator("colours", "GREEN"), None);
        assert_eq!(btf.enumerator("outer", "RED"), None);
        assert!(btf.has_function("paint"));
        assert!(!btf.has_function("outer"));
    }

    #[test]
    fn every_cut_of_the_data_is_refused_or_harmless() {
        let data = sample();
        for end in 0..data.len() {
            if let Ok(btf) = Btf::parse(data[..end].to_vec()) {
                let _ = btf.offset("outer", "d.y");
            }
        }
    }

    #[test]
    fn the_running_kernel_has_every_field() {
        let path = Path::new(KERNEL_BTF);
        if !path.exists() {
            return;
        }
        let btf = Btf::read(path).unwrap();
        for field in agent_common::offsets::FIELDS {
            assert!(
                btf.offset(field.structure, field.path).is_some(),
                "{}.{}",
                field.structure,
                field.path
            );
        }
    }
}
