//! Reads a policy file, with every mistake at its line and column.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use columna_model::Day;
use toml::Spanned as At;
use toml::de::{DeTable, DeValue};

mod roles;
mod rules;
mod values;

use super::problem::{Findings, PolicyError, nearest};
use super::{Ages, ColumnRule, Policy, Project, Role};

/// The named profiles of disclosure control.
const PROFILES: [&str; 5] = ["opensafely", "cms", "ohdsi", "sacro", "datashield"];

/// Treatments of a column that take no value.
const PLAIN: [(&str, ColumnRule); 7] = [
    ("raw", ColumnRule::Raw),
    ("absent", ColumnRule::Absent),
    ("pseudonym", ColumnRule::Pseudonym),
    ("shift_date", ColumnRule::ShiftDate),
    ("birth_year", ColumnRule::BirthYear),
    ("mask", ColumnRule::Mask(0)),
    ("zip3", ColumnRule::Zip3),
];

/// A bin's width and a top code stay within what any column can hold.
const MAX_NUMBER: i64 = 1_000_000_000;

type Table<'i> = DeTable<'i>;
type Value<'i> = At<DeValue<'i>>;

pub(super) fn policy(file: &str, text: &str) -> Result<Policy, PolicyError> {
    let failed = |problems| PolicyError {
        file: file.to_owned(),
        problems,
    };
    let mut reader = Reader {
        findings: Findings::new(text),
    };
    let parsed = match DeTable::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().trim_end().replace('\n', ", ");
            let findings = &mut reader.findings;
            if file.ends_with(".yaml") || file.ends_with(".yml") {
                findings.error_with(
                    &span,
                    message,
                    "policies are TOML: `columna privacy policy init` writes one",
                );
            } else {
                findings.error(&span, message);
            }
            return Err(failed(reader.findings.finish()));
        }
    };
    let policy = reader.top(file, text, parsed.get_ref());
    let problems = reader.findings.finish();
    if problems.is_empty() {
        Ok(policy)
    } else {
        Err(failed(problems))
    }
}

struct Reader<'t> {
    findings: Findings<'t>,
}

