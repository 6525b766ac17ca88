//! LAYOUT: where the runtime's structures have what the kernel side reads.

use crate::inspect::elf::Machine;

/// Offsets in Go's `runtime.g` and `runtime.m`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Of `m` in `g`.
    pub m: u32,
    /// Of `goid` in `g`.
    pub goid: u32,
    /// Of `curg` in `m`.
    pub curg: u32,
}

/// Oldest Go 1.x on x86-64: since then a goroutine's `g` is in a register and arguments too (Go, abi-internal.md).
const OLDEST: u32 = 17;
/// The same on arm64.
const OLDEST_ARM64: u32 = 18;
/// Newest Go 1.x that was looked at.
const NEWEST: u32 = 27;

/// The first Go 1.x of each layout, newest first. From DWARF and src/runtime/runtime2.go: 1.19.8, 1.21.13, 1.22.10,
/// 1.23.9 (1.23.1 has the same), 1.24.11, 1.25.0 to 1.25.5, 1.26.0 to 1.26.8, 1.27.0 to 1.27.3; x86-64 and arm64 are
/// alike.
const LAYOUTS: [(u32, Layout); 3] = [
    // `gobuf` lost `ret`: what follows it in `g` and `m` moved by 8.
    (25, layout(152, 184)),
    // `g` got `syscallbp`.
    (23, layout(160, 192)),
    // 1.17, 1.18 and 1.20 were counted from runtime2.go only.
    (OLDEST, layout(152, 192)),
];

const fn layout(goid: u32, curg: u32) -> Layout {
    Layout { m: 48, goid, curg }
}

/// The layout of a version as the build information has it, for example `1.24.4`; an error says why there is none.
pub fn of(version: &str, machine: Machine) -> Result<Layout, String> {
    let Some(minor) = minor(version) else {
        return Err(format!(
            "Go \"{version}\" is no release, so its inner structures are not known"
        ));
    };
    if minor > NEWEST {
        return Err(format!(
            "Go {version} is newer than 1.{NEWEST}, the newest that this sidelight knows"
        ));
    }
    let oldest = match machine {
        Machine::X86_64 => OLDEST,
        Machine::Arm64 => OLDEST_ARM64,
    };
    LAYOUTS
        .iter()
        .find(|(first, _)| minor >= oldest && *first <= minor)
        .map(|(_, layout)| *layout)
        .ok_or_else(|| format!("Go {version} is older than 1.{oldest}, the oldest that sidelight knows"))
}

/// `24` from `1.24`, `1.24.4`, `1.24rc1` and `1.24.4-vendor`; a version in development has no number.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("1.")?;
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str) -> Result<Layout, String> {
        super::of(version, Machine::X86_64)
    }

    #[test]
    fn versions_have_their_layout() {
        let goid_and_curg = |version| of(version).map(|layout| (layout.goid, layout.curg)).ok();
        for (version, expected) in [
            ("1.17.13", (152, 192)),
            ("1.22rc1", (152, 192)),
            ("1.23.0", (160, 192)),
            ("1.24.4-vendor", (160, 192)),
            ("1.25", (152, 184)),
            ("1.27.3", (152, 184)),
        ] {
            assert_eq!(goid_and_curg(version), Some(expected), "{version}");
        }
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert!(of("1.28.0").unwrap_err().contains("newer than 1.27"));
        assert!(of("1.16.15").unwrap_err().contains("older than 1.17"));
        let on_arm64 = super::of("1.17.13", Machine::Arm64);
        assert!(on_arm64.unwrap_err().contains("older than 1.18"));
        for version in ["devel", "unknown", "", "2.0", "1.", "1.99999999999"] {
            assert!(of(version).unwrap_err().contains("no release"), "{version}");
        }
    }
}
