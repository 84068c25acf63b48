//! The same store whatever the memory, the threads and the block size.

use std::collections::BTreeMap;

use columna_ingest::{IngestOptions, ingest};
use columna_store::Store;

use crate::fixture::{Fixture, small, text};

/// Rows in no order, with repeated keys, for some hundred persons.
fn fixture() -> Fixture {
    let mut measurements =
        "measurement_id,person_id,measurement_concept_id,measurement_date,value_as_number,note\n"
            .to_owned();
    let mut state = 7_u64;
    for id in 0..120_000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let person = (state >> 33) % 900 + 1;
        let day = (state >> 17) % 28 + 1;
        measurements.push_str(&format!(
            "{},{person},{},2020-01-{day:02},{}.5,\"text, {id}\"\n",
            id / 2,
            state >> 60,
            state >> 55
        ));
    }
    Fixture::new()
        .with_persons((1..=900).rev())
        .with("measurement.csv", measurements)
}

async fn stored(
    fixture: &Fixture,
    name: &str,
    options: &IngestOptions,
) -> (BTreeMap<String, String>, u64) {
    let store = Store::create(fixture.path().join(name).to_str().unwrap(), small())
        .await
        .unwrap();
    let report = ingest(&fixture.source(), &store, options).await.unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    assert!(store.verify().await.unwrap().problems.is_empty(), "{name}");
    let tables =
        ["person", "measurement"].map(|table| (table.to_owned(), text(&store, &snapshot, table)));
    (tables.into_iter().collect(), report.spilled_bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_threads_change_nothing() {
    let fixture = fixture();
    let with = |threads, memory_limit| IngestOptions {
        threads,
        memory_limit,
        ..IngestOptions::default()
    };
    let (ample, spilled) = stored(&fixture, "ample", &with(2, 1 << 30)).await;
    assert_eq!(spilled, 0);
    let (single, _) = stored(&fixture, "single", &with(1, 1 << 30)).await;
    let (tight, spilled) = stored(&fixture, "tight", &with(2, 8 << 20)).await;
    assert!(spilled > 0);
    assert!(ample == single, "one thread and two differ");
    assert!(ample == tight, "memory changes the result");
    let left: Vec<_> = std::fs::read_dir(fixture.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 4, "{left:?}");
}
