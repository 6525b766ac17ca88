//! Ends what the tests started when the tests themselves are killed.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
};

/// Keeps the list of live process groups; its standard input ends with us, however we end.
const SCRIPT: &str = r#"
live=" "
while read -r what group; do
    case $what in
        add) live="$live$group " ;;
        drop) live="${live%% $group *} ${live#* $group }" ;;
    esac
done
for group in $live; do kill -KILL "-$group" 2>/dev/null; done
"#;

static REAPER: LazyLock<Mutex<Option<(Child, ChildStdin)>>> = LazyLock::new(|| Mutex::new(start()));

/// Remembers a process group as ours.
pub(crate) fn adopt(group: u32) {
    tell("add", group);
}

/// Forgets a process group that has ended.
pub(crate) fn forget(group: u32) {
    tell("drop", group);
}

fn tell(what: &str, group: u32) {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, input)) = reaper.as_mut() {
        // Without a reaper a killed test run leaves processes behind; the tests themselves are not the worse for it.
        let _ = writeln!(input, "{what} {group}");
    }
}

fn start() -> Option<(Child, ChildStdin)> {
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    let input = child.stdin.take()?;
    Some((child, input))
}
