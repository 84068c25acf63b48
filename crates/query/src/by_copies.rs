//! Windows by person and concept go through the copy of the table in which rows lie concept by concept.
//!
//! `… OVER (PARTITION BY person_id, drug_concept_id ORDER BY …)` asks for a sort of each person's rows, by concept. In the copy
//! they lie so already: concept by concept, and within each by person and date. What is made of the rows must not care for the
//! order of persons, or they would be sorted back: nothing but windows and groups by person and concept may lie below the first
//! aggregate that goes by something else.

use std::collections::HashMap;
use std::sync::Arc;

use columna_store::scan::SnapshotTable;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, TableScanBuilder, Window};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::partitions::{partition, repartitioned};

/// Reads copies below such windows.
#[derive(Debug)]
pub(crate) struct ByCopies;

impl OptimizerRule for ByCopies {
    fn name(&self) -> &'static str {
        "by_copies"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        // What is planned twice runs once, if both are read the same way.
        let mut scans: HashMap<String, usize> = HashMap::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                *scans.entry(scan.table_name.to_string()).or_default() += 1;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        plan.transform_down_with_subqueries(|node| {
            let LogicalPlan::Aggregate(aggregate) = &node else {
                return Ok(Transformed::no(node));
            };
            let Some(rows) = rows(&aggregate.input)? else {
                return Ok(Transformed::no(node));
            };
            let by = match rows.by.as_deref() {
                Some([by, ..]) if scans.get(&rows.scanned) == Some(&1) => by,
                _ => return Ok(Transformed::no(node)),
            };
            let person = &rows.person;
            let keys = rows.origins(&aggregate.group_expr);
            let of = |column: &str| keys.iter().flatten().any(|key| key == column);
            let counts = aggregate.aggr_expr.iter().any(is_distinct);
            if of(person) || counts && !of(by) {
                return Ok(Transformed::no(node));
            }
            let Some(table) = rows.table.by_copy(by) else {
                return Ok(Transformed::no(node));
            };
            let input = read_by(&aggregate.input, &Arc::new(table), by, person)?;
            let groups = Aggregate::try_new(
                Arc::new(input),
                aggregate.group_expr.clone(),
                aggregate.aggr_expr.clone(),
            )?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(groups)))
        })
    }
}

fn is_distinct(call: &Expr) -> bool {
    match call {
        Expr::Alias(alias) => is_distinct(&alias.expr),
        Expr::AggregateFunction(call) => call.params.distinct,
        _ => false,
    }
}

/// Rows that come from one table by steps that keep each person's records of a concept together.
struct Rows {
    table: SnapshotTable,
    /// The name by which it is scanned.
    scanned: String,
    person: String,
    /// Which column of the table each column is, if it is one.
    columns: Vec<Option<String>>,
    /// The columns with a copy by which all steps went, if there were any.
    by: Option<Vec<String>>,
    schema: DFSchemaRef,
}

impl Rows {
    /// The table's column that an expression is.
    fn origin(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Alias(alias) => self.origin(&alias.expr),
            Expr::Column(column) => {
                let at = self.schema.maybe_index_of_column(column)?;
                self.columns.get(at).cloned().flatten()
            }
            _ => None,
        }
    }

    fn origins(&self, exprs: &[Expr]) -> Vec<Option<String>> {
        exprs.iter().map(|expr| self.origin(expr)).collect()
    }

    /// After a step by these keys; none where it goes by something else than a person and a column with a copy.
    fn after(mut self, keys: &[Expr]) -> Option<Self> {
        let keys: Vec<String> = self.origins(keys).into_iter().flatten().collect();
        if !keys.contains(&self.person) {
            return None;
        }
        let known = self.by.take();
        let mut by = known.unwrap_or_else(|| self.table.version().projections.clone());
        by.retain(|column| keys.contains(column));
        self.by = Some(by).filter(|by| !by.is_empty());
        self.by.is_some().then_some(self)
    }
}

fn rows(plan: &LogicalPlan) -> Result<Option<Rows>> {
    let input = match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok();
            let table = provider
                .as_ref()
                .and_then(|p| p.downcast_ref::<SnapshotTable>());
            let Some(table) = table.filter(|table| table.by().is_none() && scan.fetch.is_none())
            else {
                return Ok(None);
            };
            let Some(person) = table.version().spec.person_key.clone() else {
                return Ok(None);
            };
            // One person's rows are found faster where they lie together.
            let mut filters = scan.filters.iter().flat_map(Expr::column_refs);
            if filters.any(|column| column.name == person) {
                return Ok(None);
            }
            let fields = scan.projected_schema.fields().iter();
            return Ok(Some(Rows {
                table: table.clone(),
                scanned: scan.table_name.to_string(),
                person,
                columns: fields.map(|field| Some(field.name().clone())).collect(),
                by: None,
                schema: Arc::clone(plan.schema()),
            }));
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_) => match plan.inputs()[..] {
            [input] => input,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(mut rows) = rows(input)? else {
        return Ok(None);
    };
    match plan {
        LogicalPlan::Projection(projection) => rows.columns = rows.origins(&projection.expr),
        LogicalPlan::Window(window) => {
            for expr in &window.window_expr {
                let Some(next) = rows.after(partition(expr).unwrap_or_default()) else {
                    return Ok(None);
                };
                rows = next;
            }
            let more = window.window_expr.len();
            rows.columns.extend(std::iter::repeat_n(None, more));
        }
        LogicalPlan::Aggregate(aggregate) => {
            let keys = rows.origins(&aggregate.group_expr);
            let Some(next) = rows.after(&aggregate.group_expr) else {
                return Ok(None);
            };
            rows = next;
            rows.columns = keys;
            rows.columns
                .extend(std::iter::repeat_n(None, aggregate.aggr_expr.len()));
        }
        _ => {}
    }
    rows.schema = Arc::clone(plan.schema());
    Ok((rows.columns.len() == plan.schema().fields().len()).then_some(rows))
}

/// The same steps over the copy, with windows by its column first.
fn read_by(
    plan: &LogicalPlan,
    table: &Arc<SnapshotTable>,
    by: &str,
    person: &str,
) -> Result<LogicalPlan> {
    if let LogicalPlan::TableScan(scan) = plan {
        let source = provider_as_source(Arc::clone(table) as _);
        let scan = TableScanBuilder::new(scan.table_name.clone(), source)
            .with_projection(scan.projection.clone())
            .with_filters(scan.filters.clone())
            .build()?;
        return Ok(LogicalPlan::TableScan(scan));
    }
    let [input] = plan.inputs()[..] else {
        return Ok(plan.clone());
    };
    let read = read_by(input, table, by, person)?;
    let LogicalPlan::Window(window) = plan else {
        return plan.with_new_exprs(plan.expressions(), vec![read]);
    };
    let Some(rows) = rows(input)? else {
        return plan.with_new_exprs(plan.expressions(), vec![read]);
    };
    let rank = |key: &Expr| match rows.origin(key) {
        Some(column) if column == by => 0,
        Some(column) if column == person => 1,
        _ => 2,
    };
    let names = NamePreserver::new_for_projection();
    let windows = window.window_expr.iter().map(|expr| {
        let name = names.save(expr);
        let ordered = repartitioned(expr.clone(), |keys| keys.sort_by_key(rank))?;
        Ok(name.restore(ordered))
    });
    let windows = windows.collect::<Result<_>>()?;
    Window::try_new(windows, Arc::new(read)).map(LogicalPlan::Window)
}
