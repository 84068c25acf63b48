//! What a restricted session reaches past the engine: files and programs of the account that it runs under, which need not
//! be the asker's own.

use std::fs;
use std::path::Path;

use crate::desk::Desk;
use crate::support::{columna, command, copy, ran, store, text};

const ANALYST: &str = r#"
version = 1
[projects.study]
[roles.counter]
kind = "analyst"
purposes = ["research"]
projects = ["study"]
[[rules]]
name = "rows"
tables = ["person"]
classes = { person_key = "raw", code = "raw", quasi = "raw" }
"#;

const SECRET: &str = "study/1 = 0f1e2d3c4b5a69788796a5b4c3d2e1f0\n";

/// What is on record, without the record's own chain.
fn on_record(desk: &Desk) -> Vec<(String, String)> {
    let log = Path::new(&desk.state()).join("audit.jsonl");
    let log = fs::read_to_string(log).unwrap_or_default();
    let entries = log.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let words = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let event = words(&entry["event"]).or_else(|| words(&entry["event"]["refused"]));
        (
            event.unwrap_or_default(),
            words(&entry["statement"]).unwrap_or_default(),
        )
    });
    entries.collect()
}

fn desks() -> [(Desk, &'static str); 3] {
    [
        (Desk::under(ANALYST), "counter"),
        (Desk::new(), "counter"),
        (Desk::new(), "noisy"),
    ]
}

#[test]
fn no_command_of_the_shell_writes_a_file() {
    for (desk, role) in desks() {
        let policy = fs::read(desk.policy()).expect("a policy");
        for file in [text(&desk.policy()), format!("{}/new", desk.state())] {
            let script = format!("\\o {file}\nSELECT 1 AS \"version = 2\"");
            let refused = desk.ask(role, &script).fails(1, "[file]");
            assert!(refused.err.contains("hint: redirect"), "{}", refused.err);
            assert_eq!(refused.out, "");
            assert!(!Path::new(&desk.state()).join("new").exists());
        }
        assert_eq!(fs::read(desk.policy()).expect("a policy"), policy);
        let refused = ("file".to_owned(), "\\o ?".to_owned());
        assert_eq!(on_record(&desk), [refused.clone(), refused]);
        // Back to standard output is nowhere else.
        desk.ask(role, "\\o\n").ok();
    }
}

#[test]
fn results_go_to_new_files_outside_of_the_store_only() {
    let desk = Desk::under(ANALYST);
    let count = "SELECT count(*) AS n FROM person";
    let to = |file: &str| {
        let mut asking = desk.asking("counter", count);
        asking.args(["-o", file]);
        ran(&mut asking)
    };
    let new = desk.folder.path().join("new.csv");
    assert_eq!(to(&text(&new)).ok(), "");
    assert_eq!(fs::read_to_string(&new).expect("written"), "n\n300\n");
    let policy = fs::read(desk.policy()).expect("a policy");
    for file in [
        text(&new),
        text(&desk.policy()),
        format!("{}/policy.toml", desk.state()),
        format!("{}/audit.jsonl", desk.state()),
        format!("{}/x.csv", store()),
        format!("{}/tables/../x.csv", store()),
    ] {
        let refused = to(&file).fails(1, "[file]");
        assert_eq!(refused.out, "", "{file}");
    }
    assert_eq!(fs::read(desk.policy()).expect("a policy"), policy);
    assert_eq!(fs::read_to_string(&new).expect("written"), "n\n300\n");
    assert!(!Path::new(&store()).join("x.csv").exists());
    assert!(on_record(&desk).contains(&("file".to_owned(), "--output ?".to_owned())));
}

#[test]
fn no_file_is_read_and_none_quoted() {
    for (desk, role) in desks() {
        let keys = desk.folder.path().join("keys");
        fs::write(&keys, SECRET).expect("written");
        let keys = text(&keys);
        let refused = desk.ask(role, &format!("\\i {keys}")).fails(1, "[file]");
        assert!(refused.err.contains("standard input"), "{}", refused.err);
        assert_eq!(on_record(&desk), [("file".to_owned(), "\\i ?".to_owned())]);

        let as_script = |text: &str| {
            fs::write(&keys, text).expect("written");
            let mut asking = command();
            asking.args(["sql", "--store", &store(), "--policy"]);
            asking.args([&text_of_policy(&desk), "--state", &desk.state()]);
            asking.args(["--role", role, "--purpose", "research"]);
            asking.args(["--principal", "ana", "-f", &keys]);
            ran(&mut asking)
        };
        for secret in [
            SECRET,
            "root:$6$0f1e2d3c$4b5a6978",
            "\\0f1e2d3c",
            "'0f1e2d3c",
            "SELECT 1;\n0f1e2d3c",
        ] {
            let said = as_script(secret).fails(1, "syntax error");
            assert!(!said.err.contains("0f1e2d3c"), "{secret}: {}", said.err);
            assert!(!said.err.contains("study/1"), "{}", said.err);
            assert!(said.err.contains("--> "), "{}", said.err);
            assert!(said.err.contains("standard input"), "{}", said.err);
        }
        // An honest script's mistakes are named.
        as_script("SELECT count(*)\nFROM persn").fails(1, "no table named `persn`");
        as_script("SELECT count(*) FROM person").ok();
    }
}

fn text_of_policy(desk: &Desk) -> String {
    text(&desk.policy())
}

#[test]
fn whatever_is_asked_is_on_record() {
    let desk = Desk::under(ANALYST);
    desk.ask("counter", "\\d").ok();
    desk.ask("counter", "\\d person").ok();
    desk.ask("counter", "\\d hong_gildong")
        .fails(1, "no table named");
    desk.ask("counter", "SELECT $since")
        .fails(1, "has no value");
    desk.ask("counter", "\\hong").fails(1, "no command");
    let kinds: Vec<(String, String)> = on_record(&desk);
    let kinds: Vec<(&str, &str)> = kinds
        .iter()
        .map(|(event, statement)| (event.as_str(), statement.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("asked", "\\d"),
            ("answered", ""),
            ("asked", "\\d person"),
            ("answered", ""),
            ("asked", "\\d ?"),
            ("answered", ""),
            ("plan", ""),
            ("plan", "\\"),
        ]
    );
}

/// Who may choose among snapshots learns all about a person who was erased between two of them.
#[test]
fn numbers_about_groups_are_those_of_the_newest_rows() {
    let desk = Desk::new();
    let copied = desk.folder.path().join("store");
    copy(Path::new(&store()), &copied);
    let copied = text(&copied);
    let ask = |more: &[&str]| {
        let mut asking = command();
        asking.args(["sql", "--store", &copied, "--policy", &text(&desk.policy())]);
        asking.args([
            "--state",
            &desk.state(),
            "--role",
            "counter",
            "--principal",
            "ana",
        ]);
        asking.args(["--purpose", "research", "-c", "SELECT count(*) FROM person"]);
        ran(asking.args(more))
    };
    ask(&["--snapshot", "1"]).ok();
    columna(&["store", "erase", "--store", &copied, "--person", "1"]).ok();
    let refused = ask(&["--snapshot", "1"]).fails(1, "[snapshot]");
    assert_eq!(refused.out, "");
    assert!(on_record(&desk).contains(&("snapshot".to_owned(), String::new())));
    ask(&[]).ok();
}

/// Pagers start programs and open files. Here a long result is shown at a prompt, on a terminal that `script` makes.
#[cfg(target_os = "linux")]
#[test]
fn no_pager_is_started() {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let desk = Desk::under(ANALYST);
    let mark = desk.folder.path().join("started");
    let pager = desk.folder.path().join("pager");
    fs::write(&pager, format!("touch {}\ncat\n", mark.display())).expect("written");
    let prompt = |policy: &str| {
        let typescript = format!(
            "{} sql --store {} --no-history {policy}",
            env!("CARGO_BIN_EXE_columna"),
            store()
        );
        let mut terminal = Command::new("script")
            .args(["-qec", &typescript, "/dev/null"])
            .env("PAGER", format!("sh {}", pager.display()))
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a terminal");
        let mut typed = terminal.stdin.take().expect("a pipe");
        let mut shown = terminal.stdout.take().expect("a pipe");
        let mut said = Vec::new();
        let mut piece = [0; 4096];
        // What is typed before there is a prompt is lost.
        let mut lines = ["SELECT person_id FROM person;\r", "\\df\r", "\\q\r"].iter();
        loop {
            let read = shown.read(&mut piece).unwrap_or(0);
            if read == 0 {
                break;
            }
            said.extend_from_slice(&piece[..read]);
            // The prompt again after what came before, and nothing typed at it yet.
            if said.ends_with(b"\x1b[9C\x1b[?2026l")
                && let Some(line) = lines.next()
            {
                typed.write_all(line.as_bytes()).expect("typed");
            }
        }
        terminal.wait().expect("it ends");
        String::from_utf8_lossy(&said).into_owned()
    };
    let role = format!(
        "--policy {} --state {} --role counter --purpose research --principal ana",
        text(&desk.policy()),
        desk.state()
    );
    let said = prompt(&role);
    assert!(said.contains("person_id"), "{said}");
    assert!(!mark.exists(), "{said}");
    // The same without a policy has one.
    let said = prompt("");
    assert!(mark.exists(), "{said}");
}

/// Who is used to other engines writes values in such quotes, and a value is a patient's.
#[test]
fn no_value_in_the_place_of_a_name_is_on_record() {
    for (desk, role) in desks() {
        for value in ["\"Kim\"", "`Kim`", "[Kim]", "Kim"] {
            let statement =
                format!("SELECT count(*) FROM person WHERE gender_concept_id = {value}");
            assert_ne!(desk.ask(role, &statement).code, 0, "{value}");
        }
        let log = on_record(&desk);
        let log: Vec<&str> = log
            .iter()
            .map(|(_, statement)| statement.as_str())
            .collect();
        let counted =
            |value: &str| format!("SELECT count(*) FROM person WHERE gender_concept_id = {value}");
        for at in [0, 1, 3] {
            assert_eq!(log[at], counted("?"));
        }
        assert!(!log.concat().contains("Kim"), "{log:?}");
    }
}

/// The engine follows a statement by recursion; where its stack ended so did the process, before anything was on record.
#[test]
fn a_statement_that_is_nested_too_deep_is_refused_and_on_record() {
    let sums = format!("SELECT 1{}", "+1".repeat(20_000));
    let unions = vec!["SELECT 1"; 5_000].join(" UNION ALL ");
    let types = format!("SELECT CAST(NULL AS INT{})", "[]".repeat(20_000));
    for statement in [&sums, &unions, &types] {
        let says = "within each other, which is deeper than the engine follows";
        columna(&["sql", "-c", statement]).fails(1, says);
    }
    for (desk, role) in desks() {
        desk.ask(role, &sums).fails(1, "more than 4000 expressions");
        desk.ask(role, &unions).fails(1, "more than 1000 queries");
        let refused = || {
            let shown = "a statement of too many parts within each other";
            ("plan".to_owned(), shown.to_owned())
        };
        assert_eq!(on_record(&desk), [refused(), refused()]);
    }
    // The sibling: what is long and not deep.
    let listed = format!("SELECT 1 IN (2{})", ", 3".repeat(20_000));
    columna(&["sql", "-c", &listed]).ok();
}
