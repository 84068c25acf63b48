//! Creating, appending, and what a snapshot says of it.

use columna_store::{DeliveredFile, Delivery, Error, Layout, Store};
use object_store::ObjectStoreExt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::fixture::*;

fn is_ordered(rows: &[(i64, i32, i64)]) -> bool {
    rows.windows(2).all(|w| w[0] <= w[1])
}

#[tokio::test]
async fn an_empty_store_opens() {
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("new/store").display().to_string();
    assert!(!Store::exists(&url).await.unwrap());
    assert!(matches!(
        Store::open(&url).await,
        Err(Error::NotAStore { .. })
    ));
    Store::create(&url, small()).await.unwrap();
    assert!(Store::exists(&url).await.unwrap());
    assert!(matches!(
        Store::create(&url, small()).await,
        Err(Error::AlreadyAStore { .. })
    ));
    let store = Store::open(&format!("file://{url}")).await.unwrap();
    assert_eq!(store.layout(), small());
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(
        (snapshot.version(), snapshot.tables().len(), snapshot.rows()),
        (0, 0, 0)
    );
    assert!(snapshot.parent().is_none());
}

#[tokio::test]
async fn a_folder_with_other_things_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.docx"), "x").unwrap();
    let made = Store::create(dir.path().to_str().unwrap(), Layout::default()).await;
    assert!(matches!(made, Err(Error::NotEmpty { .. })));
}

#[tokio::test]
async fn unknown_schemes_and_bad_options_are_the_users_to_mend() {
    let error = Store::open("gopher://x/y").await.unwrap_err();
    assert!(error.is_user(), "{error}");
    let layout = Layout {
        zstd_level: 99,
        ..small()
    };
    assert!(
        Store::create("/tmp/never-made", layout)
            .await
            .unwrap_err()
            .is_user()
    );
}

#[tokio::test]
async fn a_delivery_is_bucketed_sorted_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(snapshot.version(), 1);
    assert_eq!(snapshot.buckets().len(), 4);
    let table = snapshot.table("condition_occurrence").unwrap();
    assert_eq!((table.rows, table.files.len()), (70, 4));
    for file in &table.files {
        let (min, max) = (file.min_person.unwrap(), file.max_person.unwrap());
        assert!(snapshot.buckets().holds(file.bucket.unwrap(), min, max));
        let bytes = std::fs::read(on_disk(&store, &file.path)).unwrap();
        assert_eq!(bytes.len() as u64, file.bytes);
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), file.blake3);
        let found = store
            .object_store()
            .get(&store.location(file))
            .await
            .unwrap();
        assert_eq!(found.bytes().await.unwrap(), bytes);
    }
    let rows = read_conditions(&store, &snapshot);
    assert_eq!(rows.len(), 70);
    assert!(is_ordered(&rows));
    assert_eq!(snapshot.table("concept").unwrap().files[0].bucket, None);
}

#[tokio::test]
async fn footers_declare_order_page_index_and_bloom_filters() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 100).await;
    let snapshot = store.snapshot(None).await.unwrap();
    let table = snapshot.table("condition_occurrence").unwrap();
    let file = std::fs::File::open(on_disk(&store, &table.files[0].path)).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let group = reader.metadata().row_group(0);
    let sorting: Vec<i32> = group
        .sorting_columns()
        .unwrap()
        .iter()
        .map(|s| s.column_idx)
        .collect();
    assert_eq!(sorting, [1, 3, 0]);
    assert!(
        group
            .sorting_columns()
            .unwrap()
            .iter()
            .all(|s| !s.descending && !s.nulls_first)
    );
    let has_bloom: Vec<bool> = group
        .columns()
        .iter()
        .map(|c| c.bloom_filter_offset().is_some())
        .collect();
    assert_eq!(has_bloom, [false, true, true, false, false]);
    assert!(
        group
            .columns()
            .iter()
            .all(|c| c.column_index_offset().is_some())
    );
    // Ten persons need no more than the smallest filters.
    let bloom: i32 = group
        .columns()
        .iter()
        .filter_map(|c| c.bloom_filter_length())
        .sum();
    assert!(bloom < 512, "{bloom} bytes of bloom filters");
}

