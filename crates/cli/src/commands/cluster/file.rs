//! The cluster's file: what its machines share.

use std::fs;
use std::path::{Path, PathBuf};

use columna_cluster::{SCHEDULER_PORT, Token, Trust};
use serde::{Deserialize, Serialize};

use crate::error::CliError;

/// The variable of the token. An argument would show it to everybody who lists processes.
pub(super) const TOKEN: &str = "COLUMNA_CLUSTER_TOKEN";

/// What stands in the file. Paths are relative to its folder.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterFile {
    /// Where the scheduler listens.
    pub(super) scheduler: Option<String>,
    /// The stores that it serves.
    #[serde(default)]
    pub(super) stores: Vec<String>,
    /// The policy of those that have none beside them.
    pub(super) policy: Option<PathBuf>,
    /// What roles and clients carry.
    pub(super) token: Option<String>,
    /// The certificate.
    pub(super) certificate: Option<PathBuf>,
    /// Its private key.
    pub(super) key: Option<PathBuf>,
}

impl ClusterFile {
    /// Reads it; none is an empty one.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, CliError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let failed = |error| CliError::io("read", path.display(), &error);
        let text = fs::read_to_string(path).map_err(failed)?;
        let mut file: Self = toml::from_str(&text).map_err(|error| {
            // What TOML shows of the line could be the token.
            CliError::usage(format!("{}: {}", path.display(), error.message()))
        })?;
        #[cfg(unix)]
        if file.token.is_some() {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(CliError::failed(format!(
                    "others than its owner may read `{}`, in which the token is",
                    path.display()
                ))
                .hint(format!("chmod 600 {}", path.display())));
            }
        }
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for path in [&mut file.policy, &mut file.certificate, &mut file.key]
            .into_iter()
            .flatten()
        {
            *path = folder.join(&path);
        }
        Ok(file)
    }

    /// The token and the certificate, with the key for roles. The environment's token wins over the file's.
    pub(super) fn trust(&self, role: bool) -> Result<Trust, CliError> {
        let given = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        let token = Token::new(given.as_deref().or(self.token.as_deref()))
            .map_err(|error| CliError::usage(format!("{TOKEN}: {error}")))?;
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| CliError::io("read", path.display(), &error))
        };
        let Some(certificate) = &self.certificate else {
            return Ok(Trust::local(token));
        };
        let key = self.key.as_ref().filter(|_| role).map(read).transpose()?;
        Trust::encrypted(token, &read(certificate)?, key.as_deref())
            .map_err(|error| CliError::engine(&error))
    }

    /// Where the scheduler is, as `HOST:PORT`.
    pub(super) fn address(&self) -> String {
        let given = self.scheduler.as_deref();
        given.map_or_else(|| format!("127.0.0.1:{SCHEDULER_PORT}"), ToOwned::to_owned)
    }
}
