//! Which concepts a join with the vocabulary means, told when the query is planned.
//!
//! A join with `concept_ancestor` of one ancestor picks records by a list of concepts. That list is short, and the
//! tables that hold it are small: read at once, it is a condition on the records themselves, by which a scan can leave
//! out what has none of them, and read the copy in which they lie together. The join is dropped where each concept
//! comes once and nothing else of the vocabulary is asked for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use columna_store::scan::SnapshotTable;
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, EmptyRelation, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder,
    Operator, Projection, TableScan, in_list, lit,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use futures::StreamExt;

use crate::vocabulary::{MAX_IN_LIST, Vocabulary};

/// Larger tables are not read while a query is planned, except for the hierarchy of one ancestor, which lies together.
const MOST_ROWS: u64 = 2_000_000;
/// Lists that are kept; a session rarely asks for more.
const MOST_KEPT: usize = 64;

/// Turns joins with few rows of the vocabulary into conditions.
#[derive(Debug)]
pub(crate) struct LookedUp {
    vocabulary: Vocabulary,
    kept: Mutex<Vec<Kept>>,
}

/// What a lookup was found to hold.
#[derive(Debug)]
struct Kept {
    plan: LogicalPlan,
    key: Column,
    tables: Vec<Weak<dyn TableProvider>>,
    keys: Option<Arc<Keys>>,
}

#[derive(Debug)]
struct Keys {
    values: Vec<i64>,
    /// No value comes twice.
    unique: bool,
}

impl LookedUp {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        Self {
            vocabulary: vocabulary.clone(),
            kept: Mutex::default(),
        }
    }
}

impl OptimizerRule for LookedUp {
    fn name(&self) -> &'static str {
        "looked_up"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = &plan else {
            return Ok(Transformed::no(plan));
        };
        Ok(match self.condition(join)? {
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(plan),
        })
    }
}

impl LookedUp {
    /// What a join comes down to, if it looks records up in few rows.
    fn condition(&self, join: &Join) -> Result<Option<LogicalPlan>> {
        let [(Expr::Column(left), Expr::Column(right))] = join.on.as_slice() else {
            return Ok(None);
        };
        if join.null_equality != NullEquality::NullEqualsNothing || join.null_aware {
            return Ok(None);
        }
        let of_left = (&join.left, left, &join.right, right);
        let of_right = (&join.right, right, &join.left, left);
        let sides: &[_] = match join.join_type {
            JoinType::Inner => &[of_left, of_right],
            JoinType::LeftSemi => &[of_left],
            JoinType::RightSemi => &[of_right],
            _ => return Ok(None),
        };
        for (records, column, lookup, key) in sides {
            let Some((table, name)) = origin(records, column) else {
                continue;
            };
            let Some(tables) = lookups(lookup)? else {
                continue;
            };
            let semi = join.join_type != JoinType::Inner;
            let alone = join.filter.is_none() && (semi || lookup.schema().fields().len() == 1);
            // Where the join stays, its own filter leaves out as much, but chooses no copy.
            if !alone && !table.version().projections.contains(&name) {
                continue;
            }
            let Some(keys) = self.keys(lookup, key, &tables) else {
                continue;
            };
            if keys.values.is_empty() {
                return Ok(Some(LogicalPlan::EmptyRelation(EmptyRelation {
                    produce_one_row: false,
                    schema: Arc::clone(&join.schema),
                })));
            }
            let list = keys.values.iter().map(|value| lit(*value)).collect();
            let listed = in_list(Expr::Column((*column).clone()), list, false);
            let filter = Filter::try_new(listed, Arc::clone(records))?;
            let filter = LogicalPlan::Filter(filter);
            if alone && semi {
                return Ok(Some(filter));
            }
            if alone && keys.unique {
                return projected(join, filter, column, key).map(Some);
            }
            if !table.version().projections.contains(&name) {
                continue;
            }
            let mut kept = join.clone();
            if std::ptr::eq(*records, &raw const join.left) {
                kept.left = Arc::new(filter);
            } else {
                kept.right = Arc::new(filter);
            }
            return Ok(Some(LogicalPlan::Join(kept)));
        }
        Ok(None)
    }
}

impl LookedUp {
    /// The values of a lookup's key; none where they are many, NULL, or cannot be read now.
    fn keys(&self, lookup: &LogicalPlan, key: &Column, tables: &[Scanned]) -> Option<Arc<Keys>> {
        let weak: Vec<_> = tables.iter().map(Arc::downgrade).collect();
        let same = |kept: &Kept| {
            let tables = kept.tables.iter().zip(&weak);
            kept.plan == *lookup
                && kept.key == *key
                && kept.tables.len() == weak.len()
                && tables.into_iter().all(|(a, b)| Weak::ptr_eq(a, b))
        };
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept().iter().find(|kept| same(kept)) {
            return known.keys.clone();
        }
        // What cannot be read here fails where the query runs, which says why.
        let keys = self.read(lookup, key).ok().flatten().map(Arc::new);
        let mut kept = kept();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.push(Kept {
            plan: lookup.clone(),
            key: key.clone(),
            tables: weak,
            keys: keys.clone(),
        });
        keys
    }

