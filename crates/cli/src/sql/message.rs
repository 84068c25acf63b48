//! DataFusion's errors in our words: what, where in the script, what to do, and no cell's value.

use arrow::error::ArrowError;
use columna_privacy::Refusal;
use datafusion::common::SchemaError;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::{Position, Report, one_style};

use super::lexer::{Kind, Token, tokens};

/// An error in words, and the part of the statement that it is about.
#[derive(Debug)]
pub(crate) struct Explained {
    /// The message, its reasons and its hint.
    pub(crate) report: Report,
    /// Line and column within the statement, and how many characters the mistake spans.
    pub(crate) at: Option<(Position, usize)>,
}

/// Explains an error of the statement `sql`; `tables` are the names that exist. Who is restricted makes no tables of files.
pub(crate) fn explain(
    error: &DataFusionError,
    sql: &str,
    tables: &[String],
    restricted: bool,
) -> Explained {
    let span = error
        .diagnostic()
        .and_then(|diagnostic| diagnostic.span)
        .and_then(|span| {
            let at = Position {
                line: usize::try_from(span.start.line).ok()?,
                column: usize::try_from(span.start.column).ok()?,
            };
            let width = if span.start.line == span.end.line {
                usize::try_from(span.end.column.saturating_sub(span.start.column)).ok()?
            } else {
                1
            };
            (at.line > 0).then_some((at, width))
        });
    if let Some(refusal) = Refusal::within(error) {
        let message = format!("{} [{}]", refusal.message, refusal.code);
        return Explained {
            report: Report::new(message).hint(refusal.hint.clone()),
            at: span,
        };
    }
    let root = root(error);
    let (mut report, name) = words(root, sql, tables);
    let external = |hint: &String| hint.contains("CREATE EXTERNAL TABLE");
    if restricted && report.hint.as_ref().is_some_and(external) {
        report.hint = Some("this role reads the tables that `\\d` lists".to_owned());
    }
    let (message, in_message) = split_position(&report.message);
    let ended = match root {
        DataFusionError::SQL(..) if message.ends_with(ENDED) => Some((end(sql), 1)),
        _ => None,
    };
    let at = span
        .or(in_message.map(|at| (at, 1)))
        .or(ended)
        .or_else(|| name.and_then(|name| find_name(sql, &name)));
    Explained {
        report: Report { message, ..report },
        at,
    }
}

/// How a message ends that is about a statement which does.
const ENDED: &str = "found: the end of the statement";

/// Functions that the engine has over windows only.
const OVER_WINDOWS: [&str; 8] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
];

/// Behind the last word of a statement.
fn end(sql: &str) -> Position {
    let last = tokens(sql).into_iter().rfind(Token::is_code);
    position(sql, last.map_or(0, |token| token.end))
}

/// The innermost error, where DataFusion's own wrappers end.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, root),
        DataFusionError::External(inner) => {
            inner.downcast_ref::<DataFusionError>().map_or(error, root)
        }
        _ => error,
    }
}

