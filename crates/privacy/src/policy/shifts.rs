//! What undoes shifted dates and pseudonyms: the same thing shown twice, once as it is stored.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use columna_model::TableKind;

use super::problem::Findings;
use super::view::{ColumnView, Table, View, identifier_class, kind_of, named_record};
use super::{Ages, ColumnRule, DateUnit, Role, RoleKind};

/// Columns of OMOP's that name a record of the table that another column says, and are what their table is about.
const OF_SEVERAL: [(&str, &str); 4] = [
    ("cost", "cost_event_id"),
    ("episode_event", "event_id"),
    ("fact_relationship", "fact_id_1"),
    ("fact_relationship", "fact_id_2"),
];

/// Warns of what a role sees beside shifted dates, pseudonyms and capped ages.
pub(super) fn warn(
    role: &Role,
    view: &View,
    tables: &[Table],
    ages: Option<Ages>,
    said: &mut BTreeSet<String>,
    findings: &mut Findings<'_>,
) {
    let shown = Shown { view, tables };
    // What another purpose or project shows is said of it, too.
    let mut say = |message: String| {
        if said.insert(message.clone()) {
            findings.warning(
                &role.span,
                format!("the role `{}` sees {message}", role.name),
            );
        }
    };
    if shown
        .columns()
        .any(|(_, column)| column.rule == ColumnRule::ShiftDate)
    {
        let (raw, cut) = shown.days();
        if !raw.is_empty() {
            say(format!(
                "dates shifted, and these as they are stored, which give away by how many days all dates of a person were moved: {}",
                listed(&raw)
            ));
        }
        if !cut.is_empty() {
            say(format!(
                "dates shifted, and these cut to months, quarters, years or decades, which narrow down by how many days a person's dates were moved: {}",
                listed(&cut)
            ));
        }
    }
    for [raw, pseudonyms] in shown.both_ways().into_values() {
        say(format!(
            "{} as stored and {} as pseudonyms: by these no row of the one finds one of the other, and what else the tables have in \
             common joins the numbers with their pseudonyms",
            listed(&raw),
            listed(&pseudonyms)
        ));
    }
    let several = shown.of_several_tables();
    if !several.is_empty() {
        say(format!(
            "{} as pseudonyms: which table's records these name, another column of the row says, so that they find none of them",
            listed(&several)
        ));
    }
    if role.kind == RoleKind::Analyst
        && ages.is_some()
        && let Some(how) = shown.births()
    {
        let message = format!(
            "`person.year_of_birth` {how}, which shows ages above `[ages]`; `year_of_birth = \"birth_year\"` does not"
        );
        say(message);
    }
}

/// What a role sees of a store.
pub(super) struct Shown<'a> {
    pub(super) view: &'a View,
    pub(super) tables: &'a [Table],
}

