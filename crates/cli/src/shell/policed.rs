//! Commands of the shell under a policy: which of them reach past the engine to files, and what goes on record.

use columna_privacy::{Gate, Refusal, Result};

use super::backslash::Backslash;

/// Lets a command in, or refuses it; both are on record where the command tells of the store.
pub(super) fn admit(
    gate: &Gate,
    command: &Backslash,
    tables: impl FnOnce() -> Vec<String>,
) -> Result<()> {
    if let Backslash::Describe(table) = command {
        // What is typed may be anything, a patient's name too: the names of tables are on record.
        let shown = table.as_ref().map(|table| {
            let name = table.trim_matches('"');
            tables()
                .into_iter()
                .find(|known| known == name)
                .unwrap_or_else(|| "?".to_owned())
        });
        return gate.answers(&shown.map_or("\\d".to_owned(), |name| format!("\\d {name}")));
    }
    if !gate.restricts() {
        return Ok(());
    }
    let (command, message, hint) = match command {
        Backslash::Output(Some(_)) => (
            "\\o ?",
            "this role writes no files from within the shell: they would be written as the account that the engine runs under",
            "redirect the output, as in `columna sql ... > FILE`",
        ),
        Backslash::Include(_) => (
            "\\i ?",
            "this role reads no files from within the shell: they would be read as the account that the engine runs under",
            "give the statements on standard input, as in `columna sql ... < FILE`",
        ),
        _ => return Ok(()),
    };
    gate.turn_away(command, Refusal::new("file", message, hint))
}