/// The message, and the name in the statement that it is about.
fn words(error: &DataFusionError, sql: &str, tables: &[String]) -> (Report, Option<String>) {
    match error {
        DataFusionError::SQL(error, _) => (syntax(error), None),
        DataFusionError::SchemaError(error, _) => no_column(error, sql),
        DataFusionError::Plan(message) => plan(message, tables),
        DataFusionError::ResourcesExhausted(message) => {
            let mut report =
                Report::new("this query needs more memory or temporary space than it may use");
            report.causes.push(first_line(message));
            (
                report
                    .hint("raise `--memory-limit`, use fewer `--threads`, or ask for less at once"),
                None,
            )
        }
        DataFusionError::ArrowError(error, _) => {
            let mut report = Report::new(redact(&error.to_string(), sql));
            if let ArrowError::ParseError(message) = error.as_ref() {
                let mut written = ['\'', '"'].into_iter().filter_map(|quote| {
                    let quote = quote.to_string();
                    between(message, &quote, &quote).map(str::to_owned)
                });
                report = report.hint(match written.any(|text| sql.contains(&text)) {
                    true => {
                        "write a date as '2024-01-31', a moment as '2024-01-31 08:30:00' and an interval as '3 months'"
                    }
                    false => {
                    "a CSV file's word for what is missing is NULL with `OPTIONS ('format.null_regex' '^NA$')`; for a column \
                     of more than numbers give the columns' types: `CREATE EXTERNAL TABLE t (id BIGINT, dose TEXT) STORED AS …`"
                    }
                });
            }
            (report, None)
        }
        DataFusionError::Execution(message) if is_field_of_list(message) => {
            let report = Report::new("a list has no fields; those of its rows do");
            (
                report.hint(
                    "make rows of it, `SELECT r['time'] FROM (SELECT unnest(f(…)) AS r FROM t)`, or take one: `f(…)[1]['time']`",
                ),
                None,
            )
        }
        DataFusionError::Execution(message) if message.contains("' doesn't exist") => {
            dropped(message, tables)
        }
        DataFusionError::Execution(message) => {
            (Report::new(redact(&first_line(message), sql)), None)
        }
        DataFusionError::Internal(message) => {
            let report = Report::new(format!(
                "the SQL engine failed: {}",
                redact(&first_line(message), sql)
            ));
            (
                report.hint("this is a fault of the engine and not of the query; please report it"),
                None,
            )
        }
        DataFusionError::NotImplemented(message) => (
            Report::new(format!(
                "not supported: {}",
                without_tree(&first_line(message))
            )),
            None,
        ),
        DataFusionError::External(inner) => (Report::from_error(inner.as_ref()), None),
        other => (Report::new(first_line(&other.strip_backtrace())), None),
    }
}

fn syntax(error: &ParserError) -> Report {
    match error {
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
            let message = lower_first(&first_line(message));
            let message = match message.strip_suffix("found: EOF") {
                Some(expected) => format!("{expected}{ENDED}"),
                None => message,
            };
            Report::new(format!("syntax error: {message}")).quotes()
        }
        ParserError::RecursionLimitExceeded => Report::new("this statement is nested too deeply")
            .hint("split it with common table expressions"),
    }
}

fn no_column(error: &SchemaError, sql: &str) -> (Report, Option<String>) {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let name = field.name().to_owned();
            let report = Report::new(format!("no column named `{}`", field.flat_name()));
            let valid: Vec<String> = valid_fields
                .iter()
                .map(|field| field.name().to_owned())
                .filter(|name| !name.is_empty())
                .collect();
            let quoted = tokens(sql).into_iter().any(|token| {
                token.kind == Kind::QuotedName && token.text(sql) == format!("\"{name}\"")
            });
            if quoted && closest(&name, &valid).is_none() {
                let hint = format!("if it is a text, write it in single quotes: `'{name}'`");
                return (report.hint(hint), Some(name));
            }
            if is_set_with_equals(sql, &name) {
                let hint = format!("if it is an option of a function, write `{name} => …`");
                return (report.hint(hint), Some(name));
            }
            let hint = closest(&name, &valid)
                .map(
                    |near| match near != name && near.eq_ignore_ascii_case(&name) {
                        true => {
                            format!("write `\"{near}\"`: a name without quotes is in small letters")
                        }
                        false => format!("did you mean `{near}`?"),
                    },
                )
                .or_else(|| {
                    let few: Vec<String> = valid
                        .iter()
                        .take(12)
                        .map(|name| format!("`{name}`"))
                        .collect();
                    let more = if valid.len() > few.len() { ", …" } else { "" };
                    (!few.is_empty())
                        .then(|| format!("the columns here are {}{more}", few.join(", ")))
                });
            (Report { hint, ..report }, Some(name))
        }
        SchemaError::AmbiguousReference { field } => {
            let name = field.name().to_owned();
            let report = Report::new(format!(
                "more than one table here has a column named `{name}`"
            ));
            (
                report.hint(format!(
                    "write the table before it, such as `person.{name}`"
                )),
                Some(name),
            )
        }
        other => (Report::new(one_style(&other.to_string())), None),
    }
}

