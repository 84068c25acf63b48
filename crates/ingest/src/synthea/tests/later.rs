//! A delivery behind another: numbers go on, and known patients keep theirs.

use arrow::error::ArrowError;
use columna_model::BucketId;
use columna_store::{Layout, Operation, Store};

use super::*;

/// The store has ann as 41, her encounter e1 as 700, the hospital as 5 and the place as 9.
fn stored() -> Stored {
    let mut stored = Stored::default();
    stored.index.persons.known(b"ann", 41);
    stored.index.care_sites.known(b"o1", 5);
    stored
        .index
        .locations
        .known(b"Boston|Massachusetts|Suffolk|02115", 9);
    stored.index.known_visit(b"e1", 700).unwrap();
    stored.index.visits_at_least(900).unwrap();
    stored.highest.insert("condition_occurrence", 1000);
    stored.highest.insert("observation_period", 50);
    stored
}

const CONDITIONS: &str = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n\
    2019-05-01,,ann,e1,1,x\n2019-05-01,,bob,e3,1,x\n";

#[test]
fn known_patients_keep_their_number() {
    let files = with("conditions.csv", CONDITIONS);
    let output = try_read(&files, stored(), &IngestOptions::default()).unwrap();
    let columns = [
        "condition_occurrence_id",
        "person_id",
        "visit_occurrence_id",
    ];
    assert_eq!(
        output.rows("condition_occurrence", &columns),
        [["1001", "41", "700"], ["1002", "42", "902"]]
    );
    // ann, her first encounter and the hospital are there already.
    let refused: Vec<_> = output
        .rejects
        .iter()
        .map(|(file, line, _, reason)| (file.as_str(), *line, reason.as_str()))
        .collect();
    let expected = [
        ("encounters.csv", 2, "stored by an earlier delivery"),
        ("organizations.csv", 2, "stored by an earlier delivery"),
        ("patients.csv", 2, "stored by an earlier delivery"),
    ];
    assert_eq!(refused, expected);
    assert_eq!(
        output.rows("person", &["person_id", "location_id"]),
        [["42", "9"]]
    );
    assert_eq!(output.rows("location", &["location_id"]), [["10"]]);
    assert_eq!(
        output.rows("visit_occurrence", &["visit_occurrence_id", "care_site_id"]),
        [["901", "5"], ["902", "5"]]
    );
    assert_eq!(
        output.rows(
            "observation_period",
            &["observation_period_id", "person_id"]
        ),
        [["51", "41"], ["52", "42"]]
    );
}

#[test]
fn replacing_stores_them_again_under_their_number() {
    let options = IngestOptions {
        replace: true,
        ..IngestOptions::default()
    };
    let output = try_read(&base(), stored(), &options).unwrap();
    assert!(output.rejects.is_empty());
    assert_eq!(output.rows("person", &["person_id"]), [["41"], ["42"]]);
    assert_eq!(output.rows("location", &["location_id"]), [["9"], ["10"]]);
}

/// What one delivery stored is what the next one finds.
#[tokio::test]
async fn the_store_tells_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(
        folder.path().join("store").to_str().unwrap(),
        Layout::default(),
    )
    .await
    .unwrap();
    let first = read(&with("conditions.csv", CONDITIONS));
    let mut transaction = store.begin().await.unwrap();
    transaction.open_buckets(&mut [1, 2].into_iter()).unwrap();
    for (name, batch) in first.tables {
        let spec = first.specs[&name].clone();
        let bucket: Option<BucketId> = spec
            .is_bucketed()
            .then(|| transaction.buckets().bucket_of(1));
        transaction.declare_table(spec).unwrap();
        let mut batches = std::iter::once(Ok::<_, ArrowError>(batch));
        transaction.append_run(&name, bucket, &mut batches).unwrap();
    }
    let snapshot = transaction
        .commit(Operation::Ingest {
            read: 0,
            stored: 0,
            rejected: 0,
        })
        .await
        .unwrap();

    let stored = Stored::read(&store, &snapshot).await.unwrap();
    assert_eq!(stored.index.persons.get(b"bob"), Some(2));
    assert_eq!(stored.index.visit(b"e3").map(|visit| visit.id), Some(3));
    assert_eq!(stored.highest["condition_occurrence"], 2);
    let patients = format!(
        "{}cid,2000-01-01,,,,,,asian,nonhispanic,M,,Boston,MA,,02115\n",
        &PATIENTS[..PATIENTS.find("ann").unwrap()]
    );
    let encounters = "Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,ENCOUNTERCLASS\n\
        e4,2021-05-01T08:00:00Z,,cid,o1,p1,home\ne5,2021-05-01T08:00:00Z,,bob,o1,p1,hospice\n";
    let conditions =
        "START,STOP,PATIENT,ENCOUNTER,CODE\n2021-05-01,,bob,e1,1\n2021-05-01,,cid,e4,1\n";
    let files = [
        ("patients.csv", patients),
        ("encounters.csv", encounters.to_owned()),
        ("conditions.csv", conditions.to_owned()),
    ];
    let second = try_read(&files, stored, &IngestOptions::default()).unwrap();
    assert!(second.rejects.is_empty(), "{:?}", second.rejects);
    assert_eq!(
        second.rows("person", &["person_id", "location_id"]),
        [["3", "2"]]
    );
    let columns = [
        "visit_occurrence_id",
        "person_id",
        "visit_concept_id",
        "provider_id",
        "care_site_id",
    ];
    assert_eq!(
        second.rows("visit_occurrence", &columns),
        [["4", "3", "581476", "1", "1"], ["5", "2", "8546", "1", "1"]]
    );
    let columns = [
        "condition_occurrence_id",
        "person_id",
        "visit_occurrence_id",
    ];
    assert_eq!(
        second.rows("condition_occurrence", &columns),
        [["3", "2", "1"], ["4", "3", "4"]]
    );
}
