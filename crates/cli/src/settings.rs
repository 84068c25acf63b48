//! What the environment says: terminals, colour, character set, pager, state folder.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::path::PathBuf;

use crate::args::ColourChoice;

/// The settings that every command shares.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Standard input is a terminal.
    pub(crate) stdin_terminal: bool,
    /// Standard output is a terminal.
    pub(crate) stdout_terminal: bool,
    /// Standard error is a terminal.
    pub(crate) stderr_terminal: bool,
    /// Colour on standard output.
    pub(crate) colour_out: bool,
    /// Colour on standard error.
    pub(crate) colour_err: bool,
    /// The locale's character set is UTF-8.
    pub(crate) utf8: bool,
    /// No progress on standard error, even on a terminal.
    pub(crate) quiet: bool,
}

impl Settings {
    /// Reads the environment once, at the start.
    pub(crate) fn detect(colour: ColourChoice, quiet: bool) -> Self {
        let stdout_terminal = stdout().is_terminal();
        let stderr_terminal = stderr().is_terminal();
        // NO_COLOR counts when it is set and not empty (no-color.org).
        let plain =
            variable("NO_COLOR").is_some() || variable("TERM").is_some_and(|term| term == "dumb");
        let wanted = |terminal: bool| match colour {
            ColourChoice::Auto => terminal && !plain,
            ColourChoice::Always => true,
            ColourChoice::Never => false,
        };
        Self {
            stdin_terminal: stdin().is_terminal(),
            stdout_terminal,
            stderr_terminal,
            colour_out: wanted(stdout_terminal),
            colour_err: wanted(stderr_terminal),
            utf8: utf8_locale(&["LC_ALL", "LC_CTYPE", "LANG"].map(variable)),
            quiet,
        }
    }

    /// Progress may be drawn on standard error.
    pub(crate) fn progress(&self) -> bool {
        self.stderr_terminal && !self.quiet
    }

    /// Columns and rows of the terminal; 80 × 24 where there is none.
    pub(crate) fn screen(&self) -> (usize, usize) {
        terminal_size::terminal_size().map_or((80, 24), |(width, height)| {
            (usize::from(width.0).max(20), usize::from(height.0).max(5))
        })
    }
}

/// A variable of the environment, where it is set and not empty.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The first of the locale's variables that is set decides.
fn utf8_locale(variables: &[Option<OsString>]) -> bool {
    variables.iter().flatten().next().is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.ends_with("utf-8") || locale.ends_with("utf8") || locale.contains(".utf-8@")
    })
}

/// The folder for what a user's programs remember: `$XDG_STATE_HOME/columna`, else `~/.local/state/columna`.
pub(crate) fn state_folder() -> Option<PathBuf> {
    variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/state")))
        .map(|folder| folder.join("columna"))
}

/// The pager and its arguments: `$PAGER`, else `less -SRFX` where it is installed. `PAGER=cat` and an
/// empty `PAGER` mean none.
pub(crate) fn pager() -> Option<Vec<String>> {
    match env::var("PAGER") {
        Ok(command) => {
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            (!words.is_empty() && words != ["cat"]).then_some(words)
        }
        Err(_) => on_path("less").then(|| vec!["less".to_owned(), "-SRFX".to_owned()]),
    }
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_decides() {
        let set = |text: &str| Some(OsString::from(text));
        assert!(utf8_locale(&[None, None, set("en_US.UTF-8")]));
        assert!(utf8_locale(&[set("C.utf8"), None, set("C")]));
        assert!(!utf8_locale(&[set("C"), None, set("en_US.UTF-8")]));
        assert!(!utf8_locale(&[None, None, None]));
    }
}
