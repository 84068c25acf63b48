//! `columna privacy policy init`: a sensible start, to be read and changed.

use std::fmt::Write;

use arrow::datatypes::DataType;
use columna_model::TableKind;

use super::check::ENDS;
use super::view::{Table, identifier_class, kind_of};

/// The named starting points, and what each is about.
pub const START_PROFILES: [(&str, &str); 3] = [
    (
        "safe-harbor",
        "HIPAA Safe Harbor (45 CFR 164.514(b)(2)): no record numbers, dates cut to years, ages above 89 as one, three-digit ZIP areas",
    ),
    (
        "korea",
        "Korean pseudonymised information (PIPA articles 28-2 to 28-7): keyed pseudonyms per project, dates shifted by person",
    ),
    (
        "opensafely",
        "OpenSAFELY output rules: counts below 8 redacted, all others rounded to 5; no rows at all",
    ),
];

/// A policy to start from, for the tables of a store. `today` is in the year at whose end ages are reckoned.
#[must_use]
pub fn start(profile: &str, tables: &[Table], today: &str) -> Option<String> {
    let year = today.split('-').next()?;
    let (_, about) = START_PROFILES.iter().find(|(name, _)| *name == profile)?;
    let mut text = format!(
        "# A start, made for this store's tables: {about}.\n\
         # Nothing is visible until a rule allows it, and where several rules speak of a column, the strictest counts.\n\
         # Check every change with `columna privacy policy check FILE`, and raise the version.\n\n\
         version = 1\n\n"
    );
    text.push_str(match profile {
        "safe-harbor" => SAFE_HARBOR_ROLES,
        "korea" => KOREA_ROLES,
        _ => OPENSAFELY_ROLES,
    });
    let _ = write!(
        text,
        "\n# Ages above 89 show as 89: whoever will be older than `over` on the day `on` shares one year of birth, and dates that\n\
         # would tell how much older are moved. The day must not be before the last day of the data. It is the end of this\n\
         # year, so that data may be added until then; raise it before later ones come.\n\
         [ages]\nover = 89\non = {year}-12-31\n"
    );
    text.push_str(match profile {
        "safe-harbor" => SAFE_HARBOR_RULES,
        "korea" => KOREA_RULES,
        _ => OPENSAFELY_RULES,
    });
    if profile == "korea" {
        text.push_str(&ends(tables));
    }
    if profile == "opensafely" {
        text.push_str(&times(tables));
    }
    text.push_str(&zip(tables, profile));
    text.push_str(&unknown(tables));
    Some(text)
}

const SAFE_HARBOR_ROLES: &str = r#"# Everything, on record.
[roles.steward]
kind = "steward"
purposes = ["administration"]

# Rows without identifiers.
[roles.researcher]
kind = "analyst"
purposes = ["research"]
"#;

const KOREA_ROLES: &str = r#"# A project is a domain of pseudonyms: the same patient has another one in every project. Make a key with
#   (umask 077; columna privacy key new study > keys)
# and give it to sessions with `--keys keys`.
[projects.study]
date_shift_days = 364
keep_weekday = true

# Everything, on record.
[roles.steward]
kind = "steward"
purposes = ["administration"]

# Rows with pseudonyms and shifted dates.
[roles.researcher]
kind = "analyst"
purposes = ["research", "statistics"]
projects = ["study"]
"#;

const OPENSAFELY_ROLES: &str = r#"# Everything, on record.
[roles.steward]
kind = "steward"
purposes = ["administration"]

# Numbers about groups of persons.
[roles.researcher]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "opensafely" }
"#;

const SAFE_HARBOR_RULES: &str = r#"
# The class `quasi` has `location_id`, `care_site_id` and `provider_id`, numbers of addresses, departments and doctors: finer than
# three digits of a postal code for whoever knows what they stand for. Such a role should have them "absent".
[[rules]]
name = "clinical data without identifiers"
roles = ["researcher"]
tables = ["@clinical", "@derived", "@economic"]
[rules.classes]
person_key = "absent"
direct = "absent"
free_text = "absent"
key = "absent"
date = { generalize_date = "year" }
quasi = "raw"
code = "raw"
value = "raw"

[[rules]]
name = "birth"
roles = ["researcher"]
tables = ["person"]
columns = { year_of_birth = "birth_year", month_of_birth = "absent", day_of_birth = "absent", birth_datetime = "absent" }

