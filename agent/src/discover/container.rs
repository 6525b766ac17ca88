//! Which container a process runs in, and what that container is called.

mod engine;

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

pub use engine::Engine;

use serde::Deserialize;

/// Engines name containers by 32 random bytes in hexadecimal.
const ID_DIGITS: usize = 64;
/// Largest configuration file of an engine that is read.
const CONFIGURATION_BYTES: u64 = 1024 * 1024;

/// The container id of process `pid`, 64 hex digits.
pub fn id(pid: u32) -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    from_cgroup(&read("cgroup")).or_else(|| from_mounts(&read("mountinfo")))
}

/// The name under which its owner knows the container: the service of a Compose project, the container of a pod, or
/// the name it was given. Looked up in the engines' own files, which only a host agent can see.
pub fn name(id: &str) -> Option<String> {
    docker_name(id).or_else(|| {
        [
            format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"),
            format!("/run/containerd/io.containerd.runtime.v2.task/default/{id}/config.json"),
            format!("/run/containers/storage/overlay-containers/{id}/userdata/config.json"),
            format!("/var/lib/containers/storage/overlay-containers/{id}/userdata/config.json"),
        ]
        .iter()
        .find_map(|path| from_oci_annotations(&read(Path::new(path))?))
    })
}

/// What the container is called, as resource attributes: by its engine, and within its pod.
pub fn given_names(id: &str) -> Vec<(&'static str, String)> {
    let path: PathBuf = ["/var/lib/docker/containers", id, "config.v2.json"]
        .iter()
        .collect();
    read(&path).map(|text| given_by_docker(&text)).unwrap_or_default()
}

fn given_by_docker(configuration: &str) -> Vec<(&'static str, String)> {
    let Ok(container) = serde_json::from_str::<DockerContainer>(configuration) else {
        return Vec::new();
    };
    let labels = container.config.labels.unwrap_or_default();
    let name = container.name.trim_start_matches('/').to_owned();
    let in_pod = labels.get("io.kubernetes.container.name").cloned();
    [
        ("container.name", Some(name)),
        ("container.image.name", container.config.image),
        ("k8s.container.name", in_pod),
    ]
    .into_iter()
    .filter_map(|(attribute, name)| Some((attribute, name.filter(|name| !name.is_empty())?)))
    .collect()
}

/// The id in `/proc/PID/cgroup`: `/docker/ID`, `/system.slice/docker-ID.scope`, `…/cri-containerd-ID.scope`,
/// `…/crio-ID.scope`, `…/libpod-ID.scope/container`, `/kubepods/…/podUID/ID`, with v1 and v2 alike. The innermost counts.
fn from_cgroup(cgroup: &str) -> Option<String> {
    cgroup.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        path.rsplit('/').find_map(|part| {
            let part = part.strip_suffix(".scope").unwrap_or(part);
            let id = part.rsplit(['-', ':']).next().unwrap_or(part);
            // CRI-O's monitor of a container is not in it.
            (is_id(id) && !part.contains("conmon")).then(|| id.to_owned())
        })
    })
}

/// With a private cgroup namespace the cgroup path says nothing; the files that engines mount into every container
/// still come from a folder named by the id.
fn from_mounts(mountinfo: &str) -> Option<String> {
    const INJECTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let root = fields.next()?;
        if !INJECTED.contains(&fields.next()?) {
            return None;
        }
        // The last id: a container inside a container has both in its path.
        root.rsplit('/').find(|part| is_id(part)).map(str::to_owned)
    })
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(CONFIGURATION_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

/// Docker's `config.v2.json`, as far as it matters.
#[derive(Deserialize)]
struct DockerContainer {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Config")]
    config: DockerConfig,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "Image", default)]
    image: Option<String>,
    #[serde(rename = "Labels", default)]
    labels: Option<std::collections::HashMap<String, String>>,
}

fn docker_name(id: &str) -> Option<String> {
    let path: PathBuf = ["/var/lib/docker/containers", id, "config.v2.json"]
        .iter()
        .collect();
    from_docker(&read(&path)?)
}

fn from_docker(configuration: &str) -> Option<String> {
    let container: DockerContainer = serde_json::from_str(configuration).ok()?;
    let labels = container.config.labels.unwrap_or_default();
    ["com.docker.compose.service", "io.kubernetes.container.name"]
        .iter()
        .find_map(|label| labels.get(*label).cloned())
        .or_else(|| Some(container.name.trim_start_matches('/').to_owned()).filter(|name| !is_invented(name)))
}

