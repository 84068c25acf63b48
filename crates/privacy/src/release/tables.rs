//! The tables of a session, by name: what each holds, and what is declared of its columns.

use std::collections::BTreeMap;

use columna_model::{CdmVersion, TableDef, TableKind};
use datafusion::logical_expr::TableScan;

use super::sources::{Sources, TableRole, is_reference};

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

const COST: (&str, &str) = ("cost", "cost_event_id");
/// The column of costs that says of which domain the record is.
pub(super) const COST_DOMAIN: &str = "cost_domain_id";

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
        // A person dies once: the model has at most one row of deaths for each.
        let dies = || table.person_key.filter(|_| table.name == "death");
        table.primary_key().or_else(dies).map(ToOwned::to_owned)
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

    fn kind_of_reference(&self, from: (&str, &str)) -> Option<&'static str> {
        (from == COST).then_some(COST_DOMAIN)
    }

    /// Costs are of records of the domain that they name.
    fn refers_as(&self, from: (&str, &str), kind: &str, to: (&str, &str)) -> bool {
        let of = definition(to.0).filter(|of| of.primary_key() == Some(to.1));
        // A part of a visit is in the domain of visits as well, and has numbers of its own.
        let domain = of
            .filter(|of| of.name != "visit_detail")
            .and_then(|of| of.domain);
        from == COST && domain.is_some_and(|domain| domain == kind)
    }

    fn bounds(&self, table: &str, column: &str) -> Option<(f64, f64)> {
        self.bounds
            .get(&(table.to_owned(), column.to_owned()))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::{LogicalPlan, table_scan};

    use super::*;

    #[test]
    fn costs_are_of_the_domain_that_they_name() {
        let tables = Tables::default();
        let of = |kind: &str, table: &str, key: &str| tables.refers_as(COST, kind, (table, key));
        assert!(of("Visit", "visit_occurrence", "visit_occurrence_id"));
        assert!(of("Drug", "drug_exposure", "drug_exposure_id"));
        for (kind, table, key) in [
            ("Drug", "visit_occurrence", "visit_occurrence_id"),
            ("Visit", "visit_detail", "visit_detail_id"),
            ("Visit", "visit_occurrence", "preceding_visit_occurrence_id"),
            ("Visit", "person", "person_id"),
        ] {
            assert!(!of(kind, table, key), "{kind} {table}");
        }
        assert!(!tables.refers(COST, ("visit_occurrence", "visit_occurrence_id")));
    }

    /// So that a join with deaths repeats no row of a person.
    #[test]
    fn a_person_dies_once() {
        let key = |name: &str| {
            let columns = vec![Field::new("person_id", DataType::Int64, false)];
            let plan = table_scan(Some(name), &Schema::new(columns), None);
            match plan.unwrap().build().unwrap() {
                LogicalPlan::TableScan(scan) => Tables::default().key(&scan),
                _ => None,
            }
        };
        assert_eq!(key("death").as_deref(), Some("person_id"));
        assert_eq!(key("person").as_deref(), Some("person_id"));
        assert_eq!(
            key("observation_period").as_deref(),
            Some("observation_period_id")
        );
        assert_eq!(key("payment"), None);
    }

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
