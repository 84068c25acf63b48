//! Whose a number is: the column of the person beside it, through whatever lies between a table and the plan.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use columna_store::scan::SnapshotTable;
use datafusion::common::alias::AliasGenerator;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::logical_plan::TableScanBuilder;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, Filter, Join, Limit, LogicalPlan, Operator, Projection, Sort,
    SubqueryAlias, TableScan, Window,
};

/// A column of a plan that is a number of one person.
pub(crate) struct Owned {
    /// The plan with the person as one more column, where it lacks it.
    pub(crate) plan: Option<Arc<LogicalPlan>>,
    /// The person's column.
    pub(crate) person: Column,
    pub(crate) column: Stored,
}

impl Owned {
    /// Only rows are left of which a condition's parts are true.
    fn ask<'a>(&mut self, key: &Column, parts: impl Iterator<Item = &'a Expr>) {
        let is_key = |expr: &Expr| matches!(expr, Expr::Column(column) if column == key);
        for part in parts {
            match part {
                Expr::IsNotNull(of) if is_key(of) => self.column.present = Present::All,
                part if is_of_few(part, &is_key) => self.column.present = Present::None,
                _ => {}
            }
        }
    }
}

/// Whether a condition leaves rows without a number or with one of a few.
fn is_of_few(condition: &Expr, is_key: &impl Fn(&Expr) -> bool) -> bool {
    match condition {
        Expr::IsNull(of) => is_key(of),
        Expr::InList(list) => !list.negated && is_key(&list.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Or => is_of_few(left, is_key) && is_of_few(right, is_key),
            Operator::Eq => [(left, right), (right, left)]
                .into_iter()
                .any(|(one, other)| is_key(one) && matches!(other.as_ref(), Expr::Literal(..))),
            _ => false,
        },
        _ => false,
    }
}

/// The column of a table that the number comes from.
pub(crate) struct Stored {
    table: SnapshotTable,
    name: String,
    pub(crate) present: Present,
    /// The numbers that are several persons'.
    pub(crate) shared: Vec<i64>,
}

/// Which rows have a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Present {
    All,
    Some,
    /// None, or one of a few numbers.
    None,
}

impl Stored {
    /// Whether rows that have the same in the column are of one person.
    pub(crate) fn is_whole(&self) -> bool {
        self.present == Present::All && self.shared.is_empty()
    }

    /// Whether the same number in both means the same person.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.name == other.name && self.table.shares_snapshot(&other.table)
    }
}

/// Finds whose numbers are.
pub(crate) struct Owners {
    names: Arc<AliasGenerator>,
}

impl Owners {
    pub(crate) fn new(names: &Arc<AliasGenerator>) -> Self {
        Self {
            names: Arc::clone(names),
        }
    }

    /// The same under a name that no other rows have.
    pub(crate) fn renamed(&self, owned: &mut Owned, rows: &Arc<LogicalPlan>) -> Result<()> {
        let name = self.names.next("__person");
        let rows = owned.plan.as_ref().unwrap_or(rows);
        let person = Expr::Column(owned.person.clone());
        let columns = rows.schema().columns().into_iter().map(Expr::Column);
        let columns = columns.map(|column| match column == person {
            true => column.alias(&name),
            false => column,
        });
        let named = Projection::try_new(columns.collect(), Arc::clone(rows))?;
        owned.plan = Some(Arc::new(LogicalPlan::Projection(named)));
        owned.person = Column::new_unqualified(name);
        Ok(())
    }

