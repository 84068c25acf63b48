//! Encryption at rest: what of a store is encrypted, and under which key.
//!
//! A data file has keys of its own, derived from the store's key and the file's path, so that no key encrypts
//! more than one file and no file can stand in another's place. What Parquet keeps beside the values is
//! encrypted with them: page headers, dictionaries, page indexes and, in the footer, statistics and names. The
//! writer of parquet 59 puts bloom filters into files in the clear, so that encrypted columns have none.

mod file;
mod keys;
mod scope;

use serde::{Deserialize, Serialize};

pub use file::FileEncryption;
pub(crate) use file::{FileKey, seal, unseal};
pub use keys::{FileKeys, KeyId, Secret};
pub(crate) use scope::Covered;

use crate::snapshot::Snapshot;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// What of a store is encrypted, kept in each of its snapshots: all later writes hold to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// The key that new files are written under.
    pub key: KeyId,
    /// What is encrypted, in the words that [`Encryption::new`] takes.
    pub parts: Vec<String>,
}

impl Encryption {
    /// Encrypts these parts of a store under a key: `all`; `persons`, which is all but vocabularies; a kind of
    /// tables such as `@clinical`; an identifier class such as `free_text`; a table; or `TABLE.COLUMN`.
    ///
    /// # Errors
    /// When there is no such key, or a part names nothing that the model or the snapshot has.
    pub fn new(
        parts: &[String],
        keys: &dyn FileKeys,
        key: &str,
        snapshot: Option<&Snapshot>,
    ) -> Result<Self> {
        let mut words: Vec<String> = parts.iter().map(|p| p.trim().to_lowercase()).collect();
        words.sort_unstable();
        words.dedup();
        if words.is_empty() {
            return Err(Error::EncryptionPart {
                part: String::new(),
                reason: scope::WORDS.to_owned(),
            });
        }
        for word in &words {
            scope::check(word, snapshot).map_err(|reason| Error::EncryptionPart {
                part: word.clone(),
                reason,
            })?;
        }
        let secret = keys.secret(key, None).map_err(|reason| Error::Key {
            what: "the store".to_owned(),
            key: key.to_owned(),
            reason,
        })?;
        Ok(Self {
            key: KeyId::of(key, &secret),
            parts: words,
        })
    }

    /// What of a table is encrypted.
    pub(crate) fn covers(&self, spec: &TableSpec) -> Covered {
        scope::of_table(&self.parts, spec)
    }
}
