//! Settings: flag, environment, file, default, in this order of precedence.

mod draft;
mod environment;
mod error;
mod file;
mod nearest;
mod parse;
mod select;
mod settings;
mod table;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use draft::Defaults;
pub use environment::Environment;
pub use error::Error;
pub use parse::pairs;
pub use select::Selector;
pub use settings::*;
pub use table::{CONFIG_VARIABLE, SETTINGS};

use draft::Draft;

/// The values that flags give: the setting's key, and one value (a flag that is repeated comes repeatedly).
pub type Flags = Vec<(&'static str, String)>;

/// Puts the layers together; returns the settings and the warnings for the log.
///
/// # Errors
///
/// Fails on the first name or value that cannot be understood.
pub fn resolve(
    flags: &Flags,
    environment: &Environment,
    file: Option<&Path>,
    defaults: Defaults,
) -> Result<(Settings, Vec<String>), Error> {
    let mut draft = Draft::default();
    if let Some(path) = file {
        file::apply(&mut draft, path)?;
    }
    let warnings = environment::apply(&mut draft, environment)?;
    draft.begin_layer();
    for (key, value) in flags {
        let Some(setting) = table::by_key(key) else {
            continue;
        };
        (setting.apply)(&mut draft, value).map_err(|invalid| Error::Value {
            origin: format!("--{}", setting.flag.unwrap_or(key)),
            value: value.clone(),
            invalid,
        })?;
    }
    Ok((draft.finish(defaults), warnings))
}
