//! Counts different persons by runs, where rows lie person by person.
//!
//! `count(DISTINCT person_id)` keeps a set of persons for each group, or groups by person as well and counts the groups,
//! which is what the optimizer makes of it where it is the only one. Over rows that are sorted by person, and whose parts
//! share no person, the last person of each group is all that must be known. So it is behind a pseudonym, where persons
//! follow each other in their stored order.
//!
//! Where they do not lie so, the sets of DataFusion 55 remain, which are spared the values that a group had last.

mod function;
mod seen;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use columna_privacy::guard::StoredOrder;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::AggregateUDF;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{AcrossPartitions, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use function::CountRuns;
use seen::CountSeen;

/// Counts different values by runs where the input is sorted by them.
#[derive(Debug)]
pub(crate) struct CountByRuns;

impl PhysicalOptimizerRule for CountByRuns {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else {
                return Ok(Transformed::no(plan));
            };
            let changed = match aggregate.mode() {
                AggregateMode::Single | AggregateMode::SinglePartitioned => {
                    by_runs(aggregate, false)?.map(|work| work.aggregate(*aggregate.mode()))
                }
                AggregateMode::Final | AggregateMode::FinalPartitioned => {
                    merging(aggregate)?.map(Ok)
                }
                _ => None,
            };
            Ok(match changed.transpose()? {
                Some(changed) => Transformed::yes(Arc::new(changed) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "CountByRuns"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An aggregate over rows, as it is to be.
struct Work {
    group_by: PhysicalGroupBy,
    functions: Vec<Arc<AggregateFunctionExpr>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    input: Arc<dyn ExecutionPlan>,
}

impl Work {
    fn aggregate(self, mode: AggregateMode) -> Result<AggregateExec> {
        let schema = self.input.schema();
        AggregateExec::try_new(
            mode,
            self.group_by,
            self.functions,
            self.filters,
            self.input,
            schema,
        )
    }
}

/// The last stage over a first stage that counts by runs.
fn merging(last: &AggregateExec) -> Result<Option<AggregateExec>> {
    let Some((first, between)) = first_below(last.input()) else {
        return Ok(None);
    };
    if *first.mode() != AggregateMode::Partial || last.limit_options().is_some() {
        return Ok(None);
    }
    let Some(work) = by_runs(first, true)? else {
        return Ok(None);
    };
    let functions = work.functions.clone();
    let schema = work.input.schema();
    let mut input: Arc<dyn ExecutionPlan> = Arc::new(work.aggregate(AggregateMode::Partial)?);
    for node in between.into_iter().rev() {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        input = Arc::clone(node).replace_children(vec![input], options)?;
    }
    let merged = AggregateExec::try_new(
        *last.mode(),
        last.group_expr().clone(),
        functions,
        last.filter_expr().to_vec(),
        input,
        schema,
    )?;
    Ok(Some(merged))
}

/// The same aggregate counting by runs, if something can be counted so. `divided`: whether states of several partitions
/// are merged, which must then share no value.
fn by_runs(aggregate: &AggregateExec, divided: bool) -> Result<Option<Work>> {
    if aggregate.limit_options().is_some() {
        return Ok(None);
    }
    if let Some(work) = over_groups(aggregate, divided)? {
        return Ok(Some(work));
    }
    let input = aggregate.input();
    // Groups of a ROLLUP that leave a key out lie across its order.
    let keys = match aggregate.group_expr().is_single() {
        true => aggregate.group_expr().input_exprs(),
        false => Vec::new(),
    };
    let mut any = false;
    let mut functions = Vec::new();
    for function in aggregate.aggr_expr() {
        functions.push(match counted(function, true) {
            Some(value) => match in_runs(input, &value, &keys, divided)? {
                Some(order) => {
                    any = true;
                    runs_of(value, order, function.name(), input)?
                }
                None if CountSeen::counts(&value.data_type(&input.schema())?) => {
                    any = true;
                    seen_of(value, function.name(), input)?
                }
                None => Arc::clone(function),
            },
            None => Arc::clone(function),
        });
    }
    Ok(any.then(|| Work {
        group_by: aggregate.group_expr().clone(),
        functions,
        filters: aggregate.filter_expr().to_vec(),
        input: Arc::clone(input),
    }))
}

/// The same for what the optimizer makes of `count(DISTINCT x)`: a count of groups by what it groups by and `x`.
fn over_groups(aggregate: &AggregateExec, divided: bool) -> Result<Option<Work>> {
    let Some(groups) = first_stage(aggregate.input(), divided) else {
        return Ok(None);
    };
    let plain = groups.aggr_expr().is_empty()
        && aggregate.group_expr().is_single()
        && groups.group_expr().is_single()
        && groups.limit_options().is_none()
        && aggregate.filter_expr().iter().all(Option::is_none);
    let inner = groups.group_expr().expr();
    let at = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Column>().map(Column::index);
    let outer = aggregate.group_expr().expr();
    let by: Option<Vec<usize>> = outer.iter().map(|(expr, _)| at(expr)).collect();
    let functions = aggregate.aggr_expr().iter();
    let of: Option<Vec<usize>> = functions
        .map(|function| counted(function, false).as_ref().and_then(at))
        .collect();
    let (Some(by), Some(of)) = (by, of) else {
        return Ok(None);
    };
    let Some(value) = of.first().copied() else {
        return Ok(None);
    };
    // Every key of the groups is one that is grouped by, or the one that is counted.
    let all = (0..inner.len()).all(|key| key == value || by.contains(&key));
    if !plain || !all || by.contains(&value) || of.iter().any(|other| *other != value) {
        return Ok(None);
    }
    let (input, value) = (groups.input(), &inner[value].0);
    let grouped: Vec<_> = by.iter().map(|key| Arc::clone(&inner[*key].0)).collect();
    let Some(order) = in_runs(input, value, &grouped, divided)? else {
        return Ok(None);
    };
    let keys = by.iter().zip(outer);
    let keys = keys.map(|(key, (_, name))| (Arc::clone(&inner[*key].0), name.clone()));
    let functions = aggregate
        .aggr_expr()
        .iter()
        .map(|function| runs_of(Arc::clone(value), order, function.name(), input))
        .collect::<Result<Vec<_>>>()?;
    Ok(Some(Work {
        group_by: PhysicalGroupBy::new_single(keys.collect()),
        functions,
        filters: aggregate.filter_expr().to_vec(),
        input: Arc::clone(input),
    }))
}

/// The aggregate that rows come to first: of two stages the first, where what is above may have as many parts.
fn first_stage(node: &Arc<dyn ExecutionPlan>, divided: bool) -> Option<&AggregateExec> {
    let aggregate = node.downcast_ref::<AggregateExec>()?;
    match aggregate.mode() {
        AggregateMode::Single | AggregateMode::SinglePartitioned => Some(aggregate),
        AggregateMode::Final | AggregateMode::FinalPartitioned if divided => {
            let (first, _) = first_below(aggregate.input())?;
            let same = first.group_expr().expr().len() == aggregate.group_expr().expr().len();
            (*first.mode() == AggregateMode::Partial && same).then_some(first)
        }
        _ => None,
    }
}

/// The next aggregate below, and what only moves rows between.
fn first_below(
    mut node: &Arc<dyn ExecutionPlan>,
) -> Option<(&AggregateExec, Vec<&Arc<dyn ExecutionPlan>>)> {
    let mut between = Vec::new();
    loop {
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            return Some((aggregate, between));
        }
        let moves = node.downcast_ref::<RepartitionExec>().is_some()
            || node.downcast_ref::<CoalescePartitionsExec>().is_some()
            || node.downcast_ref::<SortPreservingMergeExec>().is_some();
        match node.children().as_slice() {
            [child] if moves => {
                between.push(node);
                node = *child;
            }
            _ => return None,
        }
    }
}

/// What a plain `count` counts.
fn counted(function: &AggregateFunctionExpr, distinct: bool) -> Option<Arc<dyn PhysicalExpr>> {
    let plain = function.fun().name() == "count"
        && function.is_distinct() == distinct
        && function.order_bys().is_empty();
    match function.expressions().as_slice() {
        [value] if plain => Some(Arc::clone(value)),
        _ => None,
    }
}

fn runs_of(
    value: Arc<dyn PhysicalExpr>,
    order: Order,
    name: &str,
    input: &Arc<dyn ExecutionPlan>,
) -> Result<Arc<AggregateFunctionExpr>> {
    let function = Arc::new(AggregateUDF::new_from_impl(CountRuns::new(
        order == Order::Sorted,
    )));
    let shown = format!("count_runs({value})");
    let function = AggregateExprBuilder::new(function, vec![value])
        .schema(input.schema())
        .alias(name)
        .human_display(shown)
        .human_display_alias(name)
        .build()?;
    Ok(Arc::new(function))
}

fn seen_of(
    value: Arc<dyn PhysicalExpr>,
    name: &str,
    input: &Arc<dyn ExecutionPlan>,
) -> Result<Arc<AggregateFunctionExpr>> {
    let function = Arc::new(AggregateUDF::new_from_impl(CountSeen::new()));
    let shown = format!("count_seen({value})");
    let function = AggregateExprBuilder::new(function, vec![value])
        .schema(input.schema())
        .alias(name)
        .human_display(shown)
        .human_display_alias(name)
        .distinct()
        .build()?;
    Ok(Arc::new(function))
}

/// How equal values come to follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// In the order of the values.
    Sorted,
    /// In the order of what the values stand for.
    Together,
}

/// The same over a union whose inputs have no group in common, as each has its own literal among the keys.
fn in_runs_of_each(
    union: &UnionExec,
    value: &Arc<dyn PhysicalExpr>,
    keys: &[Arc<dyn PhysicalExpr>],
    divided: bool,
) -> Result<Option<Order>> {
    let inputs = union.children();
    let schema = union.schema();
    let literal = |key: &Arc<dyn PhysicalExpr>, input: &Arc<dyn ExecutionPlan>| {
        // Two zeros are one group.
        let kind = key
            .data_type(&schema)
            .ok()
            .filter(|kind| !kind.is_floating())?;
        let key = of_input(key, input).ok()?;
        match input.equivalence_properties().is_expr_constant(&key)? {
            AcrossPartitions::Uniform(literal) => literal?.cast_to(&kind).ok(),
            AcrossPartitions::Heterogeneous => None,
        }
    };
    let apart = |key: &Arc<dyn PhysicalExpr>| {
        let literals = inputs.iter().map(|input| literal(key, input));
        let literals: Option<HashSet<ScalarValue>> = literals.collect();
        literals.is_some_and(|literals| literals.len() == inputs.len())
    };
    if !keys.iter().any(apart) {
        return Ok(None);
    }
    let mut all = None;
    for input in inputs {
        let keys = keys.iter().map(|key| of_input(key, input));
        let keys: Vec<_> = keys.collect::<Result<_>>()?;
        let order = in_runs(input, &of_input(value, input)?, &keys, divided)?;
        if order.is_none() || all.is_some() && all != order {
            return Ok(None);
        }
        all = order;
    }
    Ok(all)
}

/// An expression over a union's columns as one over an input's, which may be called otherwise.
fn of_input(
    expr: &Arc<dyn PhysicalExpr>,
    input: &Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let schema = input.schema();
    let own = Arc::clone(expr).transform_up(|expr| {
        let Some(column) = expr.downcast_ref::<Column>() else {
            return Ok(Transformed::no(expr));
        };
        let at = column.index();
        let own = Column::new(schema.field(at).name(), at);
        Ok(Transformed::yes(Arc::new(own) as _))
    });
    own.data()
}

/// Whether equal values follow each other within each group by the keys, and no two partitions share one; and how.
fn in_runs(
    input: &Arc<dyn ExecutionPlan>,
    value: &Arc<dyn PhysicalExpr>,
    keys: &[Arc<dyn PhysicalExpr>],
    divided: bool,
) -> Result<Option<Order>> {
    if value.data_type(&input.schema())? != DataType::Int64 {
        return Ok(None);
    }
    if let Some(union) = input.downcast_ref::<UnionExec>() {
        return in_runs_of_each(union, value, keys, divided);
    }
    let properties = input.equivalence_properties();
    let same = |by: &Arc<dyn PhysicalExpr>| properties.eq_group().exprs_equal(by, value);
    let apart = match input.output_partitioning() {
        partitioning if partitioning.partition_count() == 1 => true,
        Partitioning::Range(ranges) => {
            ranges.ordering().len() == 1 && same(&ranges.ordering().first().expr)
        }
        // Hashed parts share no value either, but their runs lie across each other.
        _ => false,
    };
    if divided && !apart {
        return Ok(None);
    }
    let stored = StoredOrder::of(value);
    for (order, by) in [(Order::Sorted, value), (Order::Together, &stored)] {
        for nulls_first in [false, true] {
            let options = SortOptions::new(false, nulls_first);
            let sorted =
                |by: &Arc<dyn PhysicalExpr>| PhysicalSortExpr::new(Arc::clone(by), options);
            // By keys of the groups first, or by none.
            let mut before: Vec<PhysicalSortExpr> = Vec::new();
            loop {
                let with = |key| before.iter().cloned().chain([sorted(key)]);
                if properties.ordering_satisfy(with(by))? {
                    return Ok(Some(order));
                }
                let mut next = None;
                for key in keys {
                    let new = before.iter().all(|other| !other.expr.eq(key));
                    if new && properties.ordering_satisfy(with(key))? {
                        next = Some(sorted(key));
                    }
                }
                match next {
                    Some(key) => before.push(key),
                    None => break,
                }
            }
        }
    }
    Ok(None)
}
