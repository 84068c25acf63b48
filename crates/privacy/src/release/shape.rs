//! What a query of an aggregate or differentially private role may look like.
//!
//! Three kinds of relations. *Rows* belong to one person each, and carry the person's number through projections,
//! joins and groupings, whether the query names it or not. The first grouping that leaves the person out is where
//! numbers about groups of persons arise: there a release stands. Whatever comes after it, and all that was public
//! to begin with, is the query's own affair: ordering, limits, conditions and quotients of released numbers tell
//! nothing that the numbers don't.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, JoinType, Result};
use datafusion::logical_expr::expr::{AggregateFunction, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, Filter, Join, LogicalPlan, Operator, Projection, Sort,
    Subquery, SubqueryAlias, TableScan,
};

use super::expression::{Scope, range};
use super::measure::{Measure, Measures, is_measured_type, measure};
use super::refused::refuse;

/// The name under which the person is carried where a query does not select it.
pub(super) const PERSON: &str = "__columna_person";

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableRole {
    /// Rows of persons, whose number is in this column.
    Persons(String),
    /// Rows of no person that anybody may see, such as a vocabulary, with its key.
    Public(Option<String>),
    /// Rows of no person that only count where a person's row refers to them, such as places, with its key.
    Linked(Option<String>),
}

/// What the tables of a session hold.
pub trait Sources: std::fmt::Debug + Send + Sync {
    /// What a scanned table holds; nothing if it is not known.
    fn role(&self, scan: &TableScan) -> Option<TableRole>;

    /// The lowest and highest value that a column is declared to have.
    fn bounds(&self, _table: &str, _column: &str) -> Option<(f64, f64)> {
        None
    }
}

/// What a relation is.
#[expect(
    clippy::large_enum_variant,
    reason = "a query has a handful of these, and they are taken apart at once"
)]
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// No person stands behind it.
    Public,
    /// Like places: no person's, and not public.
    Linked,
    /// Released numbers.
    Released,
    /// Rows of one person each.
    Rows(Rows),
}

/// Rows of one person each.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    /// The column that holds the person.
    pub(super) person: Column,
    /// All columns that hold it, NULL where an outer join found nothing.
    pub(super) persons: HashSet<Column>,
    /// The columns that sums and means may be taken of.
    pub(super) measured: Measures,
    /// A join may have multiplied a person's rows by something that the query chose.
    pub(super) multiplied: bool,
    /// The stored columns that columns are, by table and name.
    pub(super) origins: HashMap<Column, (String, String)>,
    /// The lowest and highest value of columns, as declared or as they follow.
    pub(super) bounds: HashMap<Column, (f64, f64)>,
}

impl Rows {
    pub(super) fn scope<'a>(&'a self, schema: &'a DFSchema) -> Scope<'a> {
        Scope {
            schema,
            persons: &self.persons,
        }
    }

    fn is_person(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Column(column) if self.persons.contains(column))
    }
}

/// Makes a release of a grouping of persons' rows.
pub(super) trait Releaser {
    fn release(
        &self,
        aggregate: &Aggregate,
        input: LogicalPlan,
        rows: &Rows,
    ) -> Result<LogicalPlan>;
}

/// Aggregates that may be taken of one person's rows, before anything is released.
const PER_PERSON: &[&str] = &["avg", "bool_and", "bool_or", "count", "max", "min", "sum"];

pub(super) struct Shaper<'a> {
    pub(super) sources: &'a dyn Sources,
    pub(super) releaser: &'a dyn Releaser,
}

/// The rows around a subquery, and whether it was linked to them by the person.
struct Outer<'a> {
    rows: &'a Rows,
    linked: bool,
}

