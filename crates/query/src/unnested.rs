//! What GROUP BY makes unique is unique no longer after `unnest`.
//!
//! DataFusion 55 hands the dependencies of a grouping through `unnest` unchanged: after
//! `SELECT g, unnest(a) AS u FROM (SELECT g, array_agg(x) AS a … GROUP BY g)` it takes `g` for a key. The planner adds `u` to
//! a `GROUP BY g, u % 2` around it, and rules drop `u` from `ORDER BY g, u`, and leave `DISTINCT g` out. Every curve and
//! table of terms by group is such a query.
//!
//! And what a join made many of is unique again to it after any GROUP BY: of `SELECT DISTINCT o.p, v.k FROM o JOIN v …`, where
//! `o` has one row for each `p`, it takes `p` for a key, and makes a semi join of a join with it.
//!
//! So relations are planned without those dependencies, and the rules that would use them see a plan without them.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Dependency, FunctionalDependence, FunctionalDependencies, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::sql::sqlparser::ast::{Ident, TableAlias, TableFactor};

use crate::above_totals::AboveTotals;
use crate::add_days::AddDays;
use crate::asked_values::AskedValues;
use crate::by_copies::ByCopies;
use crate::correlated::{AskedOfEach, ConditionsFirst, Correlated};
use crate::cox_together::CoxTogether;
use crate::distinct_by_person::DistinctByPerson;
use crate::exists::SubqueriesOfColumns;
use crate::filtered_windows::FilteredWindows;
use crate::functions::scalar::QuickDateParts;
use crate::is_true::IsTrue;
use crate::laterals::Laterals;
use crate::least_and_greatest::LeastAndGreatest;
use crate::lists_apart::ListsApart;
use crate::looked_up::LookedUp;
use crate::lookups_first::LookupsFirst;
use crate::missing_rows::MissingRows;
use crate::not_in::NotIn;
use crate::null_safe_keys::NullSafeKeys;
use crate::once_per_key::OncePerKey;
use crate::ordered_calls::OrderedCalls;
use crate::owned::{OwnedKeys, PresentKeys};
use crate::percentiles::Percentiles;
use crate::set_comparisons::SetComparisons;
use crate::struct_keys::StructKeys;
use crate::unneeded_sorts::UnneededSorts;
use crate::vocabulary::Vocabulary;
use crate::widest::Widest;
use crate::window_keys::WindowKeys;

/// The rules that use what depends on what.
const USERS: [&str; 4] = [
    "eliminate_duplicated_expr",
    "optimize_projections",
    "replace_distinct_aggregate",
    "eliminate_join",
];

pub(crate) type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The engine's own rules, some of which are told less, and Columna's.
pub(crate) fn optimizer_rules(vocabulary: &Vocabulary) -> Vec<Rule> {
    let engine = Optimizer::new().rules.into_iter();
    let mut rules: Vec<Rule> = engine
        .map(|rule| -> Rule {
            match rule.name() {
                "push_down_filter" => Arc::new(AboveTotals { rule }),
                "rewrite_set_comparison" => Arc::new(SetComparisons { rule }),
                "simplify_expressions" => Arc::new(ListsApart { rule }),
                name if USERS.contains(&name) => Arc::new(ToldLess { rule }),
                _ => rule,
            }
        })
        .collect();
    rules.insert(0, Arc::new(MissingRows));
    rules.insert(0, Arc::new(Laterals));
    rules.insert(0, Arc::new(LeastAndGreatest));
    // As soon as intervals are literals, and before predicates move into scans.
    let simplified = rules
        .iter()
        .position(|rule| rule.name() == "simplify_expressions");
    rules.insert(simplified.map_or(0, |at| at + 1), Arc::new(AddDays));
    for rule in [Arc::new(AskedOfEach) as Rule, Arc::new(SubqueriesOfColumns)] {
        before(&mut rules, "decorrelate_predicate_subquery", rule);
    }
    before(
        &mut rules,
        "scalar_subquery_to_join",
        Arc::new(ConditionsFirst),
    );
    before(&mut rules, "scalar_subquery_to_join", Arc::new(AskedValues));
    before(&mut rules, "scalar_subquery_to_join", Arc::new(Correlated));
    before(
        &mut rules,
        "common_sub_expression_eliminate",
        Arc::new(FilteredWindows),
    );
    // After the rules that know what is true, and before the one that makes columns of what is shared.
    before(
        &mut rules,
        "common_sub_expression_eliminate",
        Arc::new(IsTrue),
    );
    before(&mut rules, "push_down_filter", Arc::new(PresentKeys));
    before(
        &mut rules,
        "optimize_projections",
        Arc::new(DistinctByPerson),
    );
    before(&mut rules, "optimize_projections", Arc::new(WindowKeys));
    before(&mut rules, "optimize_projections", Arc::new(NullSafeKeys));
    before(&mut rules, "optimize_projections", Arc::new(StructKeys));
    before(&mut rules, "optimize_projections", Arc::new(Percentiles));
    before(&mut rules, "optimize_projections", Arc::new(CoxTogether));
    // When filters are where they belong, and no projections between joins yet.
    before(&mut rules, "optimize_projections", Arc::new(LookupsFirst));
    before(&mut rules, "optimize_projections", Arc::new(NotIn));
    before(&mut rules, "optimize_projections", Arc::new(OwnedKeys));
    // When filters are in the scans, and no column is there that nobody needs.
    rules.push(Arc::new(LookedUp::new(vocabulary)));
    rules.push(Arc::new(UnneededSorts));
    // When lookups that are conditions are no joins any more.
    rules.push(Arc::new(OncePerKey));
    // When filters and columns are where they stay.
    rules.push(Arc::new(ByCopies));
    // When what heeds the order of rows has kept it.
    rules.push(Arc::new(OrderedCalls));
    // When every other rule has taken out what it can.
    rules.push(Arc::new(Widest));
    rules.push(Arc::new(QuickDateParts));
    rules
}

