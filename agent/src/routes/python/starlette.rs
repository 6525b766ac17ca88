//! The routes of Starlette and FastAPI applications.

use std::collections::HashSet;

use super::objects::Objects;
use crate::routes::{
    memory::Memory,
    table::starlette::{App, Node},
};

/// Most routes of an application that are read, those of what is mounted included.
const MAX_ROUTES: usize = 20_000;
/// How deep applications are mounted in each other.
const MAX_DEPTH: usize = 16;

/// The applications that are mounted in no other of these, with their routes.
pub fn roots<'o>(
    objects: &'o Objects<'_, impl Memory>,
    applications: &'o [u64],
) -> impl Iterator<Item = App> + 'o {
    let mut mounted = HashSet::new();
    let mut read: Vec<(u64, Vec<Node>)> = Vec::new();
    for &application in applications {
        let mut reader = Reader {
            objects,
            mounted: &mut mounted,
            left: MAX_ROUTES,
        };
        read.extend(
            reader
                .application(application, 0)
                .map(|nodes| (application, nodes)),
        );
    }
    read.into_iter()
        .filter(move |(application, nodes)| !mounted.contains(application) && !nodes.is_empty())
        .map(|(_, nodes)| App(nodes))
}

struct Reader<'r, 'm, M> {
    objects: &'r Objects<'m, M>,
    /// What was found mounted.
    mounted: &'r mut HashSet<u64>,
    /// Routes that may still be read.
    left: usize,
}

impl<M: Memory> Reader<'_, '_, M> {
    /// The routes of an application or a router; `None` if it is neither.
    fn application(&mut self, object: u64, depth: usize) -> Option<Vec<Node>> {
        let attributes = self.objects.attributes(object)?;
        match attributes.get("routes") {
            Some(routes) => self.routes(*routes, "", depth),
            None => self.router(*attributes.get("router")?, "", depth),
        }
    }

    fn router(&mut self, router: u64, prefix: &str, depth: usize) -> Option<Vec<Node>> {
        let attributes = self.objects.attributes(router)?;
        self.routes(*attributes.get("routes")?, prefix, depth)
    }

    fn routes(&mut self, list: u64, prefix: &str, depth: usize) -> Option<Vec<Node>> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let mut nodes = Vec::new();
        for route in self.objects.sequence(list)? {
            self.left = self.left.checked_sub(1)?;
            // One that is not understood does not cost the others.
            let _ = self.add(&mut nodes, route, prefix, depth);
        }
        Some(nodes)
    }

    fn add(&mut self, nodes: &mut Vec<Node>, route: u64, prefix: &str, depth: usize) -> Option<()> {
        let objects = self.objects;
        let attributes = objects.attributes(route)?;
        let attribute = |name: &str| attributes.get(name).copied();
        if let Some(router) = attribute("original_router") {
            // FastAPI since 0.13x: a router is included as it is, with the path that comes before its routes.
            let context = objects.attributes(attribute("include_context")?)?;
            let prefix = format!("{prefix}{}", objects.text(*context.get("prefix")?)?);
            nodes.extend(self.router(router, &prefix, depth + 1)?);
            return Some(());
        }
        let path = format!("{prefix}{}", objects.text(attribute("path")?)?);
        if let Some(methods) = attribute("methods") {
            nodes.extend(Node::route(&path, objects.texts_or_none(methods)?));
        } else if self.is_mount(route)? {
            let inside = attribute("_base_app").or_else(|| attribute("app"))?;
            self.mounted.insert(inside);
            let inside = self.application(inside, depth + 1);
            nodes.extend(Node::mount(path.trim_end_matches('/'), inside));
        }
        Some(())
    }

    fn is_mount(&self, object: u64) -> Option<bool> {
        let bases = self.objects.bases(self.objects.class(object)?);
        let mut names = bases
            .into_iter()
            .filter_map(|class| self.objects.class_name(class));
        Some(names.any(|name| name == "Mount"))
    }
}
