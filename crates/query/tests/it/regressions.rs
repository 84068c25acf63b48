//! Regressions through SQL, against what R computed: `../shared/oracle/stats`.

use datafusion::prelude::{CsvReadOptions, SessionContext};
use serde_json::Value;

use crate::fixture::rows;
use crate::lung::shared;

/// The reference and a session with its data.
async fn oracle(name: &str) -> Option<(SessionContext, Value)> {
    let folder = shared()?.join("oracle/stats");
    let ctx = columna_query::session(columna_query::SessionOptions::default())
        .await
        .unwrap();
    let csv = folder.join("data").join(name).with_extension("csv");
    ctx.register_csv(name, csv.to_str().unwrap(), CsvReadOptions::new())
        .await
        .unwrap();
    let expected = folder.join("expected").join(name).with_extension("json");
    let expected = std::fs::read_to_string(expected).unwrap();
    Some((ctx, serde_json::from_str(&expected).unwrap()))
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

/// A column of a model's table.
async fn column(ctx: &SessionContext, model: &str, column: &str, from: &str) -> Vec<f64> {
    let sql = format!("SELECT t.{column} FROM (SELECT unnest({model}) AS t FROM {from})");
    let found = rows(ctx, &sql).await;
    found.iter().map(|row| row[0].parse().unwrap()).collect()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs() / expected.abs().max(1e-300);
        assert!(
            difference < tolerance,
            "{what}: {found} instead of {expected}"
        );
    }
}

async fn cox(ctx: &SessionContext, call: &str, from: &str, expected: &Value) {
    for (name, key) in [
        ("coefficient", "coef"),
        ("std_err", "se"),
        ("hazard_ratio", "hr"),
        ("lower", "hr_lower"),
        ("upper", "hr_upper"),
        ("p_value", "p_wald"),
    ] {
        if expected[key].is_array() {
            let found = column(ctx, call, name, from).await;
            assert_near(
                &found,
                &numbers(&expected[key]),
                1e-8,
                &format!("{key} of {call}"),
            );
        }
    }
    let tests = call.replacen("cox_ph(", "cox_ph_tests(", 1);
    for (name, key) in [
        ("n", "n"),
        ("n_event", "nevent"),
        ("loglik_null", "loglik_null"),
        ("loglik", "loglik"),
        ("lr_chisq", "lr_test"),
        ("score_chisq", "score_test"),
        ("robust_score_chisq", "robust_score"),
    ] {
        if let Some(expected) = expected[key].as_f64() {
            let sql = format!("SELECT {tests}['{name}'] FROM {from}");
            let found: f64 = rows(ctx, &sql).await[0][0].parse().unwrap();
            assert_near(&[found], &[expected], 1e-9, &format!("{key} of {call}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cox_models_of_lung_are_those_of_r() {
    let Some((ctx, expected)) = oracle("lung").await else {
        return;
    };
    let terms = "named_struct('age', age, 'sex', sex, 'ph.ecog', \"ph.ecog\")";
    let complete = "lung WHERE \"wt.loss\" IS NOT NULL AND inst IS NOT NULL";
    for (call, from, key) in [
        (format!("cox_ph(time, event, {terms})"), "lung", "cox_efron"),
        (
            format!("cox_ph(time, event, {terms}, ties => 'breslow')"),
            "lung",
            "cox_breslow",
        ),
        (
            "cox_ph(time, event, named_struct('age', age, 'ecog', \"ph.ecog\"), strata => sex)"
                .to_owned(),
            "lung",
            "cox_strata",
        ),
        (
            format!("cox_ph(time, event, {terms}, cluster => inst)"),
            complete,
            "cox_cluster",
        ),
        (
            format!("cox_ph(time, event, {terms}, robust => true)"),
            "lung",
            "cox_robust",
        ),
    ] {
        cox(&ctx, &call, from, &expected[key]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cox_models_of_changing_covariates_are_those_of_r() {
    let Some((ctx, expected)) = oracle("heart").await else {
        return;
    };
    let call = "cox_ph(stop, event, named_struct('age', age, 'surgery', surgery, 'transplant', transplant, \
        'age:transplant', age * transplant, 'surgery:transplant', surgery * transplant), start => start)";
    cox(&ctx, call, "heart", &expected["cox_efron"]).await;
    let call = "cox_ph(stop, event, named_struct('age', age, 'surgery', surgery, 'year', year, 'transplant', transplant), start => start)";
    cox(&ctx, call, "heart", &expected["cox_efron2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_by_group_are_models_of_each_group() {
    let Some((ctx, _)) = oracle("veteran").await else {
        return;
    };
    let call = "cox_ph(time, status, named_struct('trt', trt, 'karno', karno))";
    let by_group = rows(
        &ctx,
        &format!("SELECT t.coefficient FROM (SELECT prior, unnest(m) AS t FROM (SELECT prior, {call} AS m FROM veteran GROUP BY prior)) ORDER BY prior, t.term"),
    )
    .await;
    let mut alone = Vec::new();
    for prior in [0, 10] {
        let from = format!("veteran WHERE prior = {prior}");
        let mut found = column(&ctx, call, "coefficient", &from).await;
        found.reverse();
        alone.extend(found);
    }
    let by_group: Vec<f64> = by_group.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_near(&by_group, &alone, 1e-9, "coefficients");
}
