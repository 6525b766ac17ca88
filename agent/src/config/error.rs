//! What can be wrong with a setting.

use std::{io, path::PathBuf};

use super::{parse::Invalid, yaml::Malformed};

/// A setting that cannot be understood; always bad usage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option, an argument or a command that does not exist or is missing.
    #[error("{what}; `sidelight --help` shows what there is")]
    CommandLine {
        /// What is wrong, with the nearest valid name.
        what: String,
    },
    /// A value that does not fit its setting.
    #[error("{origin}: {value:?} is not {}; {}", invalid.expected, invalid.remedy)]
    Value {
        /// Where it was set: the flag, the variable, or file, line and column.
        origin: String,
        /// What was given.
        value: String,
        /// What the setting takes.
        invalid: Invalid,
    },
    /// A variable that starts like the agent's own but is none.
    #[error("{name}: no such setting; did you mean {nearest}?")]
    UnknownVariable {
        /// The variable's name.
        name: String,
        /// The valid name that looks most like it.
        nearest: &'static str,
    },
    /// The configuration file cannot be read.
    #[error("{}: the configuration file is not readable: {source}; give --config a readable YAML file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The configuration file is not YAML, or has an unknown key or a bad value.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        what: Malformed,
    },
}
