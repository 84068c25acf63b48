//! Parts of a join's condition that one side's rows decide alone: `b.at + INTERVAL '24 hours'` in `a.at < b.at + …`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExprRef, ScalarFunctionExpr};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::segments::evaluate;

/// Functions that have an answer for every value.
const TOTAL: [&str; 7] = [
    "abs",
    "ceil",
    "columna_moved_time",
    "date_part",
    "date_trunc",
    "floor",
    "interval_length",
];

/// The side whose columns an expression of a condition has, if it has any and they are of one.
pub(super) fn side(expr: &PhysicalExprRef, condition: &JoinFilter) -> Option<JoinSide> {
    let mut sides = collect_columns(expr).into_iter().map(|column| {
        let column = condition.column_indices().get(column.index());
        column.map(|column| column.side)
    });
    let first = sides.next()??;
    sides.all(|side| side == Some(first)).then_some(first)
}

/// An expression of the columns of one side, as its rows have them.
pub(super) fn of_side(expr: &PhysicalExprRef, condition: &JoinFilter) -> Result<PhysicalExprRef> {
    Arc::clone(expr)
        .transform_up(|expr| {
            let column = expr.downcast_ref::<Column>();
            let place = column.and_then(|c| condition.column_indices().get(c.index()));
            Ok(match column.zip(place) {
                Some((column, place)) => {
                    Transformed::yes(Arc::new(Column::new(column.name(), place.index)) as _)
                }
                None => Transformed::no(expr),
            })
        })
        .data()
}

/// A condition of pairs that has what is to be computed of single rows in columns behind each side's own.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) condition: JoinFilter,
    pub(super) left: Vec<PhysicalExprRef>,
    pub(super) right: Vec<PhysicalExprRef>,
}

/// Takes out of a condition what is computed once for a row, and not for each of its pairs.
pub(super) fn split(condition: &JoinFilter, left: &Schema, right: &Schema) -> Result<Split> {
    let mut columns = condition.column_indices().to_vec();
    let mut fields = condition.schema().fields().to_vec();
    let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
    let expression = Arc::clone(condition.expression())
        .transform_down(|expr| {
            let plain = expr.is::<Column>() || expr.is::<Literal>();
            let of = side(&expr, condition).filter(|_| !plain);
            let (own, of, side) = match of {
                Some(side @ JoinSide::Left) => (left, &mut of_left, side),
                Some(side @ JoinSide::Right) => (right, &mut of_right, side),
                _ => return Ok(Transformed::no(expr)),
            };
            if !is_total(&expr, condition.schema())? {
                return Ok(Transformed::no(expr));
            }
            let name = format!("one_sided_{}", columns.len());
            let kind = expr.data_type(condition.schema())?;
            let column = Column::new(&name, columns.len());
            columns.push(ColumnIndex {
                index: own.fields().len() + of.len(),
                side,
            });
            fields.push(Arc::new(Field::new(name, kind, true)));
            of.push(of_side(&expr, condition)?);
            let column: PhysicalExprRef = Arc::new(column);
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })
        .data()?;
    Ok(Split {
        condition: JoinFilter::new(expression, columns, Arc::new(Schema::new(fields))),
        left: of_left,
        right: of_right,
    })
}

/// Whether no row makes an expression fail: rows that are in no pair are computed too.
fn is_total(expr: &PhysicalExprRef, schema: &Schema) -> Result<bool> {
    // Days that are added to a time are numbers that were made smaller.
    let is_time = expr.data_type(schema)?.is_temporal();
    let mut total = true;
    expr.apply(|expr| {
        total &= if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            match binary.op() {
                Operator::Divide | Operator::Modulo => expr.data_type(schema)?.is_floating(),
                _ => true,
            }
        } else if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            let from = cast.expr().data_type(schema)?;
            let fits = match expr.data_type(schema)? {
                to if to.is_integer() => {
                    is_time || from.is_integer() && from.primitive_width() <= to.primitive_width()
                }
                _ => true,
            };
            fits && !from.is_string()
        } else if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
            TOTAL.contains(&call.name())
        } else {
            expr.is::<Column>() || expr.is::<Literal>()
        };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(total)
}

/// Rows with the values of expressions behind their own.
pub(super) fn with_computed(
    rows: SendableRecordBatchStream,
    exprs: &[PhysicalExprRef],
) -> Result<SendableRecordBatchStream> {
    if exprs.is_empty() {
        return Ok(rows);
    }
    let own = rows.schema();
    let mut fields = own.fields().to_vec();
    for expr in exprs {
        let name = format!("one_sided_{}", fields.len());
        fields.push(Arc::new(Field::new(name, expr.data_type(&own)?, true)));
    }
    let schema = Arc::new(Schema::new(fields));
    let (exprs, wider) = (exprs.to_vec(), Arc::clone(&schema));
    let rows = rows.map(move |batch| {
        let batch = batch?;
        let mut columns = batch.columns().to_vec();
        columns.extend(evaluate(&exprs, &batch)?);
        Ok(RecordBatch::try_new(Arc::clone(&wider), columns)?)
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}
