//! ROUTERS: how each of them keeps its routes.

use super::{Kind, reader::Reader};
use crate::routes::{
    memory::Memory,
    table::router::{Inside, Route, Router, Stripped, Style},
};

/// The first version whose `ServeMux` has patterns.
const PATTERNS: u32 = 22;
/// `http.ServeMux` (Go, `src/net/http/server.go`): behind `mu`, a `sync.RWMutex` of 24 bytes, `tree` since 1.22, `m` before.
const MUX_FIRST: u64 = 24;
/// `mux121` in it, used with `GODEBUG=httpmuxgo121=1`, which is the default of modules that name an older Go: behind `tree`,
/// `index` (32 bytes) and, before 1.24, `patterns` (24).
const INDEX: u64 = 32;
const PATTERNS_FIELD: u64 = 24;
/// `routingNode` (`routing_tree.go`): `pattern`, `handler`, `children` (a slice and a map), `multiChild` (since 1.23),
/// `emptyChild`.
const NODE_HANDLER: u64 = 8;
const NODE_CHILDREN: u64 = 24;
const NODE_CHILDREN_MAP: u64 = 48;
const NODE_OTHERS: [u64; 2] = [56, 64];
const NODE: u64 = 72;
/// `entry` of `children`: a string and a pointer.
const ENTRY: u64 = 24;
const STRING: u64 = 16;
const POINTER: u64 = 8;
/// `muxEntry`: `h`, `pattern`.
const MUX_ENTRY: u64 = 32;
const MUX_ENTRY_PATTERN: u64 = 16;

/// `chi.Mux` (mux.go): `handler`, `tree`.
const CHI_TREE: u64 = 16;
/// `node` of chi (tree.go, v5): `subroutes`, `rex`, `endpoints`, `prefix`, `children` (a slice for each of four kinds).
const CHI_ENDPOINTS: u64 = 24;
const CHI_CHILDREN: [u64; 4] = [48, 72, 96, 120];
/// `endpoint`: `handler`, `pattern`.
const CHI_PATTERN: u64 = 16;
/// `methodTyp`, by its bits.
const CHI_METHODS: [(u64, &str); 8] = [
    (1 << 1, "CONNECT"),
    (1 << 2, "DELETE"),
    (1 << 3, "GET"),
    (1 << 4, "HEAD"),
    (1 << 5, "OPTIONS"),
    (1 << 6, "PATCH"),
    (1 << 7, "POST"),
    (1 << 8, "PUT"),
];

/// As much of a `gin.Engine` or an `echo.Echo` as is searched for a field that versions have at different places.
const LARGEST_STRUCT: u64 = 1024;
/// `methodTree` of gin (tree.go): `method`, `root`.
const METHOD_TREE: u64 = 24;
/// `node` of gin (tree.go, 1.6 to 1.12): `children`, `handlers`, `fullPath`.
const GIN_CHILDREN: u64 = 40;
const GIN_HANDLERS: u64 = 64;
const GIN_PATH: u64 = 88;

/// `node` of echo (router.go, 4.10 to 4.15): `methods`, `paramChild`, `anyChild`, `staticChildren`.
const ECHO_OTHERS: [u64; 2] = [16, 24];
const ECHO_CHILDREN: u64 = 72;
/// `routeMethods`, in their order, each a `*routeMethod`; `ppath` in that.
const ECHO_METHODS: [&str; 11] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PROPFIND", "PUT", "TRACE", "REPORT",
];
const ECHO_PATH: u64 = 8;

/// Most nodes of a tree, and how deep it is.
const MAX_NODES: usize = 100_000;
const MAX_DEPTH: usize = 256;

impl<M: Memory> Reader<'_, '_, M> {
    pub(super) fn serve_mux(&mut self, mux: u64, depth: usize) -> Option<Router> {
        let mut leaves = Vec::new();
        if self.values.minor < PATTERNS {
            self.entries(mux.checked_add(MUX_FIRST)?, &mut leaves)?;
        } else {
            self.patterns(mux.checked_add(MUX_FIRST)?, &mut leaves)?;
            let node = NODE - if self.values.minor == PATTERNS { POINTER } else { 0 };
            let between = INDEX + if self.values.minor < 24 { PATTERNS_FIELD } else { 0 };
            // Behind its own mutex.
            let old = mux.checked_add(MUX_FIRST + node + between + MUX_FIRST)?;
            if leaves.is_empty() && self.entries(old, &mut leaves).is_none() {
                leaves.clear();
            }
        }
        let routes = leaves.into_iter().filter_map(|(style, text, handler)| {
            let route = Route::parse_registered(style, &text)?;
            Some(match self.inside(handler, depth) {
                Some(inside) => route.leading_to(inside),
                None => route,
            })
        });
        Some(Router::new(routes.collect()))
    }

    /// Patterns of the tree, each with the address of its handler.
    fn patterns(&self, root: u64, leaves: &mut Vec<(Style, String, u64)>) -> Option<()> {
        let (values, memory) = (&self.values, self.values.memory);
        let others = if values.minor == PATTERNS { 1 } else { 2 };
        walk(root, |node, next| {
            if let Some(pattern) = memory.pointer(node) {
                leaves.push((
                    Style::ServeMux,
                    values.string(pattern)?,
                    node.checked_add(NODE_HANDLER)?,
                ));
            }
            let listed = values.slice(node.checked_add(NODE_CHILDREN)?, ENTRY)?;
            let mapped = values.map(node.checked_add(NODE_CHILDREN_MAP)?, STRING, POINTER)?;
            let children = listed.into_iter().map(|entry| entry + STRING);
            let children = children.chain(mapped.into_iter().map(|(_, child)| child));
            let others = NODE_OTHERS.into_iter().take(others).map(|offset| node + offset);
            next.extend(children.chain(others).filter_map(|at| memory.pointer(at)));
            Some(())
        })
    }

