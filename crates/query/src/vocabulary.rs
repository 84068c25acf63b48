//! The concept hierarchy and the named concept sets of a session, read when a query first asks for them.

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::{CatalogProviderList, TableProvider};
use datafusion::common::{Result, exec_datafusion_err, plan_datafusion_err, plan_err};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::FutureExt;

/// The table of the hierarchy, as OMOP names it.
const HIERARCHY: &str = "concept_ancestor";
/// The table of named concept sets.
const SETS: &str = "concept_sets";
/// Up to this many concepts stand in the plan as an IN list, which Parquet's statistics and bloom filters
/// prune by. Longer lists would make plans slow to handle, and prune little.
pub(crate) const MAX_IN_LIST: usize = 1000;
/// Answers that are kept; a session rarely asks about more.
const MAX_KEPT: usize = 256;

/// Concepts, ascending, each once.
pub(crate) type Concepts = Arc<[i64]>;

/// A session's view of the vocabulary tables. Cheap to clone; all clones are the same view.
///
/// Planning is synchronous where functions simplify themselves, and tables are read asynchronously, so a
/// read happens on a thread of its own. It goes through the session's own catalogue: whatever a user may
/// not see there, no function shows.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    session: OnceLock<Attached>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Attached {
    /// Weak: views in the catalogue may hold functions that hold this vocabulary.
    catalogs: Weak<dyn CatalogProviderList>,
    runtime: Arc<RuntimeEnv>,
    catalog: String,
    schema: String,
}

/// What was read from one version of the hierarchy.
#[derive(Debug, Default)]
struct Kept {
    table: Option<Weak<dyn TableProvider>>,
    descendants: HashMap<Vec<i64>, Concepts>,
    hierarchy: Option<Arc<Hierarchy>>,
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Vocabulary {}

impl Hash for Vocabulary {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.inner).hash(state);
    }
}

impl Vocabulary {
    /// Reads from the tables of this session from now on.
    pub(crate) fn attach(&self, ctx: &SessionContext) {
        let state = ctx.state();
        let defaults = &state.config_options().catalog;
        let attached = Attached {
            catalogs: Arc::downgrade(state.catalog_list()),
            runtime: Arc::clone(state.runtime_env()),
            catalog: defaults.default_catalog.clone(),
            schema: defaults.default_schema.clone(),
        };
        // A vocabulary belongs to one session; attaching it again would be the same session.
        let _ = self.inner.session.set(attached);
    }

    /// The concepts of a hierarchy: the ancestors themselves and all below them.
    ///
    /// A concept is its own descendant, whether the hierarchy knows it or not.
    pub(crate) fn descendants(&self, ancestors: &[i64]) -> Result<Concepts> {
        let key: Vec<i64> = ancestors
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let table = self.session()?.table_now(HIERARCHY);
        if let Some(known) = self.kept(table.as_ref(), |kept| kept.descendants.get(&key).cloned()) {
            return Ok(known);
        }
        let pairs = self.pairs(&key)?;
        let concepts: BTreeSet<i64> = pairs.into_iter().map(|(_, below)| below).collect();
        let concepts: Concepts = concepts.into_iter().collect();
        self.kept(table.as_ref(), |kept| {
            if kept.descendants.len() >= MAX_KEPT {
                kept.descendants.clear();
            }
            kept.descendants.insert(key, Arc::clone(&concepts));
            Some(())
        });
        Ok(concepts)
    }

    /// Ancestors, each with itself and every concept below it, sorted.
    pub(crate) fn pairs(&self, ancestors: &[i64]) -> Result<BTreeSet<(i64, i64)>> {
        let list: Vec<String> = ancestors.iter().map(i64::to_string).collect();
        let rows = self.read(
            HIERARCHY,
            format!(
                "SELECT ancestor_concept_id, descendant_concept_id FROM {HIERARCHY} \
                 WHERE ancestor_concept_id IN ({})",
                list.join(", ")
            ),
        )?;
        let mut pairs: BTreeSet<(i64, i64)> = ancestors.iter().map(|one| (*one, *one)).collect();
        for batch in &rows {
            let above = column(batch, "ancestor_concept_id")?.into_iter();
            let below = column(batch, "descendant_concept_id")?;
            pairs.extend(above.zip(below).filter_map(|(a, b)| a.zip(b)));
        }
        Ok(pairs)
    }

