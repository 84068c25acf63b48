//! Builds the hash table of a join from the side that can be small.
//!
//! The engine (DataFusion 55) estimates the rows of a join by the ranges of its keys. Concept ids are spread over a wide
//! range that few of them fill, so that it expects next to nothing of a join of records with the hierarchy, and builds
//! the next join's table from millions of rows to look a few hundred concepts up in it. What bounds the rows of a plan
//! are the tables that it reads: a key that is looked up gives about as many rows as there were.
//!
//! Nor does it see that it would take persons apart: records that lie person by person stay where they are, and what they
//! are looked up in is sent to all of them, where that is small. So it is with what they are compared with by no key.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, IsNotNullExpr};
use datafusion::physical_expr::{Partitioning, PhysicalExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// How many times larger the kept side must be before the sides change places: the estimate is a rough one.
const TIMES_LARGER: usize = 8;
/// A series is expected to have so many rows.
const FEW: usize = 1024;
/// Of the rows of a condition or a GROUP BY, one in so many is expected.
const ONE_IN: usize = 10;

/// Changes the sides of joins whose kept side is far larger than the other.
#[derive(Debug)]
pub(crate) struct BuildSmallSide;

impl PhysicalOptimizerRule for BuildSmallSide {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !options.optimizer.join_reordering {
            return Ok(plan);
        }
        let few = options.optimizer.hash_join_single_partition_threshold_rows;
        plan.transform_up(|plan| {
            if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
                return Ok(if keeps_persons(join) {
                    Transformed::yes(join.swap_inputs()?)
                } else {
                    Transformed::no(plan)
                });
            }
            let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(plan));
            };
            let (Some(kept), Some(streamed)) = (rows(join.left()), rows(join.right())) else {
                return Ok(Transformed::no(plan));
            };
            if *join.join_type() == JoinType::Full || join.null_aware {
                return Ok(Transformed::no(plan));
            }
            // Persons stay in their ranges, if what they are looked up in is the smaller by any measure.
            let times = match by_person(join.left()) && !by_person(join.right()) {
                true => 1,
                false => TIMES_LARGER,
            };
            if kept / times <= streamed {
                let sent = kept <= few.min(streamed / TIMES_LARGER) && moves_persons(join);
                return Ok(if sent {
                    let join = join.builder();
                    let join = join.with_partition_mode(PartitionMode::CollectLeft);
                    Transformed::yes(join.build_exec()?)
                } else {
                    Transformed::no(plan)
                });
            }
            let mode = if streamed <= few {
                PartitionMode::CollectLeft
            } else {
                PartitionMode::Partitioned
            };
            Ok(Transformed::yes(join.swap_inputs(mode)?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "BuildSmallSide"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a join sends rows that lie in ranges of persons to where other keys belong.
fn moves_persons(join: &HashJoinExec) -> bool {
    let follows = matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
    );
    let Partitioning::Range(ranges) = join.right().output_partitioning() else {
        return false;
    };
    let person = &ranges.ordering().first().expr;
    let mut keys = join.on().iter().map(|(_, right)| right);
    follows
        && *join.partition_mode() == PartitionMode::Partitioned
        && !keys.any(|key| key == person)
}

fn by_person(side: &Arc<dyn ExecutionPlan>) -> bool {
    matches!(side.output_partitioning(), Partitioning::Range(_))
}

/// Whether a join by no key keeps rows that lie in ranges of persons, while what they are compared with is far smaller: years,
/// or bands of ages.
fn keeps_persons(join: &NestedLoopJoinExec) -> bool {
    let known = matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Left | JoinType::Right
    );
    let (Some(kept), Some(streamed)) = (rows(join.left()), rows(join.right())) else {
        return false;
    };
    known && by_person(join.left()) && !by_person(join.right()) && kept / TIMES_LARGER > streamed
}

/// Whether a condition leaves out what is one value only, or none.
fn keeps_most(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let unequal = condition.downcast_ref::<BinaryExpr>();
    unequal.is_some_and(|of| *of.op() == Operator::NotEq) || condition.is::<IsNotNullExpr>()
}

/// About how many rows a plan has, by the tables that it reads; none where a table does not tell.
pub(super) fn rows(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let children = plan.children();
    let [first, rest @ ..] = children.as_slice() else {
        let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
        let known = statistics.ok()?.num_rows.get_value().copied();
        // What is made of nothing, such as a series of years, says nothing of itself.
        return known.or_else(|| (plan.name() == "LazyMemoryExec").then_some(FEW));
    };
    let first = rows(first)?;
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let right = rows(join.right())?;
        return Some(match join.join_type() {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => first,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
            _ => first.max(right),
        });
    }
    let filter = plan.downcast_ref::<FilterExec>();
    let picks = filter.is_some_and(|filter| {
        let parts = split_conjunction(filter.predicate());
        parts.into_iter().any(|part| !keeps_most(part))
    });
    if picks || plan.is::<AggregateExec>() {
        return Some(first / ONE_IN);
    }
    let others = rest.iter().map(|child| rows(child));
    let others = others.collect::<Option<Vec<_>>>()?;
    let all = if plan.downcast_ref::<UnionExec>().is_some() {
        first + others.iter().sum::<usize>()
    } else {
        others.into_iter().fold(first, usize::max)
    };
    Some(plan.fetch().map_or(all, |fetch| all.min(fetch)))
}
