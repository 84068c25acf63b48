//! Are the names of a policy those of a store, or of a delivery? A rule that is to hide something by a wrong name hides nothing.

use super::problem::{Findings, Problem, nearest};
use super::view::{Table, is_same_name};
use super::{ColumnRule, Policy, RoleKind, Rule, TablePattern, listed};
use crate::{Error, Principal};

const NO_TABLE: &str = "the store has no table";
const DID_YOU_MEAN: &str = "did you mean";

impl Policy {
    /// Refuses a role, of which a rule is to hide what the store has not: by a wrong name it hides nothing, and what it was to
    /// hide would be open.
    ///
    /// # Errors
    /// A refusal that names the first such place of the file; no name of the store, which the role need not know.
    pub fn fits(&self, principal: &Principal, tables: &[Table]) -> crate::Result<()> {
        let Some(first) = self.unfit(principal, tables)?.into_iter().next() else {
            return Ok(());
        };
        let hint = "ask the policy's author, who corrects the name or takes it out; `columna privacy policy check` shows all of them";
        Err(self.refused("store", &first, hint.to_owned()))
    }

    /// The same of the tables of a delivery that is pseudonymised. A table that is neither among them nor in the model may come in
    /// another delivery, unless its name is nearly that of one which is there.
    ///
    /// # Errors
    /// A refusal that names the first such place of the file.
    pub fn fits_delivery(&self, principal: &Principal, delivered: Vec<Table>) -> crate::Result<()> {
        let mut tables = delivered;
        for def in columna_model::tables(columna_model::CdmVersion::V5_4) {
            if !tables.iter().any(|table| table.name == def.name) {
                tables.push(Table::of_model(def));
            }
        }
        let is_near = |hint: &String| hint.starts_with(DID_YOU_MEAN);
        let wrong = self.unfit(principal, &tables)?.into_iter().find(|found| {
            !found.message.starts_with(NO_TABLE) || found.hint.as_ref().is_some_and(is_near)
        });
        let Some(wrong) = wrong else {
            return Ok(());
        };
        let hint = wrong.hint.clone();
        let hint = hint.unwrap_or_else(|| "correct the name or take it out".to_owned());
        Err(self.refused("delivery", &wrong, hint))
    }

    fn refused(&self, what: &str, wrong: &Problem, hint: String) -> Error {
        let message = format!(
            "the policy does not fit the {what}: {}:{}:{}: {}, so that the rule would hide nothing there",
            self.file, wrong.line, wrong.column, wrong.message
        );
        Error::refused("policy", message, hint)
    }

    /// The names by which a role's rules are to hide something, and which are none of these tables'.
    fn unfit(&self, principal: &Principal, tables: &[Table]) -> crate::Result<Vec<Problem>> {
        let role = self.role(principal)?;
        if role.kind == RoleKind::Steward {
            return Ok(Vec::new());
        }
        let project = self.project(principal).map(|project| project.name.as_str());
        let mut findings = Findings::new(&self.text);
        for rule in &self.rules {
            let applies = rule.applies(&role.name, &principal.purpose, project);
            if applies && rule.restricts() {
                unknown_names(rule, tables, |treatment| !treatment.is_raw(), &mut findings);
            }
        }
        Ok(findings.finish())
    }
}

/// Finds tables and columns of a rule that the store has not: those columns whose treatment `matters`.
pub(super) fn unknown_names(
    rule: &Rule,
    tables: &[Table],
    matters: impl Fn(&ColumnRule) -> bool,
    findings: &mut Findings<'_>,
) {
    let names = || tables.iter().map(|table| table.name.as_str());
    for pattern in &rule.tables {
        let TablePattern::Name(name) = pattern else {
            continue;
        };
        if !names().any(|known| is_same_name(known, &name.value)) {
            let hint = nearest(&name.value, names()).map_or_else(
                || format!("its tables are {}", listed(&names().collect::<Vec<_>>())),
                |near| format!("{DID_YOU_MEAN} `{near}`?"),
            );
            findings.error_with(&name.span, format!("{NO_TABLE} `{}`", name.value), hint);
        }
    }
    let spoken_of: Vec<&Table> = tables
        .iter()
        .filter(|table| rule.speaks_of(&table.name))
        .collect();
    for (column, treatment) in rule
        .columns
        .iter()
        .filter(|(_, treatment)| matters(&treatment.value))
    {
        let columns = || {
            spoken_of.iter().flat_map(|table| {
                table
                    .schema
                    .fields()
                    .iter()
                    .map(|field| field.name().as_str())
            })
        };
        if !spoken_of.is_empty() && !columns().any(|known| is_same_name(known, column)) {
            let hint = nearest(column, columns()).map_or_else(
                || "compare with `columna info` or `\\d TABLE`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            findings.error_with(
                &treatment.span,
                format!("none of the rule's tables has a column `{column}`"),
                hint,
            );
        }
    }
}
