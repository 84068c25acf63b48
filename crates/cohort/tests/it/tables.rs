//! Cohorts as a table of the store and as a table function.

use std::collections::BTreeSet;

use arrow::util::pretty::pretty_format_batches;
use columna_cohort::definition::Definition;
use columna_cohort::exec::run;
use columna_cohort::plan::compile;
use columna_cohort::report::StoreTable;
use columna_query::SessionOptions;
use columna_store::Store;
use datafusion::prelude::SessionContext;
use serde_json::json;

use crate::fixture::definition;
use crate::rules::{condition, store, with};

async fn session(store: &Store) -> SessionContext {
    let options = SessionOptions {
        store: Some(store.clone()),
        ..SessionOptions::default()
    };
    let session = columna_query::session(options).await.unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    columna_cohort::sql::register(&session, store, &snapshot);
    session
}

async fn ask(session: &SessionContext, sql: &str) -> String {
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

async fn keep(store: &Store, definitions: Vec<Definition>) {
    let snapshot = store.snapshot(None).await.unwrap();
    let mut table = StoreTable::begin(store, &snapshot).await.unwrap();
    let store = store.clone();
    let table = tokio::task::spawn_blocking(move || {
        let ids: BTreeSet<i64> = definitions.iter().map(|d| d.id).collect();
        let plan = compile(&store, &snapshot, &definitions).unwrap();
        let mut others = table.clear(&store, &snapshot, &ids).unwrap();
        run(
            &store,
            &snapshot,
            &plan,
            None,
            &mut |bucket, mut members| {
                members.extend(others.remove(&bucket).unwrap_or_default());
                table.write(bucket, members)
            },
        )
        .unwrap();
        table
    });
    table.await.unwrap().commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_one_cohort_for_each_definition() {
    let (_folder, store) = store().await;
    // Four events of persons 1 and 3, then those of 11 (persons 1 and 2); the first again, without descendants: three.
    keep(
        &store,
        vec![definition(&with(&condition(1), &json!({})), 1)],
    )
    .await;
    keep(
        &store,
        vec![definition(&with(&condition(2), &json!({})), 2)],
    )
    .await;
    keep(
        &store,
        vec![definition(&with(&condition(0), &json!({})), 1)],
    )
    .await;
    let counts =
        "SELECT cohort_definition_id AS id, count(*) AS n FROM cohort GROUP BY 1 ORDER BY 1";
    assert_eq!(
        ask(&session(&store).await, counts).await,
        "+----+---+\n| id | n |\n+----+---+\n| 1  | 3 |\n| 2  | 2 |\n+----+---+"
    );
    assert!(store.verify().await.unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_asks_for_cohorts_by_their_file() {
    let (folder, store) = store().await;
    let file = folder.path().join("9-ten.json");
    std::fs::write(&file, with(&condition(1), &json!({})).to_string()).unwrap();
    let session = session(&store).await;
    let path = file.display();
    let sql = format!(
        "SELECT c.cohort_definition_id AS id, p.year_of_birth AS born, count(*) AS n FROM cohort('{path}') c \
         JOIN person p ON p.person_id = c.subject_id GROUP BY 1, 2 ORDER BY 2"
    );
    assert_eq!(
        ask(&session, &sql).await,
        "+----+------+---+\n| id | born | n |\n+----+------+---+\n| 9  | 1960 | 2 |\n| 9  | 1980 | 2 |\n+----+------+---+"
    );
    std::fs::write(&file, "{}").unwrap();
    let error = session
        .sql(&format!("SELECT * FROM cohort('{path}')"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("`PrimaryCriteria` is missing"),
        "{error}"
    );
}
