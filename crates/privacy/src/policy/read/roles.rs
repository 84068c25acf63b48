//! Roles: disclosure profiles and budgets.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned as At;
use toml::de::DeValue;

use super::{MAX_NUMBER, PROFILES, Reader, Table, Value};
use crate::policy::{Disclosure, Dp, KeyValue, Role, RoleKind, listed};

impl Reader<'_> {
    pub(super) fn role(
        &mut self,
        name: String,
        span: Range<usize>,
        table: &Table<'_>,
    ) -> Option<Role> {
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

    pub(super) fn disclosure(
        &mut self,
        span: &Range<usize>,
        table: &Table<'_>,
    ) -> Option<Disclosure> {
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

    pub(super) fn dp(&mut self, span: &Range<usize>, table: &Table<'_>) -> Option<Dp> {
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
                "without a bound nothing can be answered; see the example in docs/disclosure.md",
            );
        }
        if let (Some(all), Some(one)) = (epsilon, epsilon_per_query)
            && one > all
        {
            self.findings.error(
                span,
                format!("`epsilon_per_query` is {one}, and {all} is all that a principal has: no question could be answered"),
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

    pub(super) fn bounds(&mut self, table: &Table<'_>) -> BTreeMap<(String, String), (f64, f64)> {
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

    pub(super) fn keys(&mut self, table: &Table<'_>) -> BTreeMap<(String, String), Vec<KeyValue>> {
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
    pub(super) fn of_columns<'v>(
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
}
