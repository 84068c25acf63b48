//! What restricted roles are told besides their answers: lists of tables, and what is printed before something fails.

use std::process::Command;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Date32Type;
use arrow::ipc::reader::FileReader;

use crate::desk::{Desk, POLICY};
use crate::support::{PATIENTS, columna, folder, ran, store, text};

const ANALYST: &str = r#"
version = 1
[projects.study]
[roles.counter]
kind = "analyst"
purposes = ["research"]
projects = ["study"]
[[rules]]
name = "rows"
tables = ["person", "measurement"]
classes = { person_key = "raw", key = "raw", code = "raw", value = "raw", date = { generalize_date = "month" }, quasi = "raw" }
"#;

/// A script whose commands of the shell count as well.
fn tells(desk: &Desk, role: &str, script: &str) -> String {
    ran(&mut desk.asking(role, script)).ok()
}

#[test]
fn lists_of_tables_tell_no_numbers() {
    let (desk, analyst) = (Desk::new(), Desk::under(ANALYST));
    for (desk, role) in [(&desk, "counter"), (&desk, "noisy"), (&analyst, "counter")] {
        let list = tells(desk, role, "\\d");
        assert!(list.lines().any(|line| line == "person"), "{list}");
        let numbers = list.contains(|c: char| c.is_ascii_digit());
        assert!(!numbers, "{role}: {list}");
    }
    // Who sees everything sees how much there is.
    let mut steward = Command::new(env!("CARGO_BIN_EXE_columna"));
    steward.args(["sql", "--store", &store(), "--format", "csv", "-c", "\\d"]);
    let list = ran(&mut steward).ok();
    assert!(list.contains(&format!("person,{PATIENTS},")), "{list}");
}

#[test]
fn tables_are_described_as_they_are_shown() {
    let desk = Desk::under(&ANALYST.replace("person_key = \"raw\"", "person_key = \"mask\""));
    let columns = tells(&desk, "counter", "\\d measurement");
    let shown = |column: &str| {
        let line = columns
            .lines()
            .find(|line| line.starts_with(&format!("{column},")));
        line.and_then(|line| line.rsplit(',').next().map(str::to_owned))
    };
    assert_eq!(shown("measurement_id").as_deref(), Some("raw"), "{columns}");
    let date = columns
        .lines()
        .find(|line| line.starts_with("measurement_date,"));
    assert!(date.is_some_and(|line| line.contains("month")), "{columns}");
    assert!(!columns.contains("direct identifier"), "{columns}");
    let numbers = tells(&Desk::new(), "noisy", "\\d person");
    assert!(numbers.contains(",numbers"), "{numbers}");
}

/// Arrow's buffers are written whole: under a NULL must not lie what a mask computed there, which is the person's offset.
#[test]
fn arrow_has_nothing_under_a_null() {
    const SHIFTED: &str = r#"
version = 1
[projects.study]
[roles.counter]
kind = "analyst"
purposes = ["research"]
projects = ["study"]
[[rules]]
tables = ["drug_exposure", "condition_occurrence"]
classes = { person_key = "pseudonym", date = "shift_date", code = "raw" }
"#;
    let folder = folder();
    let path = |name: &str| text(&folder.path().join(name));
    let (policy, keys, state) = (path("policy.toml"), path("keys"), path("state"));
    std::fs::write(&policy, SHIFTED).expect("written");
    std::fs::write(&keys, columna(&["privacy", "key", "new", "study"]).ok()).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let own = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&keys, own).expect("set");
    }
    let store = store();
    for column in [
        "drug_exposure.verbatim_end_date",
        "condition_occurrence.condition_end_date",
    ] {
        let (table, name) = column.split_once('.').unwrap_or_default();
        let sql = format!("SELECT {name} FROM {table}");
        let file = path(&format!("{table}.arrow"));
        let mut all = vec![
            "sql", "--store", &store, "--policy", &policy, "--keys", &keys,
        ];
        all.extend([
            "--role",
            "counter",
            "--purpose",
            "research",
            "--state",
            &state,
        ]);
        all.extend([
            "--principal",
            "kim",
            "--format",
            "arrow",
            "-o",
            &file,
            "-c",
            &sql,
        ]);
        columna(&all).ok();
        let file = std::fs::File::open(&file).expect("written");
        let batches = FileReader::try_new(file, None).expect("a file");
        let mut nulls = 0;
        for batch in batches {
            let batch = batch.expect("readable");
            let days = batch.column(0).as_primitive::<Date32Type>();
            for row in (0..days.len()).filter(|row| days.is_null(*row)) {
                nulls += 1;
                assert_eq!(days.values()[row], 0, "{column}");
            }
        }
        assert!(nulls > 0, "{column}");
    }
}

/// How many rows come before the one that fails follows from how rows lie, hidden ones among them.
#[test]
fn a_result_that_fails_prints_nothing() {
    let desk = Desk::under(ANALYST);
    let last = desk.rows("counter", "SELECT max(measurement_id) FROM measurement");
    let sql = format!(
        "SELECT measurement_id, 1 // (measurement_id - {}) FROM measurement",
        last[0]
    );
    let mut asking = desk.asking("counter", &sql);
    asking.args(["--memory-limit", "20MB"]);
    let failed = ran(&mut asking).fails(1, "[failed]");
    assert_eq!(failed.out, "");
    // All of it is printed where it does not fail.
    let rows = desk.rows("counter", "SELECT measurement_id FROM measurement");
    let count = desk.rows("counter", "SELECT count(*) FROM measurement");
    assert_eq!(rows.len().to_string(), count[0]);
}

