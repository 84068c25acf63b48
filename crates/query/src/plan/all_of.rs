//! Conditions of several parts: each of all rows, and the bits put together. And what is asked of texts, each text once.
//!
//! Where few rows pass the first part of an AND, the engine (DataFusion 55) picks these for the next part, and puts its answers
//! back among the others run by run. Comparisons of a whole batch cost a fraction of that; what costs more, or can fail where an
//! earlier part is false, is left to the engine.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::and_kleene;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};

use super::text_once::{once_per_text, with_texts_matched_once};

/// Has conditions of cheap parts, and of patterns, computed by this.
#[derive(Debug)]
pub(crate) struct FilterByAll;

impl PhysicalOptimizerRule for FilterByAll {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            if let Some(condition) = ConditionExec::of(&plan)? {
                return Ok(Transformed::yes(Arc::new(condition) as _));
            }
            Ok(match with_texts_matched_once(plan.as_ref())? {
                Some(plan) => Transformed::yes(plan),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "FilterByAll"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A filter, which knows what the condition says of the rows, and computes it by its parts.
#[derive(Debug)]
struct ConditionExec {
    filter: Arc<dyn ExecutionPlan>,
    by_parts: FilterExec,
}

impl ConditionExec {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let Some(filter) = plan.downcast_ref::<FilterExec>() else {
            return Ok(None);
        };
        let parts = split_conjunction(filter.predicate()).into_iter();
        let parts: Vec<_> = parts.cloned().collect();
        let condition: Arc<dyn PhysicalExpr> = if parts.len() > 1 && parts.iter().all(is_cheap) {
            Arc::new(AllOf { parts })
        } else {
            let condition = Arc::clone(filter.predicate());
            match once_per_text(condition, &filter.input().schema())? {
                once if once.transformed => once.data,
                _ => return Ok(None),
            }
        };
        let builder = FilterExecBuilder::from(filter);
        let by_parts = builder.with_predicate(condition).build()?;
        Ok(Some(Self {
            filter: Arc::clone(plan),
            by_parts,
        }))
    }
}

/// An expression with the conditions of cheap parts in it computed by these, such as those of CASE.
pub(super) fn by_parts(expr: Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    expr.transform_down(|expr| {
        let parts = split_conjunction(&expr);
        if parts.len() < 2 || !parts.iter().all(|part| is_cheap(part)) {
            return Ok(Transformed::no(expr));
        }
        let parts = parts.into_iter().cloned().collect();
        let all = Arc::new(AllOf { parts }) as _;
        Ok(Transformed::new(all, true, TreeNodeRecursion::Jump))
    })
}

/// Has what aggregates ask of rows computed so, before aggregates by person hide it.
#[derive(Debug)]
pub(crate) struct AskByAll;

impl PhysicalOptimizerRule for AskByAll {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let asked = match plan.downcast_ref::<AggregateExec>() {
                Some(aggregate) => asked(aggregate, by_parts)?,
                None => None,
            };
            Ok(match asked {
                Some(asked) => Transformed::yes(Arc::new(asked) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "AskByAll"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same aggregate of rows with what it asks of them changed; none where nothing is.
pub(super) fn asked(
    aggregate: &AggregateExec,
    mut change: impl FnMut(Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>>,
) -> Result<Option<AggregateExec>> {
    if aggregate.mode().input_mode() != AggregateInputMode::Raw {
        return Ok(None);
    }
    let mut found = false;
    let calls = aggregate.aggr_expr().iter().map(|call| {
        if !call.order_bys().is_empty() {
            return Ok(Arc::clone(call));
        }
        let mut changed = false;
        let args = call.expressions().into_iter().map(|arg| {
            let arg = change(arg)?;
            changed |= arg.transformed;
            Ok(arg.data)
        });
        let args = args.collect::<Result<Vec<_>>>()?;
        let other = changed.then(|| call.with_new_expressions(args, Vec::new()));
        found |= other.as_ref().is_some_and(Option::is_some);
        Ok(other.flatten().map_or_else(|| Arc::clone(call), Arc::new))
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    Ok(found.then(|| aggregate.with_new_aggr_exprs(calls)))
}

/// Whether an expression compares columns with each other and with values, which is quick and never fails.
fn is_cheap(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let known = match expr.downcast_ref::<BinaryExpr>() {
        Some(binary) => matches!(
            binary.op(),
            Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::And
                | Operator::Or
        ),
        None => {
            expr.is::<Column>()
                || expr.is::<Literal>()
                || expr.is::<InListExpr>()
                || expr.is::<IsNullExpr>()
                || expr.is::<IsNotNullExpr>()
                || expr.is::<NotExpr>()
        }
    };
    known && expr.children().into_iter().all(is_cheap)
}

impl DisplayAs for ConditionExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt_as(kind, f)
    }
}

impl ExecutionPlan for ConditionExec {
    fn name(&self) -> &str {
        self.filter.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.filter.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.filter.children()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.filter.maintains_input_order()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.filter.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filter = Arc::clone(&self.filter).replace_children(children, options)?;
        Ok(match Self::of(&filter)? {
            Some(condition) => Arc::new(condition),
            None => filter,
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
        self.by_parts.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.by_parts.metrics()
    }
}

/// Whether all parts are true.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AllOf {
    parts: Vec<Arc<dyn PhysicalExpr>>,
}

impl fmt::Display for AllOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        conjunction(self.parts.iter().cloned()).fmt(f)
    }
}

impl PhysicalExpr for AllOf {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        for part in &self.parts {
            if part.nullable(schema)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let mut all: Option<BooleanArray> = None;
        for part in &self.parts {
            let found = part.evaluate(batch)?.into_array(batch.num_rows())?;
            let found = found.as_boolean();
            let both = match &all {
                Some(before) => and_kleene(before, found)?,
                None => found.clone(),
            };
            let none = both.true_count() == 0 && both.null_count() == 0;
            all = Some(both);
            // What is true of no row stays so; what nobody knows may yet be false.
            if none {
                break;
            }
        }
        let all = all.unwrap_or_else(|| vec![true; batch.num_rows()].into());
        Ok(ColumnarValue::Array(Arc::new(all)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.parts.iter().collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        parts: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { parts }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        conjunction(self.parts.iter().cloned()).fmt_sql(f)
    }
}
