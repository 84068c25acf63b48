//! The keys of a store: where they come from, and how one is known again without being shown.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What is hashed together with a key to tell keys apart. The hash says nothing about a key of 32 random bytes.
const CHECK: &str = "columna 2026-11 check of a store key";

/// Where a store's keys come from. The store never holds them.
pub trait FileKeys: fmt::Debug + Send + Sync {
    /// A key by its name: this version, or the newest.
    ///
    /// # Errors
    /// Says, for people, why there is none and how to give one.
    fn secret(&self, name: &str, version: Option<u32>) -> Result<Secret, String>;
}

/// A key, wiped when dropped.
pub struct Secret {
    /// Its version.
    pub version: u32,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(version {})", self.version)
    }
}

/// Which key something is encrypted under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyId {
    /// Its name in the key source.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// A hash by which the key itself is known again.
    pub check: String,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

impl KeyId {
    pub(super) fn of(name: &str, secret: &Secret) -> Self {
        let check = blake3::Hash::from_bytes(blake3::derive_key(CHECK, &secret.bytes)).to_hex();
        Self {
            name: name.to_owned(),
            version: secret.version,
            check: check.as_str()[..16].to_owned(),
        }
    }

    /// The key, once it is certain that it is this one.
    pub(super) fn find(&self, keys: Option<&dyn FileKeys>) -> Result<Secret, String> {
        let keys = keys.ok_or("no keys were given")?;
        let secret = keys.secret(&self.name, Some(self.version))?;
        if Self::of(&self.name, &secret) != *self {
            return Err(format!(
                "the key given under the name `{self}` is another one: it has to be the key that the files were written with"
            ));
        }
        Ok(secret)
    }
}
