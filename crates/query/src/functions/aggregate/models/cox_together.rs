//! Several functions of one Cox model in one aggregate, which keeps the rows once and fits once.
//!
//! Nobody calls it: [`crate::cox_together`] puts it in the place of calls that ask for the same model.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, StructArray, new_null_array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Documentation;

use super::Terms;
use super::cox_baseline::{CoxBaseline, CurveOptions, Curves};
use super::cox_ph::{CoxPh, terms};
use super::cox_ph_tests::{CoxPhTests, Tests};
use super::survival_rows::{self, CLUSTER, START, STRATA, TIES, WEIGHTS, with_fit};
use crate::functions::aggregate::adapter::output::struct_of;
use crate::functions::aggregate::adapter::{ModelRows, Options, Parameter, Role, Statistic};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "What several functions say of one Cox model: a struct with a field for each.",
        "__cox_together(asked, time, event, covariates, ...)",
    )
    .build()
});

/// The parameter that names the functions, separated by blanks.
pub(crate) const ASKED: &str = "asked";

/// The parameter of those functions that can be told which variance to have.
pub(crate) const ROBUST: &str = survival_rows::ROBUST.name;

/// The parameter of some of them.
pub(crate) const OFFSET: &str = survival_rows::OFFSET.name;

/// The function that predicts curves.
pub(crate) const CURVE: &str = CoxBaseline::NAME;

/// The parameters of a function that can be asked for.
pub(crate) fn parameters(function: &str) -> Option<&'static [Parameter]> {
    match function {
        CoxPh::NAME => Some(CoxPh::PARAMETERS),
        CoxPhTests::NAME => Some(CoxPhTests::PARAMETERS),
        CoxBaseline::NAME => Some(CoxBaseline::PARAMETERS),
        _ => None,
    }
}

/// The parameters of the function that answers for all.
pub(crate) fn all_parameters() -> impl Iterator<Item = &'static str> {
    CoxTogether::PARAMETERS
        .iter()
        .map(|parameter| parameter.name)
}

#[derive(Debug)]
pub(crate) struct TogetherOptions {
    asked: Vec<String>,
    curve: CurveOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CoxTogether;

impl Statistic for CoxTogether {
    type Summary = ModelRows;
    type Options = TogetherOptions;

    const NAME: &'static str = "__cox_together";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required(ASKED, Role::Word),
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("covariates", Role::Covariates),
        STRATA,
        START,
        WEIGHTS,
        CLUSTER,
        TIES,
        survival_rows::ROBUST,
        Parameter::optional("conf_level", Role::Number),
        Parameter::optional("at", Role::Record),
        Parameter::optional("conf_type", Role::Word),
        survival_rows::OFFSET,
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        struct_of(&[
            (CoxPh::NAME, CoxPh::output(arguments)),
            (CoxPhTests::NAME, CoxPhTests::output(arguments)),
            (CoxBaseline::NAME, CoxBaseline::output(arguments)),
        ])
    }

    fn options(given: &Options) -> Result<TogetherOptions> {
        let asked = given.word(ASKED).unwrap_or_default();
        Ok(TogetherOptions {
            asked: asked.split(' ').map(str::to_owned).collect(),
            curve: CoxBaseline::options(given)?,
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &TogetherOptions,
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
        options: &TogetherOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let DataType::Struct(fields) = output else {
            return internal_err!("results together are a struct, not {output}");
        };
        let asked = |name: &str| options.asked.iter().any(|asked| asked == name);
        let groups = summaries.len();
        let mut table = asked(CoxPh::NAME).then(Terms::new);
        let mut tests = asked(CoxPhTests::NAME).then(Tests::new);
        let mut curves = asked(CoxBaseline::NAME).then(Curves::default);
        let cox_options = &options.curve.cox;
        for summary in summaries {
            with_fit(summary, cox_options, |fitted| {
                let Some((given, cox)) = fitted else {
                    table.as_mut().map(Terms::null);
                    tests.as_mut().map(Tests::push_null).transpose()?;
                    curves.as_mut().map(Curves::push_null).transpose()?;
                    return Ok(());
                };
                if let Some(table) = &mut table {
                    terms(&given.design, cox.result(), cox_options, table)?;
                }
                if let Some(tests) = &mut tests {
                    tests.push(&given.rows, &cox)?;
                }
                if let Some(curves) = &mut curves {
                    // One that is told of `robust` stands by itself: this one goes by the rows.
                    let cox = match given.rows.ask_for_robust() {
                        true => cox,
                        false => cox.with_naive_variance(),
                    };
                    curves.push(given, &cox, &options.curve)?;
                }
                Ok(())
            })?;
        }
        let results = [
            table.map(|table| table.finish(fields[0].data_type())),
            tests.map(|tests| tests.finish(fields[1].data_type())),
            curves.map(|curves| curves.finish(fields[2].data_type())),
        ];
        let results = results.into_iter().zip(fields);
        let results = results.map(|(result, field)| {
            result.unwrap_or_else(|| Ok(new_null_array(field.data_type(), groups)))
        });
        let results = results.collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(StructArray::try_new(
            fields.clone(),
            results,
            None,
        )?))
    }
}
