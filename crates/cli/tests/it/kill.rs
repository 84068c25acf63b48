//! `kill -9` of a real ingest at many moments: the last snapshot stays whole, and the next ingest works.

#![cfg(unix)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{PATIENTS, columna, command, copy, folder, store, text};

/// Kills, spread over the time that an ingest takes.
const KILLS: u32 = 24;
/// Beyond this, fewer kills are enough: the test must end on a busy machine as well.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn an_ingest_killed_at_any_moment_loses_nothing() {
    let folder = folder();
    let second = folder.path().join("second");
    let first_person = (PATIENTS + 1).to_string();
    columna(&[
        "synth",
        "--patients",
        "200",
        "--seed",
        "7",
        "--first-person-id",
        &first_person,
        "--out",
        &text(&second),
    ])
    .ok();
    let store_path = folder.path().join("store");
    copy(std::path::Path::new(&store()), &store_path);
    let store = text(&store_path);
    let ingest = || {
        let mut ingest = command();
        ingest
            .args(["ingest", &text(&second), "--store", &store])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ingest
    };
    let persons = || {
        let arguments = [
            "sql",
            "--store",
            &store,
            "--format",
            "csv",
            "-c",
            "SELECT count(*) FROM person",
        ];
        columna(&arguments).ok().lines().nth(1).map(str::to_owned)
    };
    // How long it takes, from a run into a copy.
    let whole = {
        let elsewhere = folder.path().join("timed");
        copy(&store_path, &elsewhere);
        let started = Instant::now();
        columna(&["ingest", &text(&second), "--store", &text(&elsewhere)]).ok();
        started.elapsed()
    };
    let started = Instant::now();
    let (before, after) = (PATIENTS.to_string(), (PATIENTS + 200).to_string());
    let mut killed = 0;
    for number in 0..KILLS {
        let mut child = ingest().spawn().expect("it starts");
        std::thread::sleep(whole * number / KILLS);
        let running = child.try_wait().expect("it can be asked").is_none();
        child.kill().expect("killed");
        child.wait().expect("it ends");
        killed += u32::from(running);
        let count = persons().expect("a count");
        if count == after {
            // The snapshot was written before the blow: whole as well. Later kills would find nothing to do.
            break;
        }
        assert_eq!(count, before, "after kill {number}");
        if started.elapsed() > PATIENCE {
            break;
        }
    }
    assert!(killed >= 5, "only {killed} were killed while they ran");
    if persons().as_deref() == Some(before.as_str()) {
        assert!(ingest().status().expect("it runs").success());
    }
    assert_eq!(persons().as_deref(), Some(after.as_str()));
    columna(&["store", "verify", "--store", &store]).ok();
}
