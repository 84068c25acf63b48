//! How one file is encrypted: its keys, what Parquet needs to write and read it, and the persons it says it holds.

use std::sync::Arc;

use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{FileKeys, KeyId, Secret};
use crate::manifest::FileEntry;
use crate::{Error, Result};

/// What the keys of a file are derived for.
const FOOTER: &str = "columna 2026-11 data file: footer and whole tables";
const COLUMNS: &str = "columna 2026-11 data file: columns";
const PERSONS: &str = "columna 2026-11 manifest: range of persons";

/// How a data file is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEncryption {
    /// Under which key.
    pub key: KeyId,
    /// The columns whose values are; all, where none are named. The footer always is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The smallest and largest person, encrypted, where the person's column is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persons: Option<String>,
}

impl FileEncryption {
    /// Whether a column's values are encrypted.
    #[must_use]
    pub fn covers(&self, column: &str) -> bool {
        self.columns.is_empty() || self.columns.iter().any(|c| c == column)
    }
}

/// The keys of one file.
pub(crate) struct FileKey {
    secret: Secret,
    path: String,
}

impl FileKey {
    pub(crate) fn new(key: &KeyId, keys: Option<&dyn FileKeys>, path: &str) -> Result<Self> {
        let secret = key.find(keys).map_err(|reason| Error::Key {
            what: format!("table `{}`", path.split('/').nth(1).unwrap_or(path)),
            key: key.to_string(),
            reason,
        })?;
        Ok(Self {
            secret,
            path: path.to_owned(),
        })
    }

    fn derive(&self, purpose: &str) -> Zeroizing<Vec<u8>> {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(&(self.secret.bytes.len() as u64).to_le_bytes());
        hasher.update(&self.secret.bytes);
        hasher.update(self.path.as_bytes());
        Zeroizing::new(hasher.finalize().as_bytes().to_vec())
    }

    /// What Parquet needs to write the file: these columns encrypted, or all.
    pub(crate) fn to_write(&self, columns: &[String]) -> Result<Arc<FileEncryptionProperties>> {
        let mut builder = FileEncryptionProperties::builder(self.derive(FOOTER).to_vec())
            .with_aad_prefix(self.path.clone().into_bytes());
        for column in columns {
            builder = builder.with_column_key(column, self.derive(COLUMNS).to_vec());
        }
        builder
            .build()
            .map_err(|_| Error::engine("the key of a file"))
    }

    /// What Parquet needs to read it.
    pub(crate) fn to_read(&self, columns: &[String]) -> Result<Arc<FileDecryptionProperties>> {
        let mut builder = FileDecryptionProperties::builder(self.derive(FOOTER).to_vec())
            .with_aad_prefix(self.path.clone().into_bytes());
        for column in columns {
            builder = builder.with_column_key(column, self.derive(COLUMNS).to_vec());
        }
        builder
            .build()
            .map_err(|_| Error::engine("the key of a file"))
    }

    fn cipher(&self) -> Result<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.derive(PERSONS))
            .map(LessSafeKey::new)
            .map_err(|_| Error::engine("the key of a manifest"))
    }
}

/// Moves the persons of a file, whose person key is encrypted, out of the manifest's sight.
pub(crate) fn seal(key: &FileKey, entry: &mut FileEntry) -> Result<()> {
    let (Some(min), Some(max)) = (entry.min_person, entry.max_person) else {
        return Ok(());
    };
    let Some(encryption) = &mut entry.encryption else {
        return Ok(());
    };
    let mut nonce = [0; NONCE_LEN];
    let random = SystemRandom::new().fill(&mut nonce);
    random.map_err(|_| Error::engine("the system gives no random numbers"))?;
    let mut text = [min.to_le_bytes(), max.to_le_bytes()].concat();
    key.cipher()?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(entry.path.as_bytes()),
            &mut text,
        )
        .map_err(|_| Error::engine("the persons of a file cannot be encrypted"))?;
    let sealed: String = nonce
        .iter()
        .chain(&text)
        .map(|b| format!("{b:02x}"))
        .collect();
    encryption.persons = Some(sealed);
    Ok(())
}

/// The persons of a file whose person key is encrypted.
pub(crate) fn unseal(key: &FileKey, path: &str, sealed: &str) -> Result<(i64, i64)> {
    let wrong = || Error::damaged(path, "its persons in the manifest cannot be decrypted");
    let byte = |at: usize| u8::from_str_radix(sealed.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..sealed.len()).step_by(2).map(byte).collect();
    let bytes = bytes.ok_or_else(wrong)?;
    let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
    let mut text = text.to_vec();
    let plain = key.cipher()?;
    let plain = plain
        .open_in_place(nonce, Aad::from(path.as_bytes()), &mut text)
        .map_err(|_| wrong())?;
    let number = |at: usize| {
        plain
            .get(at..at + 8)?
            .try_into()
            .ok()
            .map(i64::from_le_bytes)
    };
    number(0).zip(number(8)).ok_or_else(wrong)
}
