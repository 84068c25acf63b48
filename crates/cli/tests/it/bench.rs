//! The benchmark: right answers, figures that add up, a page of them, and questions of one's own.

use std::fs;

use columna_store::{Layout, Store};
use serde_json::Value;

use crate::support::{columna, folder, store, text};

#[test]
fn the_suite_gives_the_recorded_answers_and_a_page_of_its_figures() {
    let folder = folder();
    let path = |name: &str| text(&folder.path().join(name));
    let (dir, json, page) = (path("bench"), path("run.json"), path("bench.html"));
    let run = [
        "bench",
        "run",
        "--patients",
        "1000",
        "--dir",
        &dir,
        "--queries",
        "*",
        "--runs",
        "1",
        "--no-cold",
        "--json",
        &json,
    ];
    let out = columna(&run).ok();
    assert!(out.contains("30_events_per_person_year"), "{out}");

    let figures: Value = serde_json::from_slice(&fs::read(&json).expect("figures")).expect("JSON");
    assert_eq!(figures["patients"], 1000);
    let questions = figures["questions"].as_array().expect("questions");
    assert_eq!(questions.len(), 30);
    for question in questions {
        if question["name"] == "18_patient_timeline" {
            // That patient is not among a thousand.
            assert_eq!(question["rows"], 0);
            continue;
        }
        assert!(question["rows"].as_u64() > Some(0), "{question}");
        assert!(question["scanned_rows"].as_u64() > Some(0), "{question}");
        assert!(question["scanned_bytes"].as_u64() > Some(0), "{question}");
        assert!(question["warm"][0].as_f64() > Some(0.0), "{question}");
    }

    columna(&["bench", "report", &json, "--out", &page]).ok();
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("<td>12_drug_eras_all"), "{page}");
}

/// One bucket or many, one thread or more than there are buckets: plans differ, answers do not.
#[test]
fn the_answers_are_the_same_however_the_store_is_divided() {
    let folder = folder();
    let path = |name: &str| text(&folder.path().join(name));
    let hospital = path("hospital");
    let synth = ["synth", "--patients", "1000", "--out", &hospital];
    columna(&synth).ok();
    for persons_per_bucket in [90, 100_000] {
        let dir = path(&persons_per_bucket.to_string());
        let store = format!("{dir}/store-1000");
        let layout = Layout {
            persons_per_bucket,
            row_group_rows: 500,
            ..Layout::default()
        };
        tokio::runtime::Runtime::new()
            .expect("threads")
            .block_on(Store::create(&store, layout))
            .expect("an empty store");
        columna(&["ingest", &hospital, "--store", &store]).ok();
        for threads in ["1", "2", "3", "16"] {
            let run = ["bench", "run", "--patients", "1000", "--runs", "1"];
            let how = ["--no-cold", "--dir", &dir, "--threads", threads];
            // It fails where an answer is not the recorded one.
            columna(&[&run[..], &how].concat()).ok();
        }
    }
}

#[test]
fn questions_of_ones_own_are_asked_warm_and_cold() {
    let folder = folder();
    let path = |name: &str| text(&folder.path().join(name));
    let (pattern, json) = (path("*.sql"), path("run.json"));
    fs::write(
        path("persons.sql"),
        "SELECT count(*) FROM person -- all of them",
    )
    .expect("written");
    let run = [
        "bench",
        "run",
        "--store",
        &store(),
        "--queries",
        &pattern,
        "--json",
        &json,
    ];
    columna(&run).ok();
    let figures: Value = serde_json::from_slice(&fs::read(&json).expect("figures")).expect("JSON");
    let question = &figures["questions"][0];
    assert_eq!(question["name"], "persons");
    assert_eq!(question["warm"].as_array().map(Vec::len), Some(3));
    assert!(question["cold"].as_f64() > Some(0.0), "{question}");
    if cfg!(target_os = "linux") {
        assert!(question["peak"].as_u64() > Some(1_000_000), "{question}");
    }
}

/// A question that fails is said to have failed, and the others are asked.
#[test]
fn a_question_that_fails_does_not_end_the_run() {
    let folder = folder();
    let path = |name: &str| text(&folder.path().join(name));
    fs::write(path("1_wrong.sql"), "SELECT nothing FROM person").expect("written");
    fs::write(path("2_right.sql"), "SELECT count(*) FROM person").expect("written");
    let (pattern, json, page) = (path("*.sql"), path("run.json"), path("bench.html"));
    let run = ["bench", "run", "--no-cold", "--store", &store()];
    let rest = ["--queries", &pattern, "--json", &json];
    let failed = columna(&[&run[..], &rest].concat());
    failed.fails(1, "1 of 2 questions failed: 1_wrong");
    let figures: Value = serde_json::from_slice(&fs::read(&json).expect("figures")).expect("JSON");
    let questions = figures["questions"].as_array().expect("questions");
    let reason = questions[0]["failed"].as_str().expect("a reason");
    assert!(reason.contains("nothing"), "{reason}");
    assert_eq!(questions[1]["failed"], Value::Null);
    assert_eq!(questions[1]["rows"], 1);

    columna(&["bench", "report", &json, "--out", &page]).ok();
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("<td>1_wrong<td colspan=7>failed: "), "{page}");
    assert!(page.contains("<div>2_right</div>"), "{page}");
}

#[test]
fn what_is_no_question_is_named() {
    let folder = folder();
    let store = store();
    columna(&["bench", "run", "--store", &store, "--queries", "nothing"])
        .fails(1, "no question matches `nothing`");
    columna(&["bench", "run", "--store", &store, "--queries", "[a"]).fails(1, "is no pattern");
    let script = folder.path().join("wrong.sql");
    fs::write(&script, "SELECT nothing FROM person").expect("written");
    columna(&[
        "bench",
        "run",
        "--store",
        &store,
        "--queries",
        &text(&script),
    ])
    .fails(1, "wrong: ");
    let json = folder.path().join("no.json");
    fs::write(&json, "{").expect("written");
    columna(&["bench", "report", &text(&json)]).fails(1, "no.json");
}
