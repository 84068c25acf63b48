//! Joins by person and more keys, over inputs that are divided by person only.
//!
//! The engine repartitions both sides unless they are divided by exactly the join's keys. But rows that agree in
//! all keys agree in the person, so that inputs divided by person alone are divided well enough.
//!
//! And joins by person alone behind a pseudonym: the bounds of their ranges are names, by which nothing may be routed.

use std::sync::Arc;

use arrow::datatypes::Schema;
use columna_privacy::guard::StoredOrder;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, Result};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, SendableRecordBatchStream,
};

use super::keys;

/// Keeps joins range by range whose inputs are divided by one of their keys, however few rows the engine expects of
/// one side: sending all of that side to each part would lose the order of both.
#[derive(Debug)]
pub(crate) struct KeepDivided;

impl PhysicalOptimizerRule for KeepDivided {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(plan));
            };
            let divided = *join.partition_mode() != PartitionMode::Partitioned
                && !join.null_aware
                && divided_key(join).is_some();
            if !divided {
                return Ok(Transformed::no(plan));
            }
            let by_range = join
                .builder()
                .with_partition_mode(PartitionMode::Partitioned);
            Ok(Transformed::yes(by_range.build_exec()?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "KeepDivided"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Wraps the joins whose inputs are divided by one of their keys, or by names of parts.
#[derive(Debug)]
pub(crate) struct Colocate;

impl PhysicalOptimizerRule for Colocate {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let key = plan.downcast_ref::<HashJoinExec>().and_then(shared_key);
            Ok(match key {
                Some(key) => Transformed::yes(Arc::new(ColocatedJoinExec { join: plan, key }) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Colocate"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Takes the wrappers off.
#[derive(Debug)]
pub(crate) struct Expose;

impl PhysicalOptimizerRule for Expose {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match plan.downcast_ref::<ColocatedJoinExec>() {
                Some(wrapped) => Transformed::yes(Arc::clone(&wrapped.join)),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Expose"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Which of several keys both inputs are divided by, at the same points.
fn shared_key(join: &HashJoinExec) -> Option<usize> {
    // A null-aware anti join looks at all rows of a side at once.
    if (join.on().len() < 2 && !divided_by_name(join))
        || *join.partition_mode() != PartitionMode::Partitioned
        || join.null_aware
    {
        return None;
    }
    divided_key(join)
}

/// Whether the bounds of a side's ranges are no values of the key: filters that the join hands down must not be routed by
/// them, however many keys there are.
fn divided_by_name(join: &HashJoinExec) -> bool {
    [join.left(), join.right()].into_iter().any(|side| {
        matches!(side.output_partitioning(), Partitioning::Range(range) if StoredOrder::names_parts(range))
    })
}

fn divided_key(join: &HashJoinExec) -> Option<usize> {
    join.on().iter().position(|(left, right)| {
        match (
            &join.left().properties().partitioning,
            &join.right().properties().partitioning,
        ) {
            // One range holds everything: the engine divides it anew where there are more threads.
            (Partitioning::Range(l), Partitioning::Range(r)) => {
                !l.split_points().is_empty()
                    && l.split_points() == r.split_points()
                    && l.ordering().first().options == r.ordering().first().options
                    && is_alone(join.left(), l.ordering().iter().map(|by| &by.expr), left)
                    && is_alone(join.right(), r.ordering().iter().map(|by| &by.expr), right)
            }
            // What the engine made of ranges for a join that asked for one key only.
            (Partitioning::Hash(l, parts), Partitioning::Hash(r, same)) => {
                parts == same
                    && is_alone(join.left(), l.iter(), left)
                    && is_alone(join.right(), r.iter(), right)
            }
            _ => false,
        }
    })
}

/// Whether what an input is divided by is this one expression.
fn is_alone<'a>(
    input: &Arc<dyn ExecutionPlan>,
    mut by: impl Iterator<Item = &'a Arc<dyn PhysicalExpr>>,
    key: &Arc<dyn PhysicalExpr>,
) -> bool {
    let same = by.next().is_some_and(|by| {
        let properties = input.equivalence_properties();
        properties.eq_group().exprs_equal(by, key)
    });
    same && by.next().is_none()
}

/// A hash join that asks of its inputs to be divided by one of its keys only.
#[derive(Debug)]
pub(super) struct ColocatedJoinExec {
    join: Arc<dyn ExecutionPlan>,
    /// The position among the join's keys.
    key: usize,
}

impl ColocatedJoinExec {
    pub(super) fn hash_join(&self) -> Option<&HashJoinExec> {
        self.join.downcast_ref::<HashJoinExec>()
    }

    /// The same join by two keys of more, with the others in its condition; none where these are no columns.
    pub(super) fn by_two_keys(&self) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(join) = self.hash_join().filter(|join| join.on().len() > 2) else {
            return Ok(None);
        };
        let (left, right) = (join.left().schema(), join.right().schema());
        let mut on = join.on().to_vec();
        let key = on.remove(self.key);
        on.sort_by_key(|(l, _)| !l.data_type(&left).is_ok_and(|kind| keys::is_whole(&kind)));
        let others = on.split_off(1);
        let (mut columns, mut fields, mut condition) = match join.filter() {
            Some(filter) => (
                filter.column_indices().to_vec(),
                filter.schema().fields().to_vec(),
                Some(Arc::clone(filter.expression())),
            ),
            None => (Vec::new(), Vec::new(), None),
        };
        for (l, r) in &others {
            let mut place = |key: &Arc<dyn PhysicalExpr>, schema: &Schema, side| {
                let column = key.downcast_ref::<Column>()?;
                let field = Arc::clone(&schema.fields()[column.index()]);
                let at: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), columns.len()));
                columns.push(ColumnIndex {
                    index: column.index(),
                    side,
                });
                fields.push(field);
                Some(at)
            };
            let (Some(l), Some(r)) = (
                place(l, &left, JoinSide::Left),
                place(r, &right, JoinSide::Right),
            ) else {
                return Ok(None);
            };
            let equal = Arc::new(BinaryExpr::new(l, Operator::Eq, r)) as _;
            condition = Some(match condition {
                Some(before) => Arc::new(BinaryExpr::new(before, Operator::And, equal)) as _,
                None => equal,
            });
        }
        let schema = Arc::new(Schema::new(fields));
        let filter = condition.map(|condition| JoinFilter::new(condition, columns, schema));
        on.insert(0, key);
        let join = join
            .builder()
            .with_on(on)
            .with_filter(filter)
            .build_exec()?;
        Ok(Some(Arc::new(Self { join, key: 0 })))
    }
}

impl DisplayAs for ColocatedJoinExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !matches!(kind, DisplayFormatType::TreeRender) {
            let by = self
                .hash_join()
                .and_then(|join| join.on().get(self.key))
                .map(|(left, right)| format!("({left}, {right})"))
                .unwrap_or_default();
            write!(f, "ColocatedJoinExec: by={by}, ")?;
        }
        match self.hash_join() {
            Some(join) => join.fmt_as(kind, f),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for ColocatedJoinExec {
    fn name(&self) -> &'static str {
        "ColocatedJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.join.children()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        match self.hash_join().and_then(|join| join.on().get(self.key)) {
            Some((left, right)) => InputDistributionRequirements::co_partitioned(vec![
                Distribution::KeyPartitioned(vec![Arc::clone(left)]),
                Distribution::KeyPartitioned(vec![Arc::clone(right)]),
            ]),
            None => self.join.input_distribution_requirements(),
        }
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.join.maintains_input_order()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.join.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            join: Arc::clone(&self.join).replace_children(children, options)?,
            key: self.key,
        }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.join.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.join.metrics()
    }
}
