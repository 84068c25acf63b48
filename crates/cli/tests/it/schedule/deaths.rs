//! Schedulers, runners and studies that are killed, stopped or hang.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{Place, alive, killed, processes, signal};
use crate::support::text;

#[test]
fn schedulers_killed_at_any_moment_lose_no_run_and_do_none_twice() {
    let place = Place::new();
    let mut runs = 0;
    for number in 0..8 {
        let name = format!("s{number}");
        let study = place.specification(&name, "sleep 0.4");
        place.add(&study, &["--cron=0 2 * * *", "--retries=0"]);
        for _ in 0..3 {
            place.schedule(&["start", &name]).ok();
            runs += 1;
        }
    }
    // Two schedulers at a time, each killed after another while: before, in and after every step that they take.
    let mut kills = 0;
    for number in 0u64..40 {
        if place.states().iter().all(|state| state == "succeeded") {
            break;
        }
        let first = place.start(&["--max-runs=4"]);
        let second = place.start(&["--max-runs=4"]);
        std::thread::sleep(Duration::from_millis(number * 13 % 160));
        killed(first);
        std::thread::sleep(Duration::from_millis(number * 7 % 60));
        killed(second);
        kills += 2;
    }
    assert!(kills >= 20, "only {kills} kills found something to do");
    let last = place.start(&["--max-runs=4"]);
    place.wait("all runs", || {
        place.states().iter().all(|state| state == "succeeded")
    });
    killed(last);
    assert_eq!(place.states().len(), runs, "after {kills} kills");
    let ends = place.ends();
    assert_eq!(ends.len(), runs, "{:#?}", place.ledger());
    assert!(
        ends.values().all(|count| *count == 1),
        "{ends:?}\n{:#?}",
        place.ledger()
    );
    // A runner outlives its scheduler: nothing had to begin a second time.
    let begun = place
        .ledger()
        .iter()
        .filter(|line| line.starts_with("begin"))
        .count();
    assert_eq!(begun, runs, "{:#?}", place.ledger());
}

/// Kills the scheduler, its runners and their studies: all that has the place in its environment.
fn crash(place: &Place, mut scheduler: Child) {
    let mark = format!("COLUMNA_STORE={}", text(&place.path("store")));
    loop {
        let left = processes("environ", &[&mark]);
        if left.is_empty() {
            break;
        }
        for pid in left {
            signal("-9", &pid);
        }
    }
    scheduler.wait().expect("it ends");
}

#[test]
fn one_pass_waits_for_what_a_killed_scheduler_left_running() {
    let place = Place::new();
    let study = place.specification("a", "sleep 1");
    place.add(&study, &["--cron=0 2 * * *"]);
    place.schedule(&["start", "a"]).ok();
    place.schedule(&["start", "a"]).ok();
    let scheduler = place.start(&[]);
    place.wait("the begin", || !place.ledger().is_empty());
    killed(scheduler);
    place.once().ok();
    assert_eq!(place.states(), ["succeeded", "succeeded"]);
}

#[test]
fn a_machine_that_goes_down_again_and_again_loses_no_run() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        let study = place.specification(name, "sleep 0.3");
        place.add(&study, &["--cron=0 2 * * *", "--retries=0", "--backoff=0"]);
        for _ in 0..3 {
            place.schedule(&["start", name]).ok();
        }
    }
    let mut crashes = 0;
    for number in 0u64..16 {
        let scheduler = place.start(&["--max-runs=2"]);
        std::thread::sleep(Duration::from_millis(40 + number * 29 % 330));
        crash(&place, scheduler);
        crashes += 1;
        if place.states().iter().all(|state| state == "succeeded") {
            break;
        }
    }
    assert!(crashes >= 4, "only {crashes}");
    let last = place.start(&["--max-runs=3"]);
    place.wait("all runs", || {
        place.states().iter().all(|state| state == "succeeded")
    });
    killed(last);
    // A study that had ended when its runner died with it, before the end was on record, may have ended twice.
    assert_eq!(place.ends().len(), 9, "{:#?}", place.ledger());
}

