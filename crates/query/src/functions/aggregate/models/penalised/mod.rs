//! Regressions with an elastic-net penalty, as R's glmnet: `logistic_elastic_net`, `poisson_elastic_net` and
//! `cox_elastic_net` give the terms at one penalty, and the functions of the same names with `_path` all penalties.
//!
//! The three models differ in how rows become a path ([`Penalised`]); everything else stands once.

/// A function of a penalised model: its rows are of a `generalized` linear model or of `survival`, what it gives is
/// `$output`, made by `$answer`, and it has options of its own beside those of the penalty.
macro_rules! penalised {
    ($name:ident, $function:literal, $documentation:ident, $output:expr, $answer:expr, generalized, [$($own:expr),*]) => {
        penalised!(@ $name, $function, $documentation, $output, $answer, [
            Parameter::required("outcome", Role::Value),
            Parameter::required("covariates", Role::SparseCovariates),
            Parameter::optional("weights", Role::Weights),
            Parameter::optional("offset", Role::Value)
        ], [$($own),*]);
    };
    ($name:ident, $function:literal, $documentation:ident, $output:expr, $answer:expr, survival, [$($own:expr),*]) => {
        penalised!(@ $name, $function, $documentation, $output, $answer, [
            Parameter::required("time", Role::Time),
            Parameter::required("event", Role::Event),
            Parameter::required("covariates", Role::Covariates),
            $crate::functions::aggregate::models::survival_rows::STRATA,
            $crate::functions::aggregate::models::survival_rows::START,
            Parameter::optional("weights", Role::Weights),
            $crate::functions::aggregate::models::survival_rows::TIES
        ], [$($own),*]);
    };
    (@ $name:ident, $function:literal, $documentation:ident, $output:expr, $answer:expr, [$($row:expr),*], [$($own:expr),*]) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub(crate) struct $name;

        const _: () = {
            use crate::functions::aggregate::adapter::{Options, Parameter, Role, Statistic};

            impl Statistic for $name {
                type Summary = ModelRows;
                type Options = PenaltyOptions;

                const NAME: &'static str = $function;
                const PARAMETERS: &'static [Parameter] = &[
                    $($row,)*
                    Parameter::optional("alpha", Role::Number),
                    Parameter::optional("lambda", Role::Numbers),
                    Parameter::optional("nlambda", Role::Number),
                    $($own,)*
                    Parameter::optional("nfolds", Role::Number),
                    super::CLUSTER,
                    super::FOLD,
                    Parameter::optional("standardize", Role::Switch),
                ];

                fn documentation() -> &'static Documentation {
                    &$documentation
                }

                fn output(_arguments: &[DataType]) -> DataType {
                    $output
                }

                fn options(given: &Options) -> Result<PenaltyOptions> {
                    PenaltyOptions::read(given)
                }

                fn evaluate(
                    summaries: &[Option<&ModelRows>],
                    options: &PenaltyOptions,
                    output: &DataType,
                ) -> Result<ArrayRef> {
                    let rows = summaries.iter().map(|rows| rows.cloned());
                    Self::finish(rows.collect(), options, output)
                }

                fn finish(
                    summaries: Vec<Option<ModelRows>>,
                    options: &PenaltyOptions,
                    output: &DataType,
                ) -> Result<ArrayRef> {
                    $answer(summaries, options, output)
                }
            }
        };
    };
}
mod coefficients;
mod folds;
mod model;
mod path;

pub(crate) use coefficients::{CoxElasticNet, LogisticElasticNet, PoissonElasticNet};
pub(crate) use path::{CoxElasticNetPath, LogisticElasticNetPath, PoissonElasticNetPath};

use columna_stats::Error;
use columna_stats::models::{CrossValidation, PathOptions};
use columna_stats::survival::cox::Ties;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::DocumentationBuilder;

use super::survival_rows::ties;
use crate::functions::aggregate::adapter::{
    Layout, ModelRows, Options, Parameter, Role, refuse, refused,
};

use model::{Penalised, Terms};

