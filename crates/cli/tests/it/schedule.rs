//! Schedules: the commands, and the processes behind them when they are killed.
//!
//! The study is a shell script in place of `columna study run`: it is told its specification as the third argument, and
//! the specification is a script itself. What happens is written to a ledger beside it.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PATIENTS, Ran, columna, command, copy, folder, ran, store, text};

/// A busy machine is slow; nothing here takes longer on an idle one than a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// A store, schedules beside it, and a ledger.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = folder();
        copy(std::path::Path::new(&store()), &folder.path().join("store"));
        let place = Self { folder };
        let study = place.path("study.sh");
        fs::write(&study, "#!/bin/sh\nexec sh \"$3\" \"$@\"\n").expect("written");
        fs::set_permissions(&study, fs::Permissions::from_mode(0o755)).expect("made executable");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A specification that writes its begin, does something, and writes its end.
    fn specification(&self, name: &str, does: &str) -> String {
        let ledger = text(&self.path("ledger"));
        let script = format!(
            "echo \"begin $COLUMNA_SCHEDULE_RUN $$ $PPID\" >> {ledger}\n{does}\n\
             echo \"end $COLUMNA_SCHEDULE_RUN\" >> {ledger}\n"
        );
        let file = self.path(&format!("{name}.yaml"));
        fs::write(&file, script).expect("written");
        text(&file)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command
            .arg("schedule")
            .args(arguments)
            .env("COLUMNA_STORE", self.path("store"));
        command
    }

    fn schedule(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    fn add(&self, specification: &str, arguments: &[&str]) {
        let mut all = vec!["add", specification];
        all.extend(arguments);
        self.schedule(&all).ok();
    }

    fn scheduler(&self, arguments: &[&str]) -> Command {
        let study = text(&self.path("study.sh"));
        let mut all = vec!["run", "--poll=20", "--watch=50", "--study-program", &study];
        all.extend(arguments);
        self.command(&all)
    }

    fn once(&self) -> Ran {
        ran(&mut self.scheduler(&["--once", "--max-runs=4"]))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.scheduler(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    }

    fn ledger(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often each run came to its end.
    fn ends(&self) -> BTreeMap<i64, usize> {
        let mut ends = BTreeMap::new();
        for line in self.ledger() {
            if let Some(run) = line.strip_prefix("end ") {
                *ends.entry(run.parse().expect("a number")).or_default() += 1;
            }
        }
        ends
    }

    fn runs(&self) -> Vec<Value> {
        let text = self.schedule(&["history", "--json", "--limit=1000"]).ok();
        serde_json::from_str(&text).expect("JSON")
    }

    fn states(&self) -> Vec<String> {
        self.runs()
            .iter()
            .map(|run| run["state"].as_str().expect("a state").to_owned())
            .collect()
    }

    fn wait(&self, for_what: &str, until: impl Fn() -> bool) {
        let started = Instant::now();
        while !until() {
            assert!(
                started.elapsed() < PATIENCE,
                "waited for {for_what}\n{:#?}\n{:#?}",
                self.runs(),
                self.ledger()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill")
        .args([name, pid])
        .stderr(Stdio::null())
        .status();
    sent.expect("`kill` runs");
}

fn alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state
        .rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn killed(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("it ends");
}

#[test]
fn schedules_are_added_looked_at_run_and_removed() {
    let place = Place::new();
    let study = place.specification("nightly", "echo 'done in the study'");
    place.schedule(&["list"]).fails(1, "there is no schedule");
    place
        .schedule(&["add", &study])
        .fails(2, "nothing says when the study runs");
    place
        .schedule(&["add", &study, "--cron=0 2 * * *", "--timezone=Asia/Soul"])
        .fails(2, "`Asia/Soul` is not a time zone");
    place
        .schedule(&["add", "none.yaml", "--cron=@daily"])
        .fails(1, "there is no specification `none.yaml`");
    place
        .schedule(&[
            "add",
            &study,
            "--cron=@daily",
            "--webhook=http://hospital.example/x",
        ])
        .fails(2, "over the network");
    place
        .schedule(&["add", &study, "--cron=@daily", "--", "--out=elsewhere"])
        .fails(2, "`--out` cannot stand after `--`");
    let added = place.schedule(&["add", &study, "--cron=0 2 * * *", "--timezone=Asia/Seoul"]);
    assert!(
        added.err.contains("no scheduler is at work"),
        "{}",
        added.err
    );
    assert!(added.ok().contains("02:00 KST"));
    place
        .schedule(&["add", &study, "--cron=@daily"])
        .fails(2, "there is a schedule named `nightly` already");
    let list = place.schedule(&["list"]).ok();
    assert!(list.contains("0 2 * * * Asia/Seoul"), "{list}");
    place
        .schedule(&["start", "nigtly"])
        .fails(2, "did you mean `nightly`?");
    place.schedule(&["start", "nightly"]).ok();
    place.once().ok();
    let history = place.schedule(&["history"]).ok();
    assert!(history.contains("succeeded"), "{history}");
    let show = place.schedule(&["show", "1"]).ok();
    assert!(
        show.contains("attempt 1 begins") && show.contains("done in the study"),
        "{show}"
    );
    assert_eq!(
        place.schedule(&["show", "1", "--output"]).ok(),
        "done in the study\n"
    );
    place.schedule(&["show", "7"]).fails(2, "there is no run 7");
    place.schedule(&["retry", "1"]).fails(2, "run 1 succeeded");
    place.schedule(&["pause", "nightly"]).ok();
    assert!(place.schedule(&["list"]).ok().contains("paused"));
    place.schedule(&["resume", "nightly"]).ok();
    place.schedule(&["remove", "nightly"]).ok();
    assert_eq!(place.schedule(&["list", "--json"]).ok(), "[]\n");
    assert_eq!(place.states(), ["succeeded"], "what was stays on record");
}

#[test]
fn the_study_is_told_what_the_schedule_says() {
    let place = Place::new();
    let study = place.specification("a", "echo \"$@\"");
    place.add(
        &study,
        &[
            "--cron=@daily",
            "--memory-limit=2GB",
            "--threads=3",
            "--out=res",
            "--retries=1",
            "--backoff=0",
            "--",
            "--fresh",
        ],
    );
    place.schedule(&["start", "a"]).ok();
    place.once().ok();
    let said = place.schedule(&["show", "1", "--output"]).ok();
    let store = text(&place.path("store").canonicalize().expect("a folder"));
    assert!(
        said.starts_with(&format!("study run {study} --store {store} --out /")),
        "{said}"
    );
    assert!(
        said.ends_with("/res --memory-limit=2000000000 --threads=3 --fresh\n"),
        "{said}"
    );
}

#[test]
fn failures_are_tried_again_and_then_told() {
    let place = Place::new();
    let told = text(&place.path("told"));
    let study = place.specification("a", "echo try >> ../tries; exit 7");
    let folder = place.path("deep");
    fs::create_dir(&folder).expect("made");
    fs::rename(&study, folder.join("a.yaml")).expect("moved");
    let study = text(&folder.join("a.yaml"));
    let hook = format!("cat >> {told}");
    place.add(
        &study,
        &[
            "--cron=@daily",
            "--retries=2",
            "--backoff=0",
            "--hook",
            &hook,
            "--hook=exit 3",
        ],
    );
    place.schedule(&["start", "a"]).ok();
    let once = place.once().fails(1, "1 run did not succeed");
    assert!(
        once.err.contains("exit status: 3"),
        "a failed hook is told of: {}",
        once.err
    );
    // In the folder of the specification.
    let tries = fs::read_to_string(place.path("tries")).expect("written");
    assert_eq!(tries.lines().count(), 3);
    assert_eq!(place.states(), ["failed"]);
    let told: Value =
        serde_json::from_str(&fs::read_to_string(told).expect("told once")).expect("JSON");
    assert_eq!(told["event"], "run_failed");
    assert_eq!(told["reason"], "the study failed (exit code 7)");
    let show = place.schedule(&["show", "1"]).ok();
    assert!(show.contains("columna schedule retry 1"), "{show}");
    place.specification("a", "true");
    fs::rename(place.path("a.yaml"), &study).expect("moved");
    place.schedule(&["retry", "1"]).ok();
    place.once().ok();
    assert_eq!(place.states(), ["succeeded"]);
}

#[test]
fn a_new_snapshot_starts_a_study_and_its_success_the_next() {
    let place = Place::new();
    let first = place.specification("first", "true");
    let second = place.specification("second", "true");
    place.add(&first, &["--on-snapshot", "--settle=0"]);
    place.add(&second, &["--after=first"]);
    let scheduler = place.start(&[]);
    std::thread::sleep(Duration::from_millis(300));
    assert!(place.runs().is_empty(), "no snapshot is new yet");
    let delta = text(&place.path("delta"));
    let first_person = (PATIENTS + 1).to_string();
    columna(&[
        "synth",
        "--patients=20",
        "--seed=8",
        "--first-person-id",
        &first_person,
        "--out",
        &delta,
    ])
    .ok();
    columna(&["ingest", &delta, "--store", &text(&place.path("store"))]).ok();
    place.wait("both", || place.states() == ["succeeded", "succeeded"]);
    let runs = place.runs();
    assert_eq!(
        [
            &runs[0]["schedule"],
            &runs[0]["cause"],
            &runs[1]["schedule"],
            &runs[1]["cause"]
        ],
        ["first", "snapshot", "second", "after"]
    );
    assert_eq!(runs[0]["snapshot"], 2);
    killed(scheduler);
}

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
    let processes = || {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|pid| pid.parse::<u32>().is_ok() && alive(pid))
            .filter(|pid| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == mark.as_bytes())
            })
            .collect::<Vec<_>>()
    };
    loop {
        let left = processes();
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
fn a_run_is_cancelled_by_hand() {
    let place = Place::new();
    let study = place.specification("a", "sleep 600");
    place.add(&study, &["--cron=0 2 * * *", "--retries=5"]);
    place.schedule(&["start", "a"]).ok();
    place.schedule(&["start", "a"]).ok();
    let scheduler = place.start(&[]);
    place.wait("the begin", || !place.ledger().is_empty());
    assert!(
        place
            .schedule(&["cancel", "2"])
            .ok()
            .contains("is cancelled")
    );
    assert!(
        place
            .schedule(&["cancel", "1"])
            .ok()
            .contains("is asked to end")
    );
    place.wait("the end", || place.states() == ["cancelled", "cancelled"]);
    killed(scheduler);
    assert!(place.ends().is_empty());
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

#[test]
fn a_specification_that_is_gone_ends_the_run_at_once() {
    let place = Place::new();
    let study = place.specification("a", "true");
    place.add(&study, &["--cron=@daily", "--retries=5"]);
    place.schedule(&["start", "a"]).ok();
    fs::remove_file(&study).expect("removed");
    place.once().fails(1, "did not succeed");
    let show = place.schedule(&["show", "1"]).ok();
    assert!(show.contains("is not there"), "{show}");
}

#[test]
fn an_address_on_this_machine_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/told", listener.local_addr().expect("an address"));
    let reader = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a notice comes");
        let mut reader = BufReader::new(&stream);
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).expect("a line") > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        (&stream)
            .write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
            .expect("answered");
        body
    });
    let place = Place::new();
    let study = place.specification("a", "true");
    place.add(&study, &["--cron=@daily", "--webhook", &address]);
    place.schedule(&["start", "a"]).ok();
    let once = place.once();
    assert!(once.err.contains("told by webhook"), "{}", once.err);
    let told: Value = serde_json::from_slice(&reader.join().expect("told")).expect("JSON");
    assert_eq!(
        (&told["event"], &told["run"]),
        (&"run_succeeded".into(), &1.into())
    );
}

