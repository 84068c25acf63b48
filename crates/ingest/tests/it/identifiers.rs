//! Identifiers of persons in columns of text: found, counted by column, and refused until told what to do.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use columna_ingest::{
    Error, FindingKind, IdentifierKind, IngestOptions, TableTreatment, Treatment, ingest,
};
use columna_store::{Layout, Pseudonymised, Store, TableSpec};

use crate::fixture::options;

const PERSON: &str = "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id,person_source_value,memo\n\
    1,8507,1970,0,0,MRN-1,call 010-1234-5678\n\
    2,8532,1980,0,0,MRN-2,\n\
    3,8532,1990,0,0,MRN-3,kim@example.com\n";
const NOTE: &str = "note_id,person_id,note_date,note_type_concept_id,note_class_concept_id,note_title,note_text,encoding_concept_id,language_concept_id\n\
    1,1,2020-01-01,0,0,t,주민번호 900101-1234567 확인,0,0\n\
    2,2,2020-01-02,0,0,t,quiet night,0,0\n\
    3,x,2020-01-02,0,0,t,800101-2234567,0,0\n";

fn source(folder: &Path) -> std::path::PathBuf {
    let source = folder.join("source");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("person.csv"), PERSON).unwrap();
    std::fs::write(source.join("note.csv"), NOTE).unwrap();
    source
}

async fn store(folder: &Path) -> Store {
    let path = folder.join("store");
    Store::create(path.to_str().unwrap(), Layout::default())
        .await
        .unwrap()
}

/// All bytes of all files below a folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes(&path));
        } else {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    all
}

