//! What a principal sees of the tables of a store, by all rules that apply to it.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use columna_model::{TableDef, TableKind};

use super::{ColumnRule, Policy, Role, RoleKind, Rule, TablePattern};
use crate::pseudonym::Mask;
use crate::{Error, Principal, Result};

/// A table of a store, as far as a policy needs to know it.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// The column that holds the person.
    pub person_key: Option<String>,
}

impl Table {
    /// A table of the model.
    pub(crate) fn of_model(def: &TableDef) -> Self {
        Self {
            name: def.name.to_owned(),
            schema: def.schema(),
            person_key: def.person_key.map(str::to_owned),
        }
    }

    /// The tables of a snapshot.
    #[must_use]
    pub fn all(snapshot: &columna_store::Snapshot) -> Vec<Self> {
        let tables = snapshot.tables();
        tables
            .map(|table| Self {
                name: table.spec.name.clone(),
                schema: std::sync::Arc::clone(&table.spec.schema),
                person_key: table.spec.person_key.clone(),
            })
            .collect()
    }
}

/// What a principal sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The kind of its role.
    pub kind: RoleKind,
    /// The tables it sees, by name. A table without a visible column is not there.
    pub tables: BTreeMap<String, TableView>,
}

/// What a principal sees of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableView {
    /// The columns it sees, in the table's order.
    pub columns: Vec<ColumnView>,
    /// Conditions on the stored rows, all of which must hold.
    pub filters: Vec<String>,
    /// The rules that had a say.
    pub rules: Vec<String>,
}

/// What a principal sees of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnView {
    /// Its name.
    pub name: String,
    /// How its values are shown; never absent.
    pub rule: ColumnRule,
    /// For pseudonyms: columns of the same domain show the same value by the same pseudonym.
    pub domain: String,
}

/// The identifier class of a column, by the name that rules use.
#[must_use]
pub fn identifier_class(table: &Table, column: &str) -> Option<&'static str> {
    columna_model::identifier_class(&table.name, table.person_key.as_deref(), column)
}

/// The domain of a column's pseudonyms: what it refers to, so that a visit has one pseudonym wherever it is named.
fn domain(table: &Table, column: &str) -> String {
    if table.person_key.as_deref() == Some(column) {
        return "person".to_owned();
    }
    let known = columna_model::table(&table.name).and_then(|def| Some((def, def.column(column)?)));
    match known {
        Some((_, known)) if known.foreign_key.is_some() => known
            .foreign_key
            .map_or_else(String::new, |(table, _)| table.to_owned()),
        Some((def, known)) if known.primary_key => def.name.to_owned(),
        // A hospital's own table names a record as the model's tables do.
        None => named_record(column).unwrap_or(column).to_owned(),
        _ => column.to_owned(),
    }
}

/// The table of the model whose records have this column for their number.
pub(crate) fn named_record(column: &str) -> Option<&'static str> {
    let tables = columna_model::tables(columna_model::CdmVersion::V5_4);
    let is = |key: &str| key.eq_ignore_ascii_case(column);
    let of = tables
        .iter()
        .find(|table| table.primary_key().is_some_and(is));
    of.map(|table| table.name)
}

/// Names are the same whatever their case.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

pub(super) fn kind_of(table: &str) -> Option<TableKind> {
    let def: Option<&TableDef> = columna_model::table_of_any_version(table);
    def.map(|def| def.kind)
}

impl TablePattern {
    pub(super) fn matches(&self, table: &str) -> bool {
        match self {
            Self::All => true,
            Self::Kind(kind) => kind_of(table) == Some(*kind),
            Self::Name(name) => is_same_name(&name.value, table),
        }
    }
}

impl Rule {
    /// The rule is for this role, purpose and project.
    pub(super) fn applies(&self, role: &str, purpose: &str, project: Option<&str>) -> bool {
        let among = |list: &[String], name: Option<&str>| {
            list.is_empty() || name.is_some_and(|name| list.iter().any(|known| known == name))
        };
        among(&self.roles, Some(role))
            && among(&self.purposes, Some(purpose))
            && among(&self.projects, project)
    }

    /// It hides something: rows, or more of some column than nothing.
    pub(super) fn restricts(&self) -> bool {
        let mut treatments = self.classes.values().chain(self.columns.values());
        self.filter.is_some() || treatments.any(|treatment| !treatment.value.is_raw())
    }

    pub(super) fn speaks_of(&self, table: &str) -> bool {
        self.tables.iter().any(|pattern| pattern.matches(table))
    }

    /// What this rule says of a column: by its name, else by its class. A class's treatment that has no meaning for
    /// a column's type, such as shifting a time that is stored as text, leaves the column absent.
    pub(super) fn opinion(&self, table: &Table, column: &str) -> Option<&ColumnRule> {
        if let Some(by_name) = self.columns.get(&column.to_lowercase()) {
            return Some(&by_name.value);
        }
        let by_class = &self.classes.get(identifier_class(table, column)?)?.value;
        let fits = table.schema.field_with_name(column).is_ok_and(|field| {
            Mask::mismatch(by_class, field.data_type()).is_none()
                && (*by_class != ColumnRule::ShiftDate || table.person_key.is_some())
        });
        Some(if fits { by_class } else { &ColumnRule::Absent })
    }
}

