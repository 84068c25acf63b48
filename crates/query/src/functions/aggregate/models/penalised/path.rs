//! `logistic_elastic_net_path`, `poisson_elastic_net_path` and `cox_elastic_net_path`: every penalty of a path.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, DocumentationBuilder};

use super::model::{Cox, Generalized, Penalised};
use super::{Fit, PenaltyOptions, documented, fit};
use crate::functions::aggregate::adapter::ModelRows;
use crate::functions::aggregate::adapter::output::{list_of, lists, numbers, struct_of};
use crate::functions::docs::MODELS;

fn output_type() -> DataType {
    list_of(struct_of(&[
        ("lambda", DataType::Float64),
        ("terms", DataType::Int64),
        ("deviance_ratio", DataType::Float64),
        ("loss", DataType::Float64),
        ("loss_std_err", DataType::Float64),
        ("note", DataType::Utf8),
        ("coefficients", coefficients_type()),
    ]))
}

fn coefficients_type() -> DataType {
    list_of(struct_of(&[
        ("term", DataType::Utf8),
        ("coefficient", DataType::Float64),
    ]))
}

/// The columns of the paths of all groups.
#[derive(Default)]
struct Columns {
    lengths: Vec<Option<usize>>,
    lambda: Vec<f64>,
    terms: Vec<i64>,
    deviance_ratio: Vec<f64>,
    loss: Vec<f64>,
    loss_std_err: Vec<f64>,
    note: Vec<Option<&'static str>>,
    coefficients: Vec<Option<usize>>,
    names: Vec<String>,
    slopes: Vec<f64>,
}

impl Columns {
    fn push(&mut self, fit: &Fit) {
        let found = &fit.found;
        self.lengths.push(Some(found.path.points.len()));
        for (at, point) in found.path.points.iter().enumerate() {
            let of = |losses: &[f64]| losses.get(at).copied().unwrap_or(f64::NAN);
            let compared = !found.loss.is_empty();
            let least = compared && at == found.best;
            let simplest = compared && at == found.one_std_err;
            self.lambda.push(point.lambda);
            let terms = i64::try_from(point.coefficients.len());
            self.terms.push(terms.unwrap_or(i64::MAX));
            self.deviance_ratio.push(point.deviance_ratio);
            self.loss.push(of(&found.loss));
            self.loss_std_err.push(of(&found.loss_std_err));
            self.note.push(match (point.converged, least, simplest) {
                (false, _, _) => Some("not converged"),
                (_, true, true) => Some("min, 1se"),
                (_, true, _) => Some("min"),
                (_, _, true) => Some("1se"),
                _ => None,
            });
            let constant = fit.intercept.then_some(("(Intercept)", point.intercept));
            let slopes = point.coefficients.iter();
            let slopes = slopes.map(|(term, slope)| (fit.terms.names[*term].as_str(), *slope));
            let before = self.names.len();
            for (name, slope) in constant.into_iter().chain(slopes) {
                self.names.push(name.to_owned());
                self.slopes.push(slope);
            }
            self.coefficients.push(Some(self.names.len() - before));
        }
    }

    fn finish(self, output: &DataType) -> Result<ArrayRef> {
        let named: [ArrayRef; 2] = [
            Arc::new(StringArray::from(self.names)),
            numbers(self.slopes),
        ];
        let coefficients = lists(&coefficients_type(), &self.coefficients, &named)?;
        let columns = [
            numbers(self.lambda),
            Arc::new(Int64Array::from(self.terms)),
            numbers(self.deviance_ratio),
            numbers(self.loss),
            numbers(self.loss_std_err),
            Arc::new(StringArray::from(self.note)),
            coefficients,
        ];
        lists(output, &self.lengths, &columns)
    }
}

fn paths_of<M: Penalised>(
    summaries: Vec<Option<ModelRows>>,
    options: &PenaltyOptions,
    output: &DataType,
) -> Result<ArrayRef> {
    let mut columns = Columns::default();
    for summary in summaries {
        match summary.map_or(Ok(None), |kept| fit::<M>(kept, options))? {
            Some(fit) => columns.push(&fit),
            None => columns.lengths.push(None),
        }
    }
    columns.finish(output)
}

