//! A query lists nothing, and opens no file that it cannot need.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::clinic::{Settings, Shape, plan, rows};
use super::counting::Counting;
use crate::{Operation, Snapshot, Store};

const SETTINGS: Settings = Settings {
    target_partitions: 2,
    pushdown_filters: true,
    collect_small: true,
    prefer_hash_join: true,
};

fn shape() -> Shape {
    Shape {
        persons: (0..80).collect(),
        rows: (0..80).map(|p: usize| [1 + p % 3, p % 2, 1]).collect(),
        persons_per_bucket: 10,
        row_group_rows: 8,
    }
}

async fn counted() -> (Arc<Counting>, Store, Snapshot) {
    let files = Arc::new(Counting::default());
    let (store, snapshot) = shape().store(Arc::clone(&files) as _).await;
    files.take();
    (files, store, snapshot)
}

fn files_in(plan: &str) -> usize {
    plan.matches(".parquet").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_is_one_file() {
    let (files, store, snapshot) = counted().await;
    let ctx = SETTINGS.session(&store, &snapshot);
    let query = "SELECT * FROM cond WHERE person_id = 7";
    let explained = plan(&ctx, query).await;
    assert_eq!(files_in(&explained), 1, "{explained}");
    // Still eight partitions: an empty one stands for persons of which nothing is wanted.
    assert!(explained.contains("file_groups={8 groups"), "{explained}");
    assert_eq!(files.take(), (0, 0, 0), "planning reads nothing");
    assert_eq!(rows(&ctx, query).await.len(), 2);
    let (heads, reads, lists) = files.take();
    assert_eq!((heads, lists), (0, 0));
    // Footer, page index, bloom filter and columns of the one file; the eight files would be six times eight.
    assert!((1..=8).contains(&reads), "{reads} reads of one file");
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_prune_however_they_are_named() {
    let (_, store, snapshot) = counted().await;
    let ctx = SETTINGS.session(&store, &snapshot);
    for (condition, expected) in [
        ("person_id IN (7, 8, 71)", 2),
        ("person_id BETWEEN 25 AND 34", 2),
        ("person_id < 10", 1),
        ("person_id = 7 OR person_id = 77", 2),
        ("person_id = 7 AND cond_concept = 2", 1),
        ("person_id = 7 OR cond_concept = 2", 8),
        ("c.person_id >= 70 AND c.person_id <> 3", 1),
        ("person_id = 1000", 0),
        ("person_id IS NULL", 0),
    ] {
        let query = format!("SELECT cond_id, person_id FROM cond AS c WHERE {condition}");
        let explained = plan(&ctx, &query).await;
        assert_eq!(files_in(&explained), expected, "{condition}\n{explained}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_counts() {
    let (files, store, snapshot) = counted().await;
    let ctx = SETTINGS.session(&store, &snapshot);
    let query = "SELECT count(*), min(person_id), max(person_id) FROM cond";
    assert_eq!(rows(&ctx, query).await, ["159|0|79"]);
    assert_eq!(files.take(), (0, 0, 0), "no file is opened to count");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_statistics_files_are_read_to_count() {
    let (files, store, snapshot) = counted().await;
    let ctx = SETTINGS.session(&store, &snapshot);
    let table = super::super::SnapshotTable::new(&store, &snapshot, "cond").unwrap();
    ctx.register_table("hidden", Arc::new(table.with_statistics(false)))
        .unwrap();
    assert_eq!(
        rows(&ctx, "SELECT count(*), max(person_id) FROM hidden").await,
        ["159|79"]
    );
    assert!(files.take().1 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn footers_are_read_once() {
    let (files, store, snapshot) = counted().await;
    let ctx = SETTINGS.session(&store, &snapshot);
    let query = "SELECT sum(cond_concept) FROM cond";
    rows(&ctx, query).await;
    let first = files.take();
    rows(&ctx, query).await;
    let second = files.take();
    assert_eq!((first.0, first.2, second.0, second.2), (0, 0, 0, 0));
    assert!(second.1 < first.1, "{second:?} after {first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_person_a_scan_is_split_freely() {
    let (_, store, snapshot) = counted().await;
    let ctx = SETTINGS.session(&store, &snapshot);
    let explained = plan(&ctx, "SELECT cond_concept FROM cond").await;
    assert!(!explained.contains("Range("), "{explained}");
    assert!(explained.contains("file_groups={2 groups"), "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn older_files_lack_a_later_column() {
    let (_, store, _) = counted().await;
    let mut tx = store.begin().await.unwrap();
    let person = shape().tables().remove(0).spec;
    let wider = person.with_extra_columns([Field::new("postcode", DataType::Utf8, true)]);
    tx.declare_table(wider).unwrap();
    let operation = Operation::Append {
        read: 0,
        stored: 0,
        rejected: 0,
    };
    let snapshot = tx.commit(operation).await.unwrap();
    let ctx = SETTINGS.session(&store, &snapshot);
    let query = "SELECT count(*), count(postcode), count(DISTINCT person_id) FROM person";
    assert_eq!(rows(&ctx, query).await, ["80|0|80"]);
    let filtered = "SELECT person_id FROM person WHERE postcode IS NULL AND person_id < 3";
    assert_eq!(rows(&ctx, filtered).await, ["0", "1", "2"]);
    assert_eq!(
        rows(&ctx, "SELECT person_id FROM person WHERE postcode = 'x'")
            .await
            .len(),
        0
    );
}
