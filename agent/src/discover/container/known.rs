//! What an engine's own description of a container says.

use std::collections::HashMap;

use serde::Deserialize;

/// What is known of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// All its names: the one it was given, its Compose service, its name in a pod.
    pub names: Vec<String>,
    /// The name under which its owner knows it: the service of a Compose project, the container of a pod, or the name it was
    /// given, if it was given one.
    pub service: Option<String>,
    /// What it is called, as resource attributes.
    pub attributes: Vec<(&'static str, String)>,
}

/// Labels of Docker that name the service, the first counts.
const LABELS: [&str; 2] = ["com.docker.compose.service", IN_POD];
/// Annotations that do: of containerd, CRI-O, nerdctl.
const ANNOTATIONS: [&str; 3] = ["io.kubernetes.cri.container-name", IN_POD, "nerdctl/name"];
const IN_POD: &str = "io.kubernetes.container.name";
/// Podman's name for a container.
const OF_PODMAN: &str = "io.container.manager.name";
/// Annotations with the image: of containerd, CRI-O.
const IMAGES: [&str; 2] = ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"];

/// Docker's `config.v2.json`, and its answer to `GET /containers/ID/json`, as far as they matter.
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
    labels: Option<HashMap<String, String>>,
}

/// The runtime's `config.json` (OCI), as far as it matters.
#[derive(Deserialize)]
struct OciConfiguration {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

impl Container {
    /// What Docker's description says.
    pub(super) fn of_docker(configuration: &str) -> Option<Self> {
        let container: DockerContainer = serde_json::from_str(configuration).ok()?;
        let labels = container.config.labels.unwrap_or_default();
        let name = container.name.trim_start_matches('/').to_owned();
        let services = all(&labels, &LABELS);
        let service = services.first().unwrap_or(&name).clone();
        let attributes = [
            ("container.name", Some(name.clone())),
            ("container.image.name", container.config.image),
            ("k8s.container.name", labels.get(IN_POD).cloned()),
        ];
        let is_named = !services.is_empty();
        let mut names = vec![name];
        names.extend(services);
        names.dedup();
        Some(Self {
            names,
            service: Some(service).filter(|name| is_named || !is_invented(name)),
            attributes: present(attributes),
        })
    }

    /// What a runtime's description says, if it has a name at all.
    pub(super) fn of_oci(configuration: &str) -> Option<Self> {
        let OciConfiguration { annotations } = serde_json::from_str(configuration).ok()?;
        let services = all(&annotations, &ANNOTATIONS);
        let mut names = services.clone();
        names.extend(annotations.get(OF_PODMAN).cloned());
        let given = all(&annotations, &["nerdctl/name", OF_PODMAN]);
        let attributes = [
            ("container.name", given.into_iter().next()),
            (
                "container.image.name",
                all(&annotations, &IMAGES).into_iter().next(),
            ),
            (
                "k8s.container.name",
                all(&annotations, &ANNOTATIONS[..2]).into_iter().next(),
            ),
        ];
        let service = services.into_iter().next();
        (!names.is_empty()).then(|| Self {
            names,
            service: service.filter(|name| !is_invented(name)),
            attributes: present(attributes),
        })
    }
}

/// The values of these keys that there are.
fn all(pairs: &HashMap<String, String>, keys: &[&str]) -> Vec<String> {
    let values = keys.iter().filter_map(|key| pairs.get(*key));
    values.filter(|value| !value.is_empty()).cloned().collect()
}

fn present<const N: usize>(attributes: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    let present = attributes
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    present.filter(|(_, value)| !value.is_empty()).collect()
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

    fn docker(name: &str, labels: &str) -> Container {
        let text =
            format!(r#"{{"ID":"x","Name":"/{name}","Config":{{"Image":"shop:1","Labels":{labels}}}}}"#);
        Container::of_docker(&text).unwrap()
    }

    #[test]
    fn docker_tells_the_service_or_the_given_name() {
        let service = |name: &str, labels: &str| docker(name, labels).service;
        let compose = r#"{"com.docker.compose.service":"shop"}"#;
        assert_eq!(service("project-shop-1", compose).as_deref(), Some("shop"));
        let pod = r#"{"io.kubernetes.container.name":"cart"}"#;
        assert_eq!(
            service("k8s_cart_cart-1_default_u_0", pod).as_deref(),
            Some("cart")
        );
        assert_eq!(service("orders", "null").as_deref(), Some("orders"));
        assert_eq!(service("boring_wozniak", "{}"), None);
        assert_eq!(service("boring_wozniak7", "{}"), None);
        assert_eq!(Container::of_docker("not json"), None);
        assert_eq!(Container::of_docker("{}"), None);
    }

    #[test]
    fn docker_tells_all_names_and_the_image() {
        let container = docker("demo-shop-1", r#"{"com.docker.compose.service":"shop"}"#);
        assert_eq!(container.names, ["demo-shop-1", "shop"]);
        assert_eq!(
            container.attributes,
            [
                ("container.name", "demo-shop-1".to_owned()),
                ("container.image.name", "shop:1".to_owned())
            ]
        );
        assert_eq!(docker("boring_wozniak", "{}").names, ["boring_wozniak"]);
    }

    #[test]
    fn annotations_tell_the_pods_container() {
        let text = r#"{"ociVersion":"1.1.0","annotations":{"io.kubernetes.cri.container-name":"cart",
            "io.kubernetes.cri.image-name":"cart:2"}}"#;
        let container = Container::of_oci(text).unwrap();
        assert_eq!(container.service.as_deref(), Some("cart"));
        assert_eq!(container.names, ["cart"]);
        assert_eq!(
            container.attributes,
            [
                ("container.image.name", "cart:2".to_owned()),
                ("k8s.container.name", "cart".to_owned())
            ]
        );
        assert_eq!(Container::of_oci(r#"{"ociVersion":"1.1.0"}"#), None);
        let podman = r#"{"annotations":{"io.container.manager.name":"orders"}}"#;
        let podman = Container::of_oci(podman).unwrap();
        assert_eq!((podman.service, podman.names), (None, vec!["orders".to_owned()]));
    }
}