    /// Whose number a column of a plan is.
    pub(crate) fn of(&self, plan: &LogicalPlan, key: &Column) -> Result<Option<Owned>> {
        let Some(at) = plan.schema().maybe_index_of_column(key) else {
            return Ok(None);
        };
        match plan {
            LogicalPlan::TableScan(scan) => of_scan(scan, at),
            LogicalPlan::Filter(filter) => {
                let mut owned = self.of(&filter.input, key)?;
                if let Some(owned) = &mut owned {
                    owned.ask(key, split_conjunction(&filter.predicate).into_iter());
                }
                over(owned, |input| {
                    Filter::try_new(filter.predicate.clone(), input).map(LogicalPlan::Filter)
                })
            }
            LogicalPlan::Sort(sort) => over(self.of(&sort.input, key)?, |input| {
                let sort = Sort {
                    input,
                    ..sort.clone()
                };
                Ok(LogicalPlan::Sort(sort))
            }),
            LogicalPlan::Limit(limit) => over(self.of(&limit.input, key)?, |input| {
                let limit = Limit {
                    input,
                    ..limit.clone()
                };
                Ok(LogicalPlan::Limit(limit))
            }),
            LogicalPlan::Window(window) => over(self.of(&window.input, key)?, |input| {
                Window::try_new(window.window_expr.clone(), input).map(LogicalPlan::Window)
            }),
            LogicalPlan::SubqueryAlias(alias) => self.of_alias(alias, at),
            LogicalPlan::Projection(projection) => self.of_projection(projection, at),
            LogicalPlan::Aggregate(aggregate) => self.of_groups(aggregate, at),
            LogicalPlan::Join(join) => self.of_join(join, key),
            _ => Ok(None),
        }
    }

    fn of_alias(&self, alias: &SubqueryAlias, at: usize) -> Result<Option<Owned>> {
        let key = Column::from(alias.input.schema().qualified_field(at));
        let Some(mut owned) = self.of(&alias.input, &key)? else {
            return Ok(None);
        };
        let input = owned.plan.as_ref().unwrap_or(&alias.input);
        let Some(person) = input.schema().maybe_index_of_column(&owned.person) else {
            return Ok(None);
        };
        let named = SubqueryAlias::try_new(Arc::clone(input), alias.alias.clone())?;
        owned.person = Column::from(named.schema.qualified_field(person));
        owned.plan = owned
            .plan
            .map(|_| Arc::new(LogicalPlan::SubqueryAlias(named)));
        Ok(Some(owned))
    }

    fn of_projection(&self, projection: &Projection, at: usize) -> Result<Option<Owned>> {
        let Some(Expr::Column(key)) = projection.expr.get(at).map(unaliased) else {
            return Ok(None);
        };
        let Some(mut owned) = self.of(&projection.input, key)? else {
            return Ok(None);
        };
        let person = Expr::Column(owned.person);
        let mut exprs = projection.expr.iter();
        if let Some(at) = exprs.position(|expr| *unaliased(expr) == person) {
            owned.person = Column::from(projection.schema.qualified_field(at));
            return over(Some(owned), |input| {
                let exprs = projection.expr.clone();
                Projection::try_new(exprs, input).map(LogicalPlan::Projection)
            });
        }
        // The same rows have the same name for it, so that what is planned twice is still seen to be the same.
        let mut digest = DefaultHasher::new();
        projection
            .input
            .display_indent()
            .to_string()
            .hash(&mut digest);
        // Two persons of the same rows, a visit's and a measurement's, are two columns.
        person.to_string().hash(&mut digest);
        let name = format!("__person_{:016x}", digest.finish());
        owned.person = Column::new_unqualified(name.clone());
        let exprs = projection.expr.iter().cloned();
        let exprs = exprs.chain([person.alias(name)]).collect();
        let input = owned.plan.unwrap_or_else(|| Arc::clone(&projection.input));
        let wider = Projection::try_new(exprs, input)?;
        owned.plan = Some(Arc::new(LogicalPlan::Projection(wider)));
        Ok(Some(owned))
    }

