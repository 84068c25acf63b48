//! Published Delta tables, read back through their logs.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Field, TimeUnit};
use columna_model::PersonId;
use columna_store::{Snapshot, Store, VacuumOptions};
use deltalake::DeltaTableBuilder;

use crate::fixture::*;

/// The files of a published table, and what its log says about their rows.
async fn read(store: &Store, table: &str) -> (BTreeSet<String>, u64, BTreeSet<String>) {
    let url = url::Url::from_directory_path(on_disk(store, &format!("tables/{table}"))).unwrap();
    let table = DeltaTableBuilder::from_url(url)
        .unwrap()
        .load()
        .await
        .unwrap();
    let files = table
        .get_file_uris()
        .unwrap()
        .map(|uri| uri.rsplit('/').next().unwrap().to_owned())
        .collect();
    let columns = table
        .snapshot()
        .unwrap()
        .schema()
        .fields()
        .map(|f| f.name().clone())
        .collect();
    (files, table.version().unwrap(), columns)
}

fn expected(snapshot: &Snapshot, table: &str) -> BTreeSet<String> {
    let files = &snapshot.table(table).unwrap().files;
    files
        .iter()
        .map(|f| f.path.rsplit('/').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_store_is_read_as_delta_tables() {
    // Kept for other engines to read when a folder is given.
    let kept = std::env::var_os("COLUMNA_TEST_DELTA_STORE");
    let dir = tempfile::tempdir().unwrap();
    let folder = kept.map_or_else(|| dir.path().to_path_buf(), Into::into);
    let store = clinic(&folder, 35).await;
    let report = store.publish_delta().await.unwrap();
    assert_eq!((report.snapshot, report.tables.len()), (1, 4));
    let first = store.snapshot(None).await.unwrap();
    for table in first.tables() {
        let (files, version, _) = read(&store, &table.spec.name).await;
        assert_eq!((files, version), (expected(&first, &table.spec.name), 0));
    }
    // Nothing new, nothing written.
    let again = store.publish_delta().await.unwrap();
    assert!(
        again
            .tables
            .iter()
            .all(|t| (t.version, t.added, t.removed) == (0, 0, 0)),
        "{again}"
    );

    let tx = store.begin().await.unwrap();
    add_rows(&tx, &[1], 900).unwrap();
    let second = tx.commit(APPEND).await.unwrap();
    let report = store.publish_delta().await.unwrap();
    let changed: Vec<(&str, u64, usize, usize)> = report
        .tables
        .iter()
        .map(|t| (t.name.as_str(), t.version, t.added, t.removed))
        .collect();
    let keyed = |name| (name, 1, 1, 1);
    assert_eq!(
        changed,
        [
            keyed("cohort"),
            ("concept", 0, 0, 0),
            keyed("condition_occurrence"),
            keyed("person")
        ]
    );
    assert_eq!(read(&store, "person").await.0, expected(&second, "person"));
    assert_eq!(
        store.verify().await.unwrap().problems,
        [],
        "a log is no stranger"
    );

    // A wider table gets a new log.
    let mut tx = store.begin().await.unwrap();
    let seen = Field::new(
        "seen",
        DataType::Timestamp(TimeUnit::Microsecond, None),
        true,
    );
    tx.declare_table(persons().with_extra_columns([seen]))
        .unwrap();
    let third = tx.commit(APPEND).await.unwrap();
    store.publish_delta().await.unwrap();
    let (files, version, columns) = read(&store, "person").await;
    assert_eq!((files, version), (expected(&third, "person"), 0));
    assert!(columns.contains("seen"));
}

#[tokio::test]
async fn a_vacuum_removes_logs_that_name_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    store.publish_delta().await.unwrap();
    store.erase(PersonId(3)).await.unwrap();
    let report = store.vacuum(&VacuumOptions::everything()).await.unwrap();
    assert_eq!(
        report.unpublished,
        ["cohort", "condition_occurrence", "person"]
    );
    assert!(!on_disk(&store, "tables/person/_delta_log/00000000000000000000.json").exists());
    assert!(
        on_disk(
            &store,
            "tables/concept/_delta_log/00000000000000000000.json"
        )
        .exists()
    );
    let name = secret(3);
    let files = all_files(dir.path());
    assert!(
        !files
            .iter()
            .any(|(_, bytes)| bytes.windows(name.len()).any(|w| w == name.as_bytes()))
    );
    store.publish_delta().await.unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(
        read(&store, "person").await.0,
        expected(&snapshot, "person")
    );
}
