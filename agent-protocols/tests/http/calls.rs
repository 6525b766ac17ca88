//! Calls on a connection, and what sidelight makes of them.

use agent_protocols::{
    Chunk, Connection, Detail, Direction, Exchange, Limits, Moment, Role, Unit,
    connection::ConnectionContext,
    exchange::Http,
    session::{Closing, Flow},
};

/// One call, or the close by one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Bytes(Flow, Vec<u8>),
    Close(Flow),
}

pub(crate) fn connection(role: Role) -> Connection {
    Connection::new(ConnectionContext {
        role,
        limits: Limits::default(),
        report_noise: false,
    })
}

pub(crate) fn direction(role: Role, flow: Flow) -> Direction {
    if Flow::of(role, Direction::Sent) == flow {
        Direction::Sent
    } else {
        Direction::Received
    }
}

pub(crate) fn moment(time: u64) -> Moment {
    Moment {
        began: time,
        ended: time,
        unit: Unit::default(),
    }
}

/// What a process of this role would be seen to do.
pub(crate) fn play(calls: &[Call], role: Role) -> Vec<Exchange> {
    let mut connection = connection(role);
    let mut out = Vec::new();
    let mut offsets = [0; 2];
    for (index, call) in calls.iter().enumerate() {
        let moment = moment(1_000 * (index as u64 + 1));
        match call {
            Call::Bytes(flow, head) => {
                let offset = &mut offsets[*flow as usize];
                let chunk = Chunk {
                    direction: direction(role, *flow),
                    offset: *offset,
                    skipped: 0,
                    head,
                    hole: 0,
                    tail: &[],
                    moment,
                };
                *offset += chunk.len();
                connection.push(chunk, &mut out);
            }
            Call::Close(flow) if direction(role, *flow) == Direction::Sent => {
                connection.close(Closing::Here, moment, &mut out);
            }
            Call::Close(_) => connection.close(Closing::ByPeer, moment, &mut out),
        }
    }
    connection.close(Closing::Both, moment(1_000 * (calls.len() as u64 + 1)), &mut out);
    out
}

/// Everything but the times.
pub(crate) fn timeless(mut exchanges: Vec<Exchange>) -> Vec<Exchange> {
    for exchange in &mut exchanges {
        (exchange.started, exchange.ended) = (0, 0);
    }
    exchanges
}

pub(crate) fn http(exchange: &Exchange) -> &Http {
    match &exchange.detail {
        Detail::Http(http) => http,
        Detail::Sql(sql) => panic!("no HTTP: {sql:?}"),
    }
}
