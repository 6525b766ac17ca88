//! Exports in any encoding, cut anywhere.
#![no_main]

use agent_protocols::otlp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let exported = otlp::exported(data);
    assert!(exported.spans || exported.is_nothing());
});
