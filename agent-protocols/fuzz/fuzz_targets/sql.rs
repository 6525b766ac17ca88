//! SQL text of any kind: nothing fails, nothing grows, and what was described once does not change again.
#![no_main]

use agent_protocols::sql::{Backslash, ServerError, describe, statements};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u16, u8)| {
    let (text, max_bytes, mode) = input;
    let backslash = [Backslash::Plain, Backslash::Escapes, Backslash::Unknown][usize::from(mode % 3)];
    let max_bytes = usize::from(max_bytes);
    let described = describe(text, max_bytes, backslash);
    assert!(described.text.len() <= text.len().min(max_bytes));
    assert!(
        described
            .summary
            .as_ref()
            .is_none_or(|summary| summary.len() < 255)
    );
    let again = describe(&described.text, usize::MAX, Backslash::Plain);
    assert_eq!(again.text, described.text);

    let mut end = 0;
    for statement in statements(text, backslash) {
        assert!(statement.start >= end);
        end = statement.start + statement.text.len();
        assert_eq!(text.get(statement.start..end), Some(statement.text));
    }

    let error = ServerError {
        code: "22P02",
        message: text,
        ..ServerError::default()
    };
    let said = error.sanitized_message(Some(&described.text));
    assert!(said.chars().count() <= text.chars().count() + 2);
});
