//! Values of the types that are wanted.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::DeValue;

use super::{Reader, Table, Value};
use crate::policy::listed;
use crate::policy::problem::nearest;

impl Reader<'_> {
    /// Complains of keys that mean nothing here.
    pub(super) fn known(&mut self, table: &Table<'_>, known: &[&str], what: &str) {
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

    pub(super) fn named_tables<'v>(
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

    pub(super) fn table<'v>(&mut self, value: &'v Value<'_>) -> Option<&'v Table<'v>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, "a table");
        }
        table
    }

    pub(super) fn string(&mut self, value: &Value<'_>) -> Option<String> {
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

    pub(super) fn strings(&mut self, table: &Table<'_>, key: &str) -> Option<Vec<String>> {
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

    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(value, "true or false");
        }
        boolean
    }

    pub(super) fn integer(&mut self, value: &Value<'_>, least: i64, greatest: i64) -> Option<i64> {
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

    pub(super) fn number(&mut self, value: &Value<'_>, least: f64, greatest: f64) -> Option<f64> {
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

    pub(super) fn wrong_type(&mut self, value: &Value<'_>, wanted: &str) {
        let given = value.get_ref().type_str();
        self.findings
            .error(&value.span(), format!("this must be {wanted}, not {given}"));
    }
}
