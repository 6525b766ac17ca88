//! W3C Trace Context: <https://www.w3.org/TR/trace-context/>.

use crate::span::{SpanId, TraceId};

/// Longest `tracestate` that is passed on; the recommendation asks for at least 512 characters.
const TRACE_STATE_BYTES: usize = 1024;

/// Bit of the flags: <https://www.w3.org/TR/trace-context/#sampled-flag>.
const FLAG_SAMPLED: u8 = 1;

/// What a `traceparent` and a `tracestate` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The sender's span.
    pub parent: SpanId,
    /// `tracestate`, verbatim.
    pub trace_state: Option<String>,
    /// The sender keeps the trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads the headers; `None` if `traceparent` is not valid.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace_id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if !is_lower_hex(version, 2) || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        if !is_lower_hex(trace_id, 32) || !is_lower_hex(parent, 16) || !is_lower_hex(flags, 2) {
            return None;
        }
        let (trace_id, parent) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(parent).ok()?);
        if trace_id == TraceId::INVALID || parent == SpanId::INVALID {
            return None;
        }
        let state = tracestate
            .map(str::trim)
            .filter(|state| !state.is_empty() && state.len() <= TRACE_STATE_BYTES);
        let sampled = u8::from_str_radix(flags, 16).ok()? & FLAG_SAMPLED != 0;
        Some(Self {
            trace_id,
            parent,
            trace_state: state.map(str::to_owned),
            sampled,
        })
    }
}

fn is_lower_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_header_is_adopted_with_its_state() {
        let context = TraceContext::parse(VALID, Some("a=1,b=2")).unwrap();
        assert_eq!(context.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.parent.to_string(), "00f067aa0ba902b7");
        assert_eq!(context.trace_state.as_deref(), Some("a=1,b=2"));
        assert!(context.sampled);
        assert!(
            !TraceContext::parse(&VALID.replace("-01", "-00"), None)
                .unwrap()
                .sampled
        );
    }

    #[test]
    fn a_later_version_may_have_more_parts_and_version_00_may_not() {
        assert!(TraceContext::parse(&format!("cc{}-what", &VALID[2..]), None).is_some());
        assert!(TraceContext::parse(&format!("{VALID}-what"), None).is_none());
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ] {
            assert!(TraceContext::parse(bad, None).is_none(), "{bad}");
        }
    }
}