impl<'a> Shown<'a> {
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'a Table, &'a ColumnView)> {
        let (view, tables) = (self.view, self.tables);
        tables.iter().flat_map(|table| {
            let seen = view.tables.get(&table.name);
            let columns = seen.into_iter().flat_map(|seen| &seen.columns);
            columns.map(move |column| (table, column))
        })
    }

    /// How years of birth are shown, where they are in a way that does not mind how old persons are.
    fn births(&self) -> Option<String> {
        let of_birth = |(table, column): &(&Table, &ColumnView)| {
            table.name == "person" && column.name == "year_of_birth"
        };
        let (_, column) = self.columns().find(of_birth)?;
        match &column.rule {
            ColumnRule::BirthYear | ColumnRule::Absent => None,
            ColumnRule::Raw => Some("as it is stored".to_owned()),
            rule => Some(format!("by `{rule}`")),
        }
    }

    /// Days and times of persons that are shown as stored, and those that are cut, in tables that can be joined.
    fn days(&self) -> (Vec<String>, Vec<String>) {
        let is_key =
            |table: &Table, column: &ColumnView| match identifier_class(table, &column.name) {
                Some(class) => matches!(class, "person_key" | "key"),
                None => named_record(&column.name).is_some(),
            };
        let (mut raw, mut cut) = (Vec::new(), Vec::new());
        for (table, column) in self.columns() {
            let field = table.schema.field_with_name(&column.name);
            let is_day = field.is_ok_and(|field| match field.data_type() {
                DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => true,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                    names_a_day(&column.name)
                }
                _ => false,
            });
            let joins = kind_of(&table.name) != Some(TableKind::Vocabulary)
                && self
                    .columns()
                    .any(|(of, key)| of.name == table.name && is_key(table, key));
            if !is_day || !joins {
                continue;
            }
            let name = format!("`{}.{}`", table.name, column.name);
            match column.rule {
                ColumnRule::Raw => raw.push(name),
                ColumnRule::GeneralizeDate(DateUnit::Day) => raw.push(name),
                // A birth has no shifted date beside it. Of others, whose shifted date lies beyond an end of the unit is told
                // by how many days at least: the more dates a person has, the closer.
                ColumnRule::GeneralizeDate(_) if table.name != "person" => cut.push(name),
                _ => {}
            }
        }
        (raw, cut)
    }

    /// Pseudonyms of numbers that are those of one table's records in one row and of another's in the next.
    fn of_several_tables(&self) -> Vec<String> {
        let several = self.columns().filter(|(table, column)| {
            column.rule == ColumnRule::Pseudonym
                && OF_SEVERAL.iter().any(|(of, name)| {
                    of.eq_ignore_ascii_case(&table.name) && name.eq_ignore_ascii_case(&column.name)
                })
        });
        several
            .map(|(table, column)| format!("`{}.{}`", table.name, column.name))
            .collect()
    }

    /// Numbers and names that are shown as stored in one place and as pseudonyms in another, by what they refer to.
    fn both_ways(&self) -> BTreeMap<&'a str, [Vec<String>; 2]> {
        let mut ways: BTreeMap<&str, [Vec<String>; 2]> = BTreeMap::new();
        for (table, column) in self.columns() {
            let way = match column.rule {
                ColumnRule::Raw => 0,
                ColumnRule::Pseudonym => 1,
                _ => continue,
            };
            let name = format!("`{}.{}`", table.name, column.name);
            ways.entry(&column.domain).or_default()[way].push(name);
        }
        ways.retain(|_, [raw, pseudonyms]| !raw.is_empty() && !pseudonyms.is_empty());
        ways
    }
}

/// A text of this name is likely to be a day.
fn names_a_day(column: &str) -> bool {
    let column = column.to_lowercase();
    column
        .split('_')
        .any(|word| ["date", "datetime", "day", "dob", "timestamp"].contains(&word))
}

