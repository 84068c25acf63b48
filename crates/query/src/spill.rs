//! A private folder for what does not fit in memory, removed with the session.

use std::path::Path;

use tempfile::TempDir;

use crate::{Error, Result};

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
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}
