//! What a query of an aggregate or differentially private role may look like.
//!
//! Three kinds of relations. *Rows* belong to one person each, and carry the person's number through projections,
//! joins and groupings, whether the query names it or not. The first grouping that leaves the person out is where
//! numbers about groups of persons arise: there a release stands. Whatever comes after it, and all that was public
//! to begin with, is the query's own affair: ordering, limits, conditions and quotients of released numbers tell
//! nothing that the numbers don't.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, LogicalPlan, Projection, Sort, Subquery, SubqueryAlias, TableScan,
    Union,
};

use super::condition::{expression_looks_out, is_link, looking_out, without_between};
use super::double::bounded;
use super::expression::{Scope, range, uncast};
use super::join::within_joins;
use super::measure::{Measure, Measures, is_measured, measure};
use super::record::is_record;
use super::refused::{refuse, within};
use super::sources::{Sources, TableRole, twin};

/// The name under which the person is carried where a query does not select it.
pub(super) const PERSON: &str = "__columna_person";

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
    /// A condition chose among a person's rows, here or in what was joined.
    pub(super) chosen: bool,
    /// Columns of which no two rows have the same value. Where the person is one of them, each has one row at most.
    pub(super) keys: HashSet<Column>,
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
            origins: &self.origins,
        }
    }

    pub(super) fn is_person(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Column(column) if self.persons.contains(column))
    }

    /// The stored column that an expression is. A record's number is one in any type.
    pub(super) fn origin(&self, expr: &Expr) -> Option<&(String, String)> {
        match (expr, uncast(expr)) {
            (Expr::Column(column), _) => self.origins.get(column),
            (_, Expr::Column(column)) => {
                self.origins.get(column).filter(|origin| is_record(origin))
            }
            _ => None,
        }
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

pub(super) struct Shaper<'a> {
    pub(super) sources: &'a dyn Sources,
    pub(super) releaser: &'a dyn Releaser,
}

