//! Aggregates of a chunk's groups, those among them that heed an order too.
//!
//! The engine makes an accumulator for each group of an aggregate with ORDER BY, which keeps its rows and sorts them. A
//! chunk's rows can be sorted together, and most often they are already: what is left needs no order.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, make_comparator,
};
use arrow::compute::{SortColumn, SortOptions, prep_null_mask_filter, take, take_arrays};
use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::segment_sort::order_within;
use super::segments::evaluate;

/// Whether an aggregate of a chunk's groups can be made here.
pub(super) fn known(call: &AggregateFunctionExpr) -> bool {
    match call.fun().name() {
        "first_value" | "last_value" => !call.is_distinct(),
        "array_agg" | "string_agg" if !call.order_bys().is_empty() => {
            // Equal values are next to each other only where they are what rows are sorted by.
            let arguments = call.expressions();
            let by_itself = matches!((call.order_bys(), arguments.first()), ([by], Some(value)) if by.expr.eq(value));
            !call.is_distinct() || by_itself
        }
        _ => call.order_bys().is_empty() && call.groups_accumulator_supported(),
    }
}

/// One aggregate of a query.
pub(super) struct Call {
    how: How,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// By which a group's rows are sorted first.
    order: Vec<PhysicalSortExpr>,
    /// Whether equal values of a group, which are sorted by them, are one.
    distinct: bool,
}

enum How {
    /// The first value of a group, or its last one.
    Pick { last: bool, pass_nulls: bool },
    /// By the engine's accumulator, which heeds no order but that of the rows.
    Accumulate(Arc<AggregateFunctionExpr>),
}

impl Call {
    pub(super) fn of(
        call: &Arc<AggregateFunctionExpr>,
        filter: Option<&Arc<dyn PhysicalExpr>>,
        input: SchemaRef,
    ) -> Result<Self> {
        let pass_nulls = call.ignore_nulls();
        let name = call.fun().name();
        let mut order = call.order_bys().to_vec();
        let how = if name == "first_value" || name == "last_value" {
            let last = name == "last_value";
            How::Pick { last, pass_nulls }
        } else if order.is_empty() {
            How::Accumulate(Arc::clone(call))
        } else {
            if call.is_reversed() {
                order = order.iter().map(PhysicalSortExpr::reverse).collect();
            }
            let function = Arc::new(call.fun().clone());
            let plain = AggregateExprBuilder::new(function, call.expressions())
                .schema(input)
                .alias(call.name())
                .with_ignore_nulls(pass_nulls);
            How::Accumulate(Arc::new(plain.build()?))
        };
        Ok(Self {
            how,
            arguments: call.expressions(),
            filter: filter.cloned(),
            distinct: call.is_distinct() && !order.is_empty(),
            order,
        })
    }

    /// The values of `count` groups, of which each row's is given.
    pub(super) fn of_groups(
        &self,
        chunk: &RecordBatch,
        ids: &[usize],
        count: usize,
    ) -> Result<ArrayRef> {
        let mut arguments = evaluate(&self.arguments, chunk)?;
        let filter = self.filter.as_ref();
        let mut kept = filter.map(|filter| holds(filter, chunk)).transpose()?;
        let mut sorted_ids = None;
        if let Some(order) = self.order_of(chunk, ids)? {
            arguments = take_arrays(&arguments, &order, None)?;
            if let Some(kept) = &mut kept {
                *kept = take(kept, &order, None)?.as_boolean().clone();
            }
            let by_row = order.values().iter().map(|&row| ids[row as usize]);
            sorted_ids = Some(by_row.collect::<Vec<_>>());
        }
        let ids = sorted_ids.as_deref().unwrap_or(ids);
        let values = arguments
            .first()
            .ok_or_else(|| internal_datafusion_err!("an aggregate has a value"))?;
        if self.distinct {
            kept = Some(once(values, ids, kept.as_ref())?);
        }
        match &self.how {
            How::Pick { last, pass_nulls } => {
                let nulls = values.logical_nulls().filter(|_| *pass_nulls);
                let rows = (0..ids.len()).filter(|&row| {
                    kept.as_ref().is_none_or(|kept| kept.value(row))
                        && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
                });
                let mut picked = vec![None; count];
                for row in rows {
                    let picked = &mut picked[ids[row]];
                    if *last || picked.is_none() {
                        *picked = Some(u32::try_from(row).unwrap_or(u32::MAX));
                    }
                }
                Ok(take(values, &UInt32Array::from(picked), None)?)
            }
            How::Accumulate(call) => {
                let mut accumulator = call.create_groups_accumulator()?;
                accumulator.update_batch(&arguments, ids, kept.as_ref(), count)?;
                accumulator.evaluate(EmitTo::All)
            }
        }
    }

    /// The order in which each group's rows are as they must be; none where they lie so.
    fn order_of(&self, chunk: &RecordBatch, ids: &[usize]) -> Result<Option<UInt32Array>> {
        if self.order.is_empty() {
            return Ok(None);
        }
        let rows = chunk.num_rows();
        let group: Int64Array = ids.iter().map(|&id| i64::try_from(id).ok()).collect();
        let mut columns = vec![SortColumn {
            values: Arc::new(group),
            options: None,
        }];
        for by in &self.order {
            columns.push(SortColumn {
                values: by.expr.evaluate(chunk)?.into_array(rows)?,
                options: Some(by.options),
            });
        }
        order_within(std::slice::from_ref(&(0..rows)), &columns, rows)
    }
}

/// The rows for which a condition holds.
fn holds(condition: &Arc<dyn PhysicalExpr>, chunk: &RecordBatch) -> Result<BooleanArray> {
    let kept = condition.evaluate(chunk)?.into_array(chunk.num_rows())?;
    let kept = kept.as_boolean();
    Ok(match kept.null_count() {
        0 => kept.clone(),
        _ => prep_null_mask_filter(kept),
    })
}

/// The first of each group's kept rows that have the same value, where these lie together.
fn once(values: &ArrayRef, ids: &[usize], kept: Option<&BooleanArray>) -> Result<BooleanArray> {
    let compare = make_comparator(values, values, SortOptions::default())?;
    let mut before: Option<usize> = None;
    let first = (0..ids.len()).map(|row| {
        let known = before.is_some_and(|b| ids[b] == ids[row] && compare(b, row).is_eq());
        let first = !known && kept.is_none_or(|kept| kept.value(row));
        if first {
            before = Some(row);
        }
        Some(first)
    });
    Ok(first.collect())
}
