//! Programs that tell the tests what really happened: system calls, loaded eBPF programs, network namespaces and what they translate.

use super::apt;
use crate::command::find_in_path;
use crate::progress::Step;

/// Program, and Debian's package of it.
const WITNESSES: [(&str, &str); 4] = [
    ("strace", "strace"),
    ("bpftool", "bpftool"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
];

/// Installs those that are missing, where that is possible; a test that lacks one skips itself and names it.
pub(crate) fn ensure(step: &Step) {
    if !apt::may_install() {
        return;
    }
    for (program, package) in WITNESSES {
        let administrators = || {
            ["/usr/sbin", "/sbin"]
                .iter()
                .any(|folder| std::path::Path::new(folder).join(program).exists())
        };
        if find_in_path(program).is_none() && !administrators() {
            // Not every release has all of them.
            let _ = apt::install(step, &[package]);
        }
    }
}