impl Reader<'_> {
    fn top(&mut self, file: &str, text: &str, top: &Table<'_>) -> Policy {
        self.known(
            top,
            &["version", "projects", "roles", "ages", "rules"],
            "a policy",
        );
        let version = match top.get("version") {
            Some(value) => self.integer(value, 1, MAX_NUMBER).unwrap_or_default(),
            None => {
                self.findings.error_with(
                    &(0..0),
                    "the policy has no `version`",
                    "write `version = 1`, and raise it with every change",
                );
                0
            }
        };
        let mut spans = Vec::new();
        let mut projects = BTreeMap::new();
        for (name, span, table) in self.named_tables(top, "projects") {
            spans.push((name.clone(), span.clone()));
            projects.insert(name.clone(), self.project(name, span, table));
        }
        self.one_project_a_key(&spans, &projects);
        let roles: BTreeMap<String, Role> = self
            .named_tables(top, "roles")
            .into_iter()
            .filter_map(|(name, span, table)| Some((name.clone(), self.role(name, span, table)?)))
            .collect();
        if roles.is_empty() && !top.contains_key("roles") {
            self.findings.error_with(
                &(0..0),
                "the policy has no roles",
                "write one, such as `[roles.researcher]` with `kind = \"analyst\"`",
            );
        }
        let ages = top
            .get("ages")
            .and_then(|value| self.table(value))
            .and_then(|table| self.ages(table));
        let mut rules = Vec::new();
        if let Some(value) = top.get("rules") {
            match value.get_ref().as_array() {
                Some(array) => {
                    for (index, value) in array.iter().enumerate() {
                        if let Some(table) = self.table(value) {
                            rules.push(self.rule(index, value.span(), table));
                        }
                    }
                }
                None => self
                    .findings
                    .error(&value.span(), "rules are written as `[[rules]]`"),
            }
        }
        let policy = Policy {
            file: file.to_owned(),
            version: u64::try_from(version).unwrap_or_default(),
            hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
            path: None,
            text: text.to_owned(),
            roles,
            projects,
            ages,
            ages_span: top.get("ages").map_or(0..0, At::span),
            rules,
        };
        self.names(&policy, top);
        policy
    }

    /// Two projects of one key would have the same pseudonyms: whoever sees both could join them.
    fn one_project_a_key(
        &mut self,
        spans: &[(String, Range<usize>)],
        projects: &BTreeMap<String, Project>,
    ) {
        for (name, span) in spans {
            let Some(project) = projects.get(name) else {
                continue;
            };
            let same = projects.values().find(|other| {
                let versions = other.key_version.zip(project.key_version);
                other.name < *name
                    && other.key == project.key
                    && versions.is_none_or(|(one, another)| one == another)
            });
            if let Some(other) = same {
                self.findings.error_with(
                    span,
                    format!(
                        "the projects `{}` and `{name}` have the same key `{}`, and so the same pseudonyms",
                        other.name, project.key
                    ),
                    "make a key for each with `columna privacy key new`, or one project of them",
                );
            }
        }
    }

    /// Names that one part uses and another must have.
    fn names(&mut self, policy: &Policy, top: &Table<'_>) {
        let purposes: BTreeSet<&str> = policy
            .roles
            .values()
            .flat_map(|role| role.purposes.iter().map(String::as_str))
            .collect();
        let roles: Vec<&str> = policy.roles.keys().map(String::as_str).collect();
        let projects: Vec<&str> = policy.projects.keys().map(String::as_str).collect();
        if let Some(table) = top.get("roles").and_then(|v| v.get_ref().as_table()) {
            for (_, role) in table.iter() {
                if let Some(list) = role.get_ref().as_table().and_then(|r| r.get("projects")) {
                    self.each_known(list, &projects, "project", "[projects.NAME]");
                }
            }
        }
        let rules = top.get("rules").and_then(|v| v.get_ref().as_array());
        for rule in rules.into_iter().flat_map(|rules| rules.iter()) {
            let Some(rule) = rule.get_ref().as_table() else {
                continue;
            };
            if let Some(list) = rule.get("roles") {
                self.each_known(list, &roles, "role", "[roles.NAME]");
            }
            if let Some(list) = rule.get("projects") {
                self.each_known(list, &projects, "project", "[projects.NAME]");
            }
            if let Some(list) = rule.get("purposes") {
                let known: Vec<&str> = purposes.iter().copied().collect();
                self.each_known(list, &known, "purpose", "a role's `purposes`");
            }
        }
        let uses_birth_year = policy.rules.iter().any(|rule| {
            let all = rule.columns.values().chain(rule.classes.values());
            all.into_iter()
                .any(|column| column.value == ColumnRule::BirthYear)
        });
        if uses_birth_year && policy.ages.is_none() {
            for rule in &policy.rules {
                for column in rule.columns.values().chain(rule.classes.values()) {
                    if column.value == ColumnRule::BirthYear {
                        self.findings.error_with(
                            &column.span,
                            "`birth_year` needs the age above which no age shows",
                            "write `[ages]` with `over = 89` and `on = 2026-12-31`, a day not before the last of the data",
                        );
                    }
                }
            }
        }
    }

    fn each_known(&mut self, list: &Value<'_>, known: &[&str], what: &str, place: &str) {
        let values = list.get_ref().as_array();
        for value in values.into_iter().flat_map(|values| values.iter()) {
            if let Some(name) = value.get_ref().as_str()
                && !known.contains(&name)
            {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the names are those of {place}"),
                };
                self.findings.error_with(
                    &value.span(),
                    format!("there is no {what} `{name}`"),
                    hint,
                );
            }
        }
    }

    fn project(&mut self, name: String, span: Range<usize>, table: &Table<'_>) -> Project {
        self.known(
            table,
            &["key", "key_version", "date_shift_days", "keep_weekday"],
            "a project",
        );
        let key = table.get("key").and_then(|value| self.string(value));
        let version = table
            .get("key_version")
            .and_then(|value| self.integer(value, 1, MAX_NUMBER));
        let days = table
            .get("date_shift_days")
            .and_then(|value| self.integer(value, 1, 3650));
        let keep_weekday = table
            .get("keep_weekday")
            .and_then(|value| self.boolean(value))
            .unwrap_or(false);
        let days = days
            .and_then(|days| u32::try_from(days).ok())
            .unwrap_or(365);
        if keep_weekday && days < 7 {
            self.findings.error_with(
                &span,
                format!("the project `{name}` keeps weekdays and moves dates by less than a week"),
                "write `date_shift_days = 364`",
            );
        }
        Project {
            key: key.unwrap_or_else(|| name.clone()),
            name,
            key_version: version.and_then(|version| u32::try_from(version).ok()),
            date_shift_days: days,
            keep_weekday,
        }
    }

    fn ages(&mut self, table: &Table<'_>) -> Option<Ages> {
        self.known(table, &["over", "on"], "`[ages]`");
        let over = match table.get("over") {
            Some(value) => self.integer(value, 18, 120).unwrap_or(89),
            None => 89,
        };
        let Some(value) = table.get("on") else {
            self.findings.error_with(
                &(0..0),
                "`[ages]` has no day `on` which ages are reckoned",
                "write `on = 2026-12-31`, a day not before the last of the data",
            );
            return None;
        };
        let day = value
            .get_ref()
            .as_datetime()
            .filter(|datetime| datetime.time.is_none())
            .and_then(|datetime| datetime.date)
            .and_then(|date| Day::from_civil(i32::from(date.year), date.month, date.day));
        match day {
            Some(on) => Some(Ages {
                over: u16::try_from(over).unwrap_or(89),
                on,
            }),
            None => {
                self.findings.error(
                    &value.span(),
                    "`on` is a day without quotes, such as 2026-12-31",
                );
                None
            }
        }
    }
}