[[rules]]
name = "vocabulary"
roles = ["researcher"]
tables = ["@vocabulary"]
classes = { direct = "raw", key = "raw", code = "raw", value = "raw", date = "raw", free_text = "raw", quasi = "raw" }
"#;

const KOREA_RULES: &str = r#"
[[rules]]
name = "clinical data under pseudonyms"
roles = ["researcher"]
tables = ["@clinical", "@derived", "@economic"]
[rules.classes]
person_key = "pseudonym"
direct = "absent"
free_text = "absent"
key = "pseudonym"
date = "shift_date"
quasi = "raw"
code = "raw"
value = "raw"

[[rules]]
name = "birth"
roles = ["researcher"]
tables = ["person"]
columns = { year_of_birth = "birth_year", month_of_birth = "absent", day_of_birth = "absent", birth_datetime = "absent" }

[[rules]]
name = "vocabulary"
roles = ["researcher"]
tables = ["@vocabulary"]
classes = { direct = "raw", key = "raw", code = "raw", value = "raw", date = "raw", free_text = "raw", quasi = "raw" }
"#;

const OPENSAFELY_RULES: &str = r#"
# What questions may be asked about: the columns are not shown, only numbers made from them.
[[rules]]
name = "clinical data"
roles = ["researcher"]
tables = ["@clinical", "@derived", "@economic"]
[rules.classes]
person_key = "raw"
direct = "absent"
free_text = "absent"
key = "raw"
date = "raw"
quasi = "raw"
code = "raw"
value = "raw"

# Who can be named in conditions can be looked for in groups. As in OpenSAFELY, a date of birth is its month.
[[rules]]
name = "birth"
roles = ["researcher"]
tables = ["person"]
columns = { day_of_birth = "absent", birth_datetime = { generalize_date = "month" } }

[[rules]]
name = "vocabulary"
roles = ["researcher"]
tables = ["@vocabulary"]
classes = { direct = "raw", key = "raw", code = "raw", value = "raw", date = "raw", free_text = "raw", quasi = "raw" }
"#;

/// Ends of periods, which are not shown where dates are shifted.
fn ends(tables: &[Table]) -> String {
    let mut text = String::new();
    for (table, column) in ENDS {
        if !tables.iter().any(|known| known.name == table) {
            continue;
        }
        if text.is_empty() {
            text.push_str(
                "\n# For most persons a period ends on the last day of the data, which is known: shifted, it would tell by how many days\n\
                 # all of their dates were moved. Studies need the end of observation: leave its rule out for a role that runs\n\
                 # them, and that may be trusted with more than it is shown.\n",
            );
        } else {
            text.push('\n');
        }
        let _ = write!(
            text,
            "[[rules]]\nname = \"no end of {table}\"\nroles = [\"researcher\"]\ntables = [\"{table}\"]\ncolumns = {{ {column} = \"absent\" }}\n"
        );
    }
    text
}

/// Times of day: with conditions on seconds, groups could be moved by one person at a time.
fn times(tables: &[Table]) -> String {
    let mut text =
        "\n# Times are shown as their days: by the second, nearly everybody is a group of one.\n"
            .to_owned();
    for table in tables {
        let asked_about = matches!(
            kind_of(&table.name),
            Some(TableKind::Clinical | TableKind::Derived | TableKind::Economic)
        );
        let columns = table.schema.fields().iter().filter_map(|field| {
            let name = field.name();
            match field.data_type() {
                DataType::Timestamp(..) => {
                    Some(format!("{name} = {{ generalize_date = \"day\" }}"))
                }
                _ if name == "measurement_time" => Some(format!("{name} = \"absent\"")),
                _ => None,
            }
        });
        let columns: Vec<String> = columns.collect();
        // That of births is a month already.
        if !asked_about || columns.is_empty() || table.name == "person" {
            continue;
        }
        let _ = write!(
            text,
            "[[rules]]\nname = \"no times of {0}\"\nroles = [\"researcher\"]\ntables = [\"{0}\"]\ncolumns = {{ {1} }}\n",
            table.name,
            columns.join(", ")
        );
    }
    text
}

