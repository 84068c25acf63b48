//! The plan node of a guard. It keeps every default of `ExecutionPlan` that blocks; overriding one would leak. The one
//! that it overrides, statistics, says how many rows there are where the policy hides none.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DataFusionError, Result, Statistics, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr,
    RangePartitioning,
};
use datafusion::physical_plan::execution_plan::{EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, FilterDescription, FilterPushdownPhase,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::stored_order::{self, StoredOrder};
use super::stream::{GuardStream, Output, Plan};
use super::table::Guard;
use crate::pseudonym::Mask;

/// Drops hidden rows and masks columns of its scan, before any expression of the query's.
#[derive(Debug)]
pub struct GuardExec {
    child: Arc<dyn ExecutionPlan>,
    guard: Arc<Guard>,
    /// The columns that the query reads, as places in the guarded schema.
    projection: Vec<usize>,
    /// Leak-proof predicates of the query, over the guarded schema.
    filters: Vec<Expr>,
    /// Whether it says that the rows of a person lie together where the person is a pseudonym.
    together: bool,
    plan: Arc<Plan>,
    properties: Arc<PlanProperties>,
}

impl GuardExec {
    /// A guard over a scan, which must have the columns of [`Guard::reads`] in that order.
    pub(super) fn try_new(
        child: Arc<dyn ExecutionPlan>,
        guard: Arc<Guard>,
        projection: Vec<usize>,
        filters: Vec<Expr>,
        together: bool,
    ) -> Result<Self> {
        let reads = guard.reads(&projection, &filters)?;
        let scanned = child.schema();
        let matches = scanned.fields().len() == reads.len()
            && reads.iter().zip(scanned.fields()).all(|(read, field)| {
                let wanted = guard.stored.field(*read);
                wanted.name() == field.name() && wanted.data_type() == field.data_type()
            });
        if !matches {
            return internal_err!("a guard and its scan do not fit together");
        }
        let place = |stored: usize| -> Result<usize> {
            reads
                .binary_search(&stored)
                .map_err(|_| DataFusionError::Internal("a guard's scan lacks a column".to_owned()))
        };
        let mut outputs = Vec::with_capacity(projection.len());
        for &column in &projection {
            let column = guard.column(column)?;
            outputs.push(Output {
                source: place(column.stored)?,
                mask: column.mask.clone(),
            });
        }
        let person = guard
            .person
            .filter(|_| {
                let masks = outputs.iter().filter_map(|output| output.mask.as_ref());
                masks.into_iter().any(|mask| mask.needs_person())
            })
            .map(place)
            .transpose()?;
        // The policy's filter first. What follows cannot fail, so that the order decides nothing but the work.
        let all = guard.filter.iter().cloned().chain(filters.iter().cloned());
        let predicate = conjunction(all)
            .map(|filter| physical(&filter, &scanned))
            .transpose()?;
        let plan = Plan {
            schema: Arc::new(guard.schema.project(&projection)?),
            predicate,
            outputs,
            person,
        };
        let properties = Arc::new(properties(&child, &plan, together));
        Ok(Self {
            child,
            guard,
            projection,
            filters,
            together,
            plan: Arc::new(plan),
            properties,
        })
    }

    pub(super) fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    pub(super) fn projection(&self) -> &[usize] {
        &self.projection
    }

    pub(super) fn filters(&self) -> &[Expr] {
        &self.filters
    }
}

fn physical(filter: &Expr, scanned: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    let names = DFSchema::try_from(Arc::clone(scanned))?;
    datafusion::physical_expr::create_physical_expr(
        filter,
        &names,
        &ExecutionProps::new(),
        &Default::default(),
    )
}

/// What is known of the guard's rows: their order and their partitioning, as far as the columns are shown unmasked, or as
/// pseudonyms where `together` is set.
fn properties(child: &Arc<dyn ExecutionPlan>, plan: &Plan, together: bool) -> PlanProperties {
    let mut equivalences = EquivalenceProperties::new(Arc::clone(&plan.schema));
    let inner = child.properties();
    for ordering in inner.equivalence_properties().oeq_class().iter() {
        let mut kept: Vec<PhysicalSortExpr> = Vec::new();
        for sort in ordering.iter() {
            let Some((expr, mask)) = shown(plan, &sort.expr) else {
                break;
            };
            match mask {
                None => kept.push(PhysicalSortExpr::new(expr, sort.options)),
                // As many pseudonyms as there are numbers: what follows is still in order.
                Some(Mask::Pseudonym { .. }) if together => {
                    kept.push(PhysicalSortExpr::new(StoredOrder::of(&expr), sort.options));
                }
                // Dates are in order of a person only, so that the person must stand before them. They can have ties that
                // the stored ones have not: nothing after them is known to be in order.
                Some(mask) => {
                    if !kept.is_empty() && mask.keeps_order_within_a_person() {
                        kept.push(PhysicalSortExpr::new(expr, sort.options));
                    }
                    break;
                }
            }
        }
        if let Some(ordering) = LexOrdering::new(kept) {
            equivalences.add_ordering(ordering);
        }
    }
    PlanProperties::new(
        equivalences,
        partitioning(inner.output_partitioning(), plan, together),
        EmissionType::Incremental,
        inner.boundedness,
    )
}

/// The first column that shows a column of the scan, and how.
fn shown<'a>(
    plan: &'a Plan,
    expr: &Arc<dyn PhysicalExpr>,
) -> Option<(Arc<dyn PhysicalExpr>, Option<&'a Mask>)> {
    let column = expr.downcast_ref::<Column>()?;
    let mut outputs = plan.outputs.iter();
    let at = outputs.position(|output| output.source == column.index())?;
    let shown = Arc::new(Column::new(plan.schema.field(at).name(), at));
    Some((shown, plan.outputs.get(at)?.mask.as_ref()))
}

