//! `effective_sample_size(weight)`: how many unweighted persons would say as much.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use columna_stats::causal::weighting::Weights;
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::adapter::{Layout, ModelRows, Options, Parameter, Role, Statistic, refused};
use crate::functions::docs::CAUSAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CAUSAL,
        "Kish's effective sample size, the square of the sum of weights over the sum of their squares: how many \
         unweighted persons would give the same precision.",
        "effective_sample_size(weight)",
    )
    .with_argument("weight", "The weights")
    .with_sql_example(
        "> SELECT effective_sample_size(w) AS n FROM (VALUES (1), (1), (2)) AS d(w);
+--------------------+
| n                  |
+--------------------+
| 2.6666666666666665 |
+--------------------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct EffectiveSampleSize;

impl Statistic for EffectiveSampleSize {
    type Summary = ModelRows;
    type Options = Layout;

    const NAME: &'static str = "effective_sample_size";
    const PARAMETERS: &'static [Parameter] = &[Parameter::required("weight", Role::Value)];

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
        let mut found = Vec::with_capacity(summaries.len());
        for rows in summaries {
            let Some(weights) = rows.and_then(|rows| rows.numbers_of(layout.slot("weight"))) else {
                found.push(None);
                continue;
            };
            let mut sums = Weights::default();
            for weight in weights.iter() {
                sums.add(*weight).map_err(|error| refused(&error))?;
            }
            found.push(Some(sums.effective()));
        }
        Ok(Arc::new(Float64Array::from(found)))
    }
}
