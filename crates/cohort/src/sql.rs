//! `cohort('path-or-name')` in a FROM clause: the members of cohorts as rows.
//!
//! It reads the store's own tables, past every guard, and files of the machine: register it in sessions that may see
//! all of both, and in no other.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use columna_store::{Snapshot, Store};
use datafusion::catalog::{MemTable, Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use tokio::sync::OnceCell;

use crate::definition::Definition;
use crate::exec::run;
use crate::library;
use crate::plan::compile;
use crate::report::{batch, schema};

/// The variable that names the folder in which definitions are looked up by name.
pub const FOLDER: &str = "COLUMNA_COHORTS";

/// Lets a session that may see the whole store ask for cohorts.
pub fn register(ctx: &SessionContext, store: &Store, snapshot: &Snapshot) {
    let function = CohortFunction {
        store: store.clone(),
        snapshot: snapshot.clone(),
    };
    ctx.register_udtf("cohort", Arc::new(function));
}

#[derive(Debug)]
struct CohortFunction {
    store: Store,
    snapshot: Snapshot,
}

impl TableFunctionImpl for CohortFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let mut paths = Vec::new();
        for argument in args.exprs() {
            match argument {
                Expr::Literal(
                    ScalarValue::Utf8(Some(name))
                    | ScalarValue::Utf8View(Some(name))
                    | ScalarValue::LargeUtf8(Some(name)),
                    _,
                ) => paths.push(found(name)),
                _ => return plan_err!("`cohort` takes files or folders of definitions, as texts"),
            }
        }
        if paths.is_empty() {
            return plan_err!(
                "`cohort` takes a file or folder of definitions: cohort('diabetes.json')"
            );
        }
        let files = library::load(&paths).map_err(external)?;
        if let Some(refusal) = files.iter().find_map(library::DefinitionFile::refusal) {
            return Err(external(refusal));
        }
        Ok(Arc::new(Cohorts {
            store: self.store.clone(),
            snapshot: self.snapshot.clone(),
            definitions: Arc::new(library::runnable(&files)),
            rows: OnceCell::new(),
        }))
    }
}

/// The file that a path or name means: as it is, or with `.json`, here or in the folder of definitions.
fn found(name: &str) -> PathBuf {
    let as_given = PathBuf::from(name);
    if as_given.exists() {
        return as_given;
    }
    let file = format!("{name}.json");
    let folders = [
        Some(PathBuf::from(".")),
        env::var_os(FOLDER).map(PathBuf::from),
    ];
    let places = folders.into_iter().flatten();
    let mut candidates = places.flat_map(|folder| [folder.join(name), folder.join(&file)]);
    candidates
        .find(|path| Path::exists(path))
        .unwrap_or(as_given)
}

/// Cohorts whose members are worked out when they are first read.
#[derive(Debug)]
struct Cohorts {
    store: Store,
    snapshot: Snapshot,
    definitions: Arc<Vec<Definition>>,
    rows: OnceCell<MemTable>,
}

#[async_trait]
impl TableProvider for Cohorts {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.get_or_try_init(|| self.members()).await?;
        rows.scan(state, projection, filters, limit).await
    }
}

impl Cohorts {
    async fn members(&self) -> Result<MemTable> {
        let (store, snapshot) = (self.store.clone(), self.snapshot.clone());
        let definitions = Arc::clone(&self.definitions);
        let work = move || -> crate::Result<Vec<Vec<RecordBatch>>> {
            let plan = compile(&store, &snapshot, &definitions)?;
            let mut partitions = Vec::new();
            run(&store, &snapshot, &plan, None, &mut |_, members| {
                partitions.push(vec![batch(&members)?]);
                Ok(())
            })?;
            Ok(partitions)
        };
        let partitions = tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| DataFusionError::External(Box::new(e)))?
            .map_err(external)?;
        MemTable::try_new(schema(), partitions)
    }
}

fn external(error: crate::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
