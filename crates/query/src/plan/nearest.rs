//! `SELECT a.id, a.day, min(b.day) FROM a JOIN b ON b.person = a.person AND b.day >= a.day GROUP BY a.id, a.day`: of all rows that
//! go with one, only the least or greatest value counts.
//!
//! That is how SQL asks for the next visit, for the last value before a day, and for the end of an era (OHDSI's script does). Of
//! a person's rows in the order of what is compared, the least value from each row on is found once; each row asks for one of them, and
//! the pairs are never made.

use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use arrow::buffer::NullBuffer;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinSide, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::clusters::{keeps_order, still_ordered};
use super::keys;
use super::nearby::{self, Pair, numbers};
use super::segment_join::SegmentJoinExec;
use super::sorted_input::Piece;

/// Makes joins of which an aggregate keeps one pair of each row return no other.
#[derive(Debug)]
pub(crate) struct PairWithNearest;

impl PhysicalOptimizerRule for PairWithNearest {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let paired = |keeps_orders: bool| {
            let plan = Arc::clone(&plan).transform_up(|plan| {
                Ok(match over_nearest(&plan, keeps_orders)? {
                    Some(made) => Transformed::yes(made),
                    None => Transformed::no(plan),
                })
            });
            plan.data()
        };
        // The rows come in the order of the other side, which most often nobody has asked for.
        let made = paired(false)?;
        if Arc::ptr_eq(&made, &plan) || still_ordered(&made)? && keeps_order(&plan, &made)? {
            return Ok(made);
        }
        paired(true)
    }

    fn name(&self) -> &'static str {
        "PairWithNearest"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Of the rows that go with one of the driving side, that with the least or greatest value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nearest {
    /// The side whose rows are grouped.
    pub(super) driver: JoinSide,
    /// The columns that are compared, of the other side and of the driving one.
    compared: Pair,
    /// How the first stands to the second.
    op: Operator,
    /// The other side's column whose value counts.
    value: usize,
    least: bool,
}

impl Nearest {
    /// For a condition that is one comparison of the two sides.
    pub(super) fn of(
        condition: &JoinFilter,
        driver: JoinSide,
        value: usize,
        least: bool,
    ) -> Option<Self> {
        let (op, compared) = nearby::compared(condition.expression(), condition, driver)?;
        let bounds = matches!(
            op,
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
        );
        bounds.then_some(Self {
            driver,
            compared,
            op,
            value,
            least,
        })
    }

    fn is_upper(self) -> bool {
        matches!(self.op, Operator::Lt | Operator::LtEq)
    }
}

/// The same aggregate over a join that pairs each row with one other at most; none for any other plan, or where an order is lost that
/// is to be kept.
fn over_nearest(
    plan: &Arc<dyn ExecutionPlan>,
    keeps_orders: bool,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else {
        return Ok(None);
    };
    let Some((value, least)) = extreme(aggregate) else {
        return Ok(None);
    };
    let (mut join, mut between, mut projection) = (aggregate.input(), Vec::new(), None);
    loop {
        if let (None, Some(found)) = (projection, join.downcast_ref::<ProjectionExec>()) {
            projection = Some(found);
        } else if !join.is::<CooperativeExec>() {
            break;
        }
        between.push(join);
        let [below] = join.children()[..] else {
            return Ok(None);
        };
        join = below;
    }
    let join = match join.downcast_ref::<SegmentJoinExec>() {
        Some(join) => Some(join.clone()),
        None => SegmentJoinExec::sorted_anew(join, true)?,
    };
    let Some(join) = join else {
        return Ok(None);
    };
    // What stands in a column of the aggregate's input, in columns of the join.
    let behind = |at: usize| -> Option<PhysicalExprRef> {
        match projection {
            Some(projection) => Some(Arc::clone(&projection.expr().get(at)?.expr)),
            None => Some(Arc::new(Column::new("", at))),
        }
    };
    let groups = aggregate.group_expr();
    let mut grouped = Vec::new();
    for expr in groups.input_exprs() {
        for column in collect_columns(&expr) {
            let Some(behind) = behind(column.index()) else {
                return Ok(None);
            };
            grouped.extend(collect_columns(&behind).iter().map(Column::index));
        }
    }
    let value = behind(value);
    let value = value.and_then(|value| Some(value.downcast_ref::<Column>()?.index()));
    let Some(value) = value.filter(|_| groups.is_single() && !grouped.is_empty()) else {
        return Ok(None);
    };
    let Some(join) = join.paired_with_nearest(&grouped, value, least)? else {
        return Ok(None);
    };
    let options = || ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    let mut made: Arc<dyn ExecutionPlan> = Arc::new(join);
    for node in between.into_iter().rev().chain([plan]) {
        made = Arc::clone(node).replace_children(vec![made], options())?;
    }
    let (before, after) = (plan.equivalence_properties(), made.equivalence_properties());
    let kept = !keeps_orders || keys::keeps_orders(before, after)?;
    Ok(kept.then_some(made))
}

