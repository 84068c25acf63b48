//! A scheduler and three executors as real processes: the same answers, also while executors are killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::study::SPEC;
use crate::support::{Ran, columna, command, files, folder, ran, store, text};

pub(crate) const TOKEN: (&str, &str) = ("COLUMNA_CLUSTER_TOKEN", "only-for-this-test");

pub(crate) const QUESTIONS: [&str; 5] = [
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
pub(crate) struct Role(pub(crate) Child);

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn scheduler() -> (Role, String) {
    scheduler_of(&store())
}

fn scheduler_of(store: &str) -> (Role, String) {
    scheduler_at(store, "127.0.0.1:0")
}

pub(crate) fn scheduler_at(store: &str, bind: &str) -> (Role, String) {
    address_of(command().args(["cluster", "scheduler", "--store", store, "--bind", bind]))
}

/// A scheduler under the tests' token, and where it listens.
pub(crate) fn address_of(scheduler: &mut std::process::Command) -> (Role, String) {
    let mut child = scheduler
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
    executor_of(&store(), scheduler, work)
}

pub(crate) fn executor_of(store: &str, scheduler: &str, work: &Path) -> Role {
    executor_with(store, scheduler, work, &["--vcores", "2"])
}

pub(crate) fn executor_with(store: &str, scheduler: &str, work: &Path, options: &[&str]) -> Role {
    let child = command()
        .args(["cluster", "executor", "--until-stdin-closes"])
        .args(["--store", store, "--scheduler", scheduler])
        .args(["--work-dir", &text(work)])
        .args(options)
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

/// Asks without waiting.
fn start(scheduler: &str, question: &str) -> Role {
    let url = format!("df://{scheduler}");
    let child = command()
        .args([
            "sql",
            "--store",
            &store(),
            "--cluster",
            &url,
            "-c",
            question,
        ])
        .env(TOKEN.0, TOKEN.1)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Role(child.expect("a client starts"))
}

/// Waits until the cluster has so many executors and running parts of queries.
fn wait_for(scheduler: &str, what: &str, is_so: impl Fn(usize, usize) -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        let url = format!("df://{scheduler}");
        let status = ran(command()
            .args(["cluster", "status", "--json", "--cluster", &url])
            .env(TOKEN.0, TOKEN.1))
        .ok();
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        let executors = status["executors"].as_array().expect("executors").len();
        let queries = status["queries"].as_array().expect("queries");
        let tasks = queries.iter().map(|query| query["tasks_running"].as_u64());
        let running = usize::try_from(tasks.map(Option::unwrap_or_default).sum::<u64>());
        if is_so(executors, running.expect("a count")) {
            return;
        }
        assert!(Instant::now() < limit, "never {what}: {status}");
        sleep(Duration::from_millis(50));
    }
}

/// More rows than any machine counts in the time of a test.
const ENDLESS: &str = "SELECT sum(a.value_as_number * b.value_as_number * c.value_as_number) FROM measurement a \
     JOIN measurement b ON a.measurement_id <> b.measurement_id \
     JOIN measurement c ON c.measurement_id <> b.measurement_id";

#[cfg(unix)]
#[test]
fn ctrl_c_in_the_client_frees_the_executors() {
    let folder = folder();
    let (_scheduler, address) = scheduler();
    let mut executor = executor_with(&store(), &address, folder.path(), &["--vcores", "1"]);
    let mut client = start(&address, ENDLESS);
    wait_for(&address, "running", |_, running| running > 0);
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &client.0.id().to_string()])
        .status();
    assert!(interrupt.expect("kill runs").success());
    let ended = client.0.wait().expect("the client ends");
    assert_eq!(ended.code(), Some(130));
    wait_for(&address, "free", |_, running| running == 0);
    // Its only core is free again, and what it wrote is gone when it stops.
    let counted = ask(&address, QUESTIONS[1]).ok();
    assert!(counted.contains("gender_concept_id"), "{counted}");
    drop(executor.0.stdin.take());
    executor.0.wait().expect("the executor ends");
    assert_eq!(files(folder.path()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_executor_that_comes_in_the_middle_takes_over_from_one_that_goes() {
    let folder = folder();
    let (_scheduler, address) = scheduler();
    let first = executor_with(&store(), &address, folder.path(), &["--vcores", "1"]);
    let question = "SELECT count(*) AS n FROM measurement a \
         JOIN measurement b ON a.measurement_id <> b.measurement_id";
    let mut client = start(&address, question);
    wait_for(&address, "running", |_, running| running > 0);
    let _second = executor_with(&store(), &address, folder.path(), &["--vcores", "1"]);
    wait_for(&address, "two executors", |executors, _| executors == 2);
    drop(first);
    let mut out = String::new();
    let stdout = client.0.stdout.as_mut().expect("a pipe");
    std::io::Read::read_to_string(stdout, &mut out).expect("text");
    let answered = client.0.wait().expect("it ends").success();
    let rows = columna(&[
        "sql",
        "--store",
        &store(),
        "--format",
        "csv",
        "-c",
        "SELECT count(*) * (count(*) - 1) FROM measurement",
    ]);
    let rows = rows.ok();
    let count = rows.lines().nth(1).expect("a count");
    assert!(answered && out.contains(count), "{out} and not {count}");
}

#[test]
fn a_folder_that_cannot_be_written_is_said_at_once() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let work = text(&file.join("work"));
    let role = [
        "cluster",
        "executor",
        "--store",
        &store(),
        "--work-dir",
        &work,
    ];
    // No scheduler is needed to find out.
    columna(&role).fails(1, "for shuffle files");
}

/// A limit on the size of files stands for a disk that has no room for them.
#[test]
#[cfg(unix)]
fn a_query_without_room_for_its_files_ends_and_leaves_none() {
    let folder = folder();
    let (_scheduler, address) = scheduler();
    let work = folder.path().join("work");
    let mut executor = std::process::Command::new("sh");
    executor
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"])
        .arg(command().get_program())
        .args(["cluster", "executor", "--store", &store(), "--vcores", "2"])
        .args(["--scheduler", &address, "--work-dir", &text(&work)])
        .arg("--until-stdin-closes")
        .env(TOKEN.0, TOKEN.1)
        .stdin(Stdio::piped());
    let mut executor = Role(executor.spawn().expect("an executor starts"));
    let began = Instant::now();
    let large = "SELECT * FROM measurement";
    ask(&address, large).fails(1, "File too large");
    assert!(began.elapsed() < Duration::from_secs(60));
    // Others are answered, and what was written of the one that failed is gone.
    let small = "SELECT gender_concept_id, count(*) AS n FROM person GROUP BY 1 ORDER BY 1";
    assert!(ask(&address, small).ok().contains("8532"));
    drop(executor.0.stdin.take());
    executor.0.wait().expect("it ends");
    assert_eq!(files(&work), Vec::<std::path::PathBuf>::new());
}

/// Rows come from the cluster, and files and tables of the session are written by the client.
#[test]
fn what_is_done_with_rows_is_done_by_the_client() {
    let folder = folder();
    let (_scheduler, address) = scheduler();
    let _executor = executor(&address, &folder.path().join("work"));
    let out = text(&folder.path().join("out.csv"));
    let asked = ask(
        &address,
        &format!(
            "CREATE TABLE kept (n BIGINT); \
             INSERT INTO kept SELECT count(*) FROM person; \
             INSERT INTO kept SELECT count(DISTINCT person_id) FROM condition_occurrence; \
             COPY (SELECT n FROM kept UNION ALL SELECT count(*) FROM person ORDER BY 1) TO '{out}' STORED AS CSV; \
             SELECT count(*) AS kept FROM kept WHERE n > 0"
        ),
    )
    .ok();
    assert!(asked.contains("{\"kept\":2}"), "{asked}");
    let written = std::fs::read_to_string(out).expect("written");
    assert_eq!(written.matches("300\n").count(), 2, "{written}");

    let failed = ask(
        &address,
        "SELECT sum(1 // (year_of_birth - year_of_birth)) FROM person",
    );
    failed.fails(1, "error: Divide by zero");
}

fn study(spec: &Path, out: &Path, cluster: Option<&str>) -> std::process::Command {
    let mut command = command();
    command
        .args(["study", "run", &text(spec), "--store", &store()])
        .args(["--out", &text(out)])
        .env(TOKEN.0, TOKEN.1);
    if let Some(address) = cluster {
        command.args(["--cluster", &format!("df://{address}")]);
    }
    command
}

pub(crate) fn result_hash(out: &Path) -> String {
    let record = std::fs::read(out.join("run.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
    assert_eq!(record["status"], "finished");
    record["result_hash"].as_str().expect("a hash").to_owned()
}

#[test]
fn a_study_is_the_same_while_executors_are_killed() {
    let folder = folder();
    let spec = folder.path().join("study.yaml");
    std::fs::write(&spec, SPEC).expect("written");
    let here = folder.path().join("here");
    ran(&mut study(&spec, &here, None)).ok();

    let work = folder.path().join("work");
    let (_scheduler, address) = scheduler();
    let mut executors: Vec<Role> = (0..3).map(|_| executor(&address, &work)).collect();
    let there = folder.path().join("there");
    let run = study(&spec, &there, Some(&address))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the study starts");
    let steps = there.join("work/steps");
    let limit = Instant::now() + Duration::from_secs(120);
    // Two of the three are killed, each in the middle of some step, and replaced once.
    for done in [1, 4] {
        while std::fs::read_dir(&steps).map_or(0, Iterator::count) < done && Instant::now() < limit
        {
            sleep(Duration::from_millis(2));
        }
        executors.remove(0);
        if done == 1 {
            executors.push(executor(&address, &work));
        }
    }
    let ended = run.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert_eq!(result_hash(&there), result_hash(&here));
}

#[test]
fn a_study_says_in_seconds_that_its_scheduler_died_and_goes_on_with_another() {
    let folder = folder();
    let spec = folder.path().join("study.yaml");
    std::fs::write(&spec, SPEC).expect("written");
    let (work, out) = (folder.path().join("work"), folder.path().join("out"));
    let (first, address) = scheduler();
    let _executor = executor(&address, &work);
    let run = study(&spec, &out, Some(&address))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the study starts");
    let steps = out.join("work/steps");
    let limit = Instant::now() + Duration::from_secs(120);
    while std::fs::read_dir(&steps).map_or(0, Iterator::count) < 2 && Instant::now() < limit {
        sleep(Duration::from_millis(2));
    }
    drop(first);
    let died = Instant::now();
    let ended = run.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        died.elapsed() < Duration::from_secs(30),
        "{:?}",
        died.elapsed()
    );
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("no scheduler answers"), "{said}");

    let (_second, address) = scheduler();
    let _executor = executor(&address, &work);
    ran(study(&spec, &out, Some(&address)).arg("--resume")).ok();
    let here = folder.path().join("here");
    ran(&mut study(&spec, &here, None)).ok();
    assert_eq!(result_hash(&out), result_hash(&here));
}

#[test]
fn machines_share_a_folder_with_token_and_certificate() {
    let folder = folder();
    let shared = folder.path().join("shared");
    let (init, config) = (text(&shared), text(&shared.join("cluster.toml")));
    // A port that is free now.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let address = format!("127.0.0.1:{port}");
    columna(&[
        "cluster",
        "init",
        "--out",
        &init,
        "--scheduler",
        &address,
        "--store",
        &store(),
    ])
    .ok();
    let role = |arguments: &[&str]| {
        let child = command()
            .args(["cluster"])
            .args(arguments)
            .args(["--config", &config])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Role(child.expect("a role starts"))
    };
    let work = text(&folder.path().join("work"));
    let _executors = [(); 2].map(|()| role(&["executor", "--work-dir", &work, "--vcores", "1"]));
    let _scheduler = role(&["scheduler"]);
    let mut sql = vec!["sql", "--store", ""];
    let store = store();
    sql[2] = &store;
    let question = ["--format", "json", "-c", QUESTIONS[2]];
    let here = columna(&[&sql[..], &question].concat()).ok();
    let ask = || columna(&[&sql[..], &["--cluster-config", &config], &question].concat());
    let limit = Instant::now() + Duration::from_secs(60);
    let mut there = ask();
    while there.code != 0 && Instant::now() < limit {
        sleep(Duration::from_millis(100));
        there = ask();
    }
    assert_eq!(there.ok(), here);
    // The file names the store, too.
    let of_file = columna(&[&["sql", "--cluster-config", &config], &question[..]].concat());
    assert_eq!(of_file.ok(), here);

    // Without the certificate, and with the file open to others.
    let token = std::fs::read_to_string(&config).expect("the file");
    let token = token
        .lines()
        .find_map(|line| line.strip_prefix("token = "))
        .expect("a token");
    let url = format!("df://{address}");
    ran(command()
        .args(&sql)
        .args(["--cluster", &url])
        .args(question)
        .env(TOKEN.0, token.trim_matches('"')))
    .fails(1, "no scheduler answers");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&config, open).expect("changed");
        ask().fails(1, "chmod 600");
    }
}

