//! From bytes to exchanges, without I/O.
//!
//! The way of the data through this crate:
//!
//! ```text
//! Chunk ──▶ stream (order, gaps) ──▶ detect ──▶ Session of one protocol ──▶ Exchange
//! ```
//!
//! [`Connection`] is the whole way for one connection of a watched process: feed it [`Chunk`]s with
//! [`Connection::push`], say when it closed, and both hand out the finished [`Exchange`]s. Nothing here reads a clock, a
//! socket or a file: every moment is part of the input, so a recorded run replays exactly.
//!
//! Beside exchanges it says which calls the program's own SDK exports, as far as its exports show ([`otlp`]).
//!
//! A new protocol is one new file (or folder) here and one row in [`detect::PROTOCOLS`].
#![forbid(unsafe_code)]

pub mod chunk;
pub mod connection;
pub mod detect;
pub mod exchange;
pub mod http;
pub mod http2;
pub mod limits;
pub mod otlp;
pub mod postgres;
pub mod session;
pub mod sql;
pub mod stream;

pub use chunk::{Chunk, Direction, Line, Moment, Role, Step, Unit};
pub use connection::Connection;
pub use exchange::{Detail, Ending, Exchange, Http, Sql, SqlError};
pub use limits::Limits;
pub use otlp::Exported;