/// The rows around a subquery, and whether it was linked to them by the person.
pub(super) struct Outer<'a> {
    pub(super) rows: &'a Rows,
    pub(super) schema: &'a DFSchema,
    pub(super) linked: bool,
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

    pub(super) fn relation(
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
    pub(super) fn above(
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
                            "LIMIT" => {
                                "this role sees numbers about groups and no rows: aggregate them, and limit the result"
                            }
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
            .map(|expr| self.free(expr, outer))
            .collect::<Result<Vec<_>>>()?;
        let plan = match plan {
            // Which columns may be NULL follows from what is released, not from what was asked for.
            LogicalPlan::Union(_) => {
                LogicalPlan::Union(Union::try_new(inputs.into_iter().map(Arc::new).collect())?)
            }
            plan => plan.with_new_exprs(exprs, inputs)?,
        };
        Ok((plan, kind))
    }

    /// An expression over released numbers: only its subqueries are looked at. Within a subquery of persons' rows it may
    /// not look at those.
    pub(super) fn free(&self, expr: Expr, outer: &Option<Outer<'_>>) -> Result<Expr> {
        if outer.is_some() && expression_looks_out(&expr)? {
            return looking_out();
        }
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
                    .filter(|(_, field)| is_measured(field))
                    .map(Column::from)
                    .filter(|column| *column != person)
                    .map(|column| {
                        let name = format!("{}.{}", scan.table_name.table(), column.name);
                        let twin = twin(scan.table_name.table(), &column.name);
                        (column, Measure::column(&name).beside(twin))
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
                let key = self.sources.key(&scan);
                let keys = key
                    .map(|key| Column::new(Some(scan.table_name.clone()), key))
                    .filter(|key| scan.projected_schema.has_column(key))
                    .into_iter()
                    .collect();
                Kind::Rows(Rows {
                    persons: HashSet::from([person.clone()]),
                    person,
                    measured,
                    multiplied: false,
                    chosen: false,
                    keys,
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
                chosen: rows.chosen,
                keys: rows.keys.iter().map(renamed).collect(),
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
                origins: &self.linked_origins(&input),
            };
            let names = NamePreserver::new_for_projection();
            let linked = matches!(kind, Kind::Linked);
            let exprs = projection
                .expr
                .into_iter()
                .map(|expr| {
                    if !linked {
                        return self.free(expr, outer);
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
        let mut keys = HashSet::new();
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
            if matches!(bare, Expr::Column(column) if rows.keys.contains(column)) {
                keys.insert(output.clone());
            }
            if rows.is_person(bare) {
                if matches!(bare, Expr::Column(column) if *column == rows.person) {
                    person.get_or_insert_with(|| output.clone());
                }
                persons.insert(output);
                exprs.push(expr);
                continue;
            }
            if let Some(origin) = rows.origin(bare) {
                origins.insert(output.clone(), origin.clone());
            }
            if let Some(range) = range(bare, &rows.bounds) {
                bounds.insert(output.clone(), range);
            }
            let saved = names.save(&expr);
            let mut expr = expr;
            if let Some(of) = measure(&expr, &rows.measured, &schema)? {
                measured.insert(output, of);
                expr = bounded(expr, &schema)?;
            }
            let total = within(rows.scope(&schema).total(expr.clone()), &expr)?;
            exprs.push(saved.restore(total));
        }
        let person = person.unwrap_or_else(|| {
            exprs.push(Expr::Column(rows.person.clone()).alias(PERSON));
            Column::new_unqualified(PERSON)
        });
        if rows.keys.contains(&rows.person) {
            keys.insert(person.clone());
        }
        persons.insert(person.clone());
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?);
        let rows = Rows {
            person,
            persons,
            measured,
            multiplied: rows.multiplied,
            chosen: rows.chosen,
            keys,
            origins,
            bounds,
        };
        Ok((plan, Kind::Rows(rows)))
    }

    fn filter(&self, filter: Filter, outer: &mut Option<Outer<'_>>) -> Result<(LogicalPlan, Kind)> {
        let filter = within_joins(filter)?;
        let (input, kind) = self.relation((*filter.input).clone(), outer)?;
        let rows = match kind {
            Kind::Rows(rows) => Rows {
                chosen: true,
                ..rows
            },
            // Conditions on places tell of persons in them only where a person's row is joined.
            Kind::Linked => return self.linked_filter(filter.predicate, input),
            kind => {
                let predicate = self.free(filter.predicate, outer)?;
                let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
                return Ok((plan, kind));
            }
        };
        let mut conditions = Vec::new();
        let conditions_of = split_conjunction_owned(filter.predicate);
        for condition in conditions_of.into_iter().flat_map(without_between) {
            if let Some(outer) = outer.as_mut()
                && is_link(&condition, &rows, outer.rows)
            {
                outer.linked = true;
                conditions.push(condition);
                continue;
            }
            let total = self.condition(condition.clone(), &rows, input.schema(), outer);
            conditions.push(within(total, &condition)?);
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
            origins: &self.linked_origins(&input),
        };
        let predicate = scope.total(predicate)?;
        let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
        Ok((plan, Kind::Linked))
    }

    fn sort(&self, sort: Sort, outer: &mut Option<Outer<'_>>) -> Result<(LogicalPlan, Kind)> {
        let (input, kind) = self.relation((*sort.input).clone(), outer)?;
        match kind {
            // Rows have no order that an aggregate could see.
            Kind::Rows(_) | Kind::Linked if sort.fetch.is_none() => Ok((input, kind)),
            Kind::Rows(_) | Kind::Linked => refuse(
                "shape",
                "LIMIT of persons' rows is not known to be safe",
                "this role sees numbers about groups and no rows: aggregate them, and limit the result",
            ),
            kind => {
                let expr = sort
                    .expr
                    .into_iter()
                    .map(|mut by| {
                        by.expr = self.free(by.expr, outer)?;
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