/// The first few, and how many there are.
pub(super) fn listed(names: &[String]) -> String {
    const FEW: usize = 6;
    let shown = names
        .iter()
        .take(FEW)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(FEW) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use crate::Policy;
    use crate::policy::Table;

    fn said(rules: &str) -> String {
        let mut tables: Vec<Table> = [
            "person",
            "visit_occurrence",
            "measurement",
            "cost",
            "concept",
        ]
        .into_iter()
        .map(|name| Table::of_model(columna_model::table(name).unwrap()))
        .collect();
        let own = Schema::new(vec![
            Field::new("visit_occurrence_id", DataType::Int64, false),
            Field::new("moved_on", DataType::Date32, false),
            Field::new("left_date", DataType::Utf8, false),
        ]);
        tables.push(Table {
            name: "bed_log".to_owned(),
            schema: own.into(),
            person_key: None,
        });
        let text = format!(
            "version = 1\n[projects.p]\n[roles.r]\nkind = \"analyst\"\npurposes = [\"x\", \"y\"]\nprojects = [\"p\"]\n\
             [ages]\non = 2026-12-31\n{rules}"
        );
        let problems = Policy::parse("p.toml", &text).unwrap().check(&tables);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.join("\n")
    }

    #[test]
    fn what_undoes_shifts_pseudonyms_and_ages_is_warned_of() {
        let sound = "[[rules]]\ntables = [\"visit_occurrence\", \"measurement\"]\n\
             classes = { person_key = \"pseudonym\", key = \"pseudonym\", date = \"shift_date\" }\n\
             [[rules]]\ntables = [\"concept\"]\nclasses = { code = \"raw\", date = \"raw\" }\n";
        let person = |columns: &str| {
            format!("{sound}[[rules]]\ntables = [\"person\"]\ncolumns = {{ {columns} }}\n")
        };
        let honest = said(&person(
            "person_id = \"pseudonym\", year_of_birth = \"birth_year\"",
        ));
        for word in ["give away", "narrow down", "as pseudonyms", "shows ages"] {
            assert!(!honest.contains(word), "{honest}");
        }
        for (columns, says) in [
            (
                "person_id = \"pseudonym\", birth_datetime = \"raw\"",
                "give away by how many days all dates of a person were moved: `person.birth_datetime`",
            ),
            (
                "person_id = \"raw\"",
                "`person.person_id` as stored and `visit_occurrence.person_id`",
            ),
            (
                "person_id = \"pseudonym\", year_of_birth = \"raw\"",
                "`person.year_of_birth` as it is stored, which shows ages above",
            ),
            (
                "person_id = \"pseudonym\", year_of_birth = { bin = 5 }",
                "`person.year_of_birth` by `bin 5`, which shows ages above",
            ),
            (
                "person_id = \"pseudonym\", year_of_birth = { top = 2000 }",
                "`person.year_of_birth` by `top 2000`, which shows ages above",
            ),
        ] {
            let found = said(&person(columns));
            assert!(found.contains(says), "{says}: {found}");
            assert!(found.contains("3:8: warning: the role `r` sees"), "{found}");
        }
        // A hospital's own table that names visits.
        let own = format!(
            "{sound}[[rules]]\ntables = [\"bed_log\"]\ncolumns = {{ visit_occurrence_id = \"pseudonym\", moved_on = \"raw\", left_date = \"raw\" }}\n"
        );
        assert!(said(&own).contains("moved: `bed_log.moved_on`, `bed_log.left_date`"));
        let cost = format!(
            "{sound}[[rules]]\ntables = [\"cost\"]\ncolumns = {{ cost_event_id = \"pseudonym\", total_charge = \"raw\" }}\n"
        );
        assert!(said(&cost).contains("`cost.cost_event_id` as pseudonyms: which table's"));
        // Each purpose shows other days.
        let of = |purpose: &str, table: &str, day: &str| {
            format!(
                "[[rules]]\ntables = [\"{table}\"]\npurposes = [\"{purpose}\"]\ncolumns = {{ {day} = \"raw\" }}\n"
            )
        };
        let two = format!(
            "[[rules]]\ntables = [\"visit_occurrence\", \"measurement\", \"person\"]\n\
             columns = {{ person_id = \"pseudonym\", birth_datetime = \"shift_date\" }}\n{}{}",
            of("x", "visit_occurrence", "visit_start_date"),
            of("y", "measurement", "measurement_date")
        );
        let two = said(&two);
        assert!(
            two.contains("moved: `visit_occurrence.visit_start_date`"),
            "{two}"
        );
        assert!(
            two.contains("moved: `measurement.measurement_date`"),
            "{two}"
        );
        // Another table, and another column of the same one.
        let mixed = sound.replace(", \"measurement\"", "");
        let of = |treatment: &str| {
            said(&format!(
                "{mixed}[[rules]]\ntables = [\"measurement\"]\ncolumns = {{ person_id = \"pseudonym\", measurement_date = {treatment} }}\n"
            ))
        };
        assert!(of("\"raw\"").contains("moved: `measurement.measurement_date`"));
        assert!(of("{ generalize_date = \"day\" }").contains("give away"));
        for unit in ["month", "quarter", "year", "decade"] {
            let said = of(&format!("{{ generalize_date = \"{unit}\" }}"));
            assert!(said.contains("narrow down"), "{unit}: {said}");
        }
    }
}
