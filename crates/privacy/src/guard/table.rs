//! A table as a principal sees it.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use columna_store::scan::SnapshotTable;
use columna_store::{Snapshot, Store};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::TableType;
use datafusion::logical_expr::utils::{conjunction, expr_to_columns};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::codec::GuardSpec;
use super::exec::GuardExec;
use super::filter;
use super::pushdown::{is_leak_proof, unqualified};
use super::stored_order;
use crate::policy::{Ages, ColumnRule, Policy, RoleKind, Table, TableView};
use crate::pseudonym::{Mask, ProjectKeys};
use crate::{Error, Principal, Refusal};

/// What is guarded about a table.
#[derive(Debug)]
pub(crate) struct Guard {
    /// What names it: table, snapshot, policy and principal.
    pub(super) spec: GuardSpec,
    /// The table's stored columns.
    pub(super) stored: SchemaRef,
    /// What is shown.
    pub(super) schema: SchemaRef,
    columns: Vec<GuardColumn>,
    /// Which rows are shown, over the stored columns.
    pub(super) filter: Option<Expr>,
    /// The person's place in the stored columns.
    pub(super) person: Option<usize>,
    /// How many rows there are, where none is hidden: whoever sees them can count them. Joins are planned by it.
    pub(super) rows: Option<usize>,
}

/// A column that is shown.
#[derive(Debug)]
pub(super) struct GuardColumn {
    pub(super) stored: usize,
    rule: ColumnRule,
    pub(super) mask: Option<Mask>,
}

impl Guard {
    fn new(
        mut spec: GuardSpec,
        stored: SchemaRef,
        person_key: Option<&str>,
        view: &TableView,
        ages: Option<Ages>,
        keys: Option<&Arc<ProjectKeys>>,
    ) -> crate::Result<Self> {
        let wrong = |column: &str, reason: &str| {
            Error::Refused(Refusal::new(
                "policy",
                format!(
                    "the policy does not fit the store: `{}.{column}`: {reason}",
                    spec.table
                ),
                "ask the policy's author; `columna privacy policy check` shows it",
            ))
        };
        let person = person_key.and_then(|key| stored.index_of(key).ok());
        let mut columns = Vec::with_capacity(view.columns.len());
        for column in &view.columns {
            let at = stored
                .index_of(&column.name)
                .map_err(|_| wrong(&column.name, "there is no such column"))?;
            if let Some(reason) = Mask::mismatch(&column.rule, stored.field(at).data_type()) {
                return Err(wrong(&column.name, reason));
            }
            let mask = Mask::of(&column.rule, &column.domain, ages, keys)?;
            if person.is_none() && mask.as_ref().is_some_and(Mask::needs_person) {
                return Err(wrong(
                    &column.name,
                    "dates are shifted by person, and this table has none",
                ));
            }
            columns.push(GuardColumn {
                stored: at,
                rule: column.rule.clone(),
                mask,
            });
        }
        let mut filters = Vec::with_capacity(view.filters.len());
        for text in &view.filters {
            let filter = filter::compile(text, &stored)
                .map_err(|reason| wrong("*", &format!("its filter: {reason}")))?;
            filters.push(filter);
        }
        let masks = || columns.iter().filter_map(|column| column.mask.as_ref());
        spec.keys = masks()
            .find_map(Mask::keys)
            .map(|keys| keys.mark().to_owned());
        let shown = columns.iter().map(|column| stored.field(column.stored));
        let schema = Arc::new(Schema::new(shown.cloned().collect::<Vec<_>>()));
        Ok(Self {
            spec,
            stored,
            schema,
            columns,
            filter: conjunction(filters),
            person,
            rows: None,
        })
    }

    pub(super) fn column(&self, at: usize) -> Result<&GuardColumn> {
        self.columns
            .get(at)
            .ok_or_else(|| DataFusionError::Internal("a guard has no such column".to_owned()))
    }

    /// The stored columns that must be read, ascending: those shown, those that decide about rows, the person where
    /// dates are shifted by it.
    pub(super) fn reads(&self, projection: &[usize], filters: &[Expr]) -> Result<Vec<usize>> {
        let mut reads = Vec::new();
        for &at in projection {
            let column = self.column(at)?;
            reads.push(column.stored);
            if column.mask.as_ref().is_some_and(Mask::needs_person) {
                reads.extend(self.person);
            }
        }
        let mut names = std::collections::HashSet::new();
        for filter in self.filter.iter().chain(filters) {
            expr_to_columns(filter, &mut names)?;
        }
        for name in names {
            reads.push(self.stored.index_of(&name.name)?);
        }
        reads.sort_unstable();
        reads.dedup();
        Ok(reads)
    }

    fn is_unmasked(&self, name: &str) -> bool {
        self.schema
            .index_of(name)
            .ok()
            .and_then(|at| self.columns.get(at))
            .is_some_and(|column| column.mask.is_none())
    }
}

/// A table as a principal sees it. The table itself cannot be reached through it.
#[derive(Debug, Clone)]
pub struct GuardedTable {
    inner: Arc<dyn TableProvider>,
    guard: Arc<Guard>,
}

impl GuardedTable {
    /// Guards a table.
    ///
    /// # Errors
    /// When the view does not fit the table, or a key is missing.
    pub fn try_new(
        inner: Arc<dyn TableProvider>,
        spec: GuardSpec,
        person_key: Option<&str>,
        view: &TableView,
        ages: Option<Ages>,
        keys: Option<&Arc<ProjectKeys>>,
    ) -> crate::Result<Self> {
        let stored = inner.schema();
        let guard = Guard::new(spec, stored, person_key, view, ages, keys)?;
        Ok(Self {
            inner,
            guard: Arc::new(guard),
        })
    }