impl Shaper<'_> {
    /// The query with its releases in place.
    pub(super) fn query(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        match self.relation(plan, &mut None)? {
            (plan, Kind::Public | Kind::Released) => Ok(plan),
            (_, Kind::Rows(_)) => refuse(
                "rows",
                "this role sees numbers about groups of persons, and no person's rows",
                "aggregate: SELECT ..., count(*) FROM ... GROUP BY ...",
            ),
            (_, Kind::Linked) => refuse(
                "rows",
                "this role sees such a table only joined to persons' rows",
                "join it to a table of persons by its key, and aggregate",
            ),
        }
    }

    fn relation(
        &self,
        plan: LogicalPlan,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.alias(alias, outer),
            LogicalPlan::Projection(projection) => self.projection(projection, outer),
            LogicalPlan::Filter(filter) => self.filter(filter, outer),
            LogicalPlan::Join(join) => self.join(join, outer),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, outer),
            LogicalPlan::Distinct(distinct) => self.distinct(distinct, outer),
            LogicalPlan::Sort(sort) => self.sort(sort, outer),
            LogicalPlan::Subquery(subquery) => {
                self.relation(Arc::unwrap_or_clone(subquery.subquery), outer)
            }
            LogicalPlan::Limit(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Repartition(_) => self.above(&plan, outer),
            // The columns of a table that the principal sees anyway.
            LogicalPlan::DescribeTable(_) => Ok((plan, Kind::Public)),
            LogicalPlan::Extension(ref extension) if super::node::is_release(extension) => {
                // Planned before: nothing but this rule makes such a node.
                Ok((plan, Kind::Released))
            }
            other => refuse(
                "statement",
                format!("{} is not for this role", name_of(&other)),
                "ask with SELECT; columns and functions are listed by SHOW TABLES, DESCRIBE and the documentation",
            ),
        }
    }

    /// A relation over released or public ones: the query may do with them as it likes.
    fn above(
        &self,
        plan: &LogicalPlan,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        let name = name_of(plan);
        let mut kind = Kind::Public;
        let mut inputs = Vec::new();
        for input in plan.inputs() {
            let (input, of) = self.relation(input.clone(), outer)?;
            kind = match (kind, of) {
                (_, Kind::Rows(_) | Kind::Linked) => {
                    return refuse(
                        "shape",
                        format!("{name} of persons' rows is not known to be safe"),
                        match name {
                            "LIMIT" => "take all rows, aggregate them, and limit the result",
                            "UNION" => "aggregate each part, or use OR in one condition",
                            "a window function" => {
                                "use min, max or count with GROUP BY the person in a subquery"
                            }
                            _ => "aggregate first, then go on with the result",
                        },
                    );
                }
                (Kind::Released, _) | (_, Kind::Released) => Kind::Released,
                (kind, _) => kind,
            };
            inputs.push(input);
        }
        let exprs = plan
            .expressions()
            .into_iter()
            .map(|expr| self.free(expr))
            .collect::<Result<Vec<_>>>()?;
        Ok((plan.with_new_exprs(exprs, inputs)?, kind))
    }

    /// An expression over released numbers: only its subqueries are looked at.
    fn free(&self, expr: Expr) -> Result<Expr> {
        let subquery = |subquery: Subquery| -> Result<Subquery> {
            let plan = self.query(Arc::unwrap_or_clone(subquery.subquery))?;
            Ok(Subquery {
                subquery: Arc::new(plan),
                ..subquery
            })
        };
        let transformed = expr.transform_up(|expr| {
            Ok(match expr {
                Expr::ScalarSubquery(inner) => {
                    Transformed::yes(Expr::ScalarSubquery(subquery(inner)?))
                }
                Expr::InSubquery(mut inner) => {
                    inner.subquery = subquery(inner.subquery)?;
                    Transformed::yes(Expr::InSubquery(inner))
                }
                Expr::Exists(mut inner) => {
                    inner.subquery = subquery(inner.subquery)?;
                    Transformed::yes(Expr::Exists(inner))
                }
                Expr::SetComparison(mut inner) => {
                    inner.subquery = subquery(inner.subquery)?;
                    Transformed::yes(Expr::SetComparison(inner))
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(transformed.data)
    }

    fn scan(&self, scan: TableScan) -> Result<(LogicalPlan, Kind)> {
        let Some(role) = self.sources.role(&scan) else {
            return refuse(
                "table",
                format!(
                    "the table `{}` is not one that this role may ask about",
                    scan.table_name
                ),
                "SHOW TABLES lists those that it may",
            );
        };
        let kind = match role {
            TableRole::Public(_) => Kind::Public,
            TableRole::Linked(_) => Kind::Linked,
            TableRole::Persons(key) => {
                let person = Column::new(Some(scan.table_name.clone()), key);
                if !scan.projected_schema.has_column(&person) || scan.fetch.is_some() {
                    return refuse(
                        "person-key",
                        format!(
                            "the policy does not let this role count the persons of `{}`",
                            scan.table_name
                        ),
                        "have the policy's author give the role the column of class `person_key`: it is counted, never shown",
                    );
                }
                let measured = scan
                    .projected_schema
                    .iter()
                    .filter(|(_, field)| is_measured_type(field.data_type()))
                    .map(Column::from)
                    .filter(|column| *column != person)
                    .map(|column| {
                        let name = format!("{}.{}", scan.table_name.table(), column.name);
                        (column, Measure::column(&name))
                    })
                    .collect();
                let table = scan.table_name.table();
                let origins: HashMap<_, _> = scan
                    .projected_schema
                    .iter()
                    .map(|field| {
                        let name = field.1.name().clone();
                        (Column::from(field), (table.to_owned(), name))
                    })
                    .collect();
                let bounds = origins
                    .iter()
                    .filter_map(|(column, (table, name))| {
                        Some((column.clone(), self.sources.bounds(table, name)?))
                    })
                    .collect();
                Kind::Rows(Rows {
                    persons: HashSet::from([person.clone()]),
                    person,
                    measured,
                    multiplied: false,
                    origins,
                    bounds,
                })
            }
        };
        Ok((LogicalPlan::TableScan(scan), kind))
    }

    fn alias(
        &self,
        alias: SubqueryAlias,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        let (input, kind) = self.relation(Arc::unwrap_or_clone(alias.input), outer)?;
        let plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(
            Arc::new(input),
            alias.alias.clone(),
        )?);
        let renamed = |column: &Column| Column::new(Some(alias.alias.clone()), column.name.clone());
        let kind = match kind {
            Kind::Rows(rows) => Kind::Rows(Rows {
                person: renamed(&rows.person),
                persons: rows.persons.iter().map(renamed).collect(),
                measured: rows
                    .measured
                    .iter()
                    .map(|(column, of)| (renamed(column), of.clone()))
                    .collect(),
                multiplied: rows.multiplied,
                origins: rows
                    .origins
                    .iter()
                    .map(|(column, of)| (renamed(column), of.clone()))
                    .collect(),
                bounds: rows
                    .bounds
                    .iter()
                    .map(|(column, of)| (renamed(column), *of))
                    .collect(),
            }),
            other => other,
        };
        Ok((plan, kind))
    }

    fn projection(
        &self,
        projection: Projection,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        let (input, kind) = self.relation((*projection.input).clone(), outer)?;
        let Kind::Rows(rows) = kind else {
            let schema = Arc::clone(input.schema());
            let scope = Scope {
                schema: &schema,
                persons: &HashSet::new(),
            };
            let names = NamePreserver::new_for_projection();
            let linked = matches!(kind, Kind::Linked);
            let exprs = projection
                .expr
                .into_iter()
                .map(|expr| {
                    if !linked {
                        return self.free(expr);
                    }
                    let saved = names.save(&expr);
                    Ok(saved.restore(scope.total(expr)?))
                })
                .collect::<Result<Vec<_>>>()?;
            let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?);
            return Ok((plan, kind));
        };
        let schema = Arc::clone(input.schema());
        let names = NamePreserver::new_for_projection();
        let (mut exprs, mut persons, mut measured) = (Vec::new(), HashSet::new(), Measures::new());
        let (mut origins, mut bounds) = (HashMap::new(), HashMap::new());
        let mut person = None;
        for (expr, output) in projection.expr.into_iter().zip(projection.schema.iter()) {
            let output = Column::from(output);
            if output.name.starts_with("__columna") && !rows.is_person(&expr) {
                return refuse(
                    "name",
                    "names that begin with `__columna` are taken",
                    "choose another name",
                );
            }
            let bare = match &expr {
                Expr::Alias(alias) => alias.expr.as_ref(),
                other => other,
            };
            if rows.is_person(bare) {
                if matches!(bare, Expr::Column(column) if *column == rows.person) {
                    person.get_or_insert_with(|| output.clone());
                }
                persons.insert(output);
                exprs.push(expr);
                continue;
            }
            if let Expr::Column(column) = bare
                && let Some(origin) = rows.origins.get(column)
            {
                origins.insert(output.clone(), origin.clone());
            }
            if let Some(range) = range(bare, &rows.bounds) {
                bounds.insert(output.clone(), range);
            }
            let saved = names.save(&expr);
            if let Some(of) = measure(&expr, &rows.measured, &schema)? {
                measured.insert(output, of);
            }
            exprs.push(saved.restore(rows.scope(&schema).total(expr)?));
        }
        let person = person.unwrap_or_else(|| {
            exprs.push(Expr::Column(rows.person.clone()).alias(PERSON));
            Column::new_unqualified(PERSON)
        });
        persons.insert(person.clone());
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?);
        let rows = Rows {
            person,
            persons,
            measured,
            multiplied: rows.multiplied,
            origins,
            bounds,
        };
        Ok((plan, Kind::Rows(rows)))
    }

    fn filter(&self, filter: Filter, outer: &mut Option<Outer<'_>>) -> Result<(LogicalPlan, Kind)> {
        let (input, kind) = self.relation((*filter.input).clone(), outer)?;
        let rows = match kind {
            Kind::Rows(rows) => rows,
            // Conditions on places tell of persons in them only where a person's row is joined.
            Kind::Linked => return self.linked_filter(filter.predicate, input),
            kind => {
                let predicate = self.free(filter.predicate)?;
                let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
                return Ok((plan, kind));
            }
        };
        let mut conditions = Vec::new();
        for condition in split_conjunction_owned(filter.predicate) {
            if let Some(outer) = outer.as_mut()
                && is_link(&condition, &rows, outer.rows)
            {
                outer.linked = true;
                conditions.push(condition);
                continue;
            }
            conditions.push(self.condition(condition, &rows, input.schema(), outer)?);
        }
        let predicate = datafusion::logical_expr::utils::conjunction(conditions)
            .unwrap_or_else(super::expression::always);
        let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
        Ok((plan, Kind::Rows(rows)))
    }

    fn linked_filter(&self, predicate: Expr, input: LogicalPlan) -> Result<(LogicalPlan, Kind)> {
        let scope = Scope {
            schema: input.schema(),
            persons: &HashSet::new(),
        };
        let predicate = scope.total(predicate)?;
        let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
        Ok((plan, Kind::Linked))
    }

    /// A condition on persons' rows.
    fn condition(
        &self,
        expr: Expr,
        rows: &Rows,
        schema: &DFSchema,
        outer: &Option<Outer<'_>>,
    ) -> Result<Expr> {
        match expr {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: op @ (Operator::And | Operator::Or),
                right,
            }) => Ok(Expr::BinaryExpr(BinaryExpr::new(
                Box::new(self.condition(*left, rows, schema, outer)?),
                op,
                Box::new(self.condition(*right, rows, schema, outer)?),
            ))),
            Expr::Not(inner) => Ok(Expr::Not(Box::new(
                self.condition(*inner, rows, schema, outer)?,
            ))),
            Expr::InSubquery(inner) => self.in_subquery(inner, rows, schema),
            Expr::Exists(mut exists) => {
                exists.subquery = self.exists(exists.subquery, rows)?;
                Ok(Expr::Exists(exists))
            }
            // The rows around a linked subquery are of the same person: their other columns may be compared.
            other => match outer {
                Some(outer) => self.with_outer(other, rows, schema, outer),
                None => rows.scope(schema).total(other),
            },
        }
    }

    fn with_outer(
        &self,
        expr: Expr,
        rows: &Rows,
        schema: &DFSchema,
        outer: &Outer<'_>,
    ) -> Result<Expr> {
        let BinaryExpr { left, op, right } = match expr {
            Expr::BinaryExpr(binary) if is_comparison(binary.op) => binary,
            other => return rows.scope(schema).total(other),
        };
        let side = |side: Expr| match side {
            Expr::OuterReferenceColumn(_, ref column) if !outer.rows.persons.contains(column) => {
                Ok(side)
            }
            other => rows.scope(schema).total(other),
        };
        Ok(Expr::BinaryExpr(BinaryExpr::new(
            Box::new(side(*left)?),
            op,
            Box::new(side(*right)?),
        )))
    }

    fn in_subquery(&self, inner: InSubquery, rows: &Rows, schema: &DFSchema) -> Result<Expr> {
        let by_person = rows.is_person(&inner.expr);
        let (plan, kind) =
            self.relation(Arc::unwrap_or_clone(inner.subquery.subquery), &mut None)?;
        let first = plan.schema().iter().next().map(Column::from);
        let plan = match (kind, first) {
            (Kind::Public, _) if !by_person => plan,
            (Kind::Rows(of), Some(first)) if by_person && of.persons.contains(&first) => {
                LogicalPlan::Projection(Projection::try_new(
                    vec![Expr::Column(first)],
                    Arc::new(plan),
                )?)
            }
            _ => {
                return refuse(
                    "subquery",
                    "IN (SELECT ...) on persons' rows must compare the person with persons, or a value with a public table",
                    "write `person_id IN (SELECT person_id FROM ...)`",
                );
            }
        };
        let expr = if by_person {
            inner.expr
        } else {
            Box::new(rows.scope(schema).total(*inner.expr)?)
        };
        Ok(Expr::InSubquery(InSubquery {
            expr,
            subquery: Subquery {
                subquery: Arc::new(plan),
                ..inner.subquery
            },
            negated: inner.negated,
        }))
    }

    fn exists(&self, subquery: Subquery, rows: &Rows) -> Result<Subquery> {
        let mut outer = Some(Outer {
            rows,
            linked: false,
        });
        let (plan, _) = self.relation(Arc::unwrap_or_clone(subquery.subquery), &mut outer)?;
        if !outer.is_some_and(|outer| outer.linked) {
            return refuse(
                "subquery",
                "EXISTS must be linked to the row by the person, or it would tell of another one",
                "write `EXISTS (SELECT 1 FROM b WHERE b.person_id = a.person_id AND ...)`",
            );
        }
        Ok(Subquery {
            subquery: Arc::new(plan),
            ..subquery
        })
    }

    fn join(&self, join: Join, outer: &mut Option<Outer<'_>>) -> Result<(LogicalPlan, Kind)> {
        let (left, left_kind) = self.relation((*join.left).clone(), outer)?;
        let (right, right_kind) = self.relation((*join.right).clone(), outer)?;
        let public = matches!((&left_kind, &right_kind), (Kind::Public, Kind::Public));
        let kind = match (left_kind, right_kind) {
            (Kind::Public | Kind::Released, Kind::Public | Kind::Released) => {
                let filter = join.filter.map(|filter| self.free(filter)).transpose()?;
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
            (Kind::Rows(rows), Kind::Public | Kind::Linked) => {
                let left_rows = matches!(
                    join.join_type,
                    JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
                );
                if !left_rows {
                    return no_person(&join);
                }
                self.looked_up(&join, rows, &right)
            }
            (Kind::Public | Kind::Linked, Kind::Rows(rows)) => {
                let right_rows = matches!(
                    join.join_type,
                    JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
                );
                if !right_rows {
                    return no_person(&join);
                }
                self.looked_up(&join, rows, &left)
            }
            (Kind::Linked, Kind::Public | Kind::Linked) | (Kind::Public, Kind::Linked) => {
                let both = left.schema().join(right.schema())?;
                let scope = Scope {
                    schema: &both,
                    persons: &HashSet::new(),
                };
                let on = join
                    .on
                    .into_iter()
                    .map(|(a, b)| Ok((scope.total(a)?, scope.total(b)?)))
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
        let scope = Scope {
            schema: &both,
            persons: &kind.persons,
        };
        let mut on = Vec::new();
        for (a, b) in join.on {
            let by_person = kind_of_pair(&kind, &a, &b);
            on.push(if by_person {
                (a, b)
            } else {
                (scope.total(a)?, scope.total(b)?)
            });
        }
        // The person columns of both sides are compared here and nowhere else.
        let filter = join
            .filter
            .map(|filter| {
                let parts = split_conjunction_owned(filter)
                    .into_iter()
                    .map(|part| match &part {
                        Expr::BinaryExpr(BinaryExpr {
                            left,
                            op: Operator::Eq,
                            right,
                        }) if kind_of_pair(&kind, left, right) => Ok(part),
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
        rows.multiplied |= !(semi || by_key);
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
            _ => None,
        }
    }

    fn aggregate(
        &self,
        aggregate: Aggregate,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        let (input, kind) = self.relation((*aggregate.input).clone(), outer)?;
        let rows = match kind {
            Kind::Rows(rows) => rows,
            Kind::Linked => {
                return refuse(
                    "rows",
                    "this role sees such a table only joined to persons' rows",
                    "join it to a table of persons by its key, and aggregate",
                );
            }
            kind => {
                let free = |exprs: Vec<Expr>| {
                    exprs
                        .into_iter()
                        .map(|expr| self.free(expr))
                        .collect::<Result<Vec<_>>>()
                };
                let plan = LogicalPlan::Aggregate(Aggregate::try_new(
                    Arc::new(input),
                    free(aggregate.group_expr)?,
                    free(aggregate.aggr_expr)?,
                )?);
                return Ok((plan, kind));
            }
        };
        if outer.is_some() && !aggregate.group_expr.iter().any(|expr| rows.is_person(expr)) {
            return refuse(
                "subquery",
                "a subquery in a condition on persons' rows cannot aggregate over several persons",
                "group it by the person",
            );
        }
        if aggregate
            .group_expr
            .iter()
            .any(|expr| matches!(expr, Expr::Column(column) if *column == rows.person))
        {
            return self.by_person(&aggregate, input, &rows);
        }
        let plan = self.releaser.release(&aggregate, input, &rows)?;
        Ok((plan, Kind::Released))
    }

    /// A grouping that leaves each row with one person: still rows.
    fn by_person(
        &self,
        aggregate: &Aggregate,
        input: LogicalPlan,
        rows: &Rows,
    ) -> Result<(LogicalPlan, Kind)> {
        let schema = Arc::clone(input.schema());
        let scope = rows.scope(&schema);
        let names = NamePreserver::new_for_projection();
        let mut persons = HashSet::new();
        let mut measured = Measures::new();
        let (mut origins, mut bounds) = (HashMap::new(), HashMap::new());
        let mut outputs = aggregate.schema.iter().map(Column::from);
        let mut groups = Vec::new();
        for expr in &aggregate.group_expr {
            let output = outputs.next();
            if rows.is_person(expr) {
                persons.extend(output);
                groups.push(expr.clone());
                continue;
            }
            let saved = names.save(expr);
            if let (Expr::Column(column), Some(output)) = (expr, &output) {
                if let Some(origin) = rows.origins.get(column) {
                    origins.insert(output.clone(), origin.clone());
                }
                if let Some(range) = rows.bounds.get(column) {
                    bounds.insert(output.clone(), *range);
                }
            }
            if let (Some(output), Some(of)) = (output, measure(expr, &rows.measured, &schema)?) {
                measured.insert(output, of);
            }
            groups.push(saved.restore(scope.total(expr.clone())?));
        }
        let mut functions = Vec::new();
        for expr in &aggregate.aggr_expr {
            let output = outputs.next();
            let saved = names.save(expr);
            let (call, of_rows) = per_person(expr, &scope, rows)?;
            if let (Some(output), Some(range)) = (&output, of_one(expr, &rows.bounds)) {
                bounds.insert(output.clone(), range);
            }
            if let (Some(output), Some(of)) = (output, of_rows)
                && aggregate
                    .schema
                    .field_from_column(&output)
                    .is_ok_and(|field| is_measured_type(field.data_type()))
            {
                measured.insert(output, of);
            }
            functions.push(saved.restore(call));
        }
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, functions)?);
        let rows = Rows {
            person: rows.person.clone(),
            persons,
            measured,
            multiplied: false,
            origins,
            bounds,
        };
        Ok((plan, Kind::Rows(rows)))
    }

    fn distinct(
        &self,
        distinct: Distinct,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        let Distinct::All(input) = distinct else {
            return self.above(&LogicalPlan::Distinct(distinct), outer);
        };
        let width = input.schema().fields().len();
        let (input, kind) = self.relation(Arc::unwrap_or_clone(input), outer)?;
        if let Kind::Rows(rows) = &kind {
            let selected = input
                .schema()
                .iter()
                .take(width)
                .any(|column| Column::from(column) == rows.person);
            if !selected || input.schema().fields().len() != width {
                return refuse(
                    "distinct",
                    "DISTINCT over several persons lists values that single persons may have",
                    "use GROUP BY with count(*): values of enough persons are listed",
                );
            }
        }
        if matches!(kind, Kind::Linked) {
            return refuse(
                "rows",
                "this role sees such a table only joined to persons' rows",
                "join it to a table of persons by its key, and aggregate",
            );
        }
        let kind = match kind {
            Kind::Rows(rows) => Kind::Rows(Rows {
                multiplied: false,
                ..rows
            }),
            other => other,
        };
        Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(input))), kind))
    }

    fn sort(&self, sort: Sort, outer: &mut Option<Outer<'_>>) -> Result<(LogicalPlan, Kind)> {
        let (input, kind) = self.relation((*sort.input).clone(), outer)?;
        match kind {
            // Rows have no order that an aggregate could see.
            Kind::Rows(_) | Kind::Linked if sort.fetch.is_none() => Ok((input, kind)),
            Kind::Rows(_) | Kind::Linked => refuse(
                "shape",
                "LIMIT of persons' rows is not known to be safe",
                "take all rows, aggregate them, and limit the result",
            ),
            kind => {
                let expr = sort
                    .expr
                    .into_iter()
                    .map(|mut by| {
                        by.expr = self.free(by.expr)?;
                        Ok(by)
                    })
                    .collect::<Result<Vec<_>>>()?;
                let plan = LogicalPlan::Sort(Sort {
                    expr,
                    input: Arc::new(input),
                    fetch: sort.fetch,
                });
                Ok((plan, kind))
            }
        }
    }
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
    )
}

