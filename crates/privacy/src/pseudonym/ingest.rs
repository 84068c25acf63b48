//! A policy applied before data are stored, so that data that should never hold identifiers never do.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use columna_store::{Pseudonymised, TableSpec};

use super::{Mask, ProjectKeys};
use crate::policy::{ColumnRule, RoleKind, Table};
use crate::{Error, Policy, Principal, Result};

/// A policy, as it is applied to tables on their way into a store.
#[derive(Debug)]
pub struct Pseudonymiser {
    policy: Policy,
    principal: Principal,
    keys: Option<Arc<ProjectKeys>>,
}

/// What becomes of a table's columns.
#[derive(Debug)]
pub struct PseudonymTable {
    /// The columns that are kept, and how.
    columns: BTreeMap<String, (ColumnRule, Option<Mask>)>,
    person: Option<String>,
}

impl Pseudonymiser {
    /// The policy as this principal sees tables, whose role must be of kind analyst.
    ///
    /// # Errors
    /// When the policy does not allow the role, or its kind shows no rows, or all of them.
    pub fn new(
        policy: Policy,
        principal: Principal,
        keys: Option<Arc<ProjectKeys>>,
    ) -> Result<Self> {
        let kind = policy.role(&principal)?.kind;
        if kind != RoleKind::Analyst {
            return Err(Error::refused(
                "kind",
                format!(
                    "data are pseudonymised as a role of kind `analyst` sees them, and `{}` is of kind `{kind}`",
                    principal.role
                ),
                "give such a role with `--role`".to_owned(),
            ));
        }
        Ok(Self {
            policy,
            principal,
            keys,
        })
    }

    /// Whether the policy's names are those of a delivery's tables: by a wrong one a rule would hide nothing.
    ///
    /// # Errors
    /// A refusal that names the first one that is not.
    pub fn fits(&self, tables: &[&TableSpec]) -> Result<()> {
        let tables = tables.iter().map(|spec| policy_table(spec)).collect();
        self.policy.fits_delivery(&self.principal, tables)
    }

    /// Key and settings, by which the store knows later deliveries that are treated alike. Without tables.
    #[must_use]
    pub fn made_with(&self) -> Pseudonymised {
        let keys = self.keys.as_ref();
        Pseudonymised {
            key: keys.map(|keys| keys.mark().to_owned()),
            dates: keys.map(|keys| keys.dates()),
            ages_over: self.policy.ages.map(|ages| ages.over),
            ages_on: self.policy.ages.map(|ages| ages.on.to_string()),
            tables: BTreeMap::new(),
        }
    }

    /// What a store knows a delivered file by, of its hash: keyed, where there are keys.
    #[must_use]
    pub fn fingerprint(&self, hash: String) -> String {
        match &self.keys {
            Some(keys) => keys.pseudonym_of_text("delivered file", &hash),
            None => hash,
        }
    }

    /// What becomes of a table; `None` where no rule shows any of its columns.
    ///
    /// # Errors
    /// When the rules contradict each other or do not fit the table, a key is missing, the person would be lost, or
    /// the policy leaves out rows.
    pub fn table(&self, spec: &TableSpec) -> Result<Option<PseudonymTable>> {
        let mut view = self.policy.view(&self.principal, &[policy_table(spec)])?;
        let Some(seen) = view.tables.remove(&spec.name) else {
            return Ok(None);
        };
        let refused =
            |message: String, hint: &str| Error::refused("ingest", message, hint.to_owned());
        if !seen.filters.is_empty() {
            return Err(refused(
                format!(
                    "the policy filters rows of `{}`, and an ingest stores all rows",
                    spec.name
                ),
                "leave the filter to queries, in a rule of another role",
            ));
        }
        let mut columns = BTreeMap::new();
        for column in seen.columns {
            let is_person = spec.person_key.as_ref() == Some(&column.name);
            if is_person && !matches!(column.rule, ColumnRule::Raw | ColumnRule::Pseudonym) {
                return Err(refused(
                    format!(
                        "`{}.{}` would be {}, and a store keeps persons apart",
                        spec.name, column.name, column.rule
                    ),
                    "make it `pseudonym`",
                ));
            }
            let field = spec.schema.field_with_name(&column.name).map_err(|_| {
                refused(
                    format!("there is no column `{}.{}`", spec.name, column.name),
                    "check the policy",
                )
            })?;
            if let Some(reason) = Mask::mismatch(&column.rule, field.data_type()) {
                return Err(refused(
                    format!(
                        "`{}` of `{}.{}`: {reason}",
                        column.rule, spec.name, column.name
                    ),
                    "`columna privacy policy check` shows it",
                ));
            }
            let mask = Mask::of(
                &column.rule,
                &column.domain,
                self.policy.ages,
                self.keys.as_ref(),
            )?;
            if spec.person_key.is_none() && mask.as_ref().is_some_and(Mask::needs_person) {
                return Err(refused(
                    format!(
                        "`{}.{}`: dates are shifted by person, and this table has none",
                        spec.name, column.name
                    ),
                    "cut them with `generalize_date`",
                ));
            }
            columns.insert(column.name, (column.rule, mask));
        }
        if let Some(person) = &spec.person_key
            && !columns.contains_key(person)
        {
            return Err(refused(
                format!(
                    "the policy hides `{}.{person}`, and a store is ordered by it",
                    spec.name
                ),
                "make it `pseudonym`",
            ));
        }
        Ok(Some(PseudonymTable {
            columns,
            person: spec.person_key.clone(),
        }))
    }
}

