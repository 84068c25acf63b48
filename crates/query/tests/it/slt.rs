//! Runs the `.slt` files: SQL and what it answers, by topic.
//!
//! `COLUMNA_UPDATE=1 cargo test -p columna-query slt` writes the present answers into the files, to be read
//! before they are committed.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use columna_store::Store;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::fixture;

struct Clinic {
    ctx: SessionContext,
}

/// An engine's error with its cause, which is where the words for a person are.
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
impl AsyncDB for Clinic {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let frame = columna_query::script::sql(&self.ctx, sql).await?;
        let types = vec![DefaultColumnType::Any; frame.schema().fields().len()];
        let batches = frame.collect().await?;
        if types.is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        let explained = sql.trim_start().to_ascii_uppercase().starts_with("EXPLAIN");
        let rows = fixture::text(&batches);
        let rows = if explained {
            rows.iter().flat_map(|row| plan(row)).collect()
        } else {
            rows
        };
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}
}

/// A plan, line by line, with file names replaced by their number: they differ from run to run.
fn plan(row: &[String]) -> Vec<Vec<String>> {
    let [kind, plan] = row else {
        return vec![row.to_vec()];
    };
    if kind == "logical_plan" {
        return Vec::new();
    }
    plan.lines()
        .map(|line| vec![without_file_names(line)])
        .collect()
}

fn without_file_names(line: &str) -> String {
    let Some(at) = line.find("file_groups={") else {
        return line.trim_end().to_owned();
    };
    let end = line[at..].find('}').map_or(line.len(), |end| at + end + 1);
    let groups = &line[at..end];
    let counts = groups
        .split('[')
        .skip(2)
        .map(|group| group.matches(".parquet").count().to_string());
    let counts = counts.collect::<Vec<_>>().join(", ");
    format!("{}files=[{counts}]{}", &line[..at], &line[end..])
        .trim_end()
        .to_owned()
}

async fn run(file: &Path, store: &Store) {
    let mut runner = Runner::new(|| async {
        Ok::<_, Failure>(Clinic {
            ctx: fixture::session(store).await,
        })
    });
    if std::env::var_os("COLUMNA_UPDATE").is_some() {
        runner
            .update_test_file(
                file,
                "\t",
                sqllogictest::default_validator,
                sqllogictest::default_normalizer,
                sqllogictest::default_column_validator,
            )
            .await
            .unwrap();
    } else if let Err(failure) = runner.run_file_async(file).await {
        panic!("{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_slt_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(folder.path()).await;
    let suites = Path::new("tests/slt");
    let mut files: Vec<PathBuf> = std::fs::read_dir(suites)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    assert!(files.len() >= 8, "the suites are missing");
    for file in files {
        run(&file, &store).await;
    }
}