/// Which is wrong follows from the query alone, so that an honest analyst may read it.
#[test]
fn an_option_that_is_wrong_is_named() {
    let wrong = "SELECT gender_concept_id, kaplan_meier(year_of_birth, true, conf_type => 'logg') FROM person GROUP BY 1";
    let refused = Desk::under(ANALYST)
        .ask("counter", wrong)
        .fails(1, "`conf_type`");
    assert!(refused.err.contains("'log-log'"), "{}", refused.err);
    assert!(!refused.err.contains("[failed]"), "{}", refused.err);
}

#[test]
fn a_budget_can_be_frozen_before_its_first_question() {
    let desk = Desk::new();
    let freeze = |more: &[&str]| {
        let mut all = vec!["freeze", "--principal", "ana"];
        all.extend(more);
        desk.ledger(&all)
    };
    freeze(&[]).fails(1, "no such account");
    let store = store();
    let said = freeze(&["--project", "study", "--store", &store]).ok();
    assert!(said.contains("before its first question"), "{said}");
    let refused = desk
        .ask("noisy", "SELECT count(*) FROM person")
        .fails(1, "frozen");
    assert_eq!(refused.out, "");
    assert_eq!(desk.spent().0, 0.0);
    freeze(&["--off"]).ok();
    assert_eq!(desk.rows("noisy", "SELECT count(*) FROM person").len(), 1);
}

#[test]
fn memory_tells_nothing_of_one_person() {
    let desk = Desk::new();
    // Each row of measurements is made large: under a limit that somebody chose, being refused would tell of them.
    let long = "x".repeat(3900);
    let sql = format!(
        "SELECT count(*) FROM (SELECT CASE WHEN value_as_number > 0 THEN '{long}' || CAST(value_as_number AS TEXT) END AS k, \
         person_id FROM measurement) GROUP BY k"
    );
    for role in ["counter", "noisy"] {
        let mut asking = desk.asking(role, &sql);
        asking.args(["--memory-limit", "100KB", "--threads", "1"]);
        ran(&mut asking).ok();
    }
}

#[test]
fn a_policy_shows_the_rules_that_it_changed() {
    let policy = POLICY.replace(
        "{ profile = \"opensafely\" }",
        "{ profile = \"sacro\", k = 23, round_to = 7 }",
    );
    let desk = Desk::under(&policy);
    let policy = crate::support::text(&desk.policy());
    let shown = crate::support::columna(&[
        "privacy",
        "policy",
        "show",
        &policy,
        "--store",
        &store(),
        "--role",
        "counter",
    ]);
    let shown = shown.ok();
    for says in [
        "sacro, changed",
        "at least 23 persons",
        "multiples of 7",
        "90 %",
    ] {
        assert!(shown.contains(says), "`{says}` is not in {shown}");
    }
}

/// A snapshot that has the rows of an earlier one is no place to ask anew: what was released of the one is held against
/// questions about the other.
#[test]
fn rows_that_were_only_written_anew_are_no_other_rows() {
    let desk = Desk::new();
    desk.change_policy(&POLICY.replace("opensafely", "cms"));
    let (source, own) = (
        desk.folder.path().join("source"),
        desk.folder.path().join("store"),
    );
    let (source, own) = (crate::support::text(&source), crate::support::text(&own));
    crate::support::columna(&[
        "synth",
        "--patients",
        "150",
        "--seed",
        "4",
        "--out",
        &source,
    ])
    .ok();
    crate::support::columna(&["ingest", &source, "--store", &own]).ok();
    crate::support::columna(&["store", "project", "measurement", "--store", &own]).ok();
    let ask = |snapshot: &str, sql: &str| {
        let mut asking = Command::new(env!("CARGO_BIN_EXE_columna"));
        asking.args([
            "sql",
            "--store",
            &own,
            "--snapshot",
            snapshot,
            "--format",
            "csv",
        ]);
        asking.args([
            "--policy",
            &crate::support::text(&desk.policy()),
            "--state",
            &desk.state(),
        ]);
        asking.args([
            "--role",
            "counter",
            "--purpose",
            "research",
            "--principal",
            "ana",
            "-c",
            sql,
        ]);
        ran(&mut asking).ok().lines().nth(1).map(str::to_owned)
    };
    let born = |part: &str| {
        let mut steward = Command::new(env!("CARGO_BIN_EXE_columna"));
        let sql = format!("SELECT {part} FROM person WHERE person_id = 7");
        steward.args(["sql", "--store", &own, "--format", "csv", "-c", &sql]);
        ran(&mut steward)
            .ok()
            .lines()
            .nth(1)
            .map(str::to_owned)
            .expect("a number")
    };
    let but_one = format!(
        "SELECT count(*) FROM person WHERE NOT (year_of_birth = {} AND month_of_birth = {} AND day_of_birth = {})",
        born("year_of_birth"),
        born("month_of_birth"),
        born("day_of_birth")
    );
    assert_eq!(
        ask("1", "SELECT count(*) FROM person").as_deref(),
        Some("150")
    );
    assert_eq!(ask("2", &but_one).as_deref(), Some("150"));
}
