//! Does a policy fit a store? What only the store's own tables can tell.

use std::collections::{BTreeMap, BTreeSet};

use columna_model::Day;

use super::fits::unknown_names;
use super::problem::{Findings, Problem};
use super::view::{Table, View, identifier_class, is_same_name};
use super::{ColumnRule, KeyValue, Policy, Role, RoleKind, Rule, listed};
use super::{identifiers, shifts};
use crate::disclosure::profile;
use crate::pseudonym::Mask;
use crate::{Error, Principal, guard};

/// Columns of a table that no rule speaks of, by the place of the first rule of the table: for which roles.
type Unspoken<'a> = BTreeMap<(usize, usize, &'a str, String), Vec<&'a str>>;

impl Policy {
    /// Compares a policy with the tables of a store: names that are not there, treatments that a column's type has
    /// no meaning for, row filters that do not compile, rules that contradict each other, and columns that no rule
    /// speaks of. Findings stand in the order of the file.
    #[must_use]
    pub fn check(&self, tables: &[Table]) -> Vec<Problem> {
        let mut findings = Findings::new(&self.text);
        for rule in &self.rules {
            self.check_rule(rule, tables, &mut findings);
        }
        let mut unspoken = Unspoken::new();
        for role in self.roles.values() {
            self.check_role(role, tables, &mut unspoken, &mut findings);
        }
        for ((begin, end, table, columns), roles) in unspoken {
            findings.warning(
                &(begin..end),
                format!(
                    "no rule speaks of these columns of `{table}`, so that the {} {} not see them: {columns}",
                    match roles.as_slice() {
                        [role] => format!("role `{role}`"),
                        roles => format!("roles {}", listed(roles)),
                    },
                    if roles.len() == 1 { "does" } else { "do" },
                ),
            );
        }
        findings.finish()
    }

    /// Compares the day on which ages are reckoned with the last day of the data: whoever is older than the limit by then
    /// shows an age above it.
    #[must_use]
    pub fn check_ages(&self, newest: Day) -> Option<Problem> {
        let ages = self.ages.filter(|ages| ages.on < newest)?;
        let mut findings = Findings::new(&self.text);
        findings.warning(
            &self.ages_span,
            format!(
                "ages are reckoned on {}, and the data go on to {newest}: who is older than {} by then shows it; write `on = \
                 {newest}` or a later day",
                ages.on, ages.over
            ),
        );
        findings.finish().pop()
    }

    fn check_rule(&self, rule: &Rule, tables: &[Table], findings: &mut Findings<'_>) {
        unknown_names(rule, tables, |_| true, findings);
        let spoken_of = tables.iter().filter(|table| rule.speaks_of(&table.name));
        for table in spoken_of {
            for field in table.schema.fields() {
                let Some(spanned) = rule.columns.get(&field.name().to_lowercase()) else {
                    continue;
                };
                let treatment = &spanned.value;
                let mut wrong = |reason: &str| {
                    findings.error(
                        &spanned.span,
                        format!(
                            "`{treatment}` of `{}.{}`: {reason}",
                            table.name,
                            field.name()
                        ),
                    );
                };
                if let Some(reason) = Mask::mismatch(treatment, field.data_type()) {
                    wrong(reason);
                } else if *treatment == ColumnRule::ShiftDate && table.person_key.is_none() {
                    wrong("dates are shifted by person, and this table has none");
                }
            }
            if let Some(filter) = &rule.filter
                && let Err(fault) = guard::check_filter(&filter.value, &table.schema)
            {
                let at = fault.at.and_then(|at| filter.byte_within(&self.text, at));
                findings.error(
                    &at.map_or(filter.span.clone(), |at| at..filter.span.end),
                    format!("the filter does not fit `{}`: {fault}", table.name),
                );
            }
        }
    }

