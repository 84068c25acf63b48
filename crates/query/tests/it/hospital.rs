//! Two hospitals' records in one store, and a principal who may see those of hospital A only.
//!
//! The neighbour test: whatever such a principal asks must be answered alike, to the letter of an error, when the
//! rows it may not see are removed, changed or more.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use columna_privacy::pseudonym::ProjectKeys;
use columna_privacy::{Access, Policy, Principal, State};
use columna_query::SessionOptions;
use columna_store::{Layout, Operation, Store, TableSpec};
use datafusion::prelude::SessionContext;
use tempfile::TempDir;

use crate::fixture;

/// What the hidden rows of hospital B are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    AsTheyAre,
    Removed,
    Changed,
    More,
}

pub(crate) const NEIGHBOURS: [Hidden; 4] = [
    Hidden::AsTheyAre,
    Hidden::Removed,
    Hidden::Changed,
    Hidden::More,
];

/// Patients 1 to 60; odd ones are of hospital A.
fn people(hidden: Hidden) -> Vec<i64> {
    let most = if hidden == Hidden::More { 200 } else { 60 };
    (1..=most)
        .filter(|pid| pid % 2 == 1 && *pid <= 60 || pid % 2 == 0 && hidden != Hidden::Removed)
        .collect()
}

fn spec() -> TableSpec {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    TableSpec {
        name: "emr".to_owned(),
        schema: Arc::new(Schema::new(vec![
            Field::new("pid", DataType::Int64, false),
            text("name"),
            number("age"),
            text("sex"),
            text("zip"),
            text("dx"),
            text("hosp"),
            number("los"),
            Field::new("cost", DataType::Float64, true),
            Field::new("seen", DataType::Date32, true),
        ])),
        person_key: Some("pid".to_owned()),
        sort: vec!["pid".to_owned(), "seen".to_owned()],
        bloom: vec![],
    }
}

fn rows(people: &[i64], hidden: Hidden) -> RecordBatch {
    let of_a = |pid: i64| pid % 2 == 1;
    // Hidden rows are where the traps lie: an age of 22, a diagnosis that is no number, costs beyond all others.
    let twist = |pid: i64| {
        if hidden == Hidden::Changed && !of_a(pid) {
            7
        } else {
            0
        }
    };
    let text = |value: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(
            people
                .iter()
                .map(|p| Some(value(*p)))
                .collect::<StringArray>(),
        )
    };
    let number = |value: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new(
            people
                .iter()
                .map(|p| Some(value(*p)))
                .collect::<Int64Array>(),
        )
    };
    let age = |pid: i64| {
        if of_a(pid) {
            30 + pid % 40
        } else {
            22 + pid % 3 + twist(pid)
        }
    };
    let dx = |pid: i64| match (of_a(pid), pid % 3) {
        (true, 0) => "11".to_owned(),
        (true, _) => "12".to_owned(),
        (false, 0) => format!("rare {}", twist(pid)),
        (false, _) => "99".to_owned(),
    };
    let columns: Vec<ArrayRef> = vec![
        number(&|pid| pid),
        text(&|pid| format!("name {}", pid + twist(pid))),
        number(&age),
        text(&|pid| if pid % 4 < 2 { "F" } else { "M" }.to_owned()),
        text(&|pid| format!("{:05}", 1000 * (pid % 5) + twist(pid))),
        text(&dx),
        text(&|pid| if of_a(pid) { "A" } else { "B" }.to_owned()),
        number(&|pid| 1 + pid % 9 + 100 * twist(pid)),
        Arc::new(
            people
                .iter()
                .map(|p| Some((p % 17) as f64 * 10.0 + if of_a(*p) { 0.0 } else { 1e9 }))
                .collect::<Float64Array>(),
        ),
        Arc::new(
            people
                .iter()
                .map(|p| Some(18_000 + i32::try_from(*p + twist(*p)).unwrap()))
                .collect::<Date32Array>(),
        ),
    ];
    RecordBatch::try_new(spec().schema, columns).unwrap()
}

/// A store, and what a principal needs to enter it.
pub(crate) struct Hospital {
    folder: TempDir,
    store: Store,
}

