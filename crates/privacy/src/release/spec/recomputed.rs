//! Statistics of released numbers: which numbers are released for them.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, cast, lit, not, when};

use super::{Builder, Function, Number, and, bare, not_released, plain_type, uncast};
use crate::release::curve::{MOST_CAUSES, Source};
use crate::release::expression::indicator;
use crate::release::measure::Measure;
use crate::release::recomputed::{Entry, MadeOf, Recomputed};
use crate::release::refused::refuse;
use crate::release::shape::plain;
use crate::release::words::exact;

impl Builder<'_> {
    /// A statistic that is computed from numbers which are released for it.
    pub(super) fn recomputed(
        &mut self,
        expr: &Expr,
        source: Source,
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let Expr::AggregateFunction(call) = plain(expr) else {
            return Err(not_released("this"));
        };
        let (name, args) = (call.func.name(), &call.params.args);
        let Some((columns, options)) = args.split_at_checked(source.columns()) else {
            return Err(not_released(name));
        };
        let options = options
            .iter()
            .map(|option| self.option(name, option))
            .collect::<Result<Vec<_>>>()?;
        let made_of = match source {
            Source::Conditions(_) => self.combinations(name, columns, filter)?,
            Source::Means if self.is_condition(&columns[0])? => {
                self.combinations(name, columns, filter)?
            }
            Source::Means => {
                let [yes, no] = self.condition(name, &columns[1])?;
                let mut groups = Vec::new();
                for (value, condition) in [(0.0, no), (1.0, yes)] {
                    let both = and(filter.clone(), condition);
                    let (total, basis) = self.measure(name, &columns[0], both.clone())?;
                    let mean = self.part(Function::Mean, basis);
                    let deviation = self.part(Function::Deviation, basis);
                    let rows = self.basis(and(both, total.is_not_null()), None)?;
                    self.scale = (1.0, 0.0);
                    let rows = self.part(Function::Rows, rows);
                    groups.push((value, [mean, deviation, rows]));
                }
                MadeOf::Means(groups)
            }
            Source::Sums { groups } => {
                let scope = self.rows.scope(self.schema);
                let mut known = filter;
                for column in &columns[..2] {
                    known = and(known, scope.total(column.clone())?.is_not_null());
                }
                let kinds = match groups {
                    false => vec![(None, known)],
                    true => {
                        let [yes, no] = self.condition(name, &columns[2])?;
                        vec![
                            (Some(0.0), and(known.clone(), no)),
                            (Some(1.0), and(known, yes)),
                        ]
                    }
                };
                let mut rows = Vec::new();
                for (group, filter) in kinds {
                    let mut row = Vec::new();
                    for column in &columns[..2] {
                        self.scale = (1.0, 0.0);
                        let (function, basis) = if self.is_condition(column)? {
                            let [yes, _] = self.condition(name, column)?;
                            self.not_repeated("a count of rows would count the repetitions")?;
                            (Function::Rows, self.basis(and(filter.clone(), yes), None)?)
                        } else {
                            self.sum("sum", column, filter.clone())?
                        };
                        row.push(Entry::Released(self.part(function, basis)));
                    }
                    row.extend(group.map(Entry::Group));
                    rows.push(row);
                }
                MadeOf::Sums(rows)
            }
            Source::Steps { .. } => self.in_steps(name, columns, filter)?,
        };
        self.scale = (1.0, 0.0);
        let types = columns.iter().map(|column| column.get_type(self.schema));
        let recomputed = Recomputed {
            function: Arc::clone(&call.func),
            types: types.collect::<Result<_>>()?,
            options,
            made_of,
        };
        Ok((Function::Recomputed(Box::new(recomputed)), 0))
    }

    /// A number that is released as a part of another.
    pub(super) fn part(&self, function: Function, basis: usize) -> Number {
        Number {
            function,
            basis,
            kind: DataType::Float64,
            scale: self.scale,
        }
    }

    /// How many rows there are for each combination of conditions.
    pub(super) fn combinations(
        &mut self,
        name: &str,
        columns: &[Expr],
        filter: Option<Expr>,
    ) -> Result<MadeOf> {
        self.not_repeated("a count of rows would count the repetitions")?;
        let mut kinds = vec![(Vec::new(), filter)];
        for column in columns {
            let [yes, no] = self.condition(name, column)?;
            let more = |(values, filter): &(Vec<f64>, Option<Expr>), value: f64, is: &Expr| {
                let values = values.iter().copied().chain([value]).collect();
                (values, and(filter.clone(), is.clone()))
            };
            kinds = kinds
                .iter()
                .flat_map(|kind| [more(kind, 1.0, &yes), more(kind, 0.0, &no)])
                .collect();
        }
        let counts = kinds.into_iter().map(|(values, filter)| {
            let basis = self.basis(filter, None)?;
            Ok((values, self.part(Function::Rows, basis)))
        });
        Ok(MadeOf::Counts(counts.collect::<Result<_>>()?))
    }

    /// Whether an argument is a condition, or a one and a zero made of one.
    pub(super) fn is_condition(&self, arg: &Expr) -> Result<bool> {
        Ok(indicator(arg).is_some() || plain_type(arg, self.schema)? == DataType::Boolean)
    }

    /// Where a condition holds, and where it does not; of a number, where it is 1 and where it is 0. Rows of which neither is
    /// known are in neither. Not by `IS TRUE`: DataFusion 55 cannot plan it where several filters share one.
    pub(super) fn condition(&self, name: &str, arg: &Expr) -> Result<[Expr; 2]> {
        let scope = self.rows.scope(self.schema);
        if let Some(condition) = indicator(arg) {
            let holds = scope.total(bare(condition))?;
            let fails = when(holds.clone(), lit(false)).otherwise(lit(true))?;
            return Ok([holds, fails]);
        }
        let bare = uncast(arg);
        match bare.get_type(self.schema)? {
            DataType::Boolean => {
                let holds = scope.total(bare.clone())?;
                Ok([holds.clone(), not(holds)])
            }
            kind if kind.is_numeric() => {
                let number = cast(scope.total(bare.clone())?, DataType::Float64);
                let is = |value: f64| number.clone().eq(lit(value));
                Ok([is(1.0), is(0.0)])
            }
            _ => refuse(
                "statistic",
                format!("a released `{name}` compares persons by conditions"),
                "write the group as a condition, such as arm = 'A', and leave others out by FILTER (WHERE ...)",
            ),
        }
    }

    /// Time, event and group by person, for steps of time.
    pub(super) fn in_steps(
        &mut self,
        name: &str,
        columns: &[Expr],
        filter: Option<Expr>,
    ) -> Result<MadeOf> {
        let of = self.measured(name, &columns[0])?;
        let scope = self.rows.scope(self.schema);
        let time = self.total_number(&columns[0])?;
        let event = scope.total(columns[1].clone())?;
        let mut usable = vec![
            self.usable(&time, 0.0, f64::MAX, false)?,
            self.usable(&event, 0.0, MOST_CAUSES, false)?,
        ];
        let group = match columns.get(2) {
            None => None,
            Some(group) => {
                let [yes, no] = self.condition(name, group)?;
                let words = exact(&yes)?;
                usable.push((yes.clone().or(no), words));
                Some(cast(yes, DataType::Int64))
            }
        };
        let (known, words) = self.of_usable(filter, usable, columns)?;
        let none = std::collections::BTreeSet::new;
        let of_event = Measure::atom(format!("event {event}"), none());
        let of_time = Measure::atom(format!("time {time}"), of.columns);
        let events = self.collected(known.clone(), Some((of_event, event)), words.clone());
        let times = self.collected(known.clone(), Some((of_time, time)), words.clone());
        let groups = group.map(|group| {
            let of_group = Measure::atom(format!("group {group}"), none());
            self.collected(known, Some((of_group, group)), words)
        });
        Ok(MadeOf::Steps {
            times,
            events,
            groups,
        })
    }
}
