//! `match_nearest(score, treated, id)`: pairs of treated and untreated persons.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use arrow::datatypes::DataType;
use columna_stats::Error;
use columna_stats::causal::matching::{Caliper, MatchOptions, nearest};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{list_of, lists, numbers, struct_of};
use super::adapter::{Ids, Layout, ModelRows, Options, Parameter, Role, Statistic, refused};
use crate::functions::docs::CAUSAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CAUSAL,
        "Matches each treated person to the nearest untreated ones by a score: a list of `set`, `id`, `treated` and \
         `weight`, in order of the sets. The treated are taken in descending order of the score, ties by id, so that \
         the same data always give the same pairs. Persons without a match are not listed; NULL where nobody, or \
         everybody, is treated.",
        "match_nearest(score, treated, id[, caliper => 0.2][, ratio => 1][, replace => false])",
    )
    .with_argument("score", "What they are matched by, such as the logit of a propensity score")
    .with_argument("treated", "Whether the person was treated: a boolean, or 0 and 1")
    .with_argument("id", "What names the person, such as `person_id`")
    .with_argument("caliper", "The largest difference, in standard deviations of the score; none by default. Differences of less than 1e-9 of these are none: the last digits of a fitted score depend on the order of rows")
    .with_argument("ratio", "How many untreated for each treated, 1 by default")
    .with_argument("replace", "Whether an untreated person may be matched more than once")
    .with_sql_example(
        "> SELECT t['set'] AS pair, t['id'] AS id, t['treated'] AS treated FROM (
    SELECT unnest(match_nearest(score, treated, id)) AS t
    FROM (VALUES (1, 0.5, true), (2, 0.4, false), (3, 0.9, false), (4, 0.8, true)) AS d(id, score, treated));
+------+----+---------+
| pair | id | treated |
+------+----+---------+
| 1    | 1  | true    |
| 1    | 2  | false   |
| 2    | 4  | true    |
| 2    | 3  | false   |
+------+----+---------+",
    )
    .build()
});

#[derive(Debug)]
pub(super) struct Matched {
    layout: Layout,
    matching: MatchOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct MatchNearest;

impl Statistic for MatchNearest {
    type Summary = ModelRows;
    type Options = Matched;

    const NAME: &'static str = "match_nearest";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("score", Role::Value),
        Parameter::required("treated", Role::Flag),
        Parameter::required("id", Role::Id),
        Parameter::optional("caliper", Role::Number),
        Parameter::optional("ratio", Role::Number),
        Parameter::optional("replace", Role::Switch),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        list_of(struct_of(&[
            ("set", DataType::Int64),
            ("id", Ids::data_type(arguments.get(2))),
            ("treated", DataType::Boolean),
            ("weight", DataType::Float64),
        ]))
    }

    fn options(given: &Options) -> Result<Matched> {
        let ratio = given.number("ratio")?.unwrap_or(1.0);
        if ratio < 1.0 || ratio.fract() != 0.0 || ratio > 1000.0 {
            return plan_err!("`ratio` is {ratio}; it is a whole number from 1 to 1000");
        }
        let caliper = given.number("caliper")?;
        if caliper.is_some_and(|caliper| !(caliper >= 0.0 && caliper.is_finite())) {
            return plan_err!("`caliper` must be a number of at least 0");
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        let ratio = ratio as usize;
        Ok(Matched {
            layout: Layout::new(given.columns().iter().map(|(p, t)| (p, t))),
            matching: MatchOptions {
                ratio,
                replacement: given.switch("replace").unwrap_or(false),
                caliper: caliper.map(Caliper::StandardDeviations),
                ..MatchOptions::default()
            },
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &Matched,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut ids = Ids::none(&options.layout);
        let mut sets = Vec::new();
        let (mut treated, mut weights) = (Vec::new(), Vec::new());
        let mut lengths = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(rows) = summary else {
                lengths.push(None);
                continue;
            };
            // In order of the ids, which decide between equal scores.
            let names = Ids::of(rows, &options.layout);
            let order = names.order();
            let score = rows.numbers_of(options.layout.slot("score"));
            let flags = rows.codes_of(options.layout.slot("treated"));
            let measure: Vec<f64> = order
                .iter()
                .map(|row| score.as_ref().map_or(f64::NAN, |score| score[*row]))
                .collect();
            let is_treated: Vec<bool> = order.iter().map(|row| flags[*row] == 1).collect();
            let found = match nearest(&measure, &is_treated, &options.matching) {
                Err(Error::EmptyGroup) => {
                    lengths.push(None);
                    continue;
                }
                found => found.map_err(|error| refused(&error))?,
            };
            let found_weights = found.weights();
            let before = ids.len();
            for (number, set) in (1_i64..).zip(&found.sets) {
                for member in std::iter::once(&set.treated).chain(&set.untreated) {
                    sets.push(number);
                    ids.push(&names, order[*member]);
                    treated.push(is_treated[*member]);
                    weights.push(found_weights[*member]);
                }
            }
            lengths.push(Some(ids.len() - before));
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(sets)),
            ids.into_array(),
            Arc::new(BooleanArray::from(treated)),
            numbers(weights),
        ];
        lists(output, &lengths, &columns)
    }
}
