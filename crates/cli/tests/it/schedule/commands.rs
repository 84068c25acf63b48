//! What schedules do when all goes well, and what mistakes are told.

use std::fs;
use std::time::Duration;

use super::{Place, killed};
use columna_store::{Layout, Store};

use crate::support::{PATIENTS, columna, text};

#[test]
fn schedules_are_added_looked_at_run_and_removed() {
    let place = Place::new();
    let study = place.specification("nightly", "echo 'done in the study'");
    place.schedule(&["list"]).fails(1, "there is no schedule");
    place
        .try_add(&study, &[])
        .fails(2, "nothing says when the study runs");
    place
        .try_add(&study, &["--cron=0 2 * * *", "--timezone=Asia/Soul"])
        .fails(2, "`Asia/Soul` is not a time zone");
    place
        .schedule(&["add", "none.yaml", "--cron=@daily"])
        .fails(1, "there is no specification `none.yaml`");
    place
        .try_add(
            &study,
            &["--cron=@daily", "--webhook=http://hospital.example/x"],
        )
        .fails(2, "over the network");
    place
        .try_add(&study, &["--cron=@daily", "--", "--out=elsewhere"])
        .fails(2, "`--out` cannot stand after `--`");
    let added = place.try_add(&study, &["--cron=0 2 * * *", "--timezone=Asia/Seoul"]);
    assert!(
        added.err.contains("no scheduler is at work"),
        "{}",
        added.err
    );
    assert!(added.ok().contains("02:00 KST"));
    place
        .try_add(&study, &["--cron=@daily"])
        .fails(2, "there is a schedule named `nightly` already");
    let list = place.schedule(&["list"]).ok();
    assert!(list.contains("0 2 * * * Asia/Seoul"), "{list}");
    place
        .schedule(&["start", "nigtly"])
        .fails(2, "did you mean `nightly`?");
    place.schedule(&["start", "nightly"]).ok();
    place.once().ok();
    let history = place.schedule(&["history"]).ok();
    assert!(history.contains("succeeded"), "{history}");
    let show = place.schedule(&["show", "1"]).ok();
    assert!(
        show.contains("attempt 1 begins") && show.contains("done in the study"),
        "{show}"
    );
    assert_eq!(
        place.schedule(&["show", "1", "--output"]).ok(),
        "done in the study\n"
    );
    place.schedule(&["show", "7"]).fails(2, "there is no run 7");
    place.schedule(&["retry", "1"]).fails(2, "run 1 succeeded");
    place.schedule(&["pause", "nightly"]).ok();
    assert!(place.schedule(&["list"]).ok().contains("paused"));
    place.schedule(&["resume", "nightly"]).ok();
    place.schedule(&["remove", "nightly"]).ok();
    assert_eq!(place.schedule(&["list", "--json"]).ok(), "[]\n");
    assert_eq!(place.states(), ["succeeded"], "what was stays on record");
}

#[test]
fn the_study_is_told_what_the_schedule_says() {
    let place = Place::new();
    let study = place.specification("a", "echo \"$@\"; exit 1");
    let limits = [
        "--cron=@daily",
        "--memory-limit=2GB",
        "--threads=3",
        "--retries=1",
        "--backoff=0",
    ];
    let fresh = [&limits[..], &["--out=res", "--", "--fresh"]].concat();
    place.add(&study, &fresh);
    place.add(&study, &[&limits[..], &["--name=b"]].concat());
    place.schedule(&["start", "a"]).ok();
    place.schedule(&["start", "b"]).ok();
    place.once().fails(1, "2 runs did not succeed");
    let said = |run: &str| place.schedule(&["show", run, "--output"]).ok();
    let store = text(&place.path("store").canonicalize().expect("a folder"));
    let fresh = said("1");
    assert!(
        fresh.starts_with(&format!("study run {study} --store {store} --out /")),
        "{fresh}"
    );
    assert!(
        fresh.ends_with("/res --memory-limit=2000000000 --threads=3 --fresh\n"),
        "{fresh}"
    );
    // The second attempt goes on where the first one ended, unless it was told otherwise.
    let again = said("2");
    assert!(
        again.ends_with(
            "/store.schedule/results/b --memory-limit=2000000000 --threads=3 --resume\n"
        ),
        "{again}"
    );
}

