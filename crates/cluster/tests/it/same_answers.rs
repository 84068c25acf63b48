//! The `.slt` files of `columna-query`, answered by the cluster.

use std::path::Path;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner, parse_file};

use crate::cluster::Cluster;
use crate::fixture;

struct Remote(SessionContext);

#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        Self(error.strip_backtrace())
    }
}

#[async_trait]
impl AsyncDB for Remote {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let frame = columna_query::script::sql(&self.0, sql).await?;
        let types = vec![DefaultColumnType::Any; frame.schema().fields().len()];
        let rows = fixture::text(&frame.collect().await?);
        Ok(if types.is_empty() {
            DBOutput::StatementComplete(0)
        } else {
            DBOutput::Rows { types, rows }
        })
    }

    async fn shutdown(&mut self) {}
}

/// Where the hierarchy or a set is looked up row by row, on the executors, which have no tables. With constants, as
/// in all other queries, the client looks them up while planning.
///
/// And an anti join by sorted rows, which a cluster prefers: the engine (DataFusion 55) computes its further condition of
/// columns that it has left out.
const NOT_ON_A_CLUSTER: [&str; 3] = [
    "SELECT p, day FROM c WHERE NOT EXISTS (SELECT 1 FROM v WHERE v.p = c.p AND v.day <= c.day GROUP BY v.p HAVING count(*) >= 3)",
    "SELECT a.concept_id, count(*) FROM concept a JOIN condition_occurrence c ON is_descendant(c.condition_concept_id, a.concept_id) GROUP BY a.concept_id",
    "SELECT concept_set('gout')",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_slt_files_hold_on_three_executors() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let cluster = Cluster::start(&store, &folder.path().join("work"), 3).await;
    let suites = Path::new("../query/tests/slt");
    let mut files: Vec<_> = std::fs::read_dir(suites)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut failed = Vec::new();
    let mut ran = 0;
    for file in files {
        let session = cluster.session().await;
        let mut runner = Runner::new(|| async { Ok::<_, Failure>(Remote(session.clone())) });
        for record in parse_file::<DefaultColumnType>(&file).unwrap() {
            let sql = match &record {
                Record::Query { sql, .. } | Record::Statement { sql, .. } => sql.clone(),
                _ => String::new(),
            };
            // Nor a recursion over a table, whose levels would be stages of their own.
            let recurs = sql.starts_with("WITH RECURSIVE f AS");
            if sql.starts_with("EXPLAIN") || recurs || NOT_ON_A_CLUSTER.contains(&sql.as_str()) {
                continue;
            }
            ran += usize::from(!sql.is_empty());
            if let Err(failure) = runner.run_async(record).await {
                failed.push(format!("{failure}"));
            }
        }
    }
    assert!(ran > 80, "only {ran} queries were found");
    assert!(failed.is_empty(), "of {ran}:\n{}", failed.join("\n\n"));
}
