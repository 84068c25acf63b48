//! Which run starts first: priorities, room, dependencies.

use super::*;
use RunState::{Failed, Running, Skipped, Succeeded, Waiting};

fn at_two(priority: i32) -> Definition {
    let mut definition = every_ten();
    definition.cron = Some("0 2 * * *".to_owned());
    definition.priority = priority;
    definition
}

fn two_oclock(world: &mut World) {
    world.now = utc("2026-11-26T02:00:00Z");
    world.plan();
}

#[test]
fn higher_priority_starts_first() {
    let mut world = World::new();
    world.add("a", &at_two(0));
    world.add("b", &at_two(5));
    world.add("c", &at_two(-1));
    two_oclock(&mut world);
    let order: Vec<String> = std::iter::from_fn(|| world.claim())
        .map(|claim| claim.schedule)
        .collect();
    assert_eq!(order, ["b", "a", "c"]);
}

#[test]
fn runs_share_the_room_and_a_large_one_keeps_its_place() {
    let mut world = World::new();
    for (name, priority, memory) in [("big", 1, 6), ("one", 2, 3), ("small", 0, 1)] {
        let mut definition = at_two(priority);
        definition.memory_limit = Some(memory << 30);
        definition.threads = Some(1);
        world.add(name, &definition);
    }
    two_oclock(&mut world);
    let room = |runs, threads| Capacity {
        runs,
        memory: Some(8 << 30),
        threads: Some(threads),
    };
    let (me, now) = (world.me.clone(), world.now);
    let mut claim = |capacity| world.state.claim(&me, "t", &capacity, now).unwrap();
    assert_eq!(claim(room(9, 9)).unwrap().schedule, "one");
    // `big` does not fit beside `one`, and `small` must not overtake it.
    assert!(claim(room(9, 9)).is_none());
    assert!(claim(room(1, 9)).is_none());
    let one = world
        .runs()
        .into_iter()
        .find(|run| run.schedule == "one")
        .unwrap();
    let ending = Ending::plain(Outcome::Succeeded, "");
    assert!(
        world
            .state
            .finish(one.run, one.fence, &ending, now)
            .unwrap()
    );
    let mut claim = |capacity| world.state.claim(&me, "t", &capacity, now).unwrap();
    assert_eq!(claim(room(9, 9)).unwrap().schedule, "big");
    assert!(claim(room(9, 1)).is_none(), "no thread is left");
    assert_eq!(claim(room(9, 2)).unwrap().schedule, "small");
}

#[test]
fn a_run_that_can_never_fit_runs_alone() {
    let mut world = World::new();
    let mut definition = at_two(0);
    definition.memory_limit = Some(64 << 30);
    world.add("a", &definition);
    two_oclock(&mut world);
    let capacity = Capacity {
        runs: 2,
        memory: Some(1 << 30),
        threads: None,
    };
    let claim = world
        .state
        .claim(&world.me, "t", &capacity, world.now)
        .unwrap();
    assert!(claim.is_some());
}

#[test]
fn a_study_waits_for_the_one_it_needs_of_the_same_night() {
    let mut world = World::new();
    world.add("first", &at_two(0));
    let mut second = at_two(9);
    second.after = vec!["first".to_owned()];
    world.add("second", &second);
    two_oclock(&mut world);
    let first = world.claim().unwrap();
    assert_eq!(first.schedule, "first");
    assert!(world.claim().is_none());
    world.finish(&first, Outcome::Succeeded);
    assert_eq!(world.claim().unwrap().schedule, "second");
}

#[test]
fn a_study_is_skipped_when_the_one_it_needs_failed_and_can_be_retried() {
    let mut world = World::new();
    world.add("first", &at_two(0));
    let mut second = at_two(0);
    second.after = vec!["first".to_owned()];
    second.hooks = vec!["cat".to_owned()];
    world.add("second", &second);
    two_oclock(&mut world);
    let first = world.claim().unwrap();
    world.finish(&first, Outcome::Failed);
    assert!(world.claim().is_none());
    assert_eq!(world.states(), [Failed, Skipped]);
    assert!(world.reason(2).contains("`first`"), "{}", world.reason(2));
    assert_eq!(world.state.open_notices().unwrap(), 1, "it is told");
    // The first is repaired by hand; then the second.
    world.state.retry(1, world.now).unwrap();
    world.state.retry(2, world.now).unwrap();
    let first = world.claim().unwrap();
    assert_eq!((first.run, first.attempt), (1, 2));
    assert!(world.claim().is_none());
    world.finish(&first, Outcome::Succeeded);
    assert_eq!(world.claim().unwrap().run, 2);
}

#[test]
fn a_follower_runs_once_for_each_success_of_all_it_follows() {
    let mut world = World::new();
    world.add("a", &at_two(0));
    world.add("b", &at_two(0));
    let mut both = at_two(0);
    both.cron = None;
    both.after = vec!["a".to_owned(), "b".to_owned()];
    world.add("both", &both);
    two_oclock(&mut world);
    let (a, b) = (world.claim().unwrap(), world.claim().unwrap());
    world.finish(&a, Outcome::Succeeded);
    world.plan();
    assert_eq!(world.states(), [Succeeded, Running]);
    world.pass(1);
    world.finish(&b, Outcome::Succeeded);
    world.plan();
    world.plan();
    assert_eq!(world.states(), [Succeeded, Succeeded, Waiting]);
    let both = world.claim().unwrap();
    world.finish(&both, Outcome::Succeeded);
    world.plan();
    assert_eq!(world.runs().len(), 3, "once");
    world.now = utc("2026-11-27T02:00:00Z");
    world.plan();
    for _ in 0..2 {
        let claim = world.claim().unwrap();
        world.finish(&claim, Outcome::Succeeded);
    }
    world.plan();
    assert_eq!(world.claim().unwrap().schedule, "both");
}

#[test]
fn circles_and_unknown_names_are_refused() {
    let mut world = World::new();
    world.add("a", &at_two(0));
    let mut b = at_two(0);
    b.after = vec!["a".to_owned()];
    world.add("b", &b);
    let mut a = at_two(0);
    a.after = vec!["b".to_owned()];
    let refused = world.state.add("a", &a, None, true, world.now).unwrap_err();
    assert!(
        refused.to_string().contains("a after b after a"),
        "{refused}"
    );
    a.after = vec!["bb".to_owned()];
    let refused = world
        .state
        .add("c", &a, None, false, world.now)
        .unwrap_err();
    assert_eq!(refused.hint().unwrap(), "did you mean `b`?");
    let mut c = at_two(0);
    c.out = "/out/a".into();
    let refused = world
        .state
        .add("c", &c, None, false, world.now)
        .unwrap_err();
    assert!(refused.to_string().contains("the same folder"), "{refused}");
    let refused = world.state.remove("a", world.now).unwrap_err();
    assert!(
        refused.to_string().contains("`b` waits for `a`"),
        "{refused}"
    );
}
