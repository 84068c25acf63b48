//! Backslash commands: their table, which also drives help and completion, and their parser.

/// A backslash command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backslash {
    /// `\d`, `\d TABLE`.
    Describe(Option<String>),
    /// `\df`, `\df NAME`.
    Functions(Option<String>),
    /// `\timing`, `\timing on|off`.
    Timing(Option<bool>),
    /// `\o`, `\o FILE`.
    Output(Option<String>),
    /// `\i FILE`.
    Include(String),
    /// `\format`, `\format FORMAT`.
    Format(Option<String>),
    /// `\watch`, `\watch SECONDS`.
    Watch(u64),
    /// `\explain`, `\explain SQL`.
    Explain(Option<String>),
    /// `\set`, `\set NAME`, `\set NAME VALUE`.
    Set(Option<String>, Option<String>),
    /// `\unset NAME`.
    Unset(String),
    /// `\q`.
    Quit,
    /// `\?`.
    Help,
}

/// One line of help.
#[derive(Debug)]
pub(crate) struct Help {
    /// The command, with its backslash.
    pub(crate) name: &'static str,
    /// Its arguments.
    pub(crate) arguments: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
}

/// All commands, in the order of help.
pub(crate) const COMMANDS: [Help; 13] = [
    Help {
        name: "\\d",
        arguments: "[TABLE]",
        about: "the tables, or the columns of one",
    },
    Help {
        name: "\\df",
        arguments: "[NAME]",
        about: "the functions of Columna, or all about one function",
    },
    Help {
        name: "\\explain",
        arguments: "[SQL]",
        about: "how a query, or the last one, would run",
    },
    Help {
        name: "\\format",
        arguments: "[FORMAT]",
        about: "how results are printed: table, csv, tsv, json, ndjson, markdown, parquet, arrow",
    },
    Help {
        name: "\\i",
        arguments: "FILE",
        about: "run the statements of a file",
    },
    Help {
        name: "\\o",
        arguments: "[FILE]",
        about: "write results to a file, or to the screen again",
    },
    Help {
        name: "\\q",
        arguments: "",
        about: "leave (also Ctrl-D)",
    },
    Help {
        name: "\\set",
        arguments: "[NAME [VALUE]]",
        about: "give `$NAME` a value, or show the values",
    },
    Help {
        name: "\\timing",
        arguments: "[on|off]",
        about: "show how long statements take, or not",
    },
    Help {
        name: "\\unset",
        arguments: "NAME",
        about: "take the value of `$NAME` away",
    },
    Help {
        name: "\\watch",
        arguments: "[SECONDS]",
        about: "run the last query again and again, until Ctrl-C",
    },
    Help {
        name: "\\h",
        arguments: "",
        about: "this help",
    },
    Help {
        name: "\\?",
        arguments: "",
        about: "this help",
    },
];

/// Parses a backslash command; the error says what to write.
pub(crate) fn parse(line: &str) -> Result<Backslash, String> {
    let line = line.trim();
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    // People end commands with `;` as they end statements.
    let name = name.trim_end_matches(';');
    let text = rest.trim().trim_end_matches(';').trim_end();
    let rest = (!text.is_empty()).then_some(text);
    let owned = rest.map(|text| unquoted(text).to_owned());
    let needed = |argument: &str| {
        owned
            .clone()
            .ok_or_else(|| format!("`{name}` needs {argument}"))
    };
    Ok(match name {
        "\\d" | "\\dt" | "\\d+" => Backslash::Describe(owned),
        "\\df" => Backslash::Functions(owned),
        "\\timing" => Backslash::Timing(match rest {
            None => None,
            Some("on") => Some(true),
            Some("off") => Some(false),
            Some(_) => return Err("`\\timing` takes `on` or `off`".into()),
        }),
        "\\o" => Backslash::Output(owned),
        "\\i" => Backslash::Include(needed("a file, such as `\\i report.sql`")?),
        "\\format" => Backslash::Format(owned),
        "\\watch" => Backslash::Watch(match rest {
            None => 2,
            Some(text) => match text.parse() {
                Ok(seconds @ 1..=86_400) => seconds,
                _ => return Err("`\\watch` takes a number of seconds, such as `\\watch 5`".into()),
            },
        }),
        "\\explain" => Backslash::Explain(rest.map(str::to_owned)),
        "\\set" => {
            let (name, value) = match rest {
                None => (None, None),
                Some(text) => match text.split_once(char::is_whitespace) {
                    None => (Some(text.to_owned()), None),
                    Some((name, value)) => (Some(name.to_owned()), Some(value.trim().to_owned())),
                },
            };
            if let Some(name) = &name
                && !crate::args::is_variable_name(name)
            {
                return Err(format!(
                    "`{name}` is not a name; use letters, digits and `_`"
                ));
            }
            Backslash::Set(name, value)
        }
        "\\unset" => Backslash::Unset(needed("a name, such as `\\unset since`")?),
        "\\q" | "\\quit" | "\\exit" => Backslash::Quit,
        "\\?" | "\\h" | "\\help" => Backslash::Help,
        other => return Err(format!("no command `{other}`; `\\?` lists the commands")),
    })
}

fn unquoted(text: &str) -> &str {
    ['\'', '"']
        .iter()
        .find_map(|&quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

/// The help text.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Statements end with `;`. A result goes to the screen unless \\o names a file.\n\n",
    );
    let width = COMMANDS
        .iter()
        .map(|help| help.name.len() + help.arguments.len() + 1)
        .max()
        .unwrap_or(0);
    for help in &COMMANDS {
        let usage = format!("{} {}", help.name, help.arguments);
        text.push_str(&format!("  {usage:width$}  {}\n", help.about));
    }
    text.push_str(
        "\nTab completes; Ctrl-C cancels a query or clears the line; Ctrl-R searches the history.\n\
         A line that begins with a space is not remembered.\n",
    );
    text
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_arguments() {
        assert_eq!(parse("\\d"), Ok(Backslash::Describe(None)));
        assert_eq!(
            parse("\\d person;"),
            Ok(Backslash::Describe(Some("person".into())))
        );
        assert_eq!(parse("\\timing off"), Ok(Backslash::Timing(Some(false))));
        assert_eq!(
            parse("\\i 'my file.sql'"),
            Ok(Backslash::Include("my file.sql".into()))
        );
        assert_eq!(parse("\\watch"), Ok(Backslash::Watch(2)));
        assert_eq!(
            parse("\\set since 2020-01-01"),
            Ok(Backslash::Set(
                Some("since".into()),
                Some("2020-01-01".into())
            ))
        );
        assert_eq!(parse("\\q"), Ok(Backslash::Quit));
        assert_eq!(
            parse("\\explain SELECT 1;"),
            Ok(Backslash::Explain(Some("SELECT 1".into())))
        );
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for wrong in [
            "\\x",
            "\\i",
            "\\timing maybe",
            "\\watch 0",
            "\\set 1x 2",
            "\\unset",
        ] {
            let message = parse(wrong).expect_err(wrong);
            assert!(
                message.contains('`') && !message.ends_with('.'),
                "{message}"
            );
        }
    }

    #[test]
    fn every_command_of_the_help_is_parsed() {
        for help in &COMMANDS {
            let line = match help.name {
                "\\i" | "\\unset" => format!("{} x", help.name),
                name => name.to_owned(),
            };
            assert!(parse(&line).is_ok(), "{line}");
        }
    }
}
