//! Encryption at rest: nothing of a value is in the clear, and without the key nothing opens.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use columna_model::PersonId;
use columna_store::scan::SnapshotTable;
use columna_store::{
    Encryption, Error, FileKeys, Operation, Secret, Store, TableVersion, VacuumOptions,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::fixture::*;

/// A key source of versions that are each one byte, repeated.
#[derive(Clone)]
pub(crate) struct Ring(Vec<(&'static str, u32, u8)>);

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ring")
    }
}

impl FileKeys for Ring {
    fn secret(&self, name: &str, version: Option<u32>) -> Result<Secret, String> {
        let mut known = self.0.iter();
        let found = known.rfind(|(n, v, _)| *n == name && version.is_none_or(|w| w == *v));
        let (_, version, byte) = found.ok_or(format!("the ring has no key `{name}`"))?;
        Ok(Secret {
            version: *version,
            bytes: vec![*byte; 32].into(),
        })
    }
}

fn ring() -> Ring {
    Ring(vec![("store", 1, 7), ("store", 2, 8)])
}

pub(crate) fn first() -> Ring {
    Ring(vec![("store", 1, 7)])
}

fn parts(words: &str) -> Vec<String> {
    words.split(',').map(str::to_owned).collect()
}

/// People far apart, so that a number's bytes are no accident.
fn people() -> Vec<i64> {
    (0..35).map(|i| 7_000_123_457 + i * 1_009).collect()
}

async fn encrypted_clinic(folder: &Path, words: &str) -> Store {
    let store = Store::create(folder.to_str().unwrap(), small())
        .await
        .unwrap();
    let store = store.with_keys(Arc::new(first()));
    let encryption = Encryption::new(&parts(words), &first(), "store", None).unwrap();
    store.encrypt(Some(encryption)).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    add_people(&mut tx, &people(), 1).unwrap();
    tx.append_run("concept", None, &mut concept_rows(0..50).into_iter())
        .unwrap();
    tx.commit(APPEND).await.unwrap();
    store
}

fn occurs(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|w| w == what)
}

/// Whether a person is to be found: by name, or by number as text, in either byte order, and in the bases that
/// Parquet and JSON know.
fn found(folder: &Path, tables: &[&str], person: i64, name: bool, number: bool) -> Vec<String> {
    let zigzag = {
        let mut left = (person << 1).unsigned_abs();
        let mut bytes = Vec::new();
        while left >= 0x80 {
            bytes.push(u8::try_from(left & 0x7f).unwrap() | 0x80);
            left >>= 7;
        }
        bytes.push(u8::try_from(left).unwrap());
        bytes
    };
    let mut forms = Vec::new();
    if name {
        let text = secret(person);
        forms.push(text.as_bytes()[..12].to_vec());
        forms.push(text.to_uppercase().into_bytes());
        forms.push(text.bytes().rev().collect());
    }
    if number {
        forms.push(person.to_string().into_bytes());
        forms.push(format!("{person:x}").into_bytes());
        forms.push(person.to_le_bytes()[..5].to_vec());
        forms.push(person.to_be_bytes()[3..].to_vec());
        forms.push(zigzag);
    }
    let mut places = Vec::new();
    for (path, bytes) in all_files(folder) {
        let text = path.display().to_string();
        let in_question =
            tables.is_empty() || tables.iter().any(|t| text.contains(&format!("/{t}/")));
        if in_question && forms.iter().any(|form| occurs(&bytes, form)) {
            places.push(text);
        }
    }
    places
}

async fn count(store: &Store, sql: &str) -> Result<i64, String> {
    let snapshot = store.snapshot(None).await.unwrap();
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3));
    for (name, table) in SnapshotTable::all(store, &snapshot) {
        context.register_table(name, Arc::new(table)).unwrap();
    }
    let told = |e: datafusion::error::DataFusionError| e.to_string();
    let rows = context
        .sql(sql)
        .await
        .map_err(told)?
        .collect()
        .await
        .map_err(told)?;
    Ok(rows[0].column(0).as_primitive::<Int64Type>().value(0))
}

