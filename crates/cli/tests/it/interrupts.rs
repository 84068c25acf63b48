//! Ctrl-C, and other requests to end.

#![cfg(unix)]

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::desk::{Desk, POLICY};
use crate::support::{command, folder, hears_hangups, ran, store, text};

#[test]
fn ctrl_c_ends_a_long_query_soon_and_leaves_no_file() {
    let folder = folder();
    let out = folder.path().join("out.csv");
    let statement = "SELECT a.value, b.value FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";
    let mut child = command()
        .args(["sql", "-c", statement, "--format", "csv", "-o", &text(&out)])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // The partial file says that rows are flowing.
    let started = Instant::now();
    while std::fs::read_dir(folder.path()).expect("readable").count() == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "no rows");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pressed = Instant::now();
    interrupt(&child);
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert!(
        pressed.elapsed() < Duration::from_secs(10),
        "{:?}",
        pressed.elapsed()
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("readable").count(),
        0
    );
}

/// Each thread is within a join that yields no batch for minutes: none of them hears of a signal, or lets go of its files.
#[test]
fn ctrl_c_ends_a_join_that_fills_every_thread_and_leaves_no_file() {
    let folder = folder();
    let tens = "(SELECT value, value % 10 AS ten FROM generate_series(1, 1000000))";
    for condition in ["", " AND a.value + b.value < 0"] {
        let join =
            format!("SELECT count(*) FROM {tens} a JOIN {tens} b ON a.ten = b.ten{condition}");
        let mut child = command()
            .args(["sql", "-c", "SELECT 1", "-c", &join])
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut first = [0];
        let mut answers = child.stdout.take().expect("a pipe");
        answers.read_exact(&mut first).expect("the first answer");
        std::thread::sleep(Duration::from_millis(1500));
        let pressed = Instant::now();
        interrupt(&child);
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(130), "{join}");
        let elapsed = pressed.elapsed();
        assert!(elapsed < Duration::from_secs(10), "{join}: {elapsed:?}");
        let left = std::fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(left, 0, "{join}");
    }
}

/// It lists persons, and hears nothing while it works.
#[test]
fn ctrl_c_ends_a_cohort_and_leaves_no_file() {
    let folder = folder();
    let out = folder.path().join("out");
    let definition = crate::cohorts::stroke().to_string();
    let definitions = (1..=2000).map(|number| {
        let file = folder.path().join(format!("{number}-stroke.json"));
        std::fs::write(&file, &definition).expect("written");
        file
    });
    let mut child = command()
        .args(["cohort", "run", "--store", &store()])
        .args(definitions)
        .args(["--out", &text(&out), "--threads", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    wait_for(|| out.join("cohort.parquet.partial").exists());
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(count(&out), 0);
}

/// Rows of persons stay neither in the file that was begun nor in temporary folders.
#[test]
fn a_request_to_end_leaves_no_file() {
    for name in ["TERM", "HUP"] {
        if name == "HUP" && !hears_hangups() {
            continue;
        }
        let (folder, spill) = (folder(), folder());
        let out = folder.path().join("out.csv");
        let mut child = endless(&["--format", "csv", "-o", &text(&out)], spill.path());
        wait_for(|| count(folder.path()) > 0);
        assert!(count(spill.path()) > 0, "{name}");
        let asked = Instant::now();
        signal(&child, name);
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{name}");
        let elapsed = asked.elapsed();
        assert!(elapsed < Duration::from_secs(10), "{name}: {elapsed:?}");
        assert_eq!(
            (count(folder.path()), count(spill.path())),
            (0, 0),
            "{name}"
        );
    }
}

/// The process waits for its reader, and hears nothing itself.
#[test]
fn a_request_to_end_is_heard_while_nobody_reads() {
    let spill = folder();
    let mut child = endless(&["--format", "csv"], spill.path());
    wait_for(|| count(spill.path()) > 0);
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(count(spill.path()), 0);
}

#[test]
fn what_a_killed_session_left_is_removed_by_the_next_one() {
    let spill = folder();
    let mut child = endless(&["--format", "csv"], spill.path());
    wait_for(|| count(spill.path()) > 0);
    let mut other = endless(&["--format", "csv"], spill.path());
    wait_for(|| count(spill.path()) > 1);
    signal(&child, "KILL");
    child.wait().expect("it ends");
    let next = || {
        let mut next = command();
        next.args(["sql", "-c", "SELECT 1"]);
        next.env("TMPDIR", spill.path());
        ran(&mut next).ok();
        count(spill.path())
    };
    assert_eq!(next(), 1, "that of the one that is alive stays");
    signal(&other, "KILL");
    other.wait().expect("it ends");
    assert_eq!(next(), 0);
}

/// As under `nohup`.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_that_is_gone_does_not_end_who_was_told_to_go_on() {
    let spill = folder();
    let columna = env!("CARGO_BIN_EXE_columna");
    let script = format!("trap '' HUP; exec {columna} sql -c \"{ENDLESS}\" --format csv");
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .env("TMPDIR", spill.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    wait_for(|| count(spill.path()) > 0);
    signal(&child, "HUP");
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(child.try_wait().expect("known"), None);
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

const ENDLESS: &str = "SELECT a.value, b.value FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";

/// A query that does not end by itself, and whose output nobody reads.
fn endless(options: &[&str], spill: &Path) -> Child {
    command()
        .args(["sql", "-c", ENDLESS])
        .args(options)
        .env("TMPDIR", spill)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn wait_for(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("readable").count()
}

/// An answer that was broken off is none, on record.
#[test]
fn ctrl_c_is_no_answer_in_the_log() {
    let desk = Desk::new();
    desk.change_policy(&format!(
        "{POLICY}\n[roles.officer]\nkind = \"steward\"\npurposes = [\"research\"]\n"
    ));
    let out = desk.folder.path().join("out");
    std::fs::create_dir(&out).expect("made");
    let rows = "SELECT a.value FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";
    let mut child = desk
        .asking("officer", rows)
        .args(["-o", &text(&out.join("out.csv"))])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let started = Instant::now();
    while std::fs::read_dir(&out).expect("readable").count() == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "no rows");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let log = std::fs::read_to_string(format!("{}/audit.jsonl", desk.state())).expect("a log");
    let events: Vec<String> = log
        .lines()
        .map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
            entry["event"].to_string()
        })
        .collect();
    assert_eq!(events, ["\"asked\"", "\"failed\""]);
}

fn interrupt(child: &Child) {
    signal(child, "INT");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(sent.success());
}
