//! A host and its port.

use std::net::SocketAddr;

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Domain name, IP address without brackets, or path of a UNIX socket.
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Address {
    /// Reads `host`, `host:port`, `1.2.3.4:port`, `[v6]` or `[v6]:port`, with or without `user@` before it. None when
    /// there is no host in it.
    pub(super) fn parse(authority: &str) -> Option<Self> {
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host)
            .trim();
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                (host, after.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = port.and_then(|port| port.parse().ok());
        (!host.is_empty()).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Self {
        // A v4 client of a v6 socket is the same host whichever socket it reached.
        Self {
            host: socket.ip().to_canonical().to_string(),
            port: Some(socket.port()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_of_all_forms_are_read() {
        for (text, expected) in [
            ("example.com", Some(("example.com", None))),
            ("example.com:8080", Some(("example.com", Some(8080)))),
            ("10.1.2.3:80", Some(("10.1.2.3", Some(80)))),
            ("[::1]", Some(("::1", None))),
            ("[2001:db8::1]:8443", Some(("2001:db8::1", Some(8443)))),
            ("user:secret@example.com:81", Some(("example.com", Some(81)))),
            ("example.com:", Some(("example.com", None))),
            ("example.com:99999", Some(("example.com", None))),
            ("", None),
            (":80", None),
            ("[::1", None),
        ] {
            let expected = expected.map(|(host, port)| Address {
                host: host.to_owned(),
                port,
            });
            assert_eq!(Address::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_v4_host() {
        let socket: SocketAddr = "[::ffff:10.0.0.7]:5432".parse().unwrap();
        assert_eq!(
            Address::from(socket),
            Address {
                host: "10.0.0.7".to_owned(),
                port: Some(5432)
            }
        );
    }
}
