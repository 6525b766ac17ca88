//! Their values in our words.
#![expect(clippy::unnecessary_wraps, reason = "all of them are rows of one table")]

use super::table::PROPAGATION;

/// From a value of theirs to ours, none if it changes nothing; or why it cannot be.
pub(super) type Translate = fn(&str) -> Result<Vec<String>, String>;

type Translation = Result<Vec<String>, String>;

/// As it is.
pub(super) fn same(text: &str) -> Translation {
    Ok(vec![text.to_owned()])
}

/// In lower case.
pub(super) fn lowercase(text: &str) -> Translation {
    same(&text.to_ascii_lowercase())
}

/// Elements separated by commas.
pub(super) fn list(text: &str) -> Translation {
    Ok(text
        .split(',')
        .map(|element| element.split_whitespace().collect::<String>())
        .filter(|element| !element.is_empty() && element != "0")
        .collect())
}

/// A shell pattern that may have alternatives in braces.
pub(super) fn globs(text: &str) -> Translation {
    Ok(alternatives(text))
}

/// A regular expression that fits anywhere in the path.
pub(super) fn expression(text: &str) -> Translation {
    Ok(vec![format!("re:{text}")])
}

/// `TRACE_PRINTER` (`pkg/export/debug/debug.go`).
pub(super) fn printer(text: &str) -> Translation {
    match text {
        "disabled" => same("none"),
        "text" | "json" => same(text),
        "json_indent" => same("json"),
        _ => Err(format!(
            "{text:?} is no form of spans; use output with tree, text, json or none"
        )),
    }
}

/// `PRINT_TRACES`, of before `TRACE_PRINTER`.
pub(super) fn print(text: &str) -> Translation {
    match text {
        "true" | "1" => same("text"),
        _ => Ok(Vec::new()),
    }
}

/// Their levels are in capitals.
pub(super) fn level(text: &str) -> Translation {
    match text.to_ascii_lowercase().as_str() {
        "warning" => same("warn"),
        level => same(level),
    }
}

/// A port on all addresses; 0 is none.
pub(super) fn listen(text: &str) -> Translation {
    match text {
        "0" => Ok(Vec::new()),
        port => Ok(vec![format!("0.0.0.0:{port}")]),
    }
}

/// The path of the page with metrics cannot be changed.
pub(super) fn path(text: &str) -> Translation {
    match text {
        "/metrics" => Ok(Vec::new()),
        _ => Err("metrics are at /metrics".to_owned()),
    }
}

/// A duration of Go: `1m30s`, `1.5s`, `500ms`.
pub(super) fn duration(text: &str) -> Translation {
    go_milliseconds(text)
        .map(|milliseconds| vec![format!("{milliseconds}ms")])
        .ok_or_else(|| format!("{text:?} is no duration"))
}

/// `EXCLUDE_OTEL_INSTRUMENTED_SERVICES`: what a program exports itself is left out.
pub(super) fn leave_out(text: &str) -> Translation {
    match text {
        "true" => Ok(["server", "client", "db"].map(str::to_owned).to_vec()),
        "false" => same("none"),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// Header injection, which we do not have.
pub(super) fn propagation(text: &str) -> Translation {
    match text {
        "disabled" | "false" | "none" => Ok(Vec::new()),
        _ => Err(PROPAGATION.to_owned()),
    }
}

/// Their endpoint of a signal may come without its path (`getTracesEndpoint`).
pub(super) fn traces_endpoint(text: &str) -> Translation {
    same(&with_path(text, "/v1/traces"))
}

/// The same for metrics.
pub(super) fn metrics_endpoint(text: &str) -> Translation {
    same(&with_path(text, "/v1/metrics"))
}

/// A URL without a path gets one, except for gRPC, which has none.
fn with_path(url: &str, path: &str) -> String {
    let bare = url.trim_end_matches('/');
    let has_path = bare.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path || port(bare).ends_with("4317") {
        bare.to_owned()
    } else {
        format!("{bare}{path}")
    }
}

/// The port of a URL, as it is written.
pub(super) fn port(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once(':').map_or("", |(_, port)| port)
}

/// `{a,b}*` is `a*` and `b*` (gobwas/glob); ours have no braces.
pub(super) fn alternatives(text: &str) -> Vec<String> {
    let Some(open) = text.find('{') else {
        return vec![text.to_owned()];
    };
    let Some(close) = text[open..].find('}').map(|length| open + length) else {
        return vec![text.to_owned()];
    };
    let (before, after) = (&text[..open], &text[close + 1..]);
    text[open + 1..close]
        .split(',')
        .flat_map(|part| alternatives(&format!("{before}{part}{after}")))
        .collect()
}

fn go_milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after
            .find(|character: char| character.is_ascii_digit())
            .map_or(after, |end| &after[..end]);
        let milliseconds = match unit {
            "us" | "µs" => 0.001,
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * milliseconds;
        rest = &after[unit.len()..];
    }
    (total >= 1.0).then_some(total as u64)
}