#[tokio::test]
async fn a_later_delivery_merges_into_known_buckets_and_opens_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let before = store.snapshot(None).await.unwrap();
    let people: Vec<i64> = (3..8).chain(1000..1040).collect();
    let mut tx = store.begin().await.unwrap();
    add_people(&mut tx, &people, 10_000).unwrap();
    let after = tx.commit(APPEND).await.unwrap();
    let (old, new) = (
        before.buckets().split_points(),
        after.buckets().split_points(),
    );
    assert_eq!(new[..old.len()], old[..]);
    assert!(new.len() > old.len());
    let rows = read_conditions(&store, &after);
    assert_eq!(rows.len(), 70 + 2 * people.len());
    assert!(is_ordered(&rows));
    // What was not touched is referred to again: the vocabulary, and the buckets between.
    assert_eq!(before.table("concept"), after.table("concept"));
    let paths = |s: &columna_store::Snapshot| -> Vec<String> {
        s.table("person")
            .unwrap()
            .files
            .iter()
            .map(|f| f.path.clone())
            .collect()
    };
    assert_eq!(paths(&before)[1..3], paths(&after)[1..3]);
    assert_ne!(paths(&before)[0], paths(&after)[0]);
    // The old snapshot still reads as it was, and the chain holds.
    assert_eq!(
        read_conditions(&store, &store.snapshot(Some(1)).await.unwrap()).len(),
        70
    );
    assert_eq!(after.parent().unwrap().blake3, before.hash());
    let history = store.history().await.unwrap();
    assert_eq!(
        history.iter().map(|s| s.version).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(history[2].hash, after.hash());
    assert!(matches!(
        store.snapshot(Some(9)).await,
        Err(Error::NoSuchSnapshot { newest: 2, .. })
    ));
}

#[tokio::test]
async fn one_place_can_be_appended_to_twice_and_leaves_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 8).await;
    let tx = store.begin().await.unwrap();
    let bucket = Some(tx.buckets().bucket_of(0));
    let first = tx
        .append_run(
            "condition_occurrence",
            bucket,
            &mut condition_rows(&[1, 5], 500).into_iter(),
        )
        .unwrap();
    assert_eq!((first.rows, first.added), (20, 4));
    let second = tx
        .append_run(
            "condition_occurrence",
            bucket,
            &mut condition_rows(&[0, 2], 600).into_iter(),
        )
        .unwrap();
    assert_eq!((second.rows, second.added), (24, 4));
    let snapshot = tx.commit(APPEND).await.unwrap();
    assert!(is_ordered(&read_conditions(&store, &snapshot)));
    let files = all_files(&dir.path().join("tables/condition_occurrence"));
    assert_eq!(files.len(), 2, "the first delivery's file, and this one's");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 8).await;
    let before = all_files(dir.path()).len();
    let mut tx = store.begin().await.unwrap();
    add_people(&mut tx, &[100, 101], 900).unwrap();
    assert!(all_files(dir.path()).len() > before);
    drop(tx);
    assert_eq!(all_files(dir.path()).len(), before);
    assert_eq!(store.snapshot(None).await.unwrap().version(), 1);
}

#[tokio::test]
async fn rows_out_of_order_are_the_engines_fault() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 8).await;
    let before = all_files(dir.path()).len();
    let tx = store.begin().await.unwrap();
    let bucket = Some(tx.buckets().bucket_of(0));
    let within = tx.append_run("person", bucket, &mut person_rows(&[7, 6]).into_iter());
    let mut across = person_rows(&[7]);
    across.extend(person_rows(&[6]));
    let across = tx.append_run("person", bucket, &mut across.into_iter());
    for error in [within.unwrap_err(), across.unwrap_err()] {
        assert!(matches!(error, Error::OutOfOrder { .. }), "{error}");
        assert!(!error.is_user());
    }
    drop(tx);
    assert_eq!(all_files(dir.path()).len(), before);
}

#[tokio::test]
async fn rows_of_another_bucket_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let tx = store.begin().await.unwrap();
    let bucket = Some(tx.buckets().bucket_of(0));
    let error = tx
        .append_run("person", bucket, &mut person_rows(&[34]).into_iter())
        .unwrap_err();
    assert!(matches!(error, Error::OutsideBucket { .. }), "{error}");
    assert!(
        tx.append_run("person", None, &mut person_rows(&[1]).into_iter())
            .is_err()
    );
    assert!(
        tx.append_run("concept", bucket, &mut concept_rows(0..1).into_iter())
            .is_err()
    );
}

