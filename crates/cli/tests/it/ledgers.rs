//! The ledger under real processes: stewards who freeze and grant while others ask, files that are damaged, disks that
//! are full.

#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::desk::{Desk, POLICY};
use crate::support::{Ran, ran, text};

fn question(n: u32) -> String {
    format!(
        "SELECT count(*) FROM person WHERE year_of_birth > {}",
        1930 + n
    )
}

fn start(desk: &Desk, sql: &str) -> Child {
    desk.asking("noisy", sql)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().expect("it ends");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Some number was printed; the header is the query's own.
fn tells(ran: &Ran) -> bool {
    ran.out.lines().skip(1).any(|line| !line.is_empty())
}

/// How long a question takes.
fn whole(desk: &Desk) -> Duration {
    let started = Instant::now();
    desk.ask("noisy", &question(0)).ok();
    started.elapsed()
}

fn granted(desk: &Desk) -> f64 {
    let out = desk.ledger(&["show", "--json"]).ok();
    let all: Value = serde_json::from_str(&out).expect("JSON");
    let (left, spent) = (&all[0]["left"]["rho"], &all[0]["spent"]["rho"]);
    left.as_f64().expect("a number") + spent.as_f64().expect("a number")
        - all[0]["allowed"]["rho"].as_f64().expect("a number")
}

#[test]
fn once_a_freeze_has_returned_nothing_is_answered() {
    let desk = Desk::new();
    let whole = whole(&desk);
    let (mut refused, mut answered) = (0, 0);
    for n in 1..=10_u32 {
        let child = start(&desk, &question(n));
        std::thread::sleep(whole * n / 9);
        desk.ledger(&["freeze", "--principal", "ana"]).ok();
        let before = desk.spent();
        let ran = end(child);
        let after = desk.spent();
        assert_eq!(
            before.2, after.2,
            "round {n}: answered after the freeze: {}",
            ran.out
        );
        assert!(after.0 >= before.0 - 1e-12, "round {n}");
        if ran.code == 0 {
            answered += 1;
        } else {
            refused += 1;
            assert!(!tells(&ran), "{}", ran.out);
            assert!(
                ran.err.contains("frozen") && ran.err.contains("[budget]"),
                "{}",
                ran.err
            );
        }
        desk.ledger(&["freeze", "--principal", "ana", "--off"]).ok();
    }
    assert_eq!(refused + answered, 10);
    // What was charged while it was frozen is answered now, and costs nothing more.
    let (spent, questions, _) = desk.spent();
    let price = spent / questions as f64;
    for n in 1..=10 {
        desk.ask("noisy", &question(n)).ok();
    }
    assert!((desk.spent().0 - 11.0 * price).abs() < 1e-9);
}

/// Grants a budget, in a process that is not started yet.
fn granting(desk: &Desk, rho: &str) -> Command {
    let mut command = crate::support::command();
    command
        .args(["privacy", "ledger", "grant", "--principal", "ana"])
        .args(["--state", &desk.state(), "--rho", rho])
        .stdout(Stdio::null());
    command
}

#[test]
fn a_grant_far_above_the_budget_is_warned_of() {
    let desk = Desk::new();
    desk.ask("noisy", &question(0)).ok();
    let grant = |rho: &str| {
        desk.ledger(&["grant", "--principal", "ana", "--rho", rho])
            .ok()
    };
    assert!(!grant("0.0001").contains("warning"));
    let said = grant("1000");
    assert!(
        said.contains("warning: that is") && said.contains("freeze"),
        "{said}"
    );
}

#[test]
fn grants_and_questions_at_once_add_up() {
    let desk = Desk::under(&POLICY.replace("epsilon = 4.0", "epsilon = 1.0"));
    desk.ask("noisy", &question(0)).ok();
    let (price, ..) = desk.spent();
    let grant = format!("{price:.12}");
    let grants: Vec<Child> = (0..4)
        .map(|_| {
            let mut command = granting(&desk, &grant);
            command.stderr(Stdio::piped());
            command.spawn().expect("the binary runs")
        })
        .collect();
    let asking: Vec<Child> = (1..=6).map(|n| start(&desk, &question(n))).collect();
    for child in grants {
        let ran = end(child);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let ended: Vec<Ran> = asking.into_iter().map(end).collect();
    assert!(
        (granted(&desk) - 4.0 * price).abs() < 1e-9,
        "no grant is lost"
    );
    let (spent, questions, answered) = desk.spent();
    let succeeded = ended.iter().filter(|ran| ran.code == 0).count();
    assert_eq!((questions, answered), (succeeded + 1, succeeded + 1));
    assert!((spent - price * questions as f64).abs() < 1e-9);
    for ran in ended.iter().filter(|ran| ran.code != 0) {
        assert!(
            ran.err.contains("privacy budget does not suffice"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_grant_that_is_killed_is_made_or_not_made() {
    let desk = Desk::new();
    desk.ask("noisy", &question(0)).ok();
    let grant = || {
        let mut command = granting(&desk, "0.001");
        command.stderr(Stdio::null());
        command
    };
    let started = Instant::now();
    assert!(grant().status().expect("it runs").success());
    let whole = started.elapsed();
    for n in 0..12_u32 {
        let before = granted(&desk);
        let mut child = grant().spawn().expect("it starts");
        std::thread::sleep(whole * n / 12);
        let _ = child.kill();
        let _ = child.wait();
        let more = granted(&desk) - before;
        assert!(more.abs() < 1e-9 || (more - 0.001).abs() < 1e-9, "{more}");
    }
}

#[test]
fn a_damaged_ledger_answers_nothing() {
    let desk = Desk::new();
    for n in 0..3 {
        desk.ask("noisy", &question(n)).ok();
    }
    let path = std::path::Path::new(&desk.state()).join("ledger.sqlite");
    let wal = path.with_file_name("ledger.sqlite-wal");
    // A process that ended well has put everything into the file itself.
    assert!(!wal.exists());
    let bytes = std::fs::read(&path).expect("a ledger");
    let damage: [(&str, Vec<u8>); 5] = [
        ("emptied", Vec::new()),
        ("cut in the middle", bytes[..bytes.len() / 2].to_vec()),
        ("cut at its end", bytes[..bytes.len() - 700].to_vec()),
        ("overwritten", vec![b'x'; bytes.len()]),
        ("zeroed behind its head", {
            let mut zeroed = bytes.clone();
            zeroed[4096..].fill(0);
            zeroed
        }),
    ];
    for (what, damaged) in &damage {
        std::fs::write(&path, damaged).expect("written");
        for n in [0, 7] {
            let ran = desk.ask("noisy", &question(n));
            assert_ne!(ran.code, 0, "{what}: {}", ran.out);
            assert!(
                !tells(&ran) && !ran.err.contains("panicked"),
                "{what}: {}",
                ran.err
            );
        }
    }
    std::fs::write(&path, &bytes).expect("written");
    assert_eq!(desk.spent().1, 3);
    // The end of its write-ahead log, cut off or filled with noise: that charge may be lost, as it may with the power, and
    // is then made again before anything is answered.
    std::fs::write(&wal, vec![7_u8; 5000]).expect("written");
    let ran = desk.ask("noisy", &question(3));
    if ran.code == 0 {
        assert_eq!(desk.spent().1, 4);
    }
}

/// Asks with files limited to so many blocks: what a full disk does to writes. The signal that comes with it is ignored.
fn on_a_full_disk(desk: &Desk, role: &str, sql: &str, blocks: u32) -> Ran {
    let asking = desk.asking(role, sql);
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""),
        ])
        .arg(asking.get_program())
        .args(asking.get_args());
    for (name, value) in asking.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    ran(&mut shell)
}

#[test]
fn where_nothing_can_be_written_nothing_is_answered() {
    let desk = Desk::new();
    desk.ask("noisy", &question(0)).ok();
    desk.ask(
        "counter",
        "SELECT gender_concept_id, count(*) FROM person GROUP BY 1",
    )
    .ok();
    let before = desk.spent();
    for (role, sql) in [
        ("noisy", question(1)),
        ("counter", "SELECT count(*) FROM person".to_owned()),
    ] {
        // None at all, and enough for the audit log but not for the database.
        for blocks in [0, 16] {
            let ran = on_a_full_disk(&desk, role, &sql, blocks);
            assert_ne!(ran.code, 0, "{role} {blocks}: {}", ran.out);
            assert!(!tells(&ran), "{role} {blocks}: {}", ran.out);
            assert!(!ran.err.contains("panicked"), "{}", ran.err);
            assert!(
                ran.err.contains("cannot be written")
                    || ran.err.contains("cannot be read or written"),
                "{role} {blocks}: {}",
                ran.err
            );
        }
    }
    assert!(desk.spent().2 == before.2);
    // With room again all is well, and the log is whole.
    desk.ask("noisy", &question(1)).ok();
    desk.ask("counter", "SELECT count(*) FROM person").ok();
    crate::support::columna(&["privacy", "audit", "verify", "--state", &desk.state()]).ok();
    assert!(std::path::Path::new(&text(&desk.policy())).exists());
}
