//! Erasing, vacuuming and compacting.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use columna_model::PersonId;
use columna_store::{Operation, Store, TableSpec, VacuumOptions};

use crate::fixture::*;

fn holds(files: &[(std::path::PathBuf, Vec<u8>)], text: &str) -> bool {
    files
        .iter()
        .any(|(_, bytes)| bytes.windows(text.len()).any(|w| w == text.as_bytes()))
}

#[tokio::test]
async fn an_erased_person_leaves_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let before = store.snapshot(None).await.unwrap();
    let alone = before.buckets().split_points()[0];
    let report = store.erase(PersonId(alone)).await.unwrap();
    assert_eq!(report.rows, 4);
    let names: Vec<&str> = report.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["cohort", "condition_occurrence", "person"]);
    assert_eq!((report.snapshot, report.older_snapshots), (Some(2), 2));

    let after = store.snapshot(None).await.unwrap();
    assert_eq!(after.operation(), &Operation::Erase { rows: 4 });
    assert!(
        !after.buckets().split_points().contains(&alone),
        "no bound names the person"
    );
    assert!(read_conditions(&store, &after).iter().all(|r| r.0 != alone));
    assert_eq!(read_conditions(&store, &after).len(), 68);
    // Only the person's bucket was rewritten.
    for (old, new) in before.tables().zip(after.tables()) {
        let changed = new.files.iter().filter(|f| !old.files.contains(f)).count();
        assert_eq!(
            changed,
            usize::from(new.spec.person_key.is_some()),
            "{}",
            new.spec.name
        );
    }

    let vacuumed = store.vacuum(&VacuumOptions::everything()).await.unwrap();
    assert_eq!((vacuumed.snapshots, vacuumed.snapshots_kept), (2, 1));
    let named: usize = after.tables().map(|t| t.files.len()).sum();
    let files = all_files(dir.path());
    assert_eq!(
        files.len(),
        named + after.tables().len() + 1,
        "nothing but the newest snapshot is left"
    );
    // Every row of every file that is left, decoded: compression could hide a name from a search.
    for (path, _) in files
        .iter()
        .filter(|(p, _)| p.extension().is_some_and(|e| e == "parquet"))
    {
        for row in decoded(path) {
            assert!(!row.contains(&secret(alone)), "{}", path.display());
        }
    }
    assert!(!holds(&files, &secret(alone)));
    let json: Vec<_> = files
        .into_iter()
        .filter(|(p, _)| p.extension().is_some_and(|e| e == "json"))
        .collect();
    let bounds = format!("{alone},");
    assert!(!holds(&json, &format!("\"min_person\": {bounds}")));
    assert!(store.verify().await.unwrap().is_ok());
    let again = store.erase(PersonId(alone)).await.unwrap();
    assert_eq!((again.rows, again.snapshot), (0, None));
}

fn decoded(path: &std::path::Path) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader
        .build()
        .unwrap()
        .map(|batch| format!("{:?}", batch.unwrap()))
        .collect()
}

#[tokio::test]
async fn the_bytes_of_a_name_are_found_before_and_not_after() {
    let dir = tempfile::tempdir().unwrap();
    // One person per bucket and zstd's weakest level: footers hold each name as a minimum and maximum.
    let layout = columna_store::Layout {
        persons_per_bucket: 1,
        zstd_level: 1,
        ..small()
    };
    let store = Store::create(dir.path().to_str().unwrap(), layout)
        .await
        .unwrap();
    fill(&store, 6).await;
    assert!(
        holds(&all_files(dir.path()), &secret(4)),
        "the search must be able to find it"
    );
    store.erase(PersonId(4)).await.unwrap();
    assert!(
        holds(&all_files(dir.path()), &secret(4)),
        "older snapshots still have it"
    );
    store.vacuum(&VacuumOptions::everything()).await.unwrap();
    let files = all_files(dir.path());
    assert!(!holds(&files, &secret(4)));
    assert!(holds(&files, &secret(3)) && holds(&files, &secret(5)));
    assert!(store.verify().await.unwrap().is_ok());
}

fn keyed(name: &str, columns: &[&str], person_key: Option<&str>, sort: &str) -> TableSpec {
    let fields: Vec<Field> = columns
        .iter()
        .map(|c| Field::new(*c, DataType::Int64, false))
        .collect();
    TableSpec {
        name: name.to_owned(),
        schema: Arc::new(Schema::new(fields)),
        person_key: person_key.map(str::to_owned),
        sort: vec![sort.to_owned()],
        bloom: vec![],
    }
}

