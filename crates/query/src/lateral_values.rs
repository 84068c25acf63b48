//! `FROM t, (VALUES (t.a), (t.b)) AS u(v)`: the columns of a row as rows of their own.
//!
//! The engine (DataFusion 55) plans no VALUES of the columns beside them. Lists of them it unnests, see `laterals`.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, SelectItem, SetExpr, TableFactor, Values, VisitorMut, visit_expressions,
};

use crate::dialect::{filled, query};

/// Writes such VALUES as a SELECT of lists.
#[derive(Debug)]
pub(crate) struct LateralValues;

impl VisitorMut for LateralValues {
    type Break = DataFusionError;

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<DataFusionError> {
        if let TableFactor::Derived {
            lateral, subquery, ..
        } = table
            && let Some(lists) = lists(subquery)
        {
            match lists {
                Ok(lists) => {
                    *lateral = true;
                    *subquery.body = lists;
                }
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

/// The columns of VALUES as lists that are unnested side by side, where they name columns of other tables.
fn lists(query: &Query) -> Option<Result<SetExpr>> {
    let SetExpr::Values(values) = query.body.as_ref() else {
        return None;
    };
    let names_columns = |values: &Values| {
        let column = |expr: &Expr| match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        visit_expressions(values, column).is_break()
    };
    let plain = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    if !plain || !names_columns(values) {
        return None;
    }
    Some(unnested(values))
}

fn unnested(values: &Values) -> Result<SetExpr> {
    let rows = &values.rows;
    let width = rows.first().map_or(0, |row| row.content.len());
    if let Some(other) = rows.iter().find(|row| row.content.len() != width) {
        return plan_err!(
            "rows of VALUES have {width} and {} columns",
            other.content.len()
        );
    }
    let arguments: Vec<String> = (1..=rows.len()).map(|at| format!("${at}")).collect();
    let list = format!("unnest(make_array({}))", arguments.join(", "));
    let columns = (0..width).map(|column| {
        let cells: Vec<Expr> = rows.iter().map(|row| row.content[column].clone()).collect();
        Ok(SelectItem::ExprWithAlias {
            expr: filled(&list, &cells)?,
            alias: format!("column{}", column + 1).as_str().into(),
        })
    });
    let columns = columns.collect::<Result<_>>()?;
    let mut nothing = query("SELECT 1")?;
    if let SetExpr::Select(select) = nothing.body.as_mut() {
        select.projection = columns;
    }
    Ok(*nothing.body)
}
