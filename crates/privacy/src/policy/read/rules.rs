//! Rules: tables, columns and classes.

use std::collections::BTreeMap;
use std::ops::Range;

use columna_model::{IDENTIFIER_CLASSES, TableKind};
use toml::de::DeValue;

use super::{MAX_NUMBER, PLAIN, Reader, Table, Value};
use crate::policy::problem::nearest;
use crate::policy::{ColumnRule, DateUnit, Rule, Spanned, TablePattern, listed};

impl Reader<'_> {
    pub(super) fn rule(&mut self, index: usize, span: Range<usize>, table: &Table<'_>) -> Rule {
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
            roles: self.whom(table, "roles"),
            purposes: self.whom(table, "purposes"),
            projects: self.whom(table, "projects"),
            tables,
            filter,
            classes,
            columns,
            span,
        }
    }

    /// Whom a rule is for: everybody, where it does not say. Nobody is no list, which would be read as everybody.
    fn whom(&mut self, table: &Table<'_>, key: &str) -> Vec<String> {
        if let Some(value) = table.get(key)
            && value
                .get_ref()
                .as_array()
                .is_some_and(|list| list.is_empty())
        {
            self.findings.error_with(
                &value.span(),
                format!("the list of {key} is empty"),
                format!("leave `{key}` out for all of them, or remove the rule"),
            );
        }
        self.strings(table, key).unwrap_or_default()
    }

    pub(super) fn patterns(&mut self, value: &Value<'_>) -> Vec<TablePattern> {
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

    pub(super) fn column_rules(
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

    pub(super) fn column_rule(&mut self, value: &Value<'_>) -> Option<ColumnRule> {
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
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use crate::Policy;

    /// Who empties a list to withdraw a rule must not open it to all.
    #[test]
    fn an_empty_list_is_not_everybody() {
        let of = |whom: &str| {
            let rule = format!(
                "version = 1\n[roles.r]\nkind = \"analyst\"\npurposes = [\"x\"]\n[[rules]]\n{whom}\ntables = [\"person\"]\ncolumns = {{ gender_concept_id = \"raw\" }}\n"
            );
            Policy::parse("p.toml", &rule)
        };
        for key in ["roles", "purposes", "projects"] {
            let error = of(&format!("{key} = []")).unwrap_err().to_string();
            let said = format!(
                "p.toml:6:{}: error: the list of {key} is empty",
                key.len() + 4
            );
            assert!(error.contains(&said), "{error}");
        }
        for whom in ["", "roles = [\"r\"]", "purposes = [\"x\"]"] {
            of(whom).unwrap();
        }
    }
}
