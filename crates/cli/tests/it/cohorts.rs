//! Cohorts: a definition's persons against SQL, the table in the store, refusals with their place.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{columna, folder, source, store, text};

/// First stroke within an observation period.
pub(crate) fn stroke() -> Value {
    json!({
        "ConceptSets": [{"id": 0, "name": "stroke", "expression": {"items": [
            {"concept": {"CONCEPT_ID": 443454}, "includeDescendants": true},
        ]}}],
        "PrimaryCriteria": {
            "CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0}}],
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
            "PrimaryCriteriaLimit": {"Type": "First"},
        },
        "QualifiedLimit": {"Type": "First"},
        "ExpressionLimit": {"Type": "First"},
        "InclusionRules": [],
        "CensoringCriteria": [],
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0},
    })
}

fn write(folder: &Path, name: &str, definition: &Value) -> PathBuf {
    let path = folder.join(name);
    let json = serde_json::to_string_pretty(definition).expect("JSON");
    fs::write(&path, json).expect("written");
    path
}

/// A definition with an attribute that no engine knows.
fn misspelt(folder: &Path) -> PathBuf {
    let mut definition = stroke();
    definition["PrimaryCriteria"]["CriteriaList"][0]["ConditionOccurrence"]["Agee"] = json!({});
    write(folder, "misspelt.json", &definition)
}

/// The persons and first days that the definition means, asked in SQL.
const BY_SQL: &str = "\
SELECT o.person_id, min(o.condition_start_date) AS start
FROM condition_occurrence o
JOIN observation_period p ON p.person_id = o.person_id
 AND o.condition_start_date BETWEEN p.observation_period_start_date AND p.observation_period_end_date
WHERE is_descendant(o.condition_concept_id, 443454)
GROUP BY o.person_id ORDER BY o.person_id";

#[test]
fn the_persons_are_those_that_sql_finds() {
    let folder = folder();
    let definition = text(&write(folder.path(), "7-stroke.json", &stroke()));
    let store = store();
    let query = |sql: &str| columna(&["sql", "--store", &store, "--format", "csv", "-c", sql]).ok();
    let expected = query(BY_SQL);
    let persons = expected.lines().count() - 1;
    assert!(persons > 10, "too few to mean anything: {persons}");

    let found = query(&format!(
        "SELECT subject_id AS person_id, cohort_start_date AS start FROM cohort('{definition}') ORDER BY 1"
    ));
    assert_eq!(found, expected);

    let counts = columna(&[
        "cohort",
        "run",
        &definition,
        "--store",
        &store,
        "--format",
        "csv",
    ])
    .ok();
    assert!(
        counts.contains(&format!(
            "\n7,7-stroke,{persons},{persons},{persons},{persons},{persons}\n"
        )),
        "{counts}"
    );
}

/// Persons' numbers are written: who asked for them is on record before they are, and nothing is where it cannot be.
#[test]
fn a_cohort_under_a_policy_is_on_record() {
    let folder = folder();
    let path = |name: &str| text(&folder.path().join(name));
    let definition = text(&write(folder.path(), "7-stroke.json", &stroke()));
    let policy = "version = 1\n[roles.keeper]\nkind = \"steward\"\npurposes = [\"care\"]\n\
                  [roles.reader]\nkind = \"analyst\"\npurposes = [\"care\"]\n\
                  [[rules]]\ntables = [\"person\"]\ncolumns = { person_id = \"raw\" }\n";
    fs::write(path("policy.toml"), policy).expect("written");
    let run = |role: &str, state: &str, out: &str| {
        columna(&[
            "cohort",
            "run",
            &definition,
            "--store",
            &store(),
            "--role",
            role,
            "--purpose",
            "care",
            "--principal",
            "kim",
            "--policy",
            &path("policy.toml"),
            "--state",
            &path(state),
            "--out",
            &path(out),
        ])
    };
    run("keeper", "state", "out").ok();
    let rows = fs::metadata(path("out/cohort.parquet")).expect("a file");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&rows.permissions()) & 0o777,
        0o600
    );
    #[cfg(not(unix))]
    let _ = rows;
    run("reader", "state", "out2").fails(1, "cohorts are built from all of it [cohort]");
    let log = fs::read_to_string(path("state/audit.jsonl")).expect("a log");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let told = |line: &Value| (line["event"].clone(), line["statement"].clone());
    assert_eq!(
        told(&lines[0]),
        (json!("asked"), json!("cohort run ? --out ?"))
    );
    assert_eq!(lines[0]["principal"], "kim");
    assert_eq!(lines[1]["event"], "answered");
    assert_eq!(told(&lines[2]).0, json!({"refused": "cohort"}));
    // A log that cannot be written.
    fs::create_dir_all(path("full/audit.jsonl")).expect("made");
    assert_ne!(run("keeper", "full", "out3").code, 0);
    assert!(!Path::new(&path("out3/cohort.parquet")).exists());
}

