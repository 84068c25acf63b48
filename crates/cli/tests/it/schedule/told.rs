//! Notices, metrics, the unit for systemd.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use super::{Place, killed};
use crate::support::text;

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
