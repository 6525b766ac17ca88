//! What was given for each setting, and where: layer upon layer.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use super::{
    draft::Draft,
    parse::Invalid,
    table::{self, Setting},
};

/// What begins the keys that select; together they are one thought.
const SELECTION: &str = "select.";
const SIGNALS: [&str; 2] = ["traces", "metrics"];

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, by this long option.
    Flag(&'static str),
    /// By an environment variable.
    Variable(String),
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(formatter, "flag --{name}"),
            Self::Variable(name) => write!(formatter, "variable {name}"),
            Self::File { path, line } => write!(formatter, "file {}:{line}", path.display()),
        }
    }
}

/// The values of one setting, as they were written, and where the first of them was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where.
    pub origin: Origin,
    /// One, or as many as a list has.
    pub values: Vec<String>,
}

/// One entry of a list of mappings: what was given for each of its keys.
pub type Entry = BTreeMap<&'static str, Given>;

/// All that was given.
#[derive(Debug, Default)]
pub struct Layers {
    settings: BTreeMap<&'static str, Layered<Given>>,
    entries: BTreeMap<&'static str, Layered<Vec<Entry>>>,
    layer: u32,
    layer_selects: bool,
}

#[derive(Debug)]
struct Layered<T> {
    layer: u32,
    value: T,
}

impl Layers {
    /// Starts the next layer, which goes before those so far.
    pub fn begin(&mut self) {
        self.layer += 1;
        self.layer_selects = false;
    }

    /// Gives a value for a setting. Within a layer the values of a list add up; otherwise the last one counts.
    ///
    /// # Errors
    ///
    /// Fails when the value does not fit.
    pub fn give(&mut self, setting: &'static Setting, text: &str, origin: Origin) -> Result<(), Invalid> {
        (setting.apply)(&mut Draft::default(), text)?;
        if setting.key.starts_with(SELECTION) && !(setting.key == table::ALL && text == "false") {
            self.select_anew();
        }
        self.forget_what_signals_say(setting.key);
        let layer = self.layer;
        match self.settings.get_mut(setting.key) {
            Some(known) if known.layer == layer && setting.list => known.value.values.push(text.to_owned()),
            _ => {
                let value = Given {
                    origin,
                    values: vec![text.to_owned()],
                };
                self.settings.insert(setting.key, Layered { layer, value });
            }
        }
        Ok(())
    }

    /// Gives the entries of a list of mappings; those of a layer add up.
    pub fn give_entries(&mut self, key: &'static str, given: Vec<Entry>) {
        if key.starts_with(SELECTION) && !given.is_empty() {
            self.select_anew();
        }
        let layer = self.layer;
        match self.entries.get_mut(key) {
            Some(known) if known.layer == layer => known.value.extend(given),
            _ => {
                self.entries.insert(key, Layered { layer, value: given });
            }
        }
    }

    /// What was given for a setting.
    pub fn given(&self, key: &str) -> Option<&Given> {
        self.settings.get(key).map(|known| &known.value)
    }

    /// The entries that were given for a list of mappings.
    pub fn entries(&self, key: &str) -> &[Entry] {
        self.entries.get(key).map_or(&[], |known| &known.value)
    }

    /// Whether anything is selected.
    pub fn selects(&self) -> bool {
        self.settings.keys().any(|key| key.starts_with(SELECTION))
            || self.entries.keys().any(|key| key.starts_with(SELECTION))
    }

    /// The first selector of a layer replaces those of the layers below: `--pid 7` must not also watch what some file
    /// selects.
    fn select_anew(&mut self) {
        if !self.layer_selects {
            self.settings.retain(|key, _| !key.starts_with(SELECTION));
            self.entries.retain(|key, _| !key.starts_with(SELECTION));
            self.layer_selects = true;
        }
    }

    /// What holds for all signals replaces what layers below say of one.
    fn forget_what_signals_say(&mut self, key: &str) {
        let Some(name) = key.strip_prefix("otlp.") else {
            return;
        };
        for signal in SIGNALS {
            let of_signal = format!("otlp.{signal}.{name}");
            let layer = self.layer;
            self.settings
                .retain(|key, known| *key != of_signal || known.layer == layer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(layers: &mut Layers, key: &str, text: &str) {
        let setting = table::by_key(key).unwrap();
        layers
            .give(setting, text, Origin::Variable("X".to_owned()))
            .unwrap();
    }

    fn values<'a>(layers: &'a Layers, key: &str) -> &'a [String] {
        layers.given(key).map_or(&[], |given| &given.values)
    }

    #[test]
    fn lists_add_up_within_a_layer_and_replace_the_layer_below() {
        let mut layers = Layers::default();
        give(&mut layers, "exclude.exe", "a");
        give(&mut layers, "exclude.exe", "b");
        give(&mut layers, "tier", "kprobe");
        assert_eq!(values(&layers, "exclude.exe"), ["a", "b"]);
        layers.begin();
        give(&mut layers, "exclude.exe", "c");
        assert_eq!(values(&layers, "exclude.exe"), ["c"]);
        assert_eq!(values(&layers, "tier"), ["kprobe"]);
    }

    #[test]
    fn a_selection_is_one_thought() {
        let mut layers = Layers::default();
        give(&mut layers, "select.exe", "a");
        layers.give_entries("select.match", vec![Entry::new()]);
        layers.begin();
        give(&mut layers, "select.all", "false");
        assert_eq!(values(&layers, "select.exe"), ["a"]);
        give(&mut layers, "select.port", "80");
        give(&mut layers, "select.pid", "7");
        assert!(values(&layers, "select.exe").is_empty() && layers.entries("select.match").is_empty());
        assert_eq!(values(&layers, "select.port"), ["80"]);
    }

    #[test]
    fn what_is_said_of_a_signal_gives_way_to_a_later_layer_only() {
        let mut layers = Layers::default();
        give(&mut layers, "otlp.traces.endpoint", "http://traces");
        give(&mut layers, "otlp.endpoint", "http://all");
        assert_eq!(values(&layers, "otlp.traces.endpoint"), ["http://traces"]);
        layers.begin();
        give(&mut layers, "otlp.endpoint", "http://other");
        assert!(values(&layers, "otlp.traces.endpoint").is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut layers = Layers::default();
        let tier = table::by_key("tier").unwrap();
        let refused = layers.give(tier, "fast", Origin::Flag("tier"));
        assert!(refused.is_err() && layers.given("tier").is_none());
    }
}