impl Policy {
    /// What a principal sees of these tables. A steward sees everything.
    ///
    /// # Errors
    /// When the role, purpose or project is not allowed, or two rules contradict each other.
    pub fn view(&self, principal: &Principal, tables: &[Table]) -> Result<View> {
        let role = self.role(principal)?;
        let project = self.project(principal).map(|project| project.name.as_str());
        let mut view = View {
            kind: role.kind,
            tables: BTreeMap::new(),
        };
        for table in tables {
            let seen = if role.kind == RoleKind::Steward {
                Some(everything(table))
            } else {
                self.table_view(role, &principal.purpose, project, table)?
            };
            if let Some(seen) = seen {
                view.tables.insert(table.name.clone(), seen);
            }
        }
        Ok(view)
    }

    fn table_view(
        &self,
        role: &Role,
        purpose: &str,
        project: Option<&str>,
        table: &Table,
    ) -> Result<Option<TableView>> {
        let (role, kind) = (&role.name, role.kind);
        let rules: Vec<&Rule> = self
            .rules
            .iter()
            .filter(|rule| rule.applies(role, purpose, project) && rule.speaks_of(&table.name))
            .collect();
        let mut columns = Vec::new();
        for field in table.schema.fields() {
            let mut together: Option<ColumnRule> = None;
            for rule in &rules {
                let Some(opinion) = rule.opinion(table, field.name()) else {
                    continue;
                };
                together = Some(match together {
                    None => opinion.clone(),
                    Some(before) => before.and(opinion).ok_or_else(|| {
                        Error::refused(
                            "conflict",
                            format!(
                                "the policy's rules contradict each other: `{}.{}` is to be both {before} and {opinion}",
                                table.name,
                                field.name()
                            ),
                            "ask the policy's author; `columna privacy policy check` shows it".to_owned(),
                        )
                    })?,
                });
            }
            // Never shown to a role of numbers, which knows persons by it whatever project or key they are asked under.
            let of_numbers = matches!(kind, RoleKind::Aggregate | RoleKind::Dp)
                && table.person_key.as_deref() == Some(field.name());
            if let Some(rule) = together.filter(|rule| *rule != ColumnRule::Absent) {
                let rule = if of_numbers { ColumnRule::Raw } else { rule };
                columns.push(ColumnView {
                    name: field.name().clone(),
                    rule,
                    domain: domain(table, field.name()),
                });
            }
        }
        if columns.is_empty() {
            return Ok(None);
        }
        Ok(Some(TableView {
            columns,
            filters: rules
                .iter()
                .filter_map(|rule| rule.filter.as_ref())
                .map(|filter| filter.value.clone())
                .collect(),
            rules: rules.iter().map(|rule| rule.name.clone()).collect(),
        }))
    }
}

fn everything(table: &Table) -> TableView {
    let columns = table.schema.fields().iter().map(|field| ColumnView {
        name: field.name().clone(),
        rule: ColumnRule::Raw,
        domain: domain(table, field.name()),
    });
    TableView {
        columns: columns.collect(),
        filters: Vec::new(),
        rules: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    /// A hospital's own table joins the model's by the same pseudonyms.
    #[test]
    fn a_record_has_one_domain_wherever_it_is_named() {
        let of = |name: &str, columns: &[&str]| {
            let fields = columns
                .iter()
                .map(|name| Field::new(*name, DataType::Int64, true));
            Table {
                name: name.to_owned(),
                person_key: Some("person_id".to_owned()),
                schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            }
        };
        let visit = of("visit_occurrence", &["person_id", "visit_occurrence_id"]);
        let bill = of("bill", &["person_id", "visit_occurrence_id", "bill_number"]);
        for column in ["person_id", "visit_occurrence_id"] {
            assert_eq!(domain(&bill, column), domain(&visit, column));
        }
        assert_eq!(domain(&bill, "bill_number"), "bill_number");
    }

    /// Under a pseudonym a person would be another one in each project, and what was told of her forgotten.
    #[test]
    fn roles_of_numbers_know_persons_by_their_stored_key() {
        let visit = Table {
            name: "visit_occurrence".to_owned(),
            person_key: Some("person_id".to_owned()),
            schema: Arc::new(Schema::new(vec![
                Field::new("person_id", DataType::Int64, false),
                Field::new("visit_occurrence_id", DataType::Int64, true),
            ])),
        };
        for (kind, rules, own) in [
            ("analyst", "", ColumnRule::Pseudonym),
            (
                "aggregate",
                "disclosure = { profile = \"sacro\" }",
                ColumnRule::Raw,
            ),
        ] {
            let text = format!(
                "version = 1\n[projects.p]\nkey = \"k\"\n[roles.r]\nkind = \"{kind}\"\npurposes = [\"x\"]\nprojects = [\"p\"]\n{rules}\n\
                 [[rules]]\ntables = [\"visit_occurrence\"]\nclasses = {{ person_key = \"pseudonym\", key = \"pseudonym\" }}\n"
            );
            let policy = Policy::parse("p.toml", &text).unwrap();
            let principal = Principal::new("ana", "r", "x").in_project("p");
            let view = policy
                .view(&principal, std::slice::from_ref(&visit))
                .unwrap();
            let rules = view.tables["visit_occurrence"]
                .columns
                .iter()
                .map(|column| &column.rule);
            assert_eq!(rules.collect::<Vec<_>>(), [&own, &ColumnRule::Pseudonym]);
        }
    }
}