#[tokio::test]
async fn a_wider_delivery_adds_columns() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let mut tx = store.begin().await.unwrap();
    let wide = conditions().with_extra_columns([Field::new("ward", DataType::Utf8, false)]);
    tx.declare_table(wide).unwrap();
    let bucket = Some(tx.buckets().bucket_of(0));
    tx.append_run(
        "condition_occurrence",
        bucket,
        &mut condition_rows(&[1], 900).into_iter(),
    )
    .unwrap();
    let snapshot = tx.commit(APPEND).await.unwrap();
    let schema = &snapshot.table("condition_occurrence").unwrap().spec.schema;
    assert!(schema.field_with_name("ward").unwrap().is_nullable());
    let mut tx = store.begin().await.unwrap();
    let other = conditions().with_extra_columns([Field::new("ward", DataType::Int64, true)]);
    let error = tx.declare_table(other).unwrap_err();
    assert!(matches!(error, Error::ColumnType { .. }) && error.is_user());
}

#[tokio::test]
async fn persons_leave_a_table_before_new_rows_come() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let mut tx = store.begin().await.unwrap();
    tx.delete_persons("condition_occurrence", &[34, 2, 3, 999])
        .unwrap();
    add_conditions(&tx, &[3], 900);
    let snapshot = tx.commit(APPEND).await.unwrap();
    let rows = read_conditions(&store, &snapshot);
    assert_eq!(rows.len(), 70 - 6 + 2);
    assert!(rows.iter().all(|r| r.0 != 2 && r.0 != 34));
    assert!(rows.iter().filter(|r| r.0 == 3).all(|r| r.2 >= 900));

    let mut tx = store.begin().await.unwrap();
    tx.clear_table("condition_occurrence").unwrap();
    tx.clear_table("concept").unwrap();
    add_conditions(&tx, &[3], 900);
    let snapshot = tx.commit(APPEND).await.unwrap();
    assert_eq!(read_conditions(&store, &snapshot).len(), 2);
    assert_eq!(snapshot.table("concept").unwrap().rows, 0);
    assert_eq!(snapshot.table("person").unwrap().rows, 35);
}

fn add_conditions(tx: &columna_store::Transaction, people: &[i64], first_id: i64) {
    for (bucket, here) in by_bucket(tx, people) {
        let mut rows = condition_rows(&here, first_id).into_iter();
        tx.append_run("condition_occurrence", Some(bucket), &mut rows)
            .unwrap();
    }
}

#[tokio::test]
async fn deliveries_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 5).await;
    let mut tx = store.begin().await.unwrap();
    let file = DeliveredFile {
        name: "person.csv".to_owned(),
        bytes: 12,
        blake3: "ab".to_owned(),
    };
    tx.add_delivery(Delivery::new("second", vec![file.clone()]));
    let snapshot = tx.commit(APPEND).await.unwrap();
    let names: Vec<(&str, u64)> = snapshot
        .deliveries()
        .iter()
        .map(|d| (d.name.as_str(), d.snapshot))
        .collect();
    assert_eq!(names, [("first", 1), ("second", 2)]);
    assert_eq!(snapshot.deliveries()[1].files, [file]);
}

#[tokio::test]
async fn any_object_store_will_do() {
    let memory: Arc<dyn object_store::ObjectStore> =
        Arc::new(object_store::memory::InMemory::new());
    let prefix = object_store::path::Path::from("hospital/store");
    let on = Arc::clone(&memory);
    let store = Store::create_on(on, prefix.clone(), "memory://hospital/store", small())
        .await
        .unwrap();
    fill(&store, 35).await;
    let mut tx = store.begin().await.unwrap();
    add_people(&mut tx, &[1, 2, 77], 500).unwrap();
    tx.delete_persons("person", &[5]).unwrap();
    tx.commit(APPEND).await.unwrap();
    let store = Store::open_on(memory, prefix, "memory://hospital/store")
        .await
        .unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(snapshot.table("condition_occurrence").unwrap().rows, 76);
    assert_eq!(snapshot.table("person").unwrap().rows, 37);
    for file in snapshot.tables().flat_map(|t| &t.files) {
        let found = store
            .object_store()
            .get(&store.location(file))
            .await
            .unwrap();
        let bytes = found.bytes().await.unwrap();
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), file.blake3);
    }
}