fn before(rules: &mut Vec<Rule>, name: &str, rule: Rule) {
    let at = rules.iter().position(|other| other.name() == name);
    rules.insert(at.unwrap_or(rules.len()), rule);
}

/// A rule that does not hear of dependencies after `unnest`.
#[derive(Debug)]
struct ToldLess {
    rule: Rule,
}

impl OptimizerRule for ToldLess {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let plan = if misleads(&plan)? {
            without_dependencies(plan)?
        } else {
            plan
        };
        applied(&self.rule, plan, config)
    }
}

/// What the optimizer itself does with a rule.
pub(crate) fn applied(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let rewrite = |node| rule.rewrite(node, config);
    match rule.apply_order() {
        None => rule.rewrite(plan, config),
        Some(ApplyOrder::TopDown) => plan.transform_down_with_subqueries(rewrite),
        Some(ApplyOrder::BottomUp) => plan.transform_up_with_subqueries(rewrite),
    }
}

/// Whether a plan may have dependencies that do not hold.
fn misleads(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= match node {
            LogicalPlan::Unnest(_) => true,
            LogicalPlan::Aggregate(aggregate) => {
                let known = aggregate.input.schema().functional_dependencies();
                known.iter().any(|known| known.mode == Dependency::Multi)
            }
            _ => false,
        };
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(found)
}

/// The plan without dependencies after each `unnest`, with those after each grouping that hold, and what follows from that.
fn without_dependencies(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        Ok(Transformed::yes(match node {
            LogicalPlan::Unnest(mut unnest) => {
                let schema = unnest.schema.as_ref().clone();
                let none = FunctionalDependencies::empty();
                unnest.schema = Arc::new(schema.with_functional_dependencies(none)?);
                LogicalPlan::Unnest(unnest)
            }
            aggregate @ LogicalPlan::Aggregate(_) => match aggregate.recompute_schema()? {
                LogicalPlan::Aggregate(aggregate) => LogicalPlan::Aggregate(by_keys(aggregate)?),
                other => other,
            },
            other => other.recompute_schema()?,
        }))
    })?;
    Ok(plan.data)
}

/// A grouping whose rows are told apart by its keys, or by fewer of them where these told its input's rows apart.
fn by_keys(mut aggregate: Aggregate) -> Result<Aggregate> {
    let keys = &aggregate.group_expr;
    if keys.is_empty() || keys.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
        return Ok(aggregate);
    }
    let names: Vec<String> = keys.iter().map(|k| k.schema_name().to_string()).collect();
    let input = aggregate.input.schema();
    let fields = input.field_names();
    let all: Vec<usize> = (0..aggregate.schema.fields().len()).collect();
    let mut known = Vec::new();
    for unique in input.functional_dependencies().iter() {
        let sources = unique.source_indices.iter();
        let kept = sources.map(|at| names.iter().position(|name| *name == fields[*at]));
        if let (Dependency::Single, Some(kept)) = (unique.mode, kept.collect()) {
            known.push(FunctionalDependence::new(
                kept,
                all.clone(),
                unique.nullable,
            ));
        }
    }
    if known.is_empty() {
        let nullable = (0..keys.len()).any(|at| aggregate.schema.field(at).is_nullable());
        known.push(FunctionalDependence::new(
            (0..keys.len()).collect(),
            all,
            nullable,
        ));
    }
    let known = FunctionalDependencies::new(known).with_dependency(Dependency::Single);
    let schema = aggregate.schema.as_ref().clone();
    // Made anew, it would have the engine's again.
    aggregate.schema = Arc::new(schema.with_functional_dependencies(known)?);
    Ok(aggregate)
}

/// The plan with nothing that depends on anything.
fn keyless(plan: LogicalPlan) -> Result<LogicalPlan> {
    if plan.schema().functional_dependencies().is_empty() {
        return Ok(plan);
    }
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let schema = plan.schema().as_ref().clone();
    let schema = schema.with_functional_dependencies(FunctionalDependencies::empty())?;
    let plan =
        Projection::try_new_with_schema(columns.collect(), Arc::new(plan), Arc::new(schema))?;
    Ok(LogicalPlan::Projection(plan))
}

/// Plans relations that `unnest` or group without the dependencies that do not hold.
#[derive(Debug)]
pub(crate) struct UnnestedRelations;

/// The alias of a relation that is being planned.
const PLANNED: &str = "__columna_planned";

impl RelationPlanner for UnnestedRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let mut plain = relation.clone();
        let (TableFactor::Derived { alias, .. } | TableFactor::Table { alias, .. }) = &mut plain
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if alias
            .as_ref()
            .is_some_and(|alias| alias.name.value == PLANNED)
        {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        let planned = TableAlias {
            explicit: true,
            name: Ident::new(PLANNED),
            columns: Vec::new(),
            at: None,
        };
        let alias = alias.replace(planned);
        let plan = match context.plan(plain)? {
            LogicalPlan::SubqueryAlias(planned) => Arc::unwrap_or_clone(planned.input),
            plan => plan,
        };
        // Others as they are: a query within a query would be planned twice for each query around it.
        let plan = match (misleads(&plan)?, &relation) {
            // What tells one outer row's rows apart does not tell all of them.
            (_, TableFactor::Derived { lateral: true, .. }) => keyless(plan)?,
            (true, _) => without_dependencies(plan)?,
            (false, TableFactor::Derived { .. }) => plan,
            (false, _) => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let planned = PlannedRelation::new(plan, alias);
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }
}
