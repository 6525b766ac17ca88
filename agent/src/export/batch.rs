//! Gathers spans into requests: one resource each, sent when full or when its first span has waited long enough.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{config::Batch, discover::Process, span::Span};

use super::Queued;

/// Bytes of spans after which a request is full: collectors refuse gRPC messages of more than 4 MiB by default.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Spans of one process: one request.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) process: Arc<Process>,
    pub(super) spans: Vec<Span>,
    pub(super) bytes: usize,
    since: Instant,
}

/// All requests that are being gathered. Time is a parameter.
#[derive(Debug)]
pub(super) struct Gathering {
    /// By the address of the process, which its entry keeps alive.
    open: HashMap<usize, Gathered>,
    held: usize,
    most: usize,
    most_held: usize,
    delay: Duration,
}

impl Gathering {
    pub(super) fn new(batch: Batch) -> Self {
        Self {
            open: HashMap::new(),
            held: 0,
            most: batch.batch_size.max(1),
            // Many processes with a few spans each must not fill the queue while the collector is idle.
            most_held: batch.queue_size / 4,
            delay: batch.schedule_delay,
        }
    }

    /// Adds a span; appends to `ready` the request that it filled, or all of them when it is one span too many.
    pub(super) fn push(&mut self, queued: Queued, now: Instant, ready: &mut impl Extend<Gathered>) {
        let key = Arc::as_ptr(&queued.span.process) as usize;
        let gathered = self.open.entry(key).or_insert_with(|| Gathered {
            process: Arc::clone(&queued.span.process),
            spans: Vec::new(),
            bytes: 0,
            since: now,
        });
        gathered.bytes += queued.bytes;
        gathered.spans.push(queued.span);
        self.held += 1;
        if gathered.spans.len() >= self.most || gathered.bytes >= MOST_BYTES {
            let full = self.open.remove(&key);
            self.held -= full.as_ref().map_or(0, |full| full.spans.len());
            ready.extend(full);
        } else if self.held > self.most_held {
            self.rest(ready);
        }
    }

    /// Appends to `ready` the requests that have waited long enough.
    pub(super) fn due(&mut self, now: Instant, ready: &mut impl Extend<Gathered>) {
        let due = self
            .open
            .extract_if(|_, gathered| gathered.since + self.delay <= now);
        let held = &mut self.held;
        ready.extend(
            due.map(|(_, gathered)| gathered)
                .inspect(|gathered| *held -= gathered.spans.len()),
        );
    }

    /// Appends all requests to `ready`, due or not.
    pub(super) fn rest(&mut self, ready: &mut impl Extend<Gathered>) {
        self.held = 0;
        ready.extend(self.open.drain().map(|(_, gathered)| gathered));
    }

    /// When [`due`](Self::due) will next have something.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open
            .values()
            .map(|gathered| gathered.since + self.delay)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathering(most: usize, queue: usize) -> Gathering {
        let batch = Batch {
            batch_size: most,
            queue_size: queue,
            schedule_delay: Duration::from_secs(5),
            ..Batch::default()
        };
        Gathering::new(batch)
    }

    fn queued(span: &Span, bytes: usize) -> Queued {
        Queued {
            span: span.clone(),
            bytes,
        }
    }

    fn sizes(ready: &[Gathered]) -> Vec<usize> {
        ready.iter().map(|gathered| gathered.spans.len()).collect()
    }

    #[test]
    fn a_request_leaves_when_it_is_full() {
        let now = Instant::now();
        let span = Span::sample(1, 2, None);
        let mut gathering = gathering(3, 1000);
        let mut ready = Vec::new();
        for _ in 0..4 {
            gathering.push(queued(&span, 10), now, &mut ready);
        }
        assert_eq!(sizes(&ready), [3]);
        assert_eq!(ready[0].bytes, 30);
        gathering.push(queued(&span, MOST_BYTES), now, &mut ready);
        assert_eq!(sizes(&ready), [3, 2]);
        assert_eq!(gathering.next_due(), None);
    }

    #[test]
    fn a_request_leaves_when_its_first_span_has_waited() {
        let now = Instant::now();
        let later = now + Duration::from_secs(3);
        let [shop, users] = [Span::sample(1, 2, None), Span::sample(1, 3, None).of("users")];
        let mut gathering = gathering(100, 1000);
        let mut ready = Vec::new();
        gathering.push(queued(&shop, 1), now, &mut ready);
        gathering.push(queued(&users, 1), later, &mut ready);
        gathering.push(queued(&shop, 1), later, &mut ready);
        assert_eq!(gathering.next_due(), Some(now + Duration::from_secs(5)));
        gathering.due(later, &mut ready);
        assert!(ready.is_empty());
        gathering.due(now + Duration::from_secs(5), &mut ready);
        assert_eq!(sizes(&ready), [2]);
        assert_eq!(ready[0].process.service_name, "shop");
        gathering.rest(&mut ready);
        assert_eq!(sizes(&ready), [2, 1]);
        assert_eq!(gathering.next_due(), None);
    }

    #[test]
    fn all_requests_leave_when_they_take_up_the_queue() {
        let now = Instant::now();
        let mut gathering = gathering(100, 40);
        let mut ready = Vec::new();
        let processes: Vec<_> = (0..11).map(|id| Span::sample(1, id + 1, None)).collect();
        for span in &processes[..10] {
            gathering.push(queued(span, 1), now, &mut ready);
        }
        assert!(ready.is_empty());
        gathering.push(queued(&processes[10], 1), now, &mut ready);
        assert_eq!(ready.len(), 11);
        for span in &processes[..10] {
            gathering.push(queued(span, 1), now, &mut ready);
        }
        assert_eq!(ready.len(), 11);
    }
}
