use std::fmt::Write;

use super::*;
use crate::chunk::Direction;

fn chunk(offset: u64, head: &[u8]) -> Chunk<'_> {
    let moment = Moment {
        began: offset,
        ended: offset,
        ..Moment::default()
    };
    Chunk {
        direction: Direction::Sent,
        offset,
        skipped: 0,
        head,
        hole: 0,
        tail: &[],
        moment,
    }
}

/// What came out: bytes as text, gaps as `<count>`.
struct Out {
    stream: Stream,
    limits: Limits,
    text: String,
    next: Option<u64>,
}

impl Out {
    fn new() -> Self {
        Self {
            stream: Stream::default(),
            limits: Limits::default(),
            text: String::new(),
            next: None,
        }
    }

    fn collect(text: &mut String, next: &mut Option<u64>, ordered: Ordered<'_>) {
        assert_eq!(
            next.unwrap_or(ordered.offset),
            ordered.offset,
            "neither a hole nor an overlap"
        );
        match ordered.content {
            Content::Bytes(bytes) => {
                text.push_str(std::str::from_utf8(bytes).unwrap());
                *next = Some(ordered.offset + bytes.len() as u64);
            }
            Content::Gap(count) => {
                write!(text, "<{count}>").unwrap();
                *next = Some(ordered.offset + count);
            }
        }
    }

    fn push(&mut self, chunk: &Chunk<'_>) -> &mut Self {
        let Self {
            stream,
            limits,
            text,
            next,
        } = self;
        stream.push(chunk, limits, &mut |ordered| Self::collect(text, next, ordered));
        self
    }

    fn expire(&mut self, now: u64) -> &mut Self {
        let Self {
            stream, text, next, ..
        } = self;
        stream.expire(now, &mut |ordered| Self::collect(text, next, ordered));
        self
    }

    fn finish(&mut self) -> &mut Self {
        let Self {
            stream, text, next, ..
        } = self;
        stream.finish(&mut |ordered| Self::collect(text, next, ordered));
        self
    }
}

#[test]
fn in_order_bytes_are_not_copied() {
    let bytes = *b"abc";
    let mut seen = None;
    Stream::default().push(&chunk(7, &bytes), &Limits::default(), &mut |ordered| {
        if let Content::Bytes(bytes) = ordered.content {
            seen = Some((ordered.offset, bytes.as_ptr()));
        }
    });
    assert_eq!(seen, Some((7, bytes.as_ptr())));
}

#[test]
fn head_hole_and_tail_have_their_places() {
    let mut out = Out::new();
    out.push(&Chunk {
        hole: 5,
        tail: b"yz",
        ..chunk(10, b"ab")
    })
    .push(&chunk(19, b"c"));
    assert_eq!(out.text, "ab<5>yzc");
    assert_eq!(
        out.stream.take_counts(),
        StreamCounts {
            gaps: 1,
            gap_bytes: 5,
            duplicate_bytes: 0
        }
    );
}

#[test]
fn what_capture_left_out_is_not_waited_for() {
    let mut out = Out::new();
    out.push(&chunk(0, b"ab")).push(&Chunk {
        skipped: 8,
        ..chunk(10, b"cd")
    });
    assert_eq!(out.text, "ab<8>cd");
}

#[test]
fn chunks_that_overtook_another_wait_for_it() {
    let mut out = Out::new();
    out.push(&chunk(0, b"ab"))
        .push(&chunk(6, b"gh"))
        .push(&chunk(4, b"ef"));
    assert_eq!(out.text, "ab");
    out.push(&chunk(2, b"cd"));
    assert_eq!(out.text, "abcdefgh");
    assert_eq!(
        (out.stream.held_bytes, out.stream.take_counts()),
        (0, StreamCounts::default())
    );
}

#[test]
fn what_comes_twice_is_delivered_once() {
    let mut out = Out::new();
    out.push(&chunk(0, b"abcd"))
        .push(&chunk(2, b"cdef"))
        .push(&chunk(0, b"ab"));
    out.push(&Chunk {
        hole: 2,
        tail: b"ij",
        ..chunk(4, b"efg")
    });
    assert_eq!(out.text, "abcdefg<2>ij");
    assert_eq!(out.stream.take_counts().duplicate_bytes, 2 + 2 + 2);
}

#[test]
fn a_chunk_that_never_comes_becomes_a_gap_when_too_many_wait() {
    let mut out = Out::new();
    out.push(&chunk(0, b"a"));
    for index in 0..HELD_CHUNKS as u64 {
        out.push(&chunk(10 + index, b"x"));
    }
    assert_eq!(out.text, "a");
    out.push(&chunk(10 + HELD_CHUNKS as u64, b"y"));
    assert_eq!(out.text, format!("a<9>{}y", "x".repeat(HELD_CHUNKS)));
    out.push(&chunk(1, b"late"));
    assert_eq!(
        out.stream.take_counts(),
        StreamCounts {
            gaps: 1,
            gap_bytes: 9,
            duplicate_bytes: 4
        }
    );
}

#[test]
fn a_chunk_that_never_comes_becomes_a_gap_when_too_much_waits() {
    let mut out = Out::new();
    out.limits.reorder_bytes = 10;
    out.push(&chunk(0, b"a"))
        .push(&chunk(5, b"bbbbbb"))
        .push(&chunk(20, b"cccccc"));
    assert_eq!(out.text, "a<4>bbbbbb");
    assert_eq!(out.stream.held_bytes, 6);
    out.push(&chunk(40, b"larger than all that may wait"));
    assert!(
        out.text.ends_with("<9>cccccc<14>larger than all that may wait"),
        "{}",
        out.text
    );
}

#[test]
fn nobody_waits_for_ever() {
    let mut out = Out::new();
    out.push(&chunk(0, b"a"))
        .push(&chunk(5, b"b"))
        .expire(5 + PATIENCE);
    assert_eq!(out.text, "a");
    out.expire(6 + PATIENCE);
    assert_eq!(out.text, "a<4>b");
    out.push(&chunk(9, b"c")).finish();
    assert_eq!(out.text, "a<4>b<3>c");
}

#[test]
fn positions_at_the_end_of_their_type_do_no_harm() {
    let mut out = Out::new();
    out.push(&chunk(0, b"a"));
    out.push(&Chunk {
        hole: u64::MAX,
        ..chunk(5, b"b")
    });
    out.push(&chunk(u64::MAX - 1, b"cd"));
    out.push(&Chunk {
        skipped: u64::MAX,
        ..chunk(u64::MAX - 4, b"e")
    });
    out.finish();
    assert_eq!(out.text, format!("a<{}>e", u64::MAX - 5));
}
