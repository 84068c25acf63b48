//! YAML as a tree in which every key and every value knows its line and column.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::problem::{Problem, Spot};

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Spot,
}

/// A key and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) at: Spot,
}

impl Value {
    /// What a message calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads a document.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    serde_saphyr::from_str::<Spanned<Value>>(text)
        .map(|document| Node {
            at: spot(&document.referenced),
            value: document.value,
        })
        .map_err(|error| {
            let bare = error.without_snippet();
            let message = bare.to_string();
            let message = message.lines().next().unwrap_or_default();
            let message = message
                .split(" at line ")
                .next()
                .unwrap_or(message)
                .trim_start_matches("error: ");
            Problem {
                at: bare.location().map(|at| spot(&at)).unwrap_or_default(),
                path: String::new(),
                message: format!("this is not YAML: {message}"),
                hint: None,
            }
        })
}

fn spot(at: &serde_saphyr::Location) -> Spot {
    Spot {
        line: at.line(),
        column: at.column(),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value)
            .map(Value::Integer)
            .map_err(|_| E::custom("a number is too large"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Value>>()? {
            list.push(Node {
                at: spot(&item.referenced),
                value: item.value,
            });
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let value = access.next_value::<Spanned<Value>>()?;
            map.push((
                Key {
                    name: key.value,
                    at: spot(&key.referenced),
                },
                Node {
                    at: spot(&value.referenced),
                    value: value.value,
                },
            ));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn places_are_known() {
        let tree = parse("a: 1\nb:\n  - x\n  - y: 2020-01-01\n").unwrap();
        let Value::Map(map) = &tree.value else {
            unreachable!("a mapping")
        };
        assert_eq!((map[1].0.name.as_str(), map[1].0.at.line), ("b", 2));
        let Value::List(list) = &map[1].1.value else {
            unreachable!("a list")
        };
        assert_eq!((list[0].at.line, list[0].at.column), (3, 5));
        let Value::Map(inner) = &list[1].value else {
            unreachable!("a mapping")
        };
        assert_eq!(inner[0].1.value, Value::Text("2020-01-01".into()));
        assert_eq!((inner[0].1.at.line, inner[0].1.at.column), (4, 8));
    }

    #[test]
    fn what_is_not_yaml_has_a_place() {
        let problem = parse("a: [1, 2\nb: 3\n").unwrap_err();
        assert!(problem.at.line > 0, "{problem}");
        assert!(parse("a: 1\na: 2\n").is_err());
    }
}
