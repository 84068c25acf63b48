//! `cox_baseline(time, event, covariates)`: survival that a Cox model predicts, as R's `survfit(coxph)`.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, StringArray, StructArray};
use arrow::datatypes::DataType;
use columna_stats::survival::ConfType;
use columna_stats::survival::cox::Cox;
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::survival_rows::{
    CLUSTER, CoxOptions, CoxRows, ROBUST, START, STRATA, TIES, WEIGHTS, with_fit,
};
use crate::functions::aggregate::adapter::output::{list_of, lists, numbers, struct_of};
use crate::functions::aggregate::adapter::{
    ModelRows, Options, Parameter, Role, Statistic, refused,
};
use crate::functions::aggregate::kaplan_meier::curve_options;
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The survival that Cox's model predicts for one person, as R's `survfit(coxph)`: a list of `stratum`, `time`, \
         `cumulative_hazard`, `survival`, `std_err` (of the cumulative hazard), `lower` and `upper`, with a row for \
         each time at which somebody left. Without `at` the person is the average one: the means of the terms, and 0 \
         for terms that are 0 and 1 only. NULL where no row has the event.",
        "cox_baseline(time, event, covariates[, at => named_struct('age', 60)][, strata => s][, start => t0][, weights => w][, cluster => id][, ties => 'efron'][, conf_type => 'log'][, conf_level => 0.95][, robust => true])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("covariates", "The terms, as in `cox_ph`")
    .with_argument("at", "For whom: a value for each term")
    .with_argument("strata", "Each stratum has a baseline hazard of its own")
    .with_argument("start", "The left end of (start, time]")
    .with_argument("weights", "Case weights")
    .with_argument("cluster", "Rows of one cluster are not independent")
    .with_argument("ties", "'efron' or 'breslow'")
    .with_argument("conf_type", "The interval: 'log', 'log-log', 'plain', 'logit' or 'arcsin'")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("robust", "Whether the variance is robust; by default with clusters and fractional weights")
    .with_sql_example(
        "> SELECT t.time AS time, round(t.survival, 4) AS survival FROM (
    SELECT unnest(cox_baseline(time, event, named_struct('x', x), at => named_struct('x', 1))) AS t
    FROM (VALUES (4, 1, 0), (3, 1, 2), (1, 1, 1), (1, 0, 1), (2, 1, 1), (2, 1, 0), (3, 0, 0)) AS d(time, event, x));
+------+----------+
| time | survival |
+------+----------+
| 1.0  | 0.8569   |
| 2.0  | 0.5216   |
| 3.0  | 0.3671   |
| 4.0  | 0.0752   |
+------+----------+",
    )
    .build()
});

#[derive(Debug)]
pub(crate) struct CurveOptions {
    pub(super) cox: CoxOptions,
    at: Option<StructArray>,
    conf_type: ConfType,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CoxBaseline;

impl Statistic for CoxBaseline {
    type Summary = ModelRows;
    type Options = CurveOptions;

    const NAME: &'static str = "cox_baseline";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("covariates", Role::Covariates),
        Parameter::optional("at", Role::Record),
        STRATA,
        START,
        WEIGHTS,
        CLUSTER,
        TIES,
        Parameter::optional("conf_type", Role::Word),
        Parameter::optional("conf_level", Role::Number),
        ROBUST,
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        let number = || DataType::Float64;
        list_of(struct_of(&[
            ("stratum", DataType::Utf8),
            ("time", number()),
            ("cumulative_hazard", number()),
            ("survival", number()),
            ("std_err", number()),
            ("lower", number()),
            ("upper", number()),
        ]))
    }

    fn options(given: &Options) -> Result<CurveOptions> {
        Ok(CurveOptions {
            cox: CoxOptions::read(given)?,
            at: given.record("at").cloned(),
            conf_type: curve_options(given)?.conf_type,
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &CurveOptions,
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
        options: &CurveOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut curves = Curves::default();
        for summary in summaries {
            with_fit(summary, &options.cox, |fitted| match fitted {
                Some((given, cox)) => curves.push(given, &cox, options),
                None => curves.push_null(),
            })?;
        }
        curves.finish(output)
    }
}

/// The curves of fits, a list of rows for each.
#[derive(Default)]
pub(super) struct Curves {
    strata: Vec<Option<String>>,
    columns: [Vec<f64>; 6],
    lengths: Vec<Option<usize>>,
}

impl Curves {
    pub(super) fn push(
        &mut self,
        given: &CoxRows,
        cox: &Cox<'_>,
        options: &CurveOptions,
    ) -> Result<()> {
        let person = match &options.at {
            Some(at) => given.design.of_person(at)?,
            None => cox.result().means.clone(),
        };
        let mut curves = cox
            .predict(&person, options.conf_type, options.cox.conf_level)
            .map_err(|error| refused(&error))?;
        let name = |code: u64| {
            let named = usize::try_from(code)
                .ok()
                .and_then(|at| given.strata.get(at));
            named.cloned().filter(|_| options.cox.has_strata)
        };
        curves.sort_by_key(|(code, _)| name(*code));
        let before = self.strata.len();
        for (code, rows) in curves {
            for row in rows {
                self.strata.push(name(code));
                let values = [
                    row.time,
                    row.cumulative_hazard,
                    row.survival,
                    row.std_err,
                    row.lower,
                    row.upper,
                ];
                for (column, value) in self.columns.iter_mut().zip(values) {
                    column.push(value);
                }
            }
        }
        self.lengths.push(Some(self.strata.len() - before));
        Ok(())
    }

    pub(super) fn push_null(&mut self) -> Result<()> {
        self.lengths.push(None);
        Ok(())
    }

    pub(super) fn finish(self, output: &DataType) -> Result<ArrayRef> {
        let mut fields: Vec<ArrayRef> = vec![Arc::new(StringArray::from(self.strata))];
        fields.extend(self.columns.into_iter().map(numbers));
        lists(output, &self.lengths, &fields)
    }
}
