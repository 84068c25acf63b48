//! Budgets under crashes, under concurrency, and under every way to start over.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::dp::accounting::Cost;

use super::{AccountKey, Charge, Error, Ledger, Question};

fn account(project: &str) -> AccountKey {
    AccountKey {
        dataset: "first-snapshot".into(),
        project: project.into(),
        principal: "ana".into(),
    }
}

fn question(text: &str) -> Question {
    Question {
        snapshot: "s1".into(),
        fingerprint: text.into(),
    }
}

fn rho(rho: f64) -> Cost {
    Cost { rho, delta: 0.0 }
}

fn charge(ledger: &Ledger, text: &str) -> Result<Charge, Error> {
    ledger.charge(&account("p"), rho(1.0), &question(text), rho(0.1))
}

fn spent(ledger: &Ledger) -> f64 {
    ledger.accounts().unwrap()[0].spent.rho
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("privacy").join("ledger.sqlite");
    (folder, path)
}

#[test]
fn the_same_question_is_paid_once_and_answered_alike() {
    let (_folder, path) = folder();
    let ledger = Ledger::open(&path).unwrap();
    let Charge::Paid(id) = charge(&ledger, "q").unwrap() else {
        panic!("the first time is paid");
    };
    assert_eq!(ledger.answer(id, b"42 and noise").unwrap(), b"42 and noise");
    // A slower process with the same question gets the first answer, not its own.
    assert_eq!(ledger.answer(id, b"another").unwrap(), b"42 and noise");
    for _ in 0..10 {
        assert_eq!(
            charge(&ledger, "q").unwrap(),
            Charge::Answered(b"42 and noise".to_vec())
        );
    }
    assert!((spent(&ledger) - 0.1).abs() < 1e-12);
    // On another snapshot it is another question.
    let later = Question {
        snapshot: "s2".into(),
        ..question("q")
    };
    let again = ledger
        .charge(&account("p"), rho(1.0), &later, rho(0.1))
        .unwrap();
    assert!(matches!(again, Charge::Paid(_)));
}

#[test]
fn ten_tenths_are_one_and_an_eleventh_is_refused() {
    let (_folder, path) = folder();
    let ledger = Ledger::open(&path).unwrap();
    for n in 0..10 {
        assert!(matches!(
            charge(&ledger, &n.to_string()).unwrap(),
            Charge::Paid(_)
        ));
    }
    let refused = charge(&ledger, "10").unwrap_err();
    assert!(matches!(refused, Error::Exhausted { .. }));
    assert!(
        refused.to_string().contains("columna privacy ledger grant"),
        "{refused}"
    );
    // What was charged stays free.
    assert!(matches!(
        charge(&ledger, "3").unwrap(),
        Charge::PaidBefore(_)
    ));
    ledger.grant(&account("p"), rho(0.1)).unwrap();
    assert!(matches!(charge(&ledger, "10").unwrap(), Charge::Paid(_)));
    assert!(matches!(
        charge(&ledger, "11").unwrap_err(),
        Error::Exhausted { .. }
    ));
}

#[test]
fn a_new_ledger_may_be_opened_by_many_at_once() {
    for _ in 0..5 {
        let (_folder, path) = folder();
        let threads: Vec<_> = (0..12)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let ledger = Ledger::open(&path).unwrap();
                    charge(&ledger, "q").unwrap();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!((spent(&Ledger::open(&path).unwrap()) - 0.1).abs() < 1e-12);
    }
}

#[test]
fn a_frozen_account_gets_nothing() {
    let (_folder, path) = folder();
    let ledger = Ledger::open(&path).unwrap();
    charge(&ledger, "q").unwrap();
    ledger.freeze(&account("p"), true).unwrap();
    assert!(matches!(charge(&ledger, "q").unwrap_err(), Error::Frozen));
    assert!(ledger.accounts().unwrap()[0].frozen);
    ledger.freeze(&account("p"), false).unwrap();
    assert!(matches!(
        charge(&ledger, "q").unwrap(),
        Charge::PaidBefore(_)
    ));
}

#[test]
fn amounts_that_are_none_are_refused() {
    let (_folder, path) = folder();
    let ledger = Ledger::open(&path).unwrap();
    for price in [0.0, -0.1, f64::NAN, f64::INFINITY, 1e300] {
        let outcome = ledger.charge(&account("p"), rho(1.0), &question("q"), rho(price));
        assert!(matches!(outcome, Err(Error::Amount)), "{price}");
    }
    let negative_delta = Cost {
        rho: 0.1,
        delta: -1e-9,
    };
    assert!(
        ledger
            .charge(&account("p"), rho(1.0), &question("q"), negative_delta)
            .is_err()
    );
    assert!(ledger.grant(&account("p"), rho(-5.0)).is_err());
    // However small a cost, it is not free.
    ledger
        .charge(&account("p"), rho(1.0), &question("q"), rho(1e-30))
        .unwrap();
    assert!(spent(&ledger) > 0.0);
}

