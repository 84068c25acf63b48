//! A scheduled study on a cluster whose scheduler dies: the retry goes on with the next one.

use std::fs;
use std::process::Stdio;

use super::{Place, killed};
use crate::cluster::{TOKEN, executor_of, result_hash, scheduler_at};
use crate::study::SPEC;
use crate::support::{columna, text};

#[test]
fn a_retry_goes_on_where_the_clusters_scheduler_died() {
    let place = Place::new();
    let (study, store) = (
        text(&place.path("outcomes.yaml")),
        text(&place.path("store")),
    );
    fs::write(&study, SPEC).expect("written");
    let (first, address) = scheduler_at(&store, "127.0.0.1:0");
    // It comes back to whatever scheduler listens at this address.
    let _executor = executor_of(&store, &address, &place.path("work"));
    let url = format!("df://{address}");
    place
        .schedule(&[
            "add",
            &study,
            "--cron=0 2 29 2 *",
            "--retries=20",
            "--backoff=1s",
            "--backoff-max=1s",
            "--",
            "--cluster",
            &url,
        ])
        .ok();
    place.schedule(&["start", "outcomes"]).ok();
    let runs = place
        .command(&["run", "--poll=20", "--watch=50"])
        .env(TOKEN.0, TOKEN.1)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let out = place.path("store.schedule/results/outcomes");
    place.wait("the first steps", || {
        fs::read_dir(out.join("work/steps")).map_or(0, Iterator::count) >= 2
    });
    drop(first);
    place.wait("the loss to be noticed", || place.states() != ["running"]);
    let (_second, _) = scheduler_at(&store, &address);
    place.wait("the end", || place.states() == ["succeeded"]);
    killed(runs);
    let first_attempt = fs::read_to_string(place.path("store.schedule/logs/1-1.log"));
    let said = first_attempt.expect("the log of the first attempt");
    assert!(said.contains("no scheduler answers"), "{said}");
    let here = place.path("here");
    columna(&[
        "study",
        "run",
        &study,
        "--store",
        &store,
        "--out",
        &text(&here),
    ])
    .ok();
    assert_eq!(result_hash(&out), result_hash(&here));
}
