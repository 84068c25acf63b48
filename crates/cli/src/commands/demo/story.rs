//! The voice of the demo: headings, paragraphs that fit the screen, commands and SQL.

use std::io::{Write, stdout};
use std::path::Path;

use crate::error::CliError;
use crate::settings::Settings;

/// Tells the demo on standard output.
#[derive(Debug)]
pub(crate) struct Story {
    width: usize,
    bold: &'static str,
    dim: &'static str,
    accent: &'static str,
    off: &'static str,
}

impl Story {
    /// A voice for this terminal.
    pub(crate) fn new(settings: &Settings) -> Self {
        let (bold, dim, accent, off) = if settings.colour_out {
            ("\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m")
        } else {
            ("", "", "", "")
        };
        Self {
            width: settings.screen().0.min(92),
            bold,
            dim,
            accent,
            off,
        }
    }

    /// What this is.
    pub(crate) fn intro(&mut self) -> Result<(), CliError> {
        let Self { bold, off, .. } = *self;
        self.text(&format!(
            "{bold}Columna{off}: from a hospital's files to an answered question"
        ))?;
        self.paragraph(
            "Everything below runs on this computer, on data made up for the purpose. Each step shows the \
             command or the SQL that does it, so that you can do it again on your own data.",
        )
    }

    /// A numbered heading.
    pub(crate) fn heading(&mut self, number: &str, title: &str) -> Result<(), CliError> {
        let Self { bold, off, .. } = *self;
        self.text(&format!("\n{bold}{number}. {title}{off}"))
    }

    /// Words, broken to fit.
    pub(crate) fn paragraph(&mut self, words: &str) -> Result<(), CliError> {
        self.text(&wrapped(words, self.width))?;
        self.text("")
    }

    /// A command line.
    pub(crate) fn command(&mut self, command: &str) -> Result<(), CliError> {
        let Self { accent, off, .. } = *self;
        self.text(&format!("  {accent}$ {command}{off}"))
    }

    /// SQL, as it is run.
    pub(crate) fn sql(&mut self, sql: &str) -> Result<(), CliError> {
        let Self { accent, off, .. } = *self;
        let lines: Vec<String> = sql
            .lines()
            .map(|line| format!("  {accent}{line}{off}"))
            .collect();
        self.text(&(lines.join("\n") + "\n"))
    }

    /// A question with its SQL.
    pub(crate) fn question(&mut self, title: &str, about: &str, sql: &str) -> Result<(), CliError> {
        let Self { bold, off, .. } = *self;
        self.text(&format!("{bold}{title}{off}"))?;
        if !about.is_empty() {
            self.text(&wrapped(about, self.width))?;
        }
        self.text("")?;
        self.sql(sql)
    }

    /// A line as it is.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), CliError> {
        self.text(line)
    }

    /// Text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CliError> {
        let mut out = stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// What to try next.
    pub(crate) fn next_steps(&mut self, dir: &Path, store: &Path) -> Result<(), CliError> {
        self.heading("7", "What to try next")?;
        let Self { dim, off, .. } = *self;
        let hospital = dir.join("hospital");
        for (command, about) in [
            (
                format!("columna sql --store {}", store.display()),
                "ask more: a shell with completion; \\? shows its commands",
            ),
            (
                format!("columna info --store {}", store.display()),
                "what the store holds",
            ),
            (
                format!(
                    "columna sql --store {} -c 'SELECT * FROM person LIMIT 5' --format csv",
                    store.display()
                ),
                "results in any format",
            ),
            (
                format!("cat {}", hospital.join("truth.json").display()),
                "what is true in this hospital",
            ),
            (
                "columna ingest YOUR-FILES --store YOUR-STORE".to_owned(),
                "your own OMOP tables, or Synthea's",
            ),
        ] {
            self.command(&command)?;
            self.text(&format!("      {dim}{about}{off}"))?;
        }
        self.text("")
    }
}

/// Breaks words into lines.
fn wrapped(words: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let last = lines.last_mut();
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn words_break_at_the_width() {
        assert_eq!(wrapped("one two three  four", 8), "one two\nthree\nfour");
    }
}
