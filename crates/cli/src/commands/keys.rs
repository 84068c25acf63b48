//! The key source of this run: `--keys` of any command, or `COLUMNA_KEYS`.

use std::process::Command;
use std::sync::{Arc, OnceLock};

use columna_privacy::pseudonym::{KeySource, StoreKeys};
use columna_store::Store;

use crate::error::CliError;

/// What the command line says, once for the whole process: every store that a command opens may need it.
static SOURCE: OnceLock<KeySource> = OnceLock::new();
/// The same as it was written, for processes that this one starts.
static WRITTEN: OnceLock<String> = OnceLock::new();

/// Takes the key source from the command line.
pub(crate) fn set(source: Option<&str>) -> Result<(), CliError> {
    if let Some(source) = source {
        let parsed = source.parse::<KeySource>().map_err(CliError::usage)?;
        // Set once, by `main`.
        let _ = SOURCE.set(parsed);
        let _ = WRITTEN.set(source.to_owned());
    }
    Ok(())
}

/// The key source, if one was named.
pub(crate) fn source() -> Option<&'static KeySource> {
    SOURCE.get()
}

/// Hands the key source to another process of this program, where no list of processes shows it.
pub(crate) fn hand_to(command: &mut Command) {
    if let Some(written) = WRITTEN.get() {
        command.env("COLUMNA_KEYS", written);
    }
}

/// The keys of encrypted stores, if a source was named.
pub(crate) fn of_stores() -> Option<StoreKeys> {
    source().cloned().map(StoreKeys::new)
}

/// A store with the keys for its encrypted files.
pub(crate) fn unlocked(store: Store) -> Store {
    match of_stores() {
        Some(keys) => store.with_keys(Arc::new(keys)),
        None => store,
    }
}
