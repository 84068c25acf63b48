//! What is wrong in a policy file, with its line and column.

use std::fmt;
use std::ops::Range;

/// Whether a finding stops the policy from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The policy is not used.
    Error,
    /// The policy is used; somebody should look.
    Warning,
}

/// One finding in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stops the policy.
    pub severity: Severity,
    /// Line from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(
            f,
            "{}:{}: {severity}: {}",
            self.line, self.column, self.message
        )?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// A policy file that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// What the file is called.
    pub file: String,
    /// What is wrong in it, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policy `{}` cannot be used", self.file)?;
        for problem in &self.problems {
            write!(f, "\n  {}:{problem}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

/// Where the characters of a text stand.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text }
    }

    /// Line and column of a byte, both from 1.
    pub(crate) fn at(&self, byte: usize) -> (usize, usize) {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        let before = &self.text[..byte];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }
}

/// Collects findings while a file is read.
#[derive(Debug)]
pub(crate) struct Findings<'t> {
    lines: Lines<'t>,
    found: Vec<Problem>,
}

impl<'t> Findings<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            lines: Lines::new(text),
            found: Vec::new(),
        }
    }

    pub(crate) fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.add(Severity::Error, span, message.into(), None);
    }

    pub(crate) fn error_with(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Error, span, message.into(), Some(hint.into()));
    }

    pub(crate) fn warning(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.add(Severity::Warning, span, message.into(), None);
    }

    fn add(
        &mut self,
        severity: Severity,
        span: &Range<usize>,
        message: String,
        hint: Option<String>,
    ) {
        let (line, column) = self.lines.at(span.start);
        self.found.push(Problem {
            severity,
            line,
            column,
            message,
            hint,
        });
    }

    /// What was found, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        self.found
            .sort_by_key(|problem| (problem.line, problem.column));
        self.found
    }
}

/// The known name nearest to one that is not known, where it is near enough to be a slip.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = name.to_lowercase();
    known
        .map(|candidate| {
            let distance = datafusion::common::utils::datafusion_strsim::levenshtein(
                &wanted,
                &candidate.to_lowercase(),
            );
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance * 3 <= candidate.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_not_bytes() {
        let lines = Lines::new("가나\nab다x");
        assert_eq!(lines.at(0), (1, 1));
        assert_eq!(lines.at("가나\nab다".len()), (2, 4));
        assert_eq!(lines.at(1000), (2, 5));
    }

    #[test]
    fn slips_are_recognised() {
        let names = ["analyst", "aggregate"];
        assert_eq!(nearest("analist", names.into_iter()), Some("analyst"));
        assert_eq!(nearest("xyz", names.into_iter()), None);
    }
}