#[test]
fn delta_is_a_budget_of_its_own() {
    let (_folder, path) = folder();
    let ledger = Ledger::open(&path).unwrap();
    let budget = Cost {
        rho: 1.0,
        delta: 1e-6,
    };
    let price = Cost {
        rho: 0.01,
        delta: 6e-7,
    };
    ledger
        .charge(&account("p"), budget, &question("a"), price)
        .unwrap();
    let refused = ledger.charge(&account("p"), budget, &question("b"), price);
    assert!(matches!(refused, Err(Error::Exhausted { .. })));
}

/// Attack 43. Moving the store, opening it again, or naming another project: none gives budget back to the account.
#[test]
fn attack_43_no_budget_comes_back_by_starting_over() {
    let (folder, path) = folder();
    {
        let ledger = Ledger::open(&path).unwrap();
        for n in 0..10 {
            charge(&ledger, &n.to_string()).unwrap();
        }
    }
    let ledger = Ledger::open(&path).unwrap();
    assert!(matches!(
        charge(&ledger, "new session").unwrap_err(),
        Error::Exhausted { .. }
    ));
    drop(ledger);
    std::fs::rename(folder.path().join("privacy"), folder.path().join("renamed")).unwrap();
    let ledger = Ledger::open(&folder.path().join("renamed/ledger.sqlite")).unwrap();
    assert!(matches!(
        charge(&ledger, "renamed").unwrap_err(),
        Error::Exhausted { .. }
    ));
    // A sibling account is not touched by it.
    let other = ledger
        .charge(&account("q"), rho(1.0), &question("0"), rho(0.1))
        .unwrap();
    assert!(matches!(other, Charge::Paid(_)));
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_the_ledger() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = folder();
    let ledger = Ledger::open(&path).unwrap();
    charge(&ledger, "q").unwrap();
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
    }
}

#[test]
fn something_else_is_not_taken_for_a_ledger() {
    let (_folder, path) = folder();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(
        &path,
        "not a database, and long enough to be looked at ".repeat(50),
    )
    .unwrap();
    assert!(Ledger::open(&path).is_err());
}

#[test]
fn a_ledger_that_is_gone_or_empty_gives_no_budget_back() {
    let (_folder, path) = folder();
    charge(&Ledger::open(&path).unwrap(), "q").unwrap();
    let side_files = ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"];
    let kept: Vec<(PathBuf, Option<Vec<u8>>)> = side_files
        .iter()
        .map(|name| path.with_file_name(name))
        .map(|file| (file.clone(), std::fs::read(&file).ok()))
        .collect();
    for empty in [false, true] {
        for (file, _) in &kept {
            let _ = std::fs::remove_file(file);
        }
        if empty {
            std::fs::write(&path, "").unwrap();
        }
        for _ in 0..2 {
            let lost = Ledger::open(&path).unwrap_err();
            assert!(matches!(lost, Error::Lost { .. }), "{lost}");
            assert!(lost.to_string().contains("backup"), "{lost}");
        }
    }
    // The backup is taken as it was.
    for (file, bytes) in &kept {
        let _ = std::fs::remove_file(file);
        if let Some(bytes) = bytes {
            std::fs::write(file, bytes).unwrap();
        }
    }
    assert!((spent(&Ledger::open(&path).unwrap()) - 0.1).abs() < 1e-12);
}

#[test]
fn what_is_answered_after_a_freeze_is_not_told() {
    let (_folder, path) = folder();
    let ledger = Ledger::open(&path).unwrap();
    let Charge::Paid(id) = charge(&ledger, "q").unwrap() else {
        panic!("the first time is paid");
    };
    ledger.freeze(&account("p"), true).unwrap();
    assert!(matches!(
        ledger.answer(id, b"42").unwrap_err(),
        Error::Frozen
    ));
    ledger.freeze(&account("p"), false).unwrap();
    // Nothing was stored: the question runs again on what it paid.
    assert_eq!(charge(&ledger, "q").unwrap(), Charge::PaidBefore(id));
    assert!((spent(&ledger) - 0.1).abs() < 1e-12);
}

