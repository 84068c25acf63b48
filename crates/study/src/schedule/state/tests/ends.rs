//! How runs end: retries, removal, notices.

use super::*;
use crate::schedule::definition::Notify;
use RunState::{Cancelled, Failed, Running, Succeeded, Waiting};

fn started(definition: &Definition) -> (World, Claim) {
    let mut world = World::new();
    world.add("a", definition);
    world.pass(5);
    world.plan();
    let claim = world.claim().unwrap();
    (world, claim)
}

#[test]
fn a_failed_run_is_tried_again_after_growing_pauses() {
    let mut definition = every_ten();
    definition.retries = 3;
    definition.backoff_seconds = 60;
    definition.backoff_max_seconds = 200;
    let (mut world, mut claim) = started(&definition);
    // So that times of its own do not come between.
    world.state.pause("a", true, world.now).unwrap();
    world.state.pause("a", false, world.now).unwrap();
    for (attempt, pause) in [(1, 60), (2, 120), (3, 200)] {
        assert_eq!(claim.attempt, attempt);
        world.finish(&claim, Outcome::Failed);
        assert_eq!(world.states()[0], Waiting);
        world.now += TimeDelta::seconds(pause - 1);
        assert!(world.claim().is_none(), "attempt {attempt}");
        world.now += TimeDelta::seconds(1);
        claim = world.claim().unwrap();
    }
    world.finish(&claim, Outcome::TimedOut);
    assert_eq!(world.states()[0], Failed);
    assert_eq!(world.state.attempts(claim.run).unwrap().len(), 4);
    // By hand, with all retries anew.
    assert_eq!(world.state.retry(claim.run, world.now).unwrap(), 5);
    let claim = world.claim().unwrap();
    world.finish(&claim, Outcome::Failed);
    assert_eq!(world.states()[0], Waiting);
}

#[test]
fn a_clock_that_was_ahead_holds_no_retry_back() {
    let mut definition = every_ten();
    definition.retries = 1;
    let (mut world, claim) = started(&definition);
    world.now += TimeDelta::days(1_000);
    world.finish(&claim, Outcome::Failed);
    world.now -= TimeDelta::days(1_000);
    assert!(world.claim().is_some());
}

#[test]
fn a_wrong_specification_is_not_tried_again() {
    let mut definition = every_ten();
    definition.retries = 3;
    let (mut world, claim) = started(&definition);
    world.finish(&claim, Outcome::Refused);
    assert_eq!(world.states(), [Failed]);
}

#[test]
fn a_finished_run_is_refused_what_makes_no_sense() {
    let (mut world, claim) = started(&every_ten());
    assert!(world.state.retry(claim.run, world.now).is_err(), "it runs");
    world.finish(&claim, Outcome::Succeeded);
    for refused in [
        world.state.retry(claim.run, world.now).map(|_| ()),
        world.state.cancel(claim.run, world.now).map(|_| ()),
        world.state.run(99).map(|_| ()),
    ] {
        let error = refused.unwrap_err();
        assert!(error.is_usage() && error.hint().is_some(), "{error}");
    }
    // The end is written once.
    let again = Ending::plain(Outcome::Failed, "");
    assert!(
        !world
            .state
            .finish(claim.run, claim.fence, &again, world.now)
            .unwrap()
    );
    assert_eq!(world.states(), [Succeeded]);
}

#[test]
fn a_cancelled_run_ends_cancelled_however_its_process_ended() {
    let mut definition = every_ten();
    definition.retries = 5;
    for (outcome, state) in [
        (Outcome::Cancelled, Cancelled),
        (Outcome::Lost, Cancelled),
        (Outcome::Failed, Cancelled),
        // It was quicker.
        (Outcome::Succeeded, Succeeded),
    ] {
        let (mut world, claim) = started(&definition);
        assert!(world.state.cancel(claim.run, world.now).unwrap());
        world.finish(&claim, outcome);
        assert_eq!(world.states(), [state], "{outcome:?}");
    }
}

