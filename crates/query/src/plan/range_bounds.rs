//! What a join by a range asks of one side's values, and where among sorted ones it is found.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::{JoinSide, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::utils::{conjunction, split_conjunction};
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::joins::utils::JoinFilter;

use super::keys;
use super::one_sided::{of_side, side};

/// What a row of the right side asks of the left side's key.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// Of the left side's rows.
    pub(super) key: PhysicalExprRef,
    /// Of the right side's rows: what the key is at the least, or greater than.
    pub(super) lower: Vec<(PhysicalExprRef, bool)>,
    pub(super) upper: Vec<(PhysicalExprRef, bool)>,
    /// Bounds of other values of the left side: the value, and its bound as a lower one, or an upper one. Pairs are told by the rest.
    pub(super) others: Vec<Other>,
    /// What else a pair must fulfil.
    pub(super) rest: Option<JoinFilter>,
}

#[derive(Debug, Clone)]
pub(super) struct Other {
    pub(super) key: PhysicalExprRef,
    pub(super) bound: PhysicalExprRef,
    pub(super) lower: bool,
    pub(super) strict: bool,
}

/// The bounds in a join's condition, if they are of one key of the left side, which is a whole number or a time.
pub(super) fn bounds(join: &NestedLoopJoinExec, condition: &JoinFilter) -> Result<Option<Bounds>> {
    let (mut found, mut rest): (Option<Bounds>, Vec<PhysicalExprRef>) = (None, Vec::new());
    for part in split_conjunction(condition.expression()) {
        let comparison = part.downcast_ref::<BinaryExpr>().and_then(|comparison| {
            let (left, right) = (comparison.left(), comparison.right());
            match (side(left, condition)?, side(right, condition)?) {
                (JoinSide::Left, JoinSide::Right) => Some((left, *comparison.op(), right)),
                (JoinSide::Right, JoinSide::Left) => Some((right, comparison.op().swap()?, left)),
                _ => None,
            }
        });
        if let Some((key, op, bound)) = comparison {
            let key = of_side(key, condition)?;
            let bound = of_side(bound, condition)?;
            let kind = key.data_type(&join.left().schema())?;
            let alike = keys::is_whole(&kind) && bound.data_type(&join.right().schema())? == kind;
            let same = found.as_ref().is_none_or(|found| found.key.eq(&key));
            let strict = matches!(op, Operator::Gt | Operator::Lt);
            let lower = match op {
                Operator::Gt | Operator::GtEq => Some(true),
                Operator::Lt | Operator::LtEq => Some(false),
                _ => None,
            };
            if let (true, true, Some(lower)) = (alike, same, lower) {
                let found = found.get_or_insert_with(|| Bounds {
                    key,
                    lower: Vec::new(),
                    upper: Vec::new(),
                    others: Vec::new(),
                    rest: None,
                });
                let bounds = if lower {
                    &mut found.lower
                } else {
                    &mut found.upper
                };
                bounds.push((bound, strict));
                continue;
            }
            if let (Some(found), true, Some(lower)) = (&mut found, alike, lower) {
                found.others.push(Other {
                    key,
                    bound,
                    lower,
                    strict,
                });
            }
        }
        rest.push(Arc::clone(part));
    }
    if let Some(found) = &mut found
        && !rest.is_empty()
    {
        found.rest = Some(JoinFilter::new(
            conjunction(rest),
            condition.column_indices().to_vec(),
            Arc::clone(condition.schema()),
        ));
    }
    Ok(found)
}

/// Takes off each row's range what is beyond a bound: a lower one or an upper one, which may be strict.
pub(super) fn narrow(
    ranges: &mut [Range<usize>],
    rows: &RecordBatch,
    keys: &[i64],
    bound: &PhysicalExprRef,
    (lower, strict): (bool, bool),
) -> Result<()> {
    let values = bound.evaluate(rows)?.into_array(rows.num_rows())?;
    let values = keys::whole_numbers(&values)?;
    // The last row that is before the bound, or at it, is found once for rows that have the same.
    let mut last = None;
    for (range, value) in ranges.iter_mut().zip(values.as_primitive::<Int64Type>()) {
        let Some(value) = value else {
            *range = 0..0;
            continue;
        };
        let at = match last {
            Some((known, at)) if known == value => at,
            _ => keys.partition_point(|key| *key < value || (*key == value && lower == strict)),
        };
        last = Some((value, at));
        if lower {
            range.start = range.start.max(at);
        } else {
            range.end = range.end.min(at);
        }
    }
    Ok(())
}
