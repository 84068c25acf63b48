//! Columns that name persons directly: beside pseudonyms they undo them, and to a role of numbers they show nothing.

use std::collections::BTreeSet;

use columna_model::TableKind;

use super::problem::Findings;
use super::shifts::{Shown, listed};
use super::view::{identifier_class, kind_of};
use super::{ColumnRule, Role, RoleKind};

/// Warns of direct identifiers that a role sees as they are stored.
pub(super) fn warn(
    role: &Role,
    shown: &Shown<'_>,
    said: &mut BTreeSet<String>,
    findings: &mut Findings<'_>,
) {
    let direct: Vec<String> = shown
        .columns()
        .filter(|(table, column)| {
            // What identifies a concept or a data set is no person's.
            let of_nobody = matches!(
                kind_of(&table.name),
                Some(TableKind::Vocabulary | TableKind::Metadata)
            );
            column.rule == ColumnRule::Raw
                && !of_nobody
                && identifier_class(table, &column.name) == Some("direct")
        })
        .map(|(table, column)| format!("`{}.{}`", table.name, column.name))
        .collect();
    if direct.is_empty() {
        return;
    }
    let pseudonyms = shown.columns().any(|(table, column)| {
        column.rule == ColumnRule::Pseudonym
            && table.person_key.as_deref() == Some(column.name.as_str())
    });
    let message = match role.kind {
        RoleKind::Analyst if pseudonyms => format!(
            "the role `{}` sees persons as pseudonyms, and these as they are stored, which name persons directly: {}; write \
             `direct = \"absent\"`",
            role.name,
            listed(&direct)
        ),
        RoleKind::Aggregate => format!(
            "the role `{}` sees numbers about groups and no rows, so that `raw` shows it nobody's value of these: {}; conditions may \
             name them all the same, and look for persons by them: write `direct = \"absent\"`",
            role.name,
            listed(&direct)
        ),
        _ => return,
    };
    if said.insert(message.clone()) {
        findings.warning(&role.span, message);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use crate::Policy;
    use crate::policy::Table;

    fn said(role: &str, rules: &str) -> String {
        let tables: Vec<Table> = ["person", "visit_occurrence", "concept"]
            .into_iter()
            .map(|name| Table::of_model(columna_model::table(name).unwrap()))
            .collect();
        let text = format!(
            "version = 1\n[projects.p]\n[roles.r]\npurposes = [\"x\"]\nprojects = [\"p\"]\n{role}\n{rules}"
        );
        let problems = Policy::parse("p.toml", &text).unwrap().check(&tables);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.join("\n")
    }

    #[test]
    fn identifiers_beside_pseudonyms_are_warned_of() {
        let rules = |key: &str, direct: &str| {
            format!(
                "[[rules]]\ntables = [\"person\"]\nclasses = {{ person_key = \"{key}\", direct = \"{direct}\", value = \"raw\" }}\n\
                 [[rules]]\ntables = [\"concept\"]\nclasses = {{ direct = \"raw\", code = \"raw\" }}\n"
            )
        };
        let analyst = "kind = \"analyst\"";
        let names = "which name persons directly: `person.person_source_value`";
        assert!(said(analyst, &rules("pseudonym", "raw")).contains(names));
        for (key, direct) in [
            ("pseudonym", "absent"),
            ("pseudonym", "mask"),
            ("raw", "raw"),
        ] {
            let found = said(analyst, &rules(key, direct));
            assert!(!found.contains("name persons directly"), "{found}");
        }
    }

    #[test]
    fn identifiers_have_no_effect_for_a_role_of_numbers() {
        let board = "kind = \"aggregate\"\ndisclosure = { profile = \"sacro\" }";
        let rules = |direct: &str| {
            format!(
                "[[rules]]\ntables = [\"person\"]\nclasses = {{ person_key = \"raw\", direct = \"{direct}\" }}\n"
            )
        };
        let says = "`raw` shows it nobody's value of these";
        let found = said(board, &rules("raw"));
        assert!(
            found.contains(says) && found.contains("`person.person_source_value`"),
            "{found}"
        );
        assert!(!said(board, &rules("absent")).contains(says));
    }
}