#[test]
fn a_new_snapshot_starts_a_study_and_its_success_the_next() {
    let place = Place::new();
    let first = place.specification("first", "true");
    let second = place.specification("second", "true");
    place.add(&first, &["--on-snapshot", "--settle=0"]);
    place.add(&second, &["--after=first"]);
    let scheduler = place.start(&[]);
    std::thread::sleep(Duration::from_millis(300));
    assert!(place.runs().is_empty(), "no snapshot is new yet");
    let delta = text(&place.path("delta"));
    let first_person = (PATIENTS + 1).to_string();
    columna(&[
        "synth",
        "--patients=20",
        "--seed=8",
        "--first-person-id",
        &first_person,
        "--out",
        &delta,
    ])
    .ok();
    columna(&["ingest", &delta, "--store", &text(&place.path("store"))]).ok();
    place.wait("both", || place.states() == ["succeeded", "succeeded"]);
    let runs = place.runs();
    assert_eq!(
        [
            &runs[0]["schedule"],
            &runs[0]["cause"],
            &runs[1]["schedule"],
            &runs[1]["cause"]
        ],
        ["first", "snapshot", "second", "after"]
    );
    assert_eq!(runs[0]["snapshot"], 2);
    killed(scheduler);
}

#[test]
fn a_run_is_cancelled_by_hand() {
    let place = Place::new();
    let study = place.specification("a", "sleep 600");
    place.add(&study, &["--cron=0 2 * * *", "--retries=5"]);
    place.schedule(&["start", "a"]).ok();
    place.schedule(&["start", "a"]).ok();
    let scheduler = place.start(&[]);
    place.wait("the begin", || !place.ledger().is_empty());
    assert!(
        place
            .schedule(&["cancel", "2"])
            .ok()
            .contains("is cancelled")
    );
    assert!(
        place
            .schedule(&["cancel", "1"])
            .ok()
            .contains("is asked to end")
    );
    place.wait("the end", || place.states() == ["cancelled", "cancelled"]);
    killed(scheduler);
    assert!(place.ends().is_empty());
}

#[test]
fn a_specification_that_is_gone_ends_the_run_at_once() {
    let place = Place::new();
    let study = place.specification("a", "true");
    place.add(&study, &["--cron=@daily", "--retries=5"]);
    place.schedule(&["start", "a"]).ok();
    fs::remove_file(&study).expect("removed");
    place.once().fails(1, "did not succeed");
    let show = place.schedule(&["show", "1"]).ok();
    assert!(show.contains("is not there"), "{show}");
}

#[test]
fn a_store_whose_files_are_ordered_anew_is_no_news() {
    let place = Place::new();
    let store = place.path("store");
    fs::remove_dir_all(&store).expect("removed");
    let store = text(&store);
    let layout = Layout {
        persons_per_bucket: 20,
        ..Layout::default()
    };
    tokio::runtime::Runtime::new()
        .expect("threads")
        .block_on(Store::create(&store, layout))
        .expect("an empty store");
    let deliver = |first_person: u64, patients: u64| {
        let delivery = text(&place.path(&format!("delivery{first_person}")));
        let (first_person, patients) = (first_person.to_string(), patients.to_string());
        columna(&[
            "synth",
            "--patients",
            &patients,
            "--first-person-id",
            &first_person,
            "--out",
            &delivery,
        ])
        .ok();
        columna(&["ingest", &delivery, "--store", &store]).ok();
    };
    // Many between two that are known: one bucket grows too large.
    deliver(1, 3);
    deliver(10_001, 3);
    deliver(2_001, 60);
    let study = place.specification("a", "true");
    place.add(&study, &["--on-snapshot", "--settle=0"]);
    let compacted = columna(&["store", "compact", "--store", &store]).ok();
    assert!(compacted.contains("snapshot 4"), "{compacted}");
    place.once().ok();
    assert!(place.runs().is_empty());
    deliver(20_001, 3);
    place.once().ok();
    assert_eq!(place.states(), ["succeeded"]);
    assert_eq!(place.runs()[0]["snapshot"], 5);
}
