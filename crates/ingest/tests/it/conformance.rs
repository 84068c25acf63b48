//! Real data sets: every row of every file is stored or named.

use std::path::{Path, PathBuf};

use columna_ingest::{FindingKind, IngestReport, ingest};
use columna_store::Store;

use crate::fixture::{options, small};

/// The folder of shared data, or `None` where a machine does not have it.
fn shared(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COLUMNA_SHARED")
        .map_or_else(|| Path::new("../../../shared").to_path_buf(), PathBuf::from);
    let path = root.join(part);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "../shared not found, and CI=true needs it"
    );
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
    {
        eprintln!("skipped: ../shared not found");
    }
    None
}

/// Records of a CSV file, counted by an independent reader.
fn records(path: &Path) -> u64 {
    let file = std::fs::File::open(path).unwrap();
    let format = arrow::csv::reader::Format::default().with_header(true);
    let (schema, rows) = format.infer_schema(file, None).unwrap();
    drop(schema);
    rows as u64
}

async fn ingested(source: &Path) -> (tempfile::TempDir, Store, IngestReport) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("store").to_str().unwrap(), small())
        .await
        .unwrap();
    let report = ingest(source, &store, &options()).await.unwrap();
    (folder, store, report)
}

fn count(report: &IngestReport, table: &str, kind: FindingKind) -> u64 {
    report
        .findings
        .iter()
        .filter(|finding| finding.table == table && finding.kind == kind)
        .map(|finding| finding.count)
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn omop_data_sets_are_stored_row_by_row() {
    for (name, format) in [("gibleed", "OMOP CDM 5.3"), ("synthea27nj", "OMOP CDM 5.4")] {
        let Some(source) = shared(&format!("data/{name}")) else {
            return;
        };
        let (_folder, store, report) = ingested(&source).await;
        assert_eq!(report.format, format);
        let snapshot = store.snapshot(None).await.unwrap();
        for entry in std::fs::read_dir(&source).unwrap() {
            let path = entry.unwrap().path();
            let table = path.file_stem().unwrap().to_str().unwrap().to_lowercase();
            let expected = records(&path);
            let given = report.table(&table).unwrap();
            assert_eq!(
                (given.read, given.stored, given.rejected),
                (expected, expected, 0),
                "{name}: {table}"
            );
            assert_eq!(
                snapshot.table(&table).unwrap().rows,
                expected,
                "{name}: {table}"
            );
        }
        assert!(store.verify().await.unwrap().problems.is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_in_gibleed_is_counted() {
    let Some(source) = shared("data/gibleed") else {
        return;
    };
    let (_folder, _store, report) = ingested(&source).await;
    assert_eq!(
        count(&report, "drug_exposure", FindingKind::RepeatedKey),
        425
    );
    assert_eq!(
        count(&report, "observation_period", FindingKind::NoPerson),
        2649
    );
    assert!(count(&report, "cohort", FindingKind::UnixDate) > 0);
    assert_eq!(report.read, report.stored + report.rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synthea_export_is_stored_row_by_row() {
    let Some(source) = shared("data/synthea_csv/synthea") else {
        return;
    };
    let (_folder, store, report) = ingested(&source).await;
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_lowercase();
        let given = report
            .sources
            .iter()
            .find(|given| given.name == file)
            .unwrap();
        assert_eq!(given.read, records(&path), "{file}");
        assert_eq!(
            given.read,
            given.stored.values().sum::<u64>() + given.rejected,
            "{file}"
        );
    }
    let snapshot = store.snapshot(None).await.unwrap();
    for table in &report.tables {
        assert_eq!(
            snapshot.table(&table.name).unwrap().rows,
            table.stored + table.derived,
            "{}",
            table.name
        );
    }
    assert_eq!(snapshot.table("person").unwrap().rows, 27);
    assert!(store.verify().await.unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_stored_row_by_row() {
    let Some(source) = shared("data/cohort_fuzz") else {
        return;
    };
    let (_folder, store, report) = ingested(&source).await;
    let snapshot = store.snapshot(None).await.unwrap();
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let table = path.file_stem().unwrap().to_str().unwrap().to_lowercase();
        let file = std::fs::File::open(&path).unwrap();
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let expected = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap();
        let given = report.table(&table).unwrap();
        assert_eq!((given.read, given.stored), (expected, expected), "{table}");
        assert_eq!(snapshot.table(&table).unwrap().rows, expected, "{table}");
    }
    assert!(store.verify().await.unwrap().problems.is_empty());
}
