//! The numbers of persons' records, such as visits: a list of them is a list of persons.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::expression::{Scope, uncast};

impl Scope<'_> {
    /// A record's number in an expression that does more with it than to compare it with another column.
    pub(super) fn record_in(&self, expr: &Expr) -> Result<Option<Column>> {
        let columns = |expr: &BinaryExpr| {
            let column = |expr| matches!(uncast(expr), Expr::Column(_));
            let compares = matches!(expr.op, Operator::Eq | Operator::NotEq);
            compares && column(&expr.left) && column(&expr.right)
        };
        match expr {
            Expr::Column(_) | Expr::Alias(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => {
                return Ok(None);
            }
            Expr::Cast(_) | Expr::TryCast(_) => return Ok(None),
            Expr::BinaryExpr(binary) if columns(binary) => return Ok(None),
            _ => {}
        }
        let mut found = None;
        expr.apply_children(|child| {
            if let Expr::Column(column) = uncast(child)
                && let Some((table, name)) = self.origins.get(column)
                && is_record(table, name)
            {
                found = Some(column.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    }
}

/// Whether a column holds the number of a record of persons, its own or another's.
fn is_record(table: &str, column: &str) -> bool {
    let table = columna_model::table_of_any_version(table);
    let known = table.and_then(|table| Some((table, table.column(column)?)));
    let of = known.and_then(|(table, column)| match column.foreign_key {
        Some((other, _)) => columna_model::table_of_any_version(other),
        None => column.primary_key.then_some(table),
    });
    of.is_some_and(|of| of.person_key.is_some())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::HashSet;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    /// A list of visits by their numbers is one of persons.
    #[test]
    fn numbers_of_records_are_compared_with_columns_only() {
        let names = [
            "visit_occurrence_id",
            "care_site_id",
            "preceding_visit_occurrence_id",
        ];
        let fields = names.map(|name| Field::new(name, DataType::Int64, true));
        let schema = DFSchema::try_from(Schema::new(fields.to_vec())).unwrap();
        let origin = |name: &str| ("visit_occurrence".to_owned(), name.to_owned());
        let origins = names.map(|name| (Column::new_unqualified(name), origin(name)));
        let scope = Scope {
            schema: &schema,
            persons: &HashSet::new(),
            origins: &origins.into_iter().collect(),
        };
        let (visit, before) = (|| col(names[0]), || col(names[2]));
        for told in [
            visit().lt(lit(1_000_i64)),
            before().in_list(vec![lit(3_i64)], false),
            (visit() % lit(7_i64)).eq(lit(3_i64)),
            visit().between(lit(1_i64), lit(2_i64)),
            visit().lt(before()),
        ] {
            let error = scope.total(told.clone()).unwrap_err().to_string();
            assert!(error.contains("number of a record"), "{told}: {error}");
        }
        for honest in [
            visit().eq(before()),
            before().is_not_null(),
            col(names[1]).eq(lit(5_i64)),
            visit(),
        ] {
            scope.total(honest).unwrap();
        }
    }
}