    fn read(&self, lookup: &LogicalPlan, key: &Column) -> Result<Option<Keys>> {
        let plan = LogicalPlanBuilder::from(lookup.clone())
            .project([Expr::Column(key.clone())])?
            .build()?;
        let context = self.vocabulary.reader()?;
        self.vocabulary.apart(async move {
            let mut rows = context
                .execute_logical_plan(plan)
                .await?
                .execute_stream()
                .await?;
            let (mut values, mut unique) = (HashSet::new(), true);
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                let keys = batch.column(0).as_primitive::<Int64Type>();
                // A key that is NULL finds no record.
                for value in keys.iter().flatten() {
                    unique &= values.insert(value);
                }
                if values.len() > MAX_IN_LIST {
                    return Ok(None);
                }
            }
            let mut values: Vec<i64> = values.into_iter().collect();
            values.sort_unstable();
            Ok(Some(Keys { values, unique }))
        })
    }
}

type Scanned = Arc<dyn TableProvider>;

/// The tables of a plan that holds no person and picks some of their rows; none of another one.
fn lookups(plan: &LogicalPlan) -> Result<Option<Vec<Scanned>>> {
    let mut tables = Vec::new();
    let (mut fits, mut picks) = (true, false);
    plan.apply_with_subqueries(|node| {
        let known = match node {
            LogicalPlan::TableScan(scan) => match source_as_provider(&scan.source) {
                Ok(table) if is_small(table.as_ref(), scan) => {
                    picks |= !scan.filters.is_empty();
                    tables.push(table);
                    scan.fetch.is_none()
                }
                _ => false,
            },
            LogicalPlan::Filter(_) | LogicalPlan::Values(_) => {
                picks = true;
                true
            }
            LogicalPlan::Join(join) => join.join_type == JoinType::Inner,
            LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.is_empty(),
            LogicalPlan::Projection(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => true,
            _ => false,
        };
        node.apply_expressions(|expr| {
            fits &= !expr.is_volatile() && !expr.contains_outer();
            Ok(TreeNodeRecursion::Continue)
        })?;
        fits &= known;
        Ok(if fits {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    })?;
    Ok((fits && picks && !tables.is_empty()).then_some(tables))
}

/// Whether a table of the store holds no person, and its rows are soon read. A guarded table is none of them: what it
/// hides must not show in a plan.
fn is_small(table: &dyn TableProvider, scan: &TableScan) -> bool {
    let Some(table) = table.downcast_ref::<SnapshotTable>() else {
        return false;
    };
    let version = table.version();
    let rows: u64 = version.files.iter().map(|file| file.rows).sum();
    let first = version.spec.sort.first();
    let lies_together = || {
        let filters = scan.filters.iter().flat_map(split_conjunction);
        first.is_some_and(|first| filters.into_iter().any(|filter| lists(filter, first)))
    };
    version.spec.person_key.is_none() && (rows <= MOST_ROWS || lies_together())
}

/// The records' table and column that a column comes from unchanged, unless it is compared with a list already.
fn origin(plan: &LogicalPlan, column: &Column) -> Option<(SnapshotTable, String)> {
    let at = plan.schema().maybe_index_of_column(column)?;
    match plan {
        LogicalPlan::TableScan(scan) => {
            let name = scan.projected_schema.field(at).name();
            let table = source_as_provider(&scan.source).ok()?;
            let table = table.downcast_ref::<SnapshotTable>()?;
            let whole = *scan.projected_schema.field(at).data_type() == DataType::Int64;
            let persons = table.version().spec.person_key.is_some();
            let filters = scan.filters.iter().flat_map(split_conjunction);
            let listed = filters.into_iter().any(|filter| lists(filter, name));
            (whole && persons && !listed && scan.fetch.is_none())
                .then(|| (table.clone(), name.clone()))
        }
        LogicalPlan::Filter(filter) => {
            let conjuncts = split_conjunction(&filter.predicate);
            let listed = conjuncts
                .into_iter()
                .any(|filter| lists(filter, &column.name));
            let input = (!listed).then_some(&filter.input)?;
            origin(input, column)
        }
        LogicalPlan::SubqueryAlias(alias) => origin(&alias.input, &nth(&alias.input, at)),
        LogicalPlan::Projection(projection) => match projection.expr.get(at)? {
            Expr::Column(column) => origin(&projection.input, column),
            Expr::Alias(alias) => match alias.expr.as_ref() {
                Expr::Column(column) => origin(&projection.input, column),
                _ => None,
            },
            _ => None,
        },
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let left = join.left.schema().fields().len();
            if at < left {
                origin(&join.left, &nth(&join.left, at))
            } else {
                origin(&join.right, &nth(&join.right, at - left))
            }
        }
        _ => None,
    }
}

fn nth(plan: &LogicalPlan, at: usize) -> Column {
    Column::from(plan.schema().qualified_field(at))
}

/// Whether a condition says which values a column may have: `=`, `IN`, or `OR` of those.
fn lists(filter: &Expr, name: &str) -> bool {
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == name);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Or => lists(left, name) && lists(right, name),
            Operator::Eq => {
                is_column(left) && matches!(right.as_ref(), Expr::Literal(..))
                    || is_column(right) && matches!(left.as_ref(), Expr::Literal(..))
            }
            _ => false,
        },
        Expr::InList(list) => !list.negated && is_column(&list.expr),
        _ => false,
    }
}

/// The columns of a join from one of its sides and, for the key of the other, its equal.
fn projected(join: &Join, side: LogicalPlan, column: &Column, key: &Column) -> Result<LogicalPlan> {
    let columns = join.schema.columns().into_iter().map(|field| {
        if field == *key {
            let name = key.name.clone();
            Expr::Column(column.clone()).alias_qualified(key.relation.clone(), name)
        } else {
            Expr::Column(field)
        }
    });
    let projection = Projection::try_new(columns.collect(), Arc::new(side))?;
    Ok(LogicalPlan::Projection(projection))
}
