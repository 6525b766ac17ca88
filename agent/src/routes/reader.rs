//! READER: a thread that reads the routes of processes from their memory, so that nothing waits for it.

use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use super::{go::Go, memory::ProcessMemory, python::Python, table::Tables};
use crate::{
    discover::{Process, ProcessKey},
    memory,
};

/// Questions that may wait for their turn.
const MAX_QUESTIONS: usize = 4096;

/// A thread that reads the routes of processes.
#[derive(Debug)]
pub struct Reader {
    asked: Sender<Question>,
    answered: Receiver<Answer>,
    open: usize,
}

/// Which routes does a process have?
#[derive(Debug)]
pub struct Question {
    /// The process.
    pub process: ProcessKey,
    /// What it is written in.
    pub language: &'static str,
    /// What was found out the last time.
    pub source: Option<Source>,
}

/// The routes that a process has.
#[derive(Debug)]
pub struct Answer {
    /// The process.
    pub process: ProcessKey,
    /// Its routes; nothing if they cannot be read.
    pub tables: Option<Tables>,
    /// Where they are.
    pub source: Option<Source>,
}

/// Where a process has its routes.
#[derive(Debug)]
pub enum Source {
    /// Among the objects of an interpreter.
    Python(Python),
    /// In the heap of a Go program.
    Go(Go),
}

/// Whether the process is of a kind whose routes can be read.
pub fn may_have_routes(process: &Process) -> bool {
    matches!(process.language, Some("python" | "go"))
}

impl Reader {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> io::Result<Self> {
        let (asked, questions) = channel();
        let (answers, answered) = channel();
        thread::Builder::new().name("routes".to_owned()).spawn(move || {
            for question in questions {
                let answer = answer(question);
                // A look takes some MiB for a moment.
                memory::give_back();
                if answers.send(answer).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self {
            asked,
            answered,
            open: 0,
        })
    }

    /// Asks; says whether there will be an answer.
    pub fn ask(&mut self, question: Question) -> bool {
        let is_asked = self.open < MAX_QUESTIONS && self.asked.send(question).is_ok();
        self.open += usize::from(is_asked);
        is_asked
    }

    /// The answers since the last time.
    pub fn answers(&mut self) -> Vec<Answer> {
        let answers: Vec<Answer> = self.answered.try_iter().collect();
        self.open -= answers.len();
        answers
    }
}

fn answer(question: Question) -> Answer {
    let pid = question.process.pid;
    let source = question.source.or_else(|| match question.language {
        "python" => Python::of(pid).map(Source::Python),
        "go" => Go::of(pid).map(Source::Go),
        _ => None,
    });
    let tables = source
        .as_ref()
        .and_then(|source| source.tables(&ProcessMemory::open(pid).ok()?));
    let applications = tables.as_ref().map(|tables| tables.0.len());
    tracing::debug!(pid, ?applications, "routes were looked for");
    Answer {
        process: question.process,
        tables,
        source,
    }
}

impl Source {
    fn tables(&self, memory: &ProcessMemory) -> Option<Tables> {
        match self {
            Self::Python(python) => python.tables(memory),
            Self::Go(go) => go.tables(memory),
        }
    }
}
