//! Wrong usage ends with exit code 2, and help says what there is.

use crate::support::{columna, command, ran};

#[test]
fn wrong_usage_is_exit_code_2() {
    columna(&["nonsense"]).fails(2, "unrecognized subcommand");
    columna(&["sql", "-c", "SELECT 1", "-f", "x.sql"]).fails(2, "cannot be used with");
    columna(&["sql", "--format", "xml"]).fails(2, "possible values: table, csv, tsv, json");
    columna(&["ingest", "somewhere"]).fails(2, "--store");
    columna(&["demo", "--patients", "3"]).fails(2, "3 is not in 100..");
}

#[test]
fn a_wrong_size_says_what_to_write() {
    let ran = columna(&["sql", "-c", "SELECT 1", "--memory-limit", "8 gigs"]);
    ran.fails(2, "`8 gigs` is not a size; write a number with KB, MB, GB");
}

#[test]
fn help_names_every_command() {
    let help = columna(&["--help"]).ok();
    for name in [
        "demo",
        "synth",
        "ingest",
        "info",
        "sql",
        "store",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("\n  {name}")), "{name} in\n{help}");
    }
}

#[test]
fn completions_and_the_manual_come_from_the_arguments() {
    assert!(
        columna(&["completions", "bash"])
            .ok()
            .contains("--memory-limit")
    );
    assert!(columna(&["man"]).ok().contains(".TH columna 1"));
    let folder = crate::support::folder();
    let pages = folder.path().join("man");
    columna(&["man", "--out", &crate::support::text(&pages)]).ok();
    assert!(pages.join("columna-sql.1").is_file());
}

#[test]
fn errors_are_plain_where_there_is_no_terminal_and_coloured_on_demand() {
    let plain = columna(&["sql", "-c", "SELECT x"]).fails(1, "error: ");
    assert!(!plain.err.contains('\x1b'));
    let coloured = columna(&["--color", "always", "sql", "-c", "SELECT x"]).fails(1, "");
    assert!(coloured.err.contains("\x1b[1;31merror:"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let output = ran(std::process::Command::new("sh").arg("-c").arg(format!(
        "{} sql --format csv -c 'SELECT value FROM generate_series(1, 1000000)' | head -n 2; echo ${{PIPESTATUS:-}}",
        command().get_program().display()
    )));
    assert_eq!(output.err, "");
    assert!(output.out.starts_with("value\n1\n"));
}
