//! Frames that move, of functions that the engine has no such frames for, or inexact ones.
//!
//! The engine (DataFusion 55) takes what leaves a frame out of a sum again: after an infinity, or a value that is far larger than the
//! others, what remains is wrong. Nor has it a way to take a row out of `bool_or`. Here sums are of what is in the frame, by two
//! stacks: the rows of the one have the sum of themselves and all later ones, so that the oldest leaves without a subtraction.
//! Other functions are answered from the rows of the frame anew. `max` and `min` keep their frames, and have
//! [groups of their own](super::extremes).

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::{
    average, bit_and_or_xor, bool_and_or, min_max, string_agg, sum,
};
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, WindowFunctionParams,
};
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, Operator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::extremes;

/// The functions.
pub(crate) fn functions() -> [AggregateUDF; 9] {
    [
        min_max::max_udaf(),
        min_max::min_udaf(),
        sum::sum_udaf(),
        average::avg_udaf(),
        bool_and_or::bool_and_udaf(),
        bool_and_or::bool_or_udaf(),
        bit_and_or_xor::bit_and_udaf(),
        bit_and_or_xor::bit_or_udaf(),
        string_agg::string_agg_udaf(),
    ]
    .map(|stock| AggregateUDF::new_from_impl(Moving { stock }))
}

/// One of the engine's functions, with frames of our own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Moving {
    stock: Arc<AggregateUDF>,
}

#[warn(
    clippy::missing_trait_methods,
    reason = "it is the engine's function in all else"
)]
impl AggregateUDFImpl for Moving {
    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let name = self.stock.name();
        if matches!(name, "max" | "min") {
            return self.stock.create_sliding_accumulator(args);
        }
        if !matches!(name, "sum" | "avg") {
            return anew(args, Arc::clone(&self.stock));
        }
        let float = |field: &FieldRef| *field.data_type() == DataType::Float64;
        if args.is_distinct || !args.expr_fields.iter().all(float) {
            return self.stock.create_sliding_accumulator(args);
        }
        Ok(Box::new(MovingSum {
            mean: name == "avg",
            ..MovingSum::default()
        }))
    }

    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.stock.coerce_types(given)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.stock.inner().schema_name(params)
    }

    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.stock.inner().human_display(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.stock.inner().window_function_schema_name(params)
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.stock.inner().display_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.stock.inner().window_function_display_name(params)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.stock.inner().state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.stock.inner().accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.stock.inner().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if matches!(self.stock.name(), "max" | "min")
            && let Some(extremes) = extremes::of_groups(&self.stock, &args)?
        {
            return Ok(extremes);
        }
        self.stock.inner().create_groups_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.stock.inner().order_sensitivity()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.stock.inner().simplify()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.stock.inner().reverse_expr()
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.stock.inner().return_field(arguments)
    }

    fn is_nullable(&self) -> bool {
        self.stock.inner().is_nullable()
    }

    fn is_descending(&self) -> Option<bool> {
        self.stock.inner().is_descending()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.stock.inner().value_from_stats(statistics)
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        self.stock.inner().default_value(kind)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.stock.inner().supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.stock.inner().supports_within_group_clause()
    }

    fn set_monotonicity(&self, kind: &DataType) -> SetMonotonicity {
        self.stock.inner().set_monotonicity(kind)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.inner().documentation()
    }

    fn simplify_expr_op_literal(
        &self,
        function: &AggregateFunction,
        argument: &Expr,
        operator: Operator,
        literal: &Expr,
        argument_is_left: bool,
    ) -> Result<Option<Expr>> {
        let stock = self.stock.inner();
        stock.simplify_expr_op_literal(function, argument, operator, literal, argument_is_left)
    }

    /// None of them is any better for an order.
    fn with_beneficial_ordering(
        self: Arc<Self>,
        _: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        Ok(None)
    }
}

/// The sum or the mean of the numbers in a frame.
#[derive(Debug, Default)]
struct MovingSum {
    mean: bool,
    /// Of each of the older numbers, the oldest last: the sum of it and of those before it here.
    older: Vec<f64>,
    newer: Vec<f64>,
    /// The sum of the newer ones.
    sum: f64,
}

impl Accumulator for MovingSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Float64Type>().iter().flatten() {
            self.newer.push(value);
            self.sum += value;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for _ in 0..values[0].len() - values[0].null_count() {
            if self.older.is_empty() {
                let mut sum = 0.0;
                self.older.extend(self.newer.drain(..).rev().map(|value| {
                    sum += value;
                    sum
                }));
                self.sum = 0.0;
            }
            self.older.pop();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a frame has far fewer than 2^53 rows"
    )]
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let count = self.older.len() + self.newer.len();
        let sum = self.older.last().map_or(self.sum, |older| older + self.sum);
        let answer = if self.mean { sum / count as f64 } else { sum };
        Ok(ScalarValue::Float64((count > 0).then_some(answer)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("a frame has no partial state")
    }

    fn size(&self) -> usize {
        size_of_val(self) + (self.older.capacity() + self.newer.capacity()) * size_of::<f64>()
    }
}

/// A frame of a function that is answered from the frame's rows anew, each time.
pub(super) fn anew(
    args: AccumulatorArgs,
    function: Arc<AggregateUDF>,
) -> Result<Box<dyn Accumulator>> {
    // What is wrong with the arguments is said before there is a row.
    function.accumulator(args.clone())?;
    Ok(Box::new(Anew {
        function,
        return_field: args.return_field,
        schema: args.schema.clone(),
        ignore_nulls: args.ignore_nulls,
        order_bys: args.order_bys.to_vec(),
        is_reversed: args.is_reversed,
        name: args.name.to_owned(),
        is_distinct: args.is_distinct,
        exprs: args.exprs.to_vec(),
        expr_fields: args.expr_fields.to_vec(),
        rows: VecDeque::new(),
    }))
}

/// The rows of a frame, and how its function is called.
#[derive(Debug)]
struct Anew {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
    rows: VecDeque<Vec<ScalarValue>>,
}

impl Accumulator for Anew {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in 0..values[0].len() {
            let value = |column: &ArrayRef| ScalarValue::try_from_array(column, row);
            let row = values.iter().map(value);
            self.rows.push_back(row.collect::<Result<_>>()?);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows.drain(..values[0].len().min(self.rows.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut answer = self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })?;
        if let Some(first) = self.rows.front() {
            let column = |at: usize| {
                let values = self.rows.iter().map(|row| row[at].clone());
                ScalarValue::iter_to_array(values)
            };
            let columns = (0..first.len()).map(column).collect::<Result<Vec<_>>>()?;
            answer.update_batch(&columns)?;
        }
        answer.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("a frame has no partial state")
    }

    fn size(&self) -> usize {
        let values = self.rows.iter().flatten().map(ScalarValue::size);
        size_of_val(self) + values.sum::<usize>()
    }
}