fn is_field_of_list(message: &str) -> bool {
    message.starts_with("Cannot access field") && message.contains(": type List(")
}

/// Whether a name is written as R sets an option: `f(x, name = 1)`.
fn is_set_with_equals(sql: &str, name: &str) -> bool {
    sql.match_indices(name).any(|(at, _)| {
        let (before, after) = (sql[..at].trim_end(), sql[at + name.len()..].trim_start());
        let within = before.matches('(').count() > before.matches(')').count();
        let set = after
            .strip_prefix('=')
            .is_some_and(|value| !value.starts_with('>'));
        within && before.ends_with(',') && set
    })
}

/// A table that is not there, or is under another name than that with its schema.
fn no_table(table: &str, tables: &[String]) -> (Report, Option<String>) {
    let (schema, name) = table.rsplit_once('.').unwrap_or(("", table));
    let schema = schema.strip_prefix("columna.").unwrap_or(schema);
    let name = name.to_owned();
    if !["", "public"].contains(&schema) && tables.contains(&name) {
        let report = Report::new(format!("no schema named `{schema}`"));
        let hint = format!("tables have no schema: write `{name}`");
        return (report.hint(hint), Some(schema.to_owned()));
    }
    let hint = match closest(&name, tables) {
        Some(near) => format!("did you mean `{near}`?"),
        None if tables.is_empty() => "name a store with `--store STORE`, or read a file: \
             `CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'file.parquet'`"
            .to_owned(),
        None => "`\\d` lists the tables".to_owned(),
    };
    let report = Report::new(format!("no table named `{name}`")).hint(hint);
    (report, Some(name))
}

/// What could not be dropped, because there is nothing of its kind and name.
fn dropped(message: &str, tables: &[String]) -> (Report, Option<String>) {
    let name = between(message, "'", "'").unwrap_or_default();
    let is_there = tables.iter().any(|table| table == name);
    let other = match message.split_whitespace().next() {
        Some("Table") if is_there => ("view", "DROP VIEW"),
        Some("View") if is_there => ("table", "DROP TABLE"),
        Some("Table" | "View") => return no_table(name, tables),
        _ => {
            let report = Report::new(format!("no schema named `{name}`"));
            return (report, Some(name.to_owned()));
        }
    };
    let report = Report::new(format!("`{name}` is a {}", other.0));
    let hint = format!("write `{} {name}`", other.1);
    (report.hint(hint), Some(name.to_owned()))
}

/// A message without what the parser made of the text: `… ast node …: Collate { expr: …`.
fn without_tree(message: &str) -> String {
    let kind = message
        .contains(" ast node")
        .then(|| message.rsplit_once("sqltorel: ").map(|(_, tree)| tree))
        .flatten()
        .map(|tree| tree.split(|c: char| !c.is_alphanumeric()).next());
    match kind.flatten() {
        Some(kind) => format!("an expression of the kind {kind}"),
        None => message.to_owned(),
    }
}