/// The runtime's `config.json` (OCI), as far as it matters.
#[derive(Deserialize)]
struct OciConfiguration {
    #[serde(default)]
    annotations: std::collections::HashMap<String, String>,
}

fn from_oci_annotations(configuration: &str) -> Option<String> {
    let OciConfiguration { annotations } = serde_json::from_str(configuration).ok()?;
    // containerd, CRI-O, nerdctl.
    [
        "io.kubernetes.cri.container-name",
        "io.kubernetes.container.name",
        "nerdctl/name",
    ]
    .iter()
    .find_map(|name| annotations.get(*name).cloned())
    .filter(|name| !name.is_empty() && !is_invented(name))
}

/// Whether a name looks like one that Docker makes up (`adjective_surname`, moby's pkg/namesgenerator): such a name says
/// nothing about the service.
fn is_invented(name: &str) -> bool {
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    name.split_once('_').is_some_and(|(adjective, surname)| {
        letters(adjective) && letters(surname.trim_end_matches(|digit: char| digit.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn cgroups_of_all_engines() {
        for path in [
            "12:memory:/docker/ID",
            "0::/system.slice/docker-ID.scope",
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-ID.scope",
            "5:cpu:/kubepods/burstable/pod8c5e7e4c-31c1-4f4b-8d7f-000000000000/ID",
            "0::/kubepods.slice/kubepods-pod1.slice/crio-ID.scope",
            "0::/machine.slice/libpod-ID.scope/container",
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            "0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:ID",
            "0::/../cri-containerd-ID.scope",
        ] {
            let cgroup = format!("11:pids:/init.scope\n{}\n", path.replace("ID", ID));
            assert_eq!(from_cgroup(&cgroup).as_deref(), Some(ID), "{path}");
        }
    }

    #[test]
    fn no_container() {
        for cgroup in [
            "0::/user.slice/user-1000.slice/session-1.scope\n",
            "0::/\n",
            "",
            &format!("0::/machine.slice/libpod-conmon-{ID}.scope\n"),
            &format!("0::/docker/{}\n", &ID[..40]),
        ] {
            assert_eq!(from_cgroup(cgroup), None, "{cgroup}");
        }
    }

    #[test]
    fn injected_files_tell_the_id_where_the_cgroup_does_not() {
        let mounts = format!(
            "600 599 0:30 / / rw - overlay overlay rw\n\
             601 600 8:1 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n"
        );
        assert_eq!(from_mounts(&mounts).as_deref(), Some(ID));
        let podman = format!(
            "601 600 0:25 /containers/storage/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n"
        );
        assert_eq!(from_mounts(&podman).as_deref(), Some(ID));
        let host =
            format!("601 600 8:1 /var/lib/docker/containers/{ID}/x /mnt/backup rw - ext4 /dev/sda1 rw\n");
        assert_eq!(from_mounts(&host), None);
    }

    #[test]
    fn docker_tells_the_service_or_the_given_name() {
        let named = |name: &str, labels: &str| {
            from_docker(&format!(
                r#"{{"ID":"x","Name":"/{name}","Config":{{"Labels":{labels}}}}}"#
            ))
        };
        let compose = r#"{"com.docker.compose.service":"shop"}"#;
        assert_eq!(named("project-shop-1", compose).as_deref(), Some("shop"));
        let pod = r#"{"io.kubernetes.container.name":"cart"}"#;
        assert_eq!(named("k8s_cart_cart-1_default_u_0", pod).as_deref(), Some("cart"));
        assert_eq!(named("orders", "null").as_deref(), Some("orders"));
        assert_eq!(named("boring_wozniak", "{}"), None);
        assert_eq!(named("boring_wozniak7", "{}"), None);
        assert_eq!(from_docker("not json"), None);
    }

    #[test]
    fn docker_tells_the_containers_own_name() {
        let configuration = r#"{"Name":"/demo-shop-1","Config":{"Image":"shop:1","Labels":{"com.docker.compose.service":"shop"}}}"#;
        assert_eq!(
            given_by_docker(configuration),
            [
                ("container.name", "demo-shop-1".to_owned()),
                ("container.image.name", "shop:1".to_owned())
            ]
        );
        assert_eq!(given_by_docker("{}"), []);
    }

    #[test]
    fn annotations_tell_the_pods_container() {
        let configuration =
            r#"{"ociVersion":"1.1.0","annotations":{"io.kubernetes.cri.container-name":"cart"}}"#;
        assert_eq!(from_oci_annotations(configuration).as_deref(), Some("cart"));
        assert_eq!(from_oci_annotations(r#"{"ociVersion":"1.1.0"}"#), None);
    }
}
