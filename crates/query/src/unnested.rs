//! What GROUP BY makes unique is unique no longer after `unnest`.
//!
//! DataFusion 55 hands the dependencies of a grouping through `unnest` unchanged: after
//! `SELECT g, unnest(a) AS u FROM (SELECT g, array_agg(x) AS a … GROUP BY g)` it takes `g` for a key, drops `u` from
//! `ORDER BY g, u`, and leaves `DISTINCT g` out. Every curve and table of terms by group is such a query. So the rules
//! that would do this see a plan without those dependencies. They are put back afterwards, because the planner has
//! added `u` to a `GROUP BY g` by them, and another rule must take it out again.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{FunctionalDependencies, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::add_days::AddDays;
use crate::correlated::{ConditionsFirst, Correlated};
use crate::cox_together::CoxTogether;
use crate::exists::SubqueriesOfColumns;
use crate::filtered_windows::FilteredWindows;
use crate::functions::scalar::QuickDateParts;
use crate::is_true::IsTrue;
use crate::looked_up::LookedUp;
use crate::lookups_first::LookupsFirst;
use crate::once_per_key::OncePerKey;
use crate::percentiles::Percentiles;
use crate::unneeded_sorts::UnneededSorts;
use crate::vocabulary::Vocabulary;
use crate::widest::Widest;

/// The rules that use what depends on what, but for the one that takes columns out of GROUP BY.
const USERS: [&str; 3] = [
    "eliminate_duplicated_expr",
    "replace_distinct_aggregate",
    "eliminate_join",
];

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The engine's own rules, some of which are told less, and Columna's.
pub(crate) fn optimizer_rules(vocabulary: &Vocabulary) -> Vec<Rule> {
    let told_less = |rule: Rule| -> Rule {
        if USERS.contains(&rule.name()) {
            Arc::new(ToldLess { rule })
        } else {
            rule
        }
    };
    let mut rules: Vec<Rule> = Optimizer::new().rules.into_iter().map(told_less).collect();
    // As soon as intervals are literals, and before predicates move into scans.
    let simplified = rules
        .iter()
        .position(|rule| rule.name() == "simplify_expressions");
    rules.insert(simplified.map_or(0, |at| at + 1), Arc::new(AddDays));
    before(
        &mut rules,
        "decorrelate_predicate_subquery",
        Arc::new(SubqueriesOfColumns),
    );
    before(
        &mut rules,
        "scalar_subquery_to_join",
        Arc::new(ConditionsFirst),
    );
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
    before(&mut rules, "optimize_projections", Arc::new(Percentiles));
    before(&mut rules, "optimize_projections", Arc::new(CoxTogether));
    // When filters are where they belong, and no projections between joins yet.
    before(&mut rules, "optimize_projections", Arc::new(LookupsFirst));
    // When filters are in the scans, and no column is there that nobody needs.
    rules.push(Arc::new(LookedUp::new(vocabulary)));
    rules.push(Arc::new(UnneededSorts));
    // When lookups that are conditions are no joins any more.
    rules.push(Arc::new(OncePerKey));
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
        if !unnests(&plan)? {
            return self.apply(plan, config);
        }
        let plan = with_dependencies(plan, |_| FunctionalDependencies::empty())?;
        let done = self.apply(plan, config)?;
        let changed = done.transformed;
        let plan = with_dependencies(done.data, |input| {
            input.schema().functional_dependencies().clone()
        })?;
        Ok(Transformed::new_transformed(plan, changed))
    }
}

impl ToldLess {
    /// What the optimizer itself does with a rule.
    fn apply(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let rewrite = |node| self.rule.rewrite(node, config);
        match self.rule.apply_order() {
            None => self.rule.rewrite(plan, config),
            Some(ApplyOrder::TopDown) => plan.transform_down_with_subqueries(rewrite),
            Some(ApplyOrder::BottomUp) => plan.transform_up_with_subqueries(rewrite),
        }
    }
}

fn unnests(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Unnest(_));
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(found)
}

/// The plan with other dependencies after each `unnest`, and what follows from them.
fn with_dependencies(
    plan: LogicalPlan,
    after: impl Fn(&LogicalPlan) -> FunctionalDependencies,
) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        Ok(Transformed::yes(match node {
            LogicalPlan::Unnest(mut unnest) => {
                let schema = unnest.schema.as_ref().clone();
                let dependencies = after(&unnest.input);
                unnest.schema = Arc::new(schema.with_functional_dependencies(dependencies)?);
                LogicalPlan::Unnest(unnest)
            }
            other => other.recompute_schema()?,
        }))
    })?;
    Ok(plan.data)
}
