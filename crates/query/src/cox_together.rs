//! Fits once what several functions say of one Cox model.
//!
//! `cox_ph`, `cox_ph_tests` and `cox_baseline` of the same rows each keep all of them and fit the same model. Here one
//! function keeps them and answers for all.

use std::collections::BTreeMap;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::at_once::replaced;
use crate::functions::aggregate::cox_together;
use crate::functions::aggregate::models::cox_together::{
    ASKED, CURVE, OFFSET, ROBUST, all_parameters, parameters,
};

/// Fits once what several functions say of one Cox model.
#[derive(Debug)]
pub(crate) struct CoxTogether;

impl OptimizerRule for CoxTogether {
    fn name(&self) -> &'static str {
        "cox_together"
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

/// Calls of one model.
struct Model {
    /// One of them, without its arguments: what it counts is the same for all.
    call: AggregateFunction,
    functions: Vec<String>,
    /// By parameter; nothing where it is left out.
    arguments: BTreeMap<&'static str, Option<Expr>>,
}

impl Model {
    /// A call of a function of a Cox model.
    fn of(expr: &Expr) -> Option<Self> {
        let Expr::AggregateFunction(mut call) = expr.clone().unalias_nested().data else {
            return None;
        };
        let function = call.func.name().to_owned();
        let mut given = std::mem::take(&mut call.params.args).into_iter();
        let mut arguments = BTreeMap::new();
        for parameter in parameters(&function)? {
            let given = given
                .next()
                .filter(|given| !literal(given).is_some_and(ScalarValue::is_null));
            // What is wrong with an option is for the function itself to say.
            if parameter.is_option() && given.as_ref().is_some_and(|given| literal(given).is_none())
            {
                return None;
            }
            arguments.insert(parameter.name, given);
        }
        // A curve that is not told of `robust` goes by the rows, whatever others of the model are told.
        if function == CURVE && arguments.remove(ROBUST).flatten().is_some() {
            return None;
        }
        Some(Self {
            arguments,
            call,
            functions: vec![function],
        })
    }

    /// Takes in another call of the same model; false if it is another one, or asked for already.
    fn take(&mut self, other: &Self) -> bool {
        let same = self.call.params == other.call.params
            && !self.functions.contains(&other.functions[0])
            && other.arguments.iter().all(|(name, argument)| {
                let mine = self.arguments.get(name);
                mine.is_none_or(|mine| mine == argument)
            });
        // A curve cannot have an offset.
        let offset = |model: &Self| model.arguments.get(OFFSET).cloned().flatten();
        let same = same && offset(self) == offset(other);
        // Nor has a fit that was told not to be robust a variance for it.
        let told_not_to = |model: &Self| model.arguments.get(ROBUST) == Some(&Some(lit(false)));
        let same = same && !told_not_to(self) && !told_not_to(other);
        if same {
            self.functions.extend(other.functions.iter().cloned());
            let arguments = other.arguments.iter();
            self.arguments
                .extend(arguments.map(|(name, argument)| (*name, argument.clone())));
        }
        same
    }

    /// One function for all.
    fn at_once(self) -> Expr {
        let Self {
            mut call,
            functions,
            mut arguments,
        } = self;
        call.params.args = all_parameters()
            .map(|name| match name {
                ASKED => lit(functions.join(" ")),
                name => {
                    let given = arguments.remove(name).flatten();
                    given.unwrap_or_else(|| Expr::Literal(ScalarValue::Null, None))
                }
            })
            .collect();
        call.func = cox_together();
        Expr::AggregateFunction(call)
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn together(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let mut models: Vec<Model> = Vec::new();
    // Of each old function, which model it is of, and its name.
    let mut parts = Vec::with_capacity(aggregate.aggr_expr.len());
    for expr in &aggregate.aggr_expr {
        parts.push(Model::of(expr).map(|call| {
            let name = call.functions[0].clone();
            let at = models.iter_mut().position(|model| model.take(&call));
            let at = at.unwrap_or_else(|| {
                models.push(call);
                models.len() - 1
            });
            (at, name)
        }));
    }
    if models.iter().all(|model| model.functions.len() == 1) {
        return Ok(None);
    }
    // A call without others of its model stays as it is.
    let several: Vec<bool> = models.iter().map(|m| m.functions.len() > 1).collect();
    let place = |at: usize| several[..at].iter().filter(|several| **several).count();
    let parts = parts.into_iter().map(|part| {
        let part = part.filter(|(at, _)| several[*at]);
        part.map(|(at, name)| (place(at), name))
    });
    let parts: Vec<Option<(usize, String)>> = parts.collect();
    let models = models.into_iter().filter(|m| m.functions.len() > 1);
    let functions = models.map(Model::at_once).collect();
    replaced(aggregate, functions, &parts, |model, name| {
        get_field(model, name.as_str())
    })
    .map(Some)
}