/// Places, where the store has them: postal codes are cut, streets never show.
fn zip(tables: &[Table], profile: &str) -> String {
    let Some(location) = tables.iter().find(|table| table.name == "location") else {
        return String::new();
    };
    let has = |column: &str| location.schema.index_of(column).is_ok();
    let mut columns = Vec::new();
    for (column, rule) in [
        ("location_id", "\"raw\""),
        ("state", "\"raw\""),
        ("zip", "\"zip3\""),
    ] {
        // Three digits are an area in the United States only.
        if has(column) && (column != "zip" || profile == "safe-harbor") {
            columns.push(format!("{column} = {rule}"));
        }
    }
    format!(
        "\n[[rules]]\nname = \"places\"\nroles = [\"researcher\"]\ntables = [\"location\"]\ncolumns = {{ {} }}\n",
        columns.join(", ")
    )
}

/// Columns that OMOP does not know: nobody but the hospital can say what they hold.
fn unknown(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        let unknown: Vec<&str> = table
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .filter(|column| identifier_class(table, column).is_none())
            .collect();
        if unknown.is_empty() || table.name == "ingest_rejects" {
            continue;
        }
        let _ = write!(
            text,
            "\n# OMOP does not know these columns of `{}`, so that nobody sees them until a rule says how:\n#   {}\n",
            table.name,
            unknown.join(", ")
        );
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    use crate::policy::{ColumnRule, Severity};
    use crate::{Policy, Principal};

    fn omop() -> Vec<Table> {
        columna_model::tables(columna_model::CdmVersion::V5_4)
            .iter()
            .map(|def| Table {
                name: def.name.to_owned(),
                schema: def.schema(),
                person_key: def.person_key.map(str::to_owned),
            })
            .collect()
    }

    #[test]
    fn every_start_fits_a_store_with_all_of_omop_and_shows_no_direct_identifier() {
        let tables = omop();
        for (profile, _) in START_PROFILES {
            let text = start(profile, &tables, "2026-12-31").unwrap();
            let policy = Policy::parse(profile, &text).unwrap();
            let errors: Vec<_> = policy
                .check(&tables)
                .into_iter()
                .filter(|problem| problem.severity == Severity::Error)
                .map(|problem| problem.to_string())
                .collect();
            assert!(errors.is_empty(), "{profile}: {errors:#?}");
            let view = policy
                .view(&Principal::new("x", "researcher", "research"), &tables)
                .unwrap();
            assert!(view.tables.contains_key("condition_occurrence"));
            for (name, seen) in &view.tables {
                let table = tables.iter().find(|table| table.name == *name).unwrap();
                let clinical = columna_model::table(name).is_some_and(|def| {
                    matches!(def.kind, TableKind::Clinical | TableKind::Derived)
                });
                for column in &seen.columns {
                    let class = identifier_class(table, &column.name).unwrap();
                    let direct = clinical && matches!(class, "direct" | "free_text");
                    assert!(!direct, "{profile}: {name}.{}", column.name);
                    let timed = column.rule == ColumnRule::Raw
                        && matches!(
                            table
                                .schema
                                .field_with_name(&column.name)
                                .unwrap()
                                .data_type(),
                            DataType::Timestamp(..)
                        );
                    assert!(
                        !timed && column.name != "measurement_time",
                        "{name}.{}",
                        column.name
                    );
                    let dated = clinical && class == "date" && profile != "opensafely";
                    assert!(
                        !dated || column.rule != ColumnRule::Raw,
                        "{name}.{}",
                        column.name
                    );
                }
            }
        }
        assert!(start("other", &tables, "2026-12-31").is_none());
    }

    /// Most persons are observed up to the last day of the data: whoever knows it would know by how much days were shifted.
    #[test]
    fn no_start_shows_the_shift_by_the_last_day_of_the_data() {
        let tables = omop();
        let told = |text: &str| -> Vec<String> {
            let problems = Policy::parse("p.toml", text).unwrap().check(&tables);
            let all = problems.iter().map(ToString::to_string);
            all.filter(|said| said.contains("the last day of the data"))
                .collect()
        };
        for (profile, _) in START_PROFILES {
            let text = start(profile, &tables, "2026-12-31").unwrap();
            assert_eq!(told(&text), [""; 0], "{profile}");
            let shown = text.replace(
                "period_end_date = \"absent\"",
                "period_end_date = \"shift_date\"",
            );
            let ends = if profile == "korea" { ENDS.len() } else { 0 };
            assert_eq!(told(&shown).len(), ends, "{profile}");
        }
    }
}
