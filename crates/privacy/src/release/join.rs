//! Joins: of persons by the person, and of look-ups.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, JoinType, Result};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator};

use super::condition::{looking_out, looks_out};
use super::expression::{Scope, equal_sides, uncast};
use super::measure::{Measure, is_measured};
use super::public::beside_persons;
use super::refused::refuse;
use super::shape::{Kind, Outer, Rows, Shaper, plain};
use super::sources::TableRole;
use super::tables::COST_DOMAIN;

impl Shaper<'_> {
    pub(super) fn join(
        &self,
        join: Join,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        let lateral = is_lateral(&join.left)? || is_lateral(&join.right)?;
        // A side that need not be there does not decide whether there is a row, whoever it is linked to.
        let (of_left, of_right) = match join.join_type {
            JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => (true, true),
            JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
            JoinType::Right | JoinType::RightAnti | JoinType::RightMark => (false, true),
            JoinType::Full => (false, false),
        };
        let mut side = |plan: &LogicalPlan, decides: bool| {
            let linked = outer.as_ref().is_some_and(|outer| outer.linked);
            let found = self.relation(plan.clone(), outer)?;
            if let (false, Some(outer)) = (decides, outer.as_mut()) {
                outer.linked = linked;
            }
            Ok::<_, DataFusionError>(found)
        };
        let (left, left_kind) = side(&join.left, of_left)?;
        let (right, right_kind) = side(&join.right, of_right)?;
        let public = matches!((&left_kind, &right_kind), (Kind::Public, Kind::Public));
        let of_persons = |kind: &Kind| matches!(kind, Kind::Rows(_) | Kind::Linked);
        if lateral && (of_persons(&left_kind) || of_persons(&right_kind)) {
            return looking_out();
        }
        let (left, right) = match (&left_kind, &right_kind) {
            (Kind::Public, other) if of_persons(other) => (beside_persons(left)?, right),
            (other, Kind::Public) if of_persons(other) => (left, beside_persons(right)?),
            _ => (left, right),
        };
        let kind = match (left_kind, right_kind) {
            (Kind::Public | Kind::Released, Kind::Public | Kind::Released) => {
                let filter = join
                    .filter
                    .map(|filter| self.free(filter, outer))
                    .transpose()?;
                let released = if public { Kind::Public } else { Kind::Released };
                let plan = rejoined(
                    left,
                    right,
                    join.on,
                    filter,
                    join.join_type,
                    join.null_equality,
                )?;
                return Ok((plan, released));
            }
            (Kind::Rows(a), Kind::Rows(b)) => persons_joined(&join, a, b)?,
            (Kind::Rows(rows), other @ (Kind::Public | Kind::Linked)) => {
                let left_rows = matches!(
                    join.join_type,
                    JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
                );
                if !left_rows {
                    return no_person(&join);
                }
                match other {
                    Kind::Linked => self.referred(&join, rows, &right)?,
                    _ => self.looked_up(&join, rows, &right),
                }
            }
            (other @ (Kind::Public | Kind::Linked), Kind::Rows(rows)) => {
                let right_rows = matches!(
                    join.join_type,
                    JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
                );
                if !right_rows {
                    return no_person(&join);
                }
                match other {
                    Kind::Linked => self.referred(&join, rows, &left)?,
                    _ => self.looked_up(&join, rows, &left),
                }
            }
            (Kind::Linked, Kind::Public | Kind::Linked) | (Kind::Public, Kind::Linked) => {
                let both = left.schema().join(right.schema())?;
                let mut origins = self.linked_origins(&left);
                origins.extend(self.linked_origins(&right));
                let scope = Scope {
                    schema: &both,
                    persons: &HashSet::new(),
                    origins: &origins,
                };
                let on = join
                    .on
                    .into_iter()
                    .map(|pair| scope.equal(pair))
                    .collect::<Result<Vec<_>>>()?;
                let filter = join.filter.map(|filter| scope.total(filter)).transpose()?;
                let plan = rejoined(left, right, on, filter, join.join_type, join.null_equality)?;
                return Ok((plan, Kind::Linked));
            }
            (Kind::Rows(_) | Kind::Linked, Kind::Released)
            | (Kind::Released, Kind::Rows(_) | Kind::Linked) => {
                return refuse(
                    "join",
                    "released numbers cannot be joined to persons' rows",
                    "aggregate both sides first, then join them by their groups",
                );
            }
        };
        let both = left.schema().join(right.schema())?;
        // Of a look-up too: who has which record's number is compared with stored ones only.
        let mut origins = self.linked_origins(&left);
        origins.extend(self.linked_origins(&right));
        origins.extend(kind.origins.clone());
        let scope = Scope {
            schema: &both,
            persons: &kind.persons,
            origins: &origins,
        };
        let mut on = Vec::new();
        for (a, b) in join.on {
            let by_person = kind_of_pair(&kind, &a, &b);
            on.push(if by_person {
                (a, b)
            } else {
                scope.equal((a, b))?
            });
        }
        // The person columns of both sides are compared here and nowhere else.
        let filter = join
            .filter
            .map(|filter| {
                let parts = split_conjunction_owned(filter)
                    .into_iter()
                    .map(|part| match equal_sides(&part) {
                        Some((left, right)) if kind_of_pair(&kind, left, right) => Ok(part),
                        _ => scope.total(part),
                    })
                    .collect::<Result<Vec<_>>>()?;
                Ok::<_, datafusion::error::DataFusionError>(
                    datafusion::logical_expr::utils::conjunction(parts)
                        .unwrap_or_else(super::expression::always),
                )
            })
            .transpose()?;
        let plan = rejoined(left, right, on, filter, join.join_type, join.null_equality)?;
        let mut kind = kind;
        // A join may show one side only.
        let shown: HashSet<Column> = plan.schema().iter().map(Column::from).collect();
        kind.persons.retain(|column| shown.contains(column));
        kind.measured.retain(|column, _| shown.contains(column));
        Ok((plan, Kind::Rows(kind)))
    }

    /// A table like places joined to persons' rows. Its rows are nobody's to see but where stored data refer to them: a
    /// person's row to one of them by its key, or one of them to a person's row by that row's key. In any other join the
    /// query would choose which of them are seen.
    fn referred(&self, join: &Join, mut rows: Rows, other: &LogicalPlan) -> Result<Rows> {
        let key = self.key(other);
        let (mut ours, mut theirs) = (false, false);
        for (left, right) in equalities(join) {
            for (a, b) in [(&left, &right), (&right, &left)] {
                let (Expr::Column(of_rows), Expr::Column(of_other)) = (a, b) else {
                    continue;
                };
                let (Some(row), Some(place)) = (
                    rows.origins.get(of_rows),
                    self.linked_column(other, of_other),
                ) else {
                    continue;
                };
                let (row, place) = ((&*row.0, &*row.1), (&*place.0, &*place.1));
                let is_key = key.as_ref().is_none_or(|key| key == of_other);
                ours |= is_key && self.sources.refers(row, place);
                let kind = self.sources.kind_of_reference(place);
                let refers = match kind.and_then(|kind| self.value_of(kind, join, other)) {
                    Some(kind) => self.sources.refers_as(place, &kind, row),
                    None => self.sources.refers(place, row),
                };
                theirs |= rows.keys.contains(of_rows) && refers;
            }
        }
        if ours && !theirs {
            return Ok(self.looked_up(join, rows, other));
        }
        if !theirs {
            return refuse(
                "join",
                "such a table counts only where a person's row refers to one of its rows, or one of them to a person's row",
                "join it by its key, `v.care_site_id = c.care_site_id`, or by the key that its rows refer to, `n.note_id = m.note_id`; of numbers that may be of several tables say which: `c.cost_event_id = v.visit_occurrence_id AND c.cost_domain_id = 'Visit'`",
            );
        }
        // Each of its rows is of one person's row, and so are its numbers. It may be one of several.
        rows.keys.clear();
        for (table, field) in other.schema().iter() {
            let column = Column::from((table, field));
            let Some(origin) = self.linked_column(other, &column) else {
                continue;
            };
            let (table, name) = (&origin.0, &origin.1);
            if is_measured(field) && !name.ends_with("_id") {
                let measure = Measure::column(&format!("{table}.{name}"));
                rows.measured.insert(column.clone(), measure);
            }
            if let Some(bounds) = self.sources.bounds(table, name) {
                rows.bounds.insert(column.clone(), bounds);
            }
            rows.origins.insert(column, origin);
        }
        Ok(rows)
    }

    /// The value that a column has in all rows of a join's side, as its conditions say.
    fn value_of(&self, name: &str, join: &Join, other: &LogicalPlan) -> Option<String> {
        let wanted = |plan: &LogicalPlan, condition: &Expr| {
            let (column, value) = equal_text(condition)?;
            let (_, stored) = self.linked_column(plan, column)?;
            (stored == name).then_some(value)
        };
        let here = join.filter.clone().map(split_conjunction_owned);
        let here = here.into_iter().flatten().find_map(|c| wanted(other, &c));
        here.or_else(|| {
            let mut plan = other;
            loop {
                plan = match plan {
                    LogicalPlan::Filter(filter) => {
                        let conditions = split_conjunction_owned(filter.predicate.clone());
                        let found = conditions.iter().find_map(|c| wanted(&filter.input, c));
                        if found.is_some() {
                            return found;
                        }
                        &filter.input
                    }
                    LogicalPlan::SubqueryAlias(alias) => &alias.input,
                    LogicalPlan::Projection(projection) => &projection.input,
                    _ => return None,
                };
            }
        })
    }

    /// The stored columns that the columns of a table like places are.
    pub(super) fn linked_origins(&self, plan: &LogicalPlan) -> HashMap<Column, (String, String)> {
        let columns = plan.schema().iter().map(Column::from);
        columns
            .filter_map(|column| Some((column.clone(), self.linked_column(plan, &column)?)))
            .collect()
    }

    /// The stored column that a column of a table like places is.
    fn linked_column(&self, plan: &LogicalPlan, column: &Column) -> Option<(String, String)> {
        match plan {
            LogicalPlan::TableScan(scan) => match self.sources.role(scan)? {
                TableRole::Linked(_) if scan.projected_schema.has_column(column) => {
                    Some((scan.table_name.table().to_owned(), column.name.clone()))
                }
                _ => None,
            },
            LogicalPlan::Filter(filter) => self.linked_column(&filter.input, column),
            LogicalPlan::SubqueryAlias(alias) => {
                let at = alias.schema.maybe_index_of_column(column)?;
                let (table, field) = alias.input.schema().qualified_field(at);
                self.linked_column(&alias.input, &Column::from((table, field)))
            }
            LogicalPlan::Projection(projection) => {
                let at = projection.schema.maybe_index_of_column(column)?;
                match uncast(projection.expr.get(at)?) {
                    Expr::Column(column) => self.linked_column(&projection.input, column),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// A table of no person joined to persons' rows. Unless each row finds at most one, by the other's key, rows are
    /// multiplied.
    fn looked_up(&self, join: &Join, mut rows: Rows, other: &LogicalPlan) -> Rows {
        let semi = matches!(
            join.join_type,
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti
        );
        let key = self.key(other);
        let by_key = key.is_some_and(|key| {
            // The other side of the comparison is a column of the persons' rows.
            let found = |a: &Expr, b: &Expr| {
                let is_key = |expr: &Expr| matches!(expr, Expr::Column(column) if *column == key);
                let is_theirs = |expr: &Expr| {
                    matches!(expr, Expr::Column(column) if !other.schema().has_column(column))
                };
                (is_key(a) && is_theirs(b)) || (is_key(b) && is_theirs(a))
            };
            join.on.iter().any(|(left, right)| found(left, right))
                || join.filter.as_ref().is_some_and(|filter| {
                    split_conjunction_owned(filter.clone()).iter().any(|part| {
                        matches!(part, Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) if found(left, right))
                    })
                })
        });
        rows.chosen = true;
        if !(semi || by_key) {
            rows.multiplied = true;
            rows.keys.clear();
        }
        rows
    }

    /// The key of a table that is scanned without anything that repeats its rows.
    fn key(&self, plan: &LogicalPlan) -> Option<Column> {
        match plan {
            LogicalPlan::TableScan(scan) => match self.sources.role(scan)? {
                TableRole::Public(key) | TableRole::Linked(key) => {
                    Some(Column::new(Some(scan.table_name.clone()), key?))
                }
                TableRole::Persons(_) => None,
            },
            LogicalPlan::Filter(filter) => self.key(&filter.input),
            LogicalPlan::SubqueryAlias(alias) => {
                let key = self.key(&alias.input)?;
                Some(Column::new(Some(alias.alias.clone()), key.name))
            }
            LogicalPlan::Projection(projection) => {
                let key = self.key(&projection.input)?;
                let mut outputs = projection.expr.iter().zip(projection.schema.iter());
                let found = outputs.find(|(expr, _)| *plain(expr) == Expr::Column(key.clone()));
                found.map(|(_, output)| Column::from(output))
            }
            _ => None,
        }
    }
}

/// Whether a side of a join is computed for each row of the other: LATERAL.
fn is_lateral(side: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    side.apply(|node| {
        found |= matches!(node, LogicalPlan::Subquery(_)) && looks_out(node)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Whether two join keys are the persons of both sides.
fn kind_of_pair(rows: &Rows, a: &Expr, b: &Expr) -> bool {
    rows.is_person(a) && rows.is_person(b)
}

fn persons_joined(join: &Join, a: Rows, b: Rows) -> Result<Rows> {
    let pair = |left: &Expr, right: &Expr| {
        // One that is NULL where an outer join found nothing finds nothing here.
        let found = |one: &Rows, other: &Rows| one.is_person(left) && other.is_person(right);
        found(&a, &b) || found(&b, &a)
    };
    if !equalities(join)
        .iter()
        .any(|(left, right)| pair(left, right))
    {
        return refuse(
            "join",
            "tables of persons must be joined by the person, so that every row belongs to one",
            "add `a.person_id = b.person_id` to the join's condition",
        );
    }
    let person = match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => &a.person,
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => &b.person,
        _ => return no_person(join),
    };
    // Each row finds one at most where the other side has one for a person, or is looked up by its key. Elsewhere the
    // rows of a person who meets a condition multiply, and would weigh what the query likes.
    let semi = matches!(
        join.join_type,
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti
    );
    let finds_one = |other: &Rows| {
        other.keys.contains(&other.person)
            || equalities(join).iter().any(|(left, right)| {
                let is = |expr: &Expr, of: &dyn Fn(&Column) -> bool| matches!(expr, Expr::Column(column) if of(column));
                let key = |column: &Column| other.keys.contains(column);
                let others = |column: &Column| {
                    if std::ptr::eq(other, &a) {
                        join.right.schema().has_column(column)
                    } else {
                        join.left.schema().has_column(column)
                    }
                };
                (is(left, &key) && is(right, &others)) || (is(left, &others) && is(right, &key))
            })
    };
    let (left_stays, right_stays) = (semi || finds_one(&b), semi || finds_one(&a));
    let mut keys = HashSet::new();
    if left_stays {
        keys.extend(a.keys);
    }
    if right_stays {
        keys.extend(b.keys);
    }
    Ok(Rows {
        person: person.clone(),
        persons: a.persons.union(&b.persons).cloned().collect(),
        measured: a.measured.into_iter().chain(b.measured).collect(),
        multiplied: a.multiplied || b.multiplied || !(left_stays || right_stays),
        chosen: semi || a.chosen || b.chosen || join.filter.is_some() || join.on.len() > 1,
        keys,
        origins: a.origins.into_iter().chain(b.origins).collect(),
        bounds: a.bounds.into_iter().chain(b.bounds).collect(),
    })
}

/// What a join compares by equality.
fn equalities(join: &Join) -> Vec<(Expr, Expr)> {
    let filter = join.filter.clone().map(split_conjunction_owned);
    let in_filter = filter.into_iter().flatten().filter_map(|part| {
        let (left, right) = equal_sides(&part)?;
        Some((left.clone(), right.clone()))
    });
    join.on.iter().cloned().chain(in_filter).collect()
}

fn no_person<T>(join: &Join) -> Result<T> {
    refuse(
        "join",
        format!("a {} JOIN here makes rows without a person", join.join_type),
        "use an inner join, or a left join with persons' rows on the left",
    )
}

fn rejoined(
    left: LogicalPlan,
    right: LogicalPlan,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
    join_type: JoinType,
    null_equality: datafusion::common::NullEquality,
) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Join(Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        filter,
        join_type,
        datafusion::common::JoinConstraint::On,
        null_equality,
        false,
    )?))
}

/// A column and the text that a condition compares it with.
fn equal_text(condition: &Expr) -> Option<(&Column, String)> {
    let (left, right) = equal_sides(uncast(condition))?;
    let text = |expr: &Expr| match uncast(expr) {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(ToOwned::to_owned),
        _ => None,
    };
    match (uncast(left), uncast(right)) {
        (Expr::Column(column), other) | (other, Expr::Column(column)) => {
            Some((column, text(other)?))
        }
        _ => None,
    }
}

/// What columns of two tables are equal, and conditions that say of which table a column holds keys, in the joins that ask for it:
/// WHERE is as good as ON in inner joins.
pub(super) fn within_joins(filter: Filter) -> Result<Filter> {
    let says = |condition: &Expr| {
        equal_text(condition).is_some_and(|(column, _)| column.name == COST_DOMAIN)
    };
    let compares = |condition: &Expr| {
        let sides = equal_sides(condition);
        matches!(sides, Some((Expr::Column(_), Expr::Column(_))))
    };
    let mut stay = Vec::new();
    let mut input = filter.input;
    for condition in split_conjunction_owned(filter.predicate) {
        let joined = match says(&condition) || compares(&condition) {
            true => with_condition(&input, &condition)?,
            false => None,
        };
        let moved = joined.is_some() && compares(&condition);
        if let Some(joined) = joined {
            input = Arc::new(joined);
        }
        if !moved {
            stay.push(condition);
        }
    }
    let predicate = datafusion::logical_expr::utils::conjunction(stay);
    Filter::try_new(predicate.unwrap_or_else(super::expression::always), input)
}

/// A tree of inner joins with a condition in the lowest one that has its columns; none where that is no join.
fn with_condition(plan: &LogicalPlan, condition: &Expr) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Join(join) = plan else {
        return Ok(None);
    };
    let has = |side: &LogicalPlan| {
        let columns = condition.column_refs();
        columns
            .iter()
            .all(|column| side.schema().has_column(column))
    };
    if join.join_type != JoinType::Inner || !has(plan) {
        return Ok(None);
    }
    let mut join = join.clone();
    if let Some(lower) = with_condition(&join.left, condition)? {
        join.left = Arc::new(lower);
        return Ok(Some(LogicalPlan::Join(join)));
    }
    if let Some(lower) = with_condition(&join.right, condition)? {
        join.right = Arc::new(lower);
        return Ok(Some(LogicalPlan::Join(join)));
    }
    join.filter = Some(match join.filter.take() {
        Some(filter) => filter.and(condition.clone()),
        None => condition.clone(),
    });
    Ok(Some(LogicalPlan::Join(join)))
}
