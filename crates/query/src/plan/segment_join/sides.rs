//! By what the two sides of a join are sorted, and in which order its rows come.

use std::sync::Arc;

use datafusion::common::{DataFusionError, JoinSide, JoinType, Result};
use datafusion::physical_expr::equivalence::{ProjectionMapping, join_equivalence_properties};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, PlanProperties};

use super::TIMES_SMALL;
use crate::plan::build_side::rows;
use crate::plan::keys::{self, ascending};
use crate::plan::matches::driver;
use crate::plan::nearby::Pair;

/// Where each row of the left side is looked for among those of its person, these are at most so many times as many.
const FEWER: usize = 16;

/// The join's keys in an order by which both sides are sorted.
pub(super) fn sorted_keys(
    join: &HashJoinExec,
    left: &Arc<dyn ExecutionPlan>,
) -> Result<Option<(LexOrdering, LexOrdering)>> {
    let on: Vec<_> = join.on().iter().collect();
    let reversed: Vec<_> = on.iter().rev().copied().collect();
    if !are_whole(join, left)? {
        return Ok(None);
    }
    for on in [on, reversed] {
        let left_keys: Vec<_> = on.iter().map(|(key, _)| ascending(key)).collect();
        let right_keys: Vec<_> = on.iter().map(|(_, key)| ascending(key)).collect();
        let (l, r) = (
            left.equivalence_properties(),
            join.right().equivalence_properties(),
        );
        // A constant is sorted too, but all rows would be one segment.
        if constant(l, &left_keys) || constant(r, &right_keys) {
            continue;
        }
        if l.ordering_satisfy(left_keys.iter().cloned())?
            && r.ordering_satisfy(right_keys.iter().cloned())?
            && let (Some(l), Some(r)) = (LexOrdering::new(left_keys), LexOrdering::new(right_keys))
            && l.len() == join.on().len()
            && r.len() == join.on().len()
        {
            return Ok(Some((l, r)));
        }
    }
    Ok(None)
}

/// Whether the join's keys are whole numbers of one type on both sides.
fn are_whole(join: &HashJoinExec, left: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let (left_schema, right_schema) = (left.schema(), join.right().schema());
    for (l, r) in join.on() {
        let to = l.data_type(&left_schema)?;
        if !keys::is_whole(&to) || r.data_type(&right_schema)? != to {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first keys, by which both sides are sorted, and the places of the second ones, by which they are not: rows are looked up
/// among those of a person, which costs less than a hash table of one side does, and takes no memory that grows with it.
pub(super) fn looked_up_keys(
    join: &HashJoinExec,
    left: &Arc<dyn ExecutionPlan>,
    large: usize,
) -> Result<Option<(LexOrdering, LexOrdering, Option<Pair>)>> {
    let [one, two] = join.on() else {
        return Ok(None);
    };
    let right = join.right();
    let driver = driver(*join.join_type());
    // Of a plan that is put together anew, this was decided before.
    let worth_it = large == usize::MAX
        || rows(left).zip(rows(right)).is_some_and(|(l, r)| {
            // The smaller side may be one that others were taken out of before.
            let others = l.max(r) >= large && l.min(r) >= large / TIMES_SMALL;
            others && (driver == JoinSide::Right || l >= r / FEWER)
        });
    if !(worth_it && are_whole(join, left)?) {
        return Ok(None);
    }
    for ((l, r), (then_l, then_r)) in [(one, two), (two, one)] {
        let places = then_l
            .downcast_ref::<Column>()
            .zip(then_r.downcast_ref::<Column>());
        let Some((l_place, r_place)) = places else {
            continue;
        };
        let varies = |side: &Arc<dyn ExecutionPlan>, key| {
            let properties = side.equivalence_properties();
            let sorted = properties.ordering_satisfy([ascending(key)])?;
            Ok::<_, DataFusionError>(sorted && properties.is_expr_constant(key).is_none())
        };
        if !(varies(left, l)? && varies(right, r)?) {
            continue;
        }
        let (l_place, r_place) = (l_place.index(), r_place.index());
        let pair = match driver {
            JoinSide::Left => (r_place, l_place),
            _ => (l_place, r_place),
        };
        let keys = |key| LexOrdering::new([ascending(key)]);
        return Ok(keys(l).zip(keys(r)).map(|(l, r)| (l, r, Some(pair))));
    }
    Ok(None)
}

fn constant(properties: &EquivalenceProperties, keys: &[PhysicalSortExpr]) -> bool {
    let mut keys = keys.iter();
    keys.all(|key| properties.is_expr_constant(&key.expr).is_some())
}

/// The hash join's properties with the order of the driving side's rows.
pub(super) fn properties(
    join: &HashJoinExec,
    left: &Arc<dyn ExecutionPlan>,
    driver: JoinSide,
) -> Result<PlanProperties> {
    let mut left = left.equivalence_properties().clone();
    let mut right = join.right().equivalence_properties().clone();
    let kept = match join.join_type() {
        JoinType::Full => [false, false],
        _ => [driver == JoinSide::Left, driver == JoinSide::Right],
    };
    // The other side's rows begin anew with each of the driver's: its order says nothing of the join's.
    if driver == JoinSide::Left {
        right.clear_orderings();
    } else {
        left.clear_orderings();
    }
    let mut equivalences = join_equivalence_properties(
        left,
        right,
        join.join_type(),
        Arc::clone(join.join_schema()),
        &kept,
        Some(driver),
        join.on(),
    )?;
    if let Some(projection) = &join.projection {
        let mapping = ProjectionMapping::from_indices(projection, join.join_schema())?;
        equivalences = equivalences.project(&mapping, join.schema());
    }
    Ok(PlanProperties::clone(join.properties()).with_eq_properties(equivalences))
}
