//! Models by passes against the same models over their rows: every pass is a query of its own, as on a cluster.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use columna_query::passes::{Fitted, Passes};
use columna_query::script;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use sqllogictest::{DefaultColumnType, Record, parse_file};

use crate::fixture;

/// Rows whose numbers follow from theirs: times in whole days, ties, a weight that is not whole, a factor, a group.
const ROWS: &str = "SELECT 1 + i * 7919 % 97 AS time, i * 31 % 97 % 3 = 0 AS event, i % 2 AS late, \
     CAST(i * 13 % 41 AS DOUBLE) / 8 AS x, 2000 + i * 17 % 23 AS year, 0.5 + i % 4 AS w, i % 5 AS n, \
     CASE i * 11 % 7 % 3 WHEN 0 THEN 'low' WHEN 1 THEN 'high' ELSE 'mid' END AS level, \
     CASE WHEN i % 3 = 0 THEN NULL ELSE i * 5 % 4 END AS site \
     FROM (SELECT unnest(range(0, 600)) AS i) AS t";

async fn session() -> SessionContext {
    let options = columna_query::SessionOptions {
        threads: Some(3),
        ..columna_query::SessionOptions::default()
    };
    let ctx = columna_query::session(options).await.unwrap();
    let made = format!("CREATE TABLE patients AS {ROWS}");
    ctx.sql(&made).await.unwrap().collect().await.unwrap();
    ctx
}

/// The first aggregate that has models.
fn find(plan: &LogicalPlan) -> Option<Passes> {
    Passes::of(plan).or_else(|| plan.inputs().into_iter().find_map(find))
}

async fn optimized(ctx: &SessionContext, sql: &str) -> LogicalPlan {
    let query = script::sql(ctx, sql).await.unwrap();
    query.into_optimized_plan().unwrap()
}

/// The aggregate by passes and at once, and how many queries the passes were.
async fn both(ctx: &SessionContext, sql: &str) -> (Fitted, Vec<RecordBatch>, usize) {
    let passes = find(&optimized(ctx, sql).await).unwrap();
    let run = async |plan: LogicalPlan| ctx.execute_logical_plan(plan).await?.collect().await;
    let asked = AtomicUsize::new(0);
    let fitted = passes
        .run(0, |plan| {
            asked.fetch_add(1, Ordering::Relaxed);
            run(plan)
        })
        .await
        .unwrap();
    let whole = run(passes.plan()).await.unwrap();
    (fitted, whole, asked.into_inner())
}

/// Rows as texts in an order of their own, numbers to ten digits.
fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let format = FormatOptions::new().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| ArrayFormatter::try_new(column, &format).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(row).to_string());
            rows.push(values.collect::<Vec<_>>().join("|"));
        }
    }
    rows.sort();
    rows
}

