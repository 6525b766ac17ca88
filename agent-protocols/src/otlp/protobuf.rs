//! Exports in the wire format of protocol buffers (<https://protobuf.dev/programming-guides/encoding/>), which may be cut
//! anywhere. Numbers of fields are those of
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/trace/v1/trace.proto>.

use super::{Exported, Groups, SPAN_ID_BYTES, SpanKind, TRACE_ID_BYTES};

/// `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS: u64 = 1;
/// `ResourceSpans.scope_spans`.
const SCOPE_SPANS: u64 = 2;
/// `ScopeSpans.spans`.
const SPANS: u64 = 2;
/// `KeyValue.key`.
const KEY: u64 = 1;

/// What the beginning of an export tells of.
pub(super) fn exported(request: &[u8]) -> Exported {
    let mut exported = Exported::default();
    for resource in messages(request, RESOURCE_SPANS) {
        for scope in messages(resource, SCOPE_SPANS) {
            for span in messages(scope, SPANS) {
                exported.add(judge(span).unwrap_or_default());
            }
        }
    }
    exported
}

/// What a span tells of; none if it is no span, or cut before its ids.
fn judge(span: &[u8]) -> Option<Exported> {
    let (mut trace_id, mut span_id) = (None, None);
    let (mut kind, mut groups) = (SpanKind::default(), Groups::default());
    let mut fields = Fields::of(span);
    for (number, value) in &mut fields {
        match (number, value) {
            (1, Value::Bytes(id)) => trace_id = Some(id),
            (2, Value::Bytes(id)) => span_id = Some(id),
            (6, Value::Number(number)) => kind = SpanKind::of_number(number),
            (9, Value::Bytes(attribute)) => {
                for key in messages(attribute, KEY) {
                    groups.note(key);
                }
            }
            _ => {}
        }
    }
    let whole = trace_id?.len() == TRACE_ID_BYTES && span_id?.len() == SPAN_ID_BYTES;
    (whole && !fields.broken).then(|| Exported::span(kind, groups))
}

/// The contents of the fields with this number, up to where the message is cut or broken.
fn messages(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    Fields::of(message).filter_map(move |(number, value)| match value {
        Value::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

/// The fields of a message.
struct Fields<'a> {
    rest: &'a [u8],
    /// It is no message: not only cut.
    broken: bool,
}

/// The value of a field.
enum Value<'a> {
    /// A whole number.
    Number(u64),
    /// Text, bytes or a message, as far as it is there.
    Bytes(&'a [u8]),
    /// Four or eight bytes.
    Fixed,
}

/// Why a message goes no further.
enum End {
    Cut,
    Broken,
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            broken: false,
        }
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), End> {
        let tag = self.number()?;
        let number = tag >> 3;
        if number == 0 {
            return Err(End::Broken);
        }
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.fixed(8)?,
            2 => {
                let length = self.number()?;
                let length = usize::try_from(length).map_err(|_| End::Broken)?;
                let (bytes, rest) = self.rest.split_at(length.min(self.rest.len()));
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => self.fixed(4)?,
            _ => return Err(End::Broken),
        };
        Ok((number, value))
    }

    fn fixed(&mut self, length: usize) -> Result<Value<'a>, End> {
        self.rest = self.rest.get(length..).ok_or(End::Cut)?;
        Ok(Value::Fixed)
    }

    /// A number of variable length: seven bits a byte, the lowest first, ten bytes at most.
    fn number(&mut self) -> Result<u64, End> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 {
            End::Cut
        } else {
            End::Broken
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.field() {
            Ok(field) => Some(field),
            Err(end) => {
                self.broken = matches!(end, End::Broken);
                self.rest = &[];
                None
            }
        }
    }
}