#[test]
fn the_rows_go_into_the_store_and_replace_the_same_definitions() {
    let folder = folder();
    let definition = text(&write(folder.path(), "7-stroke.json", &stroke()));
    let (own, out) = (
        text(&folder.path().join("store")),
        text(&folder.path().join("out")),
    );
    columna(&["ingest", &text(source()), "--store", &own]).ok();
    let run = [
        "cohort",
        "run",
        &definition,
        "--store",
        &own,
        "--out",
        &out,
        "--into-store",
    ];
    columna(&run).ok();
    let count =
        "SELECT count(*), count(DISTINCT subject_id) FROM cohort WHERE cohort_definition_id = 7";
    let first = columna(&["sql", "--store", &own, "--format", "csv", "-c", count]).ok();
    columna(&run).ok();
    assert_eq!(
        columna(&["sql", "--store", &own, "--format", "csv", "-c", count]).ok(),
        first
    );

    let persons = first.lines().nth(1).and_then(|line| line.split(',').next());
    let attrition = fs::read_to_string(folder.path().join("out/attrition.csv")).expect("attrition");
    assert!(attrition.contains(persons.expect("a count")), "{attrition}");
    assert!(folder.path().join("out/cohort.parquet").is_file());
}

#[test]
fn a_refused_definition_is_named_with_its_place_and_the_others_run_when_asked() {
    let folder = folder();
    let good = text(&write(folder.path(), "7-stroke.json", &stroke()));
    let bad = text(&misspelt(folder.path()));
    let store = store();
    let path = "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence.Agee";

    let run = [
        "cohort", "run", &good, &bad, "--store", &store, "--format", "csv",
    ];
    let refused = columna(&run).fails(1, path);
    assert!(refused.err.contains("misspelt.json"), "{}", refused.err);
    assert_eq!(refused.out, "", "nothing may run");

    let mut going = run.to_vec();
    going.push("--keep-going");
    let partly = columna(&going).fails(1, path);
    assert!(partly.out.contains("\n7,7-stroke,"), "{}", partly.out);

    let checked = columna(&["cohort", "validate", &bad]);
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains(path), "{}", checked.out);
    assert_eq!(columna(&["cohort", "validate", &good]).code, 0);
}

#[test]
fn damaged_json_is_named_with_line_and_column() {
    let folder = folder();
    let whole = fs::read_to_string(write(folder.path(), "whole.json", &stroke())).expect("read");
    let cut = folder.path().join("cut.json");
    let line = whole[..whole.len() / 2].lines().count();
    fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    let checked = columna(&["cohort", "validate", &text(&cut)]);
    assert_eq!(checked.code, 1);
    assert!(
        checked.out.contains(&format!("cut.json:{line}:")),
        "{}",
        checked.out
    );
}

#[test]
fn the_explanation_is_in_words() {
    let folder = folder();
    let definition = text(&write(folder.path(), "7-stroke.json", &stroke()));
    let words = columna(&["cohort", "explain", &definition]).ok();
    for said in [
        "a condition occurrence of “stroke”",
        "443454, and its descendants",
    ] {
        assert!(words.contains(said), "`{said}` is not in:\n{words}");
    }
}
