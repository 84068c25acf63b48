//! `first_value`, `last_value`, `array_agg` and `string_agg` with ORDER BY, of many groups at once.
//!
//! The engine (DataFusion 55) keeps an accumulator for each group of an ordered list, and a vector of values for each group's
//! best row; and it sorts what comes to them. Here the order is among the arguments: rows need none, first and last values
//! are found by comparing numbers, and lists are sorted when they are made. [`crate::ordered_calls`] writes queries so.
//!
//! `any_value` is a first value without an order.

mod collect;
mod one;
mod pick;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err, internal_err};
use datafusion::functions_aggregate::any_value::any_value_udaf;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_aggregate::string_agg::string_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, Signature,
    Volatility, lit,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

use super::moving::anew;
use collect::Collect;
use one::One;
use pick::Pick;

/// What is made of a group's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    First,
    Last,
    List,
    Text,
}

impl What {
    const ALL: [Self; 4] = [Self::First, Self::Last, Self::List, Self::Text];

    /// That of the engine's function.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "first_value" => Self::First,
            "last_value" => Self::Last,
            "array_agg" => Self::List,
            "string_agg" => Self::Text,
            _ => return None,
        })
    }

    /// How many arguments come before the keys.
    fn values(self) -> usize {
        match self {
            Self::Text => 2,
            _ => 1,
        }
    }

    pub(crate) fn function(self) -> AggregateUDF {
        AggregateUDF::new_from_impl(InOrder {
            what: self,
            signature: Signature::variadic_any(Volatility::Immutable),
        })
    }
}

/// The functions; nobody calls those with an order by name.
pub(crate) fn functions() -> impl Iterator<Item = AggregateUDF> {
    let any = AggregateUDF::new_from_impl(AnyValue {
        stock: any_value_udaf(),
    });
    What::ALL.map(What::function).into_iter().chain([any])
}

/// How rows count, as the last argument says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct How {
    /// Rows without a value don't.
    pub(crate) pass_nulls: bool,
    /// Equal values count once.
    pub(crate) distinct: bool,
    /// The order of each key.
    pub(crate) order: Vec<SortOptions>,
}

impl How {
    pub(crate) fn argument(&self) -> Expr {
        let mut text = String::new();
        for (is, word) in [
            (self.pass_nulls, "pass nulls;"),
            (self.distinct, "distinct;"),
        ] {
            if is {
                text.push_str(word);
            }
        }
        for key in &self.order {
            text.push(if key.descending { 'd' } else { 'a' });
            text.push(if key.nulls_first { 'f' } else { 'l' });
        }
        lit(text)
    }

