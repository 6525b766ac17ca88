//! Which language a program is written in.

use std::path::Path;

use super::binary::{Binary, Interpreter};

/// What an executable is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// The language as the conventions name it (`python`, `go`, `nodejs`, …), if it is recognised.
    pub language: Option<&'static str>,
    /// Its version, if it can be read: Go's, Python's, rustc's.
    pub version: Option<String>,
    /// Path of a Go program's main package or module.
    pub go_module: Option<String>,
}

impl Runtime {
    fn new(language: &'static str, version: Option<String>) -> Self {
        Self {
            language: Some(language),
            version,
            go_module: None,
        }
    }
}

/// Executables by name: interpreters that are always called so, without their version.
const NAMES: [(&str, &str); 9] = [
    ("python", "python"),
    ("pypy", "python"),
    ("node", "nodejs"),
    ("nodejs", "nodejs"),
    ("java", "java"),
    ("ruby", "ruby"),
    ("php", "php"),
    ("php-fpm", "php"),
    ("dotnet", "dotnet"),
];

/// Libraries by the start of their name: what has them mapped runs the language.
const LIBRARIES: [(&str, &str); 5] = [
    ("libpython3.", "python"),
    ("libjvm.so", "java"),
    ("libcoreclr.so", "dotnet"),
    ("libruby", "ruby"),
    ("libphp", "php"),
];

/// What an executable is, if it says so by itself.
pub fn of_executable(executable: &Binary) -> Option<Runtime> {
    if let Some(go) = &executable.go {
        return Some(Runtime {
            language: Some("go"),
            version: Some(go.version.clone()),
            go_module: go.module.clone(),
        });
    }
    let holds = |interpreter| executable.interpreter == Some(interpreter);
    if holds(Interpreter::Python) && executable.python_version.is_some() {
        return Some(Runtime::new("python", executable.python_version.clone()));
    }
    holds(Interpreter::Node).then(|| Runtime::new("nodejs", None))
}

/// What a process is by its executable's name and its libraries; `python` is the version that its libpython says.
pub fn of_process(executable: &Binary, path: &Path, libraries: &[&str], python: Option<&str>) -> Runtime {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    let version_of = |language| match language {
        "python" => python
            .map(str::to_owned)
            .or_else(|| python_version(name, libraries)),
        _ => None,
    };
    let by_library = LIBRARIES
        .iter()
        .find(|(start, _)| libraries.iter().any(|library| library.starts_with(start)))
        .map(|(_, language)| *language);
    let by_name = NAMES
        .iter()
        .find(|(known, _)| *known == without_version(name))
        .map(|(_, language)| *language);
    let by_symbol = (executable.interpreter == Some(Interpreter::Python)).then_some("python");
    match by_symbol.or(by_library).or(by_name) {
        Some(language) => Runtime::new(language, version_of(language)),
        None => match &executable.rustc_version {
            Some(version) => Runtime::new("rust", Some(version.clone())),
            None => Runtime::default(),
        },
    }
}

/// Whether a library is `CPython`.
pub fn is_libpython(library: &str) -> bool {
    library.starts_with("libpython3.")
}

/// `3.11` from `python3.11` or `libpython3.11.so.1.0`.
fn python_version(executable: &str, libraries: &[&str]) -> Option<String> {
    let library = libraries
        .iter()
        .find_map(|library| library.strip_prefix("libpython"));
    let version = library.or_else(|| executable.strip_prefix("python"))?;
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let minor: String = minor.chars().take_while(char::is_ascii_digit).collect();
    (major == "3" && !minor.is_empty()).then(|| format!("{major}.{minor}"))
}

fn without_version(name: &str) -> &str {
    name.trim_end_matches(|character: char| character.is_ascii_digit() || matches!(character, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name(path: &str, libraries: &[&str]) -> (Option<&'static str>, Option<String>) {
        let runtime = of_process(&Binary::default(), Path::new(path), libraries, None);
        (runtime.language, runtime.version)
    }

    #[test]
    fn names_and_libraries() {
        assert_eq!(
            by_name("/usr/bin/python3.9", &[]),
            (Some("python"), Some("3.9".to_owned()))
        );
        let uwsgi = by_name("/usr/bin/uwsgi", &["libc.so.6", "libpython3.12.so.1.0"]);
        assert_eq!(uwsgi, (Some("python"), Some("3.12".to_owned())));
        assert_eq!(by_name("/opt/jdk/bin/java", &[]), (Some("java"), None));
        assert_eq!(by_name("/usr/sbin/php-fpm8.2", &[]), (Some("php"), None));
        assert_eq!(by_name("/usr/bin/node (deleted)", &[]), (Some("nodejs"), None));
        assert_eq!(by_name("/usr/sbin/nginx", &["libssl.so.3"]), (None, None));
    }
}
