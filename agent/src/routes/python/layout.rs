//! Where `CPython` keeps what its objects hold, by version: release builds with the GIL, 64 bits.
//!
//! Offsets are those that a C compiler computes from the headers of 3.9.18, 3.10.13, 3.11.7, 3.12.1, 3.13.0 and 3.14.8; what is
//! the same in all of them stands in [`super::objects`].

/// What differs between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `PyInterpreterState.gc` (`Include/internal/pycore_interp.h`, since 3.14 `pycore_interp_structs.h`).
    pub collector: u64,
    /// `permanent_generation` in `struct _gc_runtime_state` (`pycore_gc.h`): where `gc.freeze` puts objects.
    pub permanent: u64,
    /// How a dictionary's table begins.
    pub keys: Keys,
    /// Where an instance has its attributes.
    pub instance: Instance,
    /// `ht_cached_keys` in `PyHeapTypeObject` (Include/cpython/object.h): the names that instances share.
    pub shared_keys: u64,
    /// From a `PyDictValues` to its first value (`pycore_dict.h`).
    pub values: u64,
    /// Size of `PyASCIIObject` (`Include/cpython/unicodeobject.h`); its text follows.
    pub ascii_text: u64,
    /// Size of `PyCompactUnicodeObject`; its text follows.
    pub other_text: u64,
    /// `ob_item` in `PyTupleObject` (Include/cpython/tupleobject.h).
    pub tuple_items: u64,
}

/// How a dictionary's table begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// `dk_size`, `dk_lookup`, `dk_usable`, `dk_nentries` in words; entries with their hash (`Objects/dict-common.h`).
    Words,
    /// Logarithms and the kind in bytes; entries with their hash or, if all keys are texts, without.
    Bytes,
}

/// Where an instance of a class written in Python has its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instance {
    /// In a dictionary at `tp_dictoffset`.
    Dictionary,
    /// In a dictionary 24 bytes before it, or in values 32 bytes before it (3.11).
    Before,
    /// 24 bytes before it: a dictionary, or values if the lowest bit is set (3.12).
    Tagged,
    /// In a dictionary 24 bytes before it, or in values behind it (since 3.13).
    Inline,
}

impl Layout {
    /// That of version 3.`minor`, if it is known.
    pub fn of(minor: u32) -> Option<Self> {
        let old = Self {
            collector: 616,
            permanent: 104,
            keys: Keys::Words,
            instance: Instance::Dictionary,
            shared_keys: 864,
            values: 0,
            ascii_text: 48,
            other_text: 72,
            tuple_items: 24,
        };
        let since_3_11 = Self {
            collector: 648,
            keys: Keys::Bytes,
            instance: Instance::Before,
            shared_keys: 872,
            ..old
        };
        let since_3_12 = Self {
            collector: 112,
            instance: Instance::Tagged,
            shared_keys: 880,
            ascii_text: 40,
            other_text: 56,
            ..since_3_11
        };
        let since_3_13 = Self {
            collector: 7400,
            instance: Instance::Inline,
            values: 8,
            ..since_3_12
        };
        Some(match minor {
            9 | 10 => old,
            11 => since_3_11,
            12 => since_3_12,
            13 => since_3_13,
            14 => Self {
                collector: 7408,
                permanent: 96,
                tuple_items: 32,
                ..since_3_13
            },
            _ => return None,
        })
    }
}