    fn check_role<'a>(
        &'a self,
        role: &'a Role,
        tables: &'a [Table],
        unspoken: &mut Unspoken<'a>,
        findings: &mut Findings<'_>,
    ) {
        if role.kind == RoleKind::Steward {
            return;
        }
        self.check_dp(role, tables, findings);
        warn_of_lax(role, findings);
        let projects: Vec<Option<&str>> = if role.projects.is_empty() {
            vec![None]
        } else {
            role.projects
                .iter()
                .map(|name| Some(name.as_str()))
                .collect()
        };
        let mut said = BTreeSet::new();
        for purpose in &role.purposes {
            for project in &projects {
                let mut principal = Principal::new("", &role.name, purpose);
                principal.project = project.map(str::to_owned);
                let view = match self.view(&principal, tables) {
                    Ok(view) => view,
                    Err(Error::Refused(refusal)) => {
                        if said.insert(refusal.message.clone()) {
                            findings.error_with(
                                &role.span,
                                format!("for the role `{}`: {}", role.name, refusal.message),
                                "give the rules different roles, purposes or projects, or make them agree",
                            );
                        }
                        continue;
                    }
                    Err(other) => {
                        findings.error(&role.span, other.to_string());
                        continue;
                    }
                };
                let keyed = view
                    .tables
                    .values()
                    .flat_map(|table| &table.columns)
                    .any(|column| column.rule.needs_key());
                if keyed && project.is_none() && said.insert("project".to_owned()) {
                    findings.error_with(
                        &role.span,
                        format!(
                            "the role `{}` sees pseudonyms or shifted dates and works in no project, whose key makes them",
                            role.name
                        ),
                        "write `[projects.NAME]`, and `projects = [\"NAME\"]` in the role",
                    );
                }
                warn_of_filter(role, &view, tables, &mut said, findings);
                warn_of_ends(role, &view, &mut said, findings);
                warn_of_birthdays(role, &view, &mut said, findings);
                let shown = shifts::Shown {
                    view: &view,
                    tables,
                };
                identifiers::warn(role, &shown, &mut said, findings);
                shifts::warn(role, &view, tables, self.ages, &mut said, findings);
                self.warn(role, purpose, *project, tables, &mut said, unspoken);
            }
        }
    }

    /// Columns that no rule speaks of: they are absent, which may be what is meant.
    fn warn<'a>(
        &self,
        role: &'a Role,
        purpose: &str,
        project: Option<&str>,
        tables: &'a [Table],
        said: &mut BTreeSet<String>,
        unspoken: &mut Unspoken<'a>,
    ) {
        for table in tables {
            let rules: Vec<&Rule> = self
                .rules
                .iter()
                .filter(|rule| {
                    rule.applies(&role.name, purpose, project) && rule.speaks_of(&table.name)
                })
                .collect();
            let Some(first) = rules.first() else {
                continue;
            };
            let columns: Vec<String> = table
                .schema
                .fields()
                .iter()
                .filter(|field| {
                    rules
                        .iter()
                        .all(|rule| rule.opinion(table, field.name()).is_none())
                })
                .map(|field| {
                    let class = identifier_class(table, field.name()).unwrap_or("not in OMOP");
                    format!("`{}` ({class})", field.name())
                })
                .collect();
            let columns = columns.join(", ");
            if columns.is_empty() || !said.insert(format!("unspoken {} {columns}", table.name)) {
                continue;
            }
            let key = (
                first.span.start,
                first.span.end,
                table.name.as_str(),
                columns,
            );
            unspoken.entry(key).or_default().push(role.name.as_str());
        }
    }

    fn check_dp(&self, role: &Role, tables: &[Table], findings: &mut Findings<'_>) {
        let Some(dp) = &role.dp else {
            return;
        };
        // With this probability a person may be told of outright: it is to be small beside one in all persons.
        if dp.delta > LARGE_DELTA {
            findings.warning(
                &role.span,
                format!(
                    "the role `{}` has a delta of {}: of so large a part of all persons the answers may tell outright; 1e-6 is usual, and \
                     less than one in the number of persons",
                    role.name, dp.delta
                ),
            );
        }
        for ((table, column), values) in &dp.keys {
            let of = |known: &&Table| is_same_name(&known.name, table);
            let fields = tables.iter().find(of).map(|table| table.schema.fields());
            let field = fields.and_then(|fields| {
                let mut fields = fields.iter();
                fields.find(|field| is_same_name(field.name(), column))
            });
            let text = |value: &KeyValue| matches!(value, KeyValue::Text(_));
            if let Some(field) = field
                && field.data_type().is_numeric()
                && values.iter().any(text)
            {
                findings.error(
                    &role.span,
                    format!(
                        "the role `{}` has a text among the keys of `{table}.{column}`, which holds numbers",
                        role.name
                    ),
                );
            }
        }
        for (table, column) in dp.bounds.keys().chain(dp.keys.keys()) {
            let found = tables.iter().find(|known| is_same_name(&known.name, table));
            let has = found.is_some_and(|table| {
                let mut fields = table.schema.fields().iter();
                fields.any(|field| is_same_name(field.name(), column))
            });
            if !has {
                findings.error(
                    &role.span,
                    format!(
                        "the role `{}` declares `{table}.{column}`, and the store has no such column",
                        role.name
                    ),
                );
            }
        }
    }
}