    /// The whole hierarchy, for ancestors that differ from row to row.
    pub(crate) fn hierarchy(&self) -> Result<Arc<Hierarchy>> {
        let table = self.session()?.table_now(HIERARCHY);
        if let Some(known) = self.kept(table.as_ref(), |kept| kept.hierarchy.clone()) {
            return Ok(known);
        }
        let rows = self.read(
            HIERARCHY,
            format!(
                "SELECT ancestor_concept_id, descendant_concept_id FROM {HIERARCHY} \
                 WHERE ancestor_concept_id IS NOT NULL AND descendant_concept_id IS NOT NULL \
                 ORDER BY 1, 2"
            ),
        )?;
        let hierarchy = Arc::new(Hierarchy::from_sorted(&rows)?);
        self.kept(table.as_ref(), |kept| {
            kept.hierarchy = Some(Arc::clone(&hierarchy));
            Some(())
        });
        Ok(hierarchy)
    }

    /// The concepts of a named set.
    ///
    /// `concept_sets` has the columns `name` and `concept_id`, and may have `include_descendants` and
    /// `is_excluded`, with the meaning that they have in OHDSI's concept set expressions.
    pub(crate) fn concept_set(&self, name: &str) -> Result<Concepts> {
        let quoted = name.replace('\'', "''");
        let rows = self.read(
            SETS,
            format!("SELECT * FROM {SETS} WHERE name = '{quoted}'"),
        )?;
        let (mut included, mut excluded) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for batch in &rows {
            let descendants = flags(batch, "include_descendants")?;
            let exclusions = flags(batch, "is_excluded")?;
            for (row, concept) in column(batch, "concept_id")?.into_iter().enumerate() {
                let Some(concept) = concept else { continue };
                let list = if exclusions[row] {
                    &mut excluded
                } else {
                    &mut included
                };
                list[usize::from(descendants[row])].push(concept);
            }
        }
        if rows.iter().all(|batch| batch.num_rows() == 0) {
            return plan_err!("there is no concept set '{name}' in the table `{SETS}`");
        }
        let all = |[alone, with_descendants]: &[Vec<i64>; 2]| -> Result<BTreeSet<i64>> {
            let mut concepts: BTreeSet<i64> = alone.iter().copied().collect();
            if !with_descendants.is_empty() {
                concepts.extend(self.descendants(with_descendants)?.iter());
            }
            Ok(concepts)
        };
        let excluded = all(&excluded)?;
        Ok(all(&included)?
            .into_iter()
            .filter(|concept| !excluded.contains(concept))
            .collect())
    }

    fn session(&self) -> Result<&Attached> {
        self.inner.session.get().ok_or_else(|| {
            plan_datafusion_err!("the vocabulary functions need a session with tables")
        })
    }

    /// What is kept of this version of the table; nothing is, where its version can't be told.
    fn kept<T>(
        &self,
        table: Option<&Weak<dyn TableProvider>>,
        f: impl FnOnce(&mut Kept) -> Option<T>,
    ) -> Option<T> {
        let table = table?;
        let mut kept = self
            .inner
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !kept
            .table
            .as_ref()
            .is_some_and(|known| Weak::ptr_eq(known, table))
        {
            *kept = Kept {
                table: Some(Weak::clone(table)),
                ..Kept::default()
            };
        }
        f(&mut kept)
    }

    fn read(&self, table: &'static str, query: String) -> Result<Vec<RecordBatch>> {
        let ctx = self.session()?.context()?;
        self.apart(async move {
            if ctx.table_provider(table).await.is_err() {
                return plan_err!(
                    "there is no table `{table}`, which the vocabulary functions read; ingest a \
                     vocabulary, or create the table in this session"
                );
            }
            ctx.sql(&query).await?.collect().await
        })
    }

