//! What `deploy/` has for Grafana and Prometheus, as far as queries and links are concerned.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::Value;

use crate::harness::lab::source;

/// A query, and where it is.
pub(super) struct Query {
    pub(super) place: String,
    pub(super) text: String,
}

/// What a variable of Grafana stands for when nobody has chosen anything.
const VARIABLES: [(&str, &str); 3] = [
    ("$__rate_interval", "1m"),
    ("$__range", "30m"),
    ("$$__tags", "job=\"flask-app\""),
];

/// Each dashboard with its name.
pub(super) fn dashboards() -> Result<Vec<(String, Value)>> {
    let read = |path: PathBuf| -> Result<(String, Value)> {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok((path.file_name().unwrap_or_default().display().to_string(), value))
    };
    files("grafana/dashboards", "json")?
        .into_iter()
        .map(read)
        .collect()
}

/// The data sources that Grafana is given.
pub(super) fn data_sources() -> Result<Vec<Value>> {
    let file = yaml("grafana/provisioning/datasources/sidelight.yaml")?;
    let sources = file["datasources"].as_array().context("no data sources")?;
    Ok(sources.clone())
}

/// A file of `deploy/`.
pub(super) fn yaml(name: &str) -> Result<Value> {
    let path = source("../deploy").join(name);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut documents = Yaml::load_from_str(&text).with_context(|| path.display().to_string())?;
    json(&documents.pop().context("an empty file")?)
}

/// The queries of dashboards and data sources, and the names of metrics that variables are made of.
pub(super) fn grafana() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for (name, dashboard) in dashboards()? {
        for panel in array(&dashboard["panels"]) {
            let title = panel["title"].as_str().unwrap_or_default();
            let asked = array(&panel["targets"])
                .iter()
                .filter_map(|target| target["expr"].as_str());
            queries.extend(asked.map(|text| Query::new(format!("{name}, {title}"), text)));
        }
        for variable in array(&dashboard["templating"]["list"]) {
            let text = variable["query"]["query"]
                .as_str()
                .context("a variable without a query")?;
            let inner = text
                .strip_prefix("label_values(")
                .and_then(|rest| rest.rsplit_once(','));
            let (selector, _) = inner.with_context(|| format!("{name}: {text}"))?;
            queries.push(Query::new(
                format!("{name}, variable {}", variable["name"]),
                selector,
            ));
        }
    }
    for source in data_sources()? {
        for query in array(&source["jsonData"]["tracesToMetrics"]["queries"]) {
            let text = query["query"].as_str().context("a link without a query")?;
            queries.push(Query::new(
                format!("data source {}, {}", source["name"], query["name"]),
                text,
            ));
        }
    }
    Ok(queries)
}

/// The queries of all rules, and the names that rules record.
pub(super) fn rules() -> Result<(Vec<Query>, Vec<String>)> {
    let (mut queries, mut recorded) = (Vec::new(), Vec::new());
    for path in files("prometheus/rules-local", "yaml")? {
        let name = path.file_name().unwrap_or_default().display().to_string();
        let file = yaml(&format!("prometheus/rules-local/{name}"))?;
        for rule in array(&file["groups"])
            .iter()
            .flat_map(|group| array(&group["rules"]))
        {
            let text = rule["expr"].as_str().with_context(|| format!("{name}: {rule}"))?;
            queries.push(Query::new(name.clone(), text));
            recorded.extend(rule["record"].as_str().map(ToOwned::to_owned));
        }
    }
    Ok((queries, recorded))
}

/// The elements of an array, none of anything else.
pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl Query {
    fn new(place: String, text: &str) -> Self {
        let text = VARIABLES.iter().fold(text.to_owned(), |text, (variable, value)| {
            text.replace(variable, value)
        });
        Self { place, text }
    }
}

fn files(folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let folder = source("../deploy").join(folder);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    ensure!(!found.is_empty(), "{} has no {extension} files", folder.display());
    Ok(found)
}

fn json(node: &Yaml<'_>) -> Result<Value> {
    Ok(match node {
        Yaml::Value(Scalar::String(text)) => Value::from(text.as_ref()),
        Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Value::from(number.into_inner()),
        Yaml::Value(Scalar::Boolean(yes)) => Value::from(*yes),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Sequence(items) => items.iter().map(json).collect::<Result<Vec<_>>>()?.into(),
        Yaml::Mapping(items) => {
            let pair = |(key, value)| Ok((key_text(key)?, json(value)?));
            Value::Object(items.iter().map(pair).collect::<Result<_>>()?)
        }
        other => return Err(anyhow!("what is {other:?}?")),
    })
}

fn key_text(key: &Yaml<'_>) -> Result<String> {
    match json(key)? {
        Value::String(text) => Ok(text),
        other => Ok(other.to_string()),
    }
}
