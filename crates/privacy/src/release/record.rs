//! The numbers of persons' records, such as visits: a list of them is a list of persons.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator, TryCast};

use super::expression::{Scope, uncast};
use super::refused::refuse;
use crate::policy::named_record;

impl Scope<'_> {
    /// A record's number in an expression that does more with it than to compare it with another one.
    pub(super) fn record_in(&self, expr: &Expr) -> Result<Option<Column>> {
        let compares = |expr: &BinaryExpr| {
            let records = self.record(&expr.left).and(self.record(&expr.right));
            matches!(expr.op, Operator::Eq | Operator::NotEq) && records.is_some()
        };
        match expr {
            Expr::Column(_) | Expr::Alias(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => {
                return Ok(None);
            }
            // NULL in a narrow type says how large a number is.
            Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. }) => {
                let record = self.record(expr);
                return Ok(record.filter(|_| !is_wide(field.data_type())));
            }
            Expr::BinaryExpr(binary) if compares(binary) => return Ok(None),
            _ => {}
        }
        let mut found = None;
        expr.apply_children(|child| {
            found = found.take().or_else(|| self.record(child));
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    }

    /// The record's number that an expression is, in any type.
    pub(super) fn record(&self, expr: &Expr) -> Option<Column> {
        let Expr::Column(column) = uncast(expr) else {
            return None;
        };
        let origin = self.origins.get(column)?;
        (is_record(origin) && !self.persons.contains(column)).then(|| column.clone())
    }

    /// Two sides that a join finds equal, total.
    pub(super) fn equal(&self, (a, b): (Expr, Expr)) -> Result<(Expr, Expr)> {
        match (self.record(&a), self.record(&b)) {
            (Some(column), None) | (None, Some(column)) => names_a_record(&column),
            _ => Ok((self.total(a)?, self.total(b)?)),
        }
    }
}

/// A type that has all numbers of records.
fn is_wide(kind: &DataType) -> bool {
    use DataType::{Float64, Int64, LargeUtf8, Utf8, Utf8View};
    matches!(kind, Int64 | Float64 | Utf8 | LargeUtf8 | Utf8View)
}

/// Refuses to look at a record's number.
pub(super) fn names_a_record<T>(column: &Column) -> Result<T> {
    refuse(
        "record-key",
        format!(
            "the number of a record, `{}`, names a person and cannot be looked at",
            column.name
        ),
        "compare it with another record's number, group by it below another aggregate, or count it",
    )
}

/// Whether a column, by table and name, holds the number of a record of persons, its own or another's.
pub(super) fn is_record((table, column): &(String, String)) -> bool {
    let table = columna_model::table_of_any_version(table);
    let known = table.and_then(|table| Some((table, table.column(column)?)));
    // Of several tables, which another column tells apart.
    if known.is_some() && column.ends_with("event_id") {
        return true;
    }
    let of = match known {
        Some((table, column)) => match column.foreign_key {
            Some((other, _)) => columna_model::table_of_any_version(other),
            None => column.primary_key.then_some(table),
        },
        // A hospital's own table names a record as the model's tables do.
        None => named_record(column).and_then(columna_model::table_of_any_version),
    };
    of.is_some_and(|of| of.person_key.is_some())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::HashSet;

    use arrow::datatypes::{Field, Schema};
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::{cast, col, lit};

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
            visit().eq(col(names[1])),
            cast(visit(), DataType::Float64).lt(lit(3.0)),
            cast(visit(), DataType::Int16).is_not_null(),
        ] {
            let error = scope.total(told.clone()).unwrap_err().to_string();
            assert!(error.contains("number of a record"), "{told}: {error}");
        }
        for honest in [
            visit().eq(before()),
            before().is_not_null(),
            cast(visit(), DataType::Float64).eq(cast(before(), DataType::Float64)),
            col(names[1]).eq(lit(5_i64)),
            visit(),
        ] {
            scope.total(honest).unwrap();
        }
    }
}
