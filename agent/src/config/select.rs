//! What is watched.

use std::ops::RangeInclusive;

/// One way to name processes.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// The process with this id (host view) and its children.
    Pid(u32),
    /// Processes that listen on a TCP port of the range.
    Ports(RangeInclusive<u16>),
    /// Processes whose executable matches: its path if the pattern has a `/`, else its file name.
    Executable(glob::Pattern),
    /// Processes of this `service.name`.
    Service(String),
    /// All processes but the agent itself.
    All,
}