const CLUSTER: Parameter = Parameter::optional("cluster", Role::Cluster);
const FOLD: Parameter = Parameter::optional("fold", Role::Cluster);
const CHOOSE: Parameter = Parameter::optional("choose", Role::Word);

/// Which penalty is taken after cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The one of the least loss.
    Least,
    /// The largest whose loss is within a standard error of the least.
    OneStandardError,
}

/// How a penalised regression is fitted.
#[derive(Debug)]
pub(crate) struct PenaltyOptions {
    layout: Layout,
    path: PathOptions,
    /// 0 for none.
    nfolds: u32,
    choice: Choice,
    ties: Ties,
}

/// The most folds: each is a fit of the whole path.
const MAX_FOLDS: f64 = 1000.0;
const MAX_PENALTIES: f64 = 10_000.0;

impl PenaltyOptions {
    fn read(given: &Options) -> Result<Self> {
        let mut path = PathOptions::default();
        if let Some(alpha) = given.number("alpha")? {
            if !(0.0..=1.0).contains(&alpha) {
                return plan_err!(
                    "`alpha` is between 0 (ridge) and 1 (lasso, the default), for example `alpha => 0.5`"
                );
            }
            path.alpha = alpha;
        }
        if let Some(mut lambda) = given.numbers("lambda")? {
            if lambda.is_empty() || lambda.iter().any(|one| !(one.is_finite() && *one >= 0.0)) {
                return plan_err!(
                    "`lambda` is a penalty of at least 0, or a list of such penalties to choose from, for example `[0.1, 0.01]`"
                );
            }
            // Warm starts go from the strongest penalty down.
            lambda.sort_by(|a, b| b.total_cmp(a));
            path.lambda = Some(lambda);
        }
        if let Some(count) = whole(given, "nlambda", 1.0, MAX_PENALTIES)? {
            path.lambda_count = count as usize;
        }
        path.standardize = given.switch("standardize").unwrap_or(true);
        let nfolds = match whole(given, "nfolds", 0.0, MAX_FOLDS)? {
            Some(1) => return plan_err!("`nfolds` is 2 or more, 10 by default, or 0 for none"),
            Some(count) => count,
            None => 10,
        };
        let word = given.word("choose").map(|word| word.to_ascii_lowercase());
        let choice = match word.as_deref() {
            None | Some("min") => Choice::Least,
            Some("1se") => Choice::OneStandardError,
            Some(_) => return plan_err!("`choose` can be 'min' or '1se'"),
        };
        Ok(Self {
            layout: Layout::new(given.columns().iter().map(|(p, t)| (p, t))),
            path,
            nfolds,
            choice,
            ties: ties(given)?,
        })
    }

    /// Whether penalties are compared by leaving out rows.
    fn cross_validates(&self) -> bool {
        let one = self
            .path
            .lambda
            .as_ref()
            .is_some_and(|lambda| lambda.len() == 1);
        !one && (self.nfolds > 0 || self.layout.slot("fold").is_some())
    }
}

/// An option that is a whole number.
fn whole(given: &Options, name: &str, least: f64, most: f64) -> Result<Option<u32>> {
    let Some(number) = given.number(name)? else {
        return Ok(None);
    };
    if number.fract() != 0.0 || !(least..=most).contains(&number) {
        return plan_err!("`{name}` is a whole number from {least} to {most}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small whole number, as was just checked"
    )]
    Ok(Some(number as u32))
}

