//! R's lung data through SQL, against what R computed: `../shared/oracle/stats`.

use std::path::PathBuf;

use columna_query::SessionOptions;
use datafusion::prelude::{CsvReadOptions, SessionContext};
use serde_json::Value;

use crate::fixture::rows;

/// The folder of reference results; a run without it says so, and may not be without it in CI.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("COLUMNA_SHARED")
        .map_or_else(|| PathBuf::from("../../../shared"), PathBuf::from);
    if folder.join("oracle/stats").is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "../shared must exist when CI=true"
    );
    eprintln!("skipped: ../shared not found");
    None
}

async fn lung(folder: &std::path::Path) -> (SessionContext, Value) {
    let ctx = columna_query::session(SessionOptions::default())
        .await
        .unwrap();
    let csv = folder.join("oracle/stats/data/lung.csv");
    ctx.register_csv("raw", csv.to_str().unwrap(), CsvReadOptions::new())
        .await
        .unwrap();
    // Row numbers give the weights that the reference used: 2, 1, 0.5 by turns.
    ctx.sql(
        "CREATE TABLE lung AS SELECT time, event, sex, \"ph.ecog\" AS ecog, \
         CASE row_number() OVER () % 3 WHEN 0 THEN 2.0 WHEN 1 THEN 1.0 ELSE 0.5 END AS w FROM raw",
    )
    .await
    .unwrap()
    .collect()
    .await
    .unwrap();
    let expected = std::fs::read_to_string(folder.join("oracle/stats/expected/lung.json")).unwrap();
    (ctx, serde_json::from_str(&expected).unwrap())
}

/// A number of the reference; "NA" and "NaN" are NULL.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(word) if word == "Inf" => Some(f64::INFINITY),
        Value::String(_) | Value::Null => None,
        other => other.as_f64(),
    }
}

fn assert_close(found: &str, expected: &Value, tolerance: f64, what: &str) {
    match number(expected) {
        None => assert_eq!(found, "NULL", "{what}"),
        Some(expected) => {
            let found: f64 = found.parse().unwrap_or(f64::NAN);
            let close = found == expected || (found - expected).abs() <= tolerance * expected.abs();
            assert!(close, "{what}: {found} instead of {expected}");
        }
    }
}

const TYPES: [(&str, &str); 5] = [
    ("plain", "plain"),
    ("log", "log"),
    ("log-log", "loglog"),
    ("logit", "logit"),
    ("arcsin", "arcsin"),
];

/// A curve with all five intervals, column by column.
async fn curve(ctx: &SessionContext, filter: &str, options: &str, expected: &Value) {
    for (name, key) in TYPES {
        let query = format!(
            "SELECT unnest(r) FROM (SELECT unnest(kaplan_meier(time, event, conf_type => '{name}'{options})) AS r \
             FROM lung WHERE {filter})"
        );
        let found = rows(ctx, &query).await;
        assert_eq!(found.len(), expected["time"].as_array().unwrap().len());
        // With weights R keeps the standard error of S itself (`survfit$logse` is FALSE), under the same name.
        let std_err = if options.contains("weights") {
            "stderr_logS"
        } else {
            "se_S"
        };
        let lower = format!("lower_{key}");
        let upper = format!("upper_{key}");
        let columns = [
            "time",
            "n_risk",
            "n_event",
            "n_censor",
            "surv",
            std_err,
            lower.as_str(),
            upper.as_str(),
        ];
        for (at, row) in found.iter().enumerate() {
            // Where S has reached 0 the reference's standard error is 0/0, which the README leaves open.
            for (column, value) in columns.iter().zip(row) {
                // survival 3.5 gives NA or R's older limits where S = 1; the project follows 3.8.
                let nothing_yet = number(&expected["surv"][at]) == Some(1.0);
                if nothing_yet && (column.starts_with("lower") || column.starts_with("upper")) {
                    assert_eq!(value, "1.0", "{filter} {name} {column} at {at}");
                    continue;
                }
                let tolerance = if column.starts_with('n') { 0.0 } else { 1e-11 };
                assert_close(
                    value,
                    &expected[*column][at],
                    tolerance,
                    &format!("{filter} {name} {column} at {at}"),
                );
            }
        }
    }
}

