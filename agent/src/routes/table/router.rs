//! ROUTER: the routes of a router of Go: `http.ServeMux`, chi, gin.
//!
//! All of them search segment by segment, what is fixed before what is not, and go back where that leads nowhere
//! (`routingNode.match` in Go's `net/http/routing_tree.go`, 1.22; `node.findRoute` in chi v5, tree.go; `node.getValue` in gin,
//! tree.go). So the first of the sorted routes that fits is the one that they find. They differ in how a path is written.

mod parsed;
#[cfg(test)]
mod tests;

use std::{cmp::Ordering, sync::Arc};

use super::Asked;
use crate::routes::pattern::{Pattern, Piece};
use parsed::Parsed;

/// The routes of a router, in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Router(Vec<Route>);

/// How a router writes its paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `http.ServeMux` since Go 1.22: `/users/{id}`, `/files/{path...}`, `/{$}`; a slash at the end stands for all below.
    ServeMux,
    /// `http.ServeMux` before: a slash at the end stands for all below.
    OldServeMux,
    /// chi: `/users/{id}`, `/users/{id:[0-9]+}`, `/files/*`.
    Chi,
    /// gin: `/users/:id`, `/files/*path`.
    Gin,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    template: Arc<str>,
    /// Empty: all.
    method: String,
    /// HEAD as well.
    also_head: bool,
    /// Empty: all.
    host: String,
    pattern: Pattern,
    /// What is known of a value is less than the router knows.
    is_vague: bool,
    order: Vec<Rank>,
    inside: Option<Inside>,
}

/// A router that a route leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Its routes.
    pub router: Router,
    /// What is taken from the path before.
    pub stripped: Stripped,
}

/// What is taken from a path before the next router sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stripped {
    /// Nothing.
    Nothing,
    /// This text.
    Text(String),
    /// What the route stands for, up to its `/*`.
    Route,
}

/// How far a request got.
enum Reached {
    Route(Arc<str>),
    /// It may be one that is not fully understood.
    Unsure,
    Nothing,
}

/// What decides which route is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Fixed,
    Checked,
    Value,
    Rest,
}

impl Router {
    /// The router of these routes.
    pub fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by(Route::before);
        routes.dedup();
        Self(routes)
    }

    /// Whether it has no routes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The route that a request takes, as it is written, with those of the routers before it.
    pub fn route(&self, asked: &Asked<'_>) -> Option<Arc<str>> {
        match self.reach(asked) {
            Reached::Route(route) => Some(route),
            Reached::Unsure | Reached::Nothing => None,
        }
    }

    fn reach(&self, asked: &Asked<'_>) -> Reached {
        let mut routes = self.0.iter();
        let Some(route) = routes.find(|route| route.takes(asked) && route.pattern.is(asked.path)) else {
            return Reached::Nothing;
        };
        if route.is_vague {
            return Reached::Unsure;
        }
        match route.inside.as_ref().map(|inside| route.below(inside, asked)) {
            Some(Reached::Route(route)) => Reached::Route(route),
            Some(Reached::Unsure) => Reached::Unsure,
            Some(Reached::Nothing) | None => Reached::Route(Arc::clone(&route.template)),
        }
    }
}

impl Route {
    /// Understands a route; `None` if its path is none.
    pub fn parse(style: Style, path: &str, method: &str) -> Option<Self> {
        let start = path.find('/')?;
        let (host, path) = path.split_at(start);
        let mut parsed = Parsed::default();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        for (index, segment) in segments.iter().enumerate() {
            parsed.pieces.push(Piece::Text("/".to_owned()));
            parsed.add(style, segment, index + 1 == segments.len())?;
        }
        Some(Self {
            template: path.into(),
            method: method.to_owned(),
            also_head: style == Style::ServeMux && method == "GET",
            host: host.to_owned(),
            pattern: Pattern::new(parsed.pieces),
            is_vague: parsed.is_vague,
            order: parsed.order,
            inside: None,
        })
    }

    /// A route of `http.ServeMux` as it was registered: `[METHOD ][HOST]/[PATH]`.
    pub fn parse_registered(style: Style, text: &str) -> Option<Self> {
        match text.split_once([' ', '\t']) {
            Some((method, path)) if style == Style::ServeMux => Self::parse(style, path.trim_start(), method),
            _ => Self::parse(style, text, ""),
        }
    }

    /// The same, leading to another router.
    #[must_use]
    pub fn leading_to(self, inside: Inside) -> Self {
        Self {
            inside: Some(inside),
            ..self
        }
    }

    /// A GET route of `http.ServeMux` takes HEAD too, where there is none for it; the others' do not, and then the answer
    /// is 404 or 405.
    fn takes(&self, asked: &Asked<'_>) -> bool {
        let method = self.method.is_empty()
            || self.method == asked.method
            || (self.also_head && asked.method == "HEAD");
        method && (self.host.is_empty() || self.host == without_port(asked.host))
    }

    fn before(&self, other: &Self) -> Ordering {
        let key = |route: &Self| (route.host.is_empty(), route.method.is_empty(), route.also_head);
        (key(self), &self.order)
            .cmp(&(key(other), &other.order))
            .then_with(|| self.is_vague.cmp(&other.is_vague))
            // Of what is tried together the longer one fits less.
            .then_with(|| other.template.len().cmp(&self.template.len()))
            .then_with(|| self.template.cmp(&other.template))
    }

    /// The route within, and what comes before it.
    fn below(&self, inside: &Inside, asked: &Asked<'_>) -> Reached {
        let Some((prefix, rest)) = self.before_and_behind(&inside.stripped, asked.path) else {
            return Reached::Nothing;
        };
        let rest = if rest.starts_with('/') {
            rest.to_owned()
        } else {
            format!("/{rest}")
        };
        let reached = inside.router.reach(&Asked {
            path: &rest,
            ..*asked
        });
        match reached {
            // chi, `Context.RoutePattern`: no slash at the end.
            Reached::Route(route)
                if inside.stripped == Stripped::Route && &*route == "/" && !prefix.is_empty() =>
            {
                Reached::Route(prefix.into())
            }
            Reached::Route(route) => Reached::Route(format!("{prefix}{route}").into()),
            other => other,
        }
    }

    /// The part of the route that stands for what is taken from the path, and what is left of it.
    fn before_and_behind<'p>(&'p self, stripped: &'p Stripped, path: &'p str) -> Option<(&'p str, &'p str)> {
        match stripped {
            Stripped::Nothing => Some(("", path)),
            Stripped::Text(text) => Some((text.trim_end_matches('/'), path.strip_prefix(text.as_str())?)),
            Stripped::Route => {
                let prefix = self.template.trim_end_matches('*').trim_end_matches('/');
                if prefix.is_empty() {
                    return Some(("", path));
                }
                Some((prefix, Self::prefix(prefix)?.before_slash(path).unwrap_or("/")))
            }
        }
    }

    fn prefix(text: &str) -> Option<Pattern> {
        Self::parse(Style::Chi, text, "").map(|route| route.pattern)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
