//! What went wrong, where, and what to do: one error type and one way to print it.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line does not make sense: exit code 2.
    #[error("{0}")]
    Usage(Box<Report>),
    /// The command was understood and failed: exit code 1.
    #[error("{0}")]
    Failed(Box<Report>),
    /// The command finished, and its answer is bad news that was already printed as data: exit code 1.
    #[error("problems were found")]
    Unsound,
    /// The user pressed Ctrl-C: exit code 130.
    #[error("interrupted")]
    Interrupted,
    /// Whoever read our output went away: quiet, and no failure of ours.
    #[error("the reader of the output went away")]
    BrokenPipe,
}

/// One message for people: what is wrong, where, why, and what to do.
#[derive(Debug, Default, Clone)]
pub(crate) struct Report {
    /// What is wrong.
    pub(crate) message: String,
    /// Where in a script, if the mistake is in one.
    pub(crate) place: Option<Place>,
    /// The chain of reasons, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The message has words of the text that could not be read: `found: heart`.
    pub(crate) quotes: bool,
}

/// A position in a script, with the line itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The script's name; empty in the interactive shell.
    pub(crate) script: String,
    /// Where the mistake is.
    pub(crate) at: Position,
    /// Where its statement starts.
    pub(crate) statement: Position,
    /// The text of the line at `at`.
    pub(crate) source: String,
    /// How many characters the mistake spans.
    pub(crate) width: usize,
}

/// A line and a column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
}

impl Place {
    fn name(&self, at: Position) -> String {
        if self.script.is_empty() {
            format!("line {}, column {}", at.line, at.column)
        } else {
            format!("{}:{}:{}", self.script, at.line, at.column)
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(place) = &self.place {
            write!(f, " ({})", place.name(place.at))?;
        }
        Ok(())
    }
}

impl Report {
    /// A report of one message.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks a message with words of a text that could not be read.
    pub(crate) fn quotes(mut self) -> Self {
        self.quotes = true;
        self
    }

    /// Without what it quotes of a file: whoever may not open the file learns at which place it is wrong, and no more.
    fn of_file(mut self) -> Self {
        if let Some(place) = &mut self.place {
            place.source.clear();
        }
        if std::mem::take(&mut self.quotes) {
            self.message = "syntax error".to_owned();
            self.causes.clear();
            self.hint = Some(
                "what a file says is not shown under a policy; give it on standard input, as in `columna sql ... < FILE`"
                    .to_owned(),
            );
        }
        self
    }

    /// Adds where in a script.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// An error with its chain of sources, each reason once.
    pub(crate) fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut report = Self::new(one_style(&error.to_string()));
        let mut source = error.source();
        while let Some(error) = source {
            let text = one_style(&error.to_string());
            // Many libraries repeat the cause in their own message: say each thing once.
            let said = report.message.contains(&text)
                || report.causes.iter().any(|cause| cause.contains(&text));
            if !said && !text.is_empty() {
                report.causes.push(text);
            }
            source = error.source();
        }
        report
    }
}

/// One style for messages from everywhere: no white space around, no full stop on a single sentence.
pub(crate) fn one_style(message: &str) -> String {
    let message = message.trim();
    match message.strip_suffix('.') {
        Some(sentence) if !sentence.contains(". ") && !sentence.ends_with('.') => {
            sentence.to_owned()
        }
        _ => message.to_owned(),
    }
}