/// The column whose least or greatest value an aggregate asks for and nothing else, and which.
fn extreme(aggregate: &AggregateExec) -> Option<(usize, bool)> {
    let mode = aggregate.mode();
    let schema = aggregate.input().schema();
    let filtered = aggregate.filter_expr().iter().any(Option::is_some);
    let [call] = aggregate.aggr_expr() else {
        return None;
    };
    if filtered || !call.order_bys().is_empty() || mode.input_mode() != AggregateInputMode::Raw {
        return None;
    }
    let least = match call.fun().name() {
        "min" => true,
        "max" => false,
        _ => return None,
    };
    let exprs = call.expressions();
    let [value] = exprs.as_slice() else {
        return None;
    };
    let of = value.data_type(&schema).ok()?;
    let column = value.downcast_ref::<Column>()?;
    keys::is_whole(&of).then_some((column.index(), least))
}

/// The rows of one key that may go with those of the driving side.
#[derive(Debug)]
pub(super) struct Candidates {
    nearest: Nearest,
    /// Each the column of the other side, NULL in rows that go with none, and that of the driving one.
    compared: (Int64Array, Int64Array),
    equal: Option<(Int64Array, Int64Array)>,
    values: Int64Array,
    /// The key's rows in the order of what is equal and of what is compared, each with the row that counts of those before it or
    /// after it, and with itself.
    rows: Vec<Candidate>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    equal: i64,
    compared: i64,
    row: u32,
}

impl Candidates {
    pub(super) fn new(
        nearest: Nearest,
        equal: Option<Pair>,
        driver: &Piece,
        other: &Piece,
    ) -> Result<Self> {
        let both = |(one, two): Pair| -> Result<(Int64Array, Int64Array)> {
            Ok((numbers(other, one)?, numbers(driver, two)?))
        };
        let (compared, of_driver) = both(nearest.compared)?;
        let equal = equal.map(both).transpose()?;
        let nulls = NullBuffer::union(compared.nulls(), other.nulls.as_ref());
        let of_equal = equal.as_ref().and_then(|(equal, _)| equal.nulls());
        let nulls = NullBuffer::union(nulls.as_ref(), of_equal);
        let compared = Int64Array::new(compared.values().clone(), nulls);
        Ok(Self {
            nearest,
            compared: (compared, of_driver),
            equal,
            values: numbers(other, nearest.value)?,
            rows: Vec::new(),
        })
    }

    /// Begins with the rows of another key, of which there are fewer than 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "the caller's promise")]
    pub(super) fn begin(&mut self, rows: &std::ops::Range<usize>) {
        let Self {
            nearest,
            compared: (compared, _),
            equal,
            values,
            rows: candidates,
        } = self;
        candidates.clear();
        let valid = rows.clone().filter(|row| compared.is_valid(*row));
        candidates.extend(valid.map(|row| Candidate {
            equal: equal.as_ref().map_or(0, |(equal, _)| equal.value(row)),
            compared: compared.value(row),
            row: row as u32,
        }));
        let by = |candidate: &Candidate| (candidate.equal, candidate.compared);
        if !candidates.is_sorted_by_key(by) {
            candidates.sort_unstable_by_key(by);
        }
        // Of two rows the one that counts; a row without a value only where there is no other.
        let counts = |one: u32, two: u32| {
            let value = |row: u32| {
                let row = row as usize;
                values.is_valid(row).then(|| values.value(row))
            };
            match (value(one), value(two)) {
                (Some(a), Some(b)) if a != b => match (a < b) == nearest.least {
                    true => one,
                    false => two,
                },
                (None, Some(_)) => two,
                _ => one,
            }
        };
        let mut last: Option<Candidate> = None;
        let mut carry = |candidate: &mut Candidate| {
            if let Some(last) = last.filter(|last| last.equal == candidate.equal) {
                candidate.row = counts(last.row, candidate.row);
            }
            last = Some(*candidate);
        };
        match nearest.is_upper() {
            true => candidates.iter_mut().for_each(&mut carry),
            false => candidates.iter_mut().rev().for_each(&mut carry),
        }
    }

    /// The other side's row that counts for one of the driving side.
    pub(super) fn of(&self, row: usize) -> Option<usize> {
        let (_, bounds) = &self.compared;
        let equal = match &self.equal {
            None => 0,
            Some((_, equal)) => equal.is_valid(row).then(|| equal.value(row))?,
        };
        let bound = (equal, bounds.is_valid(row).then(|| bounds.value(row))?);
        let before = |inclusive: bool| {
            self.rows.partition_point(|candidate| {
                let at = (candidate.equal, candidate.compared);
                at < bound || (inclusive && at == bound)
            })
        };
        let at = match self.nearest.op {
            Operator::LtEq => before(true).checked_sub(1)?,
            Operator::Lt => before(false).checked_sub(1)?,
            Operator::GtEq => before(false),
            _ => before(true),
        };
        let found = self.rows.get(at)?;
        (found.equal == equal).then_some(found.row as usize)
    }
}