fn plan(message: &str, tables: &[String]) -> (Report, Option<String>) {
    let message = first_line_and_hint(message);
    if let Some(table) = between(&message.0, "table '", "' not found") {
        if let Some((_, format)) = table.rsplit_once('.').filter(|(_, ending)| is_file(ending)) {
            let format = format.to_ascii_uppercase();
            let hint = format!(
                "make it one: `CREATE EXTERNAL TABLE t STORED AS {format} LOCATION 'FILE'`, and ask `t`"
            );
            let report = Report::new("a query reads tables, and this is a file");
            return (report.hint(hint), None);
        }
        return no_table(table, tables);
    }
    if let Some((name, report)) = arguments(&message.0) {
        return (report, Some(name));
    }
    // What is wrong with an argument, without the planner's frame around it.
    if let Some(found) = between(
        &message.0,
        "coercion failed with: ",
        " No function matches the given name",
    ) {
        let found = found.strip_prefix("Error during planning: ");
        let words = found.map(|found| one_style(found).trim_end_matches('.').to_owned());
        let name = between(&message.0, "Function '", "'").map(str::to_owned);
        if let Some(words) = words {
            return (Report::new(words), name);
        }
        if let Some(call) = between(&message.0, "name and argument types '", "'") {
            let report = Report::new(format!("the arguments of `{call}` have no type in common"));
            return (report.hint("cast them to one: `x::VARCHAR`"), name);
        }
    }
    if let Some(name) = between(&message.0, "Invalid function '", "'") {
        if OVER_WINDOWS.contains(&name) {
            let report = Report::new(format!("`{name}` needs OVER (…)"));
            let argument = if ["lag", "lead"].contains(&name) {
                "x"
            } else {
                ""
            };
            let hint = format!(
                "such as `{name}({argument}) OVER (PARTITION BY person_id ORDER BY visit_start_date)`"
            );
            return (report.hint(hint), Some(name.to_owned()));
        }
        // The planner always names one, however far, and any of those that are equally far.
        let near = message.1.as_deref().and_then(|hint| {
            let near = between(hint, "'", "'")?;
            closest(name, &[near.to_owned()]).map(str::to_owned)
        });
        let hint = near.map_or_else(
            || "`\\df` lists the functions".to_owned(),
            |near| format!("did you mean `{near}`?, or see `\\df`"),
        );
        return (
            Report::new(format!("no function named `{name}`")).hint(hint),
            Some(name.to_owned()),
        );
    }
    let keyword = || {
        message
            .0
            .split_once(" is not supported")
            .map(|(word, _)| word)
            .filter(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    let name = between(&message.0, "'", "'")
        .or_else(keyword)
        .or_else(|| message.0.strip_prefix('`')?.split('`').next())
        .map(str::to_owned);
    (
        Report {
            hint: message.1,
            ..Report::new(one_style(&message.0))
        },
        name,
    )
}

/// What a function of the engine's says of arguments of which it has no form.
fn arguments(message: &str) -> Option<(String, Report)> {
    let name =
        between(message, "a call to '", "'").or_else(|| between(message, "Function '", "'"))?;
    let numbers = message.split(" expects ").skip(1);
    let numbers: Vec<&str> = numbers
        .filter_map(|text| text.split(" arguments but received ").next())
        .filter(|number| number.parse::<u8>().is_ok())
        .collect();
    if let (false, Some(given)) = (numbers.is_empty(), message.split(" but received ").nth(1)) {
        let given: String = given.chars().take_while(char::is_ascii_digit).collect();
        let plural = if numbers == ["1"] { "" } else { "s" };
        let numbers = numbers.join(" or ");
        let words = format!("`{name}` takes {numbers} argument{plural}, not {given}");
        return Some((name.to_owned(), Report::new(words)));
    }
    let of_types = message.contains("failed to match any signature")
        || message.contains("failed. No function matches")
        || message.contains(", but received ");
    let given = between(message, &format!("argument types '{name}("), ")'")
        .or_else(|| between(message, "(DataType: ", ")"))
        .filter(|given| of_types && !given.is_empty())?;
    let mut kinds = Vec::new();
    let mut depth = 0;
    for kind in given.split(", ") {
        let opened = kind.matches('(').count();
        if depth == 0 {
            kinds.push(kind_in_words(kind));
        }
        depth = (depth + opened).saturating_sub(kind.matches(')').count());
    }
    let report = Report::new(format!("`{name}` does not take {}", kinds.join(" with ")));
    let hint = match kinds.as_slice() {
        ["a text"] => "make a number of it: `TRY_CAST(x AS DOUBLE)` is NULL of what is none",
        ["a date" | "a moment"] => {
            "take a part of it, `year(x)`, or the days between two: `date_diff('day', a, b)`"
        }
        _ => "make it another type first, such as `CAST(x AS DOUBLE)`",
    };
    Some((name.to_owned(), report.hint(hint)))
}

/// A type as people call it.
fn kind_in_words(kind: &str) -> &'static str {
    let word: String = kind
        .chars()
        .take_while(|c| c.is_ascii_alphabetic())
        .collect();
    match word.as_str() {
        "Utf" | "LargeUtf" => "a text",
        "Date" => "a date",
        "Timestamp" => "a moment",
        "Boolean" => "a truth value",
        "Interval" | "Duration" => "an interval",
        "List" | "LargeList" | "FixedSizeList" => "a list",
        "Struct" => "a record",
        "Null" => "NULL",
        _ => "a number",
    }
}

/// Whether a name ends as those of files do that can be made tables.
fn is_file(ending: &str) -> bool {
    ["csv", "parquet", "json"].contains(&ending.to_ascii_lowercase().as_str())
}

/// The first line of a message, and `Did you mean …` where the next has it.
fn first_line_and_hint(message: &str) -> (String, Option<String>) {
    let hint = message
        .find("Did you mean")
        .map(|at| first_line(&message[at..]));
    let text = message
        .find("Did you mean")
        .map_or(message, |at| message[..at].trim_end());
    (one_style(&first_line(text)), hint)
}

fn first_line(message: &str) -> String {
    let text = message.split("\n\nbacktrace:").next().unwrap_or(message);
    one_style(text.lines().next().unwrap_or_default())
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().collect::<String>() + letters.as_str()
    })
}

