//! No literal of a statement shows in anything that is said about it.

use agent_protocols::sql::{Backslash, ServerError, describe, statements};
use proptest::prelude::*;

/// Stands in every literal. Whatever part of a literal shows, one of its characters shows with it: nothing else in the
/// generated statements has them.
const MARKS: [char; 3] = ['Ж', 'Щ', '☃'];

/// A literal in some quoting style, all of whose content is marked.
fn literal() -> impl Strategy<Value = String> {
    let inside = proptest::collection::vec(
        prop::sample::select(vec![
            "Ж", "Щ☃", "''", "\\\\", "--", "/*", "*/", "$$", "$1", ";", "\"", "(", ")", "\n", " ", ",",
        ]),
        0..6,
    )
    .prop_map(|parts| format!("Ж{}☃", parts.concat()));
    let style = prop::sample::select(vec![
        "'", "E'", "e'", "B'", "X'", "N'", "n'", "U&'", "u&'", "$", "$t$", "num", "join",
    ]);
    (inside, style).prop_map(|(inside, style)| match style {
        "$" => format!("$${}$$", inside.replace('$', "")),
        "$t$" => format!("$t${inside}$t$"),
        "num" => ["1", "0xFF", "1_000", "1.5e-3", ".5", "12345"][inside.len() % 6].to_owned() + "Ж",
        "join" => format!("'{inside}'\n  '{inside}'"),
        "E'" | "e'" => format!("{style}{inside}\\'Щ'"),
        _ => format!("{style}{inside}'"),
    })
}

/// Something between literals.
fn glue() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "SELECT ",
        " FROM t WHERE a = ",
        ", ",
        " IN (",
        ") ",
        " AND b > ",
        " OR ",
        "::text ",
        " - ",
        "=-",
        " || ",
        "; ",
        "INSERT INTO t VALUES (",
        "), (",
        " /* c */ ",
        " -- c\n",
        " \"q'n\" ",
        " $1 ",
        " ARRAY[",
        "] ",
        " LIKE ",
        "a.b ",
        " UNION SELECT ",
        " NULL ",
        " CASE WHEN ",
        " E ",
        " e",
        "x",
        "\"",
        "/*",
        "--",
        "$",
        "$t",
        "'' ",
        "U&",
        "\n",
    ])
}

fn statement() -> impl Strategy<Value = String> {
    proptest::collection::vec((glue(), literal()), 1..8).prop_map(|parts| {
        parts
            .iter()
            .flat_map(|(glue, literal)| [glue, " ", literal])
            .collect()
    })
}

fn shows_a_mark(text: &str) -> bool {
    text.contains(MARKS)
}

/// Statements that are well formed between their literals: there, marks stand in literals only.
fn tidy_statement() -> impl Strategy<Value = String> {
    let glue = prop::sample::select(vec![
        " SELECT ",
        " WHERE a = ",
        " , ",
        " IN ( ",
        " ) ",
        " AND b > ",
        " ::text ",
        " - ",
        " = - ",
        " || ",
        " ; ",
        " INSERT INTO t VALUES ( ",
        " ), ( ",
        " /* c */ ",
        " -- c\n",
        " \"q'n\" ",
        " $1 ",
        " ARRAY[ ",
        " ] ",
        " NULL ",
    ]);
    proptest::collection::vec((glue, literal()), 1..8).prop_map(|parts| {
        parts
            .iter()
            .flat_map(|(glue, literal)| [glue, literal.as_str(), " "])
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whole_and_cut_at_every_byte(statement in tidy_statement()) {
        for end in 0..=statement.len() {
            for backslash in [Backslash::Plain, Backslash::Unknown] {
                let described = describe(&statement, end, backslash);
                prop_assert!(!shows_a_mark(&format!("{described:?}")), "{described:?} of {statement:?} to {end}");
            }
        }
    }

    #[test]
    fn cut_in_the_middle_of_a_character(statement in tidy_statement(), place: prop::sample::Index) {
        let bytes = &statement.as_bytes()[..place.index(statement.len())];
        let described = describe(&String::from_utf8_lossy(bytes), usize::MAX, Backslash::Plain);
        prop_assert!(!shows_a_mark(&format!("{described:?}")), "{described:?} of {statement:?}");
    }

    #[test]
    fn every_statement_of_several(statement in tidy_statement()) {
        for part in statements(&statement, Backslash::Plain) {
            let described = describe(part.text, usize::MAX, Backslash::Plain);
            prop_assert!(!shows_a_mark(&format!("{described:?}")), "{described:?} of {statement:?}");
        }
    }

    #[test]
    fn describing_never_fails_and_never_grows(statement in statement(), backslash in prop::sample::select(vec![
        Backslash::Plain, Backslash::Escapes, Backslash::Unknown,
    ])) {
        let described = describe(&statement, usize::MAX, backslash);
        prop_assert!(described.text.len() <= statement.len());
        prop_assert!(described.summary.as_ref().is_none_or(|summary| summary.len() < 255));
        let again = describe(&described.text, usize::MAX, Backslash::Plain);
        prop_assert_eq!(&again.text, &described.text, "of {:?}", statement);
        let parts: usize = statements(&statement, backslash).map(|part| part.text.len()).sum();
        prop_assert!(parts <= statement.len());
    }

    #[test]
    fn any_text(text: String) {
        let _ = describe(&text, usize::MAX, Backslash::Unknown);
        let _ = statements(&text, Backslash::Escapes).count();
    }

    #[test]
    fn an_error_about_a_value(
        statement in tidy_statement(),
        value in "[a-z\"Ж ]{0,8}",
        around in prop::sample::select(vec![
            ("invalid input syntax for type integer: \"", "\""),
            ("relation \"", "\" does not exist"),
            ("unterminated quoted string at or near \"'", "\""),
            ("value \"", "\" is out of range for type \"integer\""),
        ]),
    ) {
        let described = describe(&statement, usize::MAX, Backslash::Plain);
        let message = format!("{}Ж{value}☃{}", around.0, around.1);
        let error = ServerError { code: "22P02", message: &message, ..ServerError::default() };
        let said = error.sanitized_message(Some(&described.text));
        prop_assert!(!shows_a_mark(&said), "{said:?} of {message:?}");
    }
}