impl Hospital {
    pub(crate) async fn new(hidden: Hidden) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout {
            persons_per_bucket: 16,
            ..Layout::default()
        };
        let path = folder.path().join("store");
        let store = Store::create(path.to_str().unwrap(), layout).await.unwrap();
        let people = people(hidden);
        let mut tx = store.begin().await.unwrap();
        tx.open_buckets(&mut people.iter().copied()).unwrap();
        tx.declare_table(spec()).unwrap();
        let mut buckets: BTreeMap<_, Vec<i64>> = BTreeMap::new();
        for person in people {
            let bucket = tx.buckets().bucket_of(person);
            buckets.entry(bucket).or_default().push(person);
        }
        tokio::task::block_in_place(|| {
            for (bucket, people) in &buckets {
                let batch = rows(people, hidden);
                tx.append_run("emr", Some(*bucket), &mut std::iter::once(Ok(batch)))
                    .unwrap();
            }
        });
        let operation = Operation::Ingest {
            read: 0,
            stored: 0,
            rejected: 0,
        };
        tx.commit(operation).await.unwrap();
        Self { folder, store }
    }

    pub(crate) fn access(&self, policy: &str, role: &str, purpose: &str) -> Access {
        let policy = Policy::parse("policy.toml", policy).unwrap();
        let principal = Principal::new("kim", role, purpose);
        let keys = policy
            .project(&principal)
            .map(|_| Arc::new(ProjectKeys::from_key(&[7; 32], 365, false).unwrap()));
        Access {
            policy: Arc::new(policy),
            principal,
            keys,
            epsilon: None,
            state: State::of("", Some(&self.folder.path().join("store.privacy"))).unwrap(),
        }
    }

    pub(crate) async fn session(
        &self,
        access: Option<Access>,
    ) -> columna_query::Result<SessionContext> {
        self.session_within(access, None).await
    }

    /// A session that has so many bytes.
    pub(crate) async fn session_within(
        &self,
        access: Option<Access>,
        memory_limit: Option<usize>,
    ) -> columna_query::Result<SessionContext> {
        columna_query::session(SessionOptions {
            store: Some(self.store.clone()),
            threads: Some(if memory_limit.is_some() { 1 } else { 2 }),
            memory_limit,
            access,
            ..SessionOptions::default()
        })
        .await
    }

    pub(crate) fn audit(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("store.privacy/audit.jsonl")).unwrap()
    }
}

/// The answer as text: rows in order of their text, or the error.
pub(crate) async fn answer(session: &SessionContext, sql: &str) -> Result<Vec<String>, String> {
    let rows = async {
        let frame = columna_query::script::sql(session, sql).await?;
        frame.collect().await
    };
    match rows.await {
        Ok(batches) => {
            let mut rows: Vec<String> = fixture::text(&batches)
                .into_iter()
                .map(|row| row.join(" | "))
                .collect();
            rows.sort();
            Ok(rows)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The same principal before the data and all their neighbours.
pub(crate) struct Neighbours {
    pub(crate) sessions: Vec<(Hidden, SessionContext)>,
    hospitals: Vec<Hospital>,
}

impl Neighbours {
    pub(crate) async fn of(policy: &str) -> Self {
        let mut sessions = Vec::new();
        let mut hospitals = Vec::new();
        for hidden in NEIGHBOURS {
            let hospital = Hospital::new(hidden).await;
            let access = hospital.access(policy, "analyst", "research");
            sessions.push((hidden, hospital.session(Some(access)).await.unwrap()));
            hospitals.push(hospital);
        }
        Self {
            sessions,
            hospitals,
        }
    }

    /// The same, each in a new session that has so many bytes.
    pub(crate) async fn within(self, policy: &str, memory_limit: usize) -> Self {
        let mut sessions = Vec::new();
        for (hidden, hospital) in NEIGHBOURS.into_iter().zip(&self.hospitals) {
            let access = hospital.access(policy, "analyst", "research");
            let session = hospital.session_within(Some(access), Some(memory_limit));
            sessions.push((hidden, session.await.unwrap()));
        }
        Self {
            sessions,
            hospitals: self.hospitals,
        }
    }

    /// Asks all of them, and fails where one answers differently.
    pub(crate) async fn ask(&self, sql: &str) -> Result<Vec<String>, String> {
        let first = answer(&self.sessions[0].1, sql).await;
        for (hidden, session) in &self.sessions[1..] {
            assert_eq!(
                answer(session, sql).await,
                first,
                "hidden rows {hidden:?} change the answer to {sql}"
            );
        }
        first
    }
}
