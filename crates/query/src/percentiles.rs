//! Asks for several percentiles of one column at once.
//!
//! Quartiles are three functions of the same values. Here one function keeps the values and answers all three.

use std::any::Any;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_nested::expr_fn::array_element;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::at_once::replaced;
use crate::functions::aggregate::percentile::Percentile;

/// Asks for several percentiles of one column at once.
#[derive(Debug)]
pub(crate) struct Percentiles;

impl OptimizerRule for Percentiles {
    fn name(&self) -> &'static str {
        "percentiles"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else {
            return Ok(Transformed::no(plan));
        };
        Ok(match together(aggregate)? {
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(plan),
        })
    }
}

/// A percentile: of what, and which.
struct Asked {
    /// The function with no probability, which is the same for all that can be asked at once.
    of: AggregateFunction,
    probability: f64,
}

fn together(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let asked: Vec<Option<Asked>> = aggregate.aggr_expr.iter().map(percentile).collect();
    let alike = |one: &Asked| {
        let others = asked.iter().flatten();
        others.filter(|other| other.of == one.of).count() > 1
    };
    // The functions that ask at once, each with its probabilities.
    let mut all: Vec<(AggregateFunction, Vec<f64>)> = Vec::new();
    // Of each old function, which of these it is a part of, and where.
    let mut parts = Vec::with_capacity(asked.len());
    for one in &asked {
        let Some(one) = one.as_ref().filter(|one| alike(one)) else {
            parts.push(None);
            continue;
        };
        let at = all.iter().position(|(of, _)| *of == one.of);
        let at = at.unwrap_or_else(|| {
            all.push((one.of.clone(), Vec::new()));
            all.len() - 1
        });
        all[at].1.push(one.probability);
        parts.push(Some((at, all[at].1.len())));
    }
    if all.is_empty() {
        return Ok(None);
    }
    let functions = all
        .into_iter()
        .map(|(of, probabilities)| at_once(of, &probabilities));
    let place = |place: &usize| lit(i64::try_from(*place).unwrap_or(i64::MAX));
    let part = |list: Expr, at: &usize| array_element(list, place(at));
    replaced(aggregate, functions.collect(), &parts, part).map(Some)
}

/// One of our percentiles with a literal for its probability.
fn percentile(expr: &Expr) -> Option<Asked> {
    let Expr::AggregateFunction(function) = expr.clone().unalias_nested().data else {
        return None;
    };
    let implementation: &dyn Any = function.func.inner().as_ref();
    implementation.downcast_ref::<Percentile>()?;
    let mut of = function;
    let probability = match of.params.args.as_slice() {
        [_] => 0.5,
        [_, Expr::Literal(ScalarValue::Float64(Some(p)), _)] => *p,
        _ => return None,
    };
    let descending = of.params.order_by.first().is_some_and(|by| !by.asc);
    of.params.args.truncate(1);
    of.params.order_by.clear();
    of.func = Percentile::of_lists();
    Some(Asked {
        of,
        probability: if descending {
            1.0 - probability
        } else {
            probability
        },
    })
}

fn at_once(mut function: AggregateFunction, probabilities: &[f64]) -> Expr {
    let values: Vec<ScalarValue> = probabilities
        .iter()
        .map(|p| ScalarValue::from(*p))
        .collect();
    let list = ScalarValue::new_list(&values, &DataType::Float64, true);
    function
        .params
        .args
        .push(Expr::Literal(ScalarValue::List(list), None));
    Expr::AggregateFunction(function)
}