#[tokio::test]
async fn rows_that_belong_to_a_person_through_a_note_leave_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 12).await;
    let notes = keyed(
        "note",
        &["person_id", "note_id"],
        Some("person_id"),
        "person_id",
    );
    let findings = keyed("note_nlp", &["note_id", "note_nlp_id"], None, "note_id");
    let rows = |spec: &TableSpec, left: Vec<i64>, right: Vec<i64>| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(left)),
            Arc::new(Int64Array::from(right)),
        ];
        vec![Ok(
            RecordBatch::try_new(Arc::clone(&spec.schema), columns).unwrap()
        )]
    };
    let mut tx = store.begin().await.unwrap();
    tx.declare_table(notes.clone()).unwrap();
    tx.declare_table(findings.clone()).unwrap();
    let bucket = Some(tx.buckets().bucket_of(1));
    let mut some = rows(&notes, vec![1, 2, 2], vec![70, 71, 72]).into_iter();
    tx.append_run("note", bucket, &mut some).unwrap();
    let mut some = rows(&findings, vec![70, 70, 71, 72, 72], vec![1, 2, 3, 4, 5]).into_iter();
    tx.append_run("note_nlp", None, &mut some).unwrap();
    tx.commit(APPEND).await.unwrap();
    let report = store.erase(PersonId(2)).await.unwrap();
    let of = |name: &str| {
        report
            .tables
            .iter()
            .find(|t| t.name == name)
            .map(|t| t.rows)
    };
    assert_eq!((of("note"), of("note_nlp")), (Some(2), Some(3)));
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(snapshot.table("note_nlp").unwrap().rows, 2);
}

#[tokio::test]
async fn relations_and_costs_of_a_person_leave_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 12).await;
    let facts = [
        "domain_concept_id_1",
        "fact_id_1",
        "domain_concept_id_2",
        "fact_id_2",
    ];
    let related = keyed("fact_relationship", &facts, None, "fact_id_1");
    let cost = keyed("cost", &["cost_id", "cost_event_id"], None, "cost_id");
    let cost = cost.with_extra_columns([Field::new("cost_domain_id", DataType::Utf8, true)]);
    let mut tx = store.begin().await.unwrap();
    tx.declare_table(related.clone()).unwrap();
    tx.declare_table(cost.clone()).unwrap();
    // Person 3 is the mother of 4; 5 and 6 are siblings; 3 is also the number of somebody's condition.
    let longs = |values: [i64; 4]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    let columns = vec![
        longs([56, 56, 19, 56]),
        longs([3, 4, 3, 5]),
        longs([56; 4]),
        longs([4, 3, 9, 6]),
    ];
    // Ordered by the first fact.
    let order = |c: ArrayRef| {
        arrow::compute::take(&c, &arrow::array::UInt32Array::from(vec![0, 2, 1, 3]), None).unwrap()
    };
    let rows = RecordBatch::try_new(
        Arc::clone(&related.schema),
        columns.into_iter().map(order).collect(),
    )
    .unwrap();
    tx.append_run("fact_relationship", None, &mut [Ok(rows)].into_iter())
        .unwrap();
    let domains =
        arrow::array::StringArray::from(vec!["Condition", "condition", "Drug", "Condition"]);
    // The conditions of person 3 have the numbers 7 and 8.
    let columns: Vec<ArrayRef> = vec![longs([1, 2, 3, 4]), longs([7, 8, 7, 9]), Arc::new(domains)];
    let rows = RecordBatch::try_new(Arc::clone(&cost.schema), columns).unwrap();
    tx.append_run("cost", None, &mut [Ok(rows)].into_iter())
        .unwrap();
    tx.commit(APPEND).await.unwrap();
    let report = store.erase(PersonId(3)).await.unwrap();
    let of = |name: &str| {
        report
            .tables
            .iter()
            .find(|t| t.name == name)
            .map(|t| t.rows)
    };
    assert_eq!((of("fact_relationship"), of("cost")), (Some(2), Some(2)));
    assert_eq!(store.verify().await.unwrap().problems, []);
}

#[tokio::test]
async fn an_erasure_goes_on_top_of_a_writer_in_the_same_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    // A table that the erasure has not seen gets a row of the person while it is under way.
    let mut late = store.begin().await.unwrap();
    late.delete_persons("cohort", &[1]).unwrap();
    let erased = store.erase(PersonId(1)).await.unwrap();
    assert_eq!(erased.rows, 4);
    assert!(
        late.commit(APPEND).await.is_err(),
        "both changed the person's cohorts"
    );
}

