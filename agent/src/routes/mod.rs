//! ROUTES: which route a request took, for `http.route`.
//!
//! In this order: a pattern of the settings; the framework's own table, read from the process's memory; what the path looks
//! like. The first that knows the path counts. A framework that has no route for a path has the last word where it answered so.

mod configured;
mod go;
mod guesses;
mod heuristic;
mod memory;
mod pattern;
mod python;
mod reader;
mod table;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, io, path::PathBuf, sync::Arc};

use agent_protocols::exchange::Http;
use percent_encoding::percent_decode_str;

pub use configured::RoutePattern;

use crate::{
    config::RouteSettings,
    conventions,
    discover::{Process, ProcessKey},
};
use guesses::Guesses;
use reader::{Answer, Question, Reader, Source};
use table::{Asked, Found, Tables};

/// How long after a look at a process's routes the next may follow, in nanoseconds: twice as long each time that nothing is
/// new, up to the other.
const LEAST_PAUSE: u64 = 1_000_000_000;
const MOST_PAUSE: u64 = 600_000_000_000;

/// How long a request waits until its process was looked at for the first time, and for a later time, in nanoseconds.
const FIRST_PATIENCE: u64 = 10_000_000_000;
const LATER_PATIENCE: u64 = 2_000_000_000;

/// The routes of all watched processes.
pub struct Routes {
    settings: RouteSettings,
    reader: Reader,
    processes: HashMap<ProcessKey, OfProcess>,
    over_limit: u64,
}

/// What is known of a request's route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// All that can be known.
    Known(Option<Arc<str>>),
    /// The process is being looked at.
    Wait,
}

/// Whether a request goes on waiting.
enum Patience {
    /// It does.
    Waits,
    /// It has waited for too long for what is known of the process at all.
    Lost,
    /// There is nothing to wait for, or nothing worth it.
    None,
}

/// The routes of one process.
#[derive(Debug, Default)]
struct OfProcess {
    /// Another one means that the process executed another program since.
    executable: PathBuf,
    tables: Option<Tables>,
    source: Option<Source>,
    is_asked: bool,
    is_answered: bool,
    pause: u64,
    next_look: u64,
    guesses: Guesses,
}

impl Routes {
    /// Nothing known yet.
    ///
    /// # Errors
    /// When the thread that reads processes does not start.
    pub fn new(settings: RouteSettings) -> io::Result<Self> {
        Ok(Self {
            settings,
            reader: Reader::start()?,
            processes: HashMap::new(),
            over_limit: 0,
        })
    }

    /// The route of a request that a process served; `now` in monotonic nanoseconds, `waited` says for how long it waits
    /// already. Who cannot wait says that it has waited for ever.
    pub fn find(&mut self, process: &Process, http: &Http, now: u64, waited: u64) -> Lookup {
        let path = conventions::path_of(&http.method, &http.target);
        let mut patterns = process.overrides.routes.iter().chain(&self.settings.patterns);
        if let Some(configured) = patterns.find(|pattern| pattern.is(path)) {
            return Lookup::Known(Some(Arc::clone(&configured.template)));
        }
        let of_process = self.processes.entry(process.key()).or_default();
        of_process.is_of(process);
        if self.settings.framework && reader::may_have_routes(process) {
            let decoded = percent_decode_str(path).decode_utf8_lossy();
            let asked = Asked {
                method: &http.method,
                path: &decoded,
                host: http.host.as_deref().unwrap_or_default(),
            };
            match of_process.tables.as_ref().map(|tables| tables.find(&asked)) {
                Some(Found::Route(route)) => return Lookup::Known(Some(route)),
                Some(Found::Ambiguous) => return Lookup::Known(None),
                Some(Found::Nothing) | None => {}
            }
            of_process.look(process, &mut self.reader, now);
            match of_process.patience(waited) {
                Patience::Waits => return Lookup::Wait,
                // Guesses would stand beside the routes that will soon be known.
                Patience::Lost => return Lookup::Known(None),
                Patience::None => {}
            }
            let has_routes = of_process
                .tables
                .as_ref()
                .is_some_and(|tables| !tables.is_empty());
            if has_routes && http.status.is_none_or(|status| (300..500).contains(&status)) {
                return Lookup::Known(None);
            }
        }
        if !self.settings.heuristic {
            return Lookup::Known(None);
        }
        let guess = of_process
            .guesses
            .find(path, http.status, self.settings.max_guessed);
        self.over_limit += u64::from(guess.is_over_limit);
        Lookup::Known(guess.route)
    }

    /// Takes what was found out since the last time; says whether that was anything. `now` in monotonic nanoseconds.
    pub fn take_answers(&mut self, now: u64) -> bool {
        let answers = self.reader.answers();
        let any = !answers.is_empty();
        for answer in answers {
            if let Some(of_process) = self.processes.get_mut(&answer.process) {
                of_process.take(answer, now);
            }
        }
        any
    }

    /// Forgets all processes but those that are to be kept.
    pub fn keep(&mut self, is_kept: impl Fn(u32) -> bool) {
        self.processes.retain(|key, _| is_kept(key.pid));
    }

    /// Requests that got no route because their process has too many that look different.
    pub fn over_limit(&self) -> u64 {
        self.over_limit
    }
}

impl OfProcess {
    /// Begins anew if the process executed another program.
    fn is_of(&mut self, process: &Process) {
        if self.executable != process.executable {
            *self = Self {
                executable: process.executable.clone(),
                ..Self::default()
            };
        }
    }

    /// Has the process looked at, if that may be.
    fn look(&mut self, process: &Process, reader: &mut Reader, now: u64) {
        if self.is_asked || now < self.next_look {
            return;
        }
        self.is_asked = reader.ask(Question {
            process: process.key(),
            language: process.language.unwrap_or_default(),
            source: self.source.take(),
        });
    }

    fn patience(&self, waited: u64) -> Patience {
        match (self.is_asked, self.is_answered) {
            (true, false) if waited < FIRST_PATIENCE => Patience::Waits,
            (true, false) => Patience::Lost,
            (true, true) if waited < LATER_PATIENCE => Patience::Waits,
            (true, true) | (false, _) => Patience::None,
        }
    }

    fn take(&mut self, answer: Answer, now: u64) {
        self.is_asked = false;
        self.is_answered = true;
        self.source = answer.source;
        let is_new = answer.tables.is_some() && answer.tables != self.tables;
        if is_new {
            self.tables = answer.tables;
        }
        self.pause = if is_new { 0 } else { self.pause };
        self.pause = (self.pause * 2).clamp(LEAST_PAUSE, MOST_PAUSE);
        self.next_look = now + self.pause;
    }
}
