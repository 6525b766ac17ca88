//! From text to values.

use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;

use super::nearest::nearest;
use crate::routes::RoutePattern;

/// Why a text is not the value that a setting takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What it takes, as in "is not …".
    pub expected: String,
    /// What to do.
    pub remedy: String,
}

impl Invalid {
    /// What a setting takes, and what to do about it.
    pub fn new(expected: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            remedy: remedy.into(),
        }
    }
}

/// One of a few names.
pub fn choice<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, Invalid> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let meant = nearest(text, names.iter().copied()).unwrap_or_default();
    Err(Invalid::new(
        format!("one of {}", names.join(", ")),
        format!("did you mean {meant}?"),
    ))
}

/// `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, Invalid> {
    choice(text, &[("true", true), ("false", false)])
}

/// A number of nothing but digits: Rust would also take a sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// A whole number above zero.
pub fn count<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, Invalid> {
    number(text)
        .filter(|number| *number != T::default())
        .ok_or_else(|| Invalid::new("a number above 0", "write digits only"))
}

/// A size: `65536`, `64KiB`, `8MiB`.
pub fn bytes<T: TryFrom<u64>>(text: &str) -> Result<T, Invalid> {
    let (digits, unit) = split_unit(text);
    let factor = match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    factor
        .zip(digits.parse::<u64>().ok())
        .and_then(|(factor, number)| number.checked_mul(factor))
        .and_then(|bytes| T::try_from(bytes).ok())
        .ok_or_else(|| Invalid::new("a size in bytes", "write it like 65536, 64KiB or 8MiB"))
}

/// A size that the kernel takes for a ring buffer.
pub fn ring_buffer_bytes(text: &str) -> Result<u32, Invalid> {
    const PAGE: u32 = 4096;
    let bytes: u32 = bytes(text)?;
    if bytes.is_power_of_two() && bytes >= PAGE {
        return Ok(bytes);
    }
    Err(Invalid::new(
        "a power of two of at least 4096 bytes",
        "write it like 4MiB, 8MiB or 16MiB",
    ))
}

/// A span of time above 0: `500ms`, `30s`, `5m`, `2h`.
pub fn duration(text: &str) -> Result<Duration, Invalid> {
    let duration = delay(text)?;
    if duration.is_zero() {
        return Err(not_a_duration());
    }
    Ok(duration)
}

fn not_a_duration() -> Invalid {
    Invalid::new("a duration", "write it like 500ms, 30s or 5m")
}

/// The same, also 0.
pub fn delay(text: &str) -> Result<Duration, Invalid> {
    let (digits, unit) = split_unit(text);
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    milliseconds
        .zip(digits.parse::<u64>().ok())
        .and_then(|(unit, number)| number.checked_mul(unit))
        .map(Duration::from_millis)
        .ok_or_else(not_a_duration)
}

/// A span of time in whole milliseconds, as the OpenTelemetry variables have it.
pub fn milliseconds(text: &str) -> Result<Duration, Invalid> {
    text.parse()
        .map(Duration::from_millis)
        .map_err(|_| Invalid::new("a number of milliseconds", "write digits only"))
}

/// A process id.
pub fn pid(text: &str) -> Result<u32, Invalid> {
    // The kernel's largest id is 2^22 (PID_MAX_LIMIT); i32 is what its interfaces carry.
    number::<u32>(text)
        .filter(|pid| *pid > 0 && i32::try_from(*pid).is_ok())
        .ok_or_else(|| {
            Invalid::new(
                "a process id",
                "`sidelight ps` lists the processes that could be watched",
            )
        })
}

/// A port, or the first and the last of a range: `8000`, `8000-8010`.
pub fn ports(text: &str) -> Result<RangeInclusive<u16>, Invalid> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    number(first)
        .zip(number(last))
        .filter(|(first, last): &(u16, u16)| *first > 0 && first <= last)
        .map(|(first, last)| first..=last)
        .ok_or_else(|| Invalid::new("a port or a range of ports", "write it like 8000 or 8000-8010"))
}

/// A pattern of routes.
pub fn route(text: &str) -> Result<RoutePattern, Invalid> {
    RoutePattern::parse(text)
        .ok_or_else(|| Invalid::new("a pattern of paths", "write it like /users/{id} or /files/*"))
}

/// An address to listen on.
pub fn socket_address(text: &str) -> Result<SocketAddr, Invalid> {
    text.parse().map_err(|_| {
        Invalid::new(
            "an address and a port",
            "write it like 127.0.0.1:9464 or [::]:9464",
        )
    })
}

/// An OTLP endpoint.
pub fn url(text: &str) -> Result<String, Invalid> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .filter(|rest| {
            !rest.is_empty() && !rest.starts_with(['/', ':']) && !rest.contains(char::is_whitespace)
        });
    match host {
        Some(_) => Ok(text.to_owned()),
        None => Err(Invalid::new("a URL", "write it like http://localhost:4318")),
    }
}

/// `name=value,name=value` with percent-encoded values, as OTLP headers and resource attributes are given.
pub fn pairs(text: &str) -> Result<BTreeMap<String, String>, Invalid> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            Some((name.trim().to_owned(), value.into_owned())).filter(|(name, _)| !name.is_empty())
        })
        .collect::<Option<_>>()
        .ok_or_else(|| Invalid::new("a list of name=value", "write it like name=value,other=value"))
}

/// A share between 0 and 1.
pub fn ratio(text: &str) -> Result<f64, Invalid> {
    // Rust reads inf, nan and a sign as well.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse()
        .ok()
        .filter(|_| is_number)
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| Invalid::new("a number from 0 to 1", "write it like 0.25"))
}

fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|character: char| !character.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "0s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_may_carry_a_unit() {
        assert_eq!(bytes("65536"), Ok(65_536_u32));
        assert_eq!(bytes("64KiB"), Ok(65_536_usize));
        assert!(bytes::<u32>("4096MiB").is_err());
        assert!(bytes::<u32>("8MB").is_err());
    }

    #[test]
    fn a_ring_buffer_is_a_power_of_two_of_pages() {
        assert_eq!(ring_buffer_bytes("8MiB"), Ok(8 << 20));
        for bad in ["6MiB", "2048", "0"] {
            assert!(ring_buffer_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_are_one_or_a_range() {
        assert_eq!(ports("8000"), Ok(8000..=8000));
        assert_eq!(ports("8000-8010"), Ok(8000..=8010));
        for bad in ["0", "65536", "8010-8000", "http", "1-2-3", ""] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints_have_a_scheme_and_a_host() {
        assert!(url("http://localhost:4318").is_ok());
        assert!(url("https://collector.example/base").is_ok());
        for bad in [
            "localhost:4317",
            "http://",
            "http:///v1",
            "ftp://host",
            "http://a b",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pairs_are_percent_decoded() {
        let parsed = pairs(" authorization=Bearer%20abc%3D , x=1,").unwrap();
        assert_eq!(parsed["authorization"], "Bearer abc=");
        assert_eq!(parsed["x"], "1");
        assert!(pairs("novalue").is_err());
        assert!(pairs("=x").is_err());
        assert!(pairs("x=%ff").is_err());
    }

    #[test]
    fn a_bad_choice_names_all_and_the_nearest() {
        let invalid = choice("jsn", &[("text", 1), ("json", 2)]).unwrap_err();
        assert_eq!(invalid.expected, "one of text, json");
        assert_eq!(invalid.remedy, "did you mean json?");
    }
}