fn policy_table(spec: &TableSpec) -> Table {
    Table {
        name: spec.name.clone(),
        schema: Arc::clone(&spec.schema),
        person_key: spec.person_key.clone(),
    }
}

impl PseudonymTable {
    /// Whether a column's values are kept in some form.
    #[must_use]
    pub fn keeps(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// What becomes of a column, as a policy says it.
    #[must_use]
    pub fn rule(&self, column: &str) -> &ColumnRule {
        let kept = self.columns.get(column);
        kept.map_or(&ColumnRule::Absent, |(rule, _)| rule)
    }

    /// A column as it is to be stored.
    ///
    /// # Errors
    /// When the rows do not have it.
    pub fn column(&self, rows: &RecordBatch, column: &str) -> Result<ArrayRef, ArrowError> {
        let values = |name: &str| -> Result<&ArrayRef, ArrowError> {
            Ok(rows.column(rows.schema_ref().index_of(name)?))
        };
        let stored = values(column)?;
        match self.columns.get(column) {
            None => Err(ArrowError::SchemaError(format!(
                "column `{column}` is not kept"
            ))),
            Some((_, None)) => Ok(Arc::clone(stored)),
            Some((_, Some(mask))) => {
                let persons = match &self.person {
                    Some(person) if mask.needs_person() => Some(values(person)?),
                    _ => None,
                };
                // Whatever the library says may quote a value.
                mask.apply(stored, persons).map_err(|_| {
                    ArrowError::ComputeError(format!(
                        "column `{column}` cannot be treated as the policy says"
                    ))
                })
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::array::{AsArray, Date32Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema};

    use super::*;

    const POLICY: &str = r#"
version = 1
[projects.study]
[roles.analyst]
kind = "analyst"
purposes = ["research"]
projects = ["study"]
[roles.officer]
kind = "steward"
purposes = ["research"]
[[rules]]
tables = ["emr"]
columns = { pid = "pseudonym", dx = "raw", seen = "shift_date", name = "absent" }
"#;

    fn spec(name: &str) -> TableSpec {
        TableSpec {
            name: name.to_owned(),
            schema: Arc::new(Schema::new(vec![
                Field::new("pid", DataType::Int64, false),
                Field::new("name", DataType::Utf8, true),
                Field::new("dx", DataType::Utf8, true),
                Field::new("seen", DataType::Date32, true),
            ])),
            person_key: Some("pid".to_owned()),
            sort: vec!["pid".to_owned()],
            bloom: Vec::new(),
        }
    }

    fn treat(policy: &str, role: &str, with_key: bool) -> Result<Option<PseudonymTable>> {
        let keys = ProjectKeys::from_key(&[7; 32], 365, false).unwrap();
        Pseudonymiser::new(
            Policy::parse("p.toml", policy).unwrap(),
            Principal::new("", role, "research"),
            with_key.then(|| Arc::new(keys)),
        )?
        .table(&spec("emr"))
    }

    /// A rule that names nothing of the delivery hides nothing of it.
    #[test]
    fn a_rule_with_a_wrong_name_is_no_treatment() {
        let fits = |rule: &str| {
            let policy = format!("{POLICY}[[rules]]\n{rule}\n");
            let policy = Policy::parse("p.toml", &policy).unwrap();
            let keys = ProjectKeys::from_key(&[7; 32], 365, false).unwrap();
            let principal = Principal::new("", "analyst", "research");
            let treatment = Pseudonymiser::new(policy, principal, Some(Arc::new(keys))).unwrap();
            treatment.fits(&[&spec("emr")])
        };
        // Of the model, of another delivery, or what is shown as it is.
        for rule in [
            "tables = [\"note\"]\ncolumns = { note_text = \"absent\" }",
            "tables = [\"laboratory\"]\ncolumns = { result = \"absent\" }",
            "tables = [\"emr\"]\ncolumns = { other = \"raw\" }",
        ] {
            fits(rule).unwrap();
        }
        for (rule, hint) in [
            (
                "tables = [\"emr\"]\ncolumns = { names = \"absent\" }",
                "`name`",
            ),
            (
                "tables = [\"emrr\"]\ncolumns = { name = \"absent\" }",
                "`emr`",
            ),
        ] {
            let refused = fits(rule).unwrap_err();
            let Error::Refused(refusal) = refused else {
                unreachable!("{refused}")
            };
            assert!(refusal.message.contains("p.toml:1"), "{}", refusal.message);
            assert!(refusal.hint.contains(hint), "{}", refusal.hint);
        }
    }

    #[test]
    fn rows_are_stored_as_the_role_sees_them() {
        let table = treat(POLICY, "analyst", true).unwrap().unwrap();
        assert!(table.keeps("pid") && table.keeps("seen") && !table.keeps("name"));
        let rows = RecordBatch::try_new(
            spec("emr").schema,
            vec![
                Arc::new(Int64Array::from(vec![1, 1, 2])),
                Arc::new(StringArray::from(vec!["a", "a", "b"])),
                Arc::new(StringArray::from(vec!["x", "y", "z"])),
                Arc::new(Date32Array::from(vec![Some(100), Some(130), None])),
            ],
        )
        .unwrap();
        let pids = table.column(&rows, "pid").unwrap();
        let pids = pids.as_primitive::<Int64Type>();
        let keys = ProjectKeys::from_key(&[7; 32], 365, false).unwrap();
        assert_eq!(pids.value(0), keys.pseudonyms_of_numbers("person", &[1])[0]);
        assert!(pids.value(0) == pids.value(1) && pids.value(1) != pids.value(2));
        let days = table.column(&rows, "seen").unwrap();
        let days = days.as_primitive::<Date32Type>();
        assert_eq!(days.value(0) - 100, keys.shifts_of(&[1])[0]);
        assert_eq!(days.value(1) - days.value(0), 30);
        assert!(table.column(&rows, "name").is_err());
    }

    #[test]
    fn another_key_shift_or_limit_of_age_is_told_apart() {
        let made = |key: u8, days: u32, weekday: bool, policy: &str| {
            let keys = ProjectKeys::from_key(&[key; 32], days, weekday).unwrap();
            let policy = Policy::parse("p.toml", policy).unwrap();
            let principal = Principal::new("", "analyst", "research");
            Pseudonymiser::new(policy, principal, Some(Arc::new(keys)))
                .unwrap()
                .made_with()
        };
        let first = made(7, 365, false, POLICY);
        assert!(first.and(&made(7, 365, false, POLICY)).is_ok());
        let ages = format!("{POLICY}\n[ages]\non = 2026-12-31\n");
        for other in [
            made(8, 365, false, POLICY),
            made(7, 182, false, POLICY),
            made(7, 365, true, POLICY),
            made(7, 365, false, &ages),
        ] {
            assert!(first.and(&other).is_err());
        }
        let table = treat(POLICY, "analyst", true).unwrap().unwrap();
        assert_eq!(table.rule("seen").to_string(), "shift_date");
        assert_eq!(table.rule("name").to_string(), "absent");
    }

    #[test]
    fn what_a_store_cannot_be_made_of_is_refused() {
        let said =
            |policy: &str, role: &str, key| treat(policy, role, key).unwrap_err().to_string();
        assert!(said(POLICY, "officer", true).contains("of kind `steward`"));
        assert!(said(POLICY, "analyst", false).contains("--keys"));
        let hidden = POLICY.replace("pid = \"pseudonym\"", "pid = \"absent\"");
        assert!(said(&hidden, "analyst", true).contains("hides `emr.pid`"));
        let binned = POLICY.replace("pid = \"pseudonym\"", "pid = { bin = 10 }");
        assert!(said(&binned, "analyst", true).contains("keeps persons apart"));
        let filtered = POLICY.replace("columns =", "filter = \"dx = 'x'\"\ncolumns =");
        assert!(said(&filtered, "analyst", true).contains("filters rows"));
        let other = POLICY.replace("[\"emr\"]", "[\"other\"]");
        assert!(treat(&other, "analyst", true).unwrap().is_none());
    }
}
