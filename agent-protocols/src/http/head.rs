//! What a head says: the lexing is httparse's, this picks the fields that matter and decides the framing.

use httparse::{EMPTY_HEADER, Header, ParserConfig};

use super::{
    body::Framing,
    gather::{At, Head},
};
use crate::exchange::Http;

/// A request head.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) http: Http,
    pub(super) first: At,
    pub(super) framing: Framing,
    pub(super) kind: Kind,
}

/// What about a request decides how its response reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing special.
    Plain,
    /// HEAD: the response has no body.
    Head,
    /// CONNECT: after a 2xx the connection is a tunnel.
    Connect,
    /// It asks for another protocol with `Upgrade`.
    Upgrade,
}

/// A response head.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) first: At,
    fields: FramingFields,
    /// The head is whole.
    whole: bool,
}

/// Fields on the stack; heads with more lines take them from the heap.
const FIELDS: usize = 64;

/// Reads a request head. Without its end (`whole` false), or when a field is malformed, what stands before that counts
/// and the framing is unknown. None if the first line is not a request's.
pub(super) fn request(head: &Head<'_>, whole: bool) -> Option<RequestHead> {
    let unfolded;
    let bytes = if head.folded {
        unfolded = unfold(head.bytes);
        &unfolded
    } else {
        head.bytes
    };
    with_fields(head.lines, |fields| {
        let mut request = httparse::Request::new(fields);
        let parsed = config().parse_request(&mut request, bytes);
        let whole = whole && matches!(parsed, Ok(httparse::Status::Complete(_)));
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
        else {
            return None;
        };
        let http = Http {
            method: method.to_owned(),
            target: target.to_owned(),
            minor_version: minor,
            ..Http::default()
        };
        Some(request_fields(http, request.headers, head.first, whole))
    })
}

