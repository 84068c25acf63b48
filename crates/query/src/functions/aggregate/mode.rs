//! `mode(x)`: the value that most rows have, the least of several.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Signature, Volatility,
};

use crate::functions::docs::DESCRIPTION;
use crate::plan::sort_numbers;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "The value that most rows have; of several such, the least. NULL is not counted.",
        "mode(x)",
    )
    .with_argument("x", "The values")
    .with_sql_example(
        "> SELECT mode(x) FROM (VALUES ('b'), ('a'), ('b'), (NULL)) AS v(x);
+------+
| mode |
+------+
| b    |
+------+",
    )
    .build()
});

/// The function.
pub(crate) fn function() -> AggregateUDF {
    AggregateUDF::new_from_impl(Mode {
        signature: Signature::any(1, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mode {
    signature: Signature,
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &'static str {
        "mode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [one] => Ok(one.clone()),
            _ => internal_err!("`mode` takes one value"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name: &str, item: DataType| {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, DataType::new_list(item, true), true))
        };
        Ok(vec![
            list("values", args.return_type().clone()),
            list("counts", DataType::Int64),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("`mode(DISTINCT …)` would find each value once: leave DISTINCT out");
        }
        Ok(Box::new(Counts {
            kind: args.return_field.data_type().clone(),
            counts: HashMap::new(),
            bytes: 0,
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// The rows in which different values come first, and how many have each; the same value may be told of twice. None for types whose
/// values are not told apart by a number.
fn different(values: &ArrayRef) -> Result<Option<Vec<(usize, i64)>>> {
    let numbers = match values.as_string_view_opt() {
        // A text's length and beginning, and where the rest of a long one lies.
        Some(texts) => texts.views().to_vec(),
        None => match sort_numbers(values, SortOptions::default())? {
            Some(numbers) => numbers,
            None => return Ok(None),
        },
    };
    let nulls = values.logical_nulls();
    let mut different: Vec<(usize, i64)> = Vec::new();
    let mut places = HashMap::new();
    let mut last: Option<(u128, usize)> = None;
    for (row, number) in numbers.iter().enumerate() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            continue;
        }
        let at = match last {
            Some((same, at)) if same == *number => at,
            _ => *places.entry(*number).or_insert(different.len()),
        };
        if at == different.len() {
            different.push((row, 0));
        }
        different[at].1 += 1;
        last = Some((*number, at));
    }
    Ok(Some(different))
}

/// How many rows have each value.
#[derive(Debug)]
struct Counts {
    kind: DataType,
    counts: HashMap<ScalarValue, i64>,
    bytes: usize,
}

impl Counts {
    fn add(&mut self, value: ScalarValue, count: i64) {
        if value.is_null() {
            return;
        }
        if let Some(known) = self.counts.get_mut(&value) {
            *known += count;
            return;
        }
        self.bytes += value.size() + size_of::<i64>();
        self.counts.insert(value.compacted(), count);
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else {
            return internal_err!("`mode` takes one value");
        };
        match different(values)? {
            Some(different) => {
                for (row, count) in different {
                    self.add(ScalarValue::try_from_array(values, row)?, count);
                }
            }
            None => {
                for row in 0..values.len() {
                    self.add(ScalarValue::try_from_array(values, row)?, 1);
                }
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else {
            return internal_err!("`mode` has two states");
        };
        let (values, counts) = (values.as_list::<i32>(), counts.as_list::<i32>());
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let (values, counts) = (values.value(row), counts.value(row));
            let counts = counts.as_primitive::<Int64Type>();
            for at in 0..values.len() {
                self.add(ScalarValue::try_from_array(&values, at)?, counts.value(at));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut best: Option<(&ScalarValue, i64)> = None;
        for (value, count) in &self.counts {
            let better = best.is_none_or(|(other, most)| {
                *count > most
                    || *count == most && value.partial_cmp(other).is_some_and(|o| o.is_lt())
            });
            if better {
                best = Some((value, *count));
            }
        }
        match best {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.kind),
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<ScalarValue>, Vec<ScalarValue>) = self
            .counts
            .drain()
            .map(|(value, count)| (value, ScalarValue::Int64(Some(count))))
            .unzip();
        self.bytes = 0;
        let list = |items: Vec<ScalarValue>, kind: &DataType| -> Result<ScalarValue> {
            let items = match items.is_empty() {
                true => arrow::array::new_empty_array(kind),
                false => ScalarValue::iter_to_array(items)?,
            };
            Ok(SingleRowListArrayBuilder::new(items).build_list_scalar())
        };
        Ok(vec![
            list(values, &self.kind)?,
            list(counts, &DataType::Int64)?,
        ])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes + self.counts.capacity() * size_of::<(ScalarValue, i64)>()
    }
}