fn holds(folder: &Path, text: &str) -> bool {
    bytes(folder)
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_with_identifiers_is_refused_by_column() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let store = store(folder.path()).await;
    let error = ingest(&source, &store, &options()).await.unwrap_err();
    let Error::Identifiers { columns } = &error else {
        panic!("{error}")
    };
    let found: Vec<_> = columns
        .iter()
        .map(|c| (c.table.as_str(), c.column.as_str(), c.kind, c.count))
        .collect();
    assert_eq!(found.len(), 4, "{found:?}");
    for expected in [
        ("person", "memo", IdentifierKind::Telephone, 1),
        ("person", "memo", IdentifierKind::Email, 1),
        ("note", "note_text", IdentifierKind::ResidentRegistration, 1),
        (
            "ingest_rejects",
            "row",
            IdentifierKind::ResidentRegistration,
            1,
        ),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert!(error.is_user());
    let said = error.to_string();
    assert!(
        said.contains("--drop-column") && !said.contains("1234"),
        "{said}"
    );
    assert_eq!(store.snapshot(None).await.unwrap().tables().len(), 0);
    assert!(!holds(&folder.path().join("store"), "900101-1234567"));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_what_to_do_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let store = store(folder.path()).await;
    let options = IngestOptions {
        allow_identifiers: vec!["note.note_text".to_owned()],
        drop_columns: vec!["memo".to_owned()],
        ..options()
    };
    let report = ingest(&source, &store, &options).await.unwrap();
    assert_eq!((report.stored, report.rejected), (5, 1));
    assert!(report.findings.iter().any(|finding| {
        finding.kind == FindingKind::Identifier
            && finding.column.as_deref() == Some("note_text")
            && finding.count == 1
    }));
    let snapshot = store.snapshot(None).await.unwrap();
    let person = snapshot.table("person").unwrap();
    assert!(person.spec.schema.index_of("memo").is_err());
    assert!(person.spec.schema.index_of("person_source_value").is_ok());
    // Data pages are compressed, and statistics in footers are not.
    for gone in ["kim@example.com", "010-1234-5678", "800101-2234567"] {
        assert!(!holds(&folder.path().join("store"), gone), "{gone}");
    }
}

/// Adds a million to persons, keeps a few columns, and leaves notes and one person's own table out. Its key turns hashes round.
#[derive(Debug, Default)]
struct Million(Pseudonymised);

impl Treatment for Million {
    fn table(&self, spec: &TableSpec) -> Result<Option<Arc<dyn TableTreatment>>, String> {
        let kept = !matches!(spec.name.as_str(), "note" | "정민수");
        Ok(kept.then(|| Arc::new(Self::default()) as Arc<dyn TableTreatment>))
    }

    fn made_with(&self) -> Pseudonymised {
        self.0.clone()
    }

    fn fingerprint(&self, hash: String) -> String {
        hash.chars().rev().collect()
    }
}

impl TableTreatment for Million {
    fn keeps(&self, column: &str) -> bool {
        matches!(column, "person_id" | "gender_concept_id")
    }

    fn column(&self, rows: &RecordBatch, column: &str) -> Result<ArrayRef, ArrowError> {
        let at = rows.schema_ref().index_of(column)?;
        let values = rows.column(at);
        if column != "person_id" {
            return Ok(Arc::clone(values));
        }
        let moved = values.as_primitive::<Int64Type>().iter();
        Ok(Arc::new(
            moved.map(|p| Some(p? + 1_000_000)).collect::<Int64Array>(),
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn treated_rows_are_all_that_reaches_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let store = store(folder.path()).await;
    let options = IngestOptions {
        treatment: Some(Arc::new(Million::default())),
        ..options()
    };
    let report = ingest(&source, &store, &options).await.unwrap();
    // Notes are left out, the rejected one with them.
    assert_eq!((report.read, report.stored, report.rejected), (3, 3, 0));
    let left_out = report
        .findings
        .iter()
        .find(|finding| finding.kind == FindingKind::LeftOut)
        .unwrap();
    assert_eq!((left_out.table.as_str(), left_out.count), ("note", 2));
    let snapshot = store.snapshot(None).await.unwrap();
    let person = snapshot.table("person").unwrap();
    let file = &person.files[0];
    assert_eq!(
        (file.min_person, file.max_person),
        (Some(1_000_001), Some(1_000_003))
    );
    for gone in ["MRN-", "kim@example.com", "900101"] {
        assert!(!holds(&folder.path().join("store"), gone), "{gone}");
    }
}

fn under(key: &str) -> IngestOptions {
    let made_with = Pseudonymised {
        key: Some(key.to_owned()),
        ..Pseudonymised::default()
    };
    IngestOptions {
        treatment: Some(Arc::new(Million(made_with))),
        ..options()
    }
}

fn later(folder: &Path, person: i64) -> std::path::PathBuf {
    let source = folder.join(format!("later {person}"));
    std::fs::create_dir_all(&source).unwrap();
    let header = PERSON.lines().next().unwrap();
    let text = format!("{header}\n{person},8507,1970,0,0,MRN-{person},\n");
    std::fs::write(source.join("person.csv"), text).unwrap();
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pseudonymised_store_takes_rows_that_were_treated_alike_only() {
    let folder = tempfile::tempdir().unwrap();
    let first = source(folder.path());
    let store = store(folder.path()).await;
    ingest(&first, &store, &under("k1")).await.unwrap();
    let before = store.snapshot(None).await.unwrap();
    let mark = before.pseudonymised().unwrap();
    assert_eq!(mark.key.as_deref(), Some("k1"));
    assert_eq!(mark.tables["person"]["person_source_value"], "absent");
    assert_eq!(mark.tables["note"]["note_text"], "absent");

    let second = later(folder.path(), 7);
    for (options, says) in [
        (options(), "give `--pseudonymize`"),
        (under("k2"), "another key"),
    ] {
        let error = ingest(&second, &store, &options).await.unwrap_err();
        assert!(error.is_user());
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(
        store.snapshot(None).await.unwrap().version(),
        before.version()
    );
    ingest(&second, &store, &under("k1")).await.unwrap();
    let after = store.snapshot(None).await.unwrap();
    assert_eq!(after.table("person").unwrap().rows, 4);
    // The mark stays whatever else is done to the store.
    store
        .erase(columna_model::PersonId(1_000_007))
        .await
        .unwrap();
    assert!(
        store
            .snapshot(None)
            .await
            .unwrap()
            .pseudonymised()
            .is_some()
    );
}

/// Hospitals name folders and files after patients, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_pseudonymised_store_has_no_names_of_delivered_files() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("홍길동");
    std::fs::create_dir_all(source.join("person")).unwrap();
    let file = |name: &str, rows: &str| {
        let header = PERSON.lines().next().unwrap();
        let text = format!("{header}\n{rows}\n");
        std::fs::write(source.join(name), text).unwrap();
    };
    file(
        "person/김민준_900101-1234567.csv",
        "1,8507,1970,0,0,a,\nx,8507,1970,0,0,a,",
    );
    file("person/이영희.csv", "2,8507,1970,0,0,a,");
    std::fs::write(source.join("박철수.pdf"), "?").unwrap();
    let own = "person_id,memo\n1,a\n";
    std::fs::write(source.join("정민수.csv"), own).unwrap();
    let store = store(folder.path()).await;
    let report = ingest(&source, &store, &under("k1")).await.unwrap();
    assert_eq!((report.stored, report.rejected), (2, 1));
    let snapshot = store.snapshot(None).await.unwrap();
    let delivery = &snapshot.deliveries()[0];
    let mut names: Vec<&str> = delivery
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        (delivery.name.as_str(), names),
        ("delivery 1", vec!["left_out/1", "person/1", "person/2"])
    );
    let said = format!("{report} {report:?}");
    let hash = blake3::hash(own.as_bytes()).to_hex().to_string();
    let turned: String = hash.chars().rev().collect();
    assert!(holds(&folder.path().join("store"), &turned));
    for gone in ["정민수", &hash] {
        assert!(!holds(&folder.path().join("store"), gone), "{gone}");
    }
    for name in ["김민준", "이영희", "홍길동", "박철수", "900101"] {
        assert!(!said.contains(name), "{said}");
        assert!(!holds(&folder.path().join("store"), name), "{name}");
    }
    // They are known again all the same.
    let again = ingest(&source, &store, &under("k1")).await.unwrap_err();
    assert!(matches!(again, Error::DeliveredBefore { .. }), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonymised_rows_do_not_go_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let first = later(folder.path(), 7);
    ingest(&first, &store, &options()).await.unwrap();
    let second = later(folder.path(), 8);
    let error = ingest(&second, &store, &under("k1")).await.unwrap_err();
    assert!(
        error.to_string().contains("choose another store"),
        "{error}"
    );
}

/// A registration number whose last digit checks.
fn registration(row: u64) -> u64 {
    let text = format!("{:02}{:02}151{:05}", row % 100, row % 12 + 1, row * 37 + 1);
    let weights = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let digits = text.bytes().map(|digit| u64::from(digit - b'0'));
    let sum: u64 = digits
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum();
    text.parse::<u64>().unwrap() * 10 + (11 - sum % 11) % 10
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_without_hyphens_are_found_in_columns_of_numbers() {
    let columns = "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id";
    let of = async |header: &str, row: &dyn Fn(u64) -> String| {
        let folder = tempfile::tempdir().unwrap();
        let mut text = format!("{header}\n");
        (0..60).for_each(|at| text.push_str(&format!("{}\n", row(at))));
        std::fs::write(folder.path().join("person.csv"), text).unwrap();
        let store = store(folder.path()).await;
        match ingest(&folder.path().join("person.csv"), &store, &options()).await {
            Err(Error::Identifiers { columns }) => columns,
            other => {
                other.unwrap();
                Vec::new()
            }
        }
    };
    let own = format!("{columns},x");
    let with = |value: &dyn Fn(u64) -> String| {
        let values: Vec<String> = (0..60).map(value).collect();
        move |at: u64| {
            let value = &values[usize::try_from(at).unwrap()];
            format!("{at},8507,1970,0,0,{value}")
        }
    };
    let found = of(&own, &with(&|at| registration(at).to_string())).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, IdentifierKind::ResidentRegistration);
    assert_eq!((found[0].column.as_str(), found[0].count), ("x", 60));
    // Gaps make fractions of them.
    let gaps = |at: u64| {
        if at == 0 {
            String::new()
        } else {
            format!("{}.0", registration(at))
        }
    };
    assert_eq!(of(&own, &with(&gaps)).await[0].count, 59);
    let found = of(&own, &with(&|at| format!("10{}", 23_456_789 + at * 997))).await;
    assert_eq!(found[0].kind, IdentifierKind::Telephone);
    let found = of(columns, &|at| {
        format!("{},8507,1970,0,0", registration(at + 11))
    })
    .await;
    assert_eq!(found[0].column, "person_id");
    // The parts of registration numbers, where the column says so; births of 2001 to 2009 have lost a zero.
    let parts = [
        |at: u64| format!("{}0{}1{}", 50 + at % 49, at % 9 + 1, at % 9),
        |at: u64| format!("{}0{}1{}", 1 + at % 9, at % 9 + 1, at % 9),
        |at: u64| format!("{}", 1_000_000 + at * 37_003),
    ];
    for value in parts {
        let found = of(&format!("{columns},주민번호1"), &with(&value)).await;
        assert_eq!(found.len(), 1, "{}", value(1));
        assert_eq!(found[0].kind, IdentifierKind::ResidentRegistration);
        assert_eq!(of(&own, &with(&value)).await, []);
    }
    // Days, codes, counters and random numbers are none.
    let mut last = 7_u64;
    let drawn: Vec<u64> = (0..60)
        .map(|_| {
            last = last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            last >> 22
        })
        .collect();
    for value in [
        &(|at| format!("{}", 20_190_101_u64 + at)) as &dyn Fn(u64) -> String,
        &|at| format!("{}", 2_019_010_100_000 + at),
        &|at| format!("{}", 1_000_000_000 + at),
        &|at| format!("{}", 9_001_011_234_500 + at),
        &|at| format!("{}", 8_806_417_012_345 + at * 7),
        &|at| drawn[usize::try_from(at).unwrap()].to_string(),
    ] {
        assert_eq!(of(&own, &with(value)).await, []);
    }
}
