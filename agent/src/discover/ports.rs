//! Which TCP ports a process listens on.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader},
};

/// `TCP_LISTEN` of the kernel's `include/net/tcp_states.h`, as `/proc/net/tcp` shows it.
const LISTEN: &str = "0A";

/// The listening sockets of one network namespace: inode number to port.
#[derive(Clone, Debug, Default)]
pub struct Listeners(HashMap<u64, u16>);

impl Listeners {
    /// The listening sockets of the network namespace in which process `pid` is.
    ///
    /// Read line by line: a busy host has more connections than are worth keeping.
    pub fn of_namespace(pid: u32) -> Self {
        let mut sockets = HashMap::new();
        for table in ["tcp", "tcp6"] {
            let Ok(file) = File::open(format!("/proc/{pid}/net/{table}")) else {
                continue;
            };
            let lines = BufReader::new(file).lines().map_while(Result::ok);
            sockets.extend(lines.filter_map(|line| listener(&line)));
        }
        Self(sockets)
    }

    /// The ports of these sockets that process `pid` has open, ascending.
    pub fn ports_of(&self, pid: u32) -> Vec<u16> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut ports: Vec<u16> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .filter_map(|entry| socket_inode(std::fs::read_link(entry.ok()?.path()).ok()?.to_str()?))
            .filter_map(|inode| self.0.get(&inode).copied())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// Inode and port of a listening socket's line of `/proc/net/tcp`.
fn listener(line: &str) -> Option<(u64, u16)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next()?;
    let state = fields.nth(1)?;
    if state != LISTEN {
        return None;
    }
    let (_, port) = local.rsplit_once(':')?;
    let inode = fields.nth(5)?.parse().ok()?;
    Some((inode, u16::from_str_radix(port, 16).ok()?))
}

fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_listening_sockets_count() {
        let listening = "   0: 00000000:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 \
                         424242 1 0000000000000000 100 0 0 10 0";
        assert_eq!(listener(listening), Some((424_242, 8001)));
        assert_eq!(listener(&listening.replace(" 0A ", " 01 ")), None);
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(listener(heading), None);
    }

    #[test]
    fn ports_of_this_process() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = v4.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let own = std::process::id();
        let ports = Listeners::of_namespace(own).ports_of(own);
        assert!(ports.contains(&port));
        assert!(!ports.contains(&client.local_addr().unwrap().port()));
        drop(v4);
        assert!(!Listeners::of_namespace(own).ports_of(own).contains(&port));
    }
}
