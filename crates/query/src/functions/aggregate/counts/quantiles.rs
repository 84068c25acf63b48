//! `quantile_exact(x, p)` and `quantile_approx(x, p)`.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use columna_stats::Summary;
use columna_stats::description::kll::QuantileSketch;
use columna_stats::description::quantile::{QuantileType, Values};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use crate::functions::aggregate::adapter::{
    BatchRows, ModelBatch, ModelRows, Options, Parameter, Role, RowSummary, State, StateBuilder,
    Statistic, refused,
};
use crate::functions::docs::DESCRIPTION;

static EXACT: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "Quantiles of a column, as R's `quantile`: a number for a number, a list for a list.",
        "quantile_exact(x, p[, type => 7])",
    )
    .with_argument("x", "The values")
    .with_argument("p", "The probability, or a list of them")
    .with_argument("type", "Which of R's nine types, 7 by default")
    .with_sql_example(
        "> SELECT quantile_exact(x, [0.25, 0.5, 0.9]) AS q FROM (VALUES (1), (2), (4), (8)) AS d(x);
+--------------------------------+
| q                              |
+--------------------------------+
| [1.75, 3.0, 6.800000000000001] |
+--------------------------------+",
    )
    .build()
});
static APPROX: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "Quantiles of a column by a sketch (KLL) of a few thousand values, however many there are: a number for a \
         number, a list for a list. Up to 1,000 values they are exact, of type 1; beyond, ranks are within about 0.3 % \
         of all rows.",
        "quantile_approx(x, p)",
    )
    .with_argument("x", "The values")
    .with_argument("p", "The probability, or a list of them")
    .with_sql_example(
        "> SELECT quantile_approx(x, 0.5) AS median FROM (VALUES (1), (2), (4)) AS d(x);
+--------+
| median |
+--------+
| 2.0    |
+--------+",
    )
    .build()
});

#[derive(Debug)]
pub(crate) struct QuantileOptions {
    probabilities: Vec<f64>,
    quantile_type: QuantileType,
}

fn read(given: &Options) -> Result<QuantileOptions> {
    let probabilities = given.numbers("p")?.unwrap_or_default();
    if probabilities.is_empty() || !probabilities.iter().all(|p| (0.0..=1.0).contains(p)) {
        return plan_err!("`p` is a probability, or a list of probabilities, between 0 and 1");
    }
    let number = given.number("type")?.unwrap_or(7.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number that is out of range is refused"
    )]
    let quantile_type = QuantileType::new(number.clamp(0.0, 255.0) as u8)
        .ok()
        .filter(|_| number.fract() == 0.0);
    let Some(quantile_type) = quantile_type else {
        return plan_err!("`type` is {number}; it is one of R's types 1 to 9");
    };
    Ok(QuantileOptions {
        probabilities,
        quantile_type,
    })
}

fn output(arguments: &[DataType]) -> DataType {
    match arguments.get(1) {
        Some(DataType::List(_)) => {
            DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)))
        }
        _ => DataType::Float64,
    }
}

fn column(found: Vec<Option<Vec<f64>>>, output: &DataType) -> Result<ArrayRef> {
    let DataType::List(item) = output else {
        let first = found
            .into_iter()
            .map(|q| q.and_then(|q| q.first().copied()));
        let numbers: Float64Array = first.map(|q| q.filter(|q| !q.is_nan())).collect();
        return Ok(Arc::new(numbers));
    };
    let offsets = OffsetBuffer::from_lengths(found.iter().map(|q| q.as_ref().map_or(0, Vec::len)));
    let nulls = NullBuffer::from(found.iter().map(Option::is_some).collect::<Vec<_>>());
    let numbers: Float64Array = found.into_iter().flatten().flatten().map(Some).collect();
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(item),
        offsets,
        Arc::new(numbers),
        Some(nulls),
    )?))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct QuantileExact;

impl Statistic for QuantileExact {
    type Summary = ModelRows;
    type Options = QuantileOptions;

    const NAME: &'static str = "quantile_exact";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("x", Role::Value),
        Parameter::required("p", Role::Numbers),
        Parameter::optional("type", Role::Number),
    ];

    fn documentation() -> &'static Documentation {
        &EXACT
    }

    fn output(arguments: &[DataType]) -> DataType {
        output(arguments)
    }

    fn options(given: &Options) -> Result<QuantileOptions> {
        read(given)
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &QuantileOptions,
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
        options: &QuantileOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut found = Vec::with_capacity(summaries.len());
        for summary in summaries {
            found.push(match summary {
                None => None,
                Some(mut rows) => {
                    let values = rows.take_first_numbers();
                    let mut kept = Values::default();
                    for value in values.iter() {
                        kept.add(value).map_err(|error| refused(&error))?;
                    }
                    let quantiles = kept.quantiles(&options.probabilities, options.quantile_type);
                    Some(quantiles.map_err(|error| refused(&error))?)
                }
            });
        }
        column(found, output)
    }
}

/// The sketch as a summary of rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sketch(QuantileSketch);

impl Summary for Sketch {
    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl RowSummary for Sketch {
    type Rows = ModelBatch;

    fn add_row(&mut self, rows: &ModelBatch, row: usize) -> Result<()> {
        let value = rows.number(0, row).unwrap_or(f64::NAN);
        self.0.add(value).map_err(|error| refused(&error))
    }

    fn add_rows(&mut self, rows: &ModelBatch, selected: &[usize]) -> Result<()> {
        selected.iter().try_for_each(|row| self.add_row(rows, *row))
    }

    fn add_all(&mut self, rows: &ModelBatch) -> Result<()> {
        self.add_rows(rows, &rows.counted().iter().collect::<Vec<_>>())
    }

    fn write(&self, state: &mut StateBuilder) {
        let (ints, floats) = self.0.to_parts();
        state.append(&ints, &floats, &[]);
    }

    fn read(&mut self, state: &State<'_>) -> Result<()> {
        self.0
            .merge_parts(state.ints, state.floats)
            .map_err(|error| refused(&error))
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct QuantileApprox;

impl Statistic for QuantileApprox {
    type Summary = Sketch;
    type Options = QuantileOptions;

    const NAME: &'static str = "quantile_approx";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("x", Role::Value),
        Parameter::required("p", Role::Numbers),
    ];

    fn documentation() -> &'static Documentation {
        &APPROX
    }

    fn output(arguments: &[DataType]) -> DataType {
        output(arguments)
    }

    fn options(given: &Options) -> Result<QuantileOptions> {
        read(given)
    }

    fn evaluate(
        summaries: &[Option<&Sketch>],
        options: &QuantileOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut found = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let quantiles = summary.map(|sketch| sketch.0.quantiles(&options.probabilities));
            found.push(quantiles.transpose().map_err(|error| refused(&error))?);
        }
        column(found, output)
    }
}
