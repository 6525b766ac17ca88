//! The ways in which a request comes to make calls, application by application: see `tests/apps/parents`.

/// One way: `GET /NAME/…` makes these calls.
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) queries: usize,
    pub(super) fetches: usize,
    /// Whether what the kernel can see proves which request a call is for. Where it does not, a call has no parent: never
    /// another request.
    pub(super) provable: bool,
}

const fn way(name: &'static str, queries: usize, fetches: usize) -> Way {
    Way {
        name,
        queries,
        fetches,
        provable: true,
    }
}

impl Way {
    /// The same, of which nothing can be proved.
    const fn unprovable(mut self) -> Self {
        self.provable = false;
        self
    }

    /// The calls of one request.
    pub(super) const fn calls(&self) -> usize {
        self.queries + self.fetches
    }
}

/// `awaited.py` and `asgi.py` under uvicorn, where every request is a task.
pub(super) const ASGI: &[Way] = &[
    way("native", 1, 0),
    way("sequence", 1, 1),
    way("gather", 0, 3),
    way("gather_aiohttp", 0, 3),
    way("nested", 1, 0),
    way("group", 1, 1),
    way("anyio_thread", 1, 0),
    way("asyncio_thread", 1, 0),
    way("executor", 1, 0),
    way("own_executor", 0, 1),
    way("late", 1, 0).unprovable(),
    way("stream", 1, 0),
    way("threaded", 1, 1),
    way("background", 1, 0),
    way("background_threaded", 1, 0),
    way("handoff", 1, 0),
];

/// `awaited.py` under aiohttp's server, where a connection is a task.
pub(super) const AIOHTTP: &[Way] = &[
    way("native", 1, 0),
    way("sequence", 1, 1),
    way("gather", 0, 3),
    way("gather_aiohttp", 0, 3),
    way("nested", 1, 0),
    way("group", 1, 1),
    way("anyio_thread", 1, 0),
    way("asyncio_thread", 1, 0),
    way("executor", 1, 0),
    way("own_executor", 0, 1),
    way("late", 1, 0).unprovable(),
    way("stream", 1, 0),
];

/// `wsgi.py` where a request has a thread: executors hand their work over in sight, a queue of Python code does not.
pub(super) const THREADS: &[Way] = &[
    way("sync", 1, 0),
    way("fetch", 0, 1),
    way("sequence", 1, 1),
    way("threads", 0, 3),
    way("nested_threads", 1, 0),
    way("pool", 1, 0),
    way("queue", 1, 0).unprovable(),
    way("queue_late", 1, 0).unprovable(),
];

/// `wsgi.py` where a request has a greenlet, and so has everything that would be a thread; gevent's executors have queues
/// of Python code.
pub(super) const GREENLETS: &[Way] = &[
    way("sync", 1, 0),
    way("fetch", 0, 1),
    way("sequence", 1, 1),
    way("threads", 0, 3),
    way("nested_threads", 1, 0),
    way("pool", 1, 0).unprovable(),
    way("queue", 1, 0).unprovable(),
    way("queue_late", 1, 0).unprovable(),
];

/// Those of `wsgi.py` that need no database.
pub(super) const FETCHES: &[Way] = &[way("fetch", 0, 1), way("threads", 0, 3)];

/// The Go server: a goroutine belongs to the request in which it was started, for as long as that lasts.
pub(super) const GO: &[Way] = &[
    way("direct", 0, 1),
    way("sequence", 1, 2),
    way("nested", 1, 1),
    way("group", 0, 5),
    way("pq", 1, 0),
    way("pgx", 1, 0),
    way("rows", 2, 0),
    way("transaction", 2, 0),
    way("sql_group", 3, 0),
    way("proxy", 0, 1),
    way("pool", 0, 1).unprovable(),
    way("lazy_pool", 0, 1).unprovable(),
    way("lazy_pool_late", 0, 1).unprovable(),
    way("forget", 0, 1).unprovable(),
    way("timer", 0, 1).unprovable(),
];

/// `plain.py` with a task for each connection.
pub(super) const STREAMS: &[Way] = &[
    way("native", 0, 1),
    way("gather", 0, 3),
    way("nested", 0, 1),
    way("asyncio_thread", 0, 1),
    way("executor", 0, 1),
    way("own_executor", 0, 1),
    way("late", 0, 1).unprovable(),
    way("background", 0, 1).unprovable(),
];

/// `plain.py` with a thread for each connection.
pub(super) const PLAIN_THREADS: &[Way] = &[
    way("sync", 0, 1),
    way("threads", 0, 3),
    way("nested_threads", 0, 1),
    way("pool", 0, 1),
    way("queue", 0, 1).unprovable(),
];

/// `plain_go`.
pub(super) const PLAIN_GO: &[Way] = &[
    way("direct", 0, 1),
    way("nested", 0, 1),
    way("group", 0, 5),
    way("proxy", 0, 1),
    way("pool", 0, 1).unprovable(),
    way("forget", 0, 1).unprovable(),
];
