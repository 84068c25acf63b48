//! `SELECT days / 7 AS weeks, weeks > 4 AS long … WHERE weeks > 0`: names that a SELECT gives, used within it.
//!
//! The engine (DataFusion 55) knows them in GROUP BY, HAVING, QUALIFY and ORDER BY only. As in DuckDB a column of the tables
//! comes first: the engine must have missed the name before what it stands for is put in its place.

use std::ops::ControlFlow;

use datafusion::common::{Column, Result, SchemaError, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, VisitMut, VisitorMut, visit_expressions,
};

use crate::joins::OutsideSubqueries;
use crate::selects::{NamesApart, NamesGiven, each_select};

/// The plan of a statement. Columns that the engine finds to be one thing, `substr(code, 1, 2)` and `substring(code, 1, 2)`, are
/// planned under names.
///
/// # Errors
/// When it has none; of a name that no SELECT gives, what the engine says.
pub(crate) async fn planned(state: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let error = match with_own_aliases(state, statement.clone()).await {
        Err(error) if is_of_one_name(&error) => error,
        done => return done,
    };
    let mut named = statement;
    let _ = selects_of(&mut named, &mut NamesGiven);
    with_own_aliases(state, named).await.map_err(|_| error)
}

/// Whether two columns have the same name.
fn is_of_one_name(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Plan(text) if text.starts_with("Projections require unique expression names"))
}

async fn with_own_aliases(state: &SessionState, mut statement: Statement) -> Result<LogicalPlan> {
    let mut error = match state.statement_to_plan(statement.clone()).await {
        Err(error) if missing(&error).is_some() => error,
        done => return done,
    };
    'names: while let Some(missed) = missing(&error) {
        for before in 0.. {
            let mut filled = statement.clone();
            let mut fill = Fill {
                name: missed.0.name.clone(),
                before,
                done: false,
                of_windows: false,
            };
            let _ = selects_of(&mut filled, &mut fill);
            if fill.of_windows {
                return plan_err!(
                    "`{}` is of a window, which comes after WHERE: write the condition after QUALIFY",
                    missed.0.name
                );
            }
            if !fill.done {
                return Err(error);
            }
            let _ = selects_of(&mut filled, &mut NamesApart);
            match state.statement_to_plan(filled.clone()).await {
                Err(other) => match missing(&other) {
                    // It was another SELECT that missed the name.
                    Some(still) if still == missed => {}
                    Some(_) => {
                        statement = filled;
                        error = other;
                        continue 'names;
                    }
                    None => error = other,
                },
                planned => return planned,
            }
        }
    }
    Err(error)
}

/// The column that was missed, and those that were there.
fn missing(error: &DataFusionError) -> Option<(Column, Vec<Column>)> {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } if field.relation.is_none() => Some((field.as_ref().clone(), valid_fields.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// Visits the queries of a statement.
pub(crate) fn selects_of<V: VisitorMut>(
    statement: &mut Statement,
    visitor: &mut V,
) -> ControlFlow<V::Break> {
    match statement {
        Statement::Statement(statement) => statement.visit(visitor),
        Statement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query.visit(visitor),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Statement::Explain(explain) => selects_of(&mut explain.statement, visitor),
        Statement::CreateExternalTable(_) | Statement::Reset(_) => ControlFlow::Continue(()),
    }
}

/// Puts what a name stands for in its place, in one of the SELECTs that give it and use it.
struct Fill {
    name: String,
    /// How many of these SELECTs come before the one.
    before: usize,
    done: bool,
    /// It is a window's, and used where there is none yet.
    of_windows: bool,
}

impl VisitorMut for Fill {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // No SELECT fails.
        let _ = each_select(&mut query.body, &mut |select| {
            self.select(select);
            Ok(())
        });
        match self.done {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Fill {
    fn select(&mut self, select: &mut Select) {
        if self.done {
            return;
        }
        let mut given = select.projection.iter().enumerate();
        let given = given.find_map(|(at, item)| match item {
            SelectItem::ExprWithAlias { expr, alias } if is(alias, &self.name) => Some((at, expr)),
            _ => None,
        });
        let Some((given, value)) = given else {
            return;
        };
        let (name, value) = (self.name.as_str(), Expr::Nested(Box::new(value.clone())));
        let mut found = false;
        let mut uses = OutsideSubqueries::new(|expr| {
            if matches!(expr, Expr::Identifier(used) if is(used, name)) {
                *expr = value.clone();
                found = true;
            }
        });
        let mut filled = select.clone();
        // The visitor never breaks off.
        for item in filled.projection.iter_mut().skip(given + 1) {
            let shown = item.to_string();
            let _ = item.visit(&mut uses);
            if let SelectItem::UnnamedExpr(expr) = item
                && expr.to_string() != shown
            {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::with_quote('"', shown),
                };
            }
        }
        let condition = filled.selection.to_owned();
        let _ = filled.selection.visit(&mut uses);
        let early = filled.selection != condition;
        let _ = filled.group_by.visit(&mut uses);
        let _ = filled.having.visit(&mut uses);
        let _ = filled.qualify.visit(&mut uses);
        if !found {
            return;
        }
        if self.before > 0 {
            self.before -= 1;
            return;
        }
        let window = |expr: &Expr| match expr {
            Expr::Function(call) if call.over.is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        self.of_windows = early && visit_expressions(&value, window).is_break();
        *select = filled;
        self.done = true;
    }
}

/// Whether an identifier is a name as the engine has it.
fn is(ident: &Ident, name: &str) -> bool {
    match ident.quote_style {
        None => ident.value.to_lowercase() == name,
        Some(_) => ident.value == name,
    }
}
