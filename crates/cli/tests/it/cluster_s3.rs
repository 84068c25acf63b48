//! A store on S3 on a cluster: every role reads it from the server, and answers are those of a store in a folder.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use columna_store::S3Server;

use crate::cluster::{QUESTIONS, Role};
use crate::support::{columna, command, folder, ran, source, store, text};

const STORE: &str = "s3://clinic/store";

#[test]
fn a_store_on_s3_gives_the_answers_of_a_folder() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("clinic")).expect("made");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(S3Server::serve(folder.path()));
    let environment = server.expect("a server").environment();
    let there = |arguments: &[&str]| -> Command {
        let mut command = command();
        command.args(arguments).envs(environment.clone());
        command
    };
    ran(&mut there(&["ingest", &text(source()), "--store", STORE])).ok();

    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let (bind, url) = (
        format!("127.0.0.1:{port}"),
        format!("df://127.0.0.1:{port}"),
    );
    let work = text(&folder.path().join("work"));
    let local = there(&["cluster", "local", "--executors", "3", "--bind", &bind])
        .args(["--store", STORE, "--work-dir", &work, "--quiet"])
        .stderr(Stdio::null())
        .spawn();
    let _local = Role(local.expect("the cluster starts"));
    let sql = ["sql", "--store", STORE, "--format", "json"];
    let ask = |question: &str| ran(there(&sql).args(["--cluster", &url, "-c", question]));
    let limit = Instant::now() + Duration::from_secs(60);
    while ask("SELECT count(*) FROM person").code != 0 && Instant::now() < limit {
        sleep(Duration::from_millis(100));
    }
    let here = store();
    for question in QUESTIONS {
        let in_folder = columna(&["sql", "--store", &here, "--format", "json", "-c", question]);
        assert_eq!(ask(question).ok(), in_folder.ok(), "{question}");
    }
    // The roles had no other way to the rows than the server.
    drop(runtime);
    let failed = ask(QUESTIONS[4]);
    assert_ne!(failed.code, 0, "{}", failed.out);
}
