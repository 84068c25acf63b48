//! `empirical_calibration(estimate, std_err, control, id)`: estimates in the light of negative controls.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_stats::causal::calibration::{EmpiricalNull, LogEstimate};
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::adapter::output::{list_of, lists, numbers, struct_of};
use super::adapter::{
    Ids, Layout, ModelRows, Options, Parameter, Role, Statistic, refuse, refused,
};
use super::conf_level;
use crate::functions::docs::CAUSAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CAUSAL,
        "Empirical calibration by negative controls, after Schuemie and others (2014), as the R package \
         EmpiricalCalibration: the controls, whose true effect is none, give the mean and the spread of systematic error, \
         and all other estimates are judged by them. A list of `id`, `estimate`, `lower`, `upper`, `std_err` and `p_value` \
         on the logarithmic scale, with `null_mean` and `null_sd`, in order of the ids.",
        "empirical_calibration(estimate, std_err, control, id[, conf_level => 0.95])",
    )
    .with_argument("estimate", "The logarithm of an effect, such as `ln(hazard_ratio)`")
    .with_argument("std_err", "Its standard error")
    .with_argument("control", "Whether it is of a negative control")
    .with_argument("id", "What names the estimate")
    .with_argument("conf_level", "The level of the intervals, 0.95 by default")
    .with_sql_example(
        "> SELECT t.id AS id, round(t.estimate, 4) AS estimate, round(t.null_mean, 4) AS null_mean FROM (
    SELECT unnest(empirical_calibration(b, se, control, id)) AS t
    FROM (VALUES (1, 0.1, 0.1, true), (2, 0.3, 0.1, true), (3, 0.2, 0.1, true), (4, 0.9, 0.2, false)) AS d(id, b, se, control));
+----+----------+-----------+
| id | estimate | null_mean |
+----+----------+-----------+
| 4  | 0.7      | 0.2       |
+----+----------+-----------+",
    )
    .build()
});

#[derive(Debug)]
pub(super) struct CalibrationOptions {
    layout: Layout,
    conf_level: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct EmpiricalCalibration;

impl Statistic for EmpiricalCalibration {
    type Summary = ModelRows;
    type Options = CalibrationOptions;

    const NAME: &'static str = "empirical_calibration";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("estimate", Role::Value),
        Parameter::required("std_err", Role::Value),
        Parameter::required("control", Role::Flag),
        Parameter::required("id", Role::Id),
        Parameter::optional("conf_level", Role::Number),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        let number = || DataType::Float64;
        list_of(struct_of(&[
            ("id", Ids::data_type(arguments.get(3))),
            ("estimate", number()),
            ("lower", number()),
            ("upper", number()),
            ("std_err", number()),
            ("p_value", number()),
            ("null_mean", number()),
            ("null_sd", number()),
        ]))
    }

    fn options(given: &Options) -> Result<CalibrationOptions> {
        Ok(CalibrationOptions {
            layout: Layout::new(given.columns().iter().map(|(p, t)| (p, t))),
            conf_level: conf_level(given)?,
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &CalibrationOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut ids = Ids::none(&options.layout);
        let mut columns: [Vec<f64>; 7] = std::array::from_fn(|_| Vec::new());
        let mut lengths = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(rows) = summary else {
                lengths.push(None);
                continue;
            };
            let names = Ids::of(rows, &options.layout);
            let order = names.order();
            let column = |name: &str| rows.numbers_of(options.layout.slot(name));
            let (Some(values), Some(errors)) = (column("estimate"), column("std_err")) else {
                lengths.push(None);
                continue;
            };
            let controls = rows.codes_of(options.layout.slot("control"));
            let of = |row: usize| LogEstimate {
                value: values[row],
                std_err: errors[row],
            };
            let known: Vec<LogEstimate> = order
                .iter()
                .filter(|row| controls[**row] == 1)
                .map(|row| of(*row))
                .collect();
            if known.is_empty() {
                return refuse!(
                    "`empirical_calibration` needs negative controls, and there are none"
                );
            }
            let null = EmpiricalNull::fit(&known).map_err(|error| refused(&error))?;
            let before = ids.len();
            for row in order.into_iter().filter(|row| controls[*row] != 1) {
                let found = null
                    .calibrate(of(row), options.conf_level)
                    .map_err(|error| refused(&error))?;
                ids.push(&names, row);
                let line = [
                    found.estimate.value,
                    found.estimate.lower,
                    found.estimate.upper,
                    found.std_err,
                    found.p_value,
                    null.mean,
                    null.sd,
                ];
                for (column, number) in columns.iter_mut().zip(line) {
                    column.push(number);
                }
            }
            lengths.push(Some(ids.len() - before));
        }
        let mut fields: Vec<ArrayRef> = vec![ids.into_array()];
        fields.extend(columns.into_iter().map(numbers));
        lists(output, &lengths, &fields)
    }
}
