//! Names of tables and columns that the model does not have: hospitals name files and columns after patients, too.

use super::plain::plain;
use super::{IdentifierKind, email, numbers};
use crate::reader::Target;

/// What is wrong with a target's names, without the names.
pub(super) fn check(target: &Target) -> Option<String> {
    if target.def.is_none()
        && let Some(kind) = held(&target.spec.name)
    {
        return Some(format!(
            "the name of a table that OMOP does not have holds {kind}: give its file another name"
        ));
    }
    let fields = target.spec.schema.fields();
    let own = |name: &str| target.def.is_none_or(|def| def.column(name).is_none());
    let kind = fields.iter().find_map(|field| {
        let name = field.name();
        held(name).filter(|_| own(name))
    })?;
    Some(format!(
        "the name of a column of table `{}` that OMOP does not have holds {kind}: give it another name, or name it in \
         `--drop-column`",
        target.spec.name
    ))
}

/// What kind of identifier a name holds.
fn held(name: &str) -> Option<IdentifierKind> {
    let name = plain(name);
    if email::has_address(&name) {
        return Some(IdentifierKind::Email);
    }
    // Words in names have `_` between them, and numbers its like.
    let spaced = name.replace('_', " ");
    let found = numbers::numbers(spaced.as_bytes());
    if found.registration || found.checks {
        Some(IdentifierKind::ResidentRegistration)
    } else if found.telephone || found.bare_telephone {
        Some(IdentifierKind::Telephone)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_numbers() {
        let registration = Some(IdentifierKind::ResidentRegistration);
        let telephone = Some(IdentifierKind::Telephone);
        for (name, expected) in [
            ("kim_chulsoo_900101-1234567", registration),
            ("hiv_9001011234568", registration),
            ("hiv_900101_1234568", registration),
            ("hiv_kim_chulsoo_010_1234_5678", telephone),
            ("memo 01012345678", telephone),
            ("kim@naver.com", Some(IdentifierKind::Email)),
        ] {
            assert_eq!(held(name), expected, "{name}");
        }
        for name in [
            "measurement_2024_01_01",
            "labs_20240101_123456",
            "labs_20240101-1234567",
            "visit_2019-01-01_2020-12-31",
            "value_as_number_1_2_3_4",
            "v_4548_4",
            "icd10_e11_9",
            "q_120_130_1400",
            "환자_메모",
            "x",
            "",
        ] {
            assert_eq!(held(name), None, "{name}");
        }
    }
}
