//! uvloop before 0.23 does not write in the task that writes: it keeps the buffer, and its idle handle writes it later.

use std::{fs, path::Path};

/// The first version that writes at once (`UVStream._initiate_write`).
const WRITES_AT_ONCE: (u32, u32) = (0, 23);

/// The methods that take over buffers, and how their documentation, which is Cython's signature, begins.
pub const METHODS: [(&str, &str); 2] = [
    ("write", "UVStream.write(self"),
    ("writelines", "UVStream.writelines(self"),
];

/// Whether uvloop keeps buffers, by the version that the package itself says beside its library, or else the folder of
/// its metadata. One that says nothing is taken as an old one: with a new one that only costs the probe.
pub fn keeps_buffers(library: &Path) -> bool {
    let Some(package) = library.parent() else {
        return true;
    };
    let own = fs::read_to_string(package.join("_version.py"))
        .ok()
        .and_then(|text| stated(&text));
    own.or_else(|| in_metadata(package))
        .is_none_or(|version| version < WRITES_AT_ONCE)
}

/// `__version__ = '0.21.0'`
fn stated(text: &str) -> Option<(u32, u32)> {
    let line = text.lines().find_map(|line| line.strip_prefix("__version__"))?;
    version(line.trim_start_matches([' ', '=', '\'', '"']))
}

/// `uvloop-0.21.0.dist-info` beside the package.
fn in_metadata(package: &Path) -> Option<(u32, u32)> {
    let entries = fs::read_dir(package.parent()?).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter(|name| name.ends_with(".dist-info") || name.ends_with(".egg-info"))
        .find_map(|name| version(name.strip_prefix("uvloop-")?))
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(stated("# Note\n\n__version__ = '0.21.0'\n"), Some((0, 21)));
        assert_eq!(stated("__version__ = \"1.0\""), None);
        assert_eq!(version("0.22.1.dist-info"), Some((0, 22)));
        assert!(keeps_buffers(Path::new("/nowhere/uvloop/loop.so")));
    }
}