#[test]
fn removing_a_schedule_ends_what_waits_and_not_what_runs() {
    let mut definition = every_ten();
    definition.retries = 5;
    definition.overlap = crate::schedule::Overlap::Queue;
    let (mut world, claim) = started(&definition);
    world.pass(10);
    world.plan();
    assert_eq!(world.states(), [Running, Waiting]);
    world.state.remove("a", world.now).unwrap();
    assert_eq!(world.states(), [Running, Cancelled]);
    world.finish(&claim, Outcome::Failed);
    assert_eq!(world.states(), [Failed, Cancelled], "no schedule, no retry");
    // Added again under the same name: the time that had its run gets no second one.
    world.now = utc("2026-11-26T00:09:00Z");
    world.add("a", &definition);
    world.pass(1);
    world.plan();
    assert_eq!(world.runs().len(), 2);
}

#[test]
fn a_changed_definition_holds_for_runs_that_wait() {
    let mut definition = every_ten();
    definition.retries = 1;
    definition.backoff_seconds = 0;
    let (mut world, claim) = started(&definition);
    world.finish(&claim, Outcome::OutOfMemory);
    definition.memory_limit = Some(8 << 30);
    world
        .state
        .add("a", &definition, None, false, world.now)
        .unwrap_err();
    world
        .state
        .add("a", &definition, None, true, world.now)
        .unwrap();
    assert_eq!(
        world.claim().unwrap().definition.memory_limit,
        Some(8 << 30)
    );
}

#[test]
fn notices_go_to_those_who_asked_and_say_nothing_of_patients() {
    for (notify, outcome, told) in [
        (Notify::Always, Outcome::Succeeded, 2),
        (Notify::Always, Outcome::Failed, 2),
        (Notify::Failure, Outcome::Succeeded, 0),
        (Notify::Failure, Outcome::Failed, 2),
        (Notify::Success, Outcome::Failed, 0),
        (Notify::Success, Outcome::Succeeded, 2),
    ] {
        let mut definition = every_ten();
        definition.notify = notify;
        definition.hooks = vec!["cat".to_owned()];
        definition.webhooks = vec!["http://127.0.0.1:1/x".to_owned()];
        let (mut world, claim) = started(&definition);
        world.finish(&claim, outcome);
        assert_eq!(
            world.state.open_notices().unwrap(),
            told,
            "{notify:?} {outcome:?}"
        );
        if told == 0 {
            continue;
        }
        let notice = world
            .state
            .take_notice(&world.me, world.now)
            .unwrap()
            .unwrap();
        let body: serde_json::Value = serde_json::from_str(&notice.body).unwrap();
        let mut keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        keys.sort();
        // A closed list: whoever adds a field thinks of what it may hold.
        assert_eq!(
            keys,
            [
                "attempts",
                "cause",
                "due",
                "ended",
                "engine",
                "event",
                "out",
                "reason",
                "run",
                "schedule",
                "seconds",
                "snapshot",
                "specification",
                "started",
                "state"
            ]
        );
    }
}

#[test]
fn a_notice_that_fails_is_given_up_in_the_end_and_the_run_stays_as_it_was() {
    let mut definition = every_ten();
    definition.hooks = vec!["false".to_owned()];
    let (mut world, claim) = started(&definition);
    world.finish(&claim, Outcome::Succeeded);
    for _ in 0..6 {
        let notice = world
            .state
            .take_notice(&world.me, world.now)
            .unwrap()
            .unwrap();
        assert!(
            world
                .state
                .take_notice(&world.me, world.now)
                .unwrap()
                .is_none(),
            "it is taken"
        );
        world.state.told(&notice, Some("no"), world.now).unwrap();
        assert!(
            world
                .state
                .take_notice(&world.me, world.now)
                .unwrap()
                .is_none(),
            "there is a pause"
        );
        world.pass(60);
    }
    assert_eq!(world.state.open_notices().unwrap(), 0);
    assert_eq!(world.states(), [Succeeded]);
}

#[test]
fn a_notice_whose_teller_died_is_told_by_another() {
    let mut definition = every_ten();
    definition.hooks = vec!["cat".to_owned()];
    let (mut world, claim) = started(&definition);
    world.finish(&claim, Outcome::Succeeded);
    world
        .state
        .take_notice(&dead(), world.now)
        .unwrap()
        .unwrap();
    assert!(
        world
            .state
            .take_notice(&world.me, world.now)
            .unwrap()
            .is_some()
    );
}