    /// A session of one thread for plans that are made already.
    pub(crate) fn reader(&self) -> Result<SessionContext> {
        let runtime = Arc::clone(&self.session()?.runtime);
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(1))
            .with_runtime_env(runtime)
            .build();
        Ok(SessionContext::new_with_state(state))
    }

    /// Does on a thread of its own what cannot be waited for on this one.
    pub(crate) fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let run = move || -> Result<T> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(work)
        };
        let done = std::thread::Builder::new()
            .name("vocabulary".to_owned())
            .spawn(run)?
            .join();
        done.map_err(|_| exec_datafusion_err!("reading the vocabulary ended unexpectedly"))?
    }
}

impl Attached {
    fn catalogs(&self) -> Result<Arc<dyn CatalogProviderList>> {
        self.catalogs
            .upgrade()
            .ok_or_else(|| plan_datafusion_err!("the session of this query has ended"))
    }

    /// The table, if that can be told at once.
    fn table_now(&self, name: &str) -> Option<Weak<dyn TableProvider>> {
        let schema = self
            .catalogs()
            .ok()?
            .catalog(&self.catalog)?
            .schema(&self.schema)?;
        let table = schema.table(name).now_or_never()?.ok()??;
        Some(Arc::downgrade(&table))
    }

    fn context(&self) -> Result<SessionContext> {
        let config = SessionConfig::new()
            .with_default_catalog_and_schema(&self.catalog, &self.schema)
            .with_create_default_catalog_and_schema(false);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_catalog_list(self.catalogs()?)
            .with_default_features()
            .build();
        Ok(SessionContext::new_with_state(state))
    }
}

/// A column of whole numbers.
fn column(batch: &RecordBatch, name: &str) -> Result<Vec<Option<i64>>> {
    let Some(array) = batch.column_by_name(name) else {
        return plan_err!("a vocabulary table lacks the column `{name}`");
    };
    let numbers = cast(array, &DataType::Int64)?;
    Ok(numbers.as_primitive::<Int64Type>().iter().collect())
}

/// A column of flags, all false where there is no such column.
fn flags(batch: &RecordBatch, name: &str) -> Result<Vec<bool>> {
    let Some(array) = batch.column_by_name(name) else {
        return Ok(vec![false; batch.num_rows()]);
    };
    let flags = cast(array, &DataType::Boolean)?;
    Ok(flags
        .as_boolean()
        .iter()
        .map(|flag| flag == Some(true))
        .collect())
}

/// Ancestors and, for each, its descendants: sorted, in three flat arrays.
#[derive(Debug, Default)]
pub(crate) struct Hierarchy {
    ancestors: Vec<i64>,
    /// Where the descendants of each ancestor begin, and one more for the end.
    offsets: Vec<usize>,
    descendants: Vec<i64>,
}

impl Hierarchy {
    fn from_sorted(rows: &[RecordBatch]) -> Result<Self> {
        let mut hierarchy = Self::default();
        for batch in rows {
            let pairs = column(batch, "ancestor_concept_id")?
                .into_iter()
                .zip(column(batch, "descendant_concept_id")?);
            for (ancestor, descendant) in pairs {
                let (Some(ancestor), Some(descendant)) = (ancestor, descendant) else {
                    continue;
                };
                if hierarchy.ancestors.last() != Some(&ancestor) {
                    hierarchy.ancestors.push(ancestor);
                    hierarchy.offsets.push(hierarchy.descendants.len());
                }
                hierarchy.descendants.push(descendant);
            }
        }
        hierarchy.offsets.push(hierarchy.descendants.len());
        Ok(hierarchy)
    }

    /// Whether a concept is the ancestor itself or below it.
    pub(crate) fn is_descendant(&self, concept: i64, ancestor: i64) -> bool {
        if concept == ancestor {
            return true;
        }
        let Ok(index) = self.ancestors.binary_search(&ancestor) else {
            return false;
        };
        self.descendants[self.offsets[index]..self.offsets[index + 1]]
            .binary_search(&concept)
            .is_ok()
    }
}