/// From here on a delta is warned of.
const LARGE_DELTA: f64 = 1e-4;

/// A filter is of one table: whoever hides persons by it may mean their other rows as well.
fn warn_of_filter(
    role: &Role,
    view: &View,
    tables: &[Table],
    said: &mut BTreeSet<String>,
    findings: &mut Findings<'_>,
) {
    let filtered = |table: &&Table| {
        let seen = view.tables.get(&table.name);
        seen.is_some_and(|table| !table.filters.is_empty())
    };
    let of_persons = tables
        .iter()
        .filter(|table| table.person_key.is_some() && view.tables.contains_key(&table.name));
    let (hiding, open): (Vec<&Table>, Vec<&Table>) = of_persons.partition(filtered);
    if hiding.is_empty() || open.is_empty() {
        return;
    }
    let names = |tables: &[&Table]| -> Vec<String> {
        let names = tables.iter().map(|table| format!("`{}`", table.name));
        names.collect()
    };
    let (filters, of) = match hiding.as_slice() {
        [_] => ("filter of", "hides rows of that table only"),
        _ => ("filters of", "hide rows of those tables only"),
    };
    let message = format!(
        "the {filters} {} {of}: the role `{}` sees other rows of the same persons in {}",
        names(&hiding).join(", "),
        role.name,
        names(&open).join(", ")
    );
    if said.insert(message.clone()) {
        findings.warning(&role.span, message);
    }
}

/// Where a role shows more than the profile that it names.
fn warn_of_lax(role: &Role, findings: &mut Findings<'_>) {
    let Some((own, named)) = role
        .disclosure
        .as_ref()
        .and_then(|disclosure| Some((disclosure, profile(&disclosure.profile)?)))
    else {
        return;
    };
    let mut lax = Vec::new();
    let mut than = |key: &str, own: Option<f64>, of_profile: f64, is_more: bool| {
        if let Some(own) = own
            && own != of_profile
            && (own > of_profile) == is_more
        {
            lax.push(format!("`{key}` is {own} in place of {of_profile}"));
        }
    };
    than("k", own.k.map(f64::from), f64::from(named.k), false);
    if let Some(step) = named.round_to {
        than(
            "round_to",
            own.round_to.map(f64::from),
            f64::from(step),
            false,
        );
    }
    let (n, share) = named.dominance;
    than(
        "dominance_n",
        own.dominance_n.map(f64::from),
        f64::from(n),
        false,
    );
    than("dominance_share", own.dominance_share, share, true);
    than("p_ratio", own.p_ratio, named.p_ratio, false);
    let events = f64::from(named.events_per_coefficient);
    than(
        "events_per_coefficient",
        own.events_per_coefficient.map(f64::from),
        events,
        false,
    );
    if !lax.is_empty() {
        findings.warning(
            &role.span,
            format!(
                "the role `{}` shows more than the profile `{}` that it names: {}",
                role.name,
                named.name,
                lax.join(", ")
            ),
        );
    }
}

