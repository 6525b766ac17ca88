//! LIVE: finished spans on stdout.
//!
//! A thread of its own writes, so that a reader that stopped reading holds up nothing but the output: the queue is
//! bounded and what does not fit is counted.

mod draw;
mod json;
mod look;
mod phrase;
#[cfg(test)]
mod tests;
mod text;
mod tree;

use std::{
    io::{self, BufWriter, Write},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    config::{Export, Output},
    span::Span,
};

use self::{look::Look, tree::TreeBuffer};

/// Spans that may wait to be written.
const QUEUE: usize = 8192;

/// Spans taken between two looks at what is ready to be shown.
const TAKE: usize = 256;

/// Prints spans on stdout without ever making its caller wait.
#[derive(Debug)]
pub struct Printer {
    spans: SyncSender<Span>,
    dropped: AtomicU64,
    end: watch::Receiver<Option<End>>,
}

/// Why the printing thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything was written.
    Finished,
    /// Nobody reads stdout any more.
    Closed,
}

impl Printer {
    /// Starts printing in the wanted form; none for [`Output::None`].
    pub fn start(export: &Export) -> io::Result<Option<Self>> {
        let explain = export.explain;
        let look = Look::of_stdout().explaining(explain);
        let form = match export.output {
            Output::None => return Ok(None),
            Output::Json => Form::Json { explain },
            Output::Text => Form::Text(look),
            Output::Tree => Form::Tree(TreeBuffer::default(), look),
        };
        Self::start_with(form, BufWriter::new(io::stdout())).map(Some)
    }

    fn start_with(form: Form, out: impl Write + Send + 'static) -> io::Result<Self> {
        let (spans, queue) = sync_channel(QUEUE);
        let (ended, end) = watch::channel(None);
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                let end = match print(form, out, &queue) {
                    Ok(()) => End::Finished,
                    Err(error) => {
                        if error.kind() != io::ErrorKind::BrokenPipe {
                            tracing::warn!("cannot write spans to stdout: {error}; the agent stops");
                        }
                        End::Closed
                    }
                };
                ended.send_replace(Some(end));
            })?;
        Ok(Self {
            spans,
            dropped: AtomicU64::new(0),
            end,
        })
    }

    /// Takes a span, or drops and counts it when stdout is too slow. Never waits.
    pub fn submit(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Spans that stdout was too slow for.
    #[cfg(test)]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Done when nobody reads stdout any more: the moment to stop quietly.
    pub async fn closed(&self) {
        let mut end = self.end.clone();
        let closed = end.wait_for(|end| *end == Some(End::Closed)).await.is_ok();
        if !closed {
            std::future::pending::<()>().await;
        }
    }

    /// Prints what is left, for at most `deadline`, and gives back what was dropped.
    pub async fn shutdown(self, deadline: Duration) -> u64 {
        let Self {
            spans,
            dropped,
            mut end,
        } = self;
        drop(spans);
        // An elapsed deadline means that nobody reads; the thread ends with the process.
        let _ = tokio::time::timeout(deadline, end.wait_for(Option::is_some)).await;
        dropped.into_inner()
    }
}

/// How spans are printed.
#[derive(Debug)]
enum Form {
    Json { explain: bool },
    Text(Look),
    Tree(TreeBuffer, Look),
}

impl Form {
    fn take(&mut self, span: Span, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Json { explain } => json::write(&span, *explain, out),
            Self::Text(look) => text::write(&span, *look, out),
            Self::Tree(buffer, _) => {
                buffer.push(span, Instant::now());
                Ok(())
            }
        }
    }

    /// Prints the traces that are ready, or all of them.
    fn settle(&mut self, all: bool, out: &mut impl Write) -> io::Result<()> {
        let Self::Tree(buffer, look) = self else {
            return Ok(());
        };
        let traces = if all {
            buffer.drain()
        } else {
            buffer.poll(Instant::now())
        };
        traces.iter().try_for_each(|trace| draw::write(trace, *look, out))
    }

    /// How long nothing has to be done unless a span comes.
    fn patience(&self) -> Duration {
        /// Any long time: there is nothing to wake for.
        const IDLE: Duration = Duration::from_hours(1);
        match self {
            Self::Tree(buffer, _) => buffer
                .next_due()
                .map_or(IDLE, |due| due.saturating_duration_since(Instant::now())),
            Self::Json { .. } | Self::Text(_) => IDLE,
        }
    }
}

/// Prints until the queue is closed and empty. Output is flushed whenever there is nothing more to add at once.
fn print(mut form: Form, mut out: impl Write, queue: &Receiver<Span>) -> io::Result<()> {
    loop {
        match queue.recv_timeout(form.patience()) {
            Ok(span) => {
                form.take(span, &mut out)?;
                for span in queue.try_iter().take(TAKE) {
                    form.take(span, &mut out)?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                form.settle(true, &mut out)?;
                return out.flush();
            }
        }
        form.settle(false, &mut out)?;
        out.flush()?;
    }
}