#[tokio::test]
async fn no_value_is_in_the_clear_in_any_form() {
    // The same search finds them where nothing is encrypted: in dictionaries, statistics, indexes, manifests.
    let plain = tempfile::tempdir().unwrap();
    let store = Store::create(plain.path().to_str().unwrap(), small())
        .await
        .unwrap();
    let mut tx = store.begin().await.unwrap();
    add_people(&mut tx, &people(), 1).unwrap();
    tx.commit(APPEND).await.unwrap();
    let seen = |folder: &Path| {
        let all = people().into_iter();
        all.filter(|&p| !found(folder, &[], p, true, true).is_empty())
            .count()
    };
    assert!(seen(plain.path()) > 5, "the search must be able to find");

    let dir = tempfile::tempdir().unwrap();
    let store = encrypted_clinic(dir.path(), "all").await;
    for person in people() {
        assert_eq!(
            found(dir.path(), &[], person, true, true),
            Vec::<String>::new()
        );
    }
    // Nor can other programs open the files, or see that there are columns.
    let snapshot = store.snapshot(None).await.unwrap();
    for file in snapshot.tables().flat_map(|t| &t.files) {
        let bytes = std::fs::read(on_disk(&store, &file.path)).unwrap();
        assert_eq!(
            &bytes[..4],
            b"PARE",
            "encrypted from the first byte to the footer"
        );
        for name in ["person_id", "condition_source_value", "concept_name"] {
            assert!(!occurs(&bytes, name.as_bytes()), "{name}");
        }
        let opened = std::fs::File::open(on_disk(&store, &file.path)).unwrap();
        assert!(ParquetRecordBatchReaderBuilder::try_new(opened).is_err());
    }
}

#[tokio::test]
async fn with_the_key_everything_is_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = encrypted_clinic(dir.path(), "all").await;
    let again = Store::open(store.url())
        .await
        .unwrap()
        .with_keys(Arc::new(ring()));
    assert_eq!(
        count(&again, "SELECT count(*) FROM condition_occurrence").await,
        Ok(70)
    );
    let one = people()[17];
    for (sql, rows) in [
        (format!("SELECT count(*) FROM person WHERE person_id = {one}"), 1),
        (format!("SELECT count(*) FROM person WHERE person_source_value = '{}'", secret(one)), 1),
        ("SELECT count(*) FROM person p JOIN condition_occurrence c ON p.person_id = c.person_id".to_owned(), 70),
        ("SELECT count(DISTINCT condition_concept_id) FROM condition_occurrence".to_owned(), 7),
        ("SELECT max(person_id) FROM person".to_owned(), people()[34]),
    ] {
        assert_eq!(count(&again, &sql).await, Ok(rows), "{sql}");
    }
    let report = again.verify().await.unwrap();
    assert!(report.is_ok(), "{report}");
    // A point look-up still knows which files to read: the manifest's persons are there for who has the key.
    let snapshot = again.snapshot(None).await.unwrap();
    let files = &snapshot.table("person").unwrap().files;
    assert!(files.len() > 2 && files.iter().all(|f| f.min_person.is_some()));
}

#[tokio::test]
async fn without_the_key_or_with_another_one_nothing_opens() {
    let dir = tempfile::tempdir().unwrap();
    let store = encrypted_clinic(dir.path(), "persons").await;
    let url = store.url().to_owned();
    let none = Store::open(&url).await.unwrap();
    let missing = none.with_keys(Arc::new(Ring(vec![("other", 1, 7)])));
    let wrong = none.with_keys(Arc::new(Ring(vec![("store", 1, 9)])));
    for (store, why) in [
        (&none, "no keys were given"),
        (&missing, "no key `store`"),
        (&wrong, "is another one"),
    ] {
        let refused = count(
            store,
            "SELECT count(*) FROM person WHERE person_source_value > 'a'",
        )
        .await;
        let refused = refused.unwrap_err();
        for part in [
            "table `person`",
            "`store/1`",
            why,
            "--keys FILE",
            "COLUMNA_KEYS",
        ] {
            assert!(refused.contains(part), "{part} is not in: {refused}");
        }
        // Nobody writes to what they cannot read, and says nothing is there.
        assert!(matches!(store.begin().await, Err(Error::Key { .. })));
        assert!(matches!(store.compact().await, Err(Error::Key { .. })));
        assert!(matches!(
            store.erase(PersonId(people()[0])).await,
            Err(Error::Key { .. })
        ));
        assert!(matches!(store.verify().await, Err(Error::Key { .. })));
        assert!(matches!(store.encrypt(None).await, Err(Error::Key { .. })));
        // What is not encrypted stays open, and so do sizes and history.
        assert_eq!(count(store, "SELECT count(*) FROM concept").await, Ok(50));
        let snapshot = store.snapshot(None).await.unwrap();
        assert_eq!(snapshot.table("person").unwrap().rows, 35);
        assert!(
            snapshot
                .tables()
                .flat_map(|t| &t.files)
                .all(|f| f.min_person.is_none())
        );
    }
}

