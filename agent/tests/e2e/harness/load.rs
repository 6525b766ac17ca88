//! Many requests at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::client::{Address, Connection, Response};

/// What to send.
pub(crate) struct Load<'a> {
    pub(crate) address: Address,
    pub(crate) requests: usize,
    pub(crate) concurrency: usize,
    /// One connection for each of the concurrent clients, else one for each request.
    pub(crate) keep_alive: bool,
    /// Method and target of request number n.
    pub(crate) request: &'a (dyn Fn(usize) -> (&'static str, String) + Sync),
}

/// What came back.
pub(crate) struct Answers {
    /// The answers, by number of request.
    pub(crate) responses: Vec<Response>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Load<'_> {
    /// Sends everything; the first request that is not answered is an error.
    pub(crate) fn run(&self) -> Result<Answers> {
        let (next, started) = (AtomicUsize::new(0), Instant::now());
        let mut numbered = Vec::with_capacity(self.requests);
        std::thread::scope(|scope| -> Result<()> {
            let clients: Vec<_> = (0..self.concurrency)
                .map(|_| scope.spawn(|| self.client(&next)))
                .collect();
            for client in clients {
                numbered.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
            }
            Ok(())
        })?;
        numbered.sort_by_key(|(number, _)| *number);
        let responses = numbered.into_iter().map(|(_, response)| response).collect();
        Ok(Answers {
            responses,
            took: started.elapsed(),
        })
    }

    fn client(&self, next: &AtomicUsize) -> Result<Vec<(usize, Response)>> {
        let mut answers = Vec::new();
        let mut kept: Option<Connection> = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                return Ok(answers);
            }
            let (method, target) = (self.request)(number);
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => Connection::open(&self.address)?,
            };
            let response = connection
                .request(method, &target, b"")
                .with_context(|| format!("request {number}: {target}"))?;
            if self.keep_alive && !response.closes {
                kept = Some(connection);
            }
            answers.push((number, response));
        }
    }
}

/// One request again and again, every answer compared with the first.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<()>>>,
}

impl Steady {
    /// Takes one answer as the pattern, then lets one client a target keep its connection and another make fresh ones.
    pub(crate) fn start(address: &Address, targets: &[String]) -> Result<Self> {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = Vec::new();
        for target in targets {
            let pattern = Arc::new(Connection::open(address)?.request("GET", target, b"")?);
            for keep_alive in [true, false] {
                let (address, target, pattern) = (address.clone(), target.clone(), Arc::clone(&pattern));
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                clients.push(std::thread::spawn(move || {
                    let mut connection = Connection::open(&address)?;
                    while !stop.load(Ordering::Relaxed) {
                        if !keep_alive {
                            connection = Connection::open(&address)?;
                        }
                        let response = connection.request("GET", &target, b"")?;
                        ensure!(
                            response == *pattern,
                            "{target} is answered with {response:?} all of a sudden"
                        );
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                }));
            }
        }
        Ok(Self {
            stop,
            answered,
            clients,
        })
    }

    /// Waits for `count` more answers.
    pub(crate) fn goes_on(&self, count: usize) -> Result<()> {
        let before = self.answered.load(Ordering::Relaxed);
        let broken = || self.clients.iter().any(JoinHandle::is_finished);
        super::until("the load goes on", || {
            (self.answered.load(Ordering::Relaxed) >= before + count || broken()).then_some(())
        })
    }

    /// Ends it; the first answer that differed, or did not come, is an error.
    pub(crate) fn stop(mut self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        Ok(self.answered.load(Ordering::Relaxed))
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