fn builder(model: &str, loss: &str, function: &str, rows: &str) -> DocumentationBuilder {
    let about = format!(
        "The path of {model} with an elastic-net penalty, as R's `glmnet` and `cv.glmnet`: a list with a struct for each \
         penalty, the strongest first: `lambda`, how many `terms` have a coefficient that is not 0, `deviance_ratio` (the \
         share of the deviance that is explained), `loss` ({loss}) and `loss_std_err`, a `note` that says which penalty is \
         'min' (the least loss) and which '1se' (the strongest within a standard error of it), and `coefficients`, a list \
         of `term` and `coefficient` without those that are 0. `nfolds => 0` leaves the cross-validation out. NULL where \
         all outcomes are alike."
    );
    Documentation::builder(
        MODELS,
        about,
        format!(
            "{function}({rows}[, alpha => 1][, lambda => [0.1, 0.01]][, nlambda => 100][, nfolds => 10][, cluster => id][, fold => k][, standardize => true])"
        ),
    )
}

static LOGISTIC: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        builder("logistic regression", "mean deviance of the rows left out", "logistic_elastic_net_path", "outcome, covariates[, weights => w][, offset => o]"),
        &["outcome", "covariates", "weights", "offset"],
    )
    .with_sql_example(
        "> SELECT round(p.lambda, 2) AS lambda, p.terms AS terms, round(p.deviance_ratio, 4) AS deviance_ratio FROM (
    SELECT unnest(logistic_elastic_net_path(y, named_struct('x', x, 'z', x % 2), lambda => [0.4, 0.1, 0.01], nfolds => 0)) AS p
    FROM (VALUES (1, 2), (0, 1), (1, 3), (0, 2), (1, 4), (0, 3)) AS d(y, x));
+--------+-------+----------------+
| lambda | terms | deviance_ratio |
+--------+-------+----------------+
| 0.4    | 0     | 0.0            |
| 0.1    | 2     | 0.2115         |
| 0.01   | 2     | 0.3227         |
+--------+-------+----------------+",
    )
    .build()
});

static POISSON: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        builder("Poisson regression", "mean deviance of the rows left out", "poisson_elastic_net_path", "outcome, covariates[, weights => w][, offset => ln(t)]"),
        &["outcome", "covariates", "weights", "offset"],
    )
    .with_sql_example(
        "> SELECT p.lambda AS lambda, p.terms AS terms, p.note AS note FROM (
    SELECT unnest(poisson_elastic_net_path(y, named_struct('x', x), lambda => [0.5, 0.1], nfolds => 2)) AS p
    FROM (VALUES (1, 0), (3, 0), (4, 1), (8, 1)) AS d(y, x));
+--------+-------+------+
| lambda | terms | note |
+--------+-------+------+
| 0.5    | 1     | 1se  |
| 0.1    | 1     | min  |
+--------+-------+------+",
    )
    .build()
});

static COX: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        builder("Cox's proportional-hazards model", "deviance that the rows left out add, for each of their events", "cox_elastic_net_path", "time, event, covariates[, strata => s][, start => t0][, weights => w][, ties => 'efron']"),
        &["time", "event", "covariates", "strata", "start", "weights", "ties"],
    )
    .with_sql_example(
        "> SELECT round(p.lambda, 2) AS lambda, p.terms AS terms, round(p.deviance_ratio, 4) AS deviance_ratio FROM (
    SELECT unnest(cox_elastic_net_path(time, event, named_struct('x', x), lambda => [0.2, 0.02], nfolds => 0)) AS p
    FROM (VALUES (4, 1, 0), (3, 1, 2), (1, 1, 1), (1, 0, 1), (2, 1, 1), (2, 1, 0), (3, 0, 0)) AS d(time, event, x));
+--------+-------+----------------+
| lambda | terms | deviance_ratio |
+--------+-------+----------------+
| 0.2    | 1     | 0.0322         |
| 0.02   | 1     | 0.0611         |
+--------+-------+----------------+",
    )
    .build()
});

penalised!(
    LogisticElasticNetPath,
    "logistic_elastic_net_path",
    LOGISTIC,
    output_type(),
    paths_of::<Generalized<false>>,
    generalized,
    []
);
penalised!(
    PoissonElasticNetPath,
    "poisson_elastic_net_path",
    POISSON,
    output_type(),
    paths_of::<Generalized<true>>,
    generalized,
    []
);
penalised!(
    CoxElasticNetPath,
    "cox_elastic_net_path",
    COX,
    output_type(),
    paths_of::<Cox>,
    survival,
    []
);