    fn read(argument: Option<&Arc<dyn PhysicalExpr>>) -> Result<Self> {
        let text = argument.and_then(|argument| {
            let literal = argument.downcast_ref::<Literal>()?;
            literal.value().try_as_str().flatten()
        });
        let Some(mut text) = text else {
            return internal_err!("an ordered aggregate does not say how");
        };
        let mut how = Self::default();
        for (is, word) in [
            (&mut how.pass_nulls, "pass nulls;"),
            (&mut how.distinct, "distinct;"),
        ] {
            if let Some(rest) = text.strip_prefix(word) {
                (*is, text) = (true, rest);
            }
        }
        let (keys, _) = text.as_bytes().as_chunks::<2>();
        how.order = keys
            .iter()
            .map(|[direction, nulls]| SortOptions {
                descending: *direction == b'd',
                nulls_first: *nulls == b'f',
            })
            .collect();
        Ok(how)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InOrder {
    what: What,
    signature: Signature,
}

impl InOrder {
    fn groups(&self, args: &AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let how = How::read(args.exprs.last())?;
        let types = args
            .expr_fields
            .iter()
            .map(|field| field.data_type().clone());
        let mut types: Vec<DataType> = types.take(args.expr_fields.len() - 1).collect();
        let keys = types.split_off(self.what.values().min(types.len()));
        if keys.len() != how.order.len() || types.is_empty() {
            return internal_err!("an ordered aggregate has other keys than it says");
        }
        let value = types.swap_remove(0);
        Ok(match self.what {
            What::First | What::Last => {
                Box::new(Pick::new(value, keys, how, self.what == What::Last)?)
            }
            What::List | What::Text => {
                let delimiter = match self.what {
                    What::Text => Some(delimiter(args.exprs.get(1))?),
                    _ => None,
                };
                let output = args.return_field.data_type().clone();
                Box::new(Collect::new(value, keys, how, delimiter, output))
            }
        })
    }
}

fn delimiter(argument: Option<&Arc<dyn PhysicalExpr>>) -> Result<String> {
    let literal = argument.and_then(|argument| argument.downcast_ref::<Literal>());
    match literal.and_then(|literal| literal.value().try_as_str().flatten()) {
        Some(text) => Ok(text.to_owned()),
        None => internal_err!("what parts the texts of an ordered aggregate is no text"),
    }
}

impl AggregateUDFImpl for InOrder {
    fn name(&self) -> &'static str {
        match self.what {
            What::First => "first_in_order",
            What::Last => "last_in_order",
            What::List => "list_in_order",
            What::Text => "text_in_order",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [value, ..] = arguments else {
            return internal_err!("an ordered aggregate has no value");
        };
        match self.what {
            What::First | What::Last => Ok(value.clone()),
            What::List => array_agg_udaf().return_type(std::slice::from_ref(value)),
            What::Text => string_agg_udaf().return_type(&[value.clone(), DataType::Utf8]),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = args.input_fields;
        let fields = &fields[..fields.len().saturating_sub(1)];
        let keys = fields.get(self.what.values()..).unwrap_or_default();
        let columns = fields.iter().take(1).chain(keys).enumerate();
        let columns = columns.map(|(at, field)| {
            let kind = field.data_type().clone();
            let kind = match self.what {
                What::First | What::Last => kind,
                What::List | What::Text => DataType::new_list(kind, true),
            };
            Field::new(
                format_state_name(args.name, &format!("in_order_{at}")),
                kind,
                true,
            )
        });
        let set = match self.what {
            What::First | What::Last => Some(Field::new(
                format_state_name(args.name, "in_order_set"),
                DataType::Boolean,
                true,
            )),
            _ => None,
        };
        Ok(columns.chain(set).map(Arc::new).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One::new(self.groups(&args)?, args.expr_fields)?))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.groups(&args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AnyValue {
    stock: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for AnyValue {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.stock.return_field(arguments)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.stock.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.stock.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        anew(args, any_value_udaf())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.stock.order_sensitivity()
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let how = How {
            pass_nulls: true,
            ..How::default()
        };
        let value = args.return_field.data_type().clone();
        Ok(Box::new(Pick::new(value, Vec::new(), how, false)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

/// The rows that count: those the filter lets through, and of them those with a value if only these do; none for all.
fn counted(
    value: &ArrayRef,
    filter: Option<&BooleanArray>,
    pass_nulls: bool,
) -> Option<impl Fn(usize) -> bool + use<>> {
    let nulls = value.logical_nulls().filter(|_| pass_nulls);
    (nulls.is_some() || filter.is_some()).then(|| {
        let filter = filter.cloned();
        move |row: usize| {
            filter
                .as_ref()
                .is_none_or(|filter| filter.is_valid(row) && filter.value(row))
                && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
        }
    })
}

/// The value among the arguments, and the keys.
fn value_and_keys(arguments: &[ArrayRef], keys: usize) -> Result<Vec<ArrayRef>> {
    let (value, rest) = arguments
        .split_first()
        .ok_or_else(|| internal_datafusion_err!("an ordered aggregate has no value"))?;
    // Behind the keys is how they are ordered, and before them what parts texts.
    let from = rest.len().saturating_sub(keys + 1);
    let keys = &rest[from..from + keys];
    Ok(std::iter::once(value).chain(keys).map(Arc::clone).collect())
}

fn scalar(array: &ArrayRef) -> Result<ScalarValue> {
    ScalarValue::try_from_array(array, 0)
}
