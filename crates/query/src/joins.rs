//! Joins as the engine plans them.
//!
//! `SEMI JOIN` and `ANTI JOIN` are those of the left side. What `JOIN … USING (person_id)` makes of `person_id` is mended in three
//! places (DataFusion 55): in WHERE the engine takes the name for that of two columns, after RIGHT and FULL JOIN for the left
//! side's column, which is NULL where only the right side has a row, and after two joins it does not know which column it is.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, ExceptSelectItem, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, JoinConstraint, JoinOperator, ObjectName,
    OrderBy, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableAliasColumnDef, TableFactor, TableFunctionArgs, TableWithJoins, TypedString,
    VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions,
};

use crate::dialect::query;

/// Functions that make a list in an expression, and a table in FROM.
const SERIES: [&str; 2] = ["generate_series", "range"];

/// Writes joins so that they can be planned.
#[derive(Debug)]
pub(crate) struct Joins;

impl VisitorMut for Joins {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        match selects(&mut query.body, &mut query.order_by) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<DataFusionError> {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = table
        {
            of_the_left(table_with_joins);
        }
        match of_rows(table) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(other)) => {
                *table = other;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// `generate_series(t.first, t.last)` in FROM, of the rows beside it, as a subquery that unnests the list. The engine takes
/// literals only.
fn of_rows(table: &TableFactor) -> Result<Option<TableFactor>> {
    let (name, args, alias) = match table {
        TableFactor::Table {
            name,
            args: Some(TableFunctionArgs { args, .. }),
            alias,
            ..
        } => (name, args, alias),
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality: false,
            ..
        } => (name, args, alias),
        _ => return Ok(None),
    };
    let name = name.to_string().to_ascii_lowercase();
    let lists = SERIES.contains(&name.as_str());
    let looks_out = visit_expressions(args, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    // Of moments the engine takes those in nanoseconds.
    let of_moments = visit_expressions(args, |expr| match expr {
        Expr::TypedString(TypedString { data_type, .. }) | Expr::Cast { data_type, .. }
            if matches!(data_type, DataType::Timestamp(..)) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    let lateral = looks_out.is_break();
    if !(lists && (lateral || of_moments.is_break()) || name == "unnest") {
        return Ok(None);
    }
    let arguments: Vec<String> = args.iter().map(ToString::to_string).collect();
    let list = match lists {
        true => format!("{name}({})", arguments.join(", ")),
        false => arguments.join(", "),
    };
    let sql = format!("SELECT unnest({list}) AS \"{name}\"");
    let subquery = Box::new(query(&sql)?);
    let alias = alias.clone().unwrap_or_else(|| called(&name));
    Ok(Some(TableFactor::Derived {
        lateral,
        subquery,
        alias: Some(alias),
        sample: None,
    }))
}

fn selects(body: &mut SetExpr, order: &mut Option<OrderBy>) -> Result<()> {
    match body {
        SetExpr::Select(select) => {
            select.from.iter_mut().for_each(of_the_left);
            named_by_function(select);
            qualify(select, order)
        }
        SetExpr::SetOperation { left, right, .. } => {
            selects(left, &mut None)?;
            selects(right, &mut None)
        }
        _ => Ok(()),
    }
}

/// `SELECT range FROM range(3)`: the one column of such a table, `value` here, where it is asked for by the function's name and
/// nothing else is called so.
fn named_by_function(select: &mut Select) {
    let mut tables = select.from.iter().flat_map(|tables| {
        let joined = tables.joins.iter().map(|join| &join.relation);
        std::iter::once(&tables.relation).chain(joined)
    });
    if tables.all(|table| series(table).is_none()) {
        return;
    }
    let mut asked: Vec<Vec<Ident>> = Vec::new();
    let mut look = OutsideSubqueries::new(|expr| match expr {
        Expr::Identifier(name) => asked.push(vec![name.clone()]),
        Expr::CompoundIdentifier(names) => asked.push(names.clone()),
        _ => {}
    });
    // The visitor never breaks off.
    let _ = select.clone().visit(&mut look);
    let is = |ident: &Ident, name: &str| ident.value.eq_ignore_ascii_case(name);
    let gives = |item: &SelectItem, name: &str| matches!(item, SelectItem::ExprWithAlias { alias, .. } if is(alias, name));
    if asked.iter().flatten().any(|ident| is(ident, "value")) {
        return;
    }
    let given = select.projection.clone();
    for tables in &mut select.from {
        let joined = tables.joins.iter_mut().map(|join| &mut join.relation);
        for table in std::iter::once(&mut tables.relation).chain(joined) {
            let Some(name) = series(table) else { continue };
            let TableFactor::Table { alias, .. } = table else {
                continue;
            };
            let own = alias.as_ref();
            let own = own.map_or(name.as_str(), |alias| &alias.name.value);
            let is_asked = asked.iter().any(|names| match names.as_slice() {
                [column] => is(column, &name),
                [table, column] => is(table, own) && is(column, &name),
                _ => false,
            });
            if is_asked && !given.iter().any(|item| gives(item, &name)) {
                let alias = alias.get_or_insert_with(|| called(&name));
                alias.columns = vec![TableAliasColumnDef::from_name(&name)];
            }
        }
    }
}

/// The name of a function that makes a table of numbers or times whose column has no name yet.
fn series(table: &TableFactor) -> Option<String> {
    let TableFactor::Table {
        name,
        args: Some(_),
        alias,
        ..
    } = table
    else {
        return None;
    };
    let named = alias
        .as_ref()
        .is_some_and(|alias| !alias.columns.is_empty());
    let name = name.to_string().to_ascii_lowercase();
    (!named && SERIES.contains(&name.as_str())).then_some(name)
}

/// A table's own name.
fn called(name: &str) -> TableAlias {
    TableAlias {
        explicit: true,
        name: Ident::new(name),
        columns: Vec::new(),
        at: None,
    }
}

fn of_the_left(tables: &mut TableWithJoins) {
    for join in &mut tables.joins {
        let operator = &mut join.join_operator;
        *operator = match operator.clone() {
            JoinOperator::Semi(on) => JoinOperator::LeftSemi(on),
            JoinOperator::Anti(on) => JoinOperator::LeftAnti(on),
            other => other,
        };
    }
}

/// A column that joins share by name, and what it is.
struct Shared {
    name: Ident,
    value: Expr,
    /// The engine takes it for another everywhere, not only in WHERE.
    everywhere: bool,
    /// It is of the table that has the row.
    outer: bool,
}

/// The columns that `*` does not show, by table.
#[derive(Default)]
struct Hidden {
    columns: Vec<(Ident, Vec<Ident>)>,
    /// The engine shows others: of a LEFT JOIN those of the table whose name is the first in the alphabet, NULL or not.
    needed: bool,
    /// Of a NATURAL LEFT JOIN it is not known which they are.
    unknown: bool,
}

/// Puts in place of the columns of USING what they are.
fn qualify(select: &mut Select, order: &mut Option<OrderBy>) -> Result<()> {
    let mut columns: Vec<Shared> = Vec::new();
    let mut hidden = Hidden::default();
    for tables in &mut select.from {
        columns.extend(shared(tables, &mut hidden)?);
    }
    let is_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_));
    if hidden.unknown && select.projection.iter().any(is_all) {
        return plan_err!("`*` is not supported after NATURAL LEFT JOIN: write `USING (…)`");
    }
    if !columns.iter().any(|column| column.outer) {
        expand(select, &hidden)?;
    }
    if columns.is_empty() {
        return Ok(());
    }
    put(&columns, &mut select.selection);
    columns.retain(|column| column.everywhere);
    if columns.is_empty() {
        return Ok(());
    }
    for item in &mut select.projection {
        match item {
            SelectItem::Wildcard(_) if columns.iter().any(|column| column.outer) => {
                return plan_err!(
                    "`*` is not supported after RIGHT or FULL JOIN with USING: name the columns"
                );
            }
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                let known = columns.iter().find(|known| same(&known.name, name));
                if let Some(known) = known {
                    *item = SelectItem::ExprWithAlias {
                        expr: known.value.clone(),
                        alias: name.clone(),
                    };
                }
            }
            _ => {
                put(&columns, item);
            }
        }
    }
    put(&columns, &mut select.group_by);
    put(&columns, &mut select.having);
    put(&columns, &mut select.qualify);
    put(&columns, &mut select.named_window);
    // What ORDER BY names is a column of the answer, where there is one of the name.
    columns.retain(|column| {
        !select.projection.iter().any(|item| {
            matches!(item, SelectItem::ExprWithAlias { alias, .. } if same(alias, &column.name))
        })
    });
    if let Some(OrderBy {
        kind: OrderByKind::Expressions(orders),
        ..
    }) = order
    {
        put(&columns, orders);
    }
    Ok(())
}

/// Writes `*` table by table, without the columns that joins share and that an earlier table shows.
fn expand(select: &mut Select, hidden: &Hidden) -> Result<()> {
    if hidden.columns.is_empty() {
        return Ok(());
    }
    let plain = |item: &SelectItem| matches!(item, SelectItem::Wildcard(options) if options.to_string().is_empty());
    let mut items = Vec::new();
    for item in std::mem::take(&mut select.projection) {
        if !matches!(item, SelectItem::Wildcard(_)) {
            items.push(item);
            continue;
        }
        let tables = select.from.iter().flat_map(|tables| {
            let joined = tables
                .joins
                .iter()
                .filter(|join| !is_test(&join.join_operator));
            std::iter::once(&tables.relation).chain(joined.map(|join| &join.relation))
        });
        let tables: Option<Vec<Ident>> = tables.map(name).collect();
        let Some(tables) = tables.filter(|_| plain(&item)) else {
            if hidden.needed {
                return plan_err!(
                    "`*` is not supported here, where tables without a name, or more than two, share a column by USING: name the columns"
                );
            }
            items.push(item);
            continue;
        };
        for table in tables {
            let mut options = WildcardAdditionalOptions::default();
            let columns = hidden.columns.iter().find(|(known, _)| same(known, &table));
            if let Some((first, rest)) = columns.and_then(|(_, columns)| columns.split_first()) {
                options.opt_except = Some(ExceptSelectItem {
                    first_element: first.clone(),
                    additional_elements: rest.to_vec(),
                });
            }
            let table = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![table]));
            items.push(SelectItem::QualifiedWildcard(table, options));
        }
    }
    select.projection = items;
    Ok(())
}

