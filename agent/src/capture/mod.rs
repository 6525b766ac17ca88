//! CAPTURE, the user side: events out of the ring buffer, connections and processes they belong to.

mod clock;
mod connections;
mod decode;
mod processes;
mod reader;
mod units;
mod waiting;

pub use clock::{Clock, monotonic_nanos};
pub use connections::{ConnectionSettings, Connections, Ends, Located, unit};
pub use decode::Event;
pub use processes::Processes;
pub use reader::Reader;
pub use units::Units;