/// Words that are numbers are compared as such.
fn assert_same(found: &[String], expected: &[String], sql: &str) {
    assert_eq!(found.len(), expected.len(), "{sql}");
    for (found, expected) in found.iter().zip(expected) {
        let words = |text: &str| -> Vec<String> {
            let parts = text.split([' ', ',', '}', '|', ']']);
            parts.map(str::to_owned).collect()
        };
        let (a, b) = (words(found), words(expected));
        // A coefficient without bound is where the last step ended, to fewer digits.
        let unbounded = expected.contains("infinite") || expected.contains("separated");
        let tolerance = if unbounded { 1e-6 } else { 1e-9 };
        assert_eq!(a.len(), b.len(), "{sql}: {found} and {expected}");
        for (a, b) in a.iter().zip(&b) {
            let same = match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(a), Ok(b)) => (a - b).abs() <= tolerance * b.abs().max(1e-6),
                _ => false,
            };
            assert!(
                a == b || same,
                "{sql}: {a} instead of {b} in\n{found}\n{expected}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_give_what_the_rows_give() {
    let ctx = session().await;
    let covariates = "named_struct('x', x, 'year', year, 'level', level)";
    for call in [
        format!("cox_ph(time, event, {covariates})"),
        format!("cox_ph(time, event, {covariates}, ties => 'breslow', conf_level => 0.9)"),
        format!("cox_ph(time, event, {covariates}, weights => w)"),
        format!("cox_ph(time, event, {covariates}, strata => site)"),
        format!("cox_ph(time + 5, event, {covariates}, start => late, robust => true)"),
        format!("cox_ph(time, event, {covariates}) FILTER (WHERE x > 1)"),
        format!("logistic_regression(event, {covariates})"),
        format!("logistic_regression(event, {covariates}, weights => w, robust => true)"),
        format!("logistic_regression(event, {covariates}, intercept => false)"),
        format!("poisson_regression(n, {covariates}, \"offset\" => ln(time))"),
        // No event at all, and one that follows from a covariate.
        "cox_ph(time, x > 100, named_struct('x', x))".to_owned(),
        "logistic_regression(year > 2010, named_struct('year', year))".to_owned(),
        "logistic_regression(event, named_struct('x', x, 'twice', 2 * x))".to_owned(),
        "cox_ph(time, event, named_struct('level', CASE WHEN x > 0 THEN 'a' ELSE 'a' END, 'x', x))"
            .to_owned(),
    ] {
        for (keys, from) in [
            ("", "FROM patients"),
            ("site, ", "FROM patients GROUP BY site"),
            (
                "site, late, ",
                "FROM patients WHERE n <> 2 GROUP BY late, site",
            ),
        ] {
            let sql = format!("SELECT {keys}{call} AS model, count(*) AS n, avg(x) AS mean {from}");
            let (fitted, whole, asked) = both(&ctx, &sql).await;
            let Fitted::Rows(found) = fitted else {
                panic!("{sql}: its rows were asked for");
            };
            assert_same(&texts(&[found]), &texts(&whole), &sql);
            assert!(asked >= 2, "{sql}: {asked} passes");
        }
    }
}

/// Every model of the `.slt` files: no rows, NULLs, columns that overflow, vanish or are combinations of others,
/// likelihoods without a maximum, rows that no model takes.
#[tokio::test(flavor = "multi_thread")]
async fn the_edges_are_the_same_by_passes() {
    let suites = Path::new("tests/slt");
    let mut fitted = 0;
    for file in [
        "edge_cases",
        "edge_covariates",
        "nulls",
        "survival",
        "grouping",
        "aggregates",
    ] {
        let file = suites.join(file).with_extension("slt");
        if !file.exists() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let ctx = fixture::session(&fixture::clinic(&folder.path().join("store")).await).await;
        for record in parse_file::<DefaultColumnType>(&file).unwrap() {
            let sql = match record {
                Record::Query { sql, .. } => sql,
                Record::Statement { sql, .. } => {
                    if let Ok(made) = script::sql(&ctx, &sql).await {
                        let _ = made.collect().await;
                    }
                    continue;
                }
                _ => continue,
            };
            let Ok(frame) = script::sql(&ctx, &sql).await else {
                continue;
            };
            let Some(passes) = frame.into_optimized_plan().ok().as_ref().and_then(find) else {
                continue;
            };
            let run =
                async |plan: LogicalPlan| ctx.execute_logical_plan(plan).await?.collect().await;
            match (passes.run(0, run).await, run(passes.plan()).await) {
                (Ok(Fitted::NeedsRows), _) => {}
                (Ok(Fitted::Rows(found)), Ok(expected)) => {
                    fitted += 1;
                    assert_same(&texts(&[found]), &texts(&expected), &sql);
                }
                (Err(found), Err(expected)) => {
                    fitted += 1;
                    assert_eq!(found.strip_backtrace(), expected.strip_backtrace(), "{sql}");
                }
                (found, expected) => panic!("{sql}: {found:?} instead of {expected:?}"),
            }
        }
    }
    assert!(fitted > 40, "{fitted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_models_share_their_passes() {
    let ctx = session().await;
    let sql = "SELECT cox_ph(time, event, named_struct('x', x)) AS a, \
               cox_ph(time, event, named_struct('x', x, 'level', level)) AS b, \
               logistic_regression(event, named_struct('x', x)) AS c FROM patients";
    let (fitted, whole, asked) = both(&ctx, sql).await;
    let Fitted::Rows(found) = fitted else {
        panic!("rows were asked for");
    };
    assert_same(&texts(&[found]), &texts(&whole), sql);
    assert!(asked < 14, "{asked} passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_its_rows_says_so() {
    let ctx = session().await;
    for sql in [
        // Near-ties among times of the day can be told only from all of them.
        "SELECT cox_ph(time + 0.5, event, named_struct('x', x)) FROM patients",
        // More groups than are asked apart.
        "SELECT time, logistic_regression(event, named_struct('x', x)) FROM patients GROUP BY time",
    ] {
        let (fitted, ..) = both(&ctx, sql).await;
        assert!(matches!(fitted, Fitted::NeedsRows), "{sql}");
    }
    for sql in [
        "SELECT cox_ph(time, event, named_struct('x', x), cluster => n) FROM patients",
        "SELECT logistic_regression(event, named_struct('x', x)) FROM (SELECT * FROM patients LIMIT 100) AS p",
        "SELECT logistic_regression(event, named_struct('x', x + random())) FROM patients",
        "SELECT site, logistic_regression(event, named_struct('x', x)) FROM patients GROUP BY ROLLUP (site)",
        "SELECT kaplan_meier(time, event) FROM patients",
    ] {
        assert!(find(&optimized(&ctx, sql).await).is_none(), "{sql}");
    }
    // No group at all.
    let sql = "SELECT site, logistic_regression(event, named_struct('x', x)) FROM patients WHERE x > 1000 GROUP BY site";
    let (fitted, whole, _) = both(&ctx, sql).await;
    assert!(matches!(fitted, Fitted::NeedsRows) && texts(&whole).is_empty());
    // Fewer rows than are worth it.
    let sql = "SELECT logistic_regression(event, named_struct('x', x)) FROM patients";
    let passes = find(&optimized(&ctx, sql).await).unwrap();
    let run = async |plan: LogicalPlan| ctx.execute_logical_plan(plan).await?.collect().await;
    let fitted = passes.run(601, run).await.unwrap();
    assert!(matches!(fitted, Fitted::NeedsRows));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_between_passes_are_noticed() {
    let ctx = session().await;
    let sql = "SELECT logistic_regression(event, named_struct('x', x)) FROM patients";
    let passes = find(&optimized(&ctx, sql).await).unwrap();
    let asked = AtomicUsize::new(0);
    let fitted = passes
        .run(0, async |plan: LogicalPlan| {
            if asked.fetch_add(1, Ordering::Relaxed) == 3 {
                let change = "INSERT INTO patients SELECT * FROM patients LIMIT 1";
                ctx.sql(change).await?.collect().await?;
            }
            ctx.execute_logical_plan(plan).await?.collect().await
        })
        .await
        .unwrap();
    assert!(matches!(fitted, Fitted::NeedsRows));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_those_of_the_model() {
    let ctx = session().await;
    let sql = "SELECT cox_ph(time, n, named_struct('x', x)) FROM patients";
    let passes = find(&optimized(&ctx, sql).await).unwrap();
    let run = async |plan: LogicalPlan| ctx.execute_logical_plan(plan).await?.collect().await;
    let error = passes.run(0, run).await.unwrap_err().to_string();
    let expected = run(passes.plan()).await.unwrap_err().to_string();
    assert_eq!(error, expected);
    // What a cluster asks is nothing to be asked by hand.
    let error = ctx.sql("SELECT cox_ph_pass(time) FROM patients").await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("what a cluster asks")
    );
}
