//! Whatever happens in whatever order, every run comes to one end.
//!
//! Workers elsewhere claim runs, begin them, give signs of life or fall silent, wake up late and try to go on, while the
//! clock jumps. Nobody can look whether they live, so that leases and fences alone must hold.

use proptest::prelude::*;

use super::*;
use crate::schedule::state::{Held, Standing};

/// What a worker does next.
#[derive(Debug, Clone)]
enum Step {
    Plan,
    Claim(usize),
    Register(usize),
    Beat(usize),
    Finish(usize, bool),
    Orphans(usize),
    Release(usize),
    Cancel(i64),
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0usize..3;
    prop_oneof![
        2 => Just(Step::Plan),
        4 => who.clone().prop_map(Step::Claim),
        4 => who.clone().prop_map(Step::Register),
        3 => who.clone().prop_map(Step::Beat),
        4 => (who.clone(), any::<bool>()).prop_map(|(who, well)| Step::Finish(who, well)),
        2 => who.clone().prop_map(Step::Orphans),
        2 => who.prop_map(Step::Release),
        1 => (1i64..6).prop_map(Step::Cancel),
        3 => (-90i64..300).prop_map(Step::Clock),
    ]
}

/// A worker and what it believes to hold.
struct Worker {
    id: ProcessId,
    claims: Vec<(Claim, bool)>,
    held: Vec<Held>,
}

fn worker(number: usize) -> Worker {
    Worker {
        id: ProcessId::decode(&format!("{} 1 elsewhere{number}/pid:[1]", number + 2)).unwrap(),
        claims: Vec::new(),
        held: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_run_has_one_end(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        // Disk syncs are not what is tried here.
        world.state.connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
        let mut definition = every_ten();
        definition.overlap = crate::schedule::Overlap::Queue;
        definition.retries = 1;
        definition.backoff_seconds = 5;
        world.add("a", &definition);
        definition.cron = Some("*/7 * * * *".to_owned());
        world.add("b", &definition);
        let mut workers: Vec<Worker> = (0..3).map(worker).collect();
        let mut ends: BTreeMap<i64, u32> = BTreeMap::new();
        // Who took a run last: nobody before may begin it or write its end any more.
        let mut newest: BTreeMap<i64, (usize, i64)> = BTreeMap::new();
        for step in steps {
            let now = world.now;
            match step {
                Step::Plan => world.plan(),
                Step::Clock(seconds) => world.now += TimeDelta::seconds(seconds),
                Step::Cancel(run) => drop(world.state.cancel(run, now)),
                Step::Claim(who) => {
                    let capacity = Capacity { runs: 2, memory: None, threads: None };
                    let id = workers[who].id.clone();
                    let claim = world.state.claim(&id, "t", &capacity, now).unwrap();
                    if let Some(claim) = claim {
                        newest.insert(claim.run, (who, claim.fence));
                        workers[who].claims.push((claim, false));
                    }
                }
                Step::Register(who) => {
                    let id = workers[who].id.clone();
                    for (claim, begun) in &mut workers[who].claims {
                        if world.state.register(claim.run, claim.fence, &id, now).unwrap() {
                            prop_assert_eq!(newest[&claim.run], (who, claim.fence));
                            *begun = true;
                        }
                    }
                }
                Step::Beat(who) => workers[who].claims.retain(|(claim, _)| {
                    world.state.standing(claim.run, claim.fence, true, now).unwrap() != Standing::Lost
                }),
                Step::Finish(who, well) => {
                    let outcome = if well { Outcome::Succeeded } else { Outcome::Failed };
                    for (claim, begun) in std::mem::take(&mut workers[who].claims) {
                        if !begun {
                            continue;
                        }
                        let ending = Ending::plain(outcome, "");
                        let written = world.state.finish(claim.run, claim.fence, &ending, now).unwrap();
                        if written {
                            prop_assert_eq!(newest[&claim.run], (who, claim.fence));
                        }
                        if written && well {
                            *ends.entry(claim.run).or_default() += 1;
                        }
                    }
                }
                Step::Orphans(who) => {
                    let id = workers[who].id.clone();
                    let held = world.state.orphans(&id, now).unwrap();
                    for held in held {
                        // Not the taker as a worker: it has not begun anything.
                        newest.insert(held.run, (usize::MAX, held.fence));
                        workers[who].held.push(held);
                    }
                }
                Step::Release(who) => {
                    for held in std::mem::take(&mut workers[who].held) {
                        let lost = Ending::plain(Outcome::Lost, "");
                        world.state.release(&held, &lost, now).unwrap();
                    }
                }
            }
            // At any moment: as many ends on record as were written, one run of a schedule at a time.
            let runs = world.runs();
            for run in &runs {
                let ended = ends.get(&run.run).copied().unwrap_or(0);
                prop_assert!(ended <= 1, "run {} ended {ended} times", run.run);
                prop_assert_eq!(ended == 1, run.state == RunState::Succeeded);
            }
            for name in ["a", "b"] {
                let running = |run: &&Run| run.schedule == name && run.state == RunState::Running;
                prop_assert!(runs.iter().filter(running).count() <= 1);
            }
            let mut due: Vec<_> = runs.iter().map(|run| (&run.schedule, run.due)).collect();
            let all = due.len();
            due.sort();
            due.dedup();
            prop_assert_eq!(due.len(), all, "a time has two runs");
        }
        // All workers are gone; one that works comes, and finishes everything.
        for _ in 0..400 {
            world.now += TimeDelta::seconds(61);
            for held in world.state.orphans(&world.me.clone(), world.now).unwrap() {
                let lost = Ending::plain(Outcome::Lost, "");
                world.state.release(&held, &lost, world.now).unwrap();
            }
            while let Some(claim) = world.claim() {
                world.state.register(claim.run, claim.fence, &world.me, world.now).unwrap();
                let outcome = match world.state.standing(claim.run, claim.fence, true, world.now).unwrap() {
                    Standing::Cancelled(_) => Outcome::Cancelled,
                    _ => Outcome::Succeeded,
                };
                world.finish(&claim, outcome);
            }
            if world.runs().iter().all(|run| run.state.is_final()) {
                break;
            }
        }
        prop_assert!(world.runs().iter().all(|run| run.state.is_final()), "{:?}", world.states());
    }
}
