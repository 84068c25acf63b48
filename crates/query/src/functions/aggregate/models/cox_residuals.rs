//! `cox_residuals(time, event, covariates, id)`: residuals of a Cox model, as R's `residuals(coxph)`.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::survival_rows::{CoxOptions, OFFSET, START, STRATA, TIES, WEIGHTS, with_fit};
use crate::functions::aggregate::adapter::output::{list_of, lists, numbers, struct_of};
use crate::functions::aggregate::adapter::{Ids, ModelRows, Options, Parameter, Role, Statistic};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "Residuals of Cox's model, as R's `residuals(coxph)`: a list of `id`, `time`, `term` and `residual`, in any order. With \
         `type => 'martingale'` (the default) or 'deviance' there is one for each row, and `term` is NULL; with \
         'schoenfeld' and 'scaledsch' there is one for each event and term, with 'score', 'dfbeta' and 'dfbetas' one for each row \
         and term. 'dfbeta' is about how much a coefficient changes by the row, with all of its weight, 'dfbetas' the same in \
         standard errors; the others are not multiplied by weights. \
         NULL where no row has the event.",
        "cox_residuals(time, event, covariates, id[, type => 'martingale'][, strata => s][, start => t0][, ties => 'efron'][, weights => w][, offset => o])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("covariates", "The terms, as in `cox_ph`")
    .with_argument("id", "What names the row, such as `person_id`")
    .with_argument("type", "'martingale', 'deviance', 'schoenfeld', 'scaledsch', 'score', 'dfbeta' or 'dfbetas'")
    .with_argument("strata", "Each stratum has a baseline hazard of its own")
    .with_argument("start", "The left end of (start, time]")
    .with_argument("ties", "'efron' or 'breslow'")
    .with_argument("weights", "Case weights")
    .with_argument("offset", "A term whose coefficient is 1")
    .with_sql_example(
        "> SELECT t.id AS id, round(t.residual, 4) AS residual FROM (
    SELECT unnest(cox_residuals(time, event, named_struct('x', x), id)) AS t
    FROM (VALUES (1, 4, 1, 0), (2, 3, 1, 2), (3, 1, 1, 1), (4, 1, 0, 1)) AS d(id, time, event, x)) ORDER BY 1;
+----+----------+
| id | residual |
+----+----------+
| 1  | -0.2826  |
| 2  | -0.2826  |
| 3  | 0.7826   |
| 4  | -0.2174  |
+----+----------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Residual {
    Martingale,
    Deviance,
    Schoenfeld,
    ScaledSchoenfeld,
    Score,
    Dfbeta,
    Dfbetas,
}

#[derive(Debug)]
pub(crate) struct ResidualOptions {
    cox: CoxOptions,
    residual: Residual,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CoxResiduals;

impl Statistic for CoxResiduals {
    type Summary = ModelRows;
    type Options = ResidualOptions;

    const NAME: &'static str = "cox_residuals";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("covariates", Role::Covariates),
        Parameter::required("id", Role::Id),
        Parameter::optional("type", Role::Word),
        STRATA,
        START,
        TIES,
        WEIGHTS,
        OFFSET,
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        list_of(struct_of(&[
            ("id", Ids::data_type(arguments.get(3))),
            ("time", DataType::Float64),
            ("term", DataType::Utf8),
            ("residual", DataType::Float64),
        ]))
    }

    fn options(given: &Options) -> Result<ResidualOptions> {
        let word = given.word("type").map(|word| word.to_ascii_lowercase());
        let residual = match word.as_deref() {
            None | Some("martingale") => Residual::Martingale,
            Some("deviance") => Residual::Deviance,
            Some("schoenfeld") => Residual::Schoenfeld,
            Some("scaledsch") => Residual::ScaledSchoenfeld,
            Some("score") => Residual::Score,
            Some("dfbeta") => Residual::Dfbeta,
            Some("dfbetas") => Residual::Dfbetas,
            Some(_) => {
                return plan_err!(
                    "`type` can be 'martingale', 'deviance', 'schoenfeld', 'scaledsch', 'score', 'dfbeta' or 'dfbetas'"
                );
            }
        };
        Ok(ResidualOptions {
            cox: CoxOptions::read(given)?,
            residual,
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &ResidualOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        Self::finish(
            summaries.iter().map(|rows| rows.cloned()).collect(),
            options,
            output,
        )
    }

    fn finish(
        summaries: Vec<Option<ModelRows>>,
        options: &ResidualOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let layout = &options.cox.layout;
        let mut ids = Ids::none(layout);
        let mut terms = Vec::new();
        let (mut times, mut residuals) = (Vec::new(), Vec::new());
        let mut lengths = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let names = summary.as_ref().map(|kept| Ids::of(kept, layout));
            let numbers = |name| {
                let kept = summary.as_ref()?;
                Some(kept.numbers_of(layout.slot(name))?.into_owned())
            };
            let time: Vec<f64> = numbers("time").unwrap_or_default();
            let weight: Vec<f64> = numbers("weights").unwrap_or_default();
            let before = ids.len();
            let there = with_fit(summary, &options.cox, |fitted| {
                let (Some((given, cox)), Some(names)) = (fitted, names) else {
                    return Ok(false);
                };
                let mut push = |row: usize, at: f64, term: Option<&String>, residual: f64| {
                    ids.push(&names, row);
                    terms.push(term.cloned());
                    times.push(at);
                    residuals.push(residual);
                };
                let mut by_term = |row: usize, at: f64, values: Vec<f64>, weight: f64| {
                    for (term, value) in given.design.names.iter().zip(values) {
                        push(row, at, Some(term), weight * value);
                    }
                };
                match options.residual {
                    Residual::Schoenfeld | Residual::ScaledSchoenfeld => {
                        let residuals = match options.residual {
                            Residual::Schoenfeld => cox.schoenfeld_residuals(),
                            _ => cox.scaled_schoenfeld_residuals(),
                        };
                        for (row, at, values) in residuals {
                            by_term(row, at, values, 1.0);
                        }
                    }
                    Residual::Score => {
                        for (row, values) in cox.score_residuals().into_iter().enumerate() {
                            by_term(row, time[row], values, 1.0);
                        }
                    }
                    Residual::Dfbeta | Residual::Dfbetas => {
                        let residuals = match options.residual {
                            Residual::Dfbeta => cox.dfbeta(),
                            _ => cox.dfbetas(),
                        };
                        for (row, values) in residuals.into_iter().enumerate() {
                            let weight = weight.get(row).copied().unwrap_or(1.0);
                            by_term(row, time[row], values, weight);
                        }
                    }
                    Residual::Martingale | Residual::Deviance => {
                        let events = given.rows.events();
                        for (row, martingale) in cox.martingale_residuals().into_iter().enumerate()
                        {
                            let residual = match options.residual {
                                Residual::Deviance => deviance(martingale, events[row]),
                                _ => martingale,
                            };
                            push(row, time[row], None, residual);
                        }
                    }
                }
                Ok(true)
            })?;
            lengths.push(there.then(|| ids.len() - before));
        }
        let columns: Vec<ArrayRef> = vec![
            ids.into_array(),
            numbers(times),
            Arc::new(StringArray::from(terms)),
            numbers(residuals),
        ];
        lists(output, &lengths, &columns)
    }
}

/// sign(m) √(−2 (m + δ log(δ − m))). Source: Therneau, Grambsch and Fleming, Biometrika 1990.
fn deviance(martingale: f64, event: bool) -> f64 {
    let log = if event { (1.0 - martingale).ln() } else { 0.0 };
    martingale.signum() * (-2.0 * (martingale + log)).max(0.0).sqrt()
}
