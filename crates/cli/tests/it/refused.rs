//! Statements that are refused: in what words, and where in the text.

use crate::support::{Ran, columna, store};

fn asked(statement: &str) -> Ran {
    columna(&["sql", "--store", &store(), "-c", statement])
}

#[test]
fn a_table_is_named_without_a_schema() {
    let ran = asked("SELECT * FROM omop.person").fails(1, "no schema named `omop`");
    assert!(
        ran.err
            .contains("hint: tables have no schema: write `person`"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("-c:1:15"), "{}", ran.err);
    asked("SELECT * FROM cdm.omop.person").fails(1, "no schema named `cdm.omop`");
    asked("SELECT * FROM omop.persn").fails(1, "did you mean `person`?");
    asked("SELECT count(*) FROM public.person").ok();
}

#[test]
fn functions_over_windows_need_a_window() {
    for (call, hint) in [
        (
            "lag(person_id)",
            "`lag(x) OVER (PARTITION BY person_id ORDER BY",
        ),
        (
            "row_number()",
            "`row_number() OVER (PARTITION BY person_id ORDER BY",
        ),
    ] {
        let name = call.split('(').next().unwrap_or_default();
        let ran = asked(&format!("SELECT {call} FROM person"));
        let ran = ran.fails(1, &format!("`{name}` needs OVER (…)"));
        assert!(ran.err.contains(hint), "{}", ran.err);
    }
}

#[test]
fn collations_are_refused_in_words() {
    for statement in [
        "SELECT gender_source_value COLLATE \"C\" FROM person",
        "SELECT person_id FROM person ORDER BY gender_source_value COLLATE \"ko_KR\"",
    ] {
        let ran = asked(statement).fails(1, "COLLATE is not supported");
        let at = statement.find("COLLATE").unwrap_or_default() + 1;
        assert!(ran.err.contains(&format!("-c:1:{at} ")), "{}", ran.err);
        assert!(!ran.err.contains("Ident"), "{}", ran.err);
    }
}

#[test]
fn an_error_at_the_end_of_a_statement_points_there() {
    for (statement, at) in [
        ("SELECT * FROM person WHERE", "-c:1:27"),
        (
            "SELECT * FROM person\nWHERE person_id IN (1,\n2 ; SELECT 1",
            "-c:3:2",
        ),
        ("SELECT 1 + -- the rest", "-c:1:11"),
    ] {
        let ran = asked(statement).fails(1, "found: the end of the statement");
        assert!(ran.err.contains(&format!("--> {at} (")), "{}", ran.err);
    }
}

#[test]
fn nothing_is_dropped_of_a_store_and_that_is_said() {
    for statement in ["DROP TABLE person", "DROP TABLE IF EXISTS person"] {
        let ran = asked(statement).fails(1, "`person` is a table of the store");
        assert!(ran.err.contains("-c:1:"), "{}", ran.err);
    }
    asked("DROP TABLE persn").fails(1, "hint: did you mean `person`?");
    asked("DROP VIEW person").fails(1, "hint: write `DROP TABLE person`");
    asked("CREATE VIEW v AS SELECT 1 AS a; DROP TABLE v").fails(1, "hint: write `DROP VIEW v`");
    asked("DROP SCHEMA omop").fails(1, "no schema named `omop`");
    let own = "CREATE TABLE own AS SELECT 1 AS a; DROP TABLE own; DROP TABLE IF EXISTS own";
    asked(own).ok();
    let hidden = "CREATE OR REPLACE TABLE person AS SELECT 1 AS a; DROP TABLE person";
    asked(hidden).ok();
}
