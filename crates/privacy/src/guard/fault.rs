//! What is wrong with a row filter: in the words of queries, with its place in the filter's text.

use std::fmt;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::filter::first_line;
use crate::policy::nearest;

/// Why a filter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterFault {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The byte of the filter's text at which it is, where that is known.
    pub at: Option<usize>,
}

impl fmt::Display for FilterFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl From<String> for FilterFault {
    fn from(message: String) -> Self {
        Self {
            message,
            hint: None,
            at: None,
        }
    }
}

impl FilterFault {
    /// An error of the engine about the filter `text`.
    pub(super) fn of(error: &DataFusionError, text: &str) -> Self {
        match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                Self::of(inner, text)
            }
            DataFusionError::Shared(inner) => Self::of(inner, text),
            DataFusionError::Collection(errors) if !errors.is_empty() => Self::of(&errors[0], text),
            DataFusionError::SQL(error, _) => match error.as_ref() {
                ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
                    syntax(&first_line(message), text)
                }
                ParserError::RecursionLimitExceeded => {
                    "the filter is nested too deeply".to_owned().into()
                }
            },
            DataFusionError::SchemaError(error, _) => no_column(error, text),
            DataFusionError::Plan(message) => planned(&first_line(message), text),
            other => first_line(&other.strip_backtrace()).into(),
        }
    }
}

fn syntax(message: &str, text: &str) -> FilterFault {
    let (message, place) = message.split_once(" at Line: ").unwrap_or((message, ""));
    let mut numbers = place
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse::<usize>().ok());
    let at = match (numbers.next(), numbers.next()) {
        (Some(line), Some(column)) if line > 0 => byte_at(text, line, column),
        // The parser has no place for where the text ends.
        _ => text.trim_end().len(),
    };
    let message = message.replace("found: EOF", "found: the end of the filter");
    let mut letters = message.chars();
    let first = letters
        .next()
        .map_or_else(String::new, |c| c.to_lowercase().collect());
    FilterFault {
        message: format!("syntax error: {first}{}", letters.as_str()),
        hint: None,
        at: Some(at),
    }
}

/// The byte of a line and a column in characters, both from 1.
fn byte_at(text: &str, line: usize, column: usize) -> usize {
    let lines = text.split_inclusive('\n');
    let start: usize = lines.clone().take(line - 1).map(str::len).sum();
    let line = text.get(start..).unwrap_or_default();
    let within: usize = line
        .chars()
        .take(column.saturating_sub(1))
        .map(char::len_utf8)
        .sum();
    start + within
}

fn no_column(error: &SchemaError, text: &str) -> FilterFault {
    let SchemaError::FieldNotFound {
        field,
        valid_fields,
    } = error
    else {
        return first_line(&error.to_string()).into();
    };
    let near = nearest(field.name(), valid_fields.iter().map(|field| field.name()));
    FilterFault {
        message: format!("no column named `{}`", field.flat_name()),
        hint: near.map(|near| format!("did you mean `{near}`?")),
        at: find_word(text, field.name()),
    }
}

fn planned(message: &str, text: &str) -> FilterFault {
    if let Some(name) = quoted_after(message, "Invalid function '") {
        return FilterFault {
            message: format!("no function named `{name}`"),
            hint: None,
            at: find_word(text, name),
        };
    }
    if let Some(table) = quoted_after(message, "table '") {
        let name = table.rsplit('.').next().unwrap_or(table);
        return FilterFault {
            message: "a filter is a condition on the columns of its own table, without subqueries"
                .to_owned(),
            hint: None,
            at: find_word(text, name),
        };
    }
    message.to_owned().into()
}

fn quoted_after<'m>(message: &'m str, before: &str) -> Option<&'m str> {
    message.split_once(before)?.1.split('\'').next()
}

/// Where a word first stands in a text, in any case.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let (text, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(&word).map(|(at, _)| at).find(|at| {
        let after = text[at + word.len()..].chars().next();
        let before = text[..*at].chars().next_back();
        !before.is_some_and(in_word) && !after.is_some_and(in_word)
    })
}