/// Whether two join keys are the persons of both sides.
fn kind_of_pair(rows: &Rows, a: &Expr, b: &Expr) -> bool {
    rows.is_person(a) && rows.is_person(b)
}

fn is_link(condition: &Expr, rows: &Rows, outer: &Rows) -> bool {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = condition
    else {
        return false;
    };
    let outside = |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if *column == outer.person);
    let inside = |expr: &Expr| matches!(expr, Expr::Column(column) if *column == rows.person);
    (inside(left) && outside(right)) || (outside(left) && inside(right))
}

fn persons_joined(join: &Join, a: Rows, b: Rows) -> Result<Rows> {
    let pair = |left: &Expr, right: &Expr| {
        let of = |expr: &Expr, rows: &Rows| matches!(expr, Expr::Column(column) if *column == rows.person);
        (of(left, &a) && of(right, &b)) || (of(left, &b) && of(right, &a))
    };
    let in_filter = join.filter.as_ref().is_some_and(|filter| {
        split_conjunction_owned(filter.clone()).iter().any(|part| {
            matches!(part, Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) if pair(left, right))
        })
    });
    if !(in_filter || join.on.iter().any(|(left, right)| pair(left, right))) {
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
    // Rows multiply within a person only, and rows of a person are counted as they are.
    Ok(Rows {
        person: person.clone(),
        persons: a.persons.union(&b.persons).cloned().collect(),
        measured: a.measured.into_iter().chain(b.measured).collect(),
        multiplied: a.multiplied || b.multiplied,
        origins: a.origins.into_iter().chain(b.origins).collect(),
        bounds: a.bounds.into_iter().chain(b.bounds).collect(),
    })
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

/// An aggregate of one person's rows, and whether its result may be summed up.
fn per_person(expr: &Expr, scope: &Scope<'_>, rows: &Rows) -> Result<(Expr, Option<Measure>)> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = plain(expr) else {
        return refuse(
            "function",
            "this aggregate is not known to be safe on one person's rows",
            "use count, sum, avg, min, max, bool_and or bool_or",
        );
    };
    if !PER_PERSON.contains(&func.name()) || !params.order_by.is_empty() {
        return refuse(
            "function",
            format!(
                "`{}` is not known to be safe on one person's rows",
                func.name()
            ),
            "use count, sum, avg, min, max, bool_and or bool_or, without ORDER BY",
        );
    }
    let counts = func.name() == "count";
    let mut columns = BTreeSet::new();
    let mut measured = counts;
    let mut args = Vec::new();
    for arg in &params.args {
        if counts && rows.is_person(arg) {
            args.push(arg.clone());
            continue;
        }
        if let Some(of) = measure(arg, &rows.measured, scope.schema)? {
            measured = true;
            columns.extend(of.columns);
        }
        args.push(scope.total(arg.clone())?);
    }
    let filter = params
        .filter
        .as_ref()
        .map(|filter| scope.total(filter.as_ref().clone()).map(Box::new))
        .transpose()?;
    let call = AggregateFunction::new_udf(
        Arc::clone(func),
        args,
        params.distinct,
        filter,
        vec![],
        params.null_treatment,
    );
    let call = Expr::AggregateFunction(call);
    if counts {
        columns.insert("count".to_owned());
    }
    let of = measured.then(|| Measure::atom(without_tables(&call), columns));
    Ok((call, of))
}

