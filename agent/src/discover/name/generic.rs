//! Names that say nothing: every second application is `app.main:app` in a folder called `src`.

use std::path::{Component, Path};

/// Names of modules, scripts and folders that could be anybody's.
const GENERIC: [&str; 42] = [
    "__init__",
    "__main__",
    "app",
    "application",
    "apps",
    "asgi",
    "bin",
    "build",
    "cli",
    "cmd",
    "code",
    "current",
    "dist",
    "home",
    "html",
    "index",
    "lib",
    "lib64",
    "local",
    "main",
    "manage",
    "opt",
    "out",
    "release",
    "root",
    "run",
    "script",
    "scripts",
    "server",
    "serve",
    "service",
    "site-packages",
    "src",
    "srv",
    "start",
    "target",
    "tmp",
    "usr",
    "var",
    "workspace",
    "wsgi",
    "www",
];

/// Whether a name could be anybody's.
pub fn is_generic(name: &str) -> bool {
    GENERIC.contains(&name.to_ascii_lowercase().as_str())
}

/// The innermost folder of an absolute path that says something. A user's home does not: it names the user.
pub fn folder(path: &Path) -> Option<String> {
    let parts: Vec<&str> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    (0..parts.len())
        .rev()
        .filter(|index| *index == 0 || parts[index - 1] != "home")
        .map(|index| parts[index])
        .find(|part| !is_generic(part) && !part.starts_with('.'))
        .map(str::to_owned)
}

/// The innermost part of a dotted module that says something, with what is before it: `shop.wsgi` is `shop`,
/// `shop.orders` stays.
pub fn module(dotted: &str) -> Option<String> {
    let parts: Vec<&str> = dotted.split('.').collect();
    let last = parts.iter().rposition(|part| !is_generic(part))?;
    Some(parts[..=last].join("."))
}
