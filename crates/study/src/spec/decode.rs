//! From a tree to typed fields: every mistake is noted, and reading goes on.

use std::cell::RefCell;

use crate::problem::{Problem, Spot, nearest};
use crate::yaml::{Key, Node, Value};

/// A value together with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Spot,
    /// The way to it.
    pub path: String,
}

impl<T: serde::Serialize> serde::Serialize for Located<T> {
    /// The value alone: a place says nothing about what a study does.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    problems: RefCell<Vec<Problem>>,
}

impl Decoder {
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.at);
        problems
    }

    pub(crate) fn note(&self, at: Spot, path: &str, message: impl Into<String>) {
        self.add(at, path, message.into(), None);
    }

    pub(crate) fn hint(
        &self,
        at: Spot,
        path: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(at, path, message.into(), Some(hint.into()));
    }

    fn add(&self, at: Spot, path: &str, message: String, hint: Option<String>) {
        self.problems.borrow_mut().push(Problem {
            at,
            path: path.to_owned(),
            message,
            hint,
        });
    }

    fn wrong_kind(&self, node: &Node, path: &str, wanted: &str) {
        self.note(
            node.at,
            path,
            format!("expected {wanted}, found {}", node.value.kind()),
        );
    }

    /// The fields of a mapping; keys that are not `known` are noted.
    pub(crate) fn fields<'a>(
        &'a self,
        node: &'a Node,
        path: &str,
        known: &'static [&'static str],
    ) -> Option<Fields<'a>> {
        let entries = self.entries(node, path)?;
        for (key, _) in entries
            .iter()
            .filter(|(key, _)| !known.contains(&key.name.as_str()))
        {
            let hint = nearest(&key.name, known.iter().copied()).map_or_else(
                || format!("known here: {}", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.hint(
                key.at,
                path,
                format!("there is no field `{}` here", key.name),
                hint,
            );
        }
        Some(Fields {
            decoder: self,
            at: node.at,
            path: path.to_owned(),
            entries,
        })
    }

    /// The entries of a mapping whose keys are the user's own.
    pub(crate) fn entries<'a>(&self, node: &'a Node, path: &str) -> Option<&'a [(Key, Node)]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            Value::Null => Some(&[]),
            _ => {
                self.wrong_kind(node, path, "a mapping");
                None
            }
        }
    }

    pub(crate) fn text(&self, node: &Node, path: &str) -> Option<String> {
        match &node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Text(_) => {
                self.note(node.at, path, "this text is empty");
                None
            }
            _ => {
                self.wrong_kind(node, path, "text");
                None
            }
        }
    }

    pub(crate) fn located(&self, node: &Node, path: &str) -> Option<Located<String>> {
        Some(Located {
            value: self.text(node, path)?,
            at: node.at,
            path: path.to_owned(),
        })
    }

    pub(crate) fn integer(&self, node: &Node, path: &str) -> Option<i64> {
        match &node.value {
            Value::Integer(number) => Some(*number),
            _ => {
                self.wrong_kind(node, path, "a whole number");
                None
            }
        }
    }

    pub(crate) fn number(&self, node: &Node, path: &str) -> Option<f64> {
        match &node.value {
            Value::Float(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "a setting, not a count of rows")]
            Value::Integer(number) => Some(*number as f64),
            _ => {
                self.wrong_kind(node, path, "a number");
                None
            }
        }
    }

    /// A list, or a single value as a list of one.
    pub(crate) fn list<'a>(&self, node: &'a Node) -> &'a [Node] {
        match &node.value {
            Value::List(list) => list,
            Value::Null => &[],
            _ => std::slice::from_ref(node),
        }
    }

    /// A name that becomes part of a table's or a file's name.
    pub(crate) fn name(&self, key: &Key, path: &str) -> String {
        let valid = key.name.starts_with(|c: char| c.is_ascii_lowercase())
            && key
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !valid {
            self.hint(
                key.at,
                path,
                format!("`{}` cannot be a name", key.name),
                "use lower-case letters, digits and underscores, a letter first; `label` is for readers",
            );
        }
        key.name.clone()
    }
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) decoder: &'a Decoder,
    pub(crate) at: Spot,
    pub(crate) path: String,
    entries: &'a [(Key, Node)],
}

impl<'a> Fields<'a> {
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(found, node)| found.name == key && node.value != Value::Null)
            .map(|(_, node)| node)
    }

    pub(crate) fn require(&self, key: &str) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            self.decoder
                .note(self.at, &self.path, format!("the field `{key}` is missing"));
        }
        found
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.decoder.text(self.get(key)?, &self.path_of(key))
    }

    pub(crate) fn required_text(&self, key: &str) -> String {
        self.require(key)
            .and_then(|node| self.decoder.text(node, &self.path_of(key)))
            .unwrap_or_default()
    }

    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        self.decoder
            .list(node)
            .iter()
            .filter_map(|node| self.decoder.text(node, &path))
            .collect()
    }

    pub(crate) fn located(&self, key: &str) -> Option<Located<String>> {
        self.decoder.located(self.get(key)?, &self.path_of(key))
    }

    pub(crate) fn located_list(&self, key: &str) -> Vec<Located<String>> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        self.decoder
            .list(node)
            .iter()
            .filter_map(|node| self.decoder.located(node, &path))
            .collect()
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            None => default,
            Some(Node {
                value: Value::Bool(flag),
                ..
            }) => *flag,
            Some(node) => {
                self.decoder
                    .wrong_kind(node, &self.path_of(key), "true or false");
                default
            }
        }
    }

    /// A number of days from `least` on.
    pub(crate) fn days(&self, key: &str, default: i64, least: i64) -> i64 {
        let Some(node) = self.get(key) else {
            return default;
        };
        let path = self.path_of(key);
        let Some(days) = self.decoder.integer(node, &path) else {
            return default;
        };
        if !(least..=200_000).contains(&days) {
            self.decoder.note(
                node.at,
                &path,
                format!("a number of days from {least} to 200000 is expected here"),
            );
        }
        days
    }

    /// A number within bounds.
    pub(crate) fn number_in(&self, key: &str, default: f64, low: f64, high: f64) -> f64 {
        let Some(node) = self.get(key) else {
            return default;
        };
        let path = self.path_of(key);
        let Some(number) = self.decoder.number(node, &path) else {
            return default;
        };
        if !(low..=high).contains(&number) {
            self.decoder.note(
                node.at,
                &path,
                format!("a number from {low} to {high} is expected here"),
            );
        }
        number
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&self, key: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(node) = self.get(key) else {
            return default;
        };
        self.word_of(node, &self.path_of(key), words)
            .unwrap_or(default)
    }

    pub(crate) fn word_of<T: Copy>(
        &self,
        node: &Node,
        path: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let word = self.decoder.text(node, path)?;
        let found = words
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            self.decoder.hint(
                node.at,
                path,
                format!("`{word}` is not known here"),
                format!("one of: {}", names.join(", ")),
            );
        }
        found
    }
}