#[tokio::test]
async fn columns_can_be_encrypted_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = encrypted_clinic(
        dir.path(),
        "direct,condition_occurrence.condition_source_value,condition_occurrence.condition_concept_id",
    )
    .await;
    for person in people() {
        // The person's number is not among them, and its bounds may stand in the manifest.
        assert_eq!(
            found(dir.path(), &[], person, true, false),
            Vec::<String>::new()
        );
    }
    assert_eq!(
        count(&store, "SELECT count(condition_source_value) FROM condition_occurrence WHERE condition_concept_id >= 200").await,
        Ok(35)
    );
    let snapshot = store.snapshot(None).await.unwrap();
    let columns = |table: &TableVersion| {
        let file = table.files[0].encryption.clone();
        file.map(|e| e.columns)
    };
    assert_eq!(
        columns(snapshot.table("condition_occurrence").unwrap()).unwrap(),
        ["condition_concept_id", "condition_source_value"]
    );
    assert_eq!(
        columns(snapshot.table("person").unwrap()).unwrap(),
        ["person_source_value"]
    );
    assert!(columns(snapshot.table("concept").unwrap()).is_none());
    // No bloom filter of an encrypted column, for parquet 59 writes them in the clear; others keep theirs.
    let file = &snapshot.table("condition_occurrence").unwrap().files[0];
    let opened = store.open_file(file).unwrap();
    let footer = ParquetRecordBatchReaderBuilder::try_new_with_options(
        opened,
        store.reader_options(file).unwrap(),
    )
    .unwrap();
    for chunk in footer
        .metadata()
        .row_groups()
        .iter()
        .flat_map(|g| g.columns())
    {
        let name = chunk.column_path().string();
        assert_eq!(
            chunk.bloom_filter_offset().is_some(),
            name == "person_id",
            "{name}"
        );
    }
    assert!(store.verify().await.unwrap().is_ok());
}

