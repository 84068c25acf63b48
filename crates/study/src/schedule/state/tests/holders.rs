//! Whose a run is: claims, fences, dead processes, leases.

use super::*;
use crate::schedule::error::Error;
use crate::schedule::state::Standing;
use RunState::{Failed, Running, Waiting};

fn due() -> World {
    let mut world = World::new();
    world.add("a", &every_ten());
    world.pass(5);
    world.plan();
    world
}

fn claim_as(world: &mut World, who: &ProcessId) -> Claim {
    let capacity = Capacity {
        runs: 3,
        memory: None,
        threads: None,
    };
    world
        .state
        .claim(who, "a token that nobody has", &capacity, world.now)
        .unwrap()
        .unwrap()
}

#[test]
fn a_run_is_claimed_once_by_many_at_the_same_time() {
    let mut world = World::new();
    for number in 0..40 {
        world.add(&format!("s{number}"), &every_ten());
    }
    world.pass(5);
    let (now, me) = (world.now, world.me.clone());
    let folder = world.state.folder().to_owned();
    let mut claimed: Vec<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut state = State::open(&folder).unwrap();
                    state.plan(&BTreeMap::new(), now).unwrap();
                    let capacity = Capacity {
                        runs: 100,
                        memory: None,
                        threads: None,
                    };
                    std::iter::from_fn(|| state.claim(&me, "t", &capacity, now).unwrap())
                        .map(|claim| claim.run)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    claimed.sort_unstable();
    assert_eq!(claimed, (1..=40).collect::<Vec<_>>());
}

#[test]
fn only_the_newest_fence_may_begin_and_write_an_end() {
    let mut world = due();
    let old = claim_as(&mut world, &dead());
    let held = world.state.orphans(&world.me, world.now).unwrap();
    assert_eq!(
        held.len(),
        1,
        "its scheduler is dead, and no runner was entered"
    );
    // The runner that the dead scheduler had started comes late.
    assert!(
        !world
            .state
            .register(old.run, old.fence, &world.me, world.now)
            .unwrap()
    );
    assert_eq!(
        world
            .state
            .standing(old.run, old.fence, true, world.now)
            .unwrap(),
        Standing::Lost
    );
    let ending = Ending::plain(Outcome::Succeeded, "");
    assert!(
        !world
            .state
            .finish(old.run, old.fence, &ending, world.now)
            .unwrap()
    );
    assert_eq!(world.states(), [Running]);
    let lost = Ending::plain(Outcome::Lost, "its process disappeared");
    assert!(world.state.release(&held[0], &lost, world.now).unwrap());
    assert!(
        !world.state.release(&held[0], &lost, world.now).unwrap(),
        "once"
    );
    assert_eq!(
        world.states(),
        [Waiting],
        "a loss is no failure: it starts again without retries"
    );
    let new = world.claim().unwrap();
    assert_eq!((new.run, new.attempt), (old.run, 2));
    assert!(
        world
            .state
            .register(new.run, new.fence, &world.me, world.now)
            .unwrap()
    );
    assert!(
        !world
            .state
            .register(new.run, new.fence, &world.me, world.now)
            .unwrap(),
        "one runner"
    );
}

#[test]
fn a_run_whose_runner_lives_is_left_alone_whatever_became_of_its_scheduler() {
    let mut world = due();
    let claim = claim_as(&mut world, &dead());
    assert!(
        world
            .state
            .register(claim.run, claim.fence, &world.me, world.now)
            .unwrap()
    );
    // Longer than any lease: the runner may be stopped, and it lives.
    world.pass(600);
    assert!(
        world
            .state
            .orphans(&world.me, world.now)
            .unwrap()
            .is_empty()
    );
    world.finish(&claim, Outcome::Succeeded);
}

