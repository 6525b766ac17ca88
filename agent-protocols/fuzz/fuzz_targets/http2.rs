//! An HTTP/2 session that is fed calls and gaps in any order.
#![no_main]

use agent_protocols::{
    Limits, Moment, Role, Unit,
    http2::Http2Session,
    session::{Content, Flow, Piece, Session, SessionContext},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|calls: Vec<(bool, Result<Vec<u8>, u16>)>| {
    let mut session = Http2Session::new(SessionContext {
        role: Role::Client,
        from_start: calls.first().is_some_and(|(asked, _)| *asked),
        limits: Limits::default(),
        report_noise: false,
    });
    let mut offset = 0;
    for (asked, content) in &calls {
        let content = match content {
            Ok(bytes) => Content::Bytes(bytes),
            Err(count) => Content::Gap(u64::from(*count)),
        };
        let moment = Moment {
            began: offset,
            ended: offset,
            unit: Unit::default(),
        };
        let flow = if *asked { Flow::Request } else { Flow::Response };
        let piece = Piece {
            flow,
            offset,
            content,
            moment,
        };
        offset += 1;
        if session.feed(piece, &mut Vec::new()).is_err() {
            return;
        }
        assert!(
            session.held_bytes() <= 8 * 64 * 1024,
            "holds {} bytes",
            session.held_bytes()
        );
    }
});
