//! What connections have to say to the kernel side.

use agent_common::{Connection, Verdict};

use crate::attach::Table;

/// The kernel side's table of connections, as far as the user side changes it.
pub trait KernelTable {
    /// Tells what is wanted of a connection.
    fn tell(&mut self, id: u64, verdict: Verdict);
    /// Takes back what was told of a connection that ended.
    fn forget(&mut self, id: u64);
    /// Takes a connection out of the table, if this socket still is that one.
    fn remove(&mut self, id: u64, socket: u64);
}

/// The maps of the running kernel.
pub struct KernelMaps {
    /// Followed connections.
    pub connections: Table<u64, Connection>,
    /// What is wanted of them.
    pub verdicts: Table<u64, Verdict>,
}

impl KernelTable for KernelMaps {
    fn tell(&mut self, id: u64, verdict: Verdict) {
        // Not being able to tell costs copying, nothing else.
        let _ = self.verdicts.insert(id, verdict, 0);
    }

    fn forget(&mut self, id: u64) {
        // Most connections never had one.
        let _ = self.verdicts.remove(&id);
    }

    fn remove(&mut self, id: u64, socket: u64) {
        if self.connections.get(&socket).is_ok_and(|entry| entry.id == id) {
            // Gone meanwhile is what is wanted.
            let _ = self.connections.remove(&socket);
        }
    }
}

/// No kernel: a recorded run, in which all that could be told was told.
#[cfg(test)]
impl KernelTable for () {
    fn tell(&mut self, _: u64, _: Verdict) {}

    fn forget(&mut self, _: u64) {}

    fn remove(&mut self, _: u64, _: u64) {}
}
