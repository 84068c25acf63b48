//! Parts of dates and times, by the names that DuckDB and PostgreSQL have for them.

use datafusion::sql::sqlparser::ast::{Expr, Value};

use super::forms::FORMS;

/// Each part under the engine's name, and what else it is called.
const PARTS: [(&str, &[&str]); 18] = [
    (
        "millennium",
        &["millennia", "millenium", "millenniums", "mil", "mils"],
    ),
    ("century", &["centuries", "cent", "c"]),
    ("decade", &["decades", "dec", "decs"]),
    ("year", &["years", "yr", "yrs", "y"]),
    ("isoyear", &[]),
    ("quarter", &["quarters"]),
    ("month", &["months", "mon", "mons"]),
    ("week", &["weeks", "weekofyear", "w"]),
    ("yearweek", &[]),
    ("day", &["days", "dayofmonth", "d"]),
    ("dow", &["dayofweek", "weekday"]),
    ("doy", &["dayofyear"]),
    ("hour", &["hours", "hr", "hrs", "h"]),
    ("minute", &["minutes", "min", "mins", "m"]),
    ("second", &["seconds", "sec", "secs", "s"]),
    (
        "millisecond",
        &["milliseconds", "ms", "msec", "msecs", "msecond", "mseconds"],
    ),
    (
        "microsecond",
        &["microseconds", "us", "usec", "usecs", "usecond", "useconds"],
    ),
    ("epoch", &[]),
];

/// The first moment of a part that the engine does not begin times with.
const FIRSTS: [(&str, &str); 5] = [
    (
        "millennium",
        "CAST(make_date(date_part('year', $1) // 1000 * 1000, 1, 1) AS TIMESTAMP(6))",
    ),
    // As in DuckDB a hundred years begin with 2000, whose century is the twentieth.
    (
        "century",
        "CAST(make_date(date_part('year', $1) // 100 * 100, 1, 1) AS TIMESTAMP(6))",
    ),
    (
        "decade",
        "CAST(make_date(date_part('year', $1) // 10 * 10, 1, 1) AS TIMESTAMP(6))",
    ),
    // The week of 4 January is the first.
    (
        "isoyear",
        "date_trunc('week', CAST(make_date(date_part('year', date_trunc('week', $1) + INTERVAL '3 days'), 1, 4) AS TIMESTAMP(6)))",
    ),
    ("yearweek", "date_trunc('week', $1)"),
];

/// The name of a part of time, as text or as a word.
pub(super) fn unit(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(named(text)),
            _ => None,
        },
        Expr::Identifier(word) => Some(named(&word.value)),
        _ => None,
    }
}

/// The engine's name of a part; what is none in small letters.
pub(super) fn named(text: &str) -> String {
    let text = text.trim_matches('\'').to_ascii_lowercase();
    let mut parts = PARTS.iter();
    let known = parts.find(|(name, others)| *name == text || others.contains(&text.as_str()));
    known.map_or(text, |(name, _)| (*name).to_owned())
}

/// A part of a date that the engine does not know.
pub(super) fn long(part: &str) -> Option<&'static str> {
    let long = ["century", "decade", "isoyear", "millennium", "yearweek"];
    let form = FORMS.iter().find(|(known, ..)| *known == part)?;
    long.contains(&part).then_some(form.2)
}

/// The first moment of such a part.
pub(super) fn first(part: &str) -> Option<&'static str> {
    let known = FIRSTS.iter().find(|(known, _)| *known == part)?;
    Some(known.1)
}
