//! Regressions and curves: what must stand behind each of their terms and steps.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, TryCast, cast, lit};

use super::{Builder, Function, Model, and, not_released, uncast};
use crate::release::curve::{Declared, MOST_CAUSES, Releasable};
use crate::release::measure::{Measure, measure};
use crate::release::missing::to_be_known;
use crate::release::model;
use crate::release::refused::refuse;
use crate::release::shape::plain;
use crate::release::words::exact;

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
            let total = self.total_number(term)?;
            let number = term.get_type(self.schema)?.is_numeric();
            let of = measure(term, &self.rows.measured, self.schema)?;
            match of.filter(|_| number) {
                Some(of) => {
                    columns.extend(of.columns.iter().cloned());
                    let atom = of.alone(format!("covariate {}", exact(&total)?), BTreeSet::new());
                    values.push((atom, total));
                }
                None => {
                    let Some(condition) = model::comparison(term, self.rows) else {
                        return model::not_a_covariate(name);
                    };
                    let kind = condition.get_type(self.schema)?;
                    if !kind.is_numeric() && kind != DataType::Boolean {
                        return model::not_a_covariate(name);
                    }
                    columns.extend(self.stored(term));
                    let value = cast(scope.total(condition)?, DataType::Int64);
                    let atom =
                        Measure::atom(format!("covariate {}", exact(&value)?), BTreeSet::new());
                    values.push((atom, value));
                }
            }
        }
        let event_total = scope.total(event.clone())?;
        columns.extend(self.stored(event));
        let mut usable = vec![self.usable(&event_total, 0.0, 1.0, true)?];
        let mut timed = None;
        if time {
            let of = self.measured(name, &args[0])?;
            columns.extend(of.columns.iter().cloned());
            let total = self.total_number(&args[0])?;
            usable.push(self.usable(&total, 0.0, f64::MAX, false)?);
            let atom = Measure::atom(format!("time {}", exact(&total)?), of.columns);
            timed = Some((atom, total));
        }
        for (_, value) in &values {
            usable.push(self.usable(value, f64::MIN, f64::MAX, false)?);
        }
        let of = terms.iter().map(|(_, term)| term);
        let of = of.chain([event]).chain(args.first().filter(|_| time));
        let of: Vec<&Expr> = of.collect();
        self.nothing_missing(name, &of)?;
        let (known, words) = self.of_usable(filter, usable, of)?;
        let types = args[..first + 2].iter();
        let types = types.map(|arg| arg.get_type(self.schema));
        let types = types.collect::<Result<Vec<_>>>()?;
        let options = args[first + 2..].iter();
        let options = options.map(|option| self.option(name, option));
        let options = options.collect::<Result<Vec<_>>>()?;
        // No other expression reads like it: columns of one name are one column.
        let of_event = format!("event {}", exact(as_asked(&event_total, self.schema))?);
        let of_event = Measure::atom(of_event, BTreeSet::new());
        let mut collect = |measure| self.collected(known.clone(), Some(measure), words.clone());
        let event = collect((of_event, event_total));
        let covariates = values.into_iter().map(&mut collect).collect();
        let time = timed.map(collect);
        let model = Model {
            function: Arc::clone(&call.func),
            types,
            options,
            text: exact(plain(expr))?,
            columns: columns.into_iter().collect::<Vec<_>>().join(", "),
            time,
            event,
            covariates,
            both,
        };
        Ok((Function::Model(Box::new(model)), event))
    }

    /// Refuses a regression of what may be missing where the query can say that it is not: whoever lacks one is none of its rows, so
    /// that no later one of other columns would be of the same persons by its words, and none would be shown.
    fn nothing_missing(&self, name: &str, of: &[&Expr]) -> Result<()> {
        let columns = to_be_known(of, self.schema, &self.known)?;
        if columns.is_empty() {
            return Ok(());
        }
        let conditions: Vec<String> = columns
            .iter()
            .map(|column| format!("{} IS NOT NULL", column.quoted_flat_name()))
            .collect();
        refuse(
            "measure",
            format!(
                "columns of `{name}` may be missing, and no other regression of the same persons would be shown after it"
            ),
            format!(
                "add {} to WHERE, and the same of the columns of regressions to come: all have one FROM and WHERE",
                conditions.join(" AND ")
            ),
        )
    }

    /// The stored columns of an expression, by table and name; what is computed is `?`, and could be any.
    fn stored(&self, expr: &Expr) -> BTreeSet<String> {
        let name = |column| match self.rows.origins.get(column) {
            Some((table, name)) => format!("{table}.{name}"),
            None => "?".to_owned(),
        };
        expr.column_refs().into_iter().map(name).collect()
    }

    /// Where a number can be used: from `low` to `high`, or one of the two where it says `which` of two things happened, and of
    /// conditions where they are known. Whatever else it is, it is missing, and so is the row: a statistic that fails on a
    /// value, or has nothing of one of its columns for it, would tell whether somebody has it. In words, which rows are these.
    pub(super) fn usable(
        &self,
        total: &Expr,
        low: f64,
        high: f64,
        which: bool,
    ) -> Result<(Expr, String)> {
        let kind = total.get_type(self.schema)?;
        if !kind.is_numeric() {
            return Ok((total.clone().is_not_null(), String::new()));
        }
        let stored = uncast(total);
        let of = stored.get_type(self.schema)?;
        // Whole numbers and decimals are finite, and conditions one or the other.
        let is_whole = of.is_integer() || of.is_decimal();
        let is_any = !which && high == f64::MAX && (is_whole || !kind.is_floating());
        let reaches = low == f64::MIN || low == 0.0 && is_never_negative(stored);
        let always = of == DataType::Boolean || is_any && reaches;
        if always {
            return Ok((total.clone().is_not_null(), String::new()));
        }
        let number = cast(as_asked(total, self.schema).clone(), DataType::Float64);
        let usable = if which {
            number.clone().eq(lit(low)).or(number.eq(lit(high)))
        } else {
            number.between(lit(low), lit(high))
        };
        let words = exact(&usable)?;
        Ok((usable, words))
    }

    /// Rows that a condition chose, of which those remain that can be used, and which these are in words.
    pub(super) fn of_usable<'e>(
        &self,
        filter: Option<Expr>,
        usable: Vec<(Expr, String)>,
        of: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<(Option<Expr>, String)> {
        let mut words = vec![self.in_words(filter.as_ref(), of)?];
        let mut known = filter;
        let mut texts = BTreeSet::new();
        for (condition, text) in usable {
            known = and(known, condition);
            texts.insert(text);
        }
        // What can always be used says nothing, however often.
        texts.remove("");
        words.extend(texts);
        Ok((known, words.join("; ")))
    }

    /// An argument that is no column.
    pub(super) fn option(&self, name: &str, option: &Expr) -> Result<ScalarValue> {
        match uncast(option) {
            Expr::Literal(value, _) => Ok(value.cast_to(&option.get_type(self.schema)?)?),
            _ => refuse(
                "statistic",
                format!("the options of a released `{name}` are single literals"),
                "ask for one at a time",
            ),
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
        let asked = [time, event];
        let scope = self.rows.scope(self.schema);
        let (time, event) = (self.total_number(time)?, scope.total(event.clone())?);
        let usable = vec![
            self.usable(&time, 0.0, f64::MAX, false)?,
            self.usable(&event, 0.0, MOST_CAUSES, false)?,
        ];
        let (known, words) = self.of_usable(filter, usable, asked)?;
        let of_event = Measure::atom(format!("event {event}"), BTreeSet::new());
        let events = self.collected(known.clone(), Some((of_event, event)), words.clone());
        // Time as it is asked for, not as it is stored.
        let of_time = Measure::atom(format!("time {time}"), of.columns);
        let times = self.collected(known, Some((of_time, time)), words);
        Ok((Function::Curve(declared, events), times))
    }
}

/// A number without casts that change no value: models take outcomes as numbers of several kinds.
fn as_asked<'e>(expr: &'e Expr, schema: &DFSchema) -> &'e Expr {
    use DataType::{Boolean, Float64, Int8, Int16, Int32, Int64};
    match plain(expr) {
        Expr::Cast(Cast { expr: of, field }) | Expr::TryCast(TryCast { expr: of, field })
            if matches!(field.data_type(), Int64 | Float64)
                && matches!(of.get_type(schema), Ok(Boolean | Int8 | Int16 | Int32)) =>
        {
            as_asked(of, schema)
        }
        other => other,
    }
}

/// Whether a number is zero or more by the words of the query: `greatest(days_between(a, b), 0)`.
fn is_never_negative(expr: &Expr) -> bool {
    match plain(expr) {
        Expr::Literal(value, _) => {
            let number = value.cast_to(&DataType::Float64);
            matches!(number, Ok(ScalarValue::Float64(Some(number))) if number >= 0.0)
        }
        Expr::ScalarFunction(call) => match call.name() {
            "person_time" => true,
            "greatest" => call.args.iter().any(is_never_negative),
            "least" | "coalesce" => call.args.iter().all(is_never_negative),
            _ => false,
        },
        _ => false,
    }
}
