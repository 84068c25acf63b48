//! Refuses statements that are nested deeper than the engine can follow: it would run out of stack, and the process end.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, DataType, Expr, Query, Select, SetExpr, TableFactor, TypedString,
    Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Expressions within each other, such as a chain of `+` or `OR`.
const EXPRESSIONS: usize = 4_000;
/// Queries of a chain of set operations, tables of a FROM, and types of a list of lists.
const QUERIES: usize = 1_000;

/// Refuses a statement that is nested too deep, without following it any deeper.
///
/// # Errors
/// What to write instead.
pub(crate) fn check(statement: &Statement) -> Result<()> {
    let mut depth = Depth::default();
    let found = match statement {
        Statement::Statement(statement) => match columns(statement) {
            ControlFlow::Continue(()) => statement.visit(&mut depth),
            too_deep => too_deep,
        },
        Statement::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => query.visit(&mut depth),
            CopyToSource::Relation(_) => return Ok(()),
        },
        Statement::Explain(explain) => return check(&explain.statement),
        Statement::CreateExternalTable(table) => table
            .columns
            .iter()
            .try_for_each(|column| types(&column.data_type)),
        Statement::Reset(_) => return Ok(()),
    };
    match found {
        ControlFlow::Break(TooDeep { what, most, hint }) => plan_err!(
            "the statement has more than {most} {what} within each other, which is deeper than the engine follows; {hint}"
        ),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct TooDeep {
    what: &'static str,
    most: usize,
    hint: &'static str,
}

#[derive(Default)]
struct Depth {
    expressions: usize,
}

impl Visitor for Depth {
    type Break = TooDeep;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<TooDeep> {
        self.expressions += 1;
        if self.expressions > EXPRESSIONS {
            return ControlFlow::Break(TooDeep {
                what: "expressions",
                most: EXPRESSIONS,
                hint: "write `x IN (...)` or a join with VALUES in place of a long chain",
            });
        }
        match expr {
            Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
                types(data_type)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<TooDeep> {
        self.expressions -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<TooDeep> {
        let mut chain = 0;
        let mut parts = vec![query.body.as_ref()];
        while let Some(part) = parts.pop() {
            let SetExpr::SetOperation { left, right, .. } = part else {
                continue;
            };
            chain += 1;
            if chain > QUERIES {
                return ControlFlow::Break(TooDeep {
                    what: "queries",
                    most: QUERIES,
                    hint: "write a VALUES list in place of a long chain of UNION",
                });
            }
            parts.extend([left.as_ref(), right.as_ref()]);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<TooDeep> {
        let joins = select.from.iter().map(|tables| 1 + tables.joins.len());
        joined(joins.sum())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<TooDeep> {
        match table {
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => joined(1 + table_with_joins.joins.len()),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn joined(tables: usize) -> ControlFlow<TooDeep> {
    match tables > QUERIES {
        true => ControlFlow::Break(TooDeep {
            what: "joins",
            most: QUERIES,
            hint: "join fewer tables at once",
        }),
        false => ControlFlow::Continue(()),
    }
}

fn columns(statement: &ast::Statement) -> ControlFlow<TooDeep> {
    match statement {
        ast::Statement::CreateTable(table) => {
            let mut columns = table.columns.iter();
            columns.try_for_each(|column| types(&column.data_type))
        }
        _ => ControlFlow::Continue(()),
    }
}

/// Refuses more EXPLAIN before each other than the parser follows.
///
/// # Errors
/// When there are more than that.
pub(crate) fn explained(text: &str) -> Result<()> {
    if text.len() < QUERIES * "EXPLAIN ".len() {
        return Ok(());
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize();
    let explains = tokens
        .iter()
        .flatten()
        .filter(|token| matches!(token, Token::Word(word) if word.keyword == Keyword::EXPLAIN));
    match explains.count() > QUERIES {
        true => plan_err!("the statement has more than {QUERIES} EXPLAIN; one is enough"),
        false => Ok(()),
    }
}

fn types(data_type: &DataType) -> ControlFlow<TooDeep> {
    let mut depth = 0;
    let mut within = data_type;
    while let DataType::Array(
        ArrayElemTypeDef::AngleBracket(of)
        | ArrayElemTypeDef::SquareBracket(of, _)
        | ArrayElemTypeDef::Parenthesis(of),
    ) = within
    {
        depth += 1;
        if depth > QUERIES {
            return ControlFlow::Break(TooDeep {
                what: "types",
                most: QUERIES,
                hint: "name another type",
            });
        }
        within = of;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use datafusion::prelude::SessionContext;

    use super::*;

    /// Each form at a depth that is read, and at one that is refused.
    #[test]
    fn each_form_is_counted() {
        let forms: [fn(usize) -> String; 7] = [
            |times| format!("SELECT 1 {}", "UNION SELECT 1 ".repeat(times)),
            |times| {
                format!(
                    "SELECT 1 UNION SELECT 1 {}",
                    "INTERSECT SELECT 1 ".repeat(times)
                )
            },
            |times| format!("SELECT 1 FROM a {}", "CROSS JOIN a ".repeat(times)),
            |times| format!("SELECT 1 FROM (a {})", "CROSS JOIN a ".repeat(times)),
            |times| format!("SELECT CAST('1' AS INT{})", "[]".repeat(times)),
            |times| format!("SELECT INT{} '1'", "[]".repeat(times)),
            |times| format!("CREATE TABLE t (a INT{})", "[]".repeat(times)),
        ];
        let state = SessionContext::new().state();
        let dialect = state.config_options().sql_parser.dialect;
        for form in forms {
            for (times, is_read) in [(20, true), (QUERIES + 50, false)] {
                let statement = state.sql_to_statement(&form(times), &dialect).unwrap();
                assert_eq!(check(&statement).is_ok(), is_read, "{}", &form(2));
                // To drop it takes as deep a stack as to follow it.
                std::mem::forget(statement);
            }
        }
    }

    #[test]
    fn many_explains_are_refused_unread() {
        assert!(explained(&format!("{}SELECT 1", "EXPLAIN ".repeat(20))).is_ok());
        assert!(explained(&format!("{}SELECT 1", "explain/**/ ".repeat(QUERIES + 1))).is_err());
        assert!(explained(&format!("SELECT '{}'", "EXPLAIN ".repeat(QUERIES + 1))).is_ok());
    }
}
