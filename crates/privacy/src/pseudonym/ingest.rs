//! A policy applied before data are stored, so that data that should never hold identifiers never do.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use columna_store::TableSpec;

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
    columns: BTreeMap<String, Option<Mask>>,
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

    /// What becomes of a table; `None` where no rule shows any of its columns.
    ///
    /// # Errors
    /// When the rules contradict each other or do not fit the table, a key is missing, the person would be lost, or
    /// the policy leaves out rows.
    pub fn table(&self, spec: &TableSpec) -> Result<Option<PseudonymTable>> {
        let table = Table {
            name: spec.name.clone(),
            schema: Arc::clone(&spec.schema),
            person_key: spec.person_key.clone(),
        };
        let mut view = self.policy.view(&self.principal, &[table])?;
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
            columns.insert(column.name, mask);
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

impl PseudonymTable {
    /// Whether a column's values are kept in some form.
    #[must_use]
    pub fn keeps(&self, column: &str) -> bool {
        self.columns.contains_key(column)
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
            Some(None) => Ok(Arc::clone(stored)),
            Some(Some(mask)) => {
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