    fn of_groups(&self, aggregate: &Aggregate, at: usize) -> Result<Option<Owned>> {
        let Some(Expr::Column(key)) = aggregate.group_expr.get(at).map(unaliased) else {
            return Ok(None);
        };
        let Some(mut owned) = self.of(&aggregate.input, key)? else {
            return Ok(None);
        };
        let person = Expr::Column(owned.person.clone());
        let known = aggregate.group_expr.contains(&person);
        // Rows without a number are one group, of many persons.
        if !known && !owned.column.is_whole() {
            return Ok(None);
        }
        if known && owned.plan.is_none() {
            return Ok(Some(owned));
        }
        let keys = aggregate.group_expr.iter().cloned();
        let keys = keys.chain((!known).then_some(person)).collect();
        let input = owned.plan.unwrap_or_else(|| Arc::clone(&aggregate.input));
        let wider = Aggregate::try_new(input, keys, aggregate.aggr_expr.clone())?;
        owned.plan = Some(Arc::new(LogicalPlan::Aggregate(wider)));
        Ok(Some(owned))
    }

    fn of_join(&self, join: &Join, key: &Column) -> Result<Option<Owned>> {
        let semi = match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => None,
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => Some(true),
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => Some(false),
        };
        let left = join.left.schema().has_column(key) && semi != Some(false);
        let side = if left { &join.left } else { &join.right };
        if !side.schema().has_column(key) {
            return Ok(None);
        }
        let compared =
            |(l, r): &(Expr, Expr)| [l, r].into_iter().any(|e| *e == Expr::Column(key.clone()));
        let present = join.join_type == JoinType::Inner
            && join.null_equality == NullEquality::NullEqualsNothing
            && join.on.iter().any(compared);
        let mut owned = self.of(side, key)?;
        if let (true, Some(owned)) = (present, &mut owned) {
            owned.column.present = Present::All;
        }
        over(owned, |input| {
            let (l, r) = match left {
                true => (input, Arc::clone(&join.right)),
                false => (Arc::clone(&join.left), input),
            };
            let wider = Join::try_new(
                l,
                r,
                join.on.clone(),
                join.filter.clone(),
                join.join_type,
                join.join_constraint,
                join.null_equality,
                join.null_aware,
            )?;
            Ok(LogicalPlan::Join(wider))
        })
    }
}

/// What is known of a column of a table of the store.
fn of_scan(scan: &TableScan, at: usize) -> Result<Option<Owned>> {
    let provider = source_as_provider(&scan.source).ok();
    let Some(table) = provider
        .as_ref()
        .and_then(|provider| provider.downcast_ref::<SnapshotTable>())
    else {
        return Ok(None);
    };
    let (_, field) = scan.projected_schema.qualified_field(at);
    let (Some(column), Some(person)) = (
        table.owned(field.name()),
        table.version().spec.person_key.as_deref(),
    ) else {
        return Ok(None);
    };
    let mut owned = Owned {
        plan: None,
        person: Column::new(Some(scan.table_name.clone()), person),
        column: Stored {
            table: table.clone(),
            name: column.name.clone(),
            present: match column.nulls {
                true => Present::Some,
                false => Present::All,
            },
            shared: column.shared.clone(),
        },
    };
    let key = Column::from(scan.projected_schema.qualified_field(at));
    owned.ask(&key, scan.filters.iter());
    if scan.projected_schema.has_column(&owned.person) {
        return Ok(Some(owned));
    }
    let person = scan.source.schema().index_of(person)?;
    let columns = scan.projection.iter().flatten().copied();
    let wider = TableScanBuilder::new(scan.table_name.clone(), Arc::clone(&scan.source))
        .with_projection(Some(columns.chain([person]).collect()))
        .with_filters(scan.filters.clone())
        .with_fetch(scan.fetch)
        .build()?;
    owned.plan = Some(Arc::new(LogicalPlan::TableScan(wider)));
    Ok(Some(owned))
}

/// What is known of a column of the input is known of it after a step that hands it on.
fn over(
    owned: Option<Owned>,
    step: impl FnOnce(Arc<LogicalPlan>) -> Result<LogicalPlan>,
) -> Result<Option<Owned>> {
    let Some(mut owned) = owned else {
        return Ok(None);
    };
    if let Some(input) = owned.plan {
        owned.plan = Some(Arc::new(step(input)?));
    }
    Ok(Some(owned))
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}
