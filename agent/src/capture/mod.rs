//! CAPTURE, the user side: events out of the ring buffer, connections and processes they belong to.

mod clock;
mod connections;
mod decode;
mod kernel_table;
mod located;
mod order;
mod processes;
mod reader;
mod recorder;
mod units;
mod waiting;

pub use clock::{Clock, monotonic_nanos};
pub use connections::{ConnectionSettings, Connections, unit};
pub use decode::Event;
pub use kernel_table::{KernelMaps, KernelTable};
pub use located::{Ends, Located};
pub use order::Order;
pub use processes::Processes;
pub use reader::Reader;
pub use recorder::Recorder;
#[cfg(test)]
pub use recorder::records;
pub use units::Units;
pub use waiting::is_waiting;
