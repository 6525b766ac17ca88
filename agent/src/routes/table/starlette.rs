//! STARLETTE: the routes of a Starlette or FastAPI application, tried in their order (`Router.app`, `Route.matches`,
//! `Mount.matches` and `compile_path` in starlette/routing.py, 1.10).

use std::sync::Arc;

use super::{Asked, takes};
use crate::routes::pattern::{Class, Pattern, Piece};

/// The routes of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App(pub Vec<Node>);

/// A route, or routes below a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `Route` or `APIRoute`.
    Route {
        /// `path`, as it is written: `/users/{id}`.
        template: Arc<str>,
        /// What it takes; none: everything.
        methods: Option<Vec<String>>,
        /// What it is compared with.
        pattern: Pattern,
    },
    /// `Mount`.
    Mount {
        /// `path`, without a slash at its end.
        prefix: Arc<str>,
        /// What it is compared with.
        pattern: Pattern,
        /// The routes of what is mounted; none if that is no router.
        inside: Option<Vec<Node>>,
    },
}

/// How far a request got.
enum Reached {
    /// Its route, and whether that takes its method.
    Route(String, bool),
    /// What is mounted there has no route for it, and nothing else is asked.
    Lost,
}

impl App {
    /// The route that a request takes, with the paths of all mounts before it. One that does not take the method counts if no
    /// other does: the answer is then 405.
    pub fn route(&self, asked: &Asked<'_>) -> Option<Arc<str>> {
        match reach(&self.0, asked.method, asked.path)? {
            Reached::Route(route, _) => Some(route.into()),
            Reached::Lost => None,
        }
    }
}

impl Node {
    /// A route; `None` if its path is none.
    pub fn route(template: &str, methods: Option<Vec<String>>) -> Option<Self> {
        Some(Self::Route {
            pattern: Pattern::new(pieces(template)?),
            template: template.into(),
            methods,
        })
    }

    /// A mount; `None` if its path is none.
    pub fn mount(prefix: &str, inside: Option<Vec<Self>>) -> Option<Self> {
        Some(Self::Mount {
            pattern: Pattern::new(pieces(prefix)?),
            prefix: prefix.into(),
            inside,
        })
    }
}

fn reach(nodes: &[Node], method: &str, path: &str) -> Option<Reached> {
    let mut partial = None;
    for node in nodes {
        let reached = match node {
            Node::Route {
                template,
                methods,
                pattern,
            } => pattern
                .is(path)
                .then(|| Reached::Route(template.to_string(), takes(methods.as_ref(), method))),
            Node::Mount {
                prefix,
                pattern,
                inside,
            } => pattern
                .before_slash(path)
                .map(|rest| below(prefix, inside.as_deref(), method, rest)),
        };
        match reached {
            Some(Reached::Route(route, false)) => {
                partial.get_or_insert(Reached::Route(route, false));
            }
            Some(reached) => return Some(reached),
            None => {}
        }
    }
    partial
}

/// What is mounted answers, whatever it answers.
fn below(prefix: &str, inside: Option<&[Node]>, method: &str, rest: &str) -> Reached {
    match inside {
        None if prefix.is_empty() => Reached::Lost,
        None => Reached::Route(prefix.to_owned(), true),
        Some(inside) => match reach(inside, method, rest) {
            Some(Reached::Route(route, _)) => Reached::Route(format!("{prefix}{route}"), true),
            Some(Reached::Lost) | None => Reached::Lost,
        },
    }
}

/// `{name}` or `{name:convertor}` between texts; a convertor of the application's own is taken for `str`.
fn pieces(path: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('{') {
        let (value, after) = behind.split_once('}')?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Value(
            match value.split_once(':').map(|(_, convertor)| convertor) {
                Some("path") => Class::Rest,
                Some("int") => Class::Digits {
                    signed: false,
                    count: None,
                },
                Some("float") => Class::Decimal {
                    signed: false,
                    whole: true,
                },
                Some("uuid") => Class::Uuid { plain: true },
                Some(_) | None => Class::SEGMENT,
            },
        ));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Node {
        Node::route(path, Some(vec!["GET".to_owned()])).unwrap()
    }

    fn route(app: &App, method: &str, path: &str) -> Option<String> {
        app.route(&Asked {
            method,
            path,
            host: "",
        })
        .map(|route| route.to_string())
    }

    #[test]
    fn the_first_that_fits_counts() {
        let app = App(vec![
            get("/users/me"),
            get("/users/{id:int}"),
            get("/users/{name}"),
            get("/files/{path:path}"),
            Node::route("/users/{name}", Some(vec!["PUT".to_owned()])).unwrap(),
        ]);
        for (path, expected) in [
            ("/users/me", Some("/users/me")),
            ("/users/7", Some("/users/{id:int}")),
            ("/users/alice", Some("/users/{name}")),
            ("/files/", Some("/files/{path:path}")),
            ("/files/a/b", Some("/files/{path:path}")),
            ("/users/", None),
            ("/files", None),
        ] {
            assert_eq!(route(&app, "GET", path).as_deref(), expected, "{path}");
        }
        assert_eq!(route(&app, "PUT", "/users/7").as_deref(), Some("/users/{name}"));
        // 405 is the answer of the first whose path fits.
        assert_eq!(
            route(&app, "POST", "/users/7").as_deref(),
            Some("/users/{id:int}")
        );
    }

    #[test]
    fn what_is_mounted_answers_all_below() {
        let app = App(vec![
            Node::mount("/api", Some(vec![get("/users/{id}"), get("/")])).unwrap(),
            Node::mount("/static", None).unwrap(),
            get("/api/late"),
            Node::mount("/t/{tenant}", Some(vec![get("/x")])).unwrap(),
            Node::mount("", Some(vec![get("/all")])).unwrap(),
            get("/never"),
        ]);
        for (path, expected) in [
            ("/api/users/7", Some("/api/users/{id}")),
            ("/api/", Some("/api/")),
            ("/api/late", None),
            ("/static/app.js", Some("/static")),
            ("/t/acme/x", Some("/t/{tenant}/x")),
            ("/all", Some("/all")),
            ("/never", None),
        ] {
            assert_eq!(route(&app, "GET", path).as_deref(), expected, "{path}");
        }
    }
}
