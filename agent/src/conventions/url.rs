//! The parts of a request target.

/// A request target in one of the four forms of RFC 9112, section 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Scheme of an absolute form, as sent.
    pub(super) scheme: Option<&'a str>,
    /// Host of an absolute or authority form, with port and user information if there are any.
    pub(super) authority: Option<&'a str>,
    /// Path; `*` for the asterisk form, empty for the authority form.
    pub(super) path: &'a str,
    /// What stands after the first `?`.
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Takes the target of a request apart; never fails, as what was sent was sent.
    pub(super) fn parse(method: &str, target: &'a str) -> Self {
        if method == "CONNECT" {
            return Self {
                scheme: None,
                authority: Some(target),
                path: "",
                query: None,
            };
        }
        // Only before the path: a path may carry a URL of its own.
        let absolute = target
            .split_once("://")
            .filter(|(scheme, _)| !scheme.contains(['/', '?']));
        let Some((scheme, rest)) = absolute else {
            let (path, query) = split_query(target);
            return Self {
                scheme: None,
                authority: None,
                path,
                query,
            };
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (path, query) = split_query(&rest[end..]);
        let path = if path.is_empty() { "/" } else { path };
        Self {
            scheme: Some(scheme),
            authority: Some(&rest[..end]),
            path,
            query,
        }
    }

    /// The query, with its values redacted if wanted.
    pub(super) fn query(&self, redact: bool) -> Option<String> {
        self.query.map(|query| {
            if redact {
                redacted_query(query)
            } else {
                query.to_owned()
            }
        })
    }
}

/// The authority with its user information redacted, as the conventions write it.
pub(super) fn without_credentials(authority: &str) -> String {
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("REDACTED:REDACTED@{host}"),
        Some((_, host)) => format!("REDACTED@{host}"),
        None => authority.to_owned(),
    }
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    let target = target.split_once('#').map_or(target, |(target, _)| target);
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// Each value replaced, each name kept: `a=1&b` becomes `a=REDACTED&b`.
fn redacted_query(query: &str) -> String {
    let part = |part: &str| match part.split_once('=') {
        Some((name, _)) => format!("{name}=REDACTED"),
        None => part.to_owned(),
    };
    query.split('&').map(part).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_all_forms_are_taken_apart() {
        let target = |scheme, authority, path, query| Target {
            scheme,
            authority,
            path,
            query,
        };
        for (method, text, expected) in [
            ("GET", "/users", target(None, None, "/users", None)),
            (
                "GET",
                "/users?id=7&x",
                target(None, None, "/users", Some("id=7&x")),
            ),
            (
                "GET",
                "/go?to=http://a/b",
                target(None, None, "/go", Some("to=http://a/b")),
            ),
            (
                "GET",
                "/proxy/http://a/b",
                target(None, None, "/proxy/http://a/b", None),
            ),
            (
                "GET",
                "http://a:81/b?c",
                target(Some("http"), Some("a:81"), "/b", Some("c")),
            ),
            ("GET", "http://a", target(Some("http"), Some("a"), "/", None)),
            (
                "GET",
                "http://a?b=c",
                target(Some("http"), Some("a"), "/", Some("b=c")),
            ),
            ("GET", "/a#b?c", target(None, None, "/a", None)),
            ("GET", "/a?", target(None, None, "/a", Some(""))),
            ("OPTIONS", "*", target(None, None, "*", None)),
            ("CONNECT", "a:443", target(None, Some("a:443"), "", None)),
        ] {
            assert_eq!(Target::parse(method, text), expected, "{method} {text}");
        }
    }

    #[test]
    fn values_of_queries_are_redacted() {
        for (query, expected) in [
            ("", ""),
            ("a=1", "a=REDACTED"),
            ("a=1&b=2=3&c", "a=REDACTED&b=REDACTED&c"),
            ("a=&&=x", "a=REDACTED&&=REDACTED"),
        ] {
            assert_eq!(redacted_query(query), expected, "{query}");
        }
    }

    #[test]
    fn credentials_are_redacted() {
        assert_eq!(without_credentials("a:81"), "a:81");
        assert_eq!(without_credentials("me@a"), "REDACTED@a");
        assert_eq!(without_credentials("me:p@ss@a:81"), "REDACTED:REDACTED@a:81");
    }
}