/// Birthdays name persons in the conditions of those who see numbers only.
fn warn_of_birthdays(
    role: &Role,
    view: &View,
    said: &mut BTreeSet<String>,
    findings: &mut Findings<'_>,
) {
    let seen: Vec<String> = ["day_of_birth", "birth_datetime"]
        .into_iter()
        .filter(|name| {
            view.tables.get("person").is_some_and(|table| {
                let mut columns = table.columns.iter();
                columns.any(|column| column.name == *name && column.rule == ColumnRule::Raw)
            })
        })
        .map(|name| format!("`{name}`"))
        .collect();
    if role.kind != RoleKind::Aggregate || seen.is_empty() {
        return;
    }
    let message = format!(
        "the role `{}` sees {} as stored, and can name persons by their birthdays in conditions: write `day_of_birth = \"absent\", \
         birth_datetime = {{ generalize_date = \"month\" }}`",
        role.name,
        seen.join(" and ")
    );
    if said.insert(message.clone()) {
        findings.warning(&role.span, message);
    }
}

/// Days that most persons share: shifted, they tell by how much a person's days were shifted.
pub(super) const ENDS: [(&str, &str); 2] = [
    ("observation_period", "observation_period_end_date"),
    ("payer_plan_period", "payer_plan_period_end_date"),
];

