//! What an ingest says of files whose names, headers or encodings are not those of the model.

use std::fs;
use std::path::Path;

use crate::support::{Ran, columna, folder, text};

const PERSONS: &str = "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id,gender_source_value\n\
                       1,8507,1970,0,0,M\n2,8532,1980,0,0,F\n";
const DEATHS: &str = "person_id,death_date\n1,2020-01-01\n";

/// Ingests files into a new store.
fn ingest(files: &[(&str, &[u8])]) -> Ran {
    let folder = folder();
    let (source, store) = (folder.path().join("source"), folder.path().join("store"));
    write(&source, files);
    columna(&["ingest", &text(&source), "--store", &text(&store)])
}

fn write(source: &Path, files: &[(&str, &[u8])]) {
    fs::create_dir_all(source).expect("made");
    for (name, content) in files {
        fs::write(source.join(name), content).expect("written");
    }
}

#[test]
fn a_file_that_is_no_table_of_the_model_is_held_against_those_that_are() {
    for (file, meant) in [
        ("Persons.csv", "did you mean `person.csv`?"),
        ("PERSON.CSV.csv", "did you mean `person.csv`?"),
        ("patients.tsv", "did you mean `person.tsv`?"),
    ] {
        let report = ingest(&[(file, PERSONS.as_bytes()), ("death.csv", DEATHS.as_bytes())]).ok();
        assert!(report.contains(meant), "{file}: {report}");
    }
    let visits = b"visit_occurrence_id,person_id\n1,1\n";
    let report = ingest(&[("person.csv", PERSONS.as_bytes()), ("visits.csv", visits)]).ok();
    assert!(
        report.contains("did you mean `visit_occurrence.csv`?"),
        "{report}"
    );
    let report = ingest(&[
        ("person.csv", PERSONS.as_bytes()),
        ("persons.csv", PERSONS.as_bytes()),
    ])
    .ok();
    assert!(!report.contains("did you mean"), "{report}");
}

#[test]
fn a_column_that_is_not_there_is_looked_for_among_the_unknown_ones() {
    for (column, written) in [
        ("year_of_birth", "birth_year"),
        ("gender_concept_id", "gender_concept"),
    ] {
        let persons = PERSONS.replace(column, written);
        let report = ingest(&[("person.csv", persons.as_bytes())]).ok();
        let words = format!("`{written}` is no column of the model: did you mean `{column}`?");
        assert!(report.contains(&words), "{report}");
    }
    let persons = PERSONS.replace("person_id", "personid");
    ingest(&[("person.csv", persons.as_bytes())]).fails(
        1,
        "`personid` is no column of the model: did you mean `person_id`?",
    );
}

#[test]
fn persons_without_rows_are_a_finding() {
    let header = PERSONS.lines().next().unwrap_or_default();
    let report = ingest(&[
        ("person.csv", header.as_bytes()),
        ("death.csv", DEATHS.as_bytes()),
    ]);
    let report = report.ok();
    let line = report.lines().find(|line| line.starts_with("  person "));
    let line = line.unwrap_or_default();
    assert!(line.contains("its files have no rows"), "{report}");
}

#[test]
fn a_file_of_which_no_row_could_be_stored_is_a_failure() {
    let folder = folder();
    let (source, store) = (
        folder.path().join("source"),
        text(&folder.path().join("store")),
    );
    let wrong = PERSONS.replace("\n1,", "\nx,").replace("\n2,", "\ny,");
    write(
        &source,
        &[
            ("person.csv", wrong.as_bytes()),
            ("death.csv", DEATHS.as_bytes()),
        ],
    );
    let ran = columna(&["ingest", &text(&source), "--store", &store]);
    let ran = ran.fails(1, "no row of person.csv could be stored; the rest was");
    assert!(
        ran.out.contains("no row of person.csv was stored"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("--replace"), "{}", ran.err);
    write(&source, &[("person.csv", PERSONS.as_bytes())]);
    columna(&["ingest", &text(&source), "--store", &store, "--replace"]).ok();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        columna(&["sql", "--store", &store, "-c", &sql, "--format", "csv"]).ok()
    };
    assert_eq!(count("person").lines().last(), Some("2"));
    assert_eq!(count("death").lines().last(), Some("1"));
}

#[test]
fn text_that_is_not_utf8_is_named_with_line_column_and_remedy() {
    let row = |name: &[u8]| [b"3,0,1990,0,0,", name, b"\n"].concat();
    let with = |rows: &[&[u8]]| {
        let rows = rows.iter().flat_map(|name| row(name));
        PERSONS.bytes().chain(rows).collect::<Vec<u8>>()
    };
    let korean = with(&[b"\xb3\xb2\xc0\xda"]);
    let ran = ingest(&[("person.csv", &korean)]);
    let ran = ran.fails(
        1,
        "person.csv: line 4, column `gender_source_value` is not UTF-8",
    );
    assert!(ran.err.contains("iconv -f CP949 -t UTF-8"), "{}", ran.err);
    let western = with(&[b"m\xe4nnlich", b"m\xe4nnlich"]);
    let ran = ingest(&[("person.csv", &western)]);
    let ran = ran.fails(
        1,
        "person.csv: line 4, column `gender_source_value` is not UTF-8",
    );
    assert!(
        ran.err.contains("iconv -f WINDOWS-1252 -t UTF-8"),
        "{}",
        ran.err
    );
    // One broken row is quarantined, and its report says what to do all the same.
    let report = ingest(&[("person.csv", &with(&[b"m\xe4nnlich"]))]).ok();
    assert!(
        report.contains("person.csv:4, column `gender_source_value`: not UTF-8")
            && report.contains("iconv -f "),
        "{report}"
    );
}
