//! Regressions whose rows stay on the executors.

use columna_cluster::connect;
use columna_query::SessionOptions;
use columna_store::Store;
use datafusion::prelude::SessionContext;

use crate::cluster::{Cluster, trust};
use crate::fixture;
use crate::plans::shuffled;

async fn session(cluster: &Cluster, store: &Store, passes_from: Option<u64>) -> SessionContext {
    let options = SessionOptions {
        store: Some(store.clone()),
        threads: Some(4),
        passes_from,
        ..SessionOptions::default()
    };
    connect(&cluster.url(), &trust(), options).await.unwrap()
}

const ROWS: &str = "(SELECT 1 + a.condition_occurrence_id * 7 % 40 AS time, \
     b.condition_occurrence_id * 3 % 5 < 2 AS event, a.person_id % 11 AS x, \
     CASE b.condition_occurrence_id * 5 % 7 % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' ELSE 'c' END AS level, \
     a.person_id % 2 AS site \
     FROM condition_occurrence a JOIN condition_occurrence b ON a.person_id = b.person_id) AS r";

#[tokio::test(flavor = "multi_thread")]
async fn passes_on_executors_give_what_one_process_gives() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let cluster = Cluster::start(&store, &folder.path().join("work"), 3).await;
    let by_passes = session(&cluster, &store, Some(0)).await;
    let here = fixture::session(&store).await;
    let covariates = "named_struct('x', x, 'level', level)";
    for query in [
        format!("SELECT unnest(cox_ph(time, event, {covariates})) AS t FROM {ROWS}"),
        format!(
            "SELECT site, unnest(cox_ph(time, event, {covariates})) AS t FROM {ROWS} GROUP BY site"
        ),
        format!(
            "SELECT unnest(logistic_regression(event, {covariates}, robust => true)) AS t FROM {ROWS}"
        ),
        format!(
            "SELECT site AS x, count(*) AS n, unnest(poisson_regression(time, {covariates})) AS t \
             FROM {ROWS} GROUP BY site HAVING count(*) > 5"
        ),
        // A table of the store stands beside the model: its rows travel.
        format!(
            "SELECT unnest(m) AS t, (SELECT count(*) FROM person) AS n \
             FROM (SELECT logistic_regression(event, {covariates}) AS m FROM {ROWS}) AS f"
        ),
    ] {
        let terms = format!(
            "SELECT t.term, round(t.coefficient, 8) + 0.0, round(t.std_err, 8), round(t.p_value, 8), t.note \
             FROM ({query}) AS q ORDER BY 1, 2"
        );
        let found = fixture::rows(&by_passes, &terms).await;
        assert!(found.len() >= 3, "{query}");
        assert_eq!(found, fixture::rows(&here, &terms).await, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_move_does_not_grow_with_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let cluster = Cluster::start(&store, &folder.path().join("work"), 3).await;
    let by_passes = session(&cluster, &store, Some(0)).await;
    let model = |from: &str| {
        format!(
            "SELECT logistic_regression(a.condition_occurrence_id % 3 = 0, \
             named_struct('x', b.condition_occurrence_id * a.condition_occurrence_id * 31 % 10007 / 7.0)) FROM {from}"
        )
    };
    let few = "condition_occurrence a JOIN condition_occurrence b USING (condition_occurrence_id)";
    let many = "condition_occurrence a CROSS JOIN condition_occurrence b";
    let (few, many) = (model(few), model(many));
    let plan = fixture::rows(&by_passes, &format!("EXPLAIN {few}")).await;
    let plan = format!("{plan:?}");
    assert!(
        plan.contains("ClusterPassesExec") && plan.contains("pass of logistic_regression"),
        "{plan}"
    );
    let analyzed = fixture::rows(&by_passes, &format!("EXPLAIN ANALYZE {few}")).await;
    assert!(format!("{analyzed:?}").contains("passes="), "{analyzed:?}");

    let (_, of_few) = shuffled(&by_passes, &few).await;
    let (_, of_many) = shuffled(&by_passes, &many).await;
    assert!(of_few > 0 && of_many < 2 * of_few, "{of_few} {of_many}");

    // The rows themselves: what the same model moves without passes.
    let rows = session(&cluster, &store, Some(u64::MAX)).await;
    let (_, rows_of_few) = shuffled(&rows, &few).await;
    let (_, rows_of_many) = shuffled(&rows, &many).await;
    assert!(
        2 * rows_of_many > 3 * rows_of_few,
        "{rows_of_few} {rows_of_many}"
    );
}
