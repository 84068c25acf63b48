//! The shipped study on a schedule: a delivery starts it, and what is killed in its middle goes on.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::{Place, killed, processes, signal};
use crate::support::{PATIENTS, columna, text};

/// The hash of a run's results.
fn results(folder: &std::path::Path) -> String {
    let record = fs::read_to_string(folder.join("run.json")).expect("a record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["status"], "finished");
    record["result_hash"].as_str().expect("a hash").to_owned()
}

#[test]
fn a_study_that_is_killed_in_the_middle_ends_with_the_results_of_one_that_was_not() {
    let place = Place::new();
    let (study, store) = (
        text(&place.path("hospital.yaml")),
        text(&place.path("store")),
    );
    columna(&["study", "init", "--example", &study]).ok();
    let broken = place.path("broken.yaml");
    fs::write(&broken, "title: 7\nnonsense: true\n").expect("written");
    place
        .schedule(&["add", &text(&broken), "--cron=@daily"])
        .fails(2, "broken.yaml:");
    place
        .schedule(&[
            "add",
            &study,
            "--on-snapshot",
            "--settle=0",
            "--retries=0",
            "--threads=2",
        ])
        .ok();
    let scheduler = || {
        place
            .command(&["run", "--poll=20", "--watch=50"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let first = scheduler();
    let delivery = text(&place.path("delivery"));
    let first_person = (PATIENTS + 1).to_string();
    columna(&[
        "synth",
        "--patients=100",
        "--seed=8",
        "--first-person-id",
        &first_person,
        "--out",
        &delivery,
    ])
    .ok();
    columna(&["ingest", &delivery, "--store", &store]).ok();
    // In the middle: a step is done, and more are to come.
    place.wait("the first steps", || {
        let said = place.schedule(&["show", "1", "--output"]);
        said.code == 0 && said.out.lines().count() >= 2
    });
    killed(first);
    let state = place.schedule(&["history", "--json"]).ok();
    assert!(
        !state.contains("succeeded"),
        "it was killed too late to be in the middle: {state}"
    );
    let state = format!("{store}.schedule");
    for pid in processes("cmdline", &["runner", &state]) {
        signal("-9", &pid);
    }
    std::thread::sleep(Duration::from_millis(100));
    let second = scheduler();
    place.wait("the end", || place.states() == ["succeeded"]);
    killed(second);
    let show = place.schedule(&["show", "1"]).ok();
    assert!(show.contains("its process disappeared"), "{show}");
    let alone = place.path("alone");
    columna(&[
        "study",
        "run",
        &study,
        "--store",
        &store,
        "--out",
        &text(&alone),
    ])
    .ok();
    assert_eq!(
        results(&place.path("store.schedule/results/hospital")),
        results(&alone)
    );
}
