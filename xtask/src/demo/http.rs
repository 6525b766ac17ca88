//! One HTTP request to a service of the demo.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends `GET path` to a local port and returns the status code.
pub(crate) fn get(port: u16, path: &str) -> Result<u16> {
    let what = || format!("GET http://127.0.0.1:{port}{path}");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).with_context(what)?;
    stream.set_read_timeout(Some(TIMEOUT)).with_context(what)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: xtask\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).with_context(what)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(what)?;
    let Some(status) = status(&answer) else {
        bail!("{}: the answer is not HTTP", what())
    };
    Ok(status)
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(line)
        .ok()?
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_second_word() {
        assert_eq!(status(b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n"), Some(404));
        assert_eq!(status(b"HTTP/1.0 200 OK\r\n"), Some(200));
        assert_eq!(status(b"220 mail.example\r\n"), None);
    }
}
