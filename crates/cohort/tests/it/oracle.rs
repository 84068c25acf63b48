//! The cohorts that OHDSI's own engine builds (Circe 1.11.3 and SqlRender on DuckDB): all rows equal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use columna_cohort::library;
use columna_model::Day;

use crate::fixture::{ingested, rows, shared};

type Rows = BTreeMap<i64, Vec<(i64, String, String)>>;

fn expected(path: &Path) -> Rows {
    let mut rows = Rows::new();
    for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        let mut parts = line.split(',');
        let mut next = || parts.next().unwrap().to_owned();
        let (id, subject) = (next().parse().unwrap(), next().parse().unwrap());
        rows.entry(id).or_default().push((subject, next(), next()));
    }
    rows
}

fn iso(day: i32) -> String {
    let civil = Day(day).civil();
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

async fn compare(data: &str, oracle: &str, persons_per_bucket: u64) {
    let (Some(source), Some(cohorts)) = (shared(&format!("data/{data}")), shared("oracle/cohorts"))
    else {
        return;
    };
    let files = library::load(&[cohorts.join("definitions")]).unwrap();
    let refused: Vec<String> = files
        .iter()
        .filter_map(|f| f.refusal())
        .map(|e| e.to_string())
        .collect();
    assert!(
        refused.is_empty(),
        "{} refused: {}",
        refused.len(),
        refused.join("\n")
    );
    let definitions = library::runnable(&files);
    let (_folder, store) = ingested(&source, persons_per_bucket).await;
    let (members, outcome) = rows(&store, &definitions, 2).await;
    let mut found = Rows::new();
    for member in members {
        let row = (member.subject_id, iso(member.start), iso(member.end));
        found
            .entry(member.cohort_definition_id)
            .or_default()
            .push(row);
    }
    let mut expected = expected(&cohorts.join(oracle));
    let unstable = std::fs::read_to_string(cohorts.join("unstable_ids.json")).unwrap();
    let unstable: BTreeSet<i64> = serde_json::from_str(&unstable).unwrap();
    for rows in [&mut found, &mut expected] {
        for (id, rows) in rows.iter_mut() {
            if data == "cohort_fuzz" && unstable.contains(id) {
                rows.iter_mut().for_each(|row| row.2.clear());
            }
            rows.sort();
        }
    }
    let mut wrong = Vec::new();
    for definition in &definitions {
        let (found, expected) = (found.get(&definition.id), expected.get(&definition.id));
        if found != expected {
            let count = |rows: Option<&Vec<_>>| rows.map_or(0, Vec::len);
            let first = found
                .into_iter()
                .flatten()
                .find(|r| !expected.is_some_and(|e| e.contains(r)));
            let missing = expected
                .into_iter()
                .flatten()
                .find(|r| !found.is_some_and(|e| e.contains(r)));
            wrong.push(format!(
                "{}: {} rows instead of {}; too much {first:?}; missing {missing:?}",
                definition.id,
                count(found),
                count(expected)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} definitions differ on {data}:\n{}",
        wrong.len(),
        definitions.len(),
        wrong.join("\n")
    );
    assert_eq!(outcome.attrition.len(), definitions.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn gibleed_cohorts_are_those_of_circe() {
    compare("gibleed", "gibleed_expected_rows.csv", 32_768).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gibleed_cohorts_are_the_same_from_many_buckets() {
    compare("gibleed", "gibleed_expected_rows.csv", 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fuzz_cohorts_are_those_of_circe() {
    compare("cohort_fuzz", "fuzz_expected_rows.csv", 1_000).await;
}
