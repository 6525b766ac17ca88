//! The workload's name from a pod's host name.

use super::super::facts::Facts;

/// Inode of the first UTS namespace (`PROC_UTS_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL_UTS_NAMESPACE: u64 = 0xEFFF_FFFE;
/// Letters of the suffixes that Kubernetes makes up (`rand.SafeEncodeString`, apimachinery pkg/util/rand): no vowels, and
/// nothing that is easily misread.
const SUFFIX_LETTERS: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The name of the process's pod: its host name, if that certainly is a pod's.
pub fn pod(facts: &Facts) -> Option<&str> {
    of(facts).and(facts.variable("HOSTNAME"))
}

/// Whether the pod belongs to a `StatefulSet`, if it belongs to anything.
pub fn is_stateful(facts: &Facts) -> bool {
    let last = facts
        .variable("HOSTNAME")
        .and_then(|name| name.rsplit('-').next());
    last.is_some_and(|last| last.len() <= 3)
}

/// The name of the `Deployment` or `StatefulSet` to which the process's pod belongs, if its host name certainly is a pod's.
pub fn of(facts: &Facts) -> Option<String> {
    facts.variable("KUBERNETES_SERVICE_HOST")?;
    // With hostNetwork the pod has the node's name.
    if matches!(facts.uts_namespace, 0 | INITIAL_UTS_NAMESPACE) {
        return None;
    }
    workload(facts.variable("HOSTNAME")?)
}

fn workload(pod: &str) -> Option<String> {
    let (rest, last) = pod.rsplit_once('-')?;
    if !last.is_empty() && last.len() <= 3 && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(rest.to_owned()); // StatefulSet: NAME-0
    }
    if !is_suffix(last, 5..=5) {
        return None;
    }
    // Deployment: NAME-TEMPLATEHASH-xxxxx
    let (name, hash) = rest.rsplit_once('-')?;
    (is_suffix(hash, 8..=10) && !name.is_empty()).then(|| name.to_owned())
}

fn is_suffix(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.chars().all(|letter| SUFFIX_LETTERS.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_deployments_and_stateful_sets() {
        assert_eq!(workload("shop-7d9f8b6c5d-x2x4z").as_deref(), Some("shop"));
        assert_eq!(workload("web-shop-64c6bf9f7-2qnzx").as_deref(), Some("web-shop"));
        assert_eq!(workload("orders-0").as_deref(), Some("orders"));
        for other in [
            "shop",
            "web-cache-aaaaa",
            "shop-7d9f8b6c5d",
            "node-bcdfg",
            "-7d9f8b6c5d-x2x4z",
        ] {
            assert_eq!(workload(other), None, "{other}");
        }
    }

    #[test]
    fn a_host_name_outside_of_a_pod_counts_nothing() {
        let mut facts = Facts {
            environment: vec![("HOSTNAME".to_owned(), "orders-0".to_owned())],
            uts_namespace: 4_026_532_000,
            ..Facts::default()
        };
        assert_eq!(of(&facts), None);
        facts
            .environment
            .push(("KUBERNETES_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned()));
        assert_eq!(of(&facts).as_deref(), Some("orders"));
        facts.uts_namespace = INITIAL_UTS_NAMESPACE;
        assert_eq!(of(&facts), None);
    }
}