#[tokio::test]
async fn copies_by_concept_are_encrypted_as_their_table_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = encrypted_clinic(dir.path(), "all").await;
    let (table, by) = ("condition_occurrence", "condition_concept_id");
    store.project(table, by, None).await.unwrap();
    let copies = |snapshot: &columna_store::Snapshot| {
        let files = &snapshot.table(table).unwrap().files;
        let copies: Vec<_> = files.iter().flat_map(|f| f.projections.clone()).collect();
        assert_eq!(copies.len(), files.len());
        copies
    };
    for person in people() {
        assert_eq!(
            found(dir.path(), &[], person, true, true),
            Vec::<String>::new()
        );
    }
    for copy in copies(&store.snapshot(None).await.unwrap()) {
        assert!(copy.file.encryption.is_some() && copy.file.min_person.is_some());
        // How many rows a concept has is a secret as well.
        assert!(copy.steps.is_empty());
    }
    let one = "SELECT count(*) FROM condition_occurrence WHERE condition_concept_id = 203";
    assert_eq!(count(&store, one).await, Ok(10));
    assert!(store.verify().await.unwrap().is_ok());
    let locked = Store::open(store.url()).await.unwrap();
    assert!(count(&locked, one).await.is_err());
    let snapshot = locked.snapshot(None).await.unwrap();
    assert!(
        copies(&snapshot)
            .iter()
            .all(|c| c.file.min_person.is_none())
    );
    assert!(matches!(
        locked.project(table, by, None).await,
        Err(Error::Key { .. })
    ));

    // Under another key, with one column alone, and in the clear: the copies follow.
    let store = locked.with_keys(Arc::new(ring()));
    for words in ["all", "condition_occurrence.condition_concept_id", "none"] {
        let encryption = (words != "none")
            .then(|| Encryption::new(&parts(words), &ring(), "store", None).unwrap());
        store.encrypt(encryption).await.unwrap();
        let snapshot = store.snapshot(None).await.unwrap();
        let files = &snapshot.table(table).unwrap().files;
        for (file, copy) in files.iter().zip(copies(&snapshot)) {
            let how = |e: &columna_store::FileEncryption| (e.key.clone(), e.columns.clone());
            assert_eq!(
                copy.file.encryption.as_ref().map(how),
                file.encryption.as_ref().map(how)
            );
            assert_eq!(copy.steps.is_empty(), words != "none");
        }
        assert_eq!(count(&store, one).await, Ok(10));
        assert!(store.verify().await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn later_writes_keep_what_is_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let store = encrypted_clinic(dir.path(), "all").await;
    // A new table, later rows of old persons, new persons, erasures, compactions.
    let mut tx = store.begin().await.unwrap();
    add_rows(&tx, &people()[..5], 900).unwrap();
    let later: Vec<i64> = (0..300).map(|i| 8_000_123_457 + i * 1_009).collect();
    add_people(&mut tx, &later, 1_000).unwrap();
    tx.commit(APPEND).await.unwrap();
    store.erase(PersonId(people()[3])).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.delete_persons("person", &people()[10..34]).unwrap();
    tx.delete_persons("condition_occurrence", &people()[10..34])
        .unwrap();
    tx.delete_persons("cohort", &people()[10..34]).unwrap();
    tx.commit(APPEND).await.unwrap();
    let compacted = store.compact().await.unwrap();
    assert!(compacted.merged > 0, "{compacted}");
    store.vacuum(&VacuumOptions::everything()).await.unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    assert!(
        snapshot
            .tables()
            .flat_map(|t| &t.files)
            .all(|f| f.encryption.is_some())
    );
    for &person in later.iter().chain(&people()) {
        assert_eq!(
            found(dir.path(), &[], person, true, true),
            Vec::<String>::new()
        );
    }
    assert_eq!(
        count(&store, "SELECT count(*) FROM person").await,
        Ok(35 + 5 + 300 - 2 - 24)
    );
    assert!(store.verify().await.unwrap().is_ok());
}

#[tokio::test]
async fn stores_can_be_encrypted_rekeyed_and_decrypted_later() {
    let dir = tempfile::tempdir().unwrap();
    let plain = clinic(dir.path(), 35).await;
    let rows = read_conditions(&plain, &plain.snapshot(None).await.unwrap());
    let store = plain.with_keys(Arc::new(first()));
    let all = |keys: &Ring| Encryption::new(&parts("all"), keys, "store", None).unwrap();
    let report = store.encrypt(Some(all(&first()))).await.unwrap();
    assert_eq!(report.files.0, report.files.1);
    assert_eq!(report.key.as_deref(), Some("store/1"));
    assert!(
        report.to_string().contains("vacuum --everything"),
        "{report}"
    );
    assert_eq!(
        store.encrypt(Some(all(&first()))).await.unwrap().snapshot,
        None
    );
    // With a newer version of the key: what was under the old one is rewritten, and the old key opens nothing any more.
    let store = store.with_keys(Arc::new(ring()));
    assert_eq!(
        store
            .encrypt(Some(all(&ring())))
            .await
            .unwrap()
            .key
            .as_deref(),
        Some("store/2")
    );
    let old = store.with_keys(Arc::new(first()));
    assert!(
        count(
            &old,
            "SELECT count(*) FROM person WHERE person_source_value > ''"
        )
        .await
        .is_err()
    );
    assert_eq!(
        count(&store, "SELECT count(*) FROM condition_occurrence").await,
        Ok(70)
    );
    // A second writer that began before is told, instead of writing in the clear.
    let mut behind = store.begin().await.unwrap();
    add_people(&mut behind, &[900_000], 5_000).unwrap();
    store.encrypt(None).await.unwrap();
    assert!(matches!(
        behind.commit(APPEND).await,
        Err(Error::Conflict { .. })
    ));
    let snapshot = store.snapshot(None).await.unwrap();
    assert!(matches!(snapshot.operation(), Operation::Encrypt { .. }));
    assert_eq!(
        read_conditions(&plain, &plain.snapshot(None).await.unwrap()),
        rows
    );
}

#[tokio::test]
async fn a_file_cannot_stand_in_place_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let store = encrypted_clinic(dir.path(), "all").await;
    let snapshot = store.snapshot(None).await.unwrap();
    let files = &snapshot.table("person").unwrap().files;
    std::fs::copy(
        on_disk(&store, &files[0].path),
        on_disk(&store, &files[1].path),
    )
    .unwrap();
    let told = count(
        &store,
        "SELECT count(*) FROM person WHERE person_source_value > ''",
    )
    .await;
    assert!(told.is_err(), "{told:?}");
}

#[test]
fn what_to_encrypt_has_to_mean_something() {
    let wrong = Encryption::new(&parts("note.texts"), &first(), "store", None).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "`note.texts` cannot be encrypted: table `note` has no column `texts`"
    );
    let missing = Encryption::new(&parts("all"), &first(), "vault", None).unwrap_err();
    assert!(missing.to_string().contains("no key `vault`"), "{missing}");
}
