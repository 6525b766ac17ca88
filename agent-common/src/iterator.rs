//! What the function tiers have to know of this kernel's `struct msghdr` and `struct iov_iter`, both of which changed.
//!
//! include/linux/uio.h: before 5.14 the kind is in `type`, together with the direction; `iov` is `__iov` since 6.4; `ITER_UBUF` is
//! there since 6.0; and the numbers of the kinds changed several times.

/// A field that was called otherwise before.
pub struct Renamed {
    /// Name of the kernel side's global (`u32`).
    pub global: &'static str,
    /// Name of the struct.
    pub structure: &'static str,
    /// What it is called, newest first.
    pub paths: &'static [&'static str],
    /// What the global is without it; `None`: nothing works without it.
    pub absent: Option<u32>,
}

/// Declares a field that has to be there.
const fn field(global: &'static str, structure: &'static str, paths: &'static [&'static str]) -> Renamed {
    Renamed {
        global,
        structure,
        paths,
        absent: None,
    }
}

/// Every field that the function tiers read beside those of [`crate::offsets::FIELDS`].
pub const FIELDS: &[Renamed] = &[
    field("SOCKET_FILE", "socket", &["file"]),
    field("MESSAGE_ITERATOR", "msghdr", &["msg_iter"]),
    field("MESSAGE_FLAGS", "msghdr", &["msg_flags"]),
    field("ITERATOR_KIND", "iov_iter", &["iter_type", "type"]),
    field("ITERATOR_SKIP", "iov_iter", &["iov_offset"]),
    field("ITERATOR_VECTOR", "iov_iter", &["__iov", "iov"]),
    field("ITERATOR_SEGMENTS", "iov_iter", &["nr_segs"]),
    Renamed {
        absent: Some(0),
        ..field("ITERATOR_BUFFER", "iov_iter", &["ubuf"])
    },
];

/// The enum of the kinds of iterators.
pub const KINDS: &str = "iter_type";

/// Global and enumerator of each kind that is told from the others; one that does not exist is [`NO_KIND`].
pub const ENUMERATORS: &[(&str, &str)] = &[
    ("KIND_BUFFER", "ITER_UBUF"),
    ("KIND_VECTOR", "ITER_IOVEC"),
    ("KIND_KERNEL", "ITER_KVEC"),
];

/// Equal to no kind.
pub const NO_KIND: u32 = u32::MAX;

/// The global for the bits that are the kind, and its values: where the kind has a byte of its own, and where the two lowest
/// bits say other things.
pub const KIND_MASK: (&str, u32, u32) = ("KIND_MASK", 0xff, 0xfc);

/// The field whose presence says that the kind has a byte of its own.
pub const OWN_BYTE: (&str, &str) = ("iov_iter", "iter_type");
