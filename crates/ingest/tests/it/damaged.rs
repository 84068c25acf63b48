//! Damaged inputs: each has a named outcome, and no message shows a cell.

use std::io::Write;

use arrow::array::AsArray;
use columna_ingest::{Error, FindingKind, IngestOptions, IngestReport};

use crate::fixture::{Fixture, options, rows};

const MEASUREMENT: &str = "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_type_concept_id,value_as_number,unit_source_value\n";

fn fixture(measurements: impl AsRef<[u8]>) -> Fixture {
    Fixture::new()
        .with_persons(1..=9)
        .with("measurement.csv", measurements)
}

async fn report(fixture: &Fixture) -> IngestReport {
    let report = fixture.ingest(&options()).await.unwrap();
    for table in &report.tables {
        assert_eq!(table.read, table.stored + table.rejected, "{}", table.name);
    }
    report
}

/// Rejects as (line, column, reason, row).
async fn rejects(fixture: &Fixture) -> Vec<(i64, String, String, String)> {
    let store = fixture.store().await;
    let snapshot = store.snapshot(None).await.unwrap();
    let mut rejects = Vec::new();
    for batch in rows(&store, &snapshot, "ingest_rejects") {
        let text = |name: &str, row: usize| {
            batch
                .column_by_name(name)
                .unwrap()
                .as_string::<i32>()
                .value(row)
                .to_owned()
        };
        let lines = batch
            .column_by_name("line")
            .unwrap()
            .as_primitive::<arrow::datatypes::Int64Type>();
        for row in 0..batch.num_rows() {
            rejects.push((
                lines.value(row),
                text("column", row),
                text("reason", row),
                text("row", row),
            ));
        }
    }
    rejects.sort();
    rejects
}

