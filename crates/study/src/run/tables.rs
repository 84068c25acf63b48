//! Findings as tables: Parquet and CSV files for other programs.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;

use crate::error::Result;
use crate::findings::{Curve, Finding, Interval, Num, Point};
use crate::frame::{self, write_bytes};
use crate::spec::Spec;

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Text(String),
    Whole(u64),
    Number(f64),
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<Num> for Cell {
    fn from(number: Num) -> Self {
        if number.get().is_nan() {
            Self::Empty
        } else {
            Self::Number(number.get())
        }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(one: Option<T>) -> Self {
        one.map_or(Self::Empty, Into::into)
    }
}

macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$(Cell::from($cell)),*] };
}

fn three(interval: Interval) -> [Cell; 3] {
    [
        interval.value.into(),
        interval.lower.into(),
        interval.upper.into(),
    ]
}

fn with(mut row: Vec<Cell>, more: impl IntoIterator<Item = Cell>) -> Vec<Cell> {
    row.extend(more);
    row
}

type Table = (Vec<&'static str>, Vec<Vec<Cell>>);

/// Writes a finding's table; the answer is the files.
pub(super) fn write(
    spec: &Spec,
    out: &Path,
    id: &str,
    finding: &Finding,
    answer: Option<RecordBatch>,
) -> Result<Vec<String>> {
    let batch = match answer {
        Some(answer) => answer,
        None => batch(table(finding))?,
    };
    let mut files = Vec::new();
    if spec.outputs.parquet {
        let path = format!("tables/{id}.parquet");
        frame::write(&out.join(&path), &batch)?;
        files.push(path);
    }
    if spec.outputs.csv {
        let path = format!("tables/{id}.csv");
        let mut bytes = Vec::new();
        {
            let mut writer = datafusion::arrow::csv::Writer::new(&mut bytes);
            writer.write(&batch)?;
        }
        write_bytes(&out.join(&path), &bytes)?;
        files.push(path);
    }
    Ok(files)
}

fn batch((names, rows): Table) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let column: Vec<&Cell> = rows.iter().map(|row| &row[at]).collect();
        let array: ArrayRef = if column.iter().any(|cell| matches!(cell, Cell::Text(_))) {
            Arc::new(
                column
                    .iter()
                    .map(|cell| match cell {
                        Cell::Text(text) => Some(text.clone()),
                        Cell::Whole(number) => Some(number.to_string()),
                        Cell::Number(number) => Some(number.to_string()),
                        Cell::Empty => None,
                    })
                    .collect::<StringArray>(),
            )
        } else if column.iter().any(|cell| matches!(cell, Cell::Whole(_))) {
            let whole = |cell: &&Cell| match cell {
                Cell::Whole(number) => i64::try_from(*number).ok(),
                _ => None,
            };
            Arc::new(column.iter().map(whole).collect::<Int64Array>())
        } else {
            let number = |cell: &&Cell| match cell {
                Cell::Number(number) => Some(*number),
                _ => None,
            };
            Arc::new(column.iter().map(number).collect::<Float64Array>())
        };
        fields.push(Field::new(*name, array.data_type().clone(), true));
        arrays.push(array);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn points(rows: &mut Vec<Vec<Cell>>, head: &[Cell], points: &[Point]) {
    for point in points {
        let row = with(
            head.to_vec(),
            row![point.time, point.n_risk, point.n_event, point.n_censor],
        );
        rows.push(with(row, three(point.estimate)));
    }
}

fn curves(rows: &mut Vec<Vec<Cell>>, kind: &str, curves: &[Curve]) {
    for curve in curves {
        let head = [Cell::from(kind), Cell::from(&curve.group)];
        points(rows, &head, &curve.points);
    }
}

fn table(finding: &Finding) -> Table {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let names = match finding {
        Finding::Attrition(one) => {
            for step in &one.steps {
                for (group, name) in one.groups.iter().enumerate() {
                    rows.push(row![&step.rule, name, step.left[group], step.out[group]]);
                }
            }
            vec!["rule", "group", "persons_left", "persons_out"]
        }
        Finding::TableOne(one) => {
            for variable in &one.rows {
                for (group, name) in one.groups.iter().enumerate() {
                    let before = &variable.before[group];
                    let after = variable.after.get(group);
                    let quartiles = before.quartiles.map_or([Num(f64::NAN); 3], |three| three);
                    rows.push(row![
                        &variable.name,
                        &variable.label,
                        name,
                        before.count,
                        before.missing,
                        before.mean,
                        before.sd,
                        quartiles[0],
                        quartiles[1],
                        quartiles[2],
                        after.map(|one| one.mean),
                        after.map(|one| one.sd),
                        variable.smd_before,
                        variable.smd_after,
                    ]);
                }
            }
            vec![
                "variable",
                "label",
                "group",
                "n",
                "missing",
                "mean",
                "sd",
                "q1",
                "median",
                "q3",
                "mean_adjusted",
                "sd_adjusted",
                "smd",
                "smd_adjusted",
            ]
        }
        Finding::Propensity(one) => {
            for balance in &one.balance {
                rows.push(row![
                    &balance.label,
                    if balance.named { "named" } else { "sparse" },
                    balance.before,
                    balance.after
                ]);
            }
            vec!["covariate", "kind", "smd_before", "smd_after"]
        }
        Finding::KaplanMeier(one) => {
            curves(&mut rows, "crude", &one.curves);
            curves(&mut rows, "adjusted", &one.adjusted);
            vec![
                "curve", "group", "time", "n_risk", "n_event", "n_censor", "survival", "lower",
                "upper",
            ]
        }
        Finding::Competing(one) => {
            for curve in &one.curves {
                let head = [Cell::from(&curve.cause), Cell::from(&curve.group)];
                points(&mut rows, &head, &curve.points);
            }
            vec![
                "cause",
                "group",
                "time",
                "n_risk",
                "n_event",
                "n_censor",
                "cumulative_incidence",
                "lower",
                "upper",
            ]
        }
        Finding::Cox(one) => {
            for model in &one.models {
                let head = row![
                    model.model.name(),
                    &model.label,
                    model.persons,
                    model.events
                ];
                let row = with(with(head.clone(), row!["target"]), three(model.ratio));
                rows.push(with(row, row![model.p_value, model.ph_p_value]));
                for term in &model.terms {
                    let row = with(with(head.clone(), row![&term.label]), three(term.ratio));
                    rows.push(with(row, row![term.p_value, Num(f64::NAN)]));
                }
            }
            for period in &one.periods {
                let head = row![
                    one.main.name(),
                    &format!("days {} to {}", period.from, period.to),
                    period.persons,
                    period.events,
                    "target"
                ];
                let row = with(head, three(period.ratio));
                rows.push(with(row, row![Num(f64::NAN), Num(f64::NAN)]));
            }
            vec![
                "model",
                "adjustment",
                "persons",
                "events",
                "term",
                "hazard_ratio",
                "lower",
                "upper",
                "p",
                "p_proportional_hazards",
            ]
        }
        Finding::Logistic(one) => {
            for model in &one.models {
                for term in &model.terms {
                    let row = row![
                        model.model.name(),
                        &model.label,
                        model.persons,
                        model.events,
                        &term.label
                    ];
                    rows.push(with(with(row, three(term.ratio)), row![term.p_value]));
                }
            }
            vec![
                "model",
                "adjustment",
                "persons",
                "events",
                "term",
                "odds_ratio",
                "lower",
                "upper",
                "p",
            ]
        }
        Finding::Incidence(one) => {
            for arm in &one.arms {
                let row = row![
                    &arm.group,
                    arm.persons,
                    arm.prior,
                    arm.no_time,
                    arm.events,
                    arm.competing,
                    arm.person_days
                ];
                rows.push(with(row, three(arm.rate)));
            }
            vec![
                "group",
                "persons",
                "left_out_prior_outcome",
                "left_out_no_time_at_risk",
                "events",
                "competing_events",
                "person_days",
                "rate_per_1000_years",
                "lower",
                "upper",
            ]
        }
        Finding::Rates(one) => {
            for cell in &one.cells {
                let year = cell.year.and_then(|year| u64::try_from(year).ok());
                let row = row![
                    "cell",
                    cell.sex.as_ref(),
                    cell.age.as_ref(),
                    year,
                    cell.events,
                    cell.person_days
                ];
                rows.push(with(
                    with(row, three(cell.rate)),
                    row![Num(f64::NAN), Num(f64::NAN), Num(f64::NAN)],
                ));
            }
            for rate in &one.rates {
                let year = rate.year.and_then(|year| u64::try_from(year).ok());
                let row = row![
                    "standardised",
                    rate.sex.as_ref(),
                    None::<u64>,
                    year,
                    rate.events,
                    rate.person_days
                ];
                rows.push(with(with(row, three(rate.crude)), three(rate.standardized)));
            }
            vec![
                "kind",
                "sex",
                "age",
                "year",
                "events",
                "person_days",
                "rate",
                "lower",
                "upper",
                "standardised",
                "standardised_lower",
                "standardised_upper",
            ]
        }
        Finding::Readmission(one) => {
            for group in &one.groups {
                let row = row![
                    &group.label,
                    group.discharges,
                    group.persons,
                    group.readmissions
                ];
                rows.push(with(row, three(group.share)));
            }
            vec![
                "stays",
                "discharges",
                "persons",
                "readmissions",
                "share",
                "lower",
                "upper",
            ]
        }
        Finding::Controls(one) => {
            for control in &one.controls {
                let row = row![
                    &control.label,
                    control.events.first().copied(),
                    control.events.get(1).copied()
                ];
                let row = with(with(row, three(control.crude)), three(control.ratio));
                rows.push(with(
                    row,
                    row![control.log_ratio, control.std_err, control.note.as_ref()],
                ));
            }
            vec![
                "outcome",
                "events_target",
                "events_comparator",
                "crude_hazard_ratio",
                "crude_lower",
                "crude_upper",
                "hazard_ratio",
                "lower",
                "upper",
                "log_hazard_ratio",
                "std_err",
                "note",
            ]
        }
        Finding::Subgroups(one) => {
            for group in &one.rows {
                let row = row![
                    &group.variable,
                    &group.label,
                    group.persons.first().copied(),
                    group.persons.get(1).copied(),
                    group.events.first().copied(),
                    group.events.get(1).copied(),
                ];
                rows.push(with(
                    with(row, three(group.ratio)),
                    row![group.note.as_ref()],
                ));
            }
            vec![
                "variable",
                "subgroup",
                "persons_target",
                "persons_comparator",
                "events_target",
                "events_comparator",
                "hazard_ratio",
                "lower",
                "upper",
                "note",
            ]
        }
        Finding::Grid(one) => {
            for alternative in &one.rows {
                let row = row![&alternative.label, alternative.persons, alternative.events];
                let row = with(row, three(alternative.ratio));
                rows.push(with(
                    row,
                    row![
                        alternative.p_value,
                        alternative.balance,
                        alternative.note.as_ref()
                    ],
                ));
            }
            vec![
                "analysis",
                "persons",
                "events",
                "hazard_ratio",
                "lower",
                "upper",
                "p",
                "largest_smd",
                "note",
            ]
        }
        Finding::Sql(one) => {
            rows.push(row![&one.query]);
            vec!["query"]
        }
        Finding::NotEstimable(one) => {
            for (group, persons, events) in &one.counts {
                rows.push(row![&one.reason, group, *persons, *events]);
            }
            if one.counts.is_empty() {
                rows.push(row![&one.reason, Cell::Empty, Cell::Empty, Cell::Empty]);
            }
            vec!["not_computed", "group", "persons", "events"]
        }
    };
    (names, rows)
}
