//! Joins as the engine plans them.
//!
//! `SEMI JOIN` and `ANTI JOIN` are those of the left side. What `JOIN … USING (person_id)` makes of `person_id` is mended in three
//! places (DataFusion 55): in WHERE the engine takes the name for that of two columns, after RIGHT and FULL JOIN for the left
//! side's column, which is NULL where only the right side has a row, and after two joins, or in an expression over `grouping`, it does
//! not know which column it is.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, ExceptSelectItem, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, JoinConstraint, JoinOperator, ObjectName,
    OrderBy, OrderByKind, Query, ReplaceSelectElement, ReplaceSelectItem, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableFunctionArgs, TableWithJoins, TypedString, VisitMut, VisitorMut,
    WildcardAdditionalOptions, visit_expressions,
};

use crate::dialect::{is_call_of, query, step_of};
use crate::known_columns::{Tables, columns_shown, table_name};
use crate::selects::folded;

/// Functions that make a list in an expression, and a table in FROM.
const SERIES: [&str; 2] = ["generate_series", "range"];

/// Writes joins so that they can be planned.
#[derive(Debug)]
pub(crate) struct Joins<'a> {
    pub(crate) tables: &'a Tables,
}

impl VisitorMut for Joins<'_> {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        match selects(&mut query.body, &mut query.order_by, self.tables) {
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
        step(table);
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

