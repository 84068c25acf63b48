//! A writer that is killed at any moment leaves the last snapshot whole, and the next write working.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use columna_store::{Store, VacuumOptions};

use crate::fixture::*;

const STORE: &str = "COLUMNA_TEST_KILLED_STORE";
const ROUNDS: u64 = 24;

/// The process that is killed: appends people, some of them known and some new, until it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by `killed_writers_lose_nothing` in a process of its own"]
async fn writer() {
    let Ok(url) = std::env::var(STORE) else {
        return;
    };
    let store = Store::open(&url).await.unwrap();
    loop {
        let mut tx = store.begin().await.unwrap();
        let version = i64::try_from(tx.base().version()).unwrap();
        let people: Vec<i64> = (version % 7..version % 7 + 5)
            .chain(version * 100..version * 100 + 12)
            .collect();
        let people: Vec<i64> = std::collections::BTreeSet::from_iter(people)
            .into_iter()
            .collect();
        add_people(&mut tx, &people, version * 1000).unwrap();
        tx.commit(APPEND).await.unwrap();
    }
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "kill::writer"])
        .env(STORE, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn killed_writers_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let (mut written, mut unnamed) = (0, 0);
    let mut pause = 88_172_645_463_325_252_u64;
    for round in 0..ROUNDS {
        let before = store.snapshot(None).await.unwrap().version();
        let mut child = start(dir.path());
        // The first rounds wait for a commit, so that the kill hits a writer and not a process that starts.
        let mut waited = 0;
        while round % 4 != 0
            && waited < 5_000
            && store.snapshot(None).await.unwrap().version() == before
        {
            sleep(Duration::from_millis(5));
            waited += 5;
        }
        pause ^= pause << 13;
        pause ^= pause >> 7;
        pause ^= pause << 17;
        sleep(Duration::from_millis(pause % 120));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert!(!ended.success(), "the writer ended by itself");

        let store = Store::open(dir.path().to_str().unwrap()).await.unwrap();
        let report = store.verify().await.unwrap();
        assert_eq!(report.problems, [], "round {round}");
        unnamed += report.unnamed;
        let snapshot = store.snapshot(None).await.unwrap();
        written += snapshot.version() - before;
        // Whole ingests or nothing: two conditions and one cohort for every row of a person.
        let rows = |table: &str| snapshot.table(table).unwrap().rows;
        assert_eq!(rows("condition_occurrence"), 2 * rows("person"));
        assert_eq!(rows("cohort"), rows("person"));
        let tx = store.begin().await.unwrap();
        add_rows(&tx, &[3], 1_000_000).unwrap();
        let next = tx.commit(APPEND).await.unwrap();
        assert_eq!(next.version(), snapshot.version() + 1);
        if round % 8 == 7 {
            store.vacuum(&VacuumOptions::everything()).await.unwrap();
            let report = store.verify().await.unwrap();
            assert_eq!((report.problems.len(), report.unnamed), (0, 0));
        }
    }
    assert!(
        written > ROUNDS / 2,
        "the writers wrote {written} snapshots"
    );
    assert!(unnamed > 0, "no kill hit a write under way");
}
