//! `regr_slope`, `covar_samp` and the like of many groups at once, in the engine's place.
//!
//! The engine (DataFusion 55) keeps an accumulator for each group, to which it cuts its rows. Here the moments of all groups lie side
//! by side, and go by the same steps (Welford, Technometrics 4:419, 1962), so that the digits are the engine's. Its `regr_r2` of values
//! that are all the same is NULL, where the SQL standard and DuckDB have 1.

use std::mem;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, UInt64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::functions_aggregate::{covariance, regr};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator,
    Signature,
};

/// The functions.
pub(crate) fn functions() -> impl Iterator<Item = AggregateUDF> {
    let stock = [
        (regr::regr_slope_udaf(), Of::Slope),
        (regr::regr_intercept_udaf(), Of::Intercept),
        (regr::regr_r2_udaf(), Of::R2),
        (regr::regr_count_udaf(), Of::Count),
        (regr::regr_avgx_udaf(), Of::MeanX),
        (regr::regr_avgy_udaf(), Of::MeanY),
        (regr::regr_sxx_udaf(), Of::SquaresX),
        (regr::regr_syy_udaf(), Of::SquaresY),
        (regr::regr_sxy_udaf(), Of::Products),
        (covariance::covar_samp_udaf(), Of::Covariance(1)),
        (covariance::covar_pop_udaf(), Of::Covariance(0)),
    ];
    let pairs = stock.map(|(stock, of)| AggregateUDF::new_from_impl(Pairs { stock, of }));
    pairs.into_iter()
}

/// What is made of the moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Slope,
    Intercept,
    R2,
    Count,
    MeanX,
    MeanY,
    SquaresX,
    SquaresY,
    Products,
    /// With so many degrees of freedom gone.
    Covariance(u64),
}

impl Of {
    /// The squares are among the engine's states.
    fn has_squares(self) -> bool {
        !matches!(self, Self::Covariance(_))
    }
}

/// One of the engine's functions, with groups of our own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Pairs {
    stock: Arc<AggregateUDF>,
    of: Of,
}

impl AggregateUDFImpl for Pairs {
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

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.stock.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return self.stock.accumulator(args);
        }
        Ok(Box::new(OfAll(Groups {
            of: self.of,
            groups: Vec::new(),
        })))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.stock.create_sliding_accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups {
            of: self.of,
            groups: Vec::new(),
        }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

/// The moments of a group's pairs, those without a NULL.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: u64,
    mean_x: f64,
    mean_y: f64,
    squares_x: f64,
    squares_y: f64,
    products: f64,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a group has far fewer than 2^53 rows"
)]
impl Moments {
    fn add(&mut self, x: f64, y: f64) {
        self.count += 1;
        let count = self.count as f64;
        let (from_x, from_y) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += from_x / count;
        self.mean_y += from_y / count;
        self.squares_x += from_x * (x - self.mean_x);
        self.squares_y += from_y * (y - self.mean_y);
        self.products += from_x * (y - self.mean_y);
    }

    /// Chan, Golub and LeVeque, The American Statistician 37:242, 1983.
    fn merge(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        let (own, others) = (self.count as f64, other.count as f64);
        self.count += other.count;
        let count = self.count as f64;
        let (by_x, by_y) = (other.mean_x - self.mean_x, other.mean_y - self.mean_y);
        self.mean_x += by_x * others / count;
        self.mean_y += by_y * others / count;
        self.squares_x = self.squares_x + other.squares_x + by_x * by_x * own * others / count;
        self.squares_y = self.squares_y + other.squares_y + by_y * by_y * own * others / count;
        self.products = self.products + other.products + by_x * by_y * own * others / count;
    }