/// `generate_series(first, last, '1 day')` in FROM goes on by an interval.
fn step(table: &mut TableFactor) {
    let (name, args) = match table {
        TableFactor::Table {
            name,
            args: Some(TableFunctionArgs { args, .. }),
            ..
        }
        | TableFactor::Function { name, args, .. } => (name, args),
        _ => return,
    };
    if SERIES.contains(&name.to_string().to_ascii_lowercase().as_str()) {
        step_of(args);
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

fn selects(body: &mut SetExpr, order: &mut Option<OrderBy>, known: &Tables) -> Result<()> {
    match body {
        SetExpr::Select(select) => {
            select.from.iter_mut().for_each(of_the_left);
            select.from.iter_mut().for_each(name_unnamed);
            named_by_function(select);
            qualify(select, order, known)
        }
        SetExpr::SetOperation { left, right, .. } => {
            selects(left, &mut None, known)?;
            selects(right, &mut None, known)
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

/// Names the subqueries in FROM that have no names, where there are several: their columns may be called the same.
fn name_unnamed(tables: &mut TableWithJoins) {
    let joined = tables.joins.iter_mut().map(|join| &mut join.relation);
    let unnamed = std::iter::once(&mut tables.relation)
        .chain(joined)
        .filter_map(|table| match table {
            TableFactor::Derived {
                alias: alias @ None,
                ..
            } => Some(alias),
            _ => None,
        });
    let unnamed: Vec<_> = unnamed.collect();
    if unnamed.len() > 1 {
        for (at, alias) in unnamed.into_iter().enumerate() {
            *alias = Some(called(&format!("unnamed_subquery_{}", at + 1)));
        }
    }
}

/// A column that joins share by name, and what it is.
struct Shared {
    name: Ident,
    value: Expr,
    /// The first table that has it.
    home: Option<Ident>,
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
fn qualify(select: &mut Select, order: &mut Option<OrderBy>, known: &Tables) -> Result<()> {
    let mut columns: Vec<Shared> = Vec::new();
    let mut hidden = Hidden::default();
    for tables in &mut select.from {
        columns.extend(shared(tables, known, &mut hidden)?);
    }
    let is_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_));
    if hidden.unknown && select.projection.iter().any(is_all) {
        return plan_err!("`*` is not supported after NATURAL LEFT JOIN: write `USING (…)`");
    }
    expand(select, &hidden, &columns)?;
    if columns.is_empty() {
        return Ok(());
    }
    put(&columns, &mut select.selection);
    let asks_of_sets = |expr: &Expr| match expr {
        Expr::Function(call) if is_call_of(call, "grouping") || is_call_of(call, "grouping_id") => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    if visit_expressions(select, asks_of_sets).is_break()
        || visit_expressions(order, asks_of_sets).is_break()
    {
        columns
            .iter_mut()
            .for_each(|column| column.everywhere = true);
    }
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

/// Writes `*` table by table, without the columns that joins share and that an earlier table shows; after RIGHT and FULL JOIN
/// it shows that of the table that has the row.
fn expand(select: &mut Select, hidden: &Hidden, shared: &[Shared]) -> Result<()> {
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
        let homeless = shared
            .iter()
            .any(|column| column.outer && column.home.is_none());
        let Some(tables) = tables.filter(|_| plain(&item) && !homeless) else {
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
            options.opt_replace = replaced(shared, &table);
            let table = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![table]));
            items.push(SelectItem::QualifiedWildcard(table, options));
        }
    }
    select.projection = items;
    Ok(())
}

/// What `*` shows of a table in the place of its columns.
fn replaced(shared: &[Shared], table: &Ident) -> Option<ReplaceSelectItem> {
    let outer = shared.iter().filter(|column| column.outer);
    let of_table = outer.filter(|column| {
        let home = column.home.as_ref();
        home.is_some_and(|home| same(home, table))
    });
    let items: Vec<_> = of_table
        .map(|column| {
            Box::new(ReplaceSelectElement {
                expr: column.value.clone(),
                column_name: column.name.clone(),
                as_keyword: true,
            })
        })
        .collect();
    (!items.is_empty()).then_some(ReplaceSelectItem { items })
}

/// The one of the tables that has a column; none where that is not known of each of them.
fn owner(tables: &[(Option<Ident>, Option<Vec<String>>)], column: &Ident) -> Option<Ident> {
    if let [(name, _)] = tables {
        return name.clone();
    }
    let column = folded(column);
    let mut found = None;
    for (name, columns) in tables {
        if columns.as_ref()?.contains(&column) && found.replace(name.clone()?).is_some() {
            return None;
        }
    }
    found
}

fn is_test(join: &JoinOperator) -> bool {
    matches!(join, JoinOperator::LeftSemi(_) | JoinOperator::LeftAnti(_))
}

/// The columns that joins share by name, and those that `*` does not show, by table. A join by a column that others share
/// already is written with ON: the engine takes the column's name for that of several.
fn shared(tables: &mut TableWithJoins, known: &Tables, hidden: &mut Hidden) -> Result<Vec<Shared>> {
    let mut columns: Vec<Shared> = Vec::new();
    let columns_of = |table: &TableFactor| match table {
        TableFactor::Derived {
            subquery,
            alias: Some(alias),
            ..
        } => columns_shown(&subquery.body, alias),
        TableFactor::Table {
            alias: Some(alias), ..
        } if !alias.columns.is_empty() => None,
        table => known.get(&table_name(table)?).cloned(),
    };
    let mut earlier = vec![(name(&tables.relation), columns_of(&tables.relation))];
    for join in &mut tables.joins {
        use JoinOperator::{
            FullOuter, Inner, Join, Left, LeftAnti, LeftOuter, LeftSemi, Right, RightOuter,
        };
        let table = name(&join.relation);
        let left = matches!(join.join_operator, Left(_) | LeftOuter(_));
        let (on, right, full) = match &mut join.join_operator {
            Join(on) | Inner(on) | Left(on) | LeftOuter(on) => (Some(on), false, false),
            Right(on) | RightOuter(on) => (Some(on), true, false),
            FullOuter(on) => (Some(on), false, true),
            LeftSemi(_) | LeftAnti(_) => continue,
            _ => (None, false, false),
        };
        let before_it = earlier.clone();
        earlier.push((table.clone(), columns_of(&join.relation)));
        let Some(on) = on else { continue };
        let names = match on {
            JoinConstraint::Using(names) => names,
            JoinConstraint::Natural if right || full => {
                return plan_err!(
                    "NATURAL RIGHT and FULL JOIN are not supported: write `USING (…)`"
                );
            }
            on => {
                hidden.unknown |= left && *on == JoinConstraint::Natural;
                continue;
            }
        };
        hidden.needed |= left;
        let mut equal: Option<Vec<Expr>> = Some(Vec::new());
        // Whether joins share a column already, and one that is of the table that has the row.
        let (mut again, mut after_outer) = (false, None);
        for column in names.iter() {
            let Some(column) = column.0.last().and_then(|part| part.as_ident()) else {
                continue;
            };
            let place = columns.iter().position(|known| same(&known.name, column));
            let third = place.map(|at| columns.remove(at));
            again |= third.is_some();
            let of_row = third.as_ref().is_some_and(|third| third.outer);
            if of_row {
                after_outer = Some(column.clone());
            }
            let is_third = third.is_some();
            let (before, home) = match third {
                Some(third) => (Some(third.value), third.home),
                None => {
                    let home = owner(&before_it, column);
                    (home.as_ref().map(|home| of(home, column)), home)
                }
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
                // Whosever it is, it is the same.
                (false, false) if !left => before.or(after),
                (false, false) => before,
                (true, _) => after,
                _ => before
                    .zip(after)
                    .map(|(before, after)| coalesce([before, after])),
            };
            let outer = right || full || of_row;
            match value {
                Some(value) => columns.push(Shared {
                    name: column.clone(),
                    value,
                    home,
                    everywhere: outer || is_third,
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
        match (equal, after_outer) {
            (Some(equal), _) => {
                // The engine does not hear of their names.
                for column in columns.iter_mut() {
                    let name = |of: &ObjectName| of.0.last()?.as_ident().cloned();
                    let mut shared = names.iter().filter_map(name);
                    column.everywhere |= shared.any(|shared| same(&shared, &column.name));
                }
                *on = JoinConstraint::On(equal);
                hidden.needed = true;
            }
            (None, Some(column)) => {
                return plan_err!(
                    "USING ({column}) after a RIGHT or FULL JOIN with USING ({column}) needs names for all tables: join by `ON`"
                );
            }
            (None, None) => {}
        }
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
