//! The columns of the tables that a statement names, before it is planned.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, SelectItem, SetExpr, TableAlias, TableFactor, Visit, Visitor,
};

use crate::dialect::is_call_of;
use crate::selects::folded;

/// The columns of tables, by name.
pub(crate) type Tables = HashMap<String, Vec<String>>;

/// The columns of a statement's tables, and of those that it makes under WITH where each has a name there.
pub(crate) async fn tables(state: &SessionState, statement: &impl Visit) -> Tables {
    let mut names = TableNames::default();
    // The visitor never breaks off.
    let _ = statement.visit(&mut names);
    let made = names.made.iter();
    let made = made.filter_map(|(name, columns)| Some((name.clone(), columns.clone()?)));
    let mut tables: Tables = made.collect();
    for name in names.tables {
        if names.made.contains_key(&name) {
            continue;
        }
        if let Ok(schema) = state.schema_for_ref(TableReference::bare(name.as_str()))
            && let Ok(Some(table)) = schema.table(&name).await
        {
            let columns = table.schema();
            let columns = columns.fields().iter().map(|field| field.name().clone());
            tables.insert(name, columns.collect());
        }
    }
    tables
}

#[derive(Default)]
struct TableNames {
    tables: Vec<String>,
    /// Under WITH; nothing of one whose columns are not known, or whose name is given twice.
    made: HashMap<String, Option<Vec<String>>>,
}

impl Visitor for TableNames {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = columns_shown(&cte.query.body, &cte.alias);
            let made = self.made.entry(folded(&cte.alias.name));
            made.and_modify(|columns| *columns = None)
                .or_insert(columns);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        self.tables.extend(table_name(table));
        ControlFlow::Continue(())
    }
}

/// The columns of a query, but for those that are not columns and have no name; nothing where `*` stands for some.
pub(crate) fn columns_shown(body: &SetExpr, alias: &TableAlias) -> Option<Vec<String>> {
    if !alias.columns.is_empty() {
        let columns = alias.columns.iter();
        return Some(columns.map(|column| folded(&column.name)).collect());
    }
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, .. } => return columns_shown(left, alias),
        SetExpr::Query(query) => return columns_shown(&query.body, alias),
        _ => return None,
    };
    let mut columns = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => columns.push(folded(name)),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                columns.extend(names.last().map(folded));
            }
            // Records have so many columns as nobody knows here.
            SelectItem::UnnamedExpr(Expr::Function(call)) if is_call_of(call, "unnest") => {
                return None;
            }
            SelectItem::UnnamedExpr(_) => {}
            SelectItem::ExprWithAlias { alias, .. } => columns.push(folded(alias)),
            _ => return None,
        }
    }
    Some(columns)
}

/// The name of a table itself, if it is one and has no other name before it.
pub(crate) fn table_name(table: &TableFactor) -> Option<String> {
    match table {
        TableFactor::Table {
            name, args: None, ..
        } => match name.0.as_slice() {
            [name] => name.as_ident().map(folded),
            _ => None,
        },
        _ => None,
    }
}
