//! What engines know of containers: in their own files, or asked of Docker.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::known::Container;

/// Where Docker listens.
const SOCKET: &str = "/var/run/docker.sock";
/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a container that nobody knew is not asked for again.
const REST: Duration = Duration::from_secs(10);
/// Largest description of a container that is read.
const CONFIGURATION_BYTES: u64 = 1024 * 1024;
/// The host's files as the first process sees them: an agent in a container that shares the host's process ids sees
/// that process.
const HOST: &str = "/proc/1/root";

/// Who knows containers.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    known: HashMap<String, Container>,
    /// Containers that nobody knew, and when that was.
    unknown: HashMap<String, Instant>,
}

impl Engine {
    /// The engine that listens there, or at its usual place.
    pub fn new(socket: Option<&Path>) -> Self {
        Self {
            socket: socket.unwrap_or(Path::new(SOCKET)).to_owned(),
            known: HashMap::new(),
            unknown: HashMap::new(),
        }
    }

    /// What is known of a container: looked up in the engines' files, then asked of Docker; and remembered.
    pub fn container(&mut self, id: &str) -> Container {
        if let Some(container) = self.known.get(id) {
            return container.clone();
        }
        self.unknown.retain(|_, since| since.elapsed() < REST);
        if self.unknown.contains_key(id) {
            return Container::default();
        }
        let asked = || Container::of_docker(&ask(&self.socket, id).ok()?);
        let Some(container) = of_files(id).or_else(asked) else {
            self.unknown.insert(id.to_owned(), Instant::now());
            return Container::default();
        };
        self.known.insert(id.to_owned(), container.clone());
        container
    }
}

fn of_files(id: &str) -> Option<Container> {
    ["", HOST].iter().find_map(|root| {
        let docker = format!("{root}/var/lib/docker/containers/{id}/config.v2.json");
        let others = [
            format!("{root}/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"),
            format!("{root}/run/containerd/io.containerd.runtime.v2.task/default/{id}/config.json"),
            format!("{root}/run/containers/storage/overlay-containers/{id}/userdata/config.json"),
            format!("{root}/var/lib/containers/storage/overlay-containers/{id}/userdata/config.json"),
        ];
        read(&docker)
            .and_then(|text| Container::of_docker(&text))
            .or_else(|| others.iter().find_map(|path| Container::of_oci(&read(path)?)))
    })
}

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(CONFIGURATION_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
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

    /// Answers one request at a socket of the test's own; what was asked.
    fn answering(name: &str, answer: &'static str) -> (PathBuf, thread::JoinHandle<String>) {
        let path = std::env::temp_dir().join(format!("sidelight-engine-{name}-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 512];
            let length = stream.read(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        (path, answering)
    }

    #[test]
    fn docker_is_asked_and_the_answer_remembered() {
        let (path, answering) = answering(
            "known",
            "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n\
             {\"Name\":\"/shop-cart-1\",\"Config\":{\"Labels\":{\"com.docker.compose.service\":\"cart\"}}}",
        );
        let mut engine = Engine::new(Some(&path));
        let (first, again) = (engine.container(ID), engine.container(ID));
        let asked = answering.join().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(first.names, ["shop-cart-1", "cart"]);
        assert_eq!(first.service.as_deref(), Some("cart"));
        assert_eq!(again, first);
        assert!(
            asked.starts_with(&format!("GET /containers/{ID}/json ")),
            "{asked}"
        );
    }

    #[test]
    fn an_engine_that_does_not_know_it_is_not_asked_again_at_once() {
        let (path, answering) = answering("unknown", "HTTP/1.0 404 Not Found\r\n\r\n{}");
        let mut engine = Engine::new(Some(&path));
        assert_eq!(engine.container(ID), Container::default());
        answering.join().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(engine.container(ID), Container::default());
        assert_eq!(engine.unknown.len(), 1);
    }

    #[test]
    fn an_engine_that_is_not_there_knows_no_names() {
        let mut engine = Engine::new(Some(Path::new("/nowhere.sock")));
        assert_eq!(engine.container(ID), Container::default());
    }
}
