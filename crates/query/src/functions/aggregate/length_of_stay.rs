//! `length_of_stay(person, admission, discharge)`: how long hospital stays last.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_stats::description::stays::{Readmission, Stays};
use columna_stats::description::table_one::Variable;
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::adapter::output::{Table, struct_of};
use super::adapter::{Options, Parameter, Role, Statistic, refused};
use super::readmission::Kept;
use crate::functions::docs::DESCRIPTION;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "How long hospital stays last, in days from admission to discharge: a struct of `persons`, `episodes`, `ongoing`, \
         `days` in all, `mean`, `sd`, `min`, `q1`, `median`, `q3` and `max`. A stay with admission and discharge on the same \
         day lasts 0 days. Stays of a person that overlap, or of which one begins on the day the other ends, are one \
         episode, as in `readmission`; one stay after the other, row by row, is \
         `quantile_exact(days_between(admission, discharge), 0.5)`. Episodes that are still going on (a NULL discharge) are \
         counted as `ongoing` and have no length.",
        "length_of_stay(person, admission, discharge[, facility => f])",
    )
    .with_argument("person", "The person, a whole number such as `person_id`")
    .with_argument("admission", "The first day of the stay")
    .with_argument("discharge", "The last day; NULL for a stay that is going on")
    .with_argument("facility", "The facility, a whole number: a stay in another one that begins on the day after is the same episode")
    .with_sql_example(
        "> SELECT r['episodes'] AS episodes, r['ongoing'] AS ongoing, r['mean'] AS mean, r['median'] AS median FROM (
    SELECT length_of_stay(person, a, d) AS r
    FROM (VALUES (1, DATE '2024-01-01', DATE '2024-01-05'), (1, DATE '2024-01-05', DATE '2024-01-08'),
                 (2, DATE '2024-03-01', DATE '2024-03-02'), (3, DATE '2024-03-09', NULL)) AS s(person, a, d));
+----------+---------+------+--------+
| episodes | ongoing | mean | median |
+----------+---------+------+--------+
| 3        | 1       | 4.0  | 4.0    |
+----------+---------+------+--------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct LengthOfStay;

impl Statistic for LengthOfStay {
    type Summary = Kept;
    type Options = ();

    const NAME: &'static str = "length_of_stay";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("person", Role::Id),
        Parameter::required("admission", Role::Day),
        Parameter::required("discharge", Role::Day),
        Parameter::optional("facility", Role::Id),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        let (whole, number) = (DataType::Int64, DataType::Float64);
        struct_of(&[
            ("persons", whole.clone()),
            ("episodes", whole.clone()),
            ("ongoing", whole.clone()),
            ("days", whole),
            ("mean", number.clone()),
            ("sd", number.clone()),
            ("min", number.clone()),
            ("q1", number.clone()),
            ("median", number.clone()),
            ("q3", number.clone()),
            ("max", number),
        ])
    }

    fn options(_given: &Options) -> Result<()> {
        Ok(())
    }

    fn evaluate(summaries: &[Option<&Kept>], _options: &(), output: &DataType) -> Result<ArrayRef> {
        let mut table = Table::new();
        for summary in summaries {
            match summary {
                Some(kept) => table.push(lengths(kept.stays())?),
                None => table.push_null(),
            }
        }
        table.into_structs(output, summaries.iter().map(Option::is_some).collect())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of stays and their days stay below 2^53"
)]
fn lengths(stays: &Stays) -> Result<[f64; 11]> {
    let episodes = stays.episodes(0);
    let (mut ended, mut days) = (Variable::default(), 0);
    for length in episodes.iter().filter_map(|episode| episode.length()) {
        days += length;
        ended
            .add_number(length as f64)
            .map_err(|error| refused(&error))?;
    }
    let spread = ended.spread().map_err(|error| refused(&error))?;
    let persons = Readmission::of(&episodes).persons;
    let [min, q1, median, q3, max] = spread.quartiles;
    Ok([
        persons as f64,
        episodes.len() as f64,
        (episodes.len() as u64 - spread.n) as f64,
        days as f64,
        spread.mean,
        spread.sd,
        min,
        q1,
        median,
        q3,
        max,
    ])
}
