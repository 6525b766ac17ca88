//! PostgreSQL from the outside: recorded streams, every split of them, losses, and literals that must not show.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its own input is to fail"
)]

mod captures;
mod connections;
mod literals;
mod losses;
mod play;
mod splits;
