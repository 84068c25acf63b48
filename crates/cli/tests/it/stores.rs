//! Ingest, info, verify, erase and vacuum, on a small hospital.

use std::fs;

use crate::support::{PATIENTS, columna, copy, files, folder, source, store, text};

fn rows(store: &str, table: &str) -> String {
    columna(&[
        "sql",
        "--store",
        store,
        "--format",
        "csv",
        "-c",
        &format!("SELECT count(*) AS n FROM {table}"),
    ])
    .ok()
    .lines()
    .nth(1)
    .unwrap_or_default()
    .to_owned()
}

#[test]
fn a_store_holds_what_the_files_hold() {
    let store = store();
    assert_eq!(rows(&store, "person"), PATIENTS.to_string());
    for table in ["visit_occurrence", "death", "concept"] {
        let file = fs::read_to_string(source().join(format!("{table}.csv"))).expect("a file");
        assert_eq!(
            rows(&store, table),
            (file.lines().count() - 1).to_string(),
            "{table}"
        );
    }
    columna(&["store", "verify", "--store", &store]).ok();
}

#[test]
fn info_for_people_and_for_machines() {
    let store = store();
    let people = columna(&["info", "--store", &store]).ok();
    for part in ["Tables", "Snapshots", "Deliveries", "person", "OMOP CDM"] {
        assert!(people.contains(part), "{part} in\n{people}");
    }
    let machine: serde_json::Value =
        serde_json::from_str(&columna(&["info", "--store", &store, "--json"]).ok()).expect("JSON");
    assert_eq!(machine["persons"], PATIENTS);
    assert!(
        machine["tables"]
            .as_array()
            .is_some_and(|tables| tables.len() > 10)
    );
    columna(&["info", "--store", "/nowhere/at/all"]).fails(1, "no store at");
}

#[test]
fn the_same_files_are_refused_the_second_time() {
    let folder = folder();
    let store = text(&folder.path().join("store"));
    let report = columna(&["ingest", &text(source()), "--store", &store, "--json"]).ok();
    assert!(serde_json::from_str::<serde_json::Value>(&report).is_ok());
    let ran = columna(&["ingest", &text(source()), "--store", &store]);
    let ran = ran.fails(1, "--replace");
    assert_eq!(ran.out, "");
    columna(&["ingest", &text(source()), "--store", &store, "--replace"]).ok();
    assert_eq!(rows(&store, "person"), PATIENTS.to_string());
}

#[test]
fn a_missing_source_and_a_wrong_one_say_so() {
    let folder = folder();
    let store = text(&folder.path().join("store"));
    columna(&["ingest", "/nowhere/at/all", "--store", &store])
        .fails(1, "there is no `/nowhere/at/all`");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("made");
    columna(&["ingest", &text(&empty), "--store", &store]).fails(1, "error: ");
}

#[test]
fn damage_is_found_named_and_never_a_panic() {
    let folder = folder();
    let damaged = folder.path().join("store");
    copy(std::path::Path::new(&store()), &damaged);
    let file = files(&damaged.join("tables/measurement"))
        .into_iter()
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "parquet")
        })
        .expect("a data file");
    let bytes = fs::read(&file).expect("readable");
    fs::write(&file, &bytes[..bytes.len() / 2]).expect("written");
    let damaged = text(&damaged);
    let ran = columna(&["store", "verify", "--store", &damaged]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    assert!(ran.out.contains(&name), "{}", ran.out);
    columna(&[
        "sql",
        "--store",
        &damaged,
        "-c",
        "SELECT sum(value_as_number) FROM measurement",
    ])
    .fails(1, "error: ");
    // Tables that are whole still answer.
    assert_eq!(rows(&damaged, "person"), PATIENTS.to_string());
}

#[test]
fn a_damaged_csv_is_reported_row_by_row() {
    let folder = folder();
    let hospital = folder.path().join("hospital");
    copy(source(), &hospital);
    let file = hospital.join("death.csv");
    let mut deaths = fs::read_to_string(&file).expect("readable");
    deaths.push_str("not-a-number,2020-01-01\n");
    fs::write(&file, deaths).expect("written");
    let store = text(&folder.path().join("store"));
    let report = columna(&["ingest", &text(&hospital), "--store", &store]).ok();
    assert!(report.contains("death"), "{report}");
    assert!(!report.contains("not-a-number"), "{report}");
    columna(&[
        "ingest",
        &text(&hospital),
        "--store",
        &text(&folder.path().join("strict")),
        "--max-rejects",
        "0",
    ])
    .fails(1, "error: ");
}