#[tokio::test]
async fn curves_with_all_interval_types() {
    let Some(folder) = shared() else { return };
    let (ctx, expected) = lung(&folder).await;
    curve(&ctx, "true", "", &expected["km_overall"]["curves"]["all"]).await;
    for sex in 1..=2 {
        let curves = &expected["km_sex"]["curves"][format!("sex={sex}")];
        curve(&ctx, &format!("sex = {sex}"), "", curves).await;
        let weighted = &expected["km_sex_weighted"]["curves"][format!("sex={sex}")];
        curve(&ctx, &format!("sex = {sex}"), ", weights => w", weighted).await;
    }
    for ecog in 0..=3 {
        let curves = &expected["km_ecog"]["curves"][format!("ph.ecog={ecog}")];
        curve(&ctx, &format!("ecog = {ecog}"), "", curves).await;
    }
}

#[tokio::test]
async fn quantiles_with_all_interval_types() {
    let Some(folder) = shared() else { return };
    let (ctx, expected) = lung(&folder).await;
    for (table, group, strata) in [("km_overall", "0", 1), ("km_sex", "sex", 2)] {
        let expected = &expected[table];
        for (name, key) in TYPES {
            let quantiles = &expected["quantiles_rows_are_strata"][key];
            for (column, p) in expected["quantile_probs"]
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
            {
                let query = format!(
                    "SELECT q['time'], q['lower'], q['upper'] FROM (SELECT {group} AS g, \
                     survival_quantile(time, event, {p}, conf_type => '{name}') AS q FROM lung GROUP BY 1) ORDER BY g"
                );
                let found = rows(&ctx, &query).await;
                assert_eq!(found.len(), strata);
                for (row, values) in found.iter().enumerate() {
                    for (field, value) in ["quantile", "lower", "upper"].iter().zip(values) {
                        let what = format!("{table} {name} {field} of {p}");
                        assert_close(value, &quantiles[*field][row][column], 1e-11, &what);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn restricted_means() {
    let Some(folder) = shared() else { return };
    let (ctx, expected) = lung(&folder).await;
    for (table, group) in [("km_overall", "0"), ("km_sex", "sex")] {
        for tau in [365, 730] {
            let means = &expected[table]["rmean_tables"][format!("tau_{tau}")];
            let columns: Vec<&str> = means["columns"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect();
            let at = |name: &str| columns.iter().position(|column| *column == name).unwrap();
            let query = format!(
                "SELECT m['estimate'], m['std_err'] FROM (SELECT {group} AS g, rmst(time, event, {tau}) AS m \
                 FROM lung GROUP BY 1) ORDER BY g"
            );
            for (row, values) in rows(&ctx, &query).await.iter().enumerate() {
                assert_close(&values[0], &means["rows"][row][at("rmean")], 1e-11, "rmean");
                assert_close(
                    &values[1],
                    &means["rows"][row][at("se(rmean)")],
                    1e-11,
                    "se(rmean)",
                );
            }
        }
    }
}

#[tokio::test]
async fn log_rank_tests() {
    let Some(folder) = shared() else { return };
    let (ctx, expected) = lung(&folder).await;
    let mut compared = 0;
    for test in expected["logrank"].as_array().unwrap() {
        let formula = test["formula"].as_str().unwrap();
        let (group, strata) = match formula.split_once('~').unwrap().1.trim() {
            "sex" => ("sex", ""),
            "ph.ecog" => ("ecog", ""),
            "sex + strata(ph.ecog)" => ("sex", ", strata => ecog"),
            other => panic!("the reference has a test that this one does not run: {other}"),
        };
        let query = format!(
            "SELECT t['chisq'], t['df'], t['p_value'], t['groups'][1]['observed'], t['groups'][1]['expected'] FROM \
             (SELECT logrank_test(time, event, {group}, rho => {}{strata}) AS t FROM lung)",
            test["rho"]
        );
        let found = rows(&ctx, &query).await;
        for (value, key) in found[0].iter().zip(["chisq", "df", "p"]) {
            assert_close(value, &test[key], 1e-11, &format!("{formula} {key}"));
        }
        if strata.is_empty() {
            assert_close(&found[0][3], &test["obs"][0], 1e-11, formula);
            assert_close(&found[0][4], &test["exp"][0], 1e-11, formula);
        }
        compared += 1;
    }
    assert_eq!(compared, expected["logrank"].as_array().unwrap().len());
}
