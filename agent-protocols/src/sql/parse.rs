//! Operations and tables by a real parser.

use std::{collections::HashSet, ops::ControlFlow};

use sqlparser::{
    ast::{ObjectName, Query, SetExpr, Spanned, Statement, TableFactor, Visit, Visitor},
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::Location,
};

use super::summary::Part;

/// Longest text, in bytes, and most of what may nest that is given to the parser.
///
/// Its own recursion limit does not bound the depth of the tree that chains such as `1 + 1 + 1 …` make (its destructor
/// recurses too), nor the time: nested calls and brackets are tried in several ways, each twice per level. A level
/// costs it up to 80 KiB of stack where it is not optimised; these bounds keep it at 1 MiB, of the 2 MiB that threads have.
const MAX_BYTES: usize = 8192;
const MAX_WEIGHT: usize = 256;
const MAX_BRACKETS: usize = 8;
const RECURSION_LIMIT: usize = 12;

/// Operations and tables of a statement in the order in which they are written; none if the parser does not take it.
pub(crate) fn parts<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<Vec<Part>> {
    if text.len() > MAX_BYTES || !is_shallow(words) {
        return None;
    }
    let dialect = PostgreSqlDialect {};
    let parser = Parser::new(&dialect)
        .with_recursion_limit(RECURSION_LIMIT)
        .try_with_sql(text)
        .ok()?;
    let statement = { parser }
        .parse_statements()
        .ok()
        .filter(|statements| statements.len() == 1)?
        .pop()?;
    let mut collector = Collector::default();
    let _ = statement.visit(&mut collector);
    Some(collector.finish())
}

/// Bounds how deep the tree can get: every token may nest but separators and what directly precedes one, which makes a
/// list of a hundred columns light and a hundred operators heavy.
fn is_shallow<'a>(words: impl Iterator<Item = &'a str>) -> bool {
    let (mut brackets, mut weight, mut before_is_part) = (0_usize, 0_usize, false);
    for word in words {
        let separates = matches!(word, "," | ".");
        weight += usize::from(before_is_part && !separates);
        before_is_part = !separates;
        match word {
            // The only prefix for which the parser calls itself without counting it.
            _ if word.eq_ignore_ascii_case("INTERVAL") => weight += MAX_WEIGHT / 8,
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        if brackets > MAX_BRACKETS || weight > MAX_WEIGHT {
            return false;
        }
    }
    true
}

#[derive(Default)]
struct Collector {
    parts: Vec<(Location, Part)>,
    /// An operation whose place is that of the table it is about to name.
    operation: Option<&'static str>,
    /// Names that `WITH` defines.
    common: HashSet<String>,
    /// The next relation is a function in `FROM`.
    function: bool,
}

impl Collector {
    fn finish(mut self) -> Vec<Part> {
        self.parts.sort_by_key(|(location, _)| *location);
        self.parts.into_iter().map(|(_, part)| part).collect()
    }

    fn selects(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => {
                let location = select.select_token.0.span.start;
                self.parts.push((location, Part::Operation("SELECT".to_owned())));
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.selects(left);
                self.selects(right);
            }
            // A query in brackets is visited as a query of its own.
            _ => {}
        }
    }
}

impl Visitor for Collector {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.operation = match statement {
            Statement::Insert(_) => Some("INSERT"),
            Statement::Update { .. } => Some("UPDATE"),
            Statement::Delete(_) => Some("DELETE"),
            Statement::Merge { .. } => Some("MERGE"),
            _ => None,
        };
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.common.insert(table.alias.name.value.clone());
        }
        self.selects(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        self.function = matches!(table, TableFactor::Table { args: Some(_), .. });
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let location = relation.span().start;
        if let Some(operation) = self.operation.take() {
            self.parts.push((location, Part::Operation(operation.to_owned())));
        }
        let is_common = match relation.0.as_slice() {
            [name] => name
                .as_ident()
                .is_some_and(|name| self.common.contains(&name.value)),
            _ => false,
        };
        if !std::mem::take(&mut self.function) && !is_common {
            self.parts.push((location, Part::Table(relation.to_string())));
        }
        ControlFlow::Continue(())
    }
}
