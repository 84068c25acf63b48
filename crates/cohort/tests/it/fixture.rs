//! Stores to run definitions on, and the runs.

use std::path::{Path, PathBuf};

use columna_cohort::definition::Definition;
use columna_cohort::exec::{Member, Outcome, run};
use columna_cohort::plan::compile;
use columna_ingest::{IngestOptions, ingest};
use columna_store::{Layout, Snapshot, Store};

/// The folder of shared data, or `None` where a machine does not have it.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COLUMNA_SHARED")
        .map_or_else(|| Path::new("../../../shared").to_path_buf(), PathBuf::from);
    let path = root.join(part);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "../shared not found, and CI=true needs it"
    );
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
    {
        eprintln!("skipped: ../shared not found");
    }
    None
}

/// A store with the tables of a folder.
pub(crate) async fn ingested(source: &Path, persons_per_bucket: u64) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout {
        persons_per_bucket,
        ..Layout::default()
    };
    let url = folder.path().join("store");
    let store = Store::create(url.to_str().unwrap(), layout).await.unwrap();
    ingest(source, &store, &IngestOptions::default())
        .await
        .unwrap();
    (folder, store)
}

/// Runs definitions over a snapshot.
pub(crate) async fn rows(
    store: &Store,
    definitions: &[Definition],
    threads: usize,
) -> (Vec<Member>, Outcome) {
    let snapshot = store.snapshot(None).await.unwrap();
    let (store, definitions) = (store.clone(), definitions.to_vec());
    tokio::task::spawn_blocking(move || rows_of(&store, &snapshot, &definitions, threads))
        .await
        .unwrap()
}

fn rows_of(
    store: &Store,
    snapshot: &Snapshot,
    definitions: &[Definition],
    threads: usize,
) -> (Vec<Member>, Outcome) {
    let plan = compile(store, snapshot, definitions).unwrap();
    let mut members = Vec::new();
    let outcome = run(store, snapshot, &plan, Some(threads), &mut |_, found| {
        members.extend(found);
        Ok(())
    })
    .unwrap();
    (members, outcome)
}

/// A folder of CSV files, a table each.
pub(crate) fn source(tables: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (table, text) in tables {
        std::fs::write(folder.path().join(format!("{table}.csv")), text).unwrap();
    }
    folder
}

/// A definition that can run.
pub(crate) fn definition(json: &serde_json::Value, id: i64) -> Definition {
    let parsed = columna_cohort::definition::parse(&json.to_string(), id, "test");
    let problems: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
    parsed
        .definition
        .unwrap_or_else(|| unreachable!("{}", problems.join("\n")))
}
