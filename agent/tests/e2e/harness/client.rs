//! An HTTP/1.1 client that shows every byte: nothing is retried, followed or added.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

/// Names in lower case, and values.
type Headers = Vec<(String, String)>;

/// An answer, its body unwrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// Whether the server ends the connection with this answer.
    pub(crate) closes: bool,
}

impl Response {
    /// A header's value; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One connection.
pub(crate) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

impl Connection {
    /// Connects; reads and writes that take half a minute fail.
    pub(crate) fn open(address: &Address) -> Result<Self> {
        let patience = Some(Duration::from_secs(30));
        let stream: Box<dyn Stream> = match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(patience)?;
                stream.set_write_timeout(patience)?;
                Box::new(stream)
            }
            Address::Unix(path) => {
                let stream =
                    UnixStream::connect(path).with_context(|| format!("connect to {}", path.display()))?;
                stream.set_read_timeout(patience)?;
                stream.set_write_timeout(patience)?;
                Box::new(stream)
            }
        };
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .get_mut()
            .write_all(bytes)
            .context("write the request")
    }

    /// Reads `size` bytes as they are.
    pub(crate) fn take(&mut self, size: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        self.stream
            .read_exact(&mut bytes)
            .context("read from the server")?;
        Ok(bytes)
    }

    /// Sends a request with a body (empty: none) and reads the answer.
    pub(crate) fn request(&mut self, method: &str, target: &str, body: &[u8]) -> Result<Response> {
        self.send(&request(method, target, body))?;
        self.response(method)
    }

    /// Reads the answer to a request with `method`; interim answers (1xx other than 101) are passed over.
    pub(crate) fn response(&mut self, method: &str) -> Result<Response> {
        loop {
            let (version, status, headers) = self.head()?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let mut response = Response {
                status,
                headers,
                body: Vec::new(),
                closes: version == "HTTP/1.0",
            };
            if let Some(value) = response.header("connection") {
                response.closes = value.eq_ignore_ascii_case("close");
            }
            self.body(method, &mut response)?;
            return Ok(response);
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream
            .read_until(b'\n', &mut line)
            .context("read the answer")?;
        ensure!(
            line.ends_with(b"\n"),
            "the server closed the connection in the middle of an answer"
        );
        Ok(String::from_utf8(line)
            .context("the answer's head is no text")?
            .trim_end()
            .to_owned())
    }

    fn head(&mut self) -> Result<(String, u16, Headers)> {
        let line = self.line()?;
        let mut words = line.splitn(3, ' ');
        let (Some(version), Some(Ok(status))) = (words.next(), words.next().map(str::parse)) else {
            bail!("no status line: {line:?}");
        };
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok((version.to_owned(), status, headers))
    }

    fn body(&mut self, method: &str, response: &mut Response) -> Result<()> {
        let tunnel = method == "CONNECT" && response.status < 300;
        if method == "HEAD" || tunnel || matches!(response.status, 101 | 204 | 304) {
            return Ok(());
        }
        if response
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            response.body = self.chunks()?;
        } else if let Some(length) = response.header("content-length") {
            response.body = self.take(length.parse().context("Content-Length is no number")?)?;
        } else {
            self.stream
                .read_to_end(&mut response.body)
                .context("read the body until the end")?;
            response.closes = true;
        }
        Ok(())
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16)
                .with_context(|| format!("no chunk size: {line:?}"))?;
            if size == 0 {
                break;
            }
            body.extend(self.take(size)?);
            ensure!(
                self.line()?.is_empty(),
                "a chunk does not end where its size says"
            );
        }
        while !self.line()?.is_empty() {}
        Ok(body)
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n").into_bytes();
    bytes.extend(body);
    bytes
}

/// One GET on a connection of its own.
pub(crate) fn get(address: &Address, target: &str) -> Result<Response> {
    Connection::open(address)?
        .request("GET", target, b"")
        .with_context(|| format!("GET {target}"))
}
