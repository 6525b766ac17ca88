//! The connections of watched processes: each event goes to the one it belongs to.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use agent_common::{self as common, CloseEvent, DataEvent, OpenEvent, close_how, flag, role};
use agent_protocols::{
    Chunk, Connection, Direction, Exchange, Exported, Limits, Line, Moment, Role, Step, Unit,
    connection::{ConnectionContext, ConnectionCounts},
    exchange::Http,
    session::{Closing, Verdict},
};
use foldhash::HashMap;

use super::{
    KernelTable,
    located::{Ends, Located},
};
use crate::conventions::Endpoints;

/// How long a connection that TCP is done with, but whose socket is still held, is kept.
const LINGER_NANOS: u64 = 60_000_000_000;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// All connections that are followed.
pub struct Connections<K> {
    by_id: HashMap<u64, Tracked>,
    settings: ConnectionSettings,
    kernel: K,
    counts: ConnectionCounts,
    /// Data of connections of which no opening was seen.
    unknown: u64,
    /// Taken and given back with every call, so that no room is allocated per event.
    finished: Vec<Exchange>,
}

/// What every connection is told.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionSettings {
    /// Bounds.
    pub limits: Limits,
    /// Also report transactions, pings and driver set-up.
    pub report_noise: bool,
}

struct Tracked {
    /// `None` once it is of no interest.
    connection: Option<Box<Connection>>,
    endpoints: Arc<Endpoints>,
    ends: Option<Ends>,
    /// Its key in the kernel's map.
    socket: u64,
    /// The process that was seen with it last.
    pid: u32,
    /// It has no tracepoint of its own for its end.
    unix: bool,
    /// The watched process accepted it.
    server: bool,
    /// The watched process passes on what it receives.
    relayed: bool,
    told: Verdict,
    lingers_since: Option<u64>,
}

impl<K: KernelTable> Connections<K> {
    /// None yet.
    pub fn new(settings: ConnectionSettings, kernel: K) -> Self {
        Self {
            by_id: HashMap::default(),
            settings,
            kernel,
            counts: ConnectionCounts::default(),
            unknown: 0,
            finished: Vec::new(),
        }
    }

    /// A connection was seen for the first time.
    pub fn open(&mut self, event: &OpenEvent) {
        let context = ConnectionContext {
            role: match event.role {
                role::CLIENT => Role::Client,
                role::SERVER => Role::Server,
                _ => Role::Unknown,
            },
            limits: self.settings.limits,
            report_noise: self.settings.report_noise,
        };
        let relayed = event.relayed != 0;
        let connection = (!relayed).then(|| {
            let mut connection = Box::new(Connection::new(context));
            connection.start_at(event.sent, event.received);
            connection
        });
        let tracked = Tracked {
            connection,
            relayed,
            endpoints: Arc::new(endpoints(event)),
            ends: Ends::of(event),
            socket: event.socket,
            pid: event.header.pid,
            unix: is_unix(event),
            server: event.role == role::SERVER,
            told: Verdict::default(),
            lingers_since: None,
        };
        self.by_id.insert(event.id, tracked);
    }

    /// Bytes moved. Finished exchanges are handed to `take`. Returns what the client's own SDK turned out to export, and
    /// whether the watched process is that client.
    pub fn data(
        &mut self,
        event: &DataEvent,
        head: &[u8],
        tail: &[u8],
        mut take: impl FnMut(Located),
    ) -> Option<(Role, Exported)> {
        let Some(tracked) = self.by_id.get_mut(&event.id) else {
            self.unknown += 1;
            return None;
        };
        tracked.pid = event.header.pid;
        let connection = tracked.connection.as_mut()?;
        connection.push(chunk(event, head, tail), &mut self.finished);
        for exchange in self.finished.drain(..) {
            take(Located {
                exchange,
                endpoints: Arc::clone(&tracked.endpoints),
                connection: event.id,
                ends: tracked.ends,
            });
        }
        let exported = connection.take_exported();
        let verdict = connection.verdict();
        if verdict != tracked.told {
            tracked.told = verdict;
            self.tell(event.id, verdict);
        }
        exported
    }

