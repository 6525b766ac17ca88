//! What the kernel side reads of the state of `CPython`, and a check that it is where it is expected.

use agent_common::{
    Runtime,
    unit::{runtime_kind, thread_data},
};

use super::{
    process::{Loaded, Process},
    threads::Values,
    versions::{self, Offsets},
};

/// Said of a process whose Python has not come up, or seems not to have: it can be asked again.
pub const NOT_STARTED: &str = "Python has not started yet: its tasks are not told apart";
/// Said where the check fails.
const ELSEWHERE: &str = "this build of Python keeps its threads elsewhere than releases do (without the GIL, for \
                         debugging, or changed?): its tasks are not told apart";
/// Threads that are looked at.
const MAX_THREADS: usize = 64;
/// A process goes on while it is looked at, so what does not fit is looked at again.
const ATTEMPTS: usize = 5;
/// No mapping is below (`mmap_min_addr`).
const LOWEST_ADDRESS: u64 = 4096;

/// The state of `CPython` in a process.
#[derive(Debug)]
pub struct State<'a> {
    process: &'a Process,
    python: &'a Loaded,
    offsets: Offsets,
    address: u64,
}

/// What a look at the threads told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// All is where it is expected.
    Right,
    /// Something is not.
    Wrong,
    /// Python has not started its first thread.
    Early,
}

impl<'a> State<'a> {
    /// The state of the Python `minor` in a process.
    ///
    /// # Errors
    ///
    /// Says why it is not known.
    pub fn new(process: &'a Process, python: &'a Loaded, minor: u32) -> Result<Self, String> {
        let offsets = Offsets::of(minor, python.image.machine).ok_or_else(|| {
            format!("Python 3.{minor} is not supported (3.9 to 3.14 are): its tasks are not told apart")
        })?;
        let address = python
            .symbol("_PyRuntime")
            .ok_or("this build of Python does not export _PyRuntime: its tasks are not told apart")?;
        Ok(Self {
            process,
            python,
            offsets,
            address,
        })
    }

    /// What the kernel side has to know.
    ///
    /// # Errors
    ///
    /// Says why it cannot be known.
    pub fn runtime(&self) -> Result<(Runtime, Values), String> {
        let possible = Values::possible(self.process, self.python.image.machine);
        let looked = possible.iter().map(|values| (self.look(values), *values));
        let looked: Vec<(Look, Values)> = looked.collect();
        let right = looked.iter().find(|(look, _)| *look == Look::Right);
        let is_early = looked.iter().any(|(look, _)| *look == Look::Early);
        let values = match right {
            Some((_, values)) => *values,
            None if is_early || possible.is_empty() => return Err(NOT_STARTED.to_owned()),
            None => return Err(ELSEWHERE.to_owned()),
        };
        let (thread_data, tls_offset) = self
            .slot(&values)
            .map_or((values.kind, values.from_pointer), |slot| {
                (thread_data::SLOT, slot)
            });
        let runtime = Runtime {
            kind: runtime_kind::PYTHON,
            thread_data,
            key_address: self.key_address(),
            tls_offset,
            first: self.offsets.context,
            second: versions::CONTEXT_ENTERED,
            ..Runtime::default()
        };
        Ok((runtime, values))
    }

    fn key_address(&self) -> u64 {
        self.address.wrapping_add(self.offsets.key)
    }

    /// Where every thread has its `PyThreadState`, if that is at one distance from the thread pointer.
    fn slot(&self, values: &Values) -> Option<i64> {
        let (_, key) = self.process.half_words(self.key_address())?;
        let threads = self.native_threads().into_iter();
        let slots: Option<Vec<i64>> = threads
            .map(|thread| values.slot(self.process, thread, key))
            .collect();
        let slots = slots?;
        let first = *slots.first()?;
        slots.iter().all(|&slot| slot == first).then_some(first)
    }

    fn look(&self, values: &Values) -> Look {
        (0..ATTEMPTS)
            .map(|_| self.look_once(values).unwrap_or(Look::Wrong))
            .find(|look| *look != Look::Wrong)
            .unwrap_or(Look::Wrong)
    }

    /// Each thread of Python's must be what its own thread-local value says, and in a context or none.
    fn look_once(&self, values: &Values) -> Option<Look> {
        let (is_initialised, key) = self.process.half_words(self.key_address())?;
        let threads = self.threads()?;
        match (is_initialised, threads.is_empty()) {
            (0 | 1, true) => return Some(Look::Early),
            (1, false) => {}
            _ => return None,
        }
        let mut confirmed = 0;
        for thread in &threads {
            self.has_context_or_none(*thread)?;
            let native = self.process.word(thread.wrapping_add(self.offsets.thread))?;
            // One that has not run yet has no id; the main thread has.
            if native > LOWEST_ADDRESS && values.pointer(native).is_some() {
                confirmed += usize::from(values.get(self.process, native, key) == Some(*thread));
            }
        }
        // musl on arm64: what it says of itself is not enough to find its values from here.
        let is_confirmed = confirmed > 0 || values.pointer(0).is_none();
        Some(if is_confirmed { Look::Right } else { Look::Wrong })
    }

    /// Addresses of the states of the threads of the first interpreter.
    pub fn threads(&self) -> Option<Vec<u64>> {
        let interpreter = self
            .process
            .word(self.address.wrapping_add(self.offsets.interpreter))?;
        if interpreter == 0 {
            return Some(Vec::new());
        }
        let mut threads = Vec::new();
        let mut thread = self
            .process
            .word(interpreter.wrapping_add(self.offsets.threads))?;
        while thread != 0 && threads.len() < MAX_THREADS {
            threads.push(thread);
            thread = self.process.word(thread.wrapping_add(versions::NEXT_THREAD))?;
        }
        Some(threads)
    }

    /// What `pthread_self` returned to the threads of Python's.
    pub fn native_threads(&self) -> Vec<u64> {
        let threads = self.threads().unwrap_or_default();
        let native = threads
            .iter()
            .filter_map(|thread| self.process.word(thread.wrapping_add(self.offsets.thread)));
        native.filter(|native| *native > LOWEST_ADDRESS).collect()
    }

    fn has_context_or_none(&self, thread: u64) -> Option<()> {
        let context = self
            .process
            .word(thread.wrapping_add(self.offsets.context.into()))?;
        if context == 0 {
            return Some(());
        }
        let kind = self.process.word(context.wrapping_add(versions::OBJECT_TYPE))?;
        (kind == self.python.symbol("PyContext_Type")?).then_some(())
    }
}