    /// Entries of the map that a `ServeMux` had before.
    fn entries(&self, map: u64, leaves: &mut Vec<(Style, String, u64)>) -> Option<()> {
        for (_, entry) in self.values.map(map, STRING, MUX_ENTRY)? {
            let pattern = self.values.string(entry.checked_add(MUX_ENTRY_PATTERN)?)?;
            leaves.push((Style::OldServeMux, pattern, entry));
        }
        Some(())
    }

    pub(super) fn chi(&mut self, mux: u64, depth: usize) -> Option<Router> {
        let (values, memory) = (&self.values, self.values.memory);
        let mut found = Vec::new();
        let root = memory.pointer(mux.checked_add(CHI_TREE)?)?;
        walk(root, |node, next| {
            // An interface: what it holds is in its second word.
            let inside = memory.word(node.checked_add(8)?)?;
            for (key, at) in values.map(node.checked_add(CHI_ENDPOINTS)?, POINTER, POINTER)? {
                let endpoint = memory.pointer(at)?;
                let has_handler = memory.word(endpoint)? != 0;
                let pattern = values.string(endpoint.checked_add(CHI_PATTERN)?)?;
                if has_handler && !pattern.is_empty() {
                    found.push((memory.word(key)?, pattern, inside));
                }
            }
            for children in CHI_CHILDREN {
                let children = values.slice(node.checked_add(children)?, POINTER)?;
                next.extend(children.into_iter().filter_map(|at| memory.pointer(at)));
            }
            Some(())
        })?;
        let routes = found.into_iter().filter_map(|(key, pattern, inside)| {
            let method = CHI_METHODS.iter().find(|(bit, _)| *bit == key)?.1;
            let route = Route::parse(Style::Chi, &pattern, method)?;
            Some(match self.below_chi(inside, depth) {
                Some(inside) => route.leading_to(inside),
                None => route,
            })
        });
        Some(Router::new(routes.collect()))
    }

    fn below_chi(&mut self, router: u64, depth: usize) -> Option<Inside> {
        // What is mounted is in nobody else's hands, so it may not have been found by itself.
        (router != 0).then(|| self.lead(Kind::Chi, router, Stripped::Route, depth))?
    }

    pub(super) fn gin(&self, engine: u64) -> Option<Router> {
        let (values, memory) = (&self.values, self.values.memory);
        let trees = (0..LARGEST_STRUCT)
            .step_by(8)
            .find_map(|offset| self.method_trees(engine.checked_add(offset)?))?;
        let mut routes = Vec::new();
        for (method, root) in trees {
            walk(root, |node, next| {
                if memory.word(node.checked_add(GIN_HANDLERS + 8)?)? > 0 {
                    let path = values.string(node.checked_add(GIN_PATH)?)?;
                    routes.extend(Route::parse(Style::Gin, &path, &method));
                }
                let children = values.slice(node.checked_add(GIN_CHILDREN)?, POINTER)?;
                next.extend(children.into_iter().filter_map(|at| memory.pointer(at)));
                Some(())
            })?;
        }
        Some(Router::new(routes))
    }

    /// Methods and their trees, if they are at an address.
    fn method_trees(&self, at: u64) -> Option<Vec<(String, u64)>> {
        let (values, memory) = (&self.values, self.values.memory);
        let trees = values.slice(at, METHOD_TREE)?;
        if trees.is_empty() || trees.len() > 32 {
            return None;
        }
        let tree = |tree: u64| {
            let method = values.string(tree)?;
            let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
            is_method.then_some((method, memory.pointer(tree.checked_add(STRING)?)?))
        };
        trees.into_iter().map(tree).collect()
    }

    pub(super) fn echo(&self, echo: u64) -> Option<Router> {
        let (values, memory) = (&self.values, self.values.memory);
        // `Router`: `tree`, `routes`, and `echo`, which leads back.
        let back = (0..LARGEST_STRUCT).step_by(8).find_map(|offset| {
            let router = memory.pointer(echo.checked_add(offset)?)?;
            (memory.word(router.checked_add(16)?)? == echo).then_some(router)
        })?;
        let mut routes = Vec::new();
        walk(memory.pointer(back)?, |node, next| {
            if let Some(methods) = memory.pointer(node) {
                for (at, method) in (methods..).step_by(8).zip(ECHO_METHODS) {
                    if let Some(found) = memory.pointer(at) {
                        let path = values.string(found.checked_add(ECHO_PATH)?)?;
                        routes.extend(Route::parse(Style::Gin, &path, method));
                    }
                }
            }
            let children = values.slice(node.checked_add(ECHO_CHILDREN)?, POINTER)?;
            let others = ECHO_OTHERS.into_iter().map(|offset| node + offset);
            next.extend(
                children
                    .into_iter()
                    .chain(others)
                    .filter_map(|at| memory.pointer(at)),
            );
            Some(())
        })?;
        Some(Router::new(routes))
    }
}

/// Goes through a tree: `visit` adds the children of a node. `None` if it is none, or too large.
fn walk(root: u64, mut visit: impl FnMut(u64, &mut Vec<u64>) -> Option<()>) -> Option<()> {
    let (mut level, mut seen) = (vec![root], 0);
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for node in &level {
            visit(*node, &mut next)?;
        }
        seen += level.len();
        if seen > MAX_NODES {
            return None;
        }
        if next.is_empty() {
            return Some(());
        }
        level = next;
    }
    None
}