    /// A connection, or one direction of it, ended.
    pub fn close(&mut self, event: &CloseEvent, mut take: impl FnMut(Located)) {
        let Some(tracked) = self.by_id.get_mut(&event.id) else {
            return;
        };
        let closing = match event.how() {
            close_how::HERE => Closing::Here,
            close_how::BY_PEER => Closing::ByPeer,
            close_how::LINGERING => {
                tracked.lingers_since = Some(event.time);
                return;
            }
            _ => Closing::Both,
        };
        let unit = Unit {
            pid: event.header.pid,
            tid: event.header.tid,
            ..Unit::default()
        };
        let moment = Moment {
            began: event.time,
            ended: event.time,
            unit,
        };
        if let Some(connection) = &mut tracked.connection {
            connection.close(closing, moment, &mut self.finished);
            for exchange in self.finished.drain(..) {
                take(Located {
                    exchange,
                    endpoints: Arc::clone(&tracked.endpoints),
                    connection: event.id,
                    ends: tracked.ends,
                });
            }
        }
        if closing == Closing::Both {
            self.forget(event.id);
        }
    }

    /// A process ended: its UNIX sockets have no other sign of their end.
    pub fn process_ended(&mut self, pid: u32, time: u64, mut take: impl FnMut(Located)) {
        let ended = self
            .by_id
            .iter()
            .filter(|(_, tracked)| tracked.pid == pid && tracked.unix);
        let ended: Vec<u64> = ended.map(|(&id, _)| id).collect();
        for id in ended {
            let header = common::Header {
                kind: common::kind::CLOSE,
                pid,
                tid: pid,
                flags: close_how::BOTH,
            };
            self.remove_from_kernel(id);
            self.close(&CloseEvent { header, id, time }, &mut take);
        }
    }

    /// Ends what has lingered for long; `now` in monotonic nanoseconds.
    pub fn forget_lingering(&mut self, now: u64, mut take: impl FnMut(Located)) {
        let old = |tracked: &Tracked| {
            tracked
                .lingers_since
                .is_some_and(|since| now > since + LINGER_NANOS)
        };
        let old: Vec<(u64, u32)> = self
            .by_id
            .iter()
            .filter(|(_, tracked)| old(tracked))
            .map(|(&id, tracked)| (id, tracked.pid))
            .collect();
        for (id, pid) in old {
            let header = common::Header {
                kind: common::kind::CLOSE,
                pid,
                tid: pid,
                flags: close_how::BOTH,
            };
            self.remove_from_kernel(id);
            self.close(
                &CloseEvent {
                    header,
                    id,
                    time: now,
                },
                &mut take,
            );
        }
    }

    /// The process that was seen with a connection last.
    pub fn pid(&self, id: u64) -> Option<u32> {
        self.by_id.get(&id).map(|tracked| tracked.pid)
    }

