//! Joins below unions: all events of a hospital with their persons, where nothing above goes by person.
//!
//! The parts of a union are put person by person for a join by person, and each row is copied twice on its way. A small table
//! of persons is read once more for each part instead.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use super::aligned_union::{AlignedUnionExec, asked_of_inputs};
use super::build_side::rows;

/// The other side has at most one in so many of the union's rows.
const SMALL: usize = 8;

/// Joins each part of a union with a small table of persons.
#[derive(Debug)]
pub(crate) struct JoinedParts;

impl PhysicalOptimizerRule for JoinedParts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        below(plan, false).data()
    }

    fn name(&self) -> &'static str {
        "JoinedParts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with such joins below their unions; `together`: something above goes by person.
fn below(
    plan: Arc<dyn ExecutionPlan>,
    together: bool,
) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let is_join = plan.is::<HashJoinExec>();
    let asked = asked_of_inputs(plan.as_ref(), &[]);
    let together = together || (!is_join && asked.iter().any(|columns| !columns.is_empty()));
    let plan = plan.map_children(|input| below(input, together))?;
    plan.transform_data(|plan| {
        let joined = match plan.downcast_ref::<HashJoinExec>() {
            Some(join) if !together => parts(&plan, join, &asked)?,
            _ => None,
        };
        Ok(joined.map_or_else(|| Transformed::no(plan), Transformed::yes))
    })
}

fn with_inputs(
    plan: &Arc<dyn ExecutionPlan>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(plan).replace_children(inputs, options)
}

/// The union of the joins of each part; none where the union's rows would not be put person by person, or the other side is no small
/// table.
fn parts(
    plan: &Arc<dyn ExecutionPlan>,
    join: &HashJoinExec,
    asked: &[Vec<usize>],
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    use JoinType::{
        Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi,
    };
    let kind = join.join_type();
    let of_left = matches!(kind, Inner | Left | LeftSemi | LeftAnti | LeftMark);
    let of_right = matches!(kind, Inner | Right | RightSemi | RightAnti | RightMark);
    let sides = [
        (join.left(), join.right(), of_left),
        (join.right(), join.left(), of_right),
    ];
    for (at, (union, other, each)) in sides.into_iter().enumerate() {
        let by = asked.get(at).map_or(&[][..], Vec::as_slice);
        let small = || Some(rows(other)? <= rows(union)? / SMALL);
        if !each || !is_table(other) || small() != Some(true) {
            continue;
        }
        let Some(union) = as_union(union)? else {
            continue;
        };
        let names = |part: &Arc<dyn ExecutionPlan>| {
            let fields = part.schema().fields().clone();
            fields
                .iter()
                .map(|field| field.name().clone())
                .collect::<Vec<_>>()
        };
        let known = names(&union);
        let alike = union
            .children()
            .into_iter()
            .all(|part| names(part) == known);
        if !alike || AlignedUnionExec::of(&union, by)?.is_none() {
            continue;
        }
        let joins = union.children().into_iter().map(|part| {
            let (part, other) = (Arc::clone(part), Arc::clone(other));
            with_inputs(
                plan,
                if at == 0 {
                    vec![part, other]
                } else {
                    vec![other, part]
                },
            )
        });
        return UnionExec::try_new(joins.collect::<Result<_>>()?).map(Some);
    }
    Ok(None)
}

/// A union, or the columns chosen of one as a union of what is chosen of each part.
fn as_union(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if plan.is::<UnionExec>() {
        return Ok(Some(Arc::clone(plan)));
    }
    match plan.children().as_slice() {
        [union] if plan.is::<ProjectionExec>() && union.is::<UnionExec>() => {
            let parts = union.children().into_iter();
            let parts = parts.map(|part| with_inputs(plan, vec![Arc::clone(part)]));
            UnionExec::try_new(parts.collect::<Result<_>>()?).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether a plan reads a table, by conditions and choices of columns only.
fn is_table(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children().as_slice() {
        [] => true,
        [input] => is_table(input) && (plan.is::<FilterExec>() || plan.is::<ProjectionExec>()),
        _ => false,
    }
}
