//! Windows partitioned by person over sorted rows: whole chunks of persons at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use columna_privacy::guard::StoredOrder;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_datafusion_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_expr::{LexRequirement, OrderingRequirements, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, InputOrderMode, PlanProperties, SendableRecordBatchStream,
};

use super::changes::Changes;
use super::frames::Layout;
use super::segments::{self, Work, evaluate};
use super::window_functions::Function;

/// Puts windows whose functions all go column by column on the operator that does so.
#[derive(Debug)]
pub(crate) struct WindowsOverSegments;

impl PhysicalOptimizerRule for WindowsOverSegments {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let functions = match functions(plan.as_ref()) {
                Some(functions) => Some(functions),
                None => leads_over_nulls(plan.as_ref())?,
            };
            Ok(match functions {
                Some(functions) => {
                    Transformed::yes(Arc::new(SegmentWindowExec::new(plan, functions, None)) as _)
                }
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "WindowsOverSegments"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The window expressions of one of the engine's nodes.
pub(super) fn expressions(plan: &dyn ExecutionPlan) -> Option<&[Arc<dyn WindowExpr>]> {
    let bounded = plan.downcast_ref::<BoundedWindowAggExec>();
    bounded.map(BoundedWindowAggExec::window_expr).or_else(|| {
        plan.downcast_ref::<WindowAggExec>()
            .map(WindowAggExec::window_expr)
    })
}

/// The window expressions of a node whose input is sorted by what they are partitioned by.
fn window_expressions(plan: &dyn ExecutionPlan) -> Option<&[Arc<dyn WindowExpr>]> {
    if let Some(window) = plan.downcast_ref::<BoundedWindowAggExec>() {
        let plain =
            window.state_observer().is_none() && window.input_order_mode == InputOrderMode::Sorted;
        return plain.then(|| window.window_expr());
    }
    plan.downcast_ref::<WindowAggExec>()
        .map(WindowAggExec::window_expr)
}

fn functions(plan: &dyn ExecutionPlan) -> Option<Vec<Function>> {
    let first = window_expressions(plan)?.first()?;
    // Without PARTITION BY, the table is one segment: nothing for memory.
    (!first.partition_by().is_empty()).then(|| known(plan))?
}

/// The functions of a window with a `lead` that the engine gets wrong: by more than one of the rows that are not NULL, of which it
/// counts some twice. They are worth the memory of a whole table.
fn leads_over_nulls(plan: &dyn ExecutionPlan) -> Result<Option<Vec<Function>>> {
    let exprs = expressions(plan);
    let (Some(exprs), [input]) = (exprs, &plan.children()[..]) else {
        return Ok(None);
    };
    let input = input.schema();
    let mut functions = exprs.iter().filter_map(|expr| Function::of(expr, &input));
    if !functions.any(|function| function.leads_over_nulls()) {
        return Ok(None);
    }
    known(plan).map(Some).ok_or_else(|| {
        plan_datafusion_err!(
            "lead of more than one row with IGNORE NULLS is not supported beside other windows such as these: ask for it in a \
             subquery of its own"
        )
    })
}

/// All functions of a window, if this operator can do them.
fn known(plan: &dyn ExecutionPlan) -> Option<Vec<Function>> {
    let exprs = window_expressions(plan)?;
    let first = exprs.first()?;
    let alike = exprs.iter().all(|expr| {
        expr.partition_by() == first.partition_by() && expr.order_by() == first.order_by()
    });
    let input = plan.children().first()?.schema();
    let functions = exprs.iter().map(|expr| Function::of(expr, &input));
    alike.then(|| functions.collect())?
}

#[derive(Debug)]
pub(super) struct SegmentWindowExec {
    /// The window that this one stands for: it knows the plan's properties.
    window: Arc<dyn ExecutionPlan>,
    functions: Vec<Function>,
    /// The order that it asks for where persons only lie together, behind a pseudonym.
    together: Option<LexRequirement>,
    metrics: ExecutionPlanMetricsSet,
}

impl SegmentWindowExec {
    fn new(
        window: Arc<dyn ExecutionPlan>,
        functions: Vec<Function>,
        together: Option<LexRequirement>,
    ) -> Self {
        Self {
            window,
            functions,
            together,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// What tells its segments apart.
    pub(super) fn segments(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let exprs = window_expressions(self.window.as_ref()).and_then(<[_]>::first);
        exprs.map_or_else(Vec::new, |expr| expr.partition_by().to_vec())
    }

    /// Whether this operator can do what the node does.
    pub(super) fn may_stand_for(plan: &Arc<dyn ExecutionPlan>) -> bool {
        functions(plan.as_ref()).is_some()
    }

    /// The same window over rows of which the first key's lie together in their stored order; none where they do not, or
    /// where the window's functions are not all known here.
    pub(super) fn over_clusters(
        window: &Arc<dyn ExecutionPlan>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(functions) = functions(window.as_ref()) else {
            return Ok(None);
        };
        let [Some(required)] = &window.required_input_ordering()[..] else {
            return Ok(None);
        };
        let mut keys = required.first().iter().cloned();
        let first = keys.next().map(|mut key| {
            key.expr = StoredOrder::of(&key.expr);
            key
        });
        let Some(together) = LexRequirement::new(first.into_iter().chain(keys)) else {
            return Ok(None);
        };
        let properties = input.equivalence_properties();
        if !properties.ordering_satisfy_requirement(together.clone())? {
            return Ok(None);
        }
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let window = Arc::clone(window).replace_children(vec![input], options)?;
        Ok(Some(Arc::new(Self::new(window, functions, Some(together)))))
    }
}

impl DisplayAs for SegmentWindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exprs = window_expressions(self.window.as_ref()).unwrap_or_default();
        let names: Vec<&str> = exprs.iter().map(|expr| expr.name()).collect();
        write!(f, "SegmentWindowExec: wdw=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for SegmentWindowExec {
    fn name(&self) -> &'static str {
        "SegmentWindowExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.window.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.window.children()
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        match &self.together {
            Some(together) => vec![Some(OrderingRequirements::new(together.clone()))],
            None => self.window.required_input_ordering(),
        }
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.window.input_distribution_requirements()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.window.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let window = Arc::clone(&self.window).replace_children(children, options)?;
        let together = self.together.clone();
        Ok(Arc::new(Self::new(
            window,
            self.functions.clone(),
            together,
        )))
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
        let exprs = window_expressions(self.window.as_ref()).and_then(<[_]>::first);
        let children = self.window.children();
        let (Some(expr), [input]) = (exprs, children.as_slice()) else {
            return self.window.execute(partition, context);
        };
        let by = self.segments();
        let order: Vec<Arc<dyn PhysicalExpr>> = expr
            .order_by()
            .iter()
            .map(|key| Arc::clone(&key.expr))
            .collect();
        let functions = self.functions.clone();
        let schema = self.schema();
        let work = Work {
            name: "SegmentWindow",
            partition,
            key: by.clone(),
            chunk_rows: segments::CHUNK_ROWS,
            schema: Arc::clone(&schema),
            metrics: BaselineMetrics::new(&self.metrics, partition),
            each: move |chunk: &RecordBatch| windows(chunk, &by, &order, &functions, &schema),
        };
        segments::stream(input, work, &context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// A chunk of whole segments with the functions' values beside it.
fn windows(
    chunk: &RecordBatch,
    by: &[Arc<dyn PhysicalExpr>],
    order: &[Arc<dyn PhysicalExpr>],
    functions: &[Function],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let mut by = evaluate(by, chunk)?;
    let segments = Changes::of(&by, chunk.num_rows())?;
    let (order, peers) = if functions.iter().any(Function::needs_peers) {
        let order = evaluate(order, chunk)?;
        by.extend_from_slice(&order);
        (order, Some(Changes::of(&by, chunk.num_rows())?))
    } else {
        (Vec::new(), None)
    };
    let layout = Layout {
        rows: chunk.num_rows(),
        segments,
        peers,
        order,
    };
    let mut columns: Vec<ArrayRef> = chunk.columns().to_vec();
    for function in functions {
        columns.push(function.evaluate(chunk, &layout)?);
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
