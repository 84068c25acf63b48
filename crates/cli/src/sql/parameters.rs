//! The values of `$name`: what a text on the command line stands for, and which names have none.

use columna_query::script::{Parameter, Parameters};

use crate::error::Position;

use super::lexer::{Kind, tokens};
use super::script::Script;

/// A parameter without a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The name without `$`.
    pub(crate) name: String,
    /// Where it stands in the statement.
    pub(crate) at: Position,
}

/// The first `$name` of a statement that has no value.
pub(crate) fn missing(sql: &str, parameters: &Parameters) -> Option<Missing> {
    let script = Script {
        name: "",
        text: sql,
    };
    tokens(sql)
        .into_iter()
        .filter(|token| token.kind == Kind::Parameter)
        .find_map(|token| {
            let name = token.text(sql).trim_start_matches('$');
            let known =
                parameters.contains_key(name) || name.starts_with(|c: char| c.is_ascii_digit());
            (!known).then(|| Missing {
                name: name.to_owned(),
                at: script.position(token.start),
            })
        })
}

/// What a text stands for: a number, a day, or text. Codes such as `0123` stay text, and quotes make
/// anything text: `'250'`.
pub(crate) fn parameter(text: &str) -> Parameter {
    if let Some(inner) = text
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    {
        return Parameter::Text(inner.replace("''", "'"));
    }
    let digits = text.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
        return Parameter::Text(text.to_owned());
    }
    Parameter::infer(text)
}

/// A value as it would be typed.
pub(crate) fn text_of(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Integer(number) => number.to_string(),
        Parameter::Float(number) => number.to_string(),
        Parameter::Date(day) => day.to_string(),
        Parameter::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_text() {
        assert_eq!(parameter("7"), Parameter::Integer(7));
        assert_eq!(parameter("0.5"), Parameter::Float(0.5));
        for (given, text) in [
            ("0123", "0123"),
            ("'250'", "250"),
            ("'it''s'", "it's"),
            ("metformin", "metformin"),
        ] {
            assert_eq!(parameter(given), Parameter::Text(text.to_owned()));
        }
    }

    #[test]
    fn a_missing_value_is_found_where_it_stands() {
        let parameters = Parameters::from([("a".to_owned(), Parameter::Integer(1))]);
        let found = missing(
            "SELECT $a, '$b'\n FROM t WHERE x > $since -- $c",
            &parameters,
        );
        assert_eq!(
            found,
            Some(Missing {
                name: "since".into(),
                at: Position {
                    line: 2,
                    column: 19
                }
            })
        );
        assert_eq!(missing("SELECT $a, $1", &parameters), None);
    }
}
