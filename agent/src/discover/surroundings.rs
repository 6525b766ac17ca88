//! What a process runs in, as resource attributes: its container and its pod.
//!
//! A pod is known from what Kubernetes gives every container (its host name, the service account's folder, the path of its
//! cgroup), and from what its owner passes on by the downward API, under the names that OpenTelemetry's documentation and its
//! operator use.

use std::{fs::File, io::Read as _};

use super::{facts::Facts, name::kubernetes};

/// Environment variables that carry an attribute of the pod, the first that is set counts.
const DOWNWARD: [(&str, &[&str]); 5] = [
    (
        "k8s.pod.name",
        &[
            "OTEL_RESOURCE_ATTRIBUTES_POD_NAME",
            "K8S_POD_NAME",
            "POD_NAME",
            "MY_POD_NAME",
        ],
    ),
    (
        "k8s.namespace.name",
        &[
            "K8S_NAMESPACE",
            "K8S_POD_NAMESPACE",
            "POD_NAMESPACE",
            "MY_POD_NAMESPACE",
        ],
    ),
    (
        "k8s.pod.uid",
        &["OTEL_RESOURCE_ATTRIBUTES_POD_UID", "K8S_POD_UID", "POD_UID"],
    ),
    (
        "k8s.node.name",
        &[
            "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME",
            "K8S_NODE_NAME",
            "NODE_NAME",
            "MY_NODE_NAME",
        ],
    ),
    (
        "k8s.container.name",
        &[
            "OTEL_RESOURCE_ATTRIBUTES_CONTAINER_NAME",
            "K8S_CONTAINER_NAME",
            "CONTAINER_NAME",
        ],
    ),
];

/// Where Kubernetes tells every container its namespace, unless it is told not to.
const NAMESPACE: &str = "var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The longest name of an object in Kubernetes.
const NAME_BYTES: u64 = 253;

/// What is known of the surroundings of a process, `found` of its container included; each name once.
pub(super) fn of(
    pid: u32,
    facts: &Facts,
    mut found: Vec<(&'static str, String)>,
) -> Vec<(&'static str, String)> {
    if facts.variable("KUBERNETES_SERVICE_HOST").is_none() {
        return found;
    }
    let mut add = |name, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty())
            && found.iter().all(|(known, _)| *known != name)
        {
            found.push((name, value));
        }
    };
    for (name, variables) in DOWNWARD {
        let told = variables.iter().find_map(|variable| facts.variable(variable));
        add(name, told.map(str::to_owned));
    }
    add("k8s.pod.name", kubernetes::pod(facts).map(str::to_owned));
    if kubernetes::is_stateful(facts) {
        add("k8s.statefulset.name", kubernetes::of(facts));
    } else {
        add("k8s.deployment.name", kubernetes::of(facts));
    }
    add("k8s.namespace.name", namespace(pid));
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    add("k8s.pod.uid", pod_uid(&cgroup));
    found
}

fn namespace(pid: u32) -> Option<String> {
    let mut text = String::new();
    File::open(format!("/proc/{pid}/root/{NAMESPACE}"))
        .ok()?
        .take(NAME_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    Some(text.trim().to_owned())
}

/// The pod's id in a path such as `/kubepods/burstable/podUID/…` (cgroupfs) or `/kubepods-burstable-podU_I_D.slice/…` (systemd,
/// which has underscores for the dashes).
fn pod_uid(cgroup: &str) -> Option<String> {
    let parts = cgroup.lines().flat_map(|line| line.split('/'));
    let uids = parts.filter_map(|part| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        let uid = match part.strip_prefix("kubepods") {
            Some(rest) => rest.split_once("-pod")?.1,
            None => part.strip_prefix("pod")?,
        };
        Some(uid.replace('_', "-"))
    });
    uids.into_iter().find(|uid| is_uid(uid))
}

/// A UUID, or the hash that a static pod has for one.
fn is_uid(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_id_is_in_the_path_of_its_cgroup() {
        let uid = "8c5e7e4c-31c1-4f4b-8d7f-0123456789ab";
        for path in [
            format!("5:cpu:/kubepods/burstable/pod{uid}/0123"),
            format!(
                "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{}.slice/cri-x.scope",
                uid.replace('-', "_")
            ),
            format!(
                "0::/kubelet.slice/kubepods-pod{}.slice/cri-x.scope",
                uid.replace('-', "_")
            ),
        ] {
            assert_eq!(pod_uid(&path).as_deref(), Some(uid), "{path}");
        }
        assert_eq!(pod_uid("0::/system.slice/podman.service"), None);
        assert_eq!(pod_uid("0::/kubepods.slice/kubepods-podx.slice"), None);
    }

    #[test]
    fn the_pod_is_known_from_its_environment_and_only_there() {
        let mut facts = Facts {
            uts_namespace: 4_026_532_000,
            environment: [("HOSTNAME", "shop-7d9f8b6c5d-x2x4z"), ("NODE_NAME", "node-1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Facts::default()
        };
        assert_eq!(of(u32::MAX, &facts, Vec::new()), []);
        let host = ("KUBERNETES_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned());
        facts.environment.push(host);
        assert_eq!(
            of(u32::MAX, &facts, Vec::new()),
            [
                ("k8s.node.name", "node-1".to_owned()),
                ("k8s.pod.name", "shop-7d9f8b6c5d-x2x4z".to_owned()),
                ("k8s.deployment.name", "shop".to_owned()),
            ]
        );
        facts
            .environment
            .push(("POD_NAME".to_owned(), "said-0".to_owned()));
        assert!(of(u32::MAX, &facts, Vec::new()).contains(&("k8s.pod.name", "said-0".to_owned())));
    }
}
