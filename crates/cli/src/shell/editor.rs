//! The line editor: when a statement is whole, what is coloured, what Tab offers.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use datafusion::prelude::SessionContext;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use tokio::runtime::Handle;

use crate::sql::catalogue;
use crate::sql::lexer::{Kind, tokens};
use crate::sql::script::is_complete;

use super::complete::{Names, Offer, complete};
use super::keywords::is_keyword;

/// Helps rustyline with SQL.
pub(crate) struct SqlHelper {
    names: SessionNames,
    /// None where the session is under a policy: which files there are is not for everybody.
    files: Option<FilenameCompleter>,
    colour: bool,
}

impl std::fmt::Debug for SqlHelper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlHelper")
            .field("colour", &self.colour)
            .finish_non_exhaustive()
    }
}

impl SqlHelper {
    /// A helper for a session.
    pub(crate) fn new(context: SessionContext, runtime: Handle, files: bool, colour: bool) -> Self {
        let names = SessionNames {
            context,
            runtime,
            columns: RefCell::default(),
        };
        Self {
            names,
            files: files.then(FilenameCompleter::new),
            colour,
        }
    }

    /// Forgets the columns that it has looked up: a statement may have changed them.
    pub(crate) fn forget(&self) {
        self.names.columns.borrow_mut().clear();
    }
}

/// The names of a session; columns are looked up when they are asked for.
struct SessionNames {
    context: SessionContext,
    runtime: Handle,
    columns: RefCell<HashMap<String, Vec<String>>>,
}

impl Names for SessionNames {
    fn tables(&self) -> Vec<String> {
        catalogue::tables(&self.context)
    }

    fn columns(&self, table: &str) -> Vec<String> {
        if let Some(columns) = self.columns.borrow().get(table) {
            return columns.clone();
        }
        let found = self
            .runtime
            .block_on(catalogue::columns(&self.context, table))
            .unwrap_or_default();
        let columns: Vec<String> = found.into_iter().map(|column| column.name).collect();
        self.columns
            .borrow_mut()
            .insert(table.to_owned(), columns.clone());
        columns
    }

    fn functions(&self) -> Vec<String> {
        catalogue::functions(&self.context)
    }
}

impl Helper for SqlHelper {}

impl Hinter for SqlHelper {
    type Hint = String;
}

impl Completer for SqlHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        match complete(line, pos, &self.names) {
            Offer::Files => match &self.files {
                Some(files) => files.complete_path(line, pos),
                None => Ok((pos, Vec::new())),
            },
            Offer::Names { start, names } => Ok((
                start,
                names
                    .into_iter()
                    .map(|name| Pair {
                        display: name.clone(),
                        replacement: name,
                    })
                    .collect(),
            )),
        }
    }
}

impl Validator for SqlHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_complete(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Highlighter for SqlHelper {
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        if !self.colour || line.trim_start().starts_with('\\') {
            return line.into();
        }
        let mut text = String::with_capacity(line.len() * 2);
        for token in tokens(line) {
            let colour = match token.kind {
                Kind::Word if is_keyword(token.text(line)) => "\x1b[34m",
                Kind::Text => "\x1b[32m",
                Kind::Number => "\x1b[36m",
                Kind::Parameter => "\x1b[35m",
                Kind::Comment => "\x1b[2m",
                _ => "",
            };
            text.push_str(colour);
            text.push_str(token.text(line));
            if !colour.is_empty() {
                text.push_str("\x1b[0m");
            }
        }
        text.into()
    }

    fn highlight_char(&self, _line: &str, _pos: usize, kind: CmdKind) -> bool {
        self.colour && kind != CmdKind::MoveCursor
    }
}
