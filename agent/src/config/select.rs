//! What is watched.

use std::{mem::discriminant, ops::RangeInclusive};

use super::Pattern;

/// One way to name processes.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// The process with this id (host view) and its children.
    Pid(u32),
    /// Processes that listen on a TCP port of the range.
    Ports(RangeInclusive<u16>),
    /// Processes whose executable matches: its path if the pattern has a `/`, else its file name.
    Executable(Pattern),
    /// Processes of this `service.name`.
    Service(Pattern),
    /// Processes in a container whose id or one of whose names matches.
    Container(Pattern),
    /// Processes whose command line matches, its arguments put together with blanks.
    CommandLine(Pattern),
    /// Processes that fulfil several of these at once.
    Rule(Rule),
    /// All processes but the agent itself.
    All,
}

impl Selector {
    /// True if it can name processes that do not run yet and have no watched parent.
    pub fn selects_new(&self) -> bool {
        match self {
            Self::Pid(_) => false,
            Self::Rule(rule) => rule
                .groups()
                .iter()
                .all(|group| group.iter().any(Self::selects_new)),
            _ => true,
        }
    }
}

/// Processes for which one selector of every kind that is given matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule(Vec<Vec<Selector>>);

impl Rule {
    /// Asks for one more: of those of the same kind one has to match.
    pub fn ask(&mut self, selector: Selector) {
        let kind = discriminant(&selector);
        let same =
            |group: &&mut Vec<Selector>| group.first().is_some_and(|first| discriminant(first) == kind);
        match self.0.iter_mut().find(same) {
            Some(group) => group.push(selector),
            None => self.0.push(vec![selector]),
        }
    }

    /// What has to match: one of each group. Without any, nothing matches.
    pub fn groups(&self) -> &[Vec<Selector>] {
        &self.0
    }
}