#[test]
fn metrics_are_for_this_machine_only() {
    let place = Place::new();
    let study = place.specification("a", "true");
    place.add(&study, &["--cron=@daily"]);
    place.schedule(&["start", "a"]).ok();
    place
        .schedule(&["run", "--metrics=0.0.0.0:9464"])
        .fails(2, "on this machine only");
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .expect("a port");
    let scheduler = place.start(&["--metrics", &port.to_string()]);
    place.wait("the end", || place.states() == ["succeeded"]);
    let mut stream = TcpStream::connect(port).expect("it listens");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    killed(scheduler);
    for line in [
        "HTTP/1.1 200 OK",
        "columna_schedule_runs{schedule=\"a\",state=\"succeeded\"} 1",
        "columna_schedule_schedulers 1",
        "columna_schedule_last_succeeded{schedule=\"a\"} 1",
    ] {
        assert!(answer.contains(line), "`{line}` is not in:\n{answer}");
    }
}

#[test]
fn the_unit_for_systemd_starts_this_program() {
    let place = Place::new();
    let unit = place
        .schedule(&["install", "--systemd", "--max-runs=2"])
        .ok();
    let store = text(&place.path("store").canonicalize().expect("a folder"));
    assert!(
        unit.contains(&format!(
            "/columna schedule run --store {store} --max-runs=2\n"
        )),
        "{unit}"
    );
    assert!(unit.contains("KillMode=process"), "{unit}");
}