fn between<'m>(message: &'m str, before: &str, after: &str) -> Option<&'m str> {
    let start = message.find(before)? + before.len();
    let length = message[start..].find(after)?;
    Some(&message[start..start + length])
}

/// The nearest of some names, when it is near enough to be a slip of the finger.
fn closest<'n>(name: &str, names: &'n [String]) -> Option<&'n str> {
    let wanted = name.to_lowercase();
    names
        .iter()
        .map(|candidate| (levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.as_str())
}

/// Takes `at Line: 1, Column: 9` out of a message.
fn split_position(message: &str) -> (String, Option<Position>) {
    let Some(start) = message.rfind(" at Line: ") else {
        return (message.to_owned(), None);
    };
    let mut numbers = message[start..]
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .filter_map(|part| part.parse::<usize>().ok());
    let position = numbers
        .next()
        .zip(numbers.next())
        .map(|(line, column)| Position { line, column });
    match position {
        // Line 0 is how the parser says that the text ended.
        Some(at) if at.line > 0 => (message[..start].to_owned(), Some(at)),
        _ => (message[..start].to_owned(), None),
    }
}

/// Where a name stands in a statement: its first use as a word.
fn find_name(sql: &str, name: &str) -> Option<(Position, usize)> {
    let token = tokens(sql).into_iter().find(|token| match token.kind {
        Kind::Word => token.text(sql).eq_ignore_ascii_case(name),
        Kind::QuotedName => token.text(sql).trim_matches(['"', '`']) == name,
        _ => false,
    })?;
    Some((position(sql, token.start), token.text(sql).chars().count()))
}

/// The line and column of a byte of a statement.
fn position(sql: &str, byte: usize) -> Position {
    let script = super::script::Script {
        name: "",
        text: sql,
    };
    script.position(byte)
}

