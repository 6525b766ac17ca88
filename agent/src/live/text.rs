//! One line of text a span.

use std::io::{self, Write};

use crate::{
    span::{Span, Status},
    utc::utc,
};

use super::{
    json,
    look::{Look, Style},
    phrase,
};

/// Writes one span and the end of its line.
pub(super) fn write(span: &Span, look: Look, out: &mut impl Write) -> io::Result<()> {
    let outcome = phrase::outcome(span);
    let style = if phrase::failed(span) {
        Style::Failure
    } else {
        Style::Plain
    };
    write!(
        out,
        "{} {:6} {} {} {} {}",
        look.paint(Style::Faint, &utc(span.start_unix_nanos)),
        json::kind(&span.kind),
        look.paint(Style::Service, &phrase::printable(&span.process.service_name)),
        phrase::label(span),
        look.paint(style, &outcome),
        phrase::duration(span.end_unix_nanos.saturating_sub(span.start_unix_nanos)).replace(' ', ""),
    )?;
    if let Some(query) = phrase::text(span, "db.query.text") {
        write!(
            out,
            " {}",
            look.paint(Style::Faint, &format!("{:?}", phrase::printable(query)))
        )?;
    }
    if let Status::Error(message) = &span.status
        && !message.is_empty()
    {
        write!(
            out,
            " {}",
            look.paint(style, &format!("{:?}", phrase::printable(message)))
        )?;
    }
    let parent = span
        .parent
        .map(|parent| format!(" parent={parent}"))
        .unwrap_or_default();
    let no_parent = span
        .no_parent
        .filter(|_| look.explain)
        .map(|absence| format!(" no-parent=\"{absence}\""))
        .unwrap_or_default();
    let place = format!("trace={} span={}{parent}{no_parent}", span.trace_id, span.span_id);
    writeln!(out, " {}", look.paint(Style::Faint, &place))
}
