//! An HTTP session that is fed calls, gaps and closes in any order.
#![no_main]

use agent_protocols::{
    Detail, Limits, Moment, Role, Unit,
    http::HttpSession,
    session::{Closing, Content, Flow, Piece, Session, SessionContext},
};
use agent_protocols_fuzz::{Event, contains, events};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let role = if data.first().is_some_and(|first| first & 0x80 != 0) {
        Role::Client
    } else {
        Role::Server
    };
    let mut session = HttpSession::new(SessionContext {
        role,
        from_start: true,
        limits: Limits::default(),
        report_noise: false,
    });
    let mut out = Vec::new();
    let mut offsets = [0_u64; 2];
    let mut asked = Vec::new();
    let mut now = 1;
    for event in events(data) {
        now += 10;
        let moment = Moment {
            began: now,
            ended: now,
            unit: Unit::default(),
        };
        let fed = match event {
            Event::Call(flow, bytes) => {
                if flow == Flow::Request {
                    asked.extend_from_slice(&bytes);
                }
                let offset = offsets[flow as usize];
                offsets[flow as usize] += bytes.len() as u64;
                session.feed(
                    Piece {
                        flow,
                        offset,
                        content: Content::Bytes(&bytes),
                        moment,
                    },
                    &mut out,
                )
            }
            Event::Gap(flow, count) => {
                let offset = offsets[flow as usize];
                offsets[flow as usize] += count;
                session.feed(
                    Piece {
                        flow,
                        offset,
                        content: Content::Gap(count),
                        moment,
                    },
                    &mut out,
                )
            }
            Event::Close(flow) => {
                let here = (flow == Flow::Request) == (role == Role::Client);
                session.close(
                    if here { Closing::Here } else { Closing::ByPeer },
                    moment,
                    &mut out,
                );
                Ok(())
            }
            Event::Control(_) => Ok(()),
        };
        assert!(
            session.held_bytes() < 2 << 20,
            "holds {} bytes",
            session.held_bytes()
        );
        if fed.is_err() {
            break;
        }
    }
    session.close(
        Closing::Both,
        Moment {
            began: now,
            ended: now,
            unit: Unit::default(),
        },
        &mut out,
    );
    for exchange in &out {
        assert!(exchange.ended >= exchange.started);
        assert!(exchange.request_offset < offsets[0]);
        let Detail::Http(http) = &exchange.detail else {
            panic!("no HTTP")
        };
        assert!(
            contains(&asked, http.target.as_bytes()),
            "{} was not sent",
            http.target
        );
        assert!(
            contains(&asked, http.method.as_bytes()),
            "{} was not sent",
            http.method
        );
    }
});
