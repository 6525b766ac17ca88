//! All names of a container, as its engine knows them.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{CONFIGURATION_BYTES, DockerContainer, OciConfiguration, read};

/// Where Docker listens.
const SOCKET: &str = "/var/run/docker.sock";
/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The host's files as the first process sees them: an agent in a container that shares the host's process ids sees
/// that process.
const HOST: &str = "/proc/1/root";

/// Who knows the names of containers.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    known: HashMap<String, Vec<String>>,
}

impl Engine {
    /// The engine that listens there, or at its usual place.
    pub fn new(socket: Option<&Path>) -> Self {
        Self {
            socket: socket.unwrap_or(Path::new(SOCKET)).to_owned(),
            known: HashMap::new(),
        }
    }

    /// All names of a container: the one it was given, its Compose service, its name in a pod. Looked up in the engines'
    /// files, then asked of Docker; and remembered once there are any.
    pub fn names(&mut self, id: &str) -> Vec<String> {
        if let Some(names) = self.known.get(id) {
            return names.clone();
        }
        let names = of_files(id)
            .or_else(|| of_docker(&ask(&self.socket, id).ok()?))
            .unwrap_or_default();
        if !names.is_empty() {
            self.known.insert(id.to_owned(), names.clone());
        }
        names
    }
}

fn of_files(id: &str) -> Option<Vec<String>> {
    ["", HOST].iter().find_map(|root| {
        let docker = format!("{root}/var/lib/docker/containers/{id}/config.v2.json");
        let others = [
            format!("{root}/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"),
            format!("{root}/run/containerd/io.containerd.runtime.v2.task/default/{id}/config.json"),
            format!("{root}/run/containers/storage/overlay-containers/{id}/userdata/config.json"),
            format!("{root}/var/lib/containers/storage/overlay-containers/{id}/userdata/config.json"),
        ];
        let text = |path: &String| read(Path::new(path));
        text(&docker)
            .and_then(|text| of_docker(&text))
            .or_else(|| others.iter().find_map(|path| of_annotations(&text(path)?)))
    })
}

fn of_docker(configuration: &str) -> Option<Vec<String>> {
    let container: DockerContainer = serde_json::from_str(configuration).ok()?;
    let labels = container.config.labels.unwrap_or_default();
    let mut names = vec![container.name.trim_start_matches('/').to_owned()];
    for label in ["com.docker.compose.service", "io.kubernetes.container.name"] {
        names.extend(labels.get(label).cloned());
    }
    names.dedup();
    Some(names)
}

fn of_annotations(configuration: &str) -> Option<Vec<String>> {
    let OciConfiguration { annotations } = serde_json::from_str(configuration).ok()?;
    let names: Vec<String> = [
        "io.kubernetes.cri.container-name",
        "io.kubernetes.container.name",
        "nerdctl/name",
        "io.container.manager.name",
    ]
    .iter()
    .filter_map(|name| annotations.get(*name).cloned())
    .collect();
    (!names.is_empty()).then_some(names)
}

/// What Docker says of a container (`GET /containers/{id}/json` of its Engine API), which has the same form as its file. An
/// answer to HTTP/1.0 ends with the connection and is in one piece.
fn ask(socket: &Path, id: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /containers/{id}/json HTTP/1.0\r\nHost: docker\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(CONFIGURATION_BYTES).read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        _ => Err(io::Error::other("the engine does not know this container")),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn docker_is_asked_and_the_answer_remembered() {
        let path = std::env::temp_dir().join(format!("sidelight-engine-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 512];
            let length = stream.read(&mut asked).unwrap();
            let body = r#"{"Name":"/shop-cart-1","Config":{"Labels":{"com.docker.compose.service":"cart"}}}"#;
            write!(
                stream,
                "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}"
            )
            .unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let mut engine = Engine::new(Some(&path));
        let (first, again) = (engine.names(ID), engine.names(ID));
        let asked = answering.join().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(first, ["shop-cart-1", "cart"]);
        assert_eq!(again, first);
        assert!(
            asked.starts_with(&format!("GET /containers/{ID}/json ")),
            "{asked}"
        );
    }

    #[test]
    fn an_engine_that_is_not_there_knows_no_names() {
        assert!(Engine::new(Some(Path::new("/nowhere.sock"))).names(ID).is_empty());
    }

    #[test]
    fn annotations_have_names_too() {
        let text = r#"{"annotations":{"io.kubernetes.cri.container-name":"cart"}}"#;
        assert_eq!(of_annotations(text), Some(vec!["cart".to_owned()]));
        assert_eq!(of_annotations("{}"), None);
    }
}
