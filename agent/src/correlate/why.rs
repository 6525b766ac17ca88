//! Why a span has no parent.

use std::fmt;

/// Why a span has no parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// A call of a process that served no request then.
    NothingServed,
    /// A call of a unit that was serving none of the open requests, and did not come from one that was.
    NotServing,
    /// A call of which the unit could not be read, or is not known because its process was at rest.
    UnitUnknown,
    /// A call of a unit that was serving several requests.
    SeveralRequests,
    /// A call of a task, thread, goroutine or greenlet that a request started, and that outlived it.
    OutlivedRequest,
    /// The request that it may belong to did not end in time.
    Expired,
    /// A request whose sender is not on this host, or not watched.
    SenderNotWatched,
    /// A request whose sender is watched, but the call was not seen.
    CallNotSeen,
    /// It is not known which side the process was.
    RoleUnknown,
    /// What it belongs to is exported by the program's own SDK, under an id that is not known.
    ExportedBySdk,
    /// What it belongs to is a request on a port that the settings do not want.
    OtherPort,
}

impl fmt::Display for Absence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NothingServed => "its process was serving no request",
            Self::NotServing => "the task or thread that made the call was serving no request, nor did it come from one that was",
            Self::UnitUnknown => "it is not known which task or thread made the call",
            Self::SeveralRequests => "the task or thread that made the call was serving several requests at once",
            Self::OutlivedRequest => {
                "the task, thread or goroutine that made the call was started by a request but works on after it, as those of pools do"
            }
            Self::Expired => "the request that it may belong to did not end in time",
            Self::SenderNotWatched => "the request's sender is not a watched process of this host, and sent no traceparent",
            Self::CallNotSeen => "the request's sender is watched, but its call was not seen",
            Self::ExportedBySdk => "what it belongs to is exported by the program's own SDK, under an id that is not known",
            Self::OtherPort => "what it belongs to is a request on a port that the settings do not want",
            Self::RoleUnknown => "it is not known which side of the connection the process was",
        })
    }
}