/// Range partitioning survives where its key is shown as stored. Behind a pseudonym, no person is in two partitions.
fn partitioning(inner: &Partitioning, plan: &Plan, together: bool) -> Partitioning {
    let unknown = Partitioning::UnknownPartitioning(inner.partition_count());
    let Partitioning::Range(range) = inner else {
        return unknown;
    };
    let [by] = &range.ordering()[..] else {
        return unknown;
    };
    let kept = match shown(plan, &by.expr) {
        Some((key, None)) => LexOrdering::new([PhysicalSortExpr::new(key, by.options)])
            .and_then(|key| RangePartitioning::try_new(key, range.split_points().to_vec()).ok()),
        Some((key, Some(Mask::Pseudonym { domain, .. }))) if together => {
            stored_order::parts(range, &key, domain)
        }
        _ => None,
    };
    kept.map_or(unknown, Partitioning::Range)
}

impl DisplayAs for GuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the rule nor what it hides.
        write!(f, "GuardExec: table={}", self.guard.spec.table)
    }
}

impl ExecutionPlan for GuardExec {
    fn name(&self) -> &str {
        "GuardExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.child]
    }

    /// The guard's own properties tell of its order. Were it said here, the optimizer would push sorts below the
    /// guard, whose expressions would then see hidden rows and unmasked columns.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(child) = children.pop() else {
            return internal_err!("a guard without a scan");
        };
        Ok(Arc::new(Self::try_new(
            child,
            Arc::clone(&self.guard),
            self.projection.clone(),
            self.filters.clone(),
            self.together,
        )?))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        #[expect(deprecated, reason = "the trait still requires it")]
        self.with_new_children(children)
    }

    /// Nothing of the query's passes here; the guard's own predicate goes to the scan, to leave row groups out.
    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let mut child = ChildFilterDescription::all_unsupported(&parent_filters);
        if let (FilterPushdownPhase::Pre, Some(predicate)) = (phase, &self.plan.predicate) {
            child = child.with_self_filter(Arc::clone(predicate));
        }
        Ok(FilterDescription::new().with_child(child))
    }

    /// The number of rows, where the policy hides none. Nothing else is known: bounds and sizes are those of hidden columns too.
    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut known = Statistics::new_unknown(&self.plan.schema);
        if let (Some(rows), None) = (self.guard.rows, args.partition()) {
            known.num_rows = if self.filters.is_empty() {
                Precision::Exact(rows)
            } else {
                // As DataFusion estimates a filter that it knows nothing of.
                Precision::Inexact(rows / 5)
            };
        }
        Ok(Arc::new(known))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batch_size = context.session_config().batch_size();
        let input = self.child.execute(partition, context)?;
        Ok(Box::pin(GuardStream::new(
            input,
            Arc::clone(&self.plan),
            batch_size,
        )?))
    }
}
