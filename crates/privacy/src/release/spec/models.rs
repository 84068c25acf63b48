//! Regressions and curves: what must stand behind each of their terms and steps.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

use super::{Builder, Function, Model, not_released};
use crate::release::curve::{Declared, Releasable};
use crate::release::lenient::lenient;
use crate::release::measure::{Measure, measure};
use crate::release::model;
use crate::release::shape::{plain, without_tables};

impl Builder<'_> {
    /// A statistic that says how its result can be disclosed.
    pub(super) fn statistic(
        &mut self,
        expr: &Expr,
        disclosure: &Releasable,
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let Expr::AggregateFunction(call) = plain(expr) else {
            return Err(not_released("this"));
        };
        let (name, args) = (call.func.name(), &call.params.args);
        match &disclosure.declared {
            declared @ Declared::Curve { .. } => self.curve(name, declared.clone(), args, filter),
            Declared::Regression { time, both } => {
                disclosure.only_options(name, args, 2 + usize::from(*time))?;
                self.regression(expr, *time, *both, filter)
            }
            Declared::Recomputed(source) => {
                disclosure.only_options(name, args, source.columns())?;
                self.recomputed(expr, *source, filter)
            }
        }
    }

    /// A regression, and what must stand behind it.
    pub(super) fn regression(
        &mut self,
        expr: &Expr,
        time: bool,
        both: bool,
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let Expr::AggregateFunction(call) = plain(expr) else {
            return Err(not_released("this"));
        };
        let name = call.func.name();
        let args = &call.params.args;
        let first = usize::from(time);
        let (Some(event), Some(terms)) = (args.get(first), args.get(first + 1)) else {
            return Err(not_released(name));
        };
        self.not_repeated("a regression takes one row for each person")?;
        let scope = self.rows.scope(self.schema);
        let terms = model::covariates(terms)?;
        let mut columns = BTreeSet::new();
        let mut values = Vec::new();
        for (name, term) in &terms {
            let total = scope.total(term.clone())?;
            let number = term.get_type(self.schema)?.is_numeric();
            let of = measure(term, &self.rows.measured, self.schema)?;
            match of.filter(|_| number) {
                Some(of) => {
                    columns.extend(of.columns.iter().cloned());
                    let atom = of.alone(format!("covariate {total}"), BTreeSet::new());
                    values.push((atom, total));
                }
                None => {
                    let Some(condition) = model::comparison(term, self.rows) else {
                        return model::not_a_covariate(name);
                    };
                    columns.extend(self.stored(term));
                    let value = cast(scope.total(condition)?, DataType::Int64);
                    let atom = Measure::atom(format!("covariate {value}"), BTreeSet::new());
                    values.push((atom, value));
                }
            }
        }
        let event_total = scope.total(event.clone())?;
        columns.extend(self.stored(event));
        let mut known = event_total.clone().is_not_null();
        if time {
            let of = self.measured(name, &args[0])?;
            columns.extend(of.columns);
            known = known.and(scope.total(args[0].clone())?.is_not_null());
        }
        for (_, value) in &values {
            known = known.and(value.clone().is_not_null());
        }
        let of = terms.iter().map(|(_, term)| term);
        let of = of.chain([event]).chain(args.first().filter(|_| time));
        let words = self.in_words(filter.as_ref(), of);
        let known = Some(match filter {
            Some(filter) => filter.and(known),
            None => known,
        });
        let total_args = args
            .iter()
            .map(|arg| {
                if crate::release::expression::is_literal(arg) {
                    Ok(arg.clone())
                } else {
                    self.struct_or_total(arg)
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let of_event = Measure::atom(format!("event {event_total}"), BTreeSet::new());
        let event = self.collected(known.clone(), Some((of_event, event_total)), words.clone());
        let covariates = values
            .into_iter()
            .map(|value| self.collected(known.clone(), Some(value), words.clone()))
            .collect();
        let statistic = Expr::AggregateFunction(AggregateFunction::new_udf(
            lenient(&call.func),
            total_args,
            false,
            known.clone().map(Box::new),
            vec![],
            None,
        ));
        self.statistics.push(statistic);
        let model = Model {
            place: self.statistics.len() - 1,
            text: without_tables(expr),
            columns: columns.into_iter().collect::<Vec<_>>().join(", "),
            event,
            covariates,
            both,
        };
        Ok((Function::Model(Box::new(model)), event))
    }

    /// The stored columns of an expression, by table and name; what is computed is `?`, and could be any.
    fn stored(&self, expr: &Expr) -> BTreeSet<String> {
        let name = |column| match self.rows.origins.get(column) {
            Some((table, name)) => format!("{table}.{name}"),
            None => "?".to_owned(),
        };
        expr.column_refs().into_iter().map(name).collect()
    }

    /// A struct of total expressions, or a total expression.
    pub(super) fn struct_or_total(&self, arg: &Expr) -> Result<Expr> {
        let scope = self.rows.scope(self.schema);
        match arg {
            Expr::Cast(inner) => {
                let mut inner = inner.clone();
                inner.expr = Box::new(self.struct_or_total(&inner.expr)?);
                Ok(Expr::Cast(inner))
            }
            Expr::ScalarFunction(call) if call.func.name() == "named_struct" => {
                let mut call = call.clone();
                for (at, arg) in call.args.iter_mut().enumerate() {
                    if at % 2 == 1 {
                        *arg = scope.total(arg.clone())?;
                    }
                }
                Ok(Expr::ScalarFunction(call))
            }
            other => scope.total(other.clone()),
        }
    }

    /// A curve: both its columns are kept by person, and everything else follows from them.
    pub(super) fn curve(
        &mut self,
        name: &str,
        declared: Declared,
        args: &[Expr],
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let (time, event) = declared.columns(name, args)?;
        let of = self.measured(name, time)?;
        let words = self.in_words(filter.as_ref(), [time, event]);
        let scope = self.rows.scope(self.schema);
        let (time, event) = (scope.total(time.clone())?, scope.total(event.clone())?);
        let known = time.clone().is_not_null().and(event.clone().is_not_null());
        let known = Some(match filter {
            Some(filter) => filter.and(known),
            None => known,
        });
        let of_event = Measure::atom(format!("event {event}"), BTreeSet::new());
        let events = self.collected(known.clone(), Some((of_event, event)), words.clone());
        // Time as it is asked for, not as it is stored.
        let of_time = Measure::atom(format!("time {time}"), of.columns);
        let times = self.collected(known, Some((of_time, time)), words);
        Ok((Function::Curve(declared, events), times))
    }
}
