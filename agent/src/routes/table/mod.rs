//! TABLE: the routes of a framework, as they were read from a process, and which of them a request takes.

pub mod router;
pub mod starlette;
pub mod werkzeug;

use std::sync::Arc;

/// A request as far as its route depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Without the query, percent-decoded.
    pub path: &'a str,
    /// Whom it was sent to, with a port if there is one.
    pub host: &'a str,
}

/// The routes of one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// Flask's, and that of whatever else uses Werkzeug's routing.
    Werkzeug(werkzeug::Map),
    /// Starlette's and FastAPI's.
    Starlette(starlette::App),
    /// Those of routers of Go.
    Go(router::Router),
}

/// All tables of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables(pub Vec<Table>);

/// What tables say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its route.
    Route(Arc<str>),
    /// Several applications of the process have different routes for it.
    Ambiguous,
    /// No application has one.
    Nothing,
}

impl Table {
    fn route(&self, asked: &Asked<'_>) -> Option<Arc<str>> {
        match self {
            Self::Werkzeug(map) => map.route(asked),
            Self::Starlette(app) => app.route(asked),
            Self::Go(router) => router.route(asked),
        }
    }
}

impl Tables {
    /// The route of a request.
    pub fn find(&self, asked: &Asked<'_>) -> Found {
        let mut found = self.0.iter().filter_map(|table| table.route(asked));
        match found.next() {
            None => Found::Nothing,
            Some(first) if found.all(|other| other == first) => Found::Route(first),
            Some(_) => Found::Ambiguous,
        }
    }

    /// Whether no application was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a method is one of those that a route takes; none are all.
fn takes(methods: Option<&Vec<String>>, method: &str) -> bool {
    methods.is_none_or(|methods| methods.iter().any(|known| known == method))
}
