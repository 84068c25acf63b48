//! Copies in the order of a concept: made, kept right by every change, given up, and never read for another file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field};
use columna_model::PersonId;
use columna_store::scan::SnapshotTable;
use columna_store::{Error, Operation, Projection, Snapshot, Store, VacuumOptions};
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::fixture::*;

const TABLE: &str = "condition_occurrence";
const BY: &str = "condition_concept_id";

async fn projected(folder: &Path) -> Store {
    let store = clinic(folder, 35).await;
    store.project(TABLE, BY, None).await.unwrap();
    store
}

fn copies(snapshot: &Snapshot) -> Vec<Projection> {
    let files = &snapshot.table(TABLE).unwrap().files;
    let copies: Vec<_> = files.iter().flat_map(|f| f.projections.clone()).collect();
    for file in files {
        for copy in &file.projections {
            assert_eq!(
                (copy.file.rows, copy.file.min_person, copy.file.max_person),
                (file.rows, file.min_person, file.max_person)
            );
        }
    }
    copies
}

/// Every file has a copy, the store is sound, and a concept's rows are those of the table read without copies.
async fn sound(store: &Store) -> usize {
    let report = store.verify().await.unwrap();
    assert_eq!(report.problems, []);
    let snapshot = store.snapshot(None).await.unwrap();
    let files = snapshot.table(TABLE).unwrap().files.len();
    assert_eq!(copies(&snapshot).len(), files);
    let mut total = 0;
    for concept in 200..208 {
        let wanted = format!("SELECT * FROM t WHERE {BY} = {concept} ORDER BY 1");
        let (plan, found) = ask(store, &wanted).await;
        assert!(plan.contains("projections/"), "{plan}");
        // The sum is no column, and so no filter that a copy is chosen by.
        let plain = format!("SELECT * FROM t WHERE {BY} + 0 = {concept} ORDER BY 1");
        let (plan, expected) = ask(store, &plain).await;
        assert!(!plan.contains("projections/"), "{plan}");
        assert_eq!(found, expected);
        total += found.len();
    }
    assert_eq!(total as u64, snapshot.table(TABLE).unwrap().rows);
    total
}

async fn ask(store: &Store, sql: &str) -> (String, Vec<String>) {
    let snapshot = store.snapshot(None).await.unwrap();
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let table = SnapshotTable::new(store, &snapshot, TABLE).unwrap();
    ctx.register_table("t", Arc::new(table)).unwrap();
    let frame = ctx.sql(sql).await.unwrap();
    let plan = frame.clone().create_physical_plan().await.unwrap();
    let plan = displayable(plan.as_ref()).indent(false).to_string();
    let rows = frame.collect().await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&rows).unwrap();
    let text = text.to_string();
    let lines = text.lines().filter(|l| l.starts_with('|')).skip(1);
    (plan, lines.map(str::to_owned).collect())
}

#[tokio::test]
async fn a_copy_has_the_rows_in_the_order_of_the_concept() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let report = store.project(TABLE, BY, None).await.unwrap();
    assert_eq!((report.files, report.snapshot), (4, Some(2)));
    assert_eq!(sound(&store).await, 70);
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(
        snapshot.operation().to_string(),
        format!("project: {TABLE} by {BY}")
    );
    assert_eq!(
        snapshot.rows(),
        store.snapshot(Some(1)).await.unwrap().rows()
    );
    for copy in copies(&snapshot) {
        // Apart from the table's own files, so that other tools read each row once.
        let path = &copy.file.path;
        assert!(
            path.starts_with("projections/condition_occurrence/by_condition_concept_id/"),
            "{path}"
        );
        assert_eq!(copy.present, copy.file.rows);
        assert!(copy.steps.is_sorted() && copy.steps.len() as u64 == copy.file.rows.min(128));
        let file = std::fs::File::open(on_disk(&store, path)).unwrap();
        let footer = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let group = footer.metadata().row_group(0);
        let first = group.sorting_columns().unwrap()[0].column_idx;
        assert_eq!(
            group
                .column(usize::try_from(first).unwrap())
                .column_path()
                .string(),
            BY
        );
        assert!(
            group
                .columns()
                .iter()
                .all(|c| c.bloom_filter_offset().is_none())
        );
    }
    // Nothing to do a second time.
    let again = store.project(TABLE, BY, None).await.unwrap();
    assert_eq!((again.files, again.snapshot), (0, None));
    assert_eq!(again.bytes, report.bytes);
}

#[tokio::test]
async fn little_memory_makes_the_same_copies() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hashes =
        |s: &Snapshot| -> Vec<String> { copies(s).into_iter().map(|c| c.file.blake3).collect() };
    let mut found = Vec::new();
    for (dir, memory) in [(&one, usize::MAX), (&two, 1)] {
        let store = clinic(dir.path(), 200).await;
        store.project(TABLE, BY, Some(memory)).await.unwrap();
        sound(&store).await;
        found.push(hashes(&store.snapshot(None).await.unwrap()));
    }
    // Byte for byte, for rows of one concept keep their order.
    assert_eq!(found[0], found[1]);
}

