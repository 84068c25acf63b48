//! The tables of a session, by name: what each holds, and what is declared of its columns.

use std::collections::BTreeMap;

use columna_model::{CdmVersion, TableDef, TableKind};
use datafusion::logical_expr::TableScan;

use super::shape::{Sources, TableRole, is_reference};

/// The tables of a session.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    roles: BTreeMap<String, TableRole>,
    bounds: BTreeMap<(String, String), (f64, f64)>,
}

impl Tables {
    /// Adds a table. One with a person key holds persons' rows; a vocabulary is public; any other counts only where
    /// a person's row refers to it.
    pub fn add(&mut self, name: &str, person_key: Option<&str>) {
        let known = definition(name);
        let key = known.and_then(TableDef::primary_key).map(ToOwned::to_owned);
        let role = match (person_key, known.map(|table| table.kind)) {
            (Some(person), _) => TableRole::Persons(person.to_owned()),
            (None, Some(TableKind::Vocabulary)) => TableRole::Public(key),
            (None, _) => TableRole::Linked(key),
        };
        self.roles.insert(name.to_owned(), role);
    }

    /// Declares the lowest and highest value of a column.
    pub fn bound(&mut self, table: &str, column: &str, bounds: (f64, f64)) {
        self.bounds
            .insert((table.to_owned(), column.to_owned()), bounds);
    }
}

fn definition(name: &str) -> Option<&'static TableDef> {
    columna_model::table(name).or_else(|| columna_model::table_in(CdmVersion::V5_3, name))
}

impl Sources for Tables {
    fn role(&self, scan: &TableScan) -> Option<TableRole> {
        match scan.table_name.schema() {
            // It lists the session's own tables and columns, all of which the principal sees.
            Some("information_schema") => Some(TableRole::Public(None)),
            _ => match scan.table_name.table() {
                // Table functions that read the vocabulary, as far as the principal sees it.
                "concept_set()" => Some(TableRole::Public(Some("concept_id".to_owned()))),
                "comorbidity_concepts()" => Some(TableRole::Public(None)),
                table => self.roles.get(table).cloned(),
            },
        }
    }

    fn key(&self, scan: &TableScan) -> Option<String> {
        let table = definition(scan.table_name.table())?;
        table.primary_key().map(ToOwned::to_owned)
    }

    fn refers(&self, from: (&str, &str), to: (&str, &str)) -> bool {
        let column = |(table, name): (&str, &str)| {
            let columns = definition(table)?.columns.iter();
            columns.into_iter().find(|column| column.name == name)
        };
        match (column(from), column(to)) {
            (Some(from), Some(_)) => from.foreign_key == Some(to),
            // Of tables that the model does not know, names say what refers to what.
            _ => from.1 == to.1 && is_reference(from.1),
        }
    }

    fn bounds(&self, table: &str, column: &str) -> Option<(f64, f64)> {
        self.bounds
            .get(&(table.to_owned(), column.to_owned()))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_what_the_model_says() {
        let mut tables = Tables::default();
        tables.add("person", Some("person_id"));
        tables.add("concept", None);
        tables.add("location", None);
        tables.add("unheard_of", None);
        assert_eq!(
            tables.roles.values().cloned().collect::<Vec<_>>(),
            [
                TableRole::Public(Some("concept_id".into())),
                TableRole::Linked(Some("location_id".into())),
                TableRole::Persons("person_id".into()),
                TableRole::Linked(None),
            ]
        );
    }
}
