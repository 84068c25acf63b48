//! What moves between executors: partial states and not rows, and nothing for what is done person by person.

use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;

use crate::cluster::Cluster;
use crate::fixture;

/// The stages of a query in the order in which they run, as the cluster's own EXPLAIN has them.
async fn stages(ctx: &SessionContext, query: &str) -> Vec<String> {
    let rows = fixture::rows(ctx, &format!("EXPLAIN {query}")).await;
    let plan = rows
        .iter()
        .find(|row| row.first().is_some_and(|kind| kind == "distributed_plan"));
    let plan = plan.and_then(|row| row.get(1)).unwrap();
    plan.split("Stage[stage_id=")
        .skip(1)
        .map(ToOwned::to_owned)
        .collect()
}

/// The rows that a query answers with, and the bytes that its stages took from each other.
pub(crate) async fn shuffled(ctx: &SessionContext, query: &str) -> (usize, usize) {
    let frame = columna_query::script::sql(ctx, query).await.unwrap();
    let context = frame.task_ctx().into();
    let plan = frame.create_physical_plan().await.unwrap();
    let batches = collect(std::sync::Arc::clone(&plan), context)
        .await
        .unwrap();
    // What stands above the query's node is done here.
    let mut node = &plan;
    while let Some(input) = node.children().first() {
        node = input;
    }
    let bytes = node
        .metrics()
        .and_then(|metrics| metrics.sum_by_name("shuffle_bytes"));
    let rows = batches.iter().map(|batch| batch.num_rows()).sum();
    (rows, bytes.unwrap().as_usize())
}

#[tokio::test(flavor = "multi_thread")]
async fn curves_travel_as_partial_states() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let cluster = Cluster::start(&store, &folder.path().join("work"), 3).await;
    let session = cluster.session().await;
    let curve = |rows: &str| {
        format!(
            "SELECT a.condition_concept_id % 2 AS g, \
             kaplan_meier(a.person_id % 40, a.person_id % 3 = 0) AS curve FROM {rows} GROUP BY 1"
        )
    };
    let few = "condition_occurrence a";
    let many = "condition_occurrence a JOIN condition_occurrence b ON b.person_id = a.person_id \
                JOIN condition_occurrence c ON c.person_id = a.person_id \
                JOIN condition_occurrence d ON d.person_id = a.person_id";

    let stages = stages(&session, &curve(few)).await;
    assert_eq!(stages.len(), 2, "{stages:#?}");
    for (stage, mode) in stages
        .iter()
        .zip(["mode=Partial,", "mode=FinalPartitioned,"])
    {
        let aggregate = stage.lines().find(|line| line.contains("kaplan_meier("));
        assert!(stage.contains(mode) && aggregate.is_some(), "{stage}");
    }

    // The states are as large as the days are many, however many rows there are.
    let count = async |rows: &str| {
        let rows = fixture::rows(&session, &format!("SELECT count(*) FROM {rows}")).await;
        rows[0][0].parse::<usize>().unwrap()
    };
    let rows = (count(few).await, count(many).await);
    assert!(rows.1 > 5 * rows.0, "{rows:?}");
    let (_, by_few) = shuffled(&session, &curve(few)).await;
    let (_, by_many) = shuffled(&session, &curve(many)).await;
    assert!(by_few > 0 && by_many < 2 * by_few, "{by_few} {by_many}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_person_by_person_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let cluster = Cluster::start(&store, &folder.path().join("work"), 3).await;
    let session = cluster.session().await;
    for query in [
        "SELECT p.person_id, c.condition_start_date FROM person p \
         JOIN condition_occurrence c ON c.person_id = p.person_id",
        "SELECT c.person_id, count(*) FROM person p \
         JOIN condition_occurrence c ON c.person_id = p.person_id GROUP BY 1",
        "SELECT person_id, lag(condition_start_date) OVER (PARTITION BY person_id \
         ORDER BY condition_start_date, condition_occurrence_id) FROM condition_occurrence",
        "SELECT DISTINCT person_id FROM condition_occurrence",
        "SELECT person_id FROM person p WHERE EXISTS \
         (SELECT 1 FROM condition_occurrence c WHERE c.person_id = p.person_id)",
    ] {
        let stages = stages(&session, query).await;
        assert_eq!(stages.len(), 1, "{stages:#?}");
        let (rows, bytes) = shuffled(&session, query).await;
        assert!(rows > 10 && bytes == 0, "{rows} {bytes}: {query}");
    }
    // By another key rows must move, so that none moving means something.
    let other = "SELECT condition_concept_id, count(*) FROM condition_occurrence GROUP BY 1";
    assert!(shuffled(&session, other).await.1 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_by_concept_are_read_by_executors_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let (table, column) = ("condition_occurrence", "condition_concept_id");
    let common = format!("SELECT {column}, count(*) FROM {table} GROUP BY 1 ORDER BY 2, 1 LIMIT 1");
    let options = || columna_query::SessionOptions {
        store: Some(store.clone()),
        ..columna_query::SessionOptions::default()
    };
    let before = columna_query::session(options()).await.unwrap();
    let concept = fixture::rows(&before, &common).await[0][0].clone();
    store.project(table, column, None).await.unwrap();
    let cluster = Cluster::start(&store, &folder.path().join("work"), 3).await;
    let session = cluster.session().await;
    for query in [
        format!("SELECT * FROM {table} WHERE {column} = {concept}"),
        format!(
            "SELECT person_id, condition_occurrence_id, lag(condition_start_date) OVER (PARTITION BY person_id \
             ORDER BY condition_start_date, condition_occurrence_id) FROM {table} WHERE {column} = {concept}"
        ),
        format!(
            "SELECT p.person_id, c.condition_start_date FROM person p \
             JOIN {table} c ON c.person_id = p.person_id WHERE c.{column} = {concept}"
        ),
    ] {
        let stages = stages(&session, &query).await;
        assert_eq!(stages.len(), 1, "{stages:#?}");
        assert!(stages[0].contains("projections/"), "{stages:#?}");
        let (rows, bytes) = shuffled(&session, &query).await;
        assert!(rows > 0 && bytes == 0, "{rows} {bytes}: {query}");
        let (mut found, mut expected) = (
            fixture::rows(&session, &query).await,
            fixture::rows(&before, &query).await,
        );
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
}