fn warn_of_ends(
    role: &Role,
    view: &View,
    said: &mut BTreeSet<String>,
    findings: &mut Findings<'_>,
) {
    for (table, column) in ENDS {
        let shifted = view.tables.get(table).is_some_and(|table| {
            let mut columns = table.columns.iter();
            columns.any(|seen| seen.name == column && seen.rule == ColumnRule::ShiftDate)
        });
        if shifted && said.insert(format!("end {column}")) {
            findings.warning(
                &role.span,
                format!(
                    "the role `{}` sees `{table}.{column}` shifted: for most persons it is the last day of the data, and tells by how many days all of their dates were moved; `{column} = \"absent\"` hides it, and studies need it",
                    role.name
                ),
            );
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::policy::Severity;

    fn tables() -> Vec<Table> {
        ["person", "condition_occurrence", "concept"]
            .into_iter()
            .map(|name| Table::of_model(columna_model::table(name).unwrap()))
            .collect()
    }

    fn found(text: &str) -> Vec<String> {
        let policy = Policy::parse("p.toml", text).unwrap();
        policy
            .check(&tables())
            .into_iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(|problem| problem.to_string())
            .collect()
    }

    #[test]
    fn what_does_not_fit_the_store_is_named_with_its_place() {
        let text = r#"version = 1
[projects.p]
[roles.r]
kind = "analyst"
purposes = ["research"]
projects = ["p"]
[[rules]]
tables = ["persn"]
classes = { value = "raw" }
[[rules]]
tables = ["person"]
filter = "1 / year_of_birth > 0"
columns = { person_id = "pseudonym", year_of_birt = "raw", gender_concept_id = "shift_date" }
[[rules]]
tables = ["condition_occurrence"]
columns = { condition_start_date = { generalize_date = "month" } }
[[rules]]
tables = ["condition_occurrence"]
columns = { condition_start_date = "shift_date" }
"#;
        let found = found(text);
        let has =
            |part: &str| assert!(found.iter().any(|f| f.contains(part)), "{part}: {found:#?}");
        has("8:11: error: the store has no table `persn`; did you mean `person`?");
        has(
            "13:38: error: none of the rule's tables has a column `year_of_birt`; did you mean `year_of_birth`?",
        );
        has(
            "13:60: error: `shift_date` of `person.gender_concept_id`: it is for DATE and TIMESTAMP columns",
        );
        has("12:10: error: the filter does not fit `person`");
        has("contradict each other: `condition_occurrence.condition_start_date`");
    }

    #[test]
    fn names_are_the_same_whatever_their_case() {
        let policy = "version = 1\n[roles.r]\nkind = \"analyst\"\npurposes = [\"research\"]\n\
                      [[rules]]\ntables = [\"ÄRZTE\"]\ncolumns = { \"Größe\" = \"absent\" }\n";
        let policy = Policy::parse("p.toml", policy).unwrap();
        let mut tables = tables();
        let columns = vec![Field::new("GRÖßE", DataType::Int64, true)];
        tables[0].name = "Ärzte".to_owned();
        tables[0].schema = Arc::new(Schema::new(columns));
        let fits = policy.fits(&Principal::new("kim", "r", "research"), &tables);
        assert!(fits.is_ok(), "{fits:?}");
    }

    /// What was to be hidden by a wrong name would be open.
    #[test]
    fn a_role_whose_rule_hides_what_is_not_there_is_refused() {
        let asked = |rule: &str, purpose: &str| {
            let text = format!(
                "version = 1\n[roles.r]\nkind = \"analyst\"\npurposes = [\"research\", \"quality\"]\n\
                 [[rules]]\ntables = [\"person\"]\nclasses = {{ person_key = \"raw\", quasi = \"raw\" }}\n[[rules]]\n{rule}\n"
            );
            let policy = Policy::parse("p.toml", &text).unwrap();
            policy.fits(&Principal::new("kim", "r", purpose), &tables())
        };
        for (rule, place) in [
            (
                "tables = [\"persn\"]\nfilter = \"person_id > 1\"",
                "p.toml:9:11: the store has no table `persn`",
            ),
            (
                "tables = [\"person\", \"persn\"]\nclasses = { quasi = \"absent\" }",
                "p.toml:9:21: the store has no table `persn`",
            ),
            (
                "tables = [\"person\"]\ncolumns = { year_of_birt = \"absent\" }",
                "p.toml:10:13: none of the rule's tables has a column `year_of_birt`",
            ),
            (
                "tables = [\"*\"]\ncolumns = { year_of_birt = \"birth_year\" }\n[ages]\non = 2026-12-31",
                "p.toml:10:13: none of the rule's tables has a column `year_of_birt`",
            ),
        ] {
            let said = asked(rule, "research").unwrap_err().to_string();
            assert!(said.contains(place), "{rule}: {said}");
            assert!(said.contains("does not fit the store"), "{said}");
            // The role need not know what else there is.
            assert!(!said.contains("did you mean"), "{said}");
            let other = format!("purposes = [\"quality\"]\n{rule}");
            assert!(asked(&other, "research").is_ok(), "{rule}");
            assert!(asked(&other, "quality").is_err(), "{rule}");
        }
        for open in [
            "tables = [\"persn\"]\nclasses = { quasi = \"raw\" }",
            "tables = [\"person\"]\ncolumns = { year_of_birt = \"raw\", month_of_birth = \"absent\" }",
            "tables = [\"@derived\"]\ncolumns = { drug_era_id = \"absent\" }",
            "tables = [\"PERSON\"]\nfilter = \"person_id > 1\"",
        ] {
            asked(open, "research").unwrap();
        }
    }

    #[test]
    fn a_filter_is_wrong_at_a_place_of_the_file() {
        let of = |filter: &str| {
            found(&format!(
                "version = 1\n[roles.r]\nkind = \"analyst\"\npurposes = [\"x\"]\n[[rules]]\ntables = [\"person\"]\nfilter = {filter}\n\
                 classes = {{ value = \"raw\" }}\n"
            ))
            .join("\n")
        };
        for (filter, says) in [
            (
                "\"year_of_birth = = 1970\"",
                "7:27: error: the filter does not fit `person`: syntax error: expected: an expression, found: =",
            ),
            (
                "\"\"\"\n  year_of_birth > 1970\n  AND gender = 8507\n\"\"\"",
                "9:7: error: the filter does not fit `person`: no column named `gender`",
            ),
            // Where the text has escapes, its start is the place.
            (
                "\"birth_yr \\u003e 1970\"",
                "7:10: error: the filter does not fit `person`: no column named `birth_yr`",
            ),
        ] {
            let found = of(filter);
            assert!(found.contains(says), "{found}");
        }
    }

    #[test]
    fn a_filter_of_one_table_is_warned_of() {
        let of = |filtered: &[&str]| {
            let filters: String = filtered
                .iter()
                .map(|table| {
                    format!("[[rules]]\ntables = [\"{table}\"]\nfilter = \"person_id > 7\"\n")
                })
                .collect();
            let text = format!(
                "version = 1\n[roles.r]\nkind = \"analyst\"\npurposes = [\"x\"]\n[[rules]]\ntables = [\"*\"]\n\
                 classes = {{ person_key = \"raw\", code = \"raw\" }}\n{filters}"
            );
            let problems = Policy::parse("p.toml", &text).unwrap().check(&tables());
            let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
            said.join("\n")
        };
        let said = of(&["person"]);
        assert!(
            said.contains("the filter of `person` hides rows of that table only: the role `r` sees other rows of the same persons in `condition_occurrence`"),
            "{said}"
        );
        let said = of(&["condition_occurrence"]);
        assert!(
            said.contains("the filter of `condition_occurrence` hides rows of that table only")
                && said.contains("in `person`"),
            "{said}"
        );
        assert!(!of(&["person", "condition_occurrence"]).contains("rows of the same persons"));
    }

    #[test]
    fn a_budget_that_cannot_be_meant_is_found() {
        let text = |delta: &str, one: &str, keys: &str| {
            format!(
                "version = 1\n[roles.board]\nkind = \"dp\"\npurposes = [\"x\"]\n\
                 dp = {{ epsilon = 1.0, delta = {delta}, epsilon_per_query = {one}, max_groups = 4, max_rows = 4, keys = {{ \"person.gender_concept_id\" = {keys} }} }}\n\
                 [[rules]]\ntables = [\"person\"]\nclasses = {{ person_key = \"raw\" }}\n"
            )
        };
        let said = |text: &str| -> String {
            let problems = match Policy::parse("p.toml", text) {
                Ok(policy) => policy
                    .check(&tables())
                    .into_iter()
                    .map(|p| p.to_string())
                    .collect(),
                Err(error) => vec![error.to_string()],
            };
            problems.join("\n")
        };
        let honest = said(&text("1e-6", "0.1", "[8507, 8532]"));
        for (delta, one, keys, says) in [
            ("0.01", "0.1", "[8507]", "a delta of 0.01"),
            ("1e-6", "2.0", "[8507]", "`epsilon_per_query` is 2"),
            (
                "1e-6",
                "0.1",
                "[\"M\"]",
                "a text among the keys of `person.gender_concept_id`",
            ),
        ] {
            let found = said(&text(delta, one, keys));
            assert!(found.contains(says), "{says}: {found}");
            assert!(!honest.contains(says), "{honest}");
        }
    }

    fn warned(disclosure: &str, columns: &str) -> String {
        let text = format!(
            "version = 1\n[roles.board]\nkind = \"aggregate\"\npurposes = [\"x\"]\ndisclosure = {{ {disclosure} }}\n[[rules]]\n\
             tables = [\"person\"]\nclasses = {{ person_key = \"raw\", quasi = \"raw\", date = \"raw\" }}\n{columns}"
        );
        let problems = Policy::parse("p.toml", &text).unwrap().check(&tables());
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        said.join("\n")
    }

    #[test]
    fn a_role_laxer_than_its_profile_is_warned_of() {
        for (lax, says) in [
            ("profile = \"sacro\", k = 2", "`k` is 2 in place of 10"),
            (
                "profile = \"opensafely\", round_to = 1",
                "`round_to` is 1 in place of 5",
            ),
            (
                "profile = \"sacro\", dominance_share = 1.0, p_ratio = 0",
                "`dominance_share` is 1 in place of 0.9, `p_ratio` is 0 in place of 0.1",
            ),
            (
                "profile = \"cms\", dominance_n = 1",
                "`dominance_n` is 1 in place of 2",
            ),
            (
                "profile = \"ohdsi\", events_per_coefficient = 1",
                "`events_per_coefficient` is 1 in place of 10",
            ),
        ] {
            let said = warned(lax, "");
            assert!(
                said.contains(says) && said.contains("warning: the role `board` shows more"),
                "{said}"
            );
        }
        let strict = "profile = \"sacro\", k = 20, round_to = 5, dominance_n = 3, dominance_share = 0.8, p_ratio = 0.2";
        for same in [
            "profile = \"opensafely\"",
            "profile = \"sacro\", k = 10, round_to = 1",
            strict,
        ] {
            assert!(!warned(same, "").contains("shows more"));
        }
    }

    #[test]
    fn birthdays_of_an_aggregate_role_are_warned_of() {
        let said = warned("profile = \"sacro\"", "");
        assert!(
            said.contains("sees `day_of_birth` and `birth_datetime` as stored"),
            "{said}"
        );
        let hidden = "columns = { day_of_birth = \"absent\", birth_datetime = { generalize_date = \"month\" } }\n";
        assert!(!warned("profile = \"sacro\"", hidden).contains("birthdays"));
    }

    #[test]
    fn attack_45_two_projects_have_two_keys() {
        let parse = |a: &str, b: &str| {
            let text = format!(
                "version = 1\n[projects.a]\n{a}\n[projects.b]\n{b}\n[roles.r]\nkind = \"analyst\"\npurposes = [\"x\"]\n"
            );
            Policy::parse("p.toml", &text).map_err(|error| error.to_string())
        };
        for (a, b) in [
            ("key = \"study\"", "key = \"study\""),
            ("", "key = \"a\""),
            ("key = \"s\"", "key = \"s\"\nkey_version = 2"),
        ] {
            let said = parse(a, b).unwrap_err();
            assert!(
                said.contains("4:11: error: the projects `a` and `b`"),
                "{said}"
            );
        }
        assert!(parse("", "").is_ok());
        let versions = parse(
            "key = \"s\"\nkey_version = 1",
            "key = \"s\"\nkey_version = 2",
        );
        assert!(versions.is_ok());
    }

    #[test]
    fn ages_are_reckoned_at_the_end_of_the_data() {
        let text = "version = 1\n[roles.r]\nkind = \"analyst\"\npurposes = [\"x\"]\n[ages]\non = 1990-12-31\n";
        let policy = Policy::parse("p.toml", text).unwrap();
        let day = |year| Day::from_civil(year, 12, 31).unwrap();
        assert_eq!(policy.check_ages(day(1990)), None);
        let said = policy.check_ages(day(2024)).unwrap().to_string();
        assert!(said.starts_with("5:1: warning"), "{said}");
        assert!(said.contains("on = 2024-12-31"), "{said}");
    }

    #[test]
    fn pseudonyms_need_a_project() {
        let text = "version = 1\n[roles.r]\nkind = \"analyst\"\npurposes = [\"x\"]\n[[rules]]\ntables = [\"person\"]\nclasses = { person_key = \"pseudonym\" }\n";
        let found = found(text);
        assert!(found[0].contains("works in no project"), "{found:?}");
    }
}