    /// Lets plans know how many rows the table has, unless it hides some of them.
    #[must_use]
    pub fn with_rows(mut self, rows: u64) -> Self {
        if let Some(guard) = Arc::get_mut(&mut self.guard)
            && guard.filter.is_none()
        {
            guard.rows = usize::try_from(rows).ok();
        }
        self
    }

    /// What names this guard: enough for a server to attach its own.
    #[must_use]
    pub fn spec(&self) -> &GuardSpec {
        &self.guard.spec
    }

    /// The column that holds the person, as it is shown, and how.
    #[must_use]
    pub fn person_column(&self) -> Option<(&str, &ColumnRule)> {
        let person = self.guard.person?;
        let at = self
            .guard
            .columns
            .iter()
            .position(|column| column.stored == person)?;
        Some((
            self.guard.schema.field(at).name().as_str(),
            &self.guard.columns.get(at)?.rule,
        ))
    }

    /// Puts this guard over a scan of its table: what a server does with a plan that it was sent.
    ///
    /// # Errors
    /// When the scan does not read what the guard needs.
    pub fn attach(
        &self,
        child: Arc<dyn ExecutionPlan>,
        projection: Vec<usize>,
        filters: Vec<Expr>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.put(child, projection, filters, false)
    }

    fn put(
        &self,
        child: Arc<dyn ExecutionPlan>,
        projection: Vec<usize>,
        filters: Vec<Expr>,
        together: bool,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // What comes over the wire is checked like what comes from a query.
        let checked = filters
            .iter()
            .all(|f| is_leak_proof(f, &self.guard.schema, &|name| self.guard.is_unmasked(name)));
        if !checked {
            return Err(Refusal::new(
                "guard",
                "a predicate was sent below a guard that must stay above it",
                "this plan was not made by this engine",
            )
            .into());
        }
        let guard = Arc::clone(&self.guard);
        Ok(Arc::new(GuardExec::try_new(
            child, guard, projection, filters, together,
        )?))
    }
}

#[async_trait]
impl TableProvider for GuardedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.guard.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let unmasked = |name: &str| self.guard.is_unmasked(name);
        Ok(filters
            .iter()
            .map(|filter| {
                if is_leak_proof(filter, &self.guard.schema, &unmasked) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.guard.schema.fields().len()).collect();
        let projection = projection.cloned().unwrap_or(all);
        let filters = filters
            .iter()
            .cloned()
            .map(unqualified)
            .collect::<Result<Vec<_>>>()?;
        let reads = self.guard.reads(&projection, &filters)?;
        // Both kinds leave files out; neither a limit nor anything else of the query's goes down.
        let known: Vec<Expr> = self.guard.filter.iter().chain(&filters).cloned().collect();
        let scan = self.inner.scan(state, Some(&reads), &known, None).await?;
        let target = state.config().target_partitions();
        // The optimizer divides large files among threads only where the scan itself stands below an operator.
        let scan = scan
            .repartitioned(target, state.config_options())?
            .unwrap_or(scan);
        let together = stored_order::may_declare(state.config());
        self.put(scan, projection, filters, together)
    }
}

/// All tables that a principal sees of a snapshot, guarded. A steward's are the tables themselves.
///
/// # Errors
/// When the policy does not allow the role, purpose or project, does not fit the store, or a key is missing.
pub fn guard(
    store: &Store,
    snapshot: &Snapshot,
    policy: &Policy,
    principal: &Principal,
    keys: Option<&Arc<ProjectKeys>>,
) -> crate::Result<Vec<(String, Arc<dyn TableProvider>)>> {
    let view = policy.view(principal, &Table::all(snapshot))?;
    let of = (store, snapshot);
    let mut guarded: Vec<(String, Arc<dyn TableProvider>)> = Vec::new();
    for (name, table) in SnapshotTable::all(store, snapshot) {
        if view.kind == RoleKind::Steward {
            guarded.push((name, Arc::new(table)));
            continue;
        }
        let Some(seen) = view.tables.get(&name) else {
            continue;
        };
        let table = guarded_table(table, of, policy, principal, seen, keys)?;
        guarded.push((name, Arc::new(table)));
    }
    Ok(guarded)
}

/// One table of a snapshot as a principal sees it: what a server attaches that knows the policy, to a plan that only
/// names it. `table` is scanned as it is.
///
/// # Errors
/// When the policy does not let the principal see the table, does not fit the store, or a key is missing.
pub fn guard_table(
    table: SnapshotTable,
    of: (&Store, &Snapshot),
    policy: &Policy,
    principal: &Principal,
    keys: Option<&Arc<ProjectKeys>>,
) -> crate::Result<GuardedTable> {
    let view = policy.view(principal, &Table::all(of.1))?;
    let Some(seen) = view.tables.get(&table.version().spec.name) else {
        return Err(Error::refused(
            "table",
            "this role sees no such table".to_owned(),
            "`columna privacy policy show` prints what it sees".to_owned(),
        ));
    };
    guarded_table(table, of, policy, principal, seen, keys)
}

fn guarded_table(
    table: SnapshotTable,
    of: (&Store, &Snapshot),
    policy: &Policy,
    principal: &Principal,
    seen: &TableView,
    keys: Option<&Arc<ProjectKeys>>,
) -> crate::Result<GuardedTable> {
    let person_key = table.version().spec.person_key.clone();
    let spec = GuardSpec::new(&table.version().spec.name, of, policy, principal);
    let rows = table.version().rows;
    let guarded = GuardedTable::try_new(
        Arc::new(table.with_statistics(false)),
        spec,
        person_key.as_deref(),
        seen,
        policy.ages,
        keys,
    )?;
    Ok(guarded.with_rows(rows))
}
