//! HTTP from the outside: recorded streams, every split of them, losses, and hostile input.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shows where")]

mod bounds;
mod calls;
mod captures;
mod losses;
mod splits;
