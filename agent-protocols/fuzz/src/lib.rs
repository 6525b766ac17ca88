//! Turns the fuzzer's bytes into calls on a connection that are often nearly HTTP.

use agent_protocols::session::Flow;

/// What happens next on the connection.
pub enum Event {
    /// So many bytes go one way in one call.
    Call(Flow, Vec<u8>),
    /// So many bytes go one way unseen.
    Gap(Flow, u64),
    /// The side that sends this flow closes it.
    Close(Flow),
    /// A control byte for the target to interpret.
    Control(u8),
}

/// Pieces of messages, so that the fuzzer need not find them letter by letter.
const TOKENS: [&[u8]; 48] = [
    b"GET / HTTP/1.1\r\n",
    b"POST /p HTTP/1.1\r\n",
    b"HEAD /h HTTP/1.0\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET http://a/ HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 404 Not Found\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 500\r\n",
    b"Host: a\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 100000\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"Connection: close\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
    b"tracestate: a=1\r\n",
    b"User-Agent: b\r\n",
    b"Trailer: x\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"0\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"a;x=y\r\n",
    b"ffffffffffffffff\r\n",
    b"10000000000000000\r\n",
    b"hello",
    b"\0",
    b"\x16\x03\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET",
    b"HTTP/1.",
    b"\xff\xfe",
];

/// Reads events from the fuzzer's bytes until they end.
pub fn events(data: &[u8]) -> impl Iterator<Item = Event> {
    let mut rest = data.iter().copied();
    let mut pending: Option<(Flow, Vec<u8>)> = None;
    let mut queued: Option<Event> = None;
    std::iter::from_fn(move || {
        if let Some(event) = queued.take() {
            return Some(event);
        }
        loop {
            let Some(control) = rest.next() else {
                return pending.take().map(|(flow, bytes)| Event::Call(flow, bytes));
            };
            let flow = if control & 1 == 0 {
                Flow::Request
            } else {
                Flow::Response
            };
            let event = match control >> 1 & 7 {
                kind @ 0..=4 => {
                    let (_, bytes) = match &mut pending {
                        Some(call) if call.0 == flow => call,
                        _ => {
                            let finished = pending.replace((flow, Vec::new()));
                            queued = finished.map(|(flow, bytes)| Event::Call(flow, bytes));
                            pending.as_mut()?
                        }
                    };
                    match (kind, rest.next().unwrap_or(0)) {
                        (4, length) => bytes.extend(rest.by_ref().take(usize::from(length))),
                        (_, token) => bytes.extend_from_slice(TOKENS[usize::from(token) % TOKENS.len()]),
                    }
                    match queued.take() {
                        Some(call) => return Some(call),
                        None => continue,
                    }
                }
                5 => Event::Gap(flow, 1 << (rest.next().unwrap_or(0) % 20)),
                6 => Event::Control(control),
                _ if control & 0xf0 == 0 => Event::Close(flow),
                _ => Event::Control(control),
            };
            if let Some((flow, bytes)) = pending.take() {
                queued = Some(event);
                return Some(Event::Call(flow, bytes));
            }
            return Some(event);
        }
    })
}

/// Whether `needle` was really sent.
pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}
