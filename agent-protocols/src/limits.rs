//! Bounds of memory; each is a setting of the agent, and hitting one is counted.

/// What one connection may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest message head (HTTP head, one Postgres message that is kept) in bytes; default 72 KiB.
    pub head_bytes: usize,
    /// Bytes held back while an earlier chunk is missing; default 256 KiB.
    pub reorder_bytes: usize,
    /// Requests waiting for their response; default 1024. More are counted and left out.
    pub pending_requests: usize,
    /// Longest query text kept, in bytes; default 16 KiB.
    pub query_bytes: usize,
    /// Prepared statements remembered per connection; default 1024.
    pub statements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 72 * 1024,
            reorder_bytes: 256 * 1024,
            pending_requests: 1024,
            query_bytes: 16 * 1024,
            statements: 1024,
        }
    }
}
