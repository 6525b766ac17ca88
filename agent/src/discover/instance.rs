//! `service.instance.id`.

use std::sync::LazyLock;

use uuid::Uuid;

use super::ProcessKey;

/// The namespace that the semantic conventions give for instance ids made from something else
/// (<https://opentelemetry.io/docs/specs/semconv/resource/service/>).
const NAMESPACE: Uuid = Uuid::from_u128(0x4d63_009a_8d0f_11ee_aad7_4c79_6ed8_e320);

/// Changes with every boot, and differs between hosts: without it a start in ticks after boot could come again.
static BOOT: LazyLock<String> =
    LazyLock::new(|| std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default());

/// An id that is the same whenever the process is looked at, by whatever agent, and never another process's.
pub fn id(key: ProcessKey) -> String {
    let ProcessKey { pid, start_ticks } = key;
    let unique = format!("{}/{pid}/{start_ticks}", BOOT.trim());
    Uuid::new_v5(&NAMESPACE, unique.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_one_process() {
        let key = |pid, start_ticks| ProcessKey { pid, start_ticks };
        assert_eq!(id(key(1, 2)), id(key(1, 2)));
        assert_ne!(id(key(1, 2)), id(key(1, 3)));
        assert_ne!(id(key(1, 2)), id(key(2, 2)));
    }
}
