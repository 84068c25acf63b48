//! Asks for several percentiles of one column at once.
//!
//! Quartiles are three functions of the same values. Here one function keeps the values and answers all three. The probabilities are
//! an argument like any other, which the engine has for each row: as the one value of a dictionary that is next to nothing.

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
use crate::functions::aggregate::percentile::{Percentile, of_list};

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

/// A percentile, or a list of them: of what, and which.
struct Asked {
    /// The function with no probability, which is the same for all that can be asked at once.
    of: AggregateFunction,
    probabilities: Vec<f64>,
    is_list: bool,
}

/// What one of the old functions is of a new one: all of it, or a place in its list.
enum Part {
    All,
    Place(usize),
}

fn together(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let asked: Vec<Option<Asked>> = aggregate.aggr_expr.iter().map(percentile).collect();
    let alike = |one: &Asked| {
        let singles = asked.iter().flatten().filter(|other| !other.is_list);
        singles.filter(|other| other.of == one.of).count() > 1
    };
    // The functions that ask at once, each with its probabilities, and whether others may be added.
    let mut all: Vec<(AggregateFunction, Vec<f64>, bool)> = Vec::new();
    // Of each old function, which of these it is a part of, and where.
    let mut parts = Vec::with_capacity(asked.len());
    for one in &asked {
        parts.push(match one {
            Some(one) if one.is_list => {
                all.push((one.of.clone(), one.probabilities.clone(), false));
                Some((all.len() - 1, Part::All))
            }
            Some(one) if alike(one) => {
                let known = all.iter().position(|(of, _, open)| *open && *of == one.of);
                let at = known.unwrap_or_else(|| {
                    all.push((one.of.clone(), Vec::new(), true));
                    all.len() - 1
                });
                all[at].1.extend(&one.probabilities);
                Some((at, Part::Place(all[at].1.len())))
            }
            _ => None,
        });
    }
    if all.is_empty() {
        return Ok(None);
    }
    let functions = all
        .into_iter()
        .map(|(of, probabilities, _)| at_once(of, &probabilities));
    let part = |list: Expr, part: &Part| match part {
        Part::All => list,
        Part::Place(at) => array_element(list, lit(i64::try_from(*at).unwrap_or(i64::MAX))),
    };
    replaced(aggregate, functions.collect(), &parts, part).map(Some)
}

/// One of our percentiles with a literal for its probability.
fn percentile(expr: &Expr) -> Option<Asked> {
    let Expr::AggregateFunction(function) = expr.clone().unalias_nested().data else {
        return None;
    };
    let implementation: &dyn Any = function.func.inner().as_ref();
    let percentile = implementation.downcast_ref::<Percentile>()?;
    let (lists, is_reached) = (percentile.of_lists(), percentile.is_reached());
    let mut of = function;
    let (mut probabilities, is_list) = match of.params.args.as_slice() {
        [_] => (vec![0.5], false),
        [_, Expr::Literal(ScalarValue::Float64(Some(p)), _)] => (vec![*p], false),
        [_, Expr::Literal(list @ ScalarValue::List(_), _)] => (of_list(list)?, true),
        _ => return None,
    };
    of.params.args.truncate(1);
    let mut descending = false;
    // What is between two values is the same from above; what is reached is not.
    if !is_reached {
        descending = of.params.order_by.first().is_some_and(|by| !by.asc);
        of.params.order_by.clear();
    }
    of.func = lists;
    if descending {
        probabilities.iter_mut().for_each(|p| *p = 1.0 - *p);
    }
    Some(Asked {
        of,
        probabilities,
        is_list,
    })
}

fn at_once(mut function: AggregateFunction, probabilities: &[f64]) -> Expr {
    let values: Vec<ScalarValue> = probabilities
        .iter()
        .map(|p| ScalarValue::from(*p))
        .collect();
    let list = ScalarValue::List(ScalarValue::new_list(&values, &DataType::Float64, true));
    let list = ScalarValue::Dictionary(Box::new(DataType::Int8), Box::new(list));
    function.params.args.push(Expr::Literal(list, None));
    Expr::AggregateFunction(function)
}