#[tokio::test]
async fn later_rows_are_copied_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = projected(dir.path()).await;
    let before = copies(&store.snapshot(None).await.unwrap());
    let tx = store.begin().await.unwrap();
    // Twice into the same bucket: the first copy is never made.
    add_rows(&tx, &[3], 900).unwrap();
    add_rows(&tx, &[4], 910).unwrap();
    tx.commit(APPEND).await.unwrap();
    assert_eq!(sound(&store).await, 74);
    let after = copies(&store.snapshot(None).await.unwrap());
    let paths =
        |c: &[Projection]| -> BTreeSet<String> { c.iter().map(|c| c.file.path.clone()).collect() };
    assert_eq!(paths(&before).intersection(&paths(&after)).count(), 3);
    // New persons in new buckets, then buckets joined and divided.
    let mut tx = store.begin().await.unwrap();
    let people: Vec<i64> = (1000..1060).collect();
    add_people(&mut tx, &people, 2000).unwrap();
    tx.commit(APPEND).await.unwrap();
    assert_eq!(sound(&store).await, 194);
    store.compact().await.unwrap();
    sound(&store).await;
}

#[tokio::test]
async fn an_erased_person_leaves_the_copies() {
    let dir = tempfile::tempdir().unwrap();
    let store = projected(dir.path()).await;
    store.erase(PersonId(12)).await.unwrap();
    assert_eq!(sound(&store).await, 68);
    store.vacuum(&VacuumOptions::everything()).await.unwrap();
    assert_eq!(sound(&store).await, 68);
    let snapshot = store.snapshot(None).await.unwrap();
    let on_disk = all_files(&dir.path().join("projections"));
    assert_eq!(on_disk.len(), copies(&snapshot).len());
    for (path, _) in on_disk {
        let file = std::fs::File::open(&path).unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        for batch in rows {
            assert!(!format!("{:?}", batch.unwrap()).contains(&secret(12)));
        }
    }
}

#[tokio::test]
async fn copies_are_given_up_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = projected(dir.path()).await;
    let kept = store.vacuum(&VacuumOptions::everything()).await.unwrap();
    assert_eq!(
        (
            kept.files > 0,
            all_files(&dir.path().join("projections")).len()
        ),
        (true, 4)
    );
    let report = store.drop_projection(TABLE, BY).await.unwrap();
    assert_eq!((report.files, report.snapshot), (4, Some(3)));
    let snapshot = store.snapshot(None).await.unwrap();
    assert!(copies(&snapshot).is_empty() && snapshot.table(TABLE).unwrap().projections.is_empty());
    let (plan, rows) = ask(&store, &format!("SELECT * FROM t WHERE {BY} = 203")).await;
    assert!(!plan.contains("projections/") && rows.len() == 10, "{plan}");
    // The snapshot before still has them, until it goes.
    assert_eq!(copies(&store.snapshot(Some(2)).await.unwrap()).len(), 4);
    assert!(store.verify().await.unwrap().is_ok());
    store.vacuum(&VacuumOptions::everything()).await.unwrap();
    assert!(all_files(&dir.path().join("projections")).is_empty());
    assert!(store.verify().await.unwrap().is_ok());
    // Later rows have none.
    let tx = store.begin().await.unwrap();
    add_rows(&tx, &[3], 900).unwrap();
    assert!(copies(&tx.commit(APPEND).await.unwrap()).is_empty());
    let again = store.drop_projection(TABLE, BY).await.unwrap();
    assert_eq!((again.files, again.snapshot), (0, None));
}

/// What is known of a store and of its rows is known by these names, whatever else is written anew and vacuumed.
#[tokio::test]
async fn a_store_and_its_rows_keep_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let snapshot = store.snapshot(None).await.unwrap();
    let (first, rows) = (snapshot.first().to_owned(), snapshot.hash().to_owned());
    assert_eq!(first, store.snapshot(Some(0)).await.unwrap().hash());
    for _ in 0..2 {
        store.project(TABLE, BY, None).await.unwrap();
        store.vacuum(&VacuumOptions::everything()).await.unwrap();
        store.drop_projection(TABLE, BY).await.unwrap();
        store.vacuum(&VacuumOptions::everything()).await.unwrap();
        let later = store.snapshot(None).await.unwrap();
        assert_eq!((later.first(), later.first_with_rows()), (&*first, &*rows));
    }
    let tx = store.begin().await.unwrap();
    add_rows(&tx, &[3], 900).unwrap();
    let later = tx.commit(APPEND).await.unwrap();
    assert_eq!(
        (later.first(), later.first_with_rows()),
        (&*first, later.hash())
    );
}

