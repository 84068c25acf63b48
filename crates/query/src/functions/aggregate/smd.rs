//! `smd(x, group)`: how far two groups are apart, in standard deviations.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::causal::balance::Balance;
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::adapter::{
    Label, Layout, ModelRows, Options, Parameter, Role, Statistic, refuse, refused,
};
use crate::functions::docs::CAUSAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CAUSAL,
        "The standardized mean difference of two groups: the difference of their means in units of the root of the mean \
         of their variances, second group in sort order less first. Of a column that is 0 and 1 only, or a boolean, it \
         is that of shares, with variances p (1 - p). With weights, means and variances are weighted. NULL where there \
         is one group only.",
        "smd(x, group[, weights => w])",
    )
    .with_argument("x", "The covariate")
    .with_argument("group", "Which group: a boolean, or any column with two values")
    .with_argument("weights", "Weights, such as those of `propensity_score`")
    .with_sql_example(
        "> SELECT round(smd(age, treated), 4) AS smd
  FROM (VALUES (60, true), (70, true), (80, true), (50, false), (60, false), (70, false)) AS d(age, treated);
+-----+
| smd |
+-----+
| 1.0 |
+-----+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Smd;

impl Statistic for Smd {
    type Summary = ModelRows;
    type Options = Layout;

    const NAME: &'static str = "smd";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("x", Role::Value),
        Parameter::required("group", Role::Group),
        Parameter::optional("weights", Role::Weights),
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Recomputed(Source::Means));

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        DataType::Float64
    }

    fn options(given: &Options) -> Result<Layout> {
        Ok(Layout::new(given.columns().iter().map(|(p, t)| (p, t))))
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        layout: &Layout,
        _output: &DataType,
    ) -> Result<ArrayRef> {
        let found = summaries
            .iter()
            .map(|rows| rows.map_or(Ok(None), |rows| difference(rows, layout)))
            .collect::<Result<Float64Array>>()?;
        Ok(Arc::new(found))
    }
}

fn difference(rows: &ModelRows, layout: &Layout) -> Result<Option<f64>> {
    let numbers = |name: &str| rows.numbers_of(layout.slot(name));
    let words = layout
        .slot("group")
        .and_then(|slot| rows.words.get(slot.place));
    let (Some(values), Some(words)) = (numbers("x"), words) else {
        return Ok(None);
    };
    let (levels, codes) = words.sorted_by(|word| Label(word.to_owned()));
    if levels.len() > 2 {
        return refuse!(
            "`smd` compares two groups, and `group` has {} values",
            levels.len()
        );
    }
    let weights = numbers("weights");
    let binary = values.iter().all(|value| *value == 0.0 || *value == 1.0);
    // Two large means leave fewer digits of their difference than values less the middle of their range do.
    let (least, most) = (values.iter()).fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(least, most), value| (least.min(*value), most.max(*value)),
    );
    let middle = if binary {
        0.0
    } else {
        f64::midpoint(least, most)
    };
    let mut balance = Balance::default();
    for (row, value) in values.iter().enumerate() {
        let weight = weights.as_ref().map_or(1.0, |weights| weights[row]);
        balance
            .add(*value - middle, codes[row] == 1, weight)
            .map_err(|error| refused(&error))?;
    }
    let found = if binary {
        balance.smd_binary()
    } else {
        balance.smd()
    };
    Ok((!found.is_nan()).then_some(found))
}
