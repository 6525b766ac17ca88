//! OBJECTS: what Python's objects hold, read from memory.

use std::collections::HashMap;

use super::layout::{Instance, Keys, Layout};
use crate::routes::memory::Memory;

/// `ob_type` in `PyObject`.
const TYPE: u64 = 8;
/// `ob_size` in `PyVarObject`.
const SIZE: u64 = 16;
/// `tp_name`, `tp_basicsize`, `tp_flags`, `tp_base`, `tp_dict` and `tp_dictoffset` in `PyTypeObject`
/// (Include/cpython/object.h, 3.9 to 3.14).
const TYPE_NAME: u64 = 24;
const TYPE_BASIC_SIZE: u64 = 32;
const TYPE_FLAGS: u64 = 168;
const TYPE_BASE: u64 = 256;
const TYPE_DICTIONARY: u64 = 264;
const TYPE_DICTIONARY_OFFSET: u64 = 288;
/// `Py_TPFLAGS_INLINE_VALUES`, since 3.13.
const INLINE_VALUES: u64 = 1 << 2;
/// `Py_TPFLAGS_MANAGED_DICT`, since 3.11.
const MANAGED_DICTIONARY: u64 = 1 << 4;
/// `Py_TPFLAGS_{LIST,TUPLE,UNICODE,DICT}_SUBCLASS`.
const IS_LIST: u64 = 1 << 25;
const IS_TUPLE: u64 = 1 << 26;
const IS_TEXT: u64 = 1 << 28;
const IS_DICTIONARY: u64 = 1 << 29;
/// `ma_keys` and `ma_values` in `PyDictObject`.
const DICTIONARY_KEYS: u64 = 32;
const DICTIONARY_VALUES: u64 = 40;
/// `ob_item` in `PyListObject`.
const LIST_ITEMS: u64 = 24;
/// `mask` and `table` in `PySetObject`; an entry is a key and its hash.
const SET_MASK: u64 = 32;
const SET_TABLE: u64 = 40;
/// `length` and `state` in `PyASCIIObject`.
const TEXT_LENGTH: u64 = 16;
const TEXT_STATE: u64 = 32;
/// The first digit of `PyLongObject`; that of True is 1.
const DIGIT: u64 = 24;

/// Longest text that is read, in bytes.
const MAX_TEXT: u64 = 4096;
/// Most items of a container that are read.
const MAX_ITEMS: u64 = 1 << 17;
/// Most names in a class's chain of bases that are looked at.
const MAX_BASES: usize = 32;

/// The objects of an interpreter.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'m, M> {
    /// Where they are.
    pub memory: &'m M,
    /// How they are laid out.
    pub layout: Layout,
}