/// A message of the running query without values that it may have met in the data: what is in quotes and
/// every number goes, unless the statement itself has it.
fn redact(message: &str, sql: &str) -> String {
    let message = first_line(message);
    let mut text = message.clone();
    for quote in ['\'', '"', '`'] {
        // From the first quote to the last: a value may have quotes inside.
        if let (Some(first), Some(last)) = (text.find(quote), text.rfind(quote))
            && first < last
            && !sql.contains(&text[first + 1..last])
        {
            text.replace_range(first + 1..last, "…");
        }
    }
    let mut clean = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once('\n')) {
        if c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':') {
            word.push(c);
            continue;
        }
        let bare = word.trim_matches(['.', ':', '-']);
        if bare.starts_with(|c: char| c.is_ascii_digit()) && !sql.contains(bare) {
            clean.push_str(&word.replace(bare, "…"));
        } else {
            clean.push_str(&word);
        }
        word.clear();
        clean.push(c);
    }
    one_style(&clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_the_data_never_appear() {
        let sql = "SELECT CAST(x AS INT) + 7 FROM t";
        for (message, clean) in [
            (
                "Cast error: Cannot cast string '김철수' to value of Int32 type",
                "Cast error: Cannot cast string '…' to value of Int32 type",
            ),
            (
                "Cannot cast string 'O'Brien' to Int32",
                "Cannot cast string '…' to Int32",
            ),
            (
                "Can't cast value 9000000000 to type Int32",
                "Can't cast value 9000000000 to type Int32",
            ),
            (
                "Overflow happened on: 9223372036854775807 + 7",
                "Overflow happened on: … + 7",
            ),
            ("error parsing 2020-13-45T00:00", "error parsing …"),
            ("Divide by zero error", "Divide by zero error"),
        ] {
            let sql = if clean.contains("9000000000") {
                "SELECT 9000000000"
            } else {
                sql
            };
            assert_eq!(redact(message, sql), clean);
        }
    }

    #[test]
    fn what_the_parser_made_of_a_text_is_not_shown() {
        let tree = r#"Unsupported ast node in sqltorel: Collate { expr: Identifier(Ident { value: "x" }) }"#;
        assert_eq!(without_tree(tree), "an expression of the kind Collate");
        assert_eq!(without_tree("ALTER TABLE"), "ALTER TABLE");
    }

    #[test]
    fn positions_are_taken_out_of_messages() {
        let at = Position { line: 2, column: 9 };
        assert_eq!(
            split_position("expected: x, found: y at Line: 2, Column: 9"),
            ("expected: x, found: y".into(), Some(at))
        );
        assert_eq!(split_position("no position"), ("no position".into(), None));
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["person".to_owned(), "visit_occurrence".to_owned()];
        assert_eq!(closest("persn", &names), Some("person"));
        assert_eq!(closest("Visit_Occurence", &names), Some("visit_occurrence"));
        assert_eq!(closest("drug", &names), None);
    }

    #[test]
    fn an_argument_that_is_wrong_is_named_without_the_planners_frame() {
        let message = "Execution error: Function 'kaplan_meier' user-defined coercion failed with: Error during \
                       planning: `time` of `kaplan_meier` is Date32; give days as a number. No function matches the \
                       given name and argument types 'kaplan_meier(Date32, Int64)'.";
        let (report, name) = plan(message, &[]);
        assert_eq!(
            report.message,
            "`time` of `kaplan_meier` is Date32; give days as a number"
        );
        assert_eq!(name.as_deref(), Some("kaplan_meier"));
    }

    #[test]
    fn options_are_written_with_arrows() {
        for (sql, option) in [
            ("SELECT cox_ph(t, e, x, ties='breslow') FROM d", true),
            ("SELECT cox_ph(t, e, x,\n ties = 'breslow') FROM d", true),
            ("SELECT cox_ph(t, e, x, ties => 'breslow') FROM d", false),
            ("SELECT a, ties = 2 FROM d", false),
            ("SELECT f(ties) FROM d WHERE ties = 2", false),
        ] {
            assert_eq!(is_set_with_equals(sql, "ties"), option, "{sql}");
        }
    }

    #[test]
    fn a_file_is_no_table_and_the_hint_makes_it_one() {
        let (report, _) = plan("table 'lake.public.data/a.csv' not found", &[]);
        assert_eq!(report.message, "a query reads tables, and this is a file");
        let hint = report.hint.unwrap_or_default();
        assert!(hint.contains("STORED AS CSV"), "{hint}");
    }
}
