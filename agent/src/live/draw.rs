//! A trace as a tree, each span with a bar on the trace's time line.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
};

use crate::span::{Span, SpanId};

use super::{
    look::{Look, Style},
    phrase,
    tree::Trace,
};

/// Columns of the time line, of a service name and of an outcome at most.
const MOST_BAR: usize = 40;
const MOST_SERVICE: usize = 24;
const MOST_OUTCOME: usize = 22;

/// Columns of a duration: `999.99 ms`.
const DURATION: usize = 10;

/// Levels that are indented; deeper ones stand below the last. Depth comes from the network and must not cost memory.
const MOST_DEPTH: usize = 16;

/// Writes one trace: a head line, a line a span, below it why it has no parent if that is to be said, and an empty line.
pub(super) fn write(trace: &Trace, look: Look, out: &mut impl Write) -> io::Result<()> {
    let rows = rows(&trace.spans);
    let layout = Layout::of(trace, &rows, look.width());
    let services: HashSet<&str> = trace
        .spans
        .iter()
        .map(|span| span.process.service_name.as_str())
        .collect();
    let head = format!(
        "trace {}  {}, {}, {}",
        trace.spans[0].trace_id,
        count(rows.len(), "span"),
        count(services.len(), "service"),
        phrase::duration(trace.end().saturating_sub(trace.start())),
    );
    writeln!(out, "{}", look.paint(Style::Faint, &head))?;
    for row in &rows {
        writeln!(out, "{}", layout.line(row, look).trim_end())?;
        if let Some(guide) = row.past.filter(|_| look.explain) {
            for line in wrapped(&phrase::absence(row.span), look.width(), guide.chars().count()) {
                writeln!(out, "{}", look.paint(Style::Faint, &format!("{guide}{line}")))?;
            }
        }
    }
    writeln!(out)
}

/// A span and its place in the tree.
struct Row<'a> {
    span: &'a Span,
    /// The lines that lead to it.
    guides: String,
    /// Of a span at the root: the line that leads past what stands below it.
    past: Option<&'static str>,
}

/// All spans, parents before their children, brothers by start. A span whose parent is missing stands at the root with
/// a mark, and so does one whose parents form a circle.
fn rows(spans: &[Span]) -> Vec<Row<'_>> {
    let known: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let mut children: HashMap<SpanId, Vec<usize>> = HashMap::new();
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|index| {
        (
            spans[*index].start_unix_nanos,
            std::cmp::Reverse(spans[*index].end_unix_nanos),
        )
    });
    let mut roots = Vec::new();
    for index in &order {
        match spans[*index].parent.filter(|parent| known.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(*index),
            None => roots.push(*index),
        }
    }
    let mut walk = Walk {
        spans,
        children,
        seen: vec![false; spans.len()],
        rows: Vec::new(),
    };
    for root in roots.into_iter().chain(order) {
        walk.from(root);
    }
    walk.rows
}

/// A walk through the tree, without recursion: its depth comes from the network.
struct Walk<'a> {
    spans: &'a [Span],
    children: HashMap<SpanId, Vec<usize>>,
    seen: Vec<bool>,
    rows: Vec<Row<'a>>,
}

/// A span that the walk has yet to visit.
struct Visit {
    index: usize,
    depth: usize,
    /// What stands before it, and before its children.
    guides: String,
    below: String,
}

impl Walk<'_> {
    fn from(&mut self, root: usize) {
        let orphan = self.spans[root].parent.is_some();
        let mut stack = vec![Visit::root(root, if orphan { "┄ " } else { "" })];
        while let Some(visit) = stack.pop() {
            if std::mem::replace(&mut self.seen[visit.index], true) {
                continue;
            }
            let span = &self.spans[visit.index];
            let children = self.children.remove(&span.span_id).unwrap_or_default();
            let past = match (visit.depth, children.is_empty()) {
                (0, true) => Some("   "),
                (0, false) => Some("│  "),
                _ => None,
            };
            // The last child is pushed first, so that the first is visited next.
            for (position, child) in children.into_iter().rev().enumerate() {
                stack.push(visit.child(child, position == 0));
            }
            let guides = visit.guides;
            self.rows.push(Row { span, guides, past });
        }
    }
}

impl Visit {
    fn root(index: usize, mark: &str) -> Self {
        let (guides, below) = (mark.to_owned(), String::new());
        Self {
            index,
            depth: 0,
            guides,
            below,
        }
    }

    fn child(&self, index: usize, last: bool) -> Self {
        let (turn, go_on) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let deeper = if self.depth < MOST_DEPTH { go_on } else { "" };
        let (guides, below) = (format!("{}{turn}", self.below), format!("{}{deeper}", self.below));
        Self {
            index,
            depth: self.depth + 1,
            guides,
            below,
        }
    }
}

/// Widths of the columns, and the time line.
struct Layout {
    label: usize,
    service: usize,
    outcome: usize,
    bar: usize,
    start: u64,
    length: u64,
}

impl Layout {
    fn of(trace: &Trace, rows: &[Row<'_>], width: usize) -> Self {
        let widest = |column: &dyn Fn(&Row<'_>) -> String| {
            rows.iter()
                .map(|row| column(row).chars().count())
                .max()
                .unwrap_or_default()
        };
        let service = widest(&|row| row.span.process.service_name.clone()).min(MOST_SERVICE);
        let outcome = widest(&|row| phrase::outcome(row.span)).min(MOST_OUTCOME);
        let label = widest(&|row| format!("{}{}", row.guides, phrase::label(row.span)));
        // Two columns lie between each two; a bar shorter than a quarter of the line says nothing.
        let rest = width.saturating_sub(service + outcome + DURATION + 8);
        let bar = rest
            .saturating_sub(label)
            .clamp(rest / 4, MOST_BAR.max(rest / 4))
            .max(8);
        let start = trace.start();
        Self {
            label: label.min(rest.saturating_sub(bar)),
            service,
            outcome,
            bar,
            start,
            length: trace.end().saturating_sub(start).max(1),
        }
    }

    fn line(&self, row: &Row<'_>, look: Look) -> String {
        let span = row.span;
        let failed = phrase::failed(span);
        let plain = if failed { Style::Failure } else { Style::Plain };
        let label = fit(&format!("{}{}", row.guides, phrase::label(span)), self.label);
        let service = fit(&phrase::printable(&span.process.service_name), self.service);
        let outcome = fit(&phrase::outcome(span), self.outcome);
        let duration = phrase::duration(span.end_unix_nanos.saturating_sub(span.start_unix_nanos));
        format!(
            "{}  {}  {}  {duration:>DURATION$}  {}",
            look.paint(plain, &label),
            look.paint(Style::Service, &service),
            look.paint(plain, &outcome),
            look.paint(if failed { Style::Failure } else { Style::Bar }, &self.bar(span)),
        )
    }

    /// The span's part of the time line; never shorter than one column.
    fn bar(&self, span: &Span) -> String {
        let column = |nanos: u64| {
            let part =
                u128::from(nanos.saturating_sub(self.start)) * self.bar as u128 / u128::from(self.length);
            (part as usize).min(self.bar)
        };
        let from = column(span.start_unix_nanos).min(self.bar - 1);
        let to = column(span.end_unix_nanos).max(from + 1);
        format!("{}{}", " ".repeat(from), "━".repeat(to - from))
    }
}

/// The text in exactly `width` columns: filled up, or cut with a mark.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:width$}");
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// The text in lines that leave `indent` of `width` columns free, broken between words.
fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if indent + line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}