impl<M: Memory> Objects<'_, M> {
    /// The class of an object.
    pub fn class(&self, object: u64) -> Option<u64> {
        self.memory.pointer(object.checked_add(TYPE)?)
    }

    /// A class and its bases, each the first one of the other's, up to `object`.
    pub fn bases(&self, class: u64) -> Vec<u64> {
        let mut bases = vec![class];
        let mut last = class;
        while bases.len() < MAX_BASES
            && let Some(base) = self.memory.pointer(last.wrapping_add(TYPE_BASE))
        {
            bases.push(base);
            last = base;
        }
        bases
    }

    /// The name of a class that was written in Python, without its module.
    pub fn class_name(&self, class: u64) -> Option<String> {
        let at = self.memory.pointer(class.checked_add(TYPE_NAME)?)?;
        let mut name = Vec::new();
        for at in at..at.checked_add(64)? {
            match self.memory.byte(at)? {
                0 => return String::from_utf8(name).ok(),
                byte => name.push(byte),
            }
        }
        None
    }

    /// The module in which a class was written.
    pub fn class_module(&self, class: u64) -> Option<String> {
        let names = self.memory.pointer(class.checked_add(TYPE_DICTIONARY)?)?;
        let (_, module) = self
            .dictionary(names)?
            .into_iter()
            .find(|(key, _)| self.text(*key).as_deref() == Some("__module__"))?;
        self.text(module)
    }

    /// The attributes of an instance, those of its class not among them.
    pub fn attributes(&self, object: u64) -> Option<HashMap<String, u64>> {
        let items = self.attribute_items(object)?;
        Some(
            items
                .into_iter()
                .filter_map(|(key, value)| Some((self.text(key)?, value)))
                .collect(),
        )
    }

    fn attribute_items(&self, object: u64) -> Option<Vec<(u64, u64)>> {
        let class = self.class(object)?;
        let flags = self.flags(class)?;
        let is_managed = flags & MANAGED_DICTIONARY != 0;
        let before = |bytes: u64| self.memory.word(object.checked_sub(bytes)?);
        match self.layout.instance {
            Instance::Before if is_managed => match before(24)? {
                0 => self.shared_values(class, before(32)?),
                dictionary => self.dictionary(dictionary),
            },
            Instance::Tagged if is_managed => match before(24)? {
                tagged if tagged & 1 == 1 => self.shared_values(class, tagged.wrapping_add(1)),
                dictionary => self.dictionary(dictionary),
            },
            Instance::Inline if is_managed => match before(24)? {
                0 if flags & INLINE_VALUES != 0 => {
                    let size = self.memory.word(class.checked_add(TYPE_BASIC_SIZE)?)?;
                    self.shared_values(class, object.checked_add(size)?)
                }
                dictionary => self.dictionary(dictionary),
            },
            _ => {
                let offset = self.memory.word(class.checked_add(TYPE_DICTIONARY_OFFSET)?)?;
                // One that counts from the end is of classes whose instances differ in size.
                let offset = Some(offset).filter(|offset| (1..4096).contains(offset))?;
                self.dictionary(self.memory.pointer(object.checked_add(offset)?)?)
            }
        }
    }

    fn flags(&self, class: u64) -> Option<u64> {
        self.memory.word(class.checked_add(TYPE_FLAGS)?)
    }

    fn is(&self, object: u64, flag: u64) -> Option<()> {
        (self.flags(self.class(object)?)? & flag != 0).then_some(())
    }

    /// Keys and values of a dictionary, in its order.
    pub fn dictionary(&self, object: u64) -> Option<Vec<(u64, u64)>> {
        self.is(object, IS_DICTIONARY)?;
        let keys = self.memory.pointer(object.checked_add(DICTIONARY_KEYS)?)?;
        match self.memory.word(object.checked_add(DICTIONARY_VALUES)?)? {
            0 => self.entries(keys, None),
            values => self.entries(keys, Some(values)),
        }
    }

    fn shared_values(&self, class: u64, values: u64) -> Option<Vec<(u64, u64)>> {
        let keys = self.memory.pointer(class.checked_add(self.layout.shared_keys)?)?;
        self.entries(keys, Some(values))
    }

    /// The entries of a table; if it is shared, the values are elsewhere.
    fn entries(&self, keys: u64, values: Option<u64>) -> Option<Vec<(u64, u64)>> {
        let (start, count, with_hash) = self.table(keys)?;
        let count = Some(count).filter(|count| *count <= MAX_ITEMS)?;
        let size = if with_hash { 24 } else { 16 };
        let mut entries = Vec::new();
        for index in 0..count {
            let at = start.checked_add(index * size + if with_hash { 8 } else { 0 })?;
            let value = match values {
                Some(values) => values.checked_add(self.layout.values + 8 * index)?,
                None => at + 8,
            };
            let (key, value) = (self.memory.word(at)?, self.memory.word(value)?);
            // What was removed leaves a gap.
            if key != 0 && value != 0 {
                entries.push((key, value));
            }
        }
        Some(entries)
    }

    /// Where the entries are, how many there are, and whether each begins with its hash.
    fn table(&self, keys: u64) -> Option<(u64, u64, bool)> {
        match self.layout.keys {
            Keys::Words => {
                let size = self.memory.word(keys.checked_add(8)?)?;
                let index = match size {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    0x1_0000..=0xffff_ffff => 4,
                    _ => return None,
                };
                let count = self.memory.word(keys.checked_add(32)?)?;
                Some((keys.checked_add(40 + size * index)?, count, true))
            }
            Keys::Bytes => {
                let logarithm = self.memory.byte(keys.checked_add(9)?)?;
                let kind = self.memory.byte(keys.checked_add(10)?)?;
                let count = self.memory.word(keys.checked_add(24)?)?;
                let indices = 1_u64.checked_shl(logarithm.into())?;
                Some((keys.checked_add(32)?.checked_add(indices)?, count, kind == 0))
            }
        }
    }

    /// A text.
    pub fn text(&self, object: u64) -> Option<String> {
        self.is(object, IS_TEXT)?;
        let length = self.memory.word(object.checked_add(TEXT_LENGTH)?)?;
        let state = self.memory.half_word(object.checked_add(TEXT_STATE)?)?;
        // Two bits say whether it is interned, three how many bytes a character has.
        let (width, is_compact, is_ascii) = (state >> 2 & 7, state & 0x20 != 0, state & 0x40 != 0);
        match (is_compact, is_ascii, width) {
            (true, true, _) => {
                self.memory
                    .text(object.checked_add(self.layout.ascii_text)?, length, MAX_TEXT)
            }
            (true, false, 1 | 2 | 4) => self.wide_text(object, length, u64::from(width)),
            _ => None,
        }
    }

    fn wide_text(&self, object: u64, length: u64, width: u64) -> Option<String> {
        let size = length.checked_mul(width).filter(|size| *size <= MAX_TEXT)?;
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        self.memory
            .read(object.checked_add(self.layout.other_text)?, &mut bytes)?;
        let characters = bytes.chunks_exact(usize::try_from(width).ok()?).map(|bytes| {
            let number = bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u32::from(*byte));
            char::from_u32(number)
        });
        characters.collect()
    }

    /// The items of a list or a tuple.
    pub fn sequence(&self, object: u64) -> Option<Vec<u64>> {
        let count = self.memory.word(object.checked_add(SIZE)?)?;
        let count = Some(count).filter(|count| *count <= MAX_ITEMS)?;
        let items = if self.is(object, IS_LIST).is_some() {
            if count == 0 {
                return Some(Vec::new());
            }
            self.memory.pointer(object.checked_add(LIST_ITEMS)?)?
        } else {
            self.is(object, IS_TUPLE)?;
            object.checked_add(self.layout.tuple_items)?
        };
        (0..count)
            .map(|index| self.memory.pointer(items.checked_add(8 * index)?))
            .collect()
    }

    /// The texts in a set, a list or a tuple.
    pub fn texts(&self, object: u64) -> Option<Vec<String>> {
        if let Some(items) = self.sequence(object) {
            return items.into_iter().map(|item| self.text(item)).collect();
        }
        let class = self.class_name(self.class(object)?)?;
        if class != "set" && class != "frozenset" {
            return None;
        }
        let mask = self.memory.word(object.checked_add(SET_MASK)?)?;
        let mask = Some(mask).filter(|mask| *mask < MAX_ITEMS)?;
        let table = self.memory.pointer(object.checked_add(SET_TABLE)?)?;
        let mut texts = Vec::new();
        for index in 0..=mask {
            let key = self.memory.word(table.checked_add(16 * index)?)?;
            // What was removed leaves an object that is no text.
            texts.extend(Some(key).filter(|key| *key != 0).and_then(|key| self.text(key)));
        }
        texts.sort_unstable();
        Some(texts)
    }

    /// Whether an object is `True`; `None` if it is no truth value.
    pub fn truth(&self, object: u64) -> Option<bool> {
        if self.class_name(self.class(object)?)? != "bool" {
            return None;
        }
        Some(self.memory.half_word(object.checked_add(DIGIT)?)? == 1)
    }

    /// The texts in it as [`Self::texts`] has them; nothing inside if it is `None`.
    #[expect(
        clippy::option_option,
        reason = "what cannot be read is not what is not there"
    )]
    pub fn texts_or_none(&self, object: u64) -> Option<Option<Vec<String>>> {
        if self.class_name(self.class(object)?)? == "NoneType" {
            return Some(None);
        }
        self.texts(object).map(Some)
    }
}
