//! Several writers at once: one wins, the others go on top or say why not, and nothing is lost.

use std::collections::BTreeSet;

use columna_store::{DeliveredFile, Delivery, Error, Operation};

use crate::fixture::*;

#[tokio::test]
async fn writers_of_different_buckets_both_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let (one, two) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    add_rows(&one, &[1], 500).unwrap();
    add_rows(&two, &[33], 600).unwrap();
    let first = one.commit(APPEND).await.unwrap();
    let second = two.commit(APPEND).await.unwrap();
    assert_eq!((first.version(), second.version()), (2, 3));
    assert_eq!(second.parent().unwrap().blake3, first.hash());
    assert_eq!(read_conditions(&store, &second).len(), 74);
}

#[tokio::test]
async fn the_second_writer_of_a_bucket_is_told_who_won() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let (one, two) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    add_rows(&one, &[1], 500).unwrap();
    add_rows(&two, &[2], 600).unwrap();
    one.commit(Operation::Erase { rows: 0 }).await.unwrap();
    let before = all_files(&dir.path().join("tables")).len();
    let error = two.commit(APPEND).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { version: 2, .. }) && error.is_user());
    let message = error.to_string();
    assert!(
        message.contains("snapshot 2 (erase)") && message.contains("run it again"),
        "{message}"
    );
    assert_eq!(
        all_files(&dir.path().join("tables")).len(),
        before - 3,
        "the loser's files are gone"
    );
    assert_eq!(
        read_conditions(&store, &store.snapshot(None).await.unwrap()).len(),
        72
    );
}

#[tokio::test]
async fn two_that_open_buckets_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let mut transactions = [store.begin().await.unwrap(), store.begin().await.unwrap()];
    for (tx, from) in transactions.iter_mut().zip([1000, 2000]) {
        let people: Vec<i64> = (from..from + 40).collect();
        add_people(tx, &people, from * 10).unwrap();
    }
    let [one, two] = transactions;
    one.commit(APPEND).await.unwrap();
    assert!(matches!(
        two.commit(APPEND).await,
        Err(Error::Conflict { .. })
    ));
}

#[tokio::test]
async fn a_writer_whose_persons_moved_to_a_new_bucket_conflicts() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let mut opener = store.begin().await.unwrap();
    let people: Vec<i64> = (1000..1040).collect();
    add_people(&mut opener, &people, 1000).unwrap();
    // Without opening buckets, a far person falls into the last one there is.
    let far = store.begin().await.unwrap();
    let bucket = far.buckets().bucket_of(1039);
    far.append_run(
        "cohort",
        Some(bucket),
        &mut cohort_rows(&[1039]).into_iter(),
    )
    .unwrap();
    opener.commit(APPEND).await.unwrap();
    assert!(matches!(
        far.commit(APPEND).await,
        Err(Error::Conflict { .. })
    ));
}

#[tokio::test]
async fn both_may_add_columns() {
    use arrow::datatypes::{DataType, Field};
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 5).await;
    let mut transactions = [store.begin().await.unwrap(), store.begin().await.unwrap()];
    for (tx, column) in transactions.iter_mut().zip(["ward", "bed"]) {
        tx.declare_table(persons().with_extra_columns([Field::new(column, DataType::Utf8, true)]))
            .unwrap();
    }
    let [one, two] = transactions;
    one.commit(APPEND).await.unwrap();
    let both = two.commit(APPEND).await.unwrap();
    let schema = &both.table("person").unwrap().spec.schema;
    assert!(schema.index_of("ward").is_ok() && schema.index_of("bed").is_ok());
}

#[tokio::test]
async fn the_same_delivery_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let mut transactions = [store.begin().await.unwrap(), store.begin().await.unwrap()];
    for (tx, person) in transactions.iter_mut().zip([1, 33]) {
        add_rows(tx, &[person], 500).unwrap();
        let file = DeliveredFile {
            name: "person.csv".to_owned(),
            bytes: 1,
            blake3: "same".to_owned(),
        };
        tx.add_delivery(Delivery::new("twice", vec![file]));
    }
    let [one, two] = transactions;
    one.commit(APPEND).await.unwrap();
    assert!(matches!(
        two.commit(APPEND).await,
        Err(Error::Conflict { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_lose_nothing() {
    const WRITERS: i64 = 8;
    const ROUNDS: i64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 40).await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = Vec::new();
                for round in 0..ROUNDS {
                    // Half of the writers share a bucket with another one.
                    let person = (writer * 5 + round) % 40;
                    let id = 1000 + writer * 100 + round * 2;
                    loop {
                        let tx = store.begin().await.unwrap();
                        add_rows(&tx, &[person], id).unwrap();
                        match tx.commit(APPEND).await {
                            Ok(_) => break,
                            Err(Error::Conflict { .. }) => {}
                            Err(other) => unreachable!("{other}"),
                        }
                    }
                    done.extend([id, id + 1]);
                }
                done
            })
        })
        .collect();
    let mut expected: BTreeSet<i64> = BTreeSet::new();
    for task in tasks {
        expected.extend(task.await.unwrap());
    }
    let last = store.snapshot(None).await.unwrap();
    assert_eq!(last.version(), 1 + u64::try_from(WRITERS * ROUNDS).unwrap());
    let rows = read_conditions(&store, &last);
    assert_eq!(rows.len(), 80 + expected.len());
    let stored: BTreeSet<i64> = rows.iter().map(|r| r.2).filter(|id| *id >= 1000).collect();
    assert_eq!(stored, expected);
    assert!(rows.windows(2).all(|w| w[0] <= w[1]));
}