#[tokio::test]
async fn who_changes_a_file_meanwhile_wins_or_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let columns = [BY.to_owned()];
    // Rows come while copies are made: the copies are of files that are no more.
    let mut copying = store.begin().await.unwrap();
    copying.project(TABLE, &columns).unwrap();
    let rows = store.begin().await.unwrap();
    add_rows(&rows, &[1], 500).unwrap();
    rows.commit(APPEND).await.unwrap();
    let operation = || Operation::Project {
        table: TABLE.to_owned(),
        column: BY.to_owned(),
        dropped: false,
    };
    let lost = copying.commit(operation()).await;
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    assert!(
        all_files(&dir.path().join("projections")).is_empty(),
        "the loser's files are gone"
    );

    // Copies are made while rows are written to one bucket: that writer knows of no copies, and is told.
    let rows = store.begin().await.unwrap();
    add_rows(&rows, &[2], 600).unwrap();
    store.project(TABLE, BY, None).await.unwrap();
    let lost = rows.commit(APPEND).await;
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    assert_eq!(sound(&store).await, 72);

    // Another table is nobody's business.
    let rows = store.begin().await.unwrap();
    let bucket = rows.buckets().bucket_of(3);
    rows.append_run("cohort", Some(bucket), &mut cohort_rows(&[3]).into_iter())
        .unwrap();
    store.drop_projection(TABLE, BY).await.unwrap();
    rows.commit(APPEND).await.unwrap();
    assert!(store.verify().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_change_that_is_dropped_leaves_no_copies() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let files = all_files(dir.path()).len();
    let mut tx = store.begin().await.unwrap();
    tx.project(TABLE, &[BY.to_owned()]).unwrap();
    drop(tx);
    assert_eq!(all_files(dir.path()).len(), files);
}

#[tokio::test]
async fn a_changed_copy_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = projected(dir.path()).await;
    let copy = copies(&store.snapshot(None).await.unwrap())[1]
        .file
        .path
        .clone();
    let path = on_disk(&store, &copy);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let problems = store.verify().await.unwrap().problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].file, copy);
    std::fs::remove_file(&path).unwrap();
    let problems = store.verify().await.unwrap().problems;
    assert_eq!(
        (problems.len(), problems[0].what.as_str()),
        (1, "it is missing")
    );
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 5).await;
    for (table, column, says) in [
        (TABLE, "person_id", "in the order of `person_id` already"),
        (TABLE, "condition_source_value", "whole numbers"),
        (
            TABLE,
            "drug_concept_id",
            "its concepts are in condition_concept_id",
        ),
        ("concept", "concept_id", "no persons"),
        ("drugs", "drug_concept_id", "drugs"),
    ] {
        let refused = store.project(table, column, None).await.unwrap_err();
        assert!(
            refused.is_user() && refused.to_string().contains(says),
            "{refused}"
        );
    }
    assert!(store.drop_projection("drugs", "x").await.is_err());
    assert_eq!(store.snapshot(None).await.unwrap().version(), 1);
}

#[tokio::test]
async fn rows_without_a_value_are_copied_last() {
    const WARD: &str = "ward_concept_id";
    // Rows from before the column, some rows without a value, and one value alone beside them.
    for wards in [
        [Some(9), None, Some(5), Some(9), None, Some(5)],
        [Some(5), None, None, None, Some(5), None],
        [None; 6],
    ] {
        for memory in [1, usize::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let store = clinic(dir.path(), 35).await;
            let mut tx = store.begin().await.unwrap();
            let wider = conditions().with_extra_columns([Field::new(WARD, DataType::Int64, true)]);
            tx.declare_table(wider.clone()).unwrap();
            let rows = condition_rows(&[3, 4, 5], 900).remove(0).unwrap();
            let mut columns = rows.columns().to_vec();
            columns.push(Arc::new(Int64Array::from(wards.to_vec())));
            let rows = RecordBatch::try_new(wider.schema, columns).unwrap();
            let bucket = Some(tx.buckets().bucket_of(3));
            tx.append_run(TABLE, bucket, &mut std::iter::once(Ok(rows)))
                .unwrap();
            tx.commit(APPEND).await.unwrap();
            store.project(TABLE, WARD, Some(memory)).await.unwrap();
            assert_eq!(store.verify().await.unwrap().problems, []);
            let fives = wards.iter().filter(|w| **w == Some(5)).count();
            let (plan, found) = ask(&store, &format!("SELECT * FROM t WHERE {WARD} = 5")).await;
            assert!(plan.contains("projections/"), "{plan}");
            assert_eq!(found.len(), fives, "{wards:?}");
            let missing = wards.iter().filter(|w| w.is_none()).count();
            let none = format!("SELECT * FROM t WHERE {WARD} IS NULL");
            assert_eq!(ask(&store, &none).await.1.len(), 70 + missing);
        }
    }
}
