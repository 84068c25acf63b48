//! Where budgets, releases and the like are kept: beside the store, for the steward's eyes alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of a store's private records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    folder: PathBuf,
}

/// Why there is no such folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store is not on this machine.
    #[error(
        "budgets and releases of `{0}` have no place on this machine; name a folder with `--state DIR` or COLUMNA_PRIVACY"
    )]
    Remote(String),
    /// The folder can't be used.
    #[error("cannot use `{}` for budgets and releases: {source}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl State {
    /// The folder that was named, or the one beside the store: `STORE.privacy`.
    ///
    /// # Errors
    ///
    /// When none was named and the store is elsewhere.
    pub fn of(store: &str, named: Option<&Path>) -> Result<Self, StateError> {
        if let Some(folder) = named {
            return Ok(Self {
                folder: folder.to_path_buf(),
            });
        }
        let path = match store.split_once("://") {
            None => store,
            Some(("file", path)) => path,
            Some(_) => return Err(StateError::Remote(store.to_owned())),
        };
        let path = path.trim_end_matches('/');
        Ok(Self {
            folder: PathBuf::from(format!("{path}.privacy")),
        })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The budget ledger's file.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.sqlite")
    }

    /// The file of what was released.
    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.folder.join("releases.sqlite")
    }

    /// The audit log's file.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.folder.join("audit.jsonl")
    }

    /// The policy that the store's sessions are under, where one is kept here.
    #[must_use]
    pub fn policy(&self) -> PathBuf {
        self.folder.join("policy.toml")
    }

    /// Names the data set: the name that was kept here, or `first`, which is kept from now on. No new snapshot and no
    /// new name of the store changes it.
    ///
    /// # Errors
    ///
    /// When the name can't be read or kept.
    pub fn dataset(&self, first: &str) -> Result<String, StateError> {
        let failed = |source| StateError::Io {
            folder: self.folder.clone(),
            source,
        };
        self.create().map_err(failed)?;
        let path = self.folder.join("dataset");
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        match options.open(&path) {
            Ok(mut file) => {
                file.write_all(first.as_bytes()).map_err(failed)?;
                file.sync_all().map_err(failed)?;
                Ok(first.to_owned())
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // Another process may be about to write it.
                for _ in 0..100 {
                    let name = fs::read_to_string(&path).map_err(failed)?;
                    if !name.is_empty() {
                        return Ok(name);
                    }
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                fs::write(&path, first).map_err(failed)?;
                Ok(first.to_owned())
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the folder, for its owner alone.
    pub(crate) fn create(&self) -> std::io::Result<()> {
        if self.folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn records_stand_beside_the_store() {
        let place = |store: &str| State::of(store, None).map(|state| state.folder);
        assert_eq!(
            place("data/store/").unwrap(),
            Path::new("data/store.privacy")
        );
        assert_eq!(
            place("file:///data/store").unwrap(),
            Path::new("/data/store.privacy")
        );
        assert!(place("s3://bucket/store").is_err());
        let named = State::of("s3://bucket/store", Some(Path::new("here"))).unwrap();
        assert_eq!(named.folder(), Path::new("here"));
    }

    #[test]
    fn a_data_set_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::of("", Some(&folder.path().join("s.privacy"))).unwrap();
        assert_eq!(state.dataset("first").unwrap(), "first");
        assert_eq!(state.dataset("later").unwrap(), "first");
    }
}
