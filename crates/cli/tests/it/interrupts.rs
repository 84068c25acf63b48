//! Ctrl-C.

#![cfg(unix)]

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{command, folder, text};

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

fn interrupt(child: &Child) {
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(killed.success());
}
