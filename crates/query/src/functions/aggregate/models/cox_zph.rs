//! `cox_zph(time, event, covariates)`: are the hazards proportional?, as R's `cox.zph`.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_stats::Error;
use columna_stats::survival::Test;
use columna_stats::survival::cox::{Cox, TimeTransform};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::survival_rows::{CLUSTER, CoxOptions, OFFSET, START, STRATA, TIES, WEIGHTS, cox_rows};
use super::term_table::{TermTable, table_type};
use crate::functions::aggregate::adapter::{
    ModelRows, Options, Parameter, Role, Statistic, refused,
};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "Tests whether hazards are proportional, as R's `cox.zph`: a list with a struct for each term and one for \
         'GLOBAL', of `term`, `chisq`, `df`, `p_value` and `note`, 'redundant' for a combination of terms before it. A factor is \
         tested as a whole. NULL where no row has the event.",
        "cox_zph(time, event, covariates[, strata => s][, start => t0][, weights => w][, cluster => id][, ties => 'efron'][, transform => 'km'][, offset => o])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("covariates", "The terms, as in `cox_ph`")
    .with_argument("strata", "Each stratum has a baseline hazard of its own")
    .with_argument("start", "The left end of (start, time]")
    .with_argument("weights", "Case weights")
    .with_argument("cluster", "Rows of one cluster are not independent")
    .with_argument("ties", "'efron' or 'breslow'")
    .with_argument("transform", "The function of time: 'km', 'rank', 'identity' or 'log', which takes no event at time 0")
    .with_argument("offset", "A term whose coefficient is 1")
    .with_sql_example(
        "> SELECT t.term AS term, round(t.chisq, 4) AS chisq, t.df AS df FROM (
    SELECT unnest(cox_zph(time, event, named_struct('x', x))) AS t
    FROM (VALUES (4, 1, 0), (3, 1, 2), (1, 1, 1), (1, 0, 1), (2, 1, 1), (2, 1, 0), (3, 0, 0)) AS d(time, event, x));
+--------+--------+-----+
| term   | chisq  | df  |
+--------+--------+-----+
| x      | 0.8391 | 1.0 |
| GLOBAL | 0.8391 | 1.0 |
+--------+--------+-----+",
    )
    .build()
});

#[derive(Debug)]
pub(crate) struct ZphOptions {
    cox: CoxOptions,
    transform: TimeTransform,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CoxZph;

impl Statistic for CoxZph {
    type Summary = ModelRows;
    type Options = ZphOptions;

    const NAME: &'static str = "cox_zph";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("covariates", Role::Covariates),
        STRATA,
        START,
        WEIGHTS,
        CLUSTER,
        TIES,
        Parameter::optional("transform", Role::Word),
        OFFSET,
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        table_type(&["chisq", "df", "p_value"])
    }

    fn options(given: &Options) -> Result<ZphOptions> {
        let word = given
            .word("transform")
            .map(|word| word.to_ascii_lowercase());
        let transform = match word.as_deref() {
            None | Some("km") => TimeTransform::KaplanMeier,
            Some("rank") => TimeTransform::Rank,
            Some("identity") => TimeTransform::Identity,
            Some("log") => TimeTransform::Log,
            Some(_) => return plan_err!("`transform` can be 'km', 'rank', 'identity' or 'log'"),
        };
        Ok(ZphOptions {
            cox: CoxOptions::read(given)?,
            transform,
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &ZphOptions,
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
        options: &ZphOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = TermTable::new();
        for summary in summaries {
            let Some(kept) = summary else {
                table.null();
                continue;
            };
            let given = cox_rows(kept, &options.cox.layout)?;
            let cox = match Cox::fit(&given.rows, &options.cox.fit) {
                Err(Error::NoEvents) => {
                    table.null();
                    continue;
                }
                fitted => fitted.map_err(|error| refused(&error))?,
            };
            // Terms that have columns, numbered without gaps.
            let mut place = Vec::new();
            let mut names = Vec::new();
            for (at, name) in given.design.terms().enumerate() {
                place.push(names.len());
                if given.design.term_of.contains(&at) {
                    names.push(name.to_owned());
                }
            }
            let term_of: Vec<usize> = given
                .design
                .term_of
                .iter()
                .map(|term| place[*term])
                .collect();
            let zph = cox
                .zph(options.transform, &term_of)
                .map_err(|error| refused(&error))?;
            table.group();
            for (name, test) in names.iter().zip(&zph.terms) {
                let note = (test.df == 0).then_some("redundant");
                table.push(name, numbers_of(test), note);
            }
            table.push("GLOBAL", numbers_of(&zph.global), None);
        }
        table.finish(output)
    }
}

/// Statistic, degrees of freedom and p; a term that has none has no test.
#[expect(clippy::cast_precision_loss, reason = "degrees of freedom are few")]
fn numbers_of(test: &Test) -> [f64; 3] {
    if test.df == 0 {
        [f64::NAN, 0.0, f64::NAN]
    } else {
        [test.statistic, test.df as f64, test.p_value]
    }
}