#[tokio::test]
async fn vacuum_keeps_what_is_asked_for_and_spares_young_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 12).await;
    for id in 0..4 {
        let tx = store.begin().await.unwrap();
        add_rows(&tx, &[id], 1000 + id * 10).unwrap();
        tx.commit(APPEND).await.unwrap();
    }
    let nothing = store.vacuum(&VacuumOptions::default()).await.unwrap();
    assert_eq!((nothing.snapshots, nothing.files), (0, 0));
    let before = all_files(dir.path()).len();
    let options = VacuumOptions {
        keep: 2,
        dry_run: true,
        ..VacuumOptions::everything()
    };
    let dry = store.vacuum(&options).await.unwrap();
    assert_eq!((dry.snapshots, dry.snapshots_kept), (4, 2));
    assert!(dry.files > 0 && dry.bytes > 0);
    assert_eq!(all_files(dir.path()).len(), before);
    let graceful = VacuumOptions {
        keep: 2,
        grace: Duration::from_secs(3600),
        ..VacuumOptions::everything()
    };
    let spared = store.vacuum(&graceful).await.unwrap();
    assert_eq!(
        (spared.snapshots, spared.files, spared.spared),
        (4, 0, dry.files)
    );
    let done = store
        .vacuum(&VacuumOptions {
            dry_run: false,
            ..options
        })
        .await
        .unwrap();
    assert_eq!((done.snapshots, done.files), (0, dry.files));
    let versions: Vec<u64> = store
        .history()
        .await
        .unwrap()
        .iter()
        .map(|s| s.version)
        .collect();
    assert_eq!(versions, [4, 5]);
    assert_eq!(
        read_conditions(&store, &store.snapshot(Some(4)).await.unwrap()).len(),
        30
    );
    assert_eq!(store.verify().await.unwrap().problems, []);
    // A writer under way is not harmed by a vacuum with grace, and what was dropped is not its business.
    let tx = store.begin().await.unwrap();
    add_rows(&tx, &[5], 9000).unwrap();
    store.vacuum(&graceful).await.unwrap();
    tx.commit(APPEND).await.unwrap();
    assert_eq!(store.verify().await.unwrap().problems, []);
}

#[tokio::test]
async fn vacuum_leaves_strangers_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 5).await;
    let stranger = dir.path().join("tables/person/notes.txt");
    std::fs::write(&stranger, "mine").unwrap();
    store.vacuum(&VacuumOptions::everything()).await.unwrap();
    assert!(stranger.exists());
}

#[tokio::test]
async fn compaction_joins_small_buckets() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 40).await;
    // The last three of four buckets keep eleven persons together.
    let mut tx = store.begin().await.unwrap();
    let gone: Vec<i64> = (21..40).collect();
    for table in ["person", "condition_occurrence", "cohort"] {
        tx.delete_persons(table, &gone).unwrap();
    }
    tx.commit(APPEND).await.unwrap();
    let before = store.snapshot(None).await.unwrap();
    let report = store.compact().await.unwrap();
    let after = store.snapshot(None).await.unwrap();
    assert_eq!(
        (report.split, report.merged, report.snapshot),
        (0, 3, Some(3))
    );
    let ids = |s: &columna_store::Snapshot| -> BTreeSet<u32> {
        s.buckets().iter().map(|b| b.id.0).collect()
    };
    assert_eq!(ids(&before), BTreeSet::from([0, 1, 2, 3]));
    assert_eq!(
        ids(&after),
        BTreeSet::from([0, 4]),
        "the new bucket has a new id"
    );
    assert_eq!(
        read_conditions(&store, &before),
        read_conditions(&store, &after)
    );
    assert_eq!(store.verify().await.unwrap().problems, []);
    assert_eq!(store.compact().await.unwrap().snapshot, None);
}

#[tokio::test]
async fn compaction_divides_a_bucket_that_grew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().to_str().unwrap(), small())
        .await
        .unwrap();
    let people: Vec<i64> = (0..100).map(|p| p * 1000).collect();
    let mut tx = store.begin().await.unwrap();
    add_people(&mut tx, &people, 1).unwrap();
    tx.commit(APPEND).await.unwrap();
    // Many persons between two that are known.
    let between: Vec<i64> = (2_001..2_061).collect();
    let mut tx = store.begin().await.unwrap();
    add_people(&mut tx, &between, 5000).unwrap();
    let before = tx.commit(APPEND).await.unwrap();
    let report = store.compact().await.unwrap();
    assert_eq!((report.split, report.merged), (1, 0));
    let after = store.snapshot(None).await.unwrap();
    assert_eq!(after.buckets().len(), before.buckets().len() + 6);
    assert!(
        after.buckets().iter().all(|b| b.persons <= 20),
        "{:?}",
        after.buckets()
    );
    assert_eq!(
        read_conditions(&store, &before),
        read_conditions(&store, &after)
    );
    for table in ["person", "condition_occurrence", "cohort"] {
        let (old, new) = (before.table(table).unwrap(), after.table(table).unwrap());
        assert_eq!(old.rows, new.rows, "{table}");
        assert_eq!(new.files.len(), after.buckets().len(), "{table}");
    }
    assert_eq!(store.verify().await.unwrap().problems, []);
}
