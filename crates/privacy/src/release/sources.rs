//! What the tables of a session hold, as far as it is known.

use datafusion::logical_expr::TableScan;

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

    /// The column of a table of persons of which no two rows have the same value, where one is known.
    fn key(&self, _scan: &TableScan) -> Option<String> {
        None
    }

    /// Whether a column, by table and name, refers to the key of another table, which it is the `to` of.
    fn refers(&self, from: (&str, &str), to: (&str, &str)) -> bool {
        from.1 == to.1 && is_reference(from.1)
    }

    /// The column that says of which table a column holds the keys, where it may be of several.
    fn kind_of_reference(&self, _from: (&str, &str)) -> Option<&'static str> {
        None
    }

    /// Whether a column refers to the key of a table in rows in which that column has this value.
    fn refers_as(&self, _from: (&str, &str), _kind: &str, _to: (&str, &str)) -> bool {
        false
    }

    /// The lowest and highest value that a column is declared to have.
    fn bounds(&self, _table: &str, _column: &str) -> Option<(f64, f64)> {
        None
    }
}

/// The column that says the same as this one: a day and its time, and the parts of a birthday.
pub(super) fn twin(table: &str, column: &str) -> Option<String> {
    match column {
        "year_of_birth" | "month_of_birth" | "day_of_birth" | "birth_datetime" => {
            Some(format!("{table}.birth"))
        }
        _ => column
            .strip_suffix("_datetime")
            .map(|day| format!("{table}.{day}_date")),
    }
}

/// Whether a column has the name of one that names another row, and not a concept.
pub(super) fn is_reference(name: &str) -> bool {
    name.ends_with("_id") && !name.ends_with("concept_id")
}
