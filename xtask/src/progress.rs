//! What the user sees of work that takes long: one line a step, with its time, and a sign of life in between.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often a terminal's status line is drawn again.
const REDRAW: Duration = Duration::from_millis(200);
/// How often a log, where nothing can be drawn over, gets a sign of life.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// Characters of a step's detail that are shown.
const LONGEST_DETAIL: usize = 100;

/// Writes to standard error; steps may run in several threads at once.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Board>>);

/// A running step, as its work sees it.
pub(crate) struct Step {
    board: Progress,
    id: u64,
}

struct Board {
    running: Vec<Running>,
    next_id: u64,
    terminal: bool,
    last_log: Instant,
}

struct Running {
    id: u64,
    name: String,
    detail: String,
    since: Instant,
    flawed: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Board {
            running: Vec::new(),
            next_id: 0,
            terminal: io::stderr().is_terminal(),
            last_log: Instant::now(),
        })))
    }

    /// Does `work` as the step `name`, and says how it ended and how long it took.
    pub(crate) fn step<T>(&self, name: impl Display, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
        let (step, since) = self.begin(name.to_string());
        let finished = AtomicBool::new(false);
        let result = std::thread::scope(|scope| {
            let ticker = scope.spawn(|| self.tick(&finished));
            let result = work(&step);
            finished.store(true, Ordering::Relaxed);
            ticker.thread().unpark();
            result
        });
        self.end(step.id, since, result.is_ok());
        result
    }

    /// One line that stays.
    pub(crate) fn say(&self, line: impl Display) {
        let board = self.lock();
        board.clear_status();
        write_line(&line.to_string());
        board.draw_status();
    }

    fn begin(&self, name: String) -> (Step, Instant) {
        let mut board = self.lock();
        let (id, since) = (board.next_id, Instant::now());
        board.next_id += 1;
        board.running.push(Running {
            id,
            name,
            detail: String::new(),
            since,
            flawed: false,
        });
        (
            Step {
                board: self.clone(),
                id,
            },
            since,
        )
    }

    fn end(&self, id: u64, since: Instant, ok: bool) {
        let mut board = self.lock();
        let Some(at) = board.running.iter().position(|step| step.id == id) else {
            return;
        };
        let step = board.running.remove(at);
        board.clear_status();
        let mark = if ok && !step.flawed { "ok" } else { "FAILED" };
        write_line(&format!(
            "{mark:>8}  {:<58} {:>6.1} s",
            step.name,
            since.elapsed().as_secs_f64()
        ));
        board.draw_status();
    }

    fn tick(&self, finished: &AtomicBool) {
        while !finished.load(Ordering::Relaxed) {
            std::thread::park_timeout(REDRAW);
            let mut board = self.lock();
            if board.terminal {
                board.clear_status();
                board.draw_status();
            } else if board.last_log.elapsed() >= LOG_EVERY {
                board.last_log = Instant::now();
                for step in &board.running {
                    write_line(&format!("     ...  {}", step.status()));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Step {
    /// What the step found is bad, though it went through.
    pub(crate) fn flawed(&self) {
        let mut board = self.board.lock();
        if let Some(step) = board.running.iter_mut().find(|step| step.id == self.id) {
            step.flawed = true;
        }
    }

    /// One line that stays, while the step goes on.
    pub(crate) fn say(&self, line: impl Display) {
        self.board.say(line);
    }

    /// What the step is at, for the status line.
    pub(crate) fn detail(&self, text: &str) {
        let mut board = self.board.lock();
        if let Some(step) = board.running.iter_mut().find(|step| step.id == self.id) {
            step.detail = text.trim().chars().take(LONGEST_DETAIL).collect();
        }
    }
}

impl Board {
    fn clear_status(&self) {
        if self.terminal {
            let _ = io::stderr().write_all(b"\r\x1b[2K");
        }
    }

    fn draw_status(&self) {
        if !self.terminal || self.running.is_empty() {
            return;
        }
        let status = self
            .running
            .iter()
            .map(Running::status)
            .collect::<Vec<_>>()
            .join(" · ");
        // One row only: a wrapped line could not be drawn over.
        let row = status
            .chars()
            .take(terminal_columns().saturating_sub(12))
            .collect::<String>();
        let _ = write!(io::stderr(), "     ...  {row}");
    }
}

impl Running {
    fn status(&self) -> String {
        let seconds = self.since.elapsed().as_secs();
        match self.detail.as_str() {
            "" => format!("{} ({seconds} s)", self.name),
            detail => format!("{} ({seconds} s): {detail}", self.name),
        }
    }
}

/// Writes a result to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("writing to standard output")
}

// A terminal that is gone must not stop the work, so errors of writing are left alone here.
fn write_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn terminal_columns() -> usize {
    crate::sys::terminal_columns().unwrap_or(80)
}
