//! The rules of a `werkzeug.routing.Map`.

use super::objects::Objects;
use crate::routes::{
    memory::Memory,
    table::werkzeug::{Map, Rule},
};

/// Most rules of a map that are read.
const MAX_RULES: usize = 20_000;

/// The map at an address, if it has rules. `_rules_by_endpoint` has all of them since Werkzeug 0.2.
pub fn map(objects: &Objects<'_, impl Memory>, map: u64) -> Option<Map> {
    let attributes = objects.attributes(map)?;
    let by_endpoint = objects.dictionary(*attributes.get("_rules_by_endpoint")?)?;
    let lists = by_endpoint
        .into_iter()
        .filter_map(|(_, list)| objects.sequence(list));
    let rules: Vec<Rule> = lists
        .flatten()
        .take(MAX_RULES)
        .filter_map(|rule| self::rule(objects, rule))
        .collect();
    (!rules.is_empty()).then(|| Map::new(rules))
}

/// One rule, unless it only serves to build addresses, or is not for HTTP.
fn rule(objects: &Objects<'_, impl Memory>, rule: u64) -> Option<Rule> {
    let attributes = objects.attributes(rule)?;
    let is = |name: &str| attributes.get(name).and_then(|value| objects.truth(*value));
    if is("build_only") == Some(true) || is("websocket") == Some(true) {
        return None;
    }
    let methods = objects.texts_or_none(*attributes.get("methods")?)?;
    let text = objects.text(*attributes.get("rule")?)?;
    Rule::parse(&text, methods, is("strict_slashes").unwrap_or(true))
}