impl CliError {
    /// The command failed: exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::report(Report::new(message))
    }

    /// The command failed, in these words: exit code 1.
    pub(crate) fn report(report: Report) -> Self {
        Self::Failed(Box::new(report))
    }

    /// The same about a file of which nothing may be quoted.
    pub(crate) fn of_file(self) -> Self {
        match self {
            Self::Failed(report) => Self::report(report.of_file()),
            other => other,
        }
    }

    /// The command line is wrong: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(Box::new(Report::new(message)))
    }

    /// Adds what to do, where the error has a report.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Usage(report) => Self::Usage(Box::new(report.hint(hint))),
            Self::Failed(report) => Self::report(report.hint(hint)),
            other => other,
        }
    }

    /// An engine's error with its reasons.
    pub(crate) fn engine(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::report(Report::from_error(error))
    }

    /// A failed file operation: what we were doing, and to which file.
    pub(crate) fn io(doing: &str, what: impl fmt::Display, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::BrokenPipe;
        }
        let mut report = Report::new(format!("cannot {doing} `{what}`"));
        report.causes.push(reason(error));
        Self::report(report)
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Unsound => 1,
            Self::Interrupted => 130,
            Self::BrokenPipe => 0,
        })
    }

    /// Prints the error for people, in colour where that is wanted.
    pub(crate) fn print(&self, out: &mut dyn Write, colour: bool) {
        let report = match self {
            Self::Usage(report) | Self::Failed(report) => report,
            Self::Interrupted => &Box::new(Report::new("interrupted")),
            Self::Unsound | Self::BrokenPipe => return,
        };
        // Standard error may be gone as well; there is nobody left to tell.
        let _ = print_report(report, out, colour);
    }
}

fn print_report(report: &Report, out: &mut dyn Write, colour: bool) -> io::Result<()> {
    let (red, blue, cyan, off) = if colour {
        ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1;36m", "\x1b[0m")
    } else {
        ("", "", "", "")
    };
    writeln!(out, "{red}error:{off} {}", report.message)?;
    for cause in &report.causes {
        writeln!(out, "  {red}because:{off} {cause}")?;
    }
    if let Some(place) = &report.place {
        let number = place.at.line.to_string();
        let pad = " ".repeat(number.len());
        write!(out, "{pad} {blue}-->{off} {}", place.name(place.at))?;
        if place.statement == place.at {
            writeln!(out)?;
        } else {
            writeln!(
                out,
                " (its statement starts at {})",
                place.name(place.statement)
            )?;
        }
        if place.source.is_empty() {
            return print_hint(report, out, (cyan, off));
        }
        let source = place.source.replace('\t', " ");
        writeln!(out, "{pad} {blue}|{off}")?;
        writeln!(out, "{blue}{number} |{off} {source}")?;
        let before: String = source.chars().take(place.at.column - 1).collect();
        let indent = " ".repeat(unicode_width::UnicodeWidthStr::width(before.as_str()));
        writeln!(
            out,
            "{pad} {blue}|{off} {indent}{red}{}{off}",
            "^".repeat(place.width.max(1))
        )?;
    }
    print_hint(report, out, (cyan, off))
}

fn print_hint(report: &Report, out: &mut dyn Write, (colour, off): (&str, &str)) -> io::Result<()> {
    if let Some(hint) = &report.hint {
        writeln!(out, "{colour}hint:{off} {hint}")?;
    }
    Ok(())
}

/// An I/O error's own words, without Rust's `(os error 2)`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().collect::<String>() + letters.as_str()
    })
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::failed(format!("cannot write the output: {}", reason(&error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(error: &CliError) -> String {
        let mut out = Vec::new();
        error.print(&mut out, false);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_place_points_at_the_column() {
        let place = Place {
            script: "q.sql".into(),
            at: Position {
                line: 12,
                column: 8,
            },
            statement: Position {
                line: 11,
                column: 1,
            },
            source: "SELECT foo FROM person".into(),
            width: 3,
        };
        let report = Report::new("no column named `foo`")
            .at(place)
            .hint("look at `\\d person`");
        assert_eq!(
            printed(&CliError::report(report)),
            "error: no column named `foo`\n   --> q.sql:12:8 (its statement starts at q.sql:11:1)\n   |\n\
             12 | SELECT foo FROM person\n   |        ^^^\nhint: look at `\\d person`\n"
        );
    }

    #[test]
    fn each_reason_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read `a.csv`: {source}")]
        struct Outer {
            source: io::Error,
        }
        let report = Report::from_error(&Outer {
            source: io::Error::other("disk on fire."),
        });
        assert_eq!(report.message, "cannot read `a.csv`: disk on fire");
        assert_eq!(report.causes, Vec::<String>::new());
    }

    #[test]
    fn a_reader_that_went_away_is_quiet() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(printed(&error), "");
        assert_eq!(error.exit_code(), ExitCode::SUCCESS);
    }
}
