//! `regr_slope`, `covar_samp`, `corr`, `stddev` and the like, of many groups at once and of frames, in the engine's place.
//!
//! The engine (DataFusion 55) keeps an accumulator for each group, to which it cuts its rows. Here the moments of all groups lie side
//! by side, and go by the same steps (Welford, Technometrics 4:419, 1962). Its `regr_r2` of values that are all the same is NULL, where
//! the SQL standard and DuckDB have 1; its `corr` of groups takes sums of squares from each other, which leaves noise of large values;
//! equal values whose means it merges have a spread of 1e-8; and after a large value has left a frame, what remains is rounding.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, UInt64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::functions_aggregate::{correlation, covariance, regr, stddev, variance};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator,
    Signature,
};

use super::frame::{Frame, OfFrame};

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
        (correlation::corr_udaf(), Of::Correlation),
        (stddev::stddev_udaf(), Of::Deviation(1)),
        (stddev::stddev_pop_udaf(), Of::Deviation(0)),
        (variance::var_samp_udaf(), Of::Variance(1)),
        (variance::var_pop_udaf(), Of::Variance(0)),
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
    Correlation,
    Variance(u64),
    Deviation(u64),
}

/// One of the moments.
type Moment = fn(&mut Moments) -> &mut f64;

impl Of {
    /// What is among the engine's states, in its order, behind the count.
    fn states(self) -> &'static [Moment] {
        const MEAN_X: Moment = |of| &mut of.mean_x;
        const MEAN_Y: Moment = |of| &mut of.mean_y;
        const SQUARES_X: Moment = |of| &mut of.squares_x;
        const SQUARES_Y: Moment = |of| &mut of.squares_y;
        const PRODUCTS: Moment = |of| &mut of.products;
        match self {
            Self::Variance(_) | Self::Deviation(_) => &[MEAN_X, SQUARES_X],
            Self::Covariance(_) => &[MEAN_X, MEAN_Y, PRODUCTS],
            Self::Correlation => &[MEAN_X, SQUARES_X, MEAN_Y, SQUARES_Y, PRODUCTS],
            _ => &[MEAN_X, MEAN_Y, SQUARES_X, SQUARES_Y, PRODUCTS],
        }
    }

    /// The values x and y of which it is: the engine's regression is of y over x.
    fn pair(self, values: &[ArrayRef]) -> Result<[&Float64Array; 2]> {
        let (x, y) = match (values, self) {
            ([one], _) => (one, one),
            ([x, y], Self::Covariance(_) | Self::Correlation) => (x, y),
            ([y, x], _) => (x, y),
            _ => return exec_err!("pairs are of two values"),
        };
        Ok([x, y].map(|values| values.as_primitive::<Float64Type>()))
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
        if args.is_distinct {
            return self.stock.create_sliding_accumulator(args);
        }
        Ok(Box::new(Frame::of(self.of)))
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
        // As it is, and not by a quotient of products: equal values have no spread.
        if self.count == 0 {
            *self = other;
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

    /// A sum's mean, with so many degrees of freedom gone.
    fn without(&self, gone: u64, sum: f64) -> Option<f64> {
        (self.count > gone).then(|| sum / (self.count - gone) as f64)
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
            Of::Correlation if self.count < 2 || x == 0.0 || y == 0.0 => None,
            Of::Correlation => Some(both / x.sqrt() / y.sqrt()),
            Of::Covariance(gone) => self.without(gone, self.products),
            Of::Variance(gone) => self.without(gone, self.squares_x),
            Of::Deviation(gone) => self.without(gone, self.squares_x).map(f64::sqrt),
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
        let [x, y] = self.of.pair(values)?;
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
        let mut groups = self.take(emit_to);
        let counts = UInt64Array::from_iter_values(groups.iter().map(|group| group.count));
        let mut states: Vec<ArrayRef> = vec![Arc::new(counts)];
        for state in self.of.states() {
            let values = groups.iter_mut().map(|group| *state(group));
            states.push(Arc::new(Float64Array::from_iter_values(values)));
        }
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
            let mut other = Moments {
                count: counts.value(row),
                ..Moments::default()
            };
            for (state, column) in self.of.states().iter().zip(&numbers) {
                *state(&mut other) = column.value(row);
            }
            self.groups[*group].merge(other);
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

impl OfFrame for Of {
    type Value = (f64, f64);

    fn values(&self, columns: &[ArrayRef]) -> Result<Vec<Option<(f64, f64)>>> {
        let [x, y] = self.pair(columns)?;
        Ok(x.iter().zip(y).map(|(x, y)| x.zip(y)).collect())
    }

    fn answer(&self, values: &VecDeque<Option<(f64, f64)>>) -> ScalarValue {
        let mut moments = Moments::default();
        for (x, y) in values.iter().flatten() {
            moments.add(*x, *y);
        }
        match self {
            Self::Count => ScalarValue::UInt64(Some(moments.count)),
            of => ScalarValue::Float64(moments.answer(*of)),
        }
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
        let args = ["a", "b"].map(|name| col(name, &schema).unwrap());
        let args = args[..arguments(function.name())].to_vec();
        let builder = AggregateExprBuilder::new(Arc::new(function), args);
        builder.schema(Arc::new(schema)).alias("c").build().unwrap()
    }

    fn arguments(function: &str) -> usize {
        match function.starts_with("stddev") || function.starts_with("var") {
            true => 1,
            false => 2,
        }
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
    fn the_numbers_are_the_engines() {
        for function in functions() {
            let name = function.name().to_owned();
            let stock = datafusion::functions_aggregate::all_default_aggregate_functions();
            let stock = stock
                .into_iter()
                .find(|stock| stock.name() == name)
                .unwrap();
            let (own, stock) = (call(function), call(stock.as_ref().clone()));
            let values = |from| values(from)[..arguments(&name)].to_vec();
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
                let stock = one.evaluate().unwrap();
                match (&own, &stock) {
                    (ScalarValue::Float64(Some(own)), ScalarValue::Float64(Some(stock))) => {
                        let off = (own - stock).abs();
                        assert!(
                            off <= 1e-13 * stock.abs(),
                            "{name} of group {of}: {own} {stock}"
                        );
                    }
                    _ => assert_eq!(own, stock, "{name} of group {of}"),
                }
            }
        }
    }
}