fn request_fields(http: Http, headers: &[Header<'_>], first: At, whole: bool) -> RequestHead {
    let kind = match http.method.as_str() {
        "HEAD" => Kind::Head,
        "CONNECT" => Kind::Connect,
        _ => Kind::Plain,
    };
    let mut head = RequestHead {
        http,
        first,
        framing: Framing::Unknown,
        kind,
    };
    let mut framing = FramingFields::default();
    let mut traceparents = 0;
    for header in headers.iter().filter(|header| !header.name.is_empty()) {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("host") {
            head.http.host.get_or_insert_with(|| text(header.value));
        } else if is("user-agent") {
            head.http.user_agent.get_or_insert_with(|| text(header.value));
        } else if is("traceparent") {
            traceparents += 1;
            head.http.traceparent = Some(text(header.value));
        } else if is("tracestate") {
            join(&mut head.http.tracestate, header.value);
        } else if is("upgrade") && head.kind == Kind::Plain {
            head.kind = Kind::Upgrade;
        } else {
            framing.note(header);
        }
    }
    if traceparents > 1 {
        // The trace cannot be told (https://www.w3.org/TR/trace-context/#traceparent-header: exactly one).
        head.http.traceparent = None;
        head.http.tracestate = None;
    }
    if whole {
        head.framing = framing.of_request(head.http.minor_version);
    }
    head
}

/// Reads a response head; see [`request`] for heads that are cut.
pub(super) fn response(head: &Head<'_>, whole: bool) -> Option<ResponseHead> {
    let unfolded;
    let bytes = if head.folded {
        unfolded = unfold(head.bytes);
        &unfolded
    } else {
        head.bytes
    };
    with_fields(head.lines, |fields| {
        let mut response = httparse::Response::new(fields);
        let parsed = config().parse_response(&mut response, bytes);
        let whole = whole && matches!(parsed, Ok(httparse::Status::Complete(_)));
        let status = response.code?;
        head.first_line()?;
        let mut fields = FramingFields::default();
        for header in response.headers.iter().filter(|header| !header.name.is_empty()) {
            fields.note(header);
        }
        Some(ResponseHead {
            status,
            first: head.first,
            fields,
            whole,
        })
    })
}

impl ResponseHead {
    /// A 1xx that another response follows.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// Where its body ends, for a request of this kind (RFC 9112 section 6.3).
    pub(super) fn framing(&self, kind: Kind) -> Framing {
        let bodiless = kind == Kind::Head || matches!(self.status, 100..=199 | 204 | 304);
        match (self.whole, bodiless) {
            (false, _) => Framing::Unknown,
            (true, true) => Framing::Length(0),
            (true, false) => self.fields.of_response(),
        }
    }
}

/// The fields that decide where a body ends.
#[derive(Clone, Copy, Debug, Default)]
struct FramingFields {
    length: Option<Length>,
    coding: Option<Coding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    /// Not a number, or several that differ.
    Contradictory,
}

/// The last transfer coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

impl FramingFields {
    fn note(&mut self, header: &Header<'_>) {
        if header.name.eq_ignore_ascii_case("content-length") {
            for item in header.value.split(|byte| *byte == b',') {
                let length = parse_length(item.trim_ascii()).map_or(Length::Contradictory, Length::Bytes);
                let same = self.length.is_none_or(|earlier| earlier == length);
                self.length = Some(if same { length } else { Length::Contradictory });
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            for item in header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                match (item.eq_ignore_ascii_case(b"chunked"), self.coding) {
                    _ if item.is_empty() || item.eq_ignore_ascii_case(b"identity") => {}
                    (true, Some(Coding::Chunked)) | (false, _) => self.coding = Some(Coding::Other),
                    (true, _) => self.coding = Some(Coding::Chunked),
                }
            }
        }
    }

    /// Transfer-Encoding goes before Content-Length. In an HTTP/1.0 request it means nothing, as in Go's net/http
    /// (go1.24 `src/net/http/transfer.go`, `parseTransferEncoding`); other servers refuse such a request.
    fn of_request(self, minor_version: u8) -> Framing {
        match (self.coding.filter(|_| minor_version > 0), self.length) {
            (Some(Coding::Chunked), _) => Framing::Chunked,
            (Some(Coding::Other), _) | (None, Some(Length::Contradictory)) => Framing::Unknown,
            (None, Some(Length::Bytes(length))) => Framing::Length(length),
            (None, None) => Framing::Length(0),
        }
    }

    fn of_response(self) -> Framing {
        match (self.coding, self.length) {
            (Some(Coding::Chunked), _) => Framing::Chunked,
            (None, Some(Length::Bytes(length))) => Framing::Length(length),
            (Some(Coding::Other), _) | (None, None | Some(Length::Contradictory)) => Framing::UntilClose,
        }
    }
}

/// Digits only: no sign, no space.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// As lenient as the servers: an observer refuses nothing that they may have taken.
fn config() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .ignore_invalid_headers_in_requests(true)
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    config
}

fn with_fields<'a, R>(lines: usize, read: impl FnOnce(&mut [Header<'a>]) -> R) -> R {
    if lines <= FIELDS {
        read(&mut [EMPTY_HEADER; FIELDS])
    } else {
        read(&mut vec![EMPTY_HEADER; lines])
    }
}

/// Folded lines joined with spaces (RFC 9112 section 5.2); as long as before.
fn unfold(head: &[u8]) -> Vec<u8> {
    let mut unfolded = head.to_vec();
    let first_line = memchr::memchr(b'\n', head).map_or(head.len(), |newline| newline + 1);
    for newline in memchr::memchr_iter(b'\n', &head[first_line..]).map(|found| first_line + found) {
        if matches!(head.get(newline + 1), Some(b' ' | b'\t')) {
            unfolded[newline] = b' ';
            if head[newline - 1] == b'\r' {
                unfolded[newline - 1] = b' ';
            }
        }
    }
    unfolded
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn join(list: &mut Option<String>, value: &[u8]) {
    match list {
        Some(list) => {
            list.push(',');
            list.push_str(&String::from_utf8_lossy(value));
        }
        None => *list = Some(text(value)),
    }
}