#[test]
fn a_killed_runner_takes_its_study_along_and_the_run_begins_again() {
    let place = Place::new();
    let study = place.specification("a", "sleep 2");
    place.add(&study, &["--cron=0 2 * * *", "--retries=0"]);
    place.schedule(&["start", "a"]).ok();
    let scheduler = place.start(&[]);
    place.wait("the begin", || !place.ledger().is_empty());
    // The runner dies while no scheduler is there to see it; its study goes on without it.
    killed(scheduler);
    let begun = place.ledger()[0].clone();
    let (study, runner) = begun
        .trim_start_matches("begin 1 ")
        .split_once(' ')
        .expect("two processes");
    signal("-9", runner);
    assert!(alive(study));
    let scheduler = place.start(&[]);
    place.wait("the second begin", || place.ledger().len() > 1);
    assert!(
        !alive(study),
        "the old one was ended before the new one began"
    );
    place.wait("the end", || place.states() == ["succeeded"]);
    killed(scheduler);
    assert_eq!(place.ends().get(&1), Some(&1), "{:#?}", place.ledger());
    let show = place.schedule(&["show", "1"]).ok();
    assert!(show.contains("its process disappeared"), "{show}");
}

#[test]
fn a_columna_ends_with_its_runner_although_no_scheduler_is_there_to_see_it() {
    let place = Place::new();
    let binary = env!("CARGO_BIN_EXE_columna");
    let rows = "generate_series(1, 1000000)";
    let query = format!("SELECT count(*) FROM {rows} a, {rows} b WHERE a.value % 7 = b.value % 5");
    let study = place.specification("a", &format!("exec {binary} sql -c '{query}'"));
    place.add(&study, &["--cron=0 2 * * *"]);
    place.schedule(&["start", "a"]).ok();
    let scheduler = place.start(&[]);
    place.wait("the begin", || !place.ledger().is_empty());
    killed(scheduler);
    let begun = place.ledger()[0].clone();
    let (study, runner) = begun
        .trim_start_matches("begin 1 ")
        .split_once(' ')
        .expect("two processes");
    // It has become the query by now.
    place.wait("the query", || {
        let command = fs::read_to_string(format!("/proc/{study}/cmdline")).unwrap_or_default();
        command.contains("generate_series")
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(alive(study));
    signal("-9", runner);
    place.wait("its end", || !alive(study));
}

#[test]
fn a_study_that_hangs_is_ended_with_all_that_it_started() {
    let place = Place::new();
    // It does not listen to SIGTERM, and neither does what it started.
    let hangs = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {}; sleep 600' & sleep 600",
        text(&place.path("grandchild"))
    );
    let study = place.specification("a", &hangs);
    place.add(
        &study,
        &["--cron=0 2 * * *", "--retries=0", "--time-limit=1s"],
    );
    place.schedule(&["start", "a"]).ok();
    place.once().fails(1, "did not succeed");
    let show = place.schedule(&["show", "1"]).ok();
    assert!(
        show.contains("timed out") && show.contains("longer than its limit of 1 s"),
        "{show}"
    );
    let grandchild = fs::read_to_string(place.path("grandchild")).expect("it began");
    assert!(!alive(grandchild.trim()));
}

#[test]
fn a_scheduler_that_is_asked_to_stop_leaves_runs_alone_or_stops_them() {
    let place = Place::new();
    let study = place.specification("a", "sleep 1");
    place.add(&study, &["--cron=0 2 * * *", "--retries=0"]);
    place.schedule(&["start", "a"]).ok();
    let mut scheduler = place.start(&[]);
    place.wait("the begin", || !place.ledger().is_empty());
    signal("-TERM", &scheduler.id().to_string());
    assert!(scheduler.wait().expect("it ends").success());
    // The run goes on, and its runner writes the end.
    place.wait("the end", || place.states() == ["succeeded"]);
    assert!(
        place
            .schedule(&["list"])
            .err
            .contains("no scheduler is at work")
    );

    place.specification("a", "sleep 3");
    place.schedule(&["start", "a"]).ok();
    let mut scheduler = place.start(&["--stop-runs"]);
    place.wait("the begin", || place.ledger().len() == 3);
    signal("-TERM", &scheduler.id().to_string());
    assert!(scheduler.wait().expect("it ends").success());
    assert_eq!(place.states(), ["succeeded", "waiting"]);
    place.specification("a", "true");
    place.once().ok();
    assert_eq!(place.states(), ["succeeded", "succeeded"]);
    assert_eq!(place.ends().get(&2), Some(&1));
}

#[test]
fn a_scheduler_whose_state_is_moved_away_stops_and_says_so() {
    let place = Place::new();
    let study = place.specification("a", "true");
    place.add(&study, &["--cron=@daily"]);
    let scheduler = place
        .scheduler(&[])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    place.wait("the scheduler", || {
        !place.schedule(&["list"]).err.contains("no scheduler")
    });
    fs::rename(place.path("store.schedule"), place.path("moved")).expect("moved");
    let ended = scheduler.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        said.contains("was moved or removed") && said.contains("hint:"),
        "{said}"
    );
}