/// The arguments of these functions, described: those of the rows by name, and those of the penalty.
fn documented(mut builder: DocumentationBuilder, rows: &[&str]) -> DocumentationBuilder {
    for name in rows {
        let meaning = match *name {
            "outcome" => "Whether it happened (a boolean, or 0 and 1), or how many events",
            "time" => "Days to the event or to censoring",
            "event" => "Whether the event happened: a boolean, or 0 and 1",
            "covariates" if rows.contains(&"outcome") => {
                "The terms, `named_struct('age', age, 'sex', sex)`; words are factors whose first level in sort order is the reference; a list of whole numbers or words, such as a person's concepts, has a term of 0 or 1 for each that occurs, thousands if need be. An empty list has none of them; a NULL list is not known, and its row is ignored"
            }
            "covariates" => {
                "The terms, `named_struct('age', age, 'sex', sex)`; words are factors whose first level in sort order is the reference"
            }
            "weights" => "Case weights",
            "offset" => "A term whose coefficient is 1",
            "strata" => "Each stratum has a baseline hazard of its own",
            "start" => "The left end of (start, time]",
            _ => "'efron' or 'breslow'; glmnet's is 'breslow'",
        };
        builder = builder.with_argument(*name, meaning);
    }
    for (name, meaning) in [
        (
            "alpha",
            "1 is the lasso (the default), 0 ridge regression, and between them is the elastic net",
        ),
        (
            "lambda",
            "The penalty, or a list of penalties to choose from; by default `nlambda` of them, from the one that leaves no term",
        ),
        (
            "nlambda",
            "How many penalties there are at most by default: 100; the path ends where smaller ones explain next to nothing more, as in glmnet",
        ),
        (
            "choose",
            "Which penalty is taken: 'min', the one of the least loss, or '1se', the strongest within a standard error of it",
        ),
        (
            "nfolds",
            "How many folds the cross-validation has: 10 by default",
        ),
        (
            "cluster",
            "What names the person: rows of one person are in the same fold, whatever other rows there are",
        ),
        (
            "fold",
            "The fold of each row, glmnet's `foldid`. Without `cluster` and `fold` rows are dealt out in the order of their values, so that folds are the same wherever the rows lie",
        ),
        (
            "standardize",
            "Whether terms are penalised on the scale of their standard deviations, true by default",
        ),
    ] {
        builder = builder.with_argument(name, meaning);
    }
    builder
}

/// A fitted path, and what its terms are called.
struct Fit {
    terms: Terms,
    intercept: bool,
    /// The losses are empty where penalties were not compared.
    found: CrossValidation,
}

/// The fit of one group's rows; nothing where all outcomes are alike.
fn fit<M: Penalised>(kept: ModelRows, options: &PenaltyOptions) -> Result<Option<Fit>> {
    let (model, terms) = M::take(kept, options)?;
    let alone = || {
        model.path(options).map(|path| CrossValidation {
            path,
            loss: Vec::new(),
            loss_std_err: Vec::new(),
            best: 0,
            one_std_err: 0,
        })
    };
    let found = if options.cross_validates() {
        // What is missing may be missing from all rows, or from those of one fold.
        match model.cross_validated(options) {
            Err(Error::NoEvents | Error::NoRows) => match alone() {
                Ok(_) => Err(Error::InvalidOption(FOLDS)),
                Err(error) => Err(error),
            },
            found => found,
        }
    } else {
        alone()
    };
    match found {
        Ok(found) => Ok(Some(Fit {
            terms,
            intercept: M::INTERCEPT,
            found,
        })),
        Err(Error::NoEvents | Error::NoRows) => Ok(None),
        Err(Error::InvalidOption(FOLDS)) => refuse!(
            "the rows cannot be divided into folds: it takes two of them, and without any one of them there must still be \
             rows with the event and without; lower `nfolds`, or give one penalty, for example `lambda => 0.1`"
        ),
        Err(error) => Err(refused(&error)),
    }
}

/// How the statistics name what cannot be divided.
const FOLDS: &str = "the number of folds";

impl Fit {
    /// The place along the path that was asked for.
    fn chosen(&self, options: &PenaltyOptions) -> Result<usize> {
        if self.found.loss.is_empty() && self.found.path.points.len() > 1 {
            return refuse!(
                "without folds nothing chooses among several penalties: give one, for example `lambda => 0.1`, or leave \
                 `nfolds` out"
            );
        }
        Ok(match options.choice {
            Choice::Least => self.found.best,
            Choice::OneStandardError => self.found.one_std_err,
        })
    }
}
