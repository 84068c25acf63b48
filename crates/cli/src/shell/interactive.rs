//! The prompt.

use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Behavior, CompletionType, Config, Editor};

use crate::error::CliError;
use crate::sql::script::{Script, plain_word};

use super::editor::SqlHelper;
use super::history::History;
use super::session::{Flow, Session};

const PROMPT: &str = "columna> ";

/// Reads statements from the terminal and runs them, until `\q` or Ctrl-D.
pub(crate) fn run(session: &mut Session, history: &History) -> Result<(), CliError> {
    let lost = |error: ReadlineError| CliError::failed(format!("cannot use the terminal: {error}"));
    let mut editor =
        Editor::<SqlHelper, MemHistory>::with_history(config(session), MemHistory::new())
            .map_err(lost)?;
    // Entries arrive in order, and each replaces its older twin.
    editor.set_max_history_size(10_000).map_err(lost)?;
    for entry in history.load() {
        editor.add_history_entry(entry).map_err(lost)?;
    }
    editor.set_helper(Some(SqlHelper::new(
        session.engine.context.clone(),
        session.engine.runtime.handle().clone(),
        !session.engine.is_restricted(),
        session.settings.colour_err,
    )));
    let coloured = if session.settings.colour_err {
        format!("\x1b[1;32m{PROMPT}\x1b[0m")
    } else {
        PROMPT.into()
    };
    loop {
        match editor.readline(&(PROMPT, coloured.as_str())) {
            Ok(line) => {
                if !line.trim().is_empty() && !line.starts_with(' ') {
                    editor.add_history_entry(line.as_str()).map_err(lost)?;
                    history.remember(&line);
                }
                let text = plain_word(&line).unwrap_or(&line);
                match session.run_script(&Script { name: "", text }) {
                    Ok(Flow::Continue) => {}
                    Ok(Flow::Quit) => return Ok(()),
                    Err(CliError::Interrupted) if !crate::signals::is_ending() => {
                        session.say("cancelled")
                    }
                    Err(error @ CliError::Interrupted) => return Err(error),
                    // The pager was left before the end of the result.
                    Err(CliError::BrokenPipe) => {}
                    Err(error) => error.print(&mut std::io::stderr(), session.settings.colour_err),
                }
                if let Some(helper) = editor.helper() {
                    helper.forget();
                }
            }
            // Ctrl-C at the prompt clears what was typed.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(lost(error)),
        }
    }
}

fn config(session: &Session) -> Config {
    // With standard output in a file, the prompt still belongs on the terminal.
    let behavior = if session.settings.stdout_terminal {
        Behavior::Stdio
    } else {
        Behavior::PreferTerm
    };
    Config::builder()
        .completion_type(CompletionType::List)
        .completion_prompt_limit(200)
        .history_ignore_space(true)
        .behavior(behavior)
        .build()
}
