//! The contract between sidelight's kernel side and its user side: events, map values, and the names of both.
//!
//! Everything here is `repr(C)`, without implicit padding, without `bool`, `char` or enums, so that any bytes the
//! kernel writes are a valid value. `tests` pin sizes and offsets.
#![no_std]

pub mod event;
pub mod iterator;
pub mod map;
pub mod offsets;
pub mod unit;

pub use event::{
    CloseEvent, DataEvent, Header, OpenEvent, ProcessEvent, UNIX_PATH_BYTES, close_how, flag, kind, role,
};
pub use map::{Call, Connection, Counter, Verdict, WatchMode};
pub use unit::{Runtime, UnitChain, UnitKey, UnitRef};

#[cfg(feature = "user")]
mod user {
    //! SAFETY (all of them): `repr(C)`, no padding, no niche: every bit pattern is a value.
    use crate::{map, unit};

    // SAFETY: see above.
    unsafe impl aya::Pod for map::Connection {}
    // SAFETY: see above.
    unsafe impl aya::Pod for map::Verdict {}
    // SAFETY: see above.
    unsafe impl aya::Pod for map::Call {}
    // SAFETY: see above.
    unsafe impl aya::Pod for unit::UnitKey {}
    // SAFETY: see above.
    unsafe impl aya::Pod for unit::UnitChain {}
    // SAFETY: see above.
    unsafe impl aya::Pod for unit::Runtime {}
}