#[test]
fn an_erased_person_is_gone_and_never_named() {
    let folder = folder();
    let copied = folder.path().join("store");
    copy(std::path::Path::new(&store()), &copied);
    let copied = text(&copied);
    let person = columna(&[
        "sql",
        "--store",
        &copied,
        "--format",
        "csv",
        "-c",
        "SELECT max(person_id) AS p FROM person",
    ])
    .ok();
    let person = person.lines().nth(1).unwrap_or_default().to_owned();
    let said = columna(&["store", "erase", "--store", &copied, "--person", &person]).ok();
    assert!(said.contains("1 person given"), "{said}");
    assert_eq!(rows(&copied, "person"), (PATIENTS - 1).to_string());
    assert_eq!(
        rows(
            &copied,
            &format!("visit_occurrence WHERE person_id = {person}")
        ),
        "0"
    );
    columna(&["store", "vacuum", "--store", &copied, "--everything"]).ok();
    columna(&["store", "verify", "--store", &copied]).ok();
    columna(&["store", "compact", "--store", &copied]).ok();
    let wrong = columna(&["store", "erase", "--store", &copied, "--person", "Hong"])
        .fails(2, "is not a person id");
    assert!(!wrong.err.contains("Hong"));
}

#[test]
fn a_table_is_kept_by_its_concept_and_given_up_again() {
    let folder = folder();
    let kept = folder.path().join("store");
    copy(std::path::Path::new(&store()), &kept);
    let kept = text(&kept);
    let project = |more: &[&str]| {
        let arguments = [&["store", "project", "--store", &kept][..], more].concat();
        columna(&arguments)
    };
    let ask = |sql: &str| columna(&["sql", "--store", &kept, "--format", "csv", "-c", sql]).ok();
    let common = "SELECT condition_concept_id FROM condition_occurrence GROUP BY 1 ORDER BY count(*), 1 LIMIT 1";
    let concept = ask(common).lines().nth(1).expect("a row").to_owned();
    let of_concept = format!(
        "SELECT * FROM condition_occurrence WHERE condition_concept_id = {concept} ORDER BY condition_occurrence_id"
    );
    let before = ask(&of_concept);
    assert!(before.lines().count() > 1, "{before}");
    let by = "projections/condition_occurrence/by_condition_concept_id/";
    let explain = format!("EXPLAIN {of_concept}");
    assert!(!ask(&explain).contains(by));

    let said = project(&["condition_occurrence", "--memory-limit", "1MB"]).ok();
    assert!(
        said.contains("in the order of `condition_concept_id`"),
        "{said}"
    );
    assert_eq!(ask(&of_concept), before);
    assert!(ask(&explain).contains(by), "{}", ask(&explain));
    let again = project(&["condition_occurrence"]).ok();
    assert!(again.contains("has its copy"), "{again}");
    project(&["measurement", "--by", "measurement_type_concept_id"]).ok();
    let info = columna(&["info", "--store", &kept]).ok();
    for part in [
        "Projections",
        "condition_concept_id",
        "measurement_type_concept_id",
    ] {
        assert!(info.contains(part), "{part} in\n{info}");
    }
    columna(&["store", "verify", "--store", &kept]).ok();

    project(&["measurement", "--by", "value_as_number"]).fails(1, "whole numbers");
    project(&["concept"]).fails(2, "--by");
    project(&["nothing", "--by", "x"]).fails(1, "nothing");

    let said = project(&["condition_occurrence", "--drop"]).ok();
    assert!(said.contains("given up"), "{said}");
    assert!(!ask(&explain).contains(by));
    assert_eq!(ask(&of_concept), before);
    columna(&["store", "vacuum", "--store", &kept, "--everything"]).ok();
    let left = files(&std::path::Path::new(&kept).join("projections"));
    assert!(
        left.iter()
            .all(|path| !text(path).contains("by_condition_concept_id")),
        "{left:?}"
    );
    assert!(!left.is_empty());
    columna(&["store", "verify", "--store", &kept]).ok();
}

#[test]
fn an_ingest_keeps_tables_by_their_concepts() {
    let folder = folder();
    let store = text(&folder.path().join("store"));
    let ingest = |more: &[&str]| {
        let source = text(source());
        let arguments = [&["ingest", &source, "--store", &store][..], more].concat();
        columna(&arguments)
    };
    ingest(&["--projection", "nothing.x"]).fails(1, "nothing");
    ingest(&["--projection", "concept"]).fails(2, "concept");
    ingest(&[
        "--projection",
        "drug_exposure,measurement.measurement_concept_id",
    ])
    .ok();
    let info: serde_json::Value =
        serde_json::from_str(&columna(&["info", "--store", &store, "--json"]).ok()).expect("JSON");
    let copied: Vec<(&str, &str)> = info["tables"]
        .as_array()
        .expect("tables")
        .iter()
        .flat_map(|t| {
            let copies = t["projections"].as_array().expect("copies").iter();
            copies.filter_map(|c| Some((t["name"].as_str()?, c["column"].as_str()?)))
        })
        .collect();
    assert_eq!(
        copied,
        [
            ("drug_exposure", "drug_concept_id"),
            ("measurement", "measurement_concept_id")
        ]
    );
    // What comes in place of it later is kept in the same way.
    ingest(&["--replace"]).ok();
    columna(&["store", "verify", "--store", &store]).ok();
    let explain = "EXPLAIN SELECT person_id FROM drug_exposure WHERE drug_concept_id = 1";
    let plan = columna(&["sql", "--store", &store, "-c", explain]).ok();
    assert!(
        plan.contains("projections/drug_exposure/by_drug_concept_id/"),
        "{plan}"
    );
}
