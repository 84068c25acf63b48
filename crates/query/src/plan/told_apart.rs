//! Keeps filters above nodes where a name stands for more than one column, or for values that come anew each time.
//!
//! The engine (DataFusion 55) finds a filter's columns in the node below by their names, and takes the first of each. Where a
//! join has columns of the same name from both sides and its sides were exchanged, `a LEFT JOIN b … WHERE b.person_id IS NULL`
//! became `a.person_id IS NULL` in a's scan, and `WHERE a.day < 5 OR b.day < 5` asked a's day twice: rows were lost without an
//! error. And of `SELECT * FROM (SELECT random() AS r …) WHERE r < 0.5` it asked another random number than it showed.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, FilterDescription, FilterPushdownPhase,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};

use super::shared::is_volatile;

/// The engine's rule that moves filters down, which sees names only where they tell columns apart.
#[derive(Debug)]
pub(super) struct ToldApart {
    pub(super) rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
}

impl PhysicalOptimizerRule for ToldApart {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let asks = |node: &Arc<dyn ExecutionPlan>| {
            let filter = node.downcast_ref::<FilterExec>();
            Ok(filter.is_some_and(|filter| is_volatile(filter.predicate())))
        };
        let asks = plan.exists(asks)?;
        let kept = plan
            .transform_up(|node| {
                let clear = clear_columns(&node);
                Ok(if asks || clear.len() < node.schema().fields().len() {
                    Transformed::yes(Arc::new(ClearNamesExec { input: node, clear }) as _)
                } else {
                    Transformed::no(node)
                })
            })
            .data()?;
        let moved = self.rule.optimize(kept, config)?;
        moved
            .transform_up(|node| {
                Ok(match node.downcast_ref::<ClearNamesExec>() {
                    Some(clear) => Transformed::yes(Arc::clone(&clear.input)),
                    None => Transformed::no(node),
                })
            })
            .data()
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

/// The places of the columns whose names stand for one column only, here and in each input, and that are the same each time.
fn clear_columns(node: &Arc<dyn ExecutionPlan>) -> HashSet<usize> {
    let mut twice: HashSet<String> = HashSet::new();
    for of in [node].into_iter().chain(node.children()) {
        let schema = of.schema();
        let mut seen = HashSet::new();
        let fields = schema.fields().iter();
        twice.extend(
            fields
                .filter(|field| !seen.insert(field.name().as_str()))
                .map(|field| field.name().clone()),
        );
    }
    let schema = node.schema();
    let shown = node.downcast_ref::<ProjectionExec>();
    let changes = |at: usize| shown.is_some_and(|shown| is_volatile(&shown.expr()[at].expr));
    let fields = schema.fields().iter().enumerate();
    fields
        .filter(|(at, field)| !twice.contains(field.name()) && !changes(*at))
        .map(|(at, _)| at)
        .collect()
}

/// Its input, to which only filters of clear columns pass, and none of what changes. It is in a plan while the engine's rule runs.
#[derive(Debug)]
struct ClearNamesExec {
    input: Arc<dyn ExecutionPlan>,
    clear: HashSet<usize>,
}

impl DisplayAs for ClearNamesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClearNamesExec")
    }
}

impl ExecutionPlan for ClearNamesExec {
    fn name(&self) -> &'static str {
        "ClearNamesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match children.pop() {
            Some(input) => Arc::new(Self {
                input,
                clear: self.clear.clone(),
            }),
            None => self,
        })
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
        self.input.execute(partition, context)
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let child = match filters.iter().any(is_volatile) {
            true => ChildFilterDescription::all_unsupported(&filters),
            false => ChildFilterDescription::from_child_with_allowed_indices(
                &filters,
                self.clear.clone(),
                &self.input,
            )?,
        };
        Ok(FilterDescription::new().with_child(child))
    }
}
