//! Lists up to a length, for whoever asks on a machine that is not theirs: `range`, `generate_series`, `array_repeat`,
//! `array_resize`, `array_concat` and `array_to_string`. Like [texts](super::bounded), lists belong to no operator whose memory is
//! counted: `array_repeat(1, 3000000000)` would end the process.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, FieldRef, Float64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use columna_privacy::Refusal;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::functions_nested::concat::array_concat_udf;
use datafusion::functions_nested::range::{gen_series_udf, range_udf};
use datafusion::functions_nested::repeat::array_repeat_udf;
use datafusion::functions_nested::resize::array_resize_udf;
use datafusion::functions_nested::string::array_to_string_udf;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

/// Values of the longest list that is made, each of eight bytes; one that is longer already may grow by so many.
const LONGEST: f64 = 16_384.0;

/// Takes the bounded functions in place of the engine's, also where its planner writes them by itself: `list || list`.
#[derive(Debug)]
pub(crate) struct BoundedLists(Vec<Arc<ScalarUDF>>);

impl Default for BoundedLists {
    fn default() -> Self {
        let all = [
            (range_udf(), Grows::Range),
            (gen_series_udf(), Grows::Range),
            (array_repeat_udf(), Grows::Repeat),
            (array_resize_udf(), Grows::Resize),
            (array_concat_udf(), Grows::Join),
            (array_to_string_udf(), Grows::Text),
        ];
        let all = all
            .into_iter()
            .map(|(stock, grows)| Arc::new(ScalarUDF::new_from_impl(BoundedList { stock, grows })));
        Self(all.collect())
    }
}

impl FunctionRewrite for BoundedLists {
    fn name(&self) -> &'static str {
        "bounded_lists"
    }

    fn rewrite(
        &self,
        expr: Expr,
        _: &datafusion::common::DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else {
            return Ok(Transformed::no(expr));
        };
        let bounded = self.0.iter().find(|bounded| bounded.name() == func.name());
        let bounded = bounded.filter(|bounded| ***bounded != *func);
        Ok(match bounded {
            Some(bounded) => Transformed::yes(Expr::ScalarFunction(ScalarFunction {
                func: Arc::clone(bounded),
                args,
            })),
            None => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Grows {
    Range,
    Repeat,
    Resize,
    Join,
    Text,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BoundedList {
    stock: Arc<ScalarUDF>,
    grows: Grows,
}

impl ScalarUDFImpl for BoundedList {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.stock.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.stock.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.is_too_long(&args)? {
            return Err(Refusal::new(
                "memory",
                format!("`{}` makes no list of more than {LONGEST} values", self.name()),
                "ask for shorter lists; FROM generate_series(first, last) has as many rows as you like",
            )
            .into());
        }
        self.stock.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

impl BoundedList {
    fn is_too_long(&self, args: &ScalarFunctionArgs) -> Result<bool> {
        let single = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let rows = if args.args.iter().all(single) {
            1
        } else {
            args.number_rows
        };
        let mut columns = Vec::with_capacity(args.args.len());
        for arg in &args.args {
            columns.push(arg.to_array(rows)?);
        }
        match (self.grows, columns.as_slice()) {
            (Grows::Range, all) => {
                let (start, stop, step) = match all {
                    [stop] => (None, stop, None),
                    [start, stop] => (Some(start), stop, None),
                    [start, stop, step] => (Some(start), stop, Some(step)),
                    _ => return Ok(false),
                };
                let start = start.map(amounts).transpose()?;
                let (stop, step) = (amounts(stop)?, step.map(amounts).transpose()?);
                let at = |amounts: &Option<Vec<Option<f64>>>, row: usize, unless| {
                    amounts.as_ref().map_or(Some(unless), |all| all[row])
                };
                Ok((0..rows).any(|row| {
                    let (start, step) = (at(&start, row, 0.0), at(&step, row, 1.0));
                    match (start, stop[row], step) {
                        (Some(start), Some(stop), Some(step)) => (stop - start) / step > LONGEST,
                        _ => false,
                    }
                }))
            }
            (Grows::Repeat, [element, times]) => {
                let times = amounts(times)?;
                Ok((0..rows)
                    .any(|row| times[row].is_some_and(|n| n * width(element, row) > LONGEST)))
            }
            (Grows::Resize, [list, size, fill @ ..]) => {
                let size = amounts(size)?;
                Ok((0..rows).any(|row| {
                    let of_one = fill.first().map_or(1.0, |fill| width(fill, row));
                    size[row].is_some_and(|n| n * of_one > LONGEST + width(list, row))
                }))
            }
            (Grows::Join, lists) => Ok((0..rows).any(|row| {
                let widths = lists.iter().map(|list| width(list, row));
                let longest = widths.clone().fold(0.0, f64::max);
                widths.sum::<f64>() > longest + LONGEST
            })),
            (Grows::Text, [list, between, ..]) => Ok((0..rows).any(|row| {
                width(between, row) > 1.0 && width(list, row) * width(between, row) > LONGEST
            })),
            _ => Ok(false),
        }
    }
}

/// How many values of eight bytes a value has, those of lists within it included.
fn width(values: &ArrayRef, row: usize) -> f64 {
    let of_list = |list: ArrayRef| match list.data_type() {
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Struct(_) => (0..list.len()).map(|at| width(&list, at)).sum(),
        _ => count(list.len()),
    };
    if values.is_null(row) {
        return 1.0;
    }
    let of_text = |bytes: usize| (count(bytes) / 8.0).max(1.0);
    match values.data_type() {
        DataType::List(_) => of_list(values.as_list::<i32>().value(row)),
        DataType::LargeList(_) => of_list(values.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => of_list(values.as_fixed_size_list().value(row)),
        DataType::Utf8 => of_text(values.as_string::<i32>().value(row).len()),
        DataType::LargeUtf8 => of_text(values.as_string::<i64>().value(row).len()),
        DataType::Utf8View => of_text(values.as_string_view().value(row).len()),
        DataType::Struct(_) => {
            let parts = values.as_struct().columns().iter();
            parts.map(|part| width(part, row)).sum()
        }
        _ => 1.0,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a length in memory is below 2^53"
)]
fn count(length: usize) -> f64 {
    length as f64
}

/// Numbers as they are, and days, moments and intervals in seconds; a month is as short as one can be.
fn amounts(values: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    let numbers = match values.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let spans = values.as_primitive::<IntervalMonthDayNanoType>().iter();
            let spans = spans.map(|span| {
                #[expect(clippy::cast_precision_loss, reason = "how long it is about")]
                span.map(|span| {
                    f64::from(span.months) * 28.0 * 86_400.0
                        + f64::from(span.days) * 86_400.0
                        + span.nanoseconds as f64 / 1e9
                })
            });
            return Ok(spans.collect());
        }
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let seconds = cast(values, &seconds)?;
            cast(&cast(&seconds, &DataType::Int64)?, &DataType::Float64)?
        }
        _ => cast(values, &DataType::Float64)?,
    };
    Ok(numbers.as_primitive::<Float64Type>().iter().collect())
}
