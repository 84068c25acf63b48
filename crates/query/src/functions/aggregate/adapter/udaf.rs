//! The aggregate function of a statistic.

use std::fmt::Debug;
use std::hash::Hash;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use columna_privacy::release::Declared;
use columna_stats::Summary;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature,
    Volatility,
};

use super::groups::Groups;
use super::parameters::{self, Columns, Options, Parameter};
use super::rows::RowSummary;
use super::single::Single;
use super::state;

/// What a statistic has to say about itself to become an aggregate.
pub(crate) trait Statistic:
    Debug + Copy + Default + Eq + Hash + Send + Sync + 'static
{
    /// What it keeps of the rows.
    type Summary: RowSummary;
    /// Its options, checked.
    type Options: Debug + Send + Sync + 'static;

    /// The function's name.
    const NAME: &'static str;
    /// Its parameters: required ones first, then the others in the order in which they are most used.
    const PARAMETERS: &'static [Parameter];

    /// How its result may be disclosed to those who see numbers about groups only; not at all, if it says nothing.
    const DISCLOSURE: Option<Declared> = None;

    /// Its documentation.
    fn documentation() -> &'static Documentation;
    /// The type of its result, given the types of its arguments.
    fn output(arguments: &[DataType]) -> DataType;
    /// Checks the options of a call.
    fn options(given: &Options) -> Result<Self::Options>;
    /// The results of several groups; `None` stands for a group without rows, which is NULL.
    fn evaluate(
        summaries: &[Option<&Self::Summary>],
        options: &Self::Options,
        output: &DataType,
    ) -> Result<ArrayRef>;

    /// The same for summaries that nobody needs any more: worth its own code where they are as large as the data.
    fn finish(
        summaries: Vec<Option<Self::Summary>>,
        options: &Self::Options,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let summaries: Vec<_> = summaries.iter().map(Option::as_ref).collect();
        Self::evaluate(&summaries, options, output)
    }
}

/// A statistic as the list of all of them has it.
pub(crate) struct Registered {
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) disclosure: Option<Declared>,
    pub(crate) udaf: fn() -> AggregateUDF,
}

impl Registered {
    pub(crate) const fn of<S: Statistic>() -> Self {
        Self {
            name: S::NAME,
            parameters: S::PARAMETERS,
            disclosure: S::DISCLOSURE,
            udaf: udaf::<S>,
        }
    }
}

/// How the summaries of one call become its result.
#[derive(Debug)]
pub(super) struct Evaluation<S: Statistic> {
    options: S::Options,
    output: DataType,
}

impl<S: Statistic> Evaluation<S> {
    pub(super) fn run(&self, summaries: &[S::Summary]) -> Result<ArrayRef> {
        let present: Vec<_> = summaries
            .iter()
            .map(|summary| (!summary.is_empty()).then_some(summary))
            .collect();
        S::evaluate(&present, &self.options, &self.output)
    }

    pub(super) fn finish(&self, summaries: Vec<S::Summary>) -> Result<ArrayRef> {
        let present = summaries
            .into_iter()
            .map(|summary| (!summary.is_empty()).then_some(summary))
            .collect();
        S::finish(present, &self.options, &self.output)
    }
}

/// The aggregate function of a statistic.
fn udaf<S: Statistic>() -> AggregateUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    let names: Vec<&str> = S::PARAMETERS
        .iter()
        .map(|parameter| parameter.name)
        .collect();
    let signature = signature
        .clone()
        .with_parameter_names(names)
        .unwrap_or(signature);
    AggregateUDF::new_from_impl(StatisticUdaf::<S> {
        statistic: S::default(),
        signature,
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct StatisticUdaf<S: Statistic> {
    statistic: S,
    signature: Signature,
}

impl<S: Statistic> StatisticUdaf<S> {
    fn evaluation(args: &AccumulatorArgs) -> Result<Evaluation<S>> {
        if args.is_distinct {
            return plan_err!(
                "`{}` has no DISTINCT: two persons with the same time are two persons",
                S::NAME
            );
        }
        let given = Options::read(S::NAME, S::PARAMETERS, args.exprs, args.expr_fields)?;
        Ok(Evaluation {
            options: S::options(&given)?,
            output: args.return_type().clone(),
        })
    }
}

impl<S: Statistic> AggregateUDFImpl for StatisticUdaf<S> {
    fn name(&self) -> &str {
        S::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        parameters::coerce(S::NAME, S::PARAMETERS, arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(S::output(arguments))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state::fields(args.name))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let columns = Columns::find(S::PARAMETERS, args.expr_fields);
        Ok(Box::new(Single::<S>::new(
            columns,
            Self::evaluation(&args)?,
        )))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let columns = Columns::find(S::PARAMETERS, args.expr_fields);
        Ok(Box::new(Groups::<S>::new(
            columns,
            Self::evaluation(&args)?,
        )))
    }

    /// Summaries merge in any order, so that no plan sorts for a statistic.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn supports_null_handling_clause(&self) -> bool {
        false
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(S::documentation())
    }
}
