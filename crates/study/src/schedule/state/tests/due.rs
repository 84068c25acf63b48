//! Which runs are made: times, missed times, overlap, snapshots, clocks that go back.

use super::*;
use crate::schedule::definition::{Missed, Overlap};
use RunState::{Cancelled, Missed as WasMissed, Running, Skipped, Waiting};

#[test]
fn a_time_makes_one_run_whoever_looks_and_how_often() {
    let mut world = World::new();
    world.add("a", &every_ten());
    world.plan();
    assert!(
        world.runs().is_empty(),
        "times before it was added do not count"
    );
    world.pass(5);
    world.plan();
    world.plan();
    let newest = world.newest.clone();
    world.second().plan(&newest, world.now).unwrap();
    assert_eq!(world.states(), [Waiting]);
    assert_eq!(world.runs()[0].due, utc("2026-11-26T00:10:00Z"));
}

#[test]
fn a_clock_that_goes_back_makes_no_run_twice_and_stops_nothing() {
    let mut world = World::new();
    let mut definition = every_ten();
    definition.overlap = Overlap::Queue;
    world.add("a", &definition);
    world.pass(30);
    world.plan();
    assert_eq!(
        world.runs().len(),
        1,
        "00:10 and 00:20 are missed, 00:30 stands for them"
    );
    // Set right by 23 minutes, from 00:35 to 00:12.
    world.pass(-23);
    world.plan();
    assert_eq!(world.runs().len(), 1);
    world.pass(8);
    world.plan();
    world.pass(10);
    world.plan();
    let due: Vec<_> = world.runs().iter().map(|run| run.due).collect();
    // 00:20 had no run of its own, and has one now; 00:30 has had its run.
    assert_eq!(
        due,
        [utc("2026-11-26T00:30:00Z"), utc("2026-11-26T00:20:00Z")]
    );
    world.pass(10);
    world.plan();
    assert_eq!(world.runs().len(), 3, "and on it goes");
}

#[test]
fn missed_times_are_skipped_run_once_or_all_run() {
    for (missed, due, states) in [
        (Missed::Skip, vec!["10:00"], vec![WasMissed]),
        (Missed::Once, vec!["10:00"], vec![Waiting]),
        (
            Missed::All,
            vec!["08:00", "09:00", "10:00"],
            vec![Waiting; 3],
        ),
    ] {
        let mut world = World::new();
        world.now = utc("2026-11-26T07:30:00Z");
        let mut definition = every_ten();
        definition.cron = Some("0 * * * *".to_owned());
        definition.missed = missed;
        world.add("a", &definition);
        // The machine was off for three hours.
        world.now = utc("2026-11-26T10:30:00Z");
        world.plan();
        world.plan();
        assert_eq!(world.states(), states, "{missed:?}");
        let found: Vec<String> = world
            .runs()
            .iter()
            .map(|run| run.due.format("%H:%M").to_string())
            .collect();
        assert_eq!(found, due, "{missed:?}");
        world.now = utc("2026-11-26T11:00:01Z");
        world.plan();
        assert_eq!(
            world.runs().len(),
            due.len() + 1,
            "the next time is as ever"
        );
    }
}

#[test]
fn a_time_just_past_stands_for_missed_ones() {
    let mut world = World::new();
    let mut definition = every_ten();
    definition.grace_seconds = 60;
    world.add("a", &definition);
    world.now = utc("2026-11-26T00:40:30Z");
    world.plan();
    assert_eq!(world.states(), [Waiting]);
    assert_eq!(world.runs()[0].due, utc("2026-11-26T00:40:00Z"));
}

#[test]
fn a_year_of_missed_minutes_makes_a_bounded_number_of_runs() {
    let mut world = World::new();
    let mut definition = every_ten();
    definition.cron = Some("0 * * * *".to_owned());
    definition.grace_seconds = 60;
    definition.missed = Missed::All;
    world.add("a", &definition);
    world.now += TimeDelta::days(365);
    world.plan();
    assert_eq!(world.runs().len(), 1_000);
    let told = world.state.log_after(900).unwrap();
    assert!(told.iter().any(|entry| entry.event == "times_left_out"));
}

#[test]
fn a_run_due_too_early_is_skipped_queued_or_ends_the_old_one() {
    for (overlap, states) in [
        (Overlap::Skip, [Running, Skipped]),
        (Overlap::Queue, [Running, Waiting]),
        (Overlap::Cancel, [Running, Waiting]),
    ] {
        let mut world = World::new();
        let mut definition = every_ten();
        definition.overlap = overlap;
        world.add("a", &definition);
        world.pass(5);
        world.plan();
        let claim = world.claim().unwrap();
        world.pass(10);
        world.plan();
        assert_eq!(world.states(), states, "{overlap:?}");
        assert!(world.claim().is_none(), "one run of a schedule at a time");
        let asked = world
            .state
            .standing(claim.run, claim.fence, true, world.now)
            .unwrap();
        if overlap == Overlap::Cancel {
            assert!(
                matches!(asked, super::super::Standing::Cancelled(_)),
                "{asked:?}"
            );
            world.finish(&claim, Outcome::Cancelled);
            assert_eq!(world.states(), [Cancelled, Waiting]);
            assert!(world.claim().is_some());
        } else {
            assert_eq!(asked, super::super::Standing::Holds);
        }
    }
}

#[test]
fn a_new_snapshot_makes_one_run_when_it_has_settled() {
    let mut world = World::new();
    world.snapshot(3);
    let mut definition = every_ten();
    definition.cron = None;
    definition.on_snapshot = true;
    world.add("a", &definition);
    world.pass(5);
    world.plan();
    assert!(world.runs().is_empty(), "the snapshot was there before");
    world.snapshot(4);
    world.plan();
    assert!(world.runs().is_empty(), "another may follow in a moment");
    world.pass(1);
    world.plan();
    world.plan();
    assert_eq!(world.states(), [Waiting]);
    assert_eq!(world.runs()[0].snapshot, Some(4));
    // Two that come during the run make one run after it.
    let claim = world.claim().unwrap();
    world.snapshot(5);
    world.pass(2);
    world.plan();
    world.snapshot(6);
    world.pass(2);
    world.plan();
    assert_eq!(world.states(), [Running]);
    world.finish(&claim, Outcome::Succeeded);
    world.plan();
    assert_eq!(world.runs().len(), 2);
    assert_eq!(world.runs()[1].snapshot, Some(6));
}

#[test]
fn a_paused_schedule_leaves_times_out_and_starts_nothing() {
    let mut world = World::new();
    world.add("a", &every_ten());
    world.pass(5);
    world.plan();
    assert!(world.state.pause("a", true, world.now).unwrap());
    assert!(!world.state.pause("a", true, world.now).unwrap());
    assert!(world.claim().is_none());
    world.pass(60);
    world.plan();
    assert_eq!(world.runs().len(), 1);
    world.state.pause("a", false, world.now).unwrap();
    world.plan();
    assert_eq!(world.runs().len(), 1, "what came meanwhile is left out");
    assert!(world.claim().is_some());
}
