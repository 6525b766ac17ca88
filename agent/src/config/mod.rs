//! Settings: flag, environment, file, default, in this order of precedence.
//!
//! What is given is kept as text, layer upon layer, with its origin ([`layers`]); the settings are made of it once at the
//! end ([`draft`]). So whatever shows or checks settings knows the same table.

mod choices;
mod draft;
mod entries;
mod environment;
mod error;
mod file;
mod foreign;
mod kinds;
mod layers;
mod nearest;
mod parse;
mod pattern;
mod print;
mod schema;
mod select;
mod settings;
mod standard;
mod table;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use draft::Defaults;
pub use environment::Environment;
pub use error::Error;
pub use foreign::config_variable;
pub use parse::pairs;
pub use pattern::Pattern;
pub use schema::schema;
pub use select::{Rule, Selector};
pub use settings::*;
pub use table::{CONFIG_VARIABLE, settings};

use draft::Draft;
use kinds::Kind;
use layers::{Layers, Origin};
use yaml::Node;

/// The values that flags give: the setting's key, and one value (a flag that is repeated comes repeatedly).
pub type Flags = Vec<(&'static str, String)>;

/// All settings, and what there is to say of them.
#[derive(Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// What the log should say.
    pub notices: Vec<Notice>,
    layers: Layers,
}

/// What the log should say of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// What became of a setting.
    Told(String),
    /// What is not as it was meant.
    Warning(String),
}

/// A configuration file that was read.
struct Document {
    path: PathBuf,
    node: Node,
    is_foreign: bool,
}

/// Puts the layers together.
///
/// # Errors
///
/// Fails on the first name or value that cannot be understood.
pub fn resolve(
    flags: &Flags,
    environment: &Environment,
    file: Option<&Path>,
    defaults: Defaults,
) -> Result<Resolved, Error> {
    let document = file.map(|path| Document::read(path, environment)).transpose()?;
    let mut layers = Layers::default();
    let foreign_file = document.as_ref().filter(|document| document.is_foreign);
    let foreign_file = foreign_file.map(|document| (document.path.as_path(), &document.node));
    let translated = foreign::apply(&mut layers, foreign_file, environment);
    layers.begin();
    if let Some(document) = document.as_ref().filter(|document| !document.is_foreign) {
        file::apply(&mut layers, &document.path, &document.node)?;
    }
    layers.begin();
    let warnings = standard::apply(&mut layers, environment);
    layers.begin();
    environment::apply(&mut layers, environment)?;
    layers.begin();
    apply_flags(&mut layers, flags)?;
    let mut notices = translated.finish(&mut layers);
    notices.extend(warnings.into_iter().map(Notice::Warning));
    Ok(Resolved {
        settings: Draft::of(&layers).finish(defaults),
        notices,
        layers,
    })
}

fn apply_flags(layers: &mut Layers, flags: &Flags) -> Result<(), Error> {
    for (key, value) in flags {
        let Some(setting) = table::by_key(key) else {
            continue;
        };
        let flag = setting.flag.unwrap_or(key);
        layers
            .give(setting, value, Origin::Flag(flag))
            .map_err(|invalid| Error::Value {
                origin: format!("--{flag}"),
                value: value.clone(),
                invalid,
            })?;
    }
    Ok(())
}

impl Resolved {
    /// The settings that are in effect, as a configuration file that says where each came from.
    pub fn print(&self) -> String {
        print::print(&self.layers, &self.settings)
    }
}

impl Document {
    fn read(path: &Path, environment: &Environment) -> Result<Self, Error> {
        let text = file::text(path)?;
        let node = file::parse(path, &text)?;
        let is_foreign = foreign::is_foreign(&node);
        let node = if is_foreign {
            file::parse(path, &foreign::expand(&text, environment))?
        } else {
            node
        };
        Ok(Self {
            path: path.to_owned(),
            node,
            is_foreign,
        })
    }
}
