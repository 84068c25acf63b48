//! A private folder for what does not fit in memory, removed with the session.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use crate::{Error, Result};

/// The folders of this process's sessions.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes what sessions of this process have spilled, also where a thread still computes for a query that nobody waits
/// for: for the end of the process, which that thread does not live to see.
pub fn remove_spilled() {
    for folder in FOLDERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain(..)
    {
        // One whose session has ended is gone.
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The folder. Spilled rows are patients' rows: nobody else may read them, and none stay behind.
#[derive(Debug)]
pub(crate) struct SpillFolder {
    folder: TempDir,
}

impl SpillFolder {
    /// Makes the folder inside `parent`, or inside the system's folder for temporary files.
    pub(crate) fn new(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let mut builder = tempfile::Builder::new();
        builder.prefix("columna-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o700));
        }
        let folder = builder.tempdir_in(&parent).map_err(|source| Error::Spill {
            folder: parent,
            source,
        })?;
        FOLDERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(folder.path().to_path_buf());
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        FOLDERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|folder| folder != self.folder.path());
    }
}