    /// Whether a connection is of a process that passes on what it receives.
    pub fn is_relayed(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|tracked| tracked.relayed)
    }

    /// Nothing more need be known of a connection but its end.
    pub fn leave_alone(&mut self, id: u64) {
        let verdict = Verdict {
            ignore: true,
            ..Verdict::default()
        };
        self.tell(id, verdict);
    }

    /// The ends of a connection, and which side the watched process is.
    pub fn ends(&self, id: u64) -> Option<(Ends, Role)> {
        let tracked = self.by_id.get(&id)?;
        let role = if tracked.server {
            Role::Server
        } else {
            Role::Client
        };
        Some((tracked.ends?, role))
    }

    /// Whether a connection is still followed.
    pub fn is_followed(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Whether the watched process is the server of a connection that has exchanges, or may still have.
    pub fn serves(&self, id: u64) -> bool {
        let has_exchanges = |connection: &Connection| connection.has_exchanges();
        self.by_id
            .get(&id)
            .is_some_and(|tracked| tracked.server && tracked.connection.as_deref().is_some_and(has_exchanges))
    }

    /// Shows the HTTP requests that watched processes are serving: the process, the request, and its connection's ends.
    pub fn requests_served(&self, mut see: impl FnMut(u32, &Http, &Endpoints)) {
        for tracked in self.by_id.values().filter(|tracked| tracked.server) {
            if let Some(connection) = &tracked.connection {
                connection.open_requests(&mut |http| see(tracked.pid, http, &tracked.endpoints));
            }
        }
    }

    /// Connections that are followed.
    pub fn followed(&self) -> usize {
        self.by_id.len()
    }

    /// What all connections counted so far, and events of connections that were never opened.
    pub fn counts(&mut self) -> (ConnectionCounts, u64) {
        for tracked in self.by_id.values_mut() {
            if let Some(connection) = &mut tracked.connection {
                self.counts.add(connection.take_counts());
            }
        }
        (self.counts, self.unknown)
    }

    /// Tells the kernel what is wanted of a connection.
    fn tell(&mut self, id: u64, verdict: Verdict) {
        let value = common::Verdict {
            ignore: u64::from(verdict.ignore),
            skip_until: [verdict.skip_received_until, verdict.skip_sent_until],
        };
        self.kernel.tell(id, value);
        if verdict.ignore
            && let Some(tracked) = self.by_id.get_mut(&id)
            && let Some(mut connection) = tracked.connection.take()
        {
            tracing::trace!(id, protocol = connection.protocol(), "left alone from here on");
            self.counts.add(connection.take_counts());
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(tracked) = self.by_id.remove(&id)
            && let Some(mut connection) = tracked.connection
        {
            self.counts.add(connection.take_counts());
        }
        self.kernel.forget(id);
    }

    fn remove_from_kernel(&mut self, id: u64) {
        if let Some(tracked) = self.by_id.get(&id) {
            self.kernel.remove(id, tracked.socket);
        }
    }
}

/// Who made the call.
pub fn unit(event: &DataEvent) -> Unit {
    Unit {
        pid: event.header.pid,
        tid: event.header.tid,
        blocking: event.header.flags & flag::BLOCKING != 0,
        line: Line {
            steps: event.chain.units.map(|unit| Step {
                id: unit.id,
                until: unit.until,
            }),
        },
    }
}

pub(super) fn is_unix(event: &OpenEvent) -> bool {
    event.family != AF_INET && event.family != AF_INET6
}

fn chunk<'a>(event: &DataEvent, head: &'a [u8], tail: &'a [u8]) -> Chunk<'a> {
    let sent = event.header.flags & flag::SENT != 0;
    let unit = unit(event);
    // Received bytes are there when the call returns, however long it waited for them.
    let began = if sent { event.began } else { event.ended };
    Chunk {
        direction: if sent {
            Direction::Sent
        } else {
            Direction::Received
        },
        offset: event.offset,
        skipped: event.skipped,
        head,
        hole: event.hole,
        tail,
        moment: Moment {
            began,
            ended: event.ended,
            unit,
        },
    }
}

fn endpoints(event: &OpenEvent) -> Endpoints {
    let address = |bytes: &[u8; 16], port| match event.family {
        AF_INET => Some(SocketAddr::new(
            Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
            port,
        )),
        AF_INET6 => {
            let ip = Ipv6Addr::from(*bytes);
            let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
            Some(SocketAddr::new(ip, port))
        }
        _ => None,
    };
    Endpoints {
        local: address(&event.local, event.local_port),
        peer: address(&event.peer, event.peer_port),
        unix_path: unix_path(event),
    }
}

/// The server's path; an abstract address is shown with an @ in place of its zero byte, as `ss` does.
fn unix_path(event: &OpenEvent) -> Option<String> {
    if !is_unix(event) {
        return None;
    }
    let path = event.path.get(..usize::from(event.path_len))?;
    let path = match path.split_first() {
        Some((0, name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => String::from_utf8_lossy(path).trim_end_matches('\0').to_owned(),
    };
    Some(path)
}
