//! Refuses statements that are nested deeper than the engine can follow: it would run out of stack, and the process end.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, Query, Select, SetExpr, Visit, Visitor,
};

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
        Statement::Statement(statement) => statement.visit(&mut depth),
        Statement::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => query.visit(&mut depth),
            CopyToSource::Relation(_) => return Ok(()),
        },
        Statement::Explain(explain) => return check(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::Reset(_) => return Ok(()),
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
            Expr::Cast { data_type, .. } => types(data_type),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<TooDeep> {
        self.expressions -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<TooDeep> {
        let mut chain = 0;
        let mut body = query.body.as_ref();
        while let SetExpr::SetOperation { left, .. } = body {
            chain += 1;
            if chain > QUERIES {
                return ControlFlow::Break(TooDeep {
                    what: "queries",
                    most: QUERIES,
                    hint: "write a VALUES list in place of a long chain of UNION",
                });
            }
            body = left;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<TooDeep> {
        let joins = select.from.iter().map(|tables| 1 + tables.joins.len());
        if joins.sum::<usize>() > QUERIES {
            return ControlFlow::Break(TooDeep {
                what: "joins",
                most: QUERIES,
                hint: "join fewer tables at once",
            });
        }
        ControlFlow::Continue(())
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