/// The range of an aggregate of one person's rows: the lowest, highest and mean value are within the column's.
fn of_one(expr: &Expr, bounds: &HashMap<Column, (f64, f64)>) -> Option<(f64, f64)> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = plain(expr) else {
        return None;
    };
    match (func.name(), params.args.as_slice()) {
        ("min" | "max" | "avg", [arg]) => range(arg, bounds),
        _ => None,
    }
}

/// An expression's text without the aliases that a query gives its tables.
pub(super) fn without_tables(expr: &Expr) -> String {
    let bare = expr.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    });
    bare.map_or_else(|_| expr.to_string(), |bare| bare.data.to_string())
}

/// The aggregate of an expression of a grouping.
pub(super) fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => plain(&alias.expr),
        other => other,
    }
}

fn name_of(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Limit(_) => "LIMIT",
        LogicalPlan::Union(_) => "UNION",
        LogicalPlan::Window(_) => "a window function",
        LogicalPlan::Unnest(_) => "unnest",
        LogicalPlan::Explain(_) => "EXPLAIN",
        LogicalPlan::Analyze(_) => "EXPLAIN ANALYZE",
        LogicalPlan::Copy(_) => "COPY",
        LogicalPlan::Ddl(_) => "CREATE or DROP",
        LogicalPlan::Dml(_) => "INSERT, UPDATE or DELETE",
        LogicalPlan::RecursiveQuery(_) => "a recursive query",
        LogicalPlan::Distinct(_) => "DISTINCT",
        _ => "this",
    }
}