    /// NULL where there are too few pairs for it, or all have one value.
    fn answer(&self, of: Of) -> Option<f64> {
        let count = self.count as f64;
        let of_each = |sum: f64| sum / count;
        let (x, y) = (of_each(self.squares_x), of_each(self.squares_y));
        let both = of_each(self.products);
        let line = self.count > 1 && x != 0.0;
        let any = self.count > 0;
        match of {
            Of::Slope => line.then(|| both / x),
            Of::Intercept => line.then(|| self.mean_y - both / x * self.mean_x),
            // A line through values that are all the same explains all of them.
            Of::R2 if line && y == 0.0 => Some(1.0),
            Of::R2 => line.then(|| (both * both) / (x * y)),
            Of::Count => Some(count),
            Of::MeanX => any.then_some(self.mean_x),
            Of::MeanY => any.then_some(self.mean_y),
            Of::SquaresX => any.then_some(self.squares_x),
            Of::SquaresY => any.then_some(self.squares_y),
            Of::Products => any.then_some(self.products),
            Of::Covariance(gone) => {
                (self.count > gone).then(|| self.products / (self.count - gone) as f64)
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Groups {
    of: Of,
    groups: Vec<Moments>,
}

impl Groups {
    fn take(&mut self, emit_to: EmitTo) -> Vec<Moments> {
        emit_to.take_needed(&mut self.groups)
    }

    fn reach(&mut self, groups: usize) {
        let groups = groups.max(self.groups.len());
        self.groups.resize(groups, Moments::default());
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.reach(total_num_groups);
        let [first, second] = values else {
            return exec_err!("pairs are of two values");
        };
        // The engine's covariance is of x and y, its regression of y over x.
        let (x, y) = match self.of.has_squares() {
            true => (second, first),
            false => (first, second),
        };
        let (x, y) = (
            x.as_primitive::<Float64Type>(),
            y.as_primitive::<Float64Type>(),
        );
        let holds = |row| opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        for (row, group) in group_indices.iter().enumerate() {
            if x.is_valid(row) && y.is_valid(row) && holds(row) {
                self.groups[*group].add(x.value(row), y.value(row));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let of = self.of;
        let groups = self.take(emit_to);
        if of == Of::Count {
            let counts = groups.iter().map(|group| group.count);
            return Ok(Arc::new(UInt64Array::from_iter_values(counts)));
        }
        let answers = groups.iter().map(|group| group.answer(of));
        Ok(Arc::new(answers.collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit_to);
        let column = |of: fn(&Moments) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(groups.iter().map(of)))
        };
        let counts = UInt64Array::from_iter_values(groups.iter().map(|group| group.count));
        let mut states: Vec<ArrayRef> = vec![Arc::new(counts)];
        states.extend([column(|group| group.mean_x), column(|group| group.mean_y)]);
        if self.of.has_squares() {
            states.extend([
                column(|group| group.squares_x),
                column(|group| group.squares_y),
            ]);
        }
        states.push(column(|group| group.products));
        Ok(states)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.reach(total_num_groups);
        let Some((counts, numbers)) = values.split_first() else {
            return exec_err!("pairs have a count");
        };
        let counts = counts.as_primitive::<UInt64Type>();
        let numbers = numbers
            .iter()
            .map(|numbers| numbers.as_primitive::<Float64Type>());
        let numbers: Vec<_> = numbers.collect();
        for (row, group) in group_indices.iter().enumerate() {
            let of = |at: usize| numbers.get(at).map_or(0.0, |column| column.value(row));
            let (squares_x, squares_y) = match self.of.has_squares() {
                true => (of(2), of(3)),
                false => (0.0, 0.0),
            };
            self.groups[*group].merge(Moments {
                count: counts.value(row),
                mean_x: of(0),
                mean_y: of(1),
                squares_x,
                squares_y,
                products: of(numbers.len() - 1),
            });
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let ids: Vec<usize> = (0..rows).collect();
        let mut groups = Self {
            of: self.of,
            groups: Vec::new(),
        };
        groups.update_batch(values, &ids, opt_filter, rows)?;
        groups.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * mem::size_of::<Moments>()
    }
}

/// All rows are one group.
#[derive(Debug)]
struct OfAll(Groups);

impl Accumulator for OfAll {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }

    /// Leaves the moments as they are: a running window evaluates them again and again.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.reach(1);
        ScalarValue::try_from_array(&self.0.clone().evaluate(EmitTo::All)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.reach(1);
        let states = self.0.state(EmitTo::All)?;
        let states = states.iter();
        states
            .map(|state| ScalarValue::try_from_array(state, 0))
            .collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.size()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use arrow::datatypes::{Field, Schema};
    use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
    use datafusion::physical_expr::expressions::col;

    const ROWS: usize = 60;

    fn call(function: AggregateUDF) -> AggregateFunctionExpr {
        let fields = ["a", "b"].map(|name| Field::new(name, DataType::Float64, true));
        let schema = Schema::new(fields.to_vec());
        let args = vec![col("a", &schema).unwrap(), col("b", &schema).unwrap()];
        let builder = AggregateExprBuilder::new(Arc::new(function), args);
        builder.schema(Arc::new(schema)).alias("c").build().unwrap()
    }

    /// Pairs with values missing on either side.
    fn values(from: usize) -> Vec<ArrayRef> {
        let column = |by: usize| {
            let value = |row: usize| {
                (!row.is_multiple_of(by)).then(|| ((row * row * by) % 37) as f64 - 11.5)
            };
            let values = (from..from + ROWS).map(value);
            Arc::new(values.collect::<Float64Array>()) as ArrayRef
        };
        vec![column(7), column(5)]
    }

    /// Groups of 0 to 5: the last has one pair, that before it none.
    fn group(row: usize) -> usize {
        match row {
            13 => 5,
            0 | 35 => 4,
            row => row % 4,
        }
    }

    #[test]
    fn the_digits_are_the_engines() {
        for function in functions() {
            let name = function.name().to_owned();
            let stock = datafusion::functions_aggregate::all_default_aggregate_functions();
            let stock = stock
                .into_iter()
                .find(|stock| stock.name() == name)
                .unwrap();
            let (own, stock) = (call(function), call(stock.as_ref().clone()));
            let ids: Vec<usize> = (0..ROWS).map(group).collect();
            let mut groups = own.create_groups_accumulator().unwrap();
            groups.update_batch(&values(0), &ids, None, 6).unwrap();
            let mut others = own.create_groups_accumulator().unwrap();
            others.update_batch(&values(ROWS), &ids, None, 6).unwrap();
            let states = others.state(EmitTo::All).unwrap();
            let all: Vec<usize> = (0..6).collect();
            groups.merge_batch(&states, &all, 6).unwrap();
            let answers = groups.evaluate(EmitTo::All).unwrap();
            for of in 0..6 {
                let rows: Vec<u64> = (0..ROWS as u64)
                    .filter(|row| group(usize::try_from(*row).unwrap()) == of)
                    .collect();
                let rows = UInt64Array::from(rows);
                let some = |from| {
                    let values = values(from);
                    let taken = values
                        .iter()
                        .map(|all| arrow::compute::take(all, &rows, None));
                    taken.map(Result::unwrap).collect::<Vec<_>>()
                };
                let mut one = stock.create_accumulator().unwrap();
                one.update_batch(&some(0)).unwrap();
                let mut other = stock.create_accumulator().unwrap();
                other.update_batch(&some(ROWS)).unwrap();
                let state = other.state().unwrap();
                let state: Vec<ArrayRef> = state.iter().map(|s| s.to_array().unwrap()).collect();
                one.merge_batch(&state).unwrap();
                let own = ScalarValue::try_from_array(&answers, of).unwrap();
                assert_eq!(own, one.evaluate().unwrap(), "{name} of group {of}");
            }
        }
    }
}
