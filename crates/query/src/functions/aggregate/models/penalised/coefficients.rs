//! `logistic_elastic_net`, `poisson_elastic_net` and `cox_elastic_net`: the terms of a penalised model at one penalty.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{Documentation, DocumentationBuilder};

use super::model::{Cox, Generalized, Penalised};
use super::{CHOOSE, PenaltyOptions, documented, fit};
use crate::functions::aggregate::adapter::ModelRows;
use crate::functions::aggregate::models::term_table::{TermTable, table_type};
use crate::functions::docs::MODELS;

fn terms_of<M: Penalised>(
    summaries: Vec<Option<ModelRows>>,
    options: &PenaltyOptions,
    output: &DataType,
) -> Result<ArrayRef> {
    let mut table = TermTable::new();
    for summary in summaries {
        let fitted = summary.map_or(Ok(None), |kept| fit::<M>(kept, options))?;
        let Some(fit) = fitted else {
            table.null();
            continue;
        };
        let point = &fit.found.path.points[fit.chosen(options)?];
        let note = (!point.converged).then_some("not converged");
        table.group();
        if fit.intercept {
            let ratio = point.intercept.exp();
            table.push("(Intercept)", [point.intercept, ratio, point.lambda], note);
        }
        let mut slopes = vec![0.0; fit.terms.names.len()];
        for (term, slope) in &point.coefficients {
            slopes[*term] = *slope;
        }
        for (name, slope) in fit.terms.names.iter().zip(slopes) {
            let constant = fit.terms.constant.contains(name);
            let note = note.or(constant.then_some("constant"));
            table.push(name, [slope, slope.exp(), point.lambda], note);
        }
        table.push_constant(&fit.terms.constant_factors);
    }
    table.finish(output)
}

fn builder(model: &str, ratio: &str, function: &str, rows: &str) -> DocumentationBuilder {
    let about = format!(
        "{model} with an elastic-net penalty, as R's `glmnet`: a list with a struct for each term, `term`, `coefficient`, \
         `{ratio}`, and the penalty `lambda`. The penalty is λ [α Σ|b| + (1 - α)/2 Σ b²]: `alpha => 1` is the lasso, which \
         leaves terms out (their coefficient is 0), and `alpha => 0` is ridge regression. Unless one `lambda` is given, \
         cross-validation chooses it, as R's `cv.glmnet`. Penalised coefficients have no standard errors. NULL where all \
         outcomes are alike; `note` says 'constant' or 'one level only' of a term that says nothing."
    );
    Documentation::builder(
        MODELS,
        about,
        format!(
            "{function}({rows}[, alpha => 1][, lambda => 0.1][, nlambda => 100][, choose => 'min'][, nfolds => 10][, cluster => id][, fold => k][, standardize => true])"
        ),
    )
}

static LOGISTIC: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        builder(
            "Logistic regression",
            "odds_ratio",
            "logistic_elastic_net",
            "outcome, covariates[, weights => w][, offset => o]",
        ),
        &["outcome", "covariates", "weights", "offset"],
    )
    .with_sql_example(
        "> SELECT t.term AS term, round(t.coefficient, 4) AS coefficient FROM (
    SELECT unnest(logistic_elastic_net(y, named_struct('x', x, 'z', x % 2), lambda => 0.1)) AS t
    FROM (VALUES (1, 2), (0, 1), (1, 3), (0, 2), (1, 4), (0, 3)) AS d(y, x));
+-------------+-------------+
| term        | coefficient |
+-------------+-------------+
| (Intercept) | -1.6        |
| x           | 0.7184      |
| z           | -0.3922     |
+-------------+-------------+",
    )
    .build()
});

static POISSON: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        builder(
            "Poisson regression",
            "rate_ratio",
            "poisson_elastic_net",
            "outcome, covariates[, weights => w][, offset => ln(t)]",
        ),
        &["outcome", "covariates", "weights", "offset"],
    )
    .with_sql_example(
        "> SELECT t.term AS term, round(t.coefficient, 4) AS coefficient FROM (
    SELECT unnest(poisson_elastic_net(y, named_struct('x', x), lambda => 0.5)) AS t
    FROM (VALUES (1, 0), (3, 0), (4, 1), (8, 1)) AS d(y, x));
+-------------+-------------+
| term        | coefficient |
+-------------+-------------+
| (Intercept) | 0.9163      |
| x           | 0.7885      |
+-------------+-------------+",
    )
    .build()
});

static COX: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        builder("Cox's proportional-hazards model", "hazard_ratio", "cox_elastic_net", "time, event, covariates[, strata => s][, start => t0][, weights => w][, ties => 'efron']"),
        &["time", "event", "covariates", "strata", "start", "weights", "ties"],
    )
    .with_sql_example(
        "> SELECT t.term AS term, round(t.coefficient, 4) AS coefficient FROM (
    SELECT unnest(cox_elastic_net(time, event, named_struct('x', x, 'z', x % 2), lambda => 0.02)) AS t
    FROM (VALUES (4, 1, 0), (3, 1, 2), (1, 1, 1), (1, 0, 1), (2, 1, 1), (2, 1, 0), (3, 0, 0)) AS d(time, event, x));
+------+-------------+
| term | coefficient |
+------+-------------+
| x    | 0.3805      |
| z    | 1.7552      |
+------+-------------+",
    )
    .build()
});

fn output_type(ratio: &str) -> DataType {
    table_type(&["coefficient", ratio, "lambda"])
}

penalised!(
    LogisticElasticNet,
    "logistic_elastic_net",
    LOGISTIC,
    output_type("odds_ratio"),
    terms_of::<Generalized<false>>,
    generalized,
    [CHOOSE]
);
penalised!(
    PoissonElasticNet,
    "poisson_elastic_net",
    POISSON,
    output_type("rate_ratio"),
    terms_of::<Generalized<true>>,
    generalized,
    [CHOOSE]
);
penalised!(
    CoxElasticNet,
    "cox_elastic_net",
    COX,
    output_type("hazard_ratio"),
    terms_of::<Cox>,
    survival,
    [CHOOSE]
);