/// The same hospital as the recorded answers', in a store of its own: `bench run` compares digests with those that
/// DuckDB gave too.
#[test]
fn a_hospitals_thirty_questions_have_the_recorded_answers() {
    let folder = folder();
    let dir = text(&folder.path().join("bench"));
    let run = [
        "bench",
        "run",
        "--patients",
        "1000",
        "--dir",
        &dir,
        "--runs",
        "1",
    ];
    let first = ["--no-cold", "--queries", "01*"];
    columna(&[&run[..], &first[..]].concat()).ok();

    let store = text(&folder.path().join("bench/store-1000"));
    let (_scheduler, address) = scheduler_of(&store);
    let work = folder.path().join("work");
    let _executors = [(); 3].map(|()| executor_of(&store, &address, &work));
    let url = format!("df://{address}");
    let out = ran(command()
        .args(run)
        .args(["--cluster", &url])
        .env(TOKEN.0, TOKEN.1))
    .ok();
    assert!(out.contains("30_events_per_person_year"), "{out}");

    let status = ran(command()
        .args(["cluster", "status", "--json", "--cluster", &url])
        .env(TOKEN.0, TOKEN.1))
    .ok();
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let executors = status["executors"].as_array().expect("executors");
    assert_eq!(executors.len(), 3);
    assert!(executors.iter().all(|executor| executor["vcores"] == 2));
    assert_eq!(status["queries"].as_array().map(Vec::len), Some(0));
    columna(&["cluster", "status", "--cluster", &url]).fails(1, "COLUMNA_CLUSTER_TOKEN");
}