#[test]
fn a_run_whose_runner_is_dead_is_taken_over_by_one_only() {
    let mut world = due();
    let claim = world.claim().unwrap();
    assert!(
        world
            .state
            .register(claim.run, claim.fence, &dead(), world.now)
            .unwrap()
    );
    let held = world.state.orphans(&world.me, world.now).unwrap();
    assert_eq!(held.len(), 1);
    assert!(
        world
            .second()
            .orphans(&world.me, world.now)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_scheduler_killed_while_it_takes_over_loses_nothing() {
    let mut world = due();
    let claim = world.claim().unwrap();
    world
        .state
        .register(claim.run, claim.fence, &dead(), world.now)
        .unwrap();
    // It takes the run over, and is killed before it has written the attempt's end.
    assert_eq!(world.state.orphans(&dead(), world.now).unwrap().len(), 1);
    let held = world.state.orphans(&world.me, world.now).unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(
        held[0].token, claim.token,
        "what is left of it is still known"
    );
}

#[test]
fn elsewhere_the_lease_decides() {
    let mut world = due();
    let claim = claim_as(&mut world, &elsewhere());
    world
        .state
        .register(claim.run, claim.fence, &elsewhere(), world.now)
        .unwrap();
    world.now += TimeDelta::seconds(50);
    assert!(
        world
            .state
            .orphans(&world.me, world.now)
            .unwrap()
            .is_empty()
    );
    world
        .state
        .standing(claim.run, claim.fence, true, world.now)
        .unwrap();
    world.now += TimeDelta::seconds(50);
    assert!(
        world
            .state
            .orphans(&world.me, world.now)
            .unwrap()
            .is_empty(),
        "it was renewed"
    );
    world.now += TimeDelta::seconds(11);
    assert_eq!(world.state.orphans(&world.me, world.now).unwrap().len(), 1);
    assert_eq!(
        world
            .state
            .standing(claim.run, claim.fence, true, world.now)
            .unwrap(),
        Standing::Lost
    );
}

#[test]
fn a_scheduler_that_is_stopped_between_claim_and_start_loses_the_run() {
    let mut world = due();
    let claim = world.claim().unwrap();
    world.now += TimeDelta::seconds(59);
    assert!(
        world
            .second()
            .orphans(&world.me, world.now)
            .unwrap()
            .is_empty()
    );
    world.now += TimeDelta::seconds(2);
    assert_eq!(
        world.second().orphans(&world.me, world.now).unwrap().len(),
        1
    );
    // It goes on, and its runner begins too late.
    assert!(
        !world
            .state
            .register(claim.run, claim.fence, &world.me, world.now)
            .unwrap()
    );
}

#[test]
fn a_state_that_was_moved_is_noticed() {
    let world = due();
    assert!(!world.state.is_gone());
    let moved = world.folder.path().join("moved");
    std::fs::rename(world.state.folder(), &moved).unwrap();
    assert!(world.state.is_gone());
    State::create(world.state.folder()).unwrap();
    assert!(world.state.is_gone(), "another one is in its place");
    assert_eq!(
        State::open(&moved)
            .unwrap()
            .runs(&RunFilter::default())
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_lease_from_a_clock_that_was_ahead_holds_nothing_up() {
    let mut world = due();
    world.now += TimeDelta::days(400);
    let claim = claim_as(&mut world, &elsewhere());
    world
        .state
        .register(claim.run, claim.fence, &elsewhere(), world.now)
        .unwrap();
    world.now -= TimeDelta::days(400);
    assert_eq!(world.state.orphans(&world.me, world.now).unwrap().len(), 1);
}

#[test]
fn a_run_that_is_lost_again_and_again_is_given_up() {
    let mut world = due();
    let mut lost = 0;
    while let Some(claim) = world.claim() {
        world.finish(&claim, Outcome::Lost);
        lost += 1;
        world.pass(61);
    }
    assert_eq!(lost, 21);
    assert_eq!(world.states(), [Failed]);
}

#[test]
fn a_damaged_or_newer_state_says_so() {
    let world = World::new();
    let folder = world.state.folder().to_owned();
    let file = world.state.file();
    world
        .state
        .connection
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(matches!(
        State::open(&folder),
        Err(Error::NewerState { found: 99, .. })
    ));
    drop(world.state);
    std::fs::write(
        &file,
        "this is no database, and long enough to be looked at as one: ".repeat(99),
    )
    .unwrap();
    let error = State::open(&folder).unwrap_err();
    assert!(error.hint().unwrap().contains("backup"), "{error}");
    assert!(matches!(
        State::open(&folder.join("none")),
        Err(Error::NoState { .. })
    ));
}

#[test]
#[cfg(unix)]
fn only_the_user_can_read_the_state() {
    use std::os::unix::fs::PermissionsExt;
    let world = due();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.state.folder()), 0o700);
    for entry in std::fs::read_dir(world.state.folder()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
