//! Reads a policy file, with every mistake at its line and column.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use columna_model::{Day, IDENTIFIER_CLASSES, TableKind};
use toml::Spanned as At;
use toml::de::{DeTable, DeValue};

use super::problem::{Findings, PolicyError, nearest};
use super::{
    Ages, ColumnRule, DateUnit, Disclosure, Dp, KeyValue, Policy, Project, Role, RoleKind, Rule,
    Spanned, TablePattern, listed,
};

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
            reader
                .findings
                .error(&span, error.message().trim_end().replace('\n', ", "));
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
        let projects: BTreeMap<String, Project> = self
            .named_tables(top, "projects")
            .into_iter()
            .map(|(name, span, table)| (name.clone(), self.project(name, span, table)))
            .collect();
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
            rules,
        };
        self.names(&policy, top);
        policy
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

    fn role(&mut self, name: String, span: Range<usize>, table: &Table<'_>) -> Option<Role> {
        self.known(
            table,
            &["kind", "purposes", "projects", "disclosure", "dp"],
            "a role",
        );
        let kinds: Vec<&str> = RoleKind::NAMES.iter().map(|(name, _)| *name).collect();
        let kind = match table.get("kind") {
            None => {
                self.findings.error_with(
                    &span,
                    format!("the role `{name}` has no `kind`"),
                    format!("write one of {}", listed(&kinds)),
                );
                None
            }
            Some(value) => self.string(value).and_then(|text| {
                let found = RoleKind::NAMES.iter().find(|(name, _)| *name == text);
                if found.is_none() {
                    self.findings.error_with(
                        &value.span(),
                        format!("there is no kind of role `{text}`"),
                        format!("write one of {}", listed(&kinds)),
                    );
                }
                found.map(|(_, kind)| *kind)
            }),
        };
        let purposes = self.strings(table, "purposes").unwrap_or_default();
        if purposes.is_empty() {
            self.findings.error_with(
                &span,
                format!("the role `{name}` has no purposes"),
                "write what it may work for, such as `purposes = [\"research\"]`",
            );
        }
        let projects = self.strings(table, "projects").unwrap_or_default();
        let disclosure = table
            .get("disclosure")
            .and_then(|value| Some((value.span(), self.table(value)?)))
            .and_then(|(span, table)| self.disclosure(&span, table));
        let dp = table
            .get("dp")
            .and_then(|value| Some((value.span(), self.table(value)?)))
            .and_then(|(span, table)| self.dp(&span, table));
        let kind = kind?;
        let mut belongs = |key: &str, wanted: RoleKind, given: bool| {
            if (kind == wanted) == given {
                return;
            }
            let (message, hint) = if given {
                (
                    format!(
                        "`{key}` is for roles of kind `{wanted}`, and `{name}` is of kind `{kind}`"
                    ),
                    "leave it out, or change the kind".to_owned(),
                )
            } else {
                (
                    format!("the role `{name}` of kind `{kind}` has no `{key}`"),
                    if wanted == RoleKind::Dp {
                        "write `dp = { epsilon = 1.0, delta = 1e-6, epsilon_per_query = 0.1, max_groups = 10, max_rows = 10 }`".to_owned()
                    } else {
                        "write `disclosure = { profile = \"opensafely\" }`".to_owned()
                    },
                )
            };
            let at = table.get(key).map_or(span.clone(), At::span);
            self.findings.error_with(&at, message, hint);
        };
        belongs(
            "disclosure",
            RoleKind::Aggregate,
            table.contains_key("disclosure"),
        );
        belongs("dp", RoleKind::Dp, table.contains_key("dp"));
        Some(Role {
            name,
            kind,
            purposes,
            projects,
            disclosure,
            dp,
            span,
        })
    }

    fn disclosure(&mut self, span: &Range<usize>, table: &Table<'_>) -> Option<Disclosure> {
        self.known(
            table,
            &[
                "profile",
                "k",
                "round_to",
                "dominance_n",
                "dominance_share",
                "p_ratio",
                "events_per_coefficient",
            ],
            "`disclosure`",
        );
        let number = |reader: &mut Self, key: &str, least: i64| {
            table
                .get(key)
                .and_then(|value| reader.integer(value, least, MAX_NUMBER))
                .and_then(|number| u32::try_from(number).ok())
        };
        let k = number(self, "k", 2);
        let round_to = number(self, "round_to", 1);
        let dominance_n = number(self, "dominance_n", 1);
        let events_per_coefficient = number(self, "events_per_coefficient", 1);
        let share = |reader: &mut Self, key: &str| {
            table
                .get(key)
                .and_then(|value| reader.number(value, 0.0, 1.0))
        };
        let dominance_share = share(self, "dominance_share");
        let p_ratio = share(self, "p_ratio");
        let Some(value) = table.get("profile") else {
            self.findings.error_with(
                span,
                "`disclosure` has no `profile`",
                format!("write one of {}", listed(&PROFILES)),
            );
            return None;
        };
        let profile = self.string(value)?;
        if !PROFILES.contains(&profile.as_str()) {
            self.findings.error_with(
                &value.span(),
                format!("there is no profile `{profile}`"),
                format!("write one of {}", listed(&PROFILES)),
            );
            return None;
        }
        Some(Disclosure {
            profile,
            k,
            round_to,
            dominance_n,
            dominance_share,
            p_ratio,
            events_per_coefficient,
        })
    }

    fn dp(&mut self, span: &Range<usize>, table: &Table<'_>) -> Option<Dp> {
        self.known(
            table,
            &[
                "epsilon",
                "delta",
                "epsilon_per_query",
                "max_groups",
                "max_rows",
                "bounds",
                "keys",
            ],
            "`dp`",
        );
        let mut missing = Vec::new();
        let mut real = |reader: &mut Self, key: &'static str, greatest: f64| {
            let Some(value) = table.get(key) else {
                missing.push(key);
                return None;
            };
            let number = reader.number(value, 0.0, greatest)?;
            if number <= 0.0 {
                reader
                    .findings
                    .error(&value.span(), format!("`{key}` must be above 0"));
                return None;
            }
            Some(number)
        };
        let epsilon = real(self, "epsilon", 100.0);
        let delta = real(self, "delta", 0.1);
        let epsilon_per_query = real(self, "epsilon_per_query", 100.0);
        let mut whole = |reader: &mut Self, key: &'static str| {
            let Some(value) = table.get(key) else {
                missing.push(key);
                return None;
            };
            let number = reader.integer(value, 1, 1_000_000)?;
            u32::try_from(number).ok()
        };
        let max_groups = whole(self, "max_groups");
        let max_rows = whole(self, "max_rows");
        if !missing.is_empty() {
            self.findings.error_with(
                span,
                format!("`dp` has no {}", listed(&missing)),
                "without a bound nothing can be answered; see the example in docs/privacy.md",
            );
        }
        let bounds = self.bounds(table);
        let keys = self.keys(table);
        Some(Dp {
            epsilon: epsilon?,
            delta: delta?,
            epsilon_per_query: epsilon_per_query?,
            max_groups: max_groups?,
            max_rows: max_rows?,
            bounds,
            keys,
        })
    }

    fn bounds(&mut self, table: &Table<'_>) -> BTreeMap<(String, String), (f64, f64)> {
        let mut bounds = BTreeMap::new();
        for (column, value) in self.of_columns(table, "bounds") {
            let pair = value.get_ref().as_array().map(|pair| {
                pair.iter()
                    .map(|value| self.number(value, -1e300, 1e300))
                    .collect::<Vec<_>>()
            });
            match pair.as_deref() {
                Some([Some(low), Some(high)]) if low < high => {
                    bounds.insert(column, (*low, *high));
                }
                _ => self.findings.error(
                    &value.span(),
                    "bounds are the lowest and the highest value, such as [0, 500]",
                ),
            }
        }
        bounds
    }

    fn keys(&mut self, table: &Table<'_>) -> BTreeMap<(String, String), Vec<KeyValue>> {
        let mut keys = BTreeMap::new();
        for (column, value) in self.of_columns(table, "keys") {
            let list: Option<Vec<KeyValue>> = value.get_ref().as_array().and_then(|list| {
                list.iter()
                    .map(|value| match value.get_ref() {
                        DeValue::String(text) => Some(KeyValue::Text(text.to_string())),
                        DeValue::Boolean(yes) => Some(KeyValue::Boolean(*yes)),
                        DeValue::Integer(number) => {
                            i64::from_str_radix(number.as_str(), number.radix())
                                .ok()
                                .map(KeyValue::Integer)
                        }
                        _ => None,
                    })
                    .collect()
            });
            match list {
                Some(mut list) if !list.is_empty() => {
                    list.sort();
                    list.dedup();
                    keys.insert(column, list);
                }
                _ => self.findings.error(
                    &value.span(),
                    "keys are a list of texts, whole numbers or true and false",
                ),
            }
        }
        keys
    }

    /// The entries of a table whose keys are `"table.column"`.
    fn of_columns<'v>(
        &mut self,
        table: &'v Table<'_>,
        key: &str,
    ) -> Vec<((String, String), &'v Value<'v>)> {
        let Some(inner) = table.get(key).and_then(|value| self.table(value)) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in inner.iter() {
            match name.get_ref().split_once('.') {
                Some((table, column)) => {
                    let column = (table.to_lowercase(), column.to_lowercase());
                    found.push((column, value));
                }
                None => self.findings.error_with(
                    &name.span(),
                    format!("`{}` names no column", name.get_ref()),
                    "write table and column in quotes, such as \"measurement.value_as_number\"",
                ),
            }
        }
        found
    }

    fn rule(&mut self, index: usize, span: Range<usize>, table: &Table<'_>) -> Rule {
        self.known(
            table,
            &[
                "name", "roles", "purposes", "projects", "tables", "filter", "classes", "columns",
            ],
            "a rule",
        );
        let name = table
            .get("name")
            .and_then(|value| self.string(value))
            .unwrap_or_else(|| format!("rule {}", index + 1));
        let tables = match table.get("tables") {
            Some(value) => self.patterns(value),
            None => {
                self.findings.error_with(
                    &span,
                    format!("the rule `{name}` names no tables"),
                    "write `tables = [\"person\"]`, `[\"@vocabulary\"]` or `[\"*\"]`",
                );
                Vec::new()
            }
        };
        let filter = table.get("filter").and_then(|value| {
            Some(Spanned {
                value: self.string(value)?,
                span: value.span(),
            })
        });
        let by_name = tables
            .iter()
            .all(|table| matches!(table, TablePattern::Name(_)));
        if let (Some(filter), false) = (&filter, by_name) {
            self.findings.error_with(
                &filter.span,
                "a filter is for tables by name: its columns must be theirs",
                "name the tables",
            );
        }
        let classes = self.column_rules(table, "classes");
        for (class, rule) in &classes {
            if !IDENTIFIER_CLASSES.contains(&class.as_str()) {
                let hint = nearest(class, IDENTIFIER_CLASSES.into_iter()).map_or_else(
                    || format!("the classes are {}", listed(&IDENTIFIER_CLASSES)),
                    |near| format!("did you mean `{near}`?"),
                );
                self.findings.error_with(
                    &rule.span,
                    format!("there is no identifier class `{class}`"),
                    hint,
                );
            }
        }
        let columns = self.column_rules(table, "columns");
        if filter.is_none() && classes.is_empty() && columns.is_empty() {
            self.findings.error_with(
                &span,
                format!("the rule `{name}` says nothing"),
                "give it `columns`, `classes` or a `filter`",
            );
        }
        Rule {
            name,
            roles: self.strings(table, "roles").unwrap_or_default(),
            purposes: self.strings(table, "purposes").unwrap_or_default(),
            projects: self.strings(table, "projects").unwrap_or_default(),
            tables,
            filter,
            classes,
            columns,
            span,
        }
    }

    fn patterns(&mut self, value: &Value<'_>) -> Vec<TablePattern> {
        let values: Vec<&Value<'_>> = match value.get_ref() {
            DeValue::String(_) => vec![value],
            DeValue::Array(array) => array.iter().collect(),
            _ => {
                self.findings
                    .error(&value.span(), "tables are a list of names");
                return Vec::new();
            }
        };
        let mut patterns = Vec::new();
        for value in values {
            let Some(text) = self.string(value) else {
                continue;
            };
            if text == "*" {
                patterns.push(TablePattern::All);
            } else if let Some(kind) = text.strip_prefix('@') {
                match TableKind::NAMES.iter().find(|(name, _)| *name == kind) {
                    Some((_, kind)) => patterns.push(TablePattern::Kind(*kind)),
                    None => {
                        let known: Vec<String> = TableKind::NAMES
                            .iter()
                            .map(|(name, _)| format!("@{name}"))
                            .collect();
                        let known: Vec<&str> = known.iter().map(String::as_str).collect();
                        self.findings.error_with(
                            &value.span(),
                            format!("there is no group of tables `{text}`"),
                            format!("the groups are {}", listed(&known)),
                        );
                    }
                }
            } else {
                patterns.push(TablePattern::Name(Spanned {
                    value: text.to_lowercase(),
                    span: value.span(),
                }));
            }
        }
        if patterns.is_empty() {
            self.findings
                .error(&value.span(), "the list of tables is empty");
        }
        patterns
    }

    fn column_rules(
        &mut self,
        table: &Table<'_>,
        key: &str,
    ) -> BTreeMap<String, Spanned<ColumnRule>> {
        let Some(inner) = table.get(key).and_then(|value| self.table(value)) else {
            return BTreeMap::new();
        };
        let mut rules = BTreeMap::new();
        for (name, value) in inner.iter() {
            if let Some(rule) = self.column_rule(value) {
                let rule = Spanned {
                    value: rule,
                    span: name.span(),
                };
                if rules.insert(name.get_ref().to_lowercase(), rule).is_some() {
                    self.findings.error(
                        &name.span(),
                        format!("`{}` is treated twice in this rule", name.get_ref()),
                    );
                }
            }
        }
        rules
    }

    fn column_rule(&mut self, value: &Value<'_>) -> Option<ColumnRule> {
        const HINT: &str = "write \"raw\", \"absent\", \"pseudonym\", \"shift_date\", \"birth_year\", \"mask\", \
             \"zip3\", { generalize_date = \"month\" }, { bin = 5 }, { top = 90 } or { mask = 1 }";
        let one = match value.get_ref() {
            DeValue::String(text) => {
                let found = PLAIN.iter().find(|(name, _)| *name == text.as_ref());
                if found.is_none() {
                    let hint = nearest(text, PLAIN.iter().map(|(name, _)| *name))
                        .map_or_else(|| HINT.to_owned(), |near| format!("did you mean `{near}`?"));
                    self.findings.error_with(
                        &value.span(),
                        format!("there is no treatment `{text}`"),
                        hint,
                    );
                }
                return found.map(|(_, rule)| rule.clone());
            }
            DeValue::Table(table) if table.len() == 1 => table.iter().next(),
            _ => None,
        };
        let Some((name, inner)) = one else {
            self.findings
                .error_with(&value.span(), "this is no treatment of a column", HINT);
            return None;
        };
        match name.get_ref().as_ref() {
            "generalize_date" => {
                let text = self.string(inner)?;
                let unit = DateUnit::parse(&text);
                if unit.is_none() {
                    let units = DateUnit::NAMES.map(|(name, _)| name);
                    self.findings.error_with(
                        &inner.span(),
                        format!("dates are not cut to `{text}`"),
                        format!("write one of {}", listed(&units)),
                    );
                }
                unit.map(ColumnRule::GeneralizeDate)
            }
            "bin" => {
                let width = self.integer(inner, 2, 1_000_000)?;
                u32::try_from(width).ok().map(ColumnRule::Bin)
            }
            "top" => self
                .integer(inner, -MAX_NUMBER, MAX_NUMBER)
                .map(ColumnRule::Top),
            "mask" => {
                let keep = self.integer(inner, 0, 8)?;
                u8::try_from(keep).ok().map(ColumnRule::Mask)
            }
            other => {
                self.findings.error_with(
                    &name.span(),
                    format!("there is no treatment `{other}`"),
                    HINT,
                );
                None
            }
        }
    }

    /// Complains of keys that mean nothing here.
    fn known(&mut self, table: &Table<'_>, known: &[&str], what: &str) {
        for (key, _) in table.iter() {
            let name: &Cow<'_, str> = key.get_ref();
            if !known.contains(&name.as_ref()) {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("what it can have is {}", listed(known)),
                };
                self.findings
                    .error_with(&key.span(), format!("{what} has no `{name}`"), hint);
            }
        }
    }

    fn named_tables<'v>(
        &mut self,
        top: &'v Table<'_>,
        key: &str,
    ) -> Vec<(String, Range<usize>, &'v Table<'v>)> {
        let Some(table) = top.get(key).and_then(|value| self.table(value)) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in table.iter() {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            if name.get_ref().is_empty() || !name.get_ref().chars().all(plain) {
                self.findings.error_with(
                    &name.span(),
                    format!("`{}` is no name", name.get_ref()),
                    "names have letters, digits, `_`, `-` and `.`",
                );
            } else if let Some(table) = self.table(value) {
                found.push((name.get_ref().to_string(), name.span(), table));
            }
        }
        found
    }

    fn table<'v>(&mut self, value: &'v Value<'_>) -> Option<&'v Table<'v>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, "a table");
        }
        table
    }

    fn string(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Some(text.to_owned()),
            Some(_) => {
                self.findings.error(&value.span(), "this text is empty");
                None
            }
            None => {
                self.wrong_type(value, "a text in quotes");
                None
            }
        }
    }

    fn strings(&mut self, table: &Table<'_>, key: &str) -> Option<Vec<String>> {
        let value = table.get(key)?;
        match value.get_ref().as_array() {
            Some(array) => Some(
                array
                    .iter()
                    .filter_map(|value| self.string(value))
                    .collect(),
            ),
            None => {
                self.wrong_type(value, "a list of texts, such as [\"research\"]");
                None
            }
        }
    }

    fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(value, "true or false");
        }
        boolean
    }

    fn integer(&mut self, value: &Value<'_>, least: i64, greatest: i64) -> Option<i64> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        match number {
            Some(number) if (least..=greatest).contains(&number) => Some(number),
            Some(_) => {
                self.findings.error(
                    &value.span(),
                    format!("this number must be between {least} and {greatest}"),
                );
                None
            }
            None => {
                self.wrong_type(value, "a whole number");
                None
            }
        }
    }

    fn number(&mut self, value: &Value<'_>, least: f64, greatest: f64) -> Option<f64> {
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        match number {
            Some(number) if number >= least && number <= greatest => Some(number),
            Some(_) => {
                self.findings.error(
                    &value.span(),
                    format!("this number must be between {least} and {greatest}"),
                );
                None
            }
            None => {
                self.wrong_type(value, "a number");
                None
            }
        }
    }

    fn wrong_type(&mut self, value: &Value<'_>, wanted: &str) {
        let given = value.get_ref().type_str();
        self.findings
            .error(&value.span(), format!("this must be {wanted}, not {given}"));
    }
}
