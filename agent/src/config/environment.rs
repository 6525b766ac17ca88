//! The environment's layer of the agent's own variables.

use std::collections::BTreeMap;

use super::{
    Error,
    layers::{Layers, Origin},
    nearest::nearest,
    table::{CONFIG_VARIABLE, settings},
};

const PREFIX: &str = "SIDELIGHT_";
/// Starts of variables that build and test sidelight, which an agent started by these tools inherits.
const OF_THE_TOOLS: [&str; 2] = ["SIDELIGHT_TEST_", "SIDELIGHT_EBPF_OBJECT"];

/// Variables by name.
pub type Environment = BTreeMap<String, String>;

/// Puts the agent's own variables on top of the layers so far.
///
/// # Errors
///
/// Fails on a variable that starts like the agent's own and is none, or has a value that does not fit.
pub fn apply(layers: &mut Layers, environment: &Environment) -> Result<(), Error> {
    for name in environment.keys().filter(|name| name.starts_with(PREFIX)) {
        refuse_unknown(name)?;
    }
    for setting in settings() {
        let Some(text) = environment.get(setting.variable).filter(|text| !text.is_empty()) else {
            continue;
        };
        let values = if setting.list {
            text.split(',').collect()
        } else {
            vec![text.as_str()]
        };
        for value in values {
            let origin = Origin::Variable(setting.variable.to_owned());
            layers
                .give(setting, value.trim(), origin)
                .map_err(|invalid| Error::Value {
                    origin: setting.variable.to_owned(),
                    value: value.to_owned(),
                    invalid,
                })?;
        }
    }
    Ok(())
}

fn refuse_unknown(name: &str) -> Result<(), Error> {
    let valid = || {
        settings()
            .map(|setting| setting.variable)
            .chain([CONFIG_VARIABLE])
    };
    let is_a_tools = OF_THE_TOOLS.iter().any(|start| name.starts_with(start));
    if is_a_tools || valid().any(|variable| variable == name) {
        return Ok(());
    }
    Err(Error::UnknownVariable {
        name: name.to_owned(),
        nearest: nearest(name, valid()).unwrap_or(PREFIX),
    })
}
