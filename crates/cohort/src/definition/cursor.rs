//! A JSON value with its path, and the reading of plain values as Circe's own parser reads them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::locate::Place;
use super::problem::{Problem, Severity};

/// Collects what is wrong while a definition is read.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) problems: Vec<Problem>,
}

impl Notes {
    pub(crate) fn add(&mut self, severity: Severity, path: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            severity,
            path: path.to_owned(),
            // Found once the whole text is read.
            place: Place { line: 1, column: 1 },
            message: message.into(),
        });
    }

    pub(crate) fn invalid(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Invalid, path, message);
    }

    pub(crate) fn unsupported(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Unsupported, path, message);
    }

    pub(crate) fn warn(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Warning, path, message);
    }
}

/// A value and the path to it.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: String,
}

/// An object of which every key must be asked for or named as unknown.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    map: &'a Map<String, Value>,
    pub(crate) path: String,
    asked: BTreeSet<&'static str>,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: "$".to_owned(),
        }
    }

    /// The value as an object; anything else is a problem.
    pub(crate) fn object(&self, notes: &mut Notes) -> Option<Object<'a>> {
        let Value::Object(map) = self.value else {
            notes.invalid(
                &self.path,
                format!("an object is expected, not {}", kind(self.value)),
            );
            return None;
        };
        Some(Object {
            map,
            path: self.path.clone(),
            asked: BTreeSet::new(),
        })
    }

    /// The elements of a list; anything else is a problem.
    pub(crate) fn list(&self, notes: &mut Notes) -> Vec<Node<'a>> {
        let Value::Array(items) = self.value else {
            notes.invalid(
                &self.path,
                format!("a list is expected, not {}", kind(self.value)),
            );
            return Vec::new();
        };
        let node = |(at, value)| Node {
            value,
            path: format!("{}[{at}]", self.path),
        };
        items.iter().enumerate().map(node).collect()
    }

    /// A whole number. Fractions are cut off, and numbers in quotes are read, as Circe's parser does.
    pub(crate) fn integer(&self, notes: &mut Notes) -> Option<i64> {
        let number = match self.value {
            Value::Number(n) => n.as_i64().or_else(|| n.as_f64().and_then(truncated)),
            Value::String(s) => s.trim().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            notes.invalid(
                &self.path,
                format!("a whole number is expected, not {}", kind(self.value)),
            );
        }
        number
    }

    /// A whole number that fits the number of days or the like.
    pub(crate) fn small(&self, notes: &mut Notes) -> Option<i32> {
        let number = self.integer(notes)?;
        let small = i32::try_from(number).ok();
        if small.is_none() {
            notes.invalid(&self.path, format!("{number} is too large"));
        }
        small
    }

    /// A number.
    pub(crate) fn number(&self, notes: &mut Notes) -> Option<f64> {
        let number = match self.value {
            Value::Number(n) => n.as_f64(),
            Value::String(s) => s.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        };
        if number.is_none() {
            notes.invalid(
                &self.path,
                format!("a number is expected, not {}", kind(self.value)),
            );
        }
        number
    }

    pub(crate) fn boolean(&self, notes: &mut Notes) -> Option<bool> {
        match self.value {
            Value::Bool(b) => Some(*b),
            other => {
                notes.invalid(
                    &self.path,
                    format!("true or false is expected, not {}", kind(other)),
                );
                None
            }
        }
    }

    pub(crate) fn text(&self, notes: &mut Notes) -> Option<&'a str> {
        match self.value {
            Value::String(s) => Some(s),
            other => {
                notes.invalid(&self.path, format!("text is expected, not {}", kind(other)));
                None
            }
        }
    }
}

impl<'a> Object<'a> {
    /// The value of a key; none where it is missing or null, which Circe treats alike.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.insert(key);
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Node {
            value,
            path: format!("{}.{key}", self.path),
        })
    }

    /// Whether a key is there with an explicit null.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The value of a key that Circe cannot do without.
    pub(crate) fn need(&mut self, key: &'static str, notes: &mut Notes) -> Option<Node<'a>> {
        let found = self.get(key);
        if found.is_none() {
            notes.invalid(&self.path, format!("`{key}` is missing"));
        }
        found
    }

    pub(crate) fn integer(&mut self, key: &'static str, notes: &mut Notes) -> Option<i32> {
        self.get(key).and_then(|node| node.small(notes))
    }

    /// False where the key is missing or null.
    pub(crate) fn flag(&mut self, key: &'static str, notes: &mut Notes) -> bool {
        self.get(key)
            .and_then(|node| node.boolean(notes))
            .unwrap_or(false)
    }

    pub(crate) fn list(&mut self, key: &'static str, notes: &mut Notes) -> Vec<Node<'a>> {
        self.get(key)
            .map(|node| node.list(notes))
            .unwrap_or_default()
    }

    /// The keys that hold something and were never asked for.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.map
            .iter()
            .filter(|(key, value)| !value.is_null() && !self.asked.contains(key.as_str()))
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The keys that were asked for.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &'static str> {
        self.asked.iter().copied()
    }

    /// Refuses every key that was never asked for: what it asks of the data would be missed.
    pub(crate) fn refuse_unknown(&self, what: &str, notes: &mut Notes) {
        for (key, _) in self.unknown() {
            notes.unsupported(
                &self.path_of(key),
                format!("`{key}` is no attribute of {what} that this engine knows"),
            );
        }
    }

    /// The only key of an object that wraps another, such as `{"ConditionOccurrence": {…}}`.
    pub(crate) fn single(&self) -> Option<(&'a str, &'a Value)> {
        let mut keys = self.map.iter();
        match (keys.next(), keys.next()) {
            (Some((key, value)), None) => Some((key.as_str(), value)),
            _ => None,
        }
    }
}

fn truncated(number: f64) -> Option<i64> {
    // 2^53: beyond it a JSON number is no exact count any more.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "cut off on purpose, and in range"
    )]
    (number.abs() <= EXACT).then(|| number.trunc() as i64)
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