async fn fails(fixture: &Fixture) -> String {
    let error = fixture.ingest(&options()).await.unwrap_err();
    assert!(error.is_user(), "{error}");
    let store = fixture.store().await;
    assert_eq!(
        store.snapshot(None).await.unwrap().version(),
        0,
        "nothing is stored after: {error}"
    );
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_stored_are_kept_with_line_column_and_reason() {
    let fixture = fixture(format!(
        "{MEASUREMENT}1,1,3004249,2020-01-02,32817,7.5,mmHg\n2,x,0,2020-01-02,0,1,\n3,1,0,2020-02-30,0,1,\n4,1,0\n5,1,0,2020-01-02,0,1,u,extra\n6,,0,2020-01-02,0,1,\n7,1,0,2020-01-02,0,high,\n\"8\",1,0,\"2020-01-02\"z,0,1,\n9,2,0,20200102,0,NA,\"a\nb\"\n10,1,0,2020-01-02,0,1,\"open\n11,3,0,2020/01/02,0,1e1,\n"
    ));
    let report = report(&fixture).await;
    let table = report.table("measurement").unwrap();
    assert_eq!((table.read, table.stored, table.rejected), (11, 3, 8));
    let found = rejects(&fixture).await;
    let short: Vec<(i64, &str, &str)> = found
        .iter()
        .map(|(line, column, reason, _)| (*line, column.as_str(), reason.as_str()))
        .collect();
    assert_eq!(
        short,
        [
            (3, "person_id", "not an integer"),
            (4, "measurement_date", "not a date"),
            (5, "", "3 cells where the header has 7"),
            (6, "", "8 cells where the header has 7"),
            (7, "person_id", "required key is empty"),
            (8, "value_as_number", "not a number"),
            (9, "measurement_date", "text after a closing quote"),
            (12, "unit_source_value", "a quote that is never closed"),
        ]
    );
    assert_eq!(found[0].3, "2,x,0,2020-01-02,0,1,");
    let shown = report.to_string();
    assert!(
        shown.contains("measurement.csv:3, column `person_id`: not an integer"),
        "{shown}"
    );
    assert!(
        !shown.contains("high") && !shown.contains("2020-02-30"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_rejects_store_nothing() {
    let fixture = fixture(format!(
        "{MEASUREMENT}1,secret,0,2020-01-02,0,1,\n2,secret,0,2020-01-02,0,1,\n"
    ));
    let options = IngestOptions {
        max_rejects: Some(1),
        ..options()
    };
    let error = fixture.ingest(&options).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooManyRejects {
                count: 2,
                allowed: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("measurement.csv:2") && !error.to_string().contains("secret"),
        "{error}"
    );
    assert_eq!(
        fixture
            .store()
            .await
            .snapshot(None)
            .await
            .unwrap()
            .version(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_writing_are_read() {
    let row = "1,1,3004249,2020-01-02,32817,7.5,mmHg\n";
    let plain = format!("{MEASUREMENT}{row}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain.as_bytes()).unwrap();
    for (name, content) in [
        ("MEASUREMENT.CSV", plain.clone().into_bytes()),
        (
            "measurement.csv",
            plain.to_uppercase().replace("MMHG", "mmHg").into_bytes(),
        ),
        (
            "measurement.csv",
            format!("\u{feff}{}", plain.replace('\n', "\r\n")).into_bytes(),
        ),
        ("measurement.csv", plain.replace('\n', "\r").into_bytes()),
        ("measurement.tsv", plain.replace(',', "\t").into_bytes()),
        ("measurement.csv", plain.replace(',', ";").into_bytes()),
        ("measurement.csv", plain.replace(',', "|").into_bytes()),
        ("measurement.csv", plain.trim_end().as_bytes().to_vec()),
        ("measurement/part-0.csv.gz", gzip.finish().unwrap()),
        (
            "measurement.csv.zst",
            zstd::encode_all(plain.as_bytes(), 1).unwrap(),
        ),
    ] {
        let fixture = Fixture::new().with_persons(1..=9).with(name, content);
        let report = report(&fixture).await;
        assert_eq!(report.table("measurement").unwrap().stored, 1, "{name}");
        let store = fixture.store().await;
        let stored =
            crate::fixture::text(&store, &store.snapshot(None).await.unwrap(), "measurement");
        assert!(
            stored.contains("2020-01-02") && stored.contains("7.5") && stored.contains("mmHg"),
            "{name}: {stored}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_table_are_stored_as_one() {
    let part = |id: i64| format!("{MEASUREMENT}{id},{id},3004249,2020-01-02,32817,7.5,mmHg\n");
    let fixture = Fixture::new()
        .with_persons(1..=9)
        .with("measurement_1.csv", part(1))
        .with("MEASUREMENT_part_5.csv", part(2))
        .with("measurement-00004-of-00009.csv", part(3).replace(',', ";"))
        .with(
            "death/year=2019/0.csv",
            "person_id,death_date\n1,2019-01-01\n",
        )
        .with(
            "death/year=2020/0.csv",
            "person_id,death_date\n2,2020-01-01\n",
        );
    let report = report(&fixture).await;
    assert_eq!(report.table("measurement").unwrap().stored, 3, "{report}");
    assert_eq!(report.table("death").unwrap().stored, 2, "{report}");
    assert_eq!(report.tables.len(), 3, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_what_they_say_end_the_ingest() {
    let plain = format!(
        "{MEASUREMENT}{}",
        "1,1,3004249,2020-01-02,32817,7.5,mmHg\n".repeat(20_000)
    );
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let utf16: Vec<u8> = "\u{feff}person_id,x\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut korean = MEASUREMENT.as_bytes().to_vec();
    korean.extend(b"1,1,0,2020-01-02,0,1,\xb1\xe8\xc3\xb6\n");
    for (name, content, expected) in [
        (
            "measurement.csv.gz",
            gzip[..gzip.len() / 2].to_vec(),
            "measurement.csv.gz: the compressed data end early",
        ),
        ("measurement.csv", utf16, "UTF-16"),
        ("measurement.csv", korean, "CP949"),
        (
            "measurement.csv",
            b"1,1,3004249,2020-01-02,32817,7.5,mmHg\n".to_vec(),
            "line 1 is not a header",
        ),
        (
            "measurement.csv",
            b"measurement_id,value_as_number\n1,2\n".to_vec(),
            "no column `person_id`",
        ),
        (
            "measurement.parquet",
            b"PAR1 not really PAR1".to_vec(),
            "measurement.parquet: the Parquet footer",
        ),
        (
            "measurement.csv",
            b"PAR1 not really".to_vec(),
            "name it .parquet",
        ),
    ] {
        let fixture = Fixture::new().with_persons(1..=9).with(name, content);
        let message = fails(&fixture).await;
        assert!(message.contains(expected), "{message}");
        assert!(
            message.contains("measurement.") && !message.contains("3004249"),
            "{message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_implausible_is_stored_and_reported() {
    let fixture = fixture(
        "measurement_id,person_id,person_id,measurement_concept_id,measurement_date,ward,beds,seen\n1,1,1,0,1960-01-01,A,1,2020-01-01\n1,99,2,5,2020-01-01,B,2,2020-01-01 10:00:00\n2,3,3,5,,C,,\n",
    )
    .with("death.csv", "person_id,death_date\n2,2010-01-01\n1,2000-01-01\n")
    .with("note.csv", "")
    .with("visit_occurrence.csv", "visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_end_date,visit_type_concept_id\n1,2,9201,2011-01-05,2011-01-04,0\n")
    .with("bed_log.csv", "subject_id,moved,bed,zip\n3,2020-01-01,7,02155\n1,2020-01-02,8,10000\n")
    .with("README.md", "hello");
    let report = report(&fixture).await;
    assert_eq!(report.rejected, 0);
    let found = |table: &str, kind| {
        report
            .findings
            .iter()
            .filter(|finding| finding.table == table && finding.kind == kind)
            .map(|finding| finding.count)
            .sum::<u64>()
    };
    for (table, kind, expected) in [
        ("measurement", FindingKind::RepeatedKey, 1),
        ("measurement", FindingKind::RepeatedColumn, 1),
        ("measurement", FindingKind::NoPerson, 1),
        ("measurement", FindingKind::BeforeBirth, 1),
        ("measurement", FindingKind::MissingValue, 1),
        ("measurement", FindingKind::MissingColumn, 1),
        ("measurement", FindingKind::UnmappedConcept, 1),
        ("visit_occurrence", FindingKind::AfterDeath, 1),
        ("visit_occurrence", FindingKind::EndBeforeStart, 1),
        ("note.csv", FindingKind::EmptyFile, 1),
        ("README.md", FindingKind::IgnoredFile, 1),
        ("observation_period", FindingKind::MissingTable, 1),
        ("bed_log", FindingKind::ExtraTable, 1),
    ] {
        assert_eq!(found(table, kind), expected, "{table} {kind:?}: {report}");
    }
    assert_eq!(
        report.table("measurement").unwrap().extra_columns,
        ["person_id_2", "ward", "beds", "seen"]
    );
    let store = fixture.store().await;
    let snapshot = store.snapshot(None).await.unwrap();
    let types = |table: &str| {
        let schema = std::sync::Arc::clone(&snapshot.table(table).unwrap().spec.schema);
        move |column: &str| {
            schema
                .field_with_name(column)
                .unwrap()
                .data_type()
                .to_string()
        }
    };
    let measurement = types("measurement");
    assert_eq!(
        (measurement("ward"), measurement("beds")),
        ("Utf8".to_owned(), "Int64".to_owned())
    );
    assert!(measurement("seen").starts_with("Timestamp"));
    assert_eq!(
        (types("bed_log")("zip"), types("bed_log")("moved")),
        ("Utf8".to_owned(), "Date32".to_owned())
    );
    assert_eq!(
        snapshot.table("bed_log").unwrap().spec.sort,
        ["subject_id", "moved"]
    );
}
