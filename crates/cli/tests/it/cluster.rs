//! A scheduler and three executors as real processes: the same answers, also while executors are killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Ran, columna, command, files, folder, ran, store, text};

const TOKEN: (&str, &str) = ("COLUMNA_CLUSTER_TOKEN", "only-for-this-test");

const QUESTIONS: [&str; 5] = [
    // DataFusion 55 counts some persons twice here where it is told the order of rows.
    "SELECT count(*) AS n FROM (SELECT DISTINCT o.person_id, a.ancestor_concept_id FROM condition_occurrence o \
     JOIN concept_ancestor a ON a.descendant_concept_id = o.condition_concept_id)",
    "SELECT gender_concept_id, count(*) AS n FROM person GROUP BY 1 ORDER BY 1",
    "SELECT c.concept_name, count(DISTINCT o.person_id) AS n FROM condition_occurrence o \
     JOIN concept c ON c.concept_id = o.condition_concept_id GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
    "SELECT p.gender_concept_id, kaplan_meier(days_between(p.birth_datetime, \
     coalesce(d.death_date, DATE '2030-01-01')), d.person_id IS NOT NULL) AS curve \
     FROM person p LEFT JOIN death d ON d.person_id = p.person_id GROUP BY 1 ORDER BY 1",
    "SELECT person_id, measurement_id, lag(value_as_number) OVER (PARTITION BY person_id \
     ORDER BY measurement_date, measurement_id) AS before FROM measurement ORDER BY 1, 2 LIMIT 500",
];

/// A role that is killed when the test ends, however it ends.
struct Role(Child);

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn scheduler() -> (Role, String) {
    let mut child = command()
        .args([
            "cluster",
            "scheduler",
            "--store",
            &store(),
            "--bind",
            "127.0.0.1:0",
        ])
        .env(TOKEN.0, TOKEN.1)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the scheduler starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("the scheduler says where it is");
    let address = line
        .split(['/', ';'])
        .nth(2)
        .expect("an address in the first line")
        .to_owned();
    (Role(child), address)
}

fn executor(scheduler: &str, work: &Path) -> Role {
    let child = command()
        .args(["cluster", "executor", "--store", &store(), "--vcores", "2"])
        .args(["--scheduler", scheduler, "--work-dir", &text(work)])
        .arg("--until-stdin-closes")
        .env(TOKEN.0, TOKEN.1)
        .stdin(Stdio::piped())
        .spawn()
        .expect("an executor starts");
    Role(child)
}

fn ask(scheduler: &str, question: &str) -> Ran {
    let url = format!("df://{scheduler}");
    ran(command()
        .args([
            "sql",
            "--store",
            &store(),
            "--cluster",
            &url,
            "--format",
            "json",
            "-c",
            question,
        ])
        .env(TOKEN.0, TOKEN.1))
}

#[test]
fn answers_are_the_same_while_executors_are_killed() {
    let folder = folder();
    let (_scheduler, address) = scheduler();
    let mut executors: Vec<Role> = (0..3).map(|_| executor(&address, folder.path())).collect();
    for round in 0..3 {
        for question in QUESTIONS {
            let here = columna(&[
                "sql",
                "--store",
                &store(),
                "--format",
                "json",
                "-c",
                question,
            ]);
            assert_eq!(ask(&address, question).ok(), here.ok(), "{question}");
        }
        // Dropping kills: idle in the first round, and in the middle of whatever was planned for it later on.
        let asked = std::thread::spawn({
            let address = address.clone();
            move || ask(&address, QUESTIONS[3]).ok()
        });
        sleep(Duration::from_millis(40 * round));
        executors.remove(0);
        asked.join().expect("the question is answered");
        executors.push(executor(&address, folder.path()));
    }

    // Executors that are told to stop remove what they wrote; those that were killed could not.
    for executor in &mut executors {
        drop(executor.0.stdin.take());
        let patience = Instant::now() + Duration::from_secs(20);
        while executor.0.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < patience, "an executor does not stop");
            sleep(Duration::from_millis(20));
        }
    }
    let left = std::fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(
        left,
        3,
        "of the three killed ones: {:?}",
        files(folder.path())
    );
}

#[test]
fn errors_come_in_seconds_and_say_what_to_do() {
    let began = Instant::now();
    ask("127.0.0.1:1", "SELECT 1").fails(1, "start one with `columna cluster scheduler`");
    let (role, address) = scheduler();
    let url = format!("df://{address}");
    columna(&[
        "sql",
        "--store",
        &store(),
        "--cluster",
        &url,
        "-c",
        "SELECT 1",
    ])
    .fails(1, "COLUMNA_CLUSTER_TOKEN");
    columna(&[
        "cluster",
        "scheduler",
        "--store",
        &store(),
        "--bind",
        "0.0.0.0:0",
    ])
    .fails(1, "bind to 127.0.0.1");
    // A question waits for the first executor.
    let waits = std::thread::spawn({
        let address = address.clone();
        move || ask(&address, QUESTIONS[0]).ok()
    });
    sleep(Duration::from_millis(500));
    let folder = folder();
    let executor = executor(&address, folder.path());
    waits.join().expect("answered");
    drop((executor, role));
    ask(&address, QUESTIONS[0]).fails(1, "no scheduler answers");
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
}