fn is_test(join: &JoinOperator) -> bool {
    matches!(join, JoinOperator::LeftSemi(_) | JoinOperator::LeftAnti(_))
}

/// The columns that joins share by name, and those that `*` does not show, by table. A join by a column that others share
/// already is written with ON: the engine takes the column's name for that of several.
fn shared(tables: &mut TableWithJoins, hidden: &mut Hidden) -> Result<Vec<Shared>> {
    let mut columns: Vec<Shared> = Vec::new();
    let first = name(&tables.relation);
    // Whether all tables before the next one share the column, or there is one only.
    let mut single = true;
    for join in &mut tables.joins {
        use JoinOperator::{
            FullOuter, Inner, Join, Left, LeftAnti, LeftOuter, LeftSemi, Right, RightOuter,
        };
        let table = name(&join.relation);
        let left = matches!(join.join_operator, Left(_) | LeftOuter(_));
        let (on, right, full) = match &mut join.join_operator {
            Join(on) | Inner(on) | Left(on) | LeftOuter(on) => (on, false, false),
            Right(on) | RightOuter(on) => (on, true, false),
            FullOuter(on) => (on, false, true),
            LeftSemi(_) | LeftAnti(_) => continue,
            _ => {
                single = false;
                continue;
            }
        };
        let names = match on {
            JoinConstraint::Using(names) => names,
            JoinConstraint::Natural if right || full => {
                return plan_err!(
                    "NATURAL RIGHT and FULL JOIN are not supported: write `USING (…)`"
                );
            }
            on => {
                hidden.unknown |= left && *on == JoinConstraint::Natural;
                single = false;
                continue;
            }
        };
        hidden.needed |= left;
        let mut equal: Option<Vec<Expr>> = Some(Vec::new());
        let mut again = false;
        for column in names.iter() {
            let Some(column) = column.0.last().and_then(|part| part.as_ident()) else {
                continue;
            };
            let known = columns.iter().position(|known| same(&known.name, column));
            let known = known.map(|at| columns.remove(at));
            let third = known.is_some();
            again |= third;
            if known.as_ref().is_some_and(|known| known.outer) {
                return plan_err!(
                    "USING ({column}) after a RIGHT or FULL JOIN with USING ({column}) is not supported: join by `ON`"
                );
            }
            let before = match (known, &first) {
                (Some(known), _) => Some(known.value),
                // Of several tables it is not known which has the column.
                (None, Some(first)) if single => Some(of(first, column)),
                _ => None,
            };
            let after = table.as_ref().map(|table| of(table, column));
            equal = equal
                .zip(before.clone().zip(after.clone()))
                .map(|(mut all, (one, other))| {
                    all.push(Expr::BinaryOp {
                        left: Box::new(one),
                        op: BinaryOperator::Eq,
                        right: Box::new(other),
                    });
                    all
                });
            let value = match (right, full) {
                (false, false) => before,
                (true, _) => after,
                _ => before
                    .zip(after)
                    .map(|(before, after)| coalesce([before, after])),
            };
            let outer = right || full;
            match value {
                Some(value) => columns.push(Shared {
                    name: column.clone(),
                    value,
                    everywhere: outer || third,
                    outer,
                }),
                None if outer => {
                    return Err(plan_datafusion_err!(
                        "RIGHT and FULL JOIN with USING ({column}) need names for both tables: join by `ON`"
                    ));
                }
                None => {}
            }
        }
        if let Some(table) = table {
            let columns = names.iter();
            let columns = columns.filter_map(|name| name.0.last()?.as_ident().cloned());
            hidden.columns.push((table, columns.collect()));
        }
        let equal = equal.filter(|_| again).and_then(|equal| {
            equal.into_iter().reduce(|all, one| Expr::BinaryOp {
                left: Box::new(all),
                op: BinaryOperator::And,
                right: Box::new(one),
            })
        });
        if let Some(equal) = equal {
            *on = JoinConstraint::On(equal);
            hidden.needed = true;
        }
        single = false;
    }
    Ok(columns)
}

