//! The configuration file's layer.

use std::{fmt, fs, path::Path};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{
    Error,
    draft::Draft,
    nearest::nearest,
    table::{SETTINGS, Setting, by_key},
};

/// Puts the file on top of the layers so far.
///
/// # Errors
///
/// Fails when the file cannot be read, is not YAML, or has a key or a value that does not fit, with its line and
/// column.
pub fn apply(draft: &mut Draft, path: &Path) -> Result<(), Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    apply_text(draft, &text).map_err(|what| Error::File {
        path: path.to_owned(),
        what,
    })
}

fn apply_text(draft: &mut Draft, text: &str) -> Result<(), serde_norway::Error> {
    draft.begin_layer();
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim().starts_with('#'))
    {
        return Ok(());
    }
    let mut documents = serde_norway::Deserializer::from_str(text);
    let Some(document) = documents.next() else {
        return Ok(());
    };
    Section {
        draft,
        prefix: String::new(),
    }
    .deserialize(document)?;
    match documents.next() {
        None => Ok(()),
        Some(_) => Err(serde_norway::Error::custom(
            "there is a second document; keep to one",
        )),
    }
}

/// A mapping of the file. The visit applies what it sees at once, so that an error has the place it came from.
struct Section<'a> {
    draft: &'a mut Draft,
    /// Its path and a dot, or nothing at the top.
    prefix: String,
}

impl<'de> DeserializeSeed<'de> for Section<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Section<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a mapping of settings")
    }

    /// A section whose keys are all commented out.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(entry) = map.next_key_seed(Key { prefix: &self.prefix })? {
            match entry {
                Entry::Setting(setting) => map.next_value_seed(Values {
                    draft: self.draft,
                    setting,
                })?,
                Entry::Section(prefix) => map.next_value_seed(Section {
                    draft: self.draft,
                    prefix,
                })?,
            }
        }
        Ok(())
    }
}

/// What a key stands for.
enum Entry {
    Setting(&'static Setting),
    Section(String),
}

struct Key<'a> {
    prefix: &'a str,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Entry;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a setting")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Entry, E> {
        let key = format!("{}{name}", self.prefix);
        if let Some(setting) = by_key(&key) {
            return Ok(Entry::Setting(setting));
        }
        let section = format!("{key}.");
        if SETTINGS.iter().any(|setting| setting.key.starts_with(&section)) {
            return Ok(Entry::Section(section));
        }
        let meant = nearest(&key, SETTINGS.iter().map(|setting| setting.key)).unwrap_or_default();
        Err(E::custom(format!(
            "no setting is called {key}; did you mean {meant}?"
        )))
    }
}

/// The value of a setting, or its values.
struct Values<'a> {
    draft: &'a mut Draft,
    setting: &'static Setting,
}

impl Values<'_> {
    fn apply<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        // The error gets the key's path by itself, as well as line and column.
        (self.setting.apply)(self.draft, text).map_err(|invalid| {
            E::custom(format!(
                "{text:?} is not {}; {}",
                invalid.expected, invalid.remedy
            ))
        })
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Scalars come as YAML reads them and are turned back into text, so that a value means the same here as on the
/// command line.
impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.setting.list {
            "a value or a list of values"
        } else {
            "one value"
        };
        write!(formatter, "{kind} for {}", self.setting.key)
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        self.apply(text)
    }

    fn visit_bool<E: serde::de::Error>(mut self, value: bool) -> Result<(), E> {
        self.apply(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(mut self, value: u64) -> Result<(), E> {
        self.apply(&value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(mut self, value: i64) -> Result<(), E> {
        self.apply(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(mut self, value: f64) -> Result<(), E> {
        self.apply(&value.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        if !self.setting.list {
            return Err(A::Error::custom("takes one value, not a list"));
        }
        let mut is_empty = true;
        while let Some(()) = sequence.next_element_seed(Values {
            draft: &mut *self.draft,
            setting: self.setting,
        })? {
            is_empty = false;
        }
        match self.setting.empty {
            Some(text) if is_empty => self.apply(text),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Selector, Tier};

    fn read(text: &str) -> Result<Draft, String> {
        let mut draft = Draft::default();
        apply_text(&mut draft, text)
            .map(|()| draft)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn sections_lists_and_scalars() {
        let draft = read(
            "# what is watched\nselect:\n  pid: [1, 2]\n  port: 8000-8010\n  exe:\n    - python3*\ntier: tracepoint\n\
             capture:\n  ring_buffer_bytes: 16MiB\n  max_connections: 10\nlimits:\nduration: 5s\n",
        )
        .unwrap();
        let python = glob::Pattern::new("python3*").unwrap();
        assert_eq!(
            draft.settings.select,
            [
                Selector::Pid(1),
                Selector::Pid(2),
                Selector::Ports(8000..=8010),
                Selector::Executable(python)
            ]
        );
        assert_eq!(draft.settings.tier, Tier::Tracepoint);
        assert_eq!(draft.settings.capture.ring_buffer_bytes, 16 << 20);
        assert_eq!(draft.settings.capture.max_connections, 10);
    }

    #[test]
    fn a_list_of_kinds_replaces_the_default_also_if_it_is_empty() {
        for (text, server, database) in [
            ("sdk:\n  leave_out: []\n", false, false),
            ("sdk:\n  leave_out: none\n", false, false),
            ("sdk:\n  leave_out: [db]\n", false, true),
            ("sdk:\n", true, true),
        ] {
            let leave_out = read(text).unwrap().settings.leave_out;
            assert_eq!(
                (leave_out.server, leave_out.database),
                (server, database),
                "{text}"
            );
        }
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        assert!(read("").is_ok());
        assert!(read("# nothing\n").is_ok());
    }

    #[test]
    fn errors_say_what_and_where() {
        for (text, expected) in [
            (
                "tier: auto\notlp:\n  endpiont: http://x\n",
                "otlp: no setting is called otlp.endpiont; did you mean otlp.endpoint? at line 3 column 3",
            ),
            (
                "tier: auto\nteir: auto\n",
                "no setting is called teir; did you mean tier? at line 2 column 1",
            ),
            (
                "tier: fentri\n",
                "tier: \"fentri\" is not one of auto, fentry, kprobe, tracepoint; did you mean fentry? at line 1 column 7",
            ),
            (
                "select:\n  pid: [1, x]\n",
                "select.pid[1]: \"x\" is not a process id; `sidelight ps` lists the processes that could be watched \
                 at line 2 column 12",
            ),
            (
                "tier: [auto]\n",
                "tier: takes one value, not a list at line 1 column 7",
            ),
            ("- a\n", "invalid type: sequence, expected a mapping of settings"),
            ("tier: 'auto\n", "at line 1 column 7"),
            (
                "tier: auto\n---\ntier: auto\n",
                "there is a second document; keep to one",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text:?} gives {error:?}");
        }
    }
}