#[test]
fn a_clock_that_is_moved_changes_nothing() {
    let (_folder, path) = folder();
    let ledger = Ledger::open(&path).unwrap();
    charge(&ledger, "q").unwrap();
    for time in ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", ""] {
        ledger
            .connection()
            .execute("UPDATE charge SET time = ?1", [time])
            .unwrap();
        assert!(matches!(
            charge(&ledger, "q").unwrap(),
            Charge::PaidBefore(_)
        ));
        assert!((spent(&ledger) - 0.1).abs() < 1e-12);
    }
}

const CHILD: &str = "COLUMNA_TEST_LEDGER_CHILD";

/// Not a test of its own: the body of the processes below. Charges questions in turn, says so, and answers after a
/// while, if it lives that long.
#[test]
fn child_process() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let (path, rest) = order.split_once('|').unwrap();
    let (prefix, pause) = rest.split_once('|').unwrap();
    let ledger = Ledger::open(Path::new(path)).unwrap();
    for n in 0.. {
        match ledger.charge(
            &account("p"),
            rho(1.0),
            &question(&format!("{prefix}{n}")),
            rho(0.01),
        ) {
            Ok(Charge::Paid(id) | Charge::PaidBefore(id)) => {
                std::fs::write(format!("{path}.{prefix}{n}.charged"), "").unwrap();
                std::thread::sleep(Duration::from_millis(pause.parse().unwrap()));
                let answer = format!("{}", std::process::id());
                let stored = ledger.answer(id, answer.as_bytes()).unwrap();
                std::fs::write(format!("{path}.{prefix}{n}.{answer}"), stored).unwrap();
            }
            Ok(Charge::Answered(_)) => {}
            Err(Error::Exhausted { .. }) => return,
            Err(other) => panic!("{other}"),
        }
    }
}

fn spawn(path: &Path, prefix: &str, pause_ms: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::tests::child_process", "--nocapture"])
        .env(CHILD, format!("{}|{prefix}|{pause_ms}", path.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Attack 35, the kill: processes die between charge and answer, and what they charged stays spent.
#[test]
fn attack_35_a_killed_process_gives_no_budget_back() {
    let (_folder, path) = folder();
    Ledger::open(&path).unwrap();
    for round in 0..6 {
        let mut child = spawn(&path, &format!("r{round}-"), 60_000);
        let charged = PathBuf::from(format!("{}.r{round}-0.charged", path.display()));
        let start = Instant::now();
        while !charged.exists() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "the child never charged"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        // SIGKILL: no destructor runs.
        child.kill().unwrap();
        child.wait().unwrap();
        let ledger = Ledger::open(&path).unwrap();
        let state = &ledger.accounts().unwrap()[0];
        assert!(
            (state.spent.rho - 0.01 * f64::from(round + 1)).abs() < 1e-9,
            "{state:?}"
        );
        assert!(state.charges.iter().all(|charge| !charge.answered));
    }
    // The question can be asked again on the charge that was paid.
    let ledger = Ledger::open(&path).unwrap();
    let again = ledger
        .charge(&account("p"), rho(1.0), &question("r0-0"), rho(0.01))
        .unwrap();
    assert!(matches!(again, Charge::PaidBefore(_)));
    assert!((spent(&ledger) - 0.06).abs() < 1e-9);
}

/// Attack 35, the race: many processes at once spend the budget exactly, and every question has one answer.
#[test]
fn attack_35_many_processes_spend_the_budget_once() {
    let (_folder, path) = folder();
    Ledger::open(&path).unwrap();
    // Two pairs ask the same questions, one process asks its own.
    let mut children: Vec<Child> = ["a", "a", "b", "b", "c"]
        .iter()
        .map(|prefix| spawn(&path, prefix, 1))
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let ledger = Ledger::open(&path).unwrap();
    let state = &ledger.accounts().unwrap()[0];
    assert_eq!(state.charges.len(), 100, "a hundred hundredths are one");
    assert!((state.spent.rho - 1.0).abs() < 1e-9);
    let mut answers: std::collections::BTreeMap<String, std::collections::BTreeSet<Vec<u8>>> =
        Default::default();
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(rest) = name.strip_prefix("ledger.sqlite.") else {
            continue;
        };
        if let Some((question, process)) = rest.split_once('.')
            && process != "charged"
        {
            let seen = std::fs::read(path.parent().unwrap().join(&name)).unwrap();
            answers.entry(question.to_owned()).or_default().insert(seen);
        }
    }
    assert!(!answers.is_empty());
    for (question, seen) in answers {
        assert_eq!(seen.len(), 1, "{question} was answered in two ways");
    }
}