pub(crate) fn name(table: &TableFactor) -> Option<Ident> {
    match table {
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

pub(crate) fn of(table: &Ident, column: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![table.clone(), column.clone()])
}

fn coalesce(values: [Expr; 2]) -> Expr {
    let arguments = values.map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("coalesce")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub(crate) fn same(one: &Ident, other: &Ident) -> bool {
    match (one.quote_style, other.quote_style) {
        (None, None) => one.value.eq_ignore_ascii_case(&other.value),
        _ => one.value == other.value,
    }
}

/// Puts values in place of names.
fn put(columns: &[Shared], within: &mut impl VisitMut) {
    let mut names = OutsideSubqueries::new(|expr| {
        if let Expr::Identifier(name) = expr
            && let Some(known) = columns.iter().find(|known| same(&known.name, name))
        {
            *expr = known.value.clone();
        }
    });
    // The visitor never breaks off.
    let _ = within.visit(&mut names);
}

/// Changes expressions, and not those of subqueries, which have names of their own.
pub(crate) struct OutsideSubqueries<F> {
    change: F,
    depth: usize,
}

impl<F: FnMut(&mut Expr)> OutsideSubqueries<F> {
    pub(crate) fn new(change: F) -> Self {
        Self { change, depth: 0 }
    }
}

impl<F: FnMut(&mut Expr)> VisitorMut for OutsideSubqueries<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            (self.change)(expr);
        }
        ControlFlow::Continue(())
    }
}
