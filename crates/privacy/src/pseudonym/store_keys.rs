//! The keys of encrypted stores, from the same source as those of pseudonyms.

use std::fmt;
use std::sync::OnceLock;

use columna_store::{FileKeys, Secret};
use zeroize::Zeroizing;

use super::keys::{KeySource, Keys};

/// Keys of encrypted stores, read from their source when the first one is needed.
pub struct StoreKeys {
    source: KeySource,
    loaded: OnceLock<Result<Keys, String>>,
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A command's arguments may hold a token.
        write!(f, "StoreKeys({})", self.source)
    }
}

impl StoreKeys {
    /// Keys from this source.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self {
            source,
            loaded: OnceLock::new(),
        }
    }
}

impl FileKeys for StoreKeys {
    fn secret(&self, name: &str, version: Option<u32>) -> Result<Secret, String> {
        let loaded = self
            .loaded
            .get_or_init(|| self.source.load().map_err(|error| error.to_string()));
        let keys = loaded.as_ref().map_err(Clone::clone)?;
        let version = version.or_else(|| keys.newest(name)).unwrap_or(1);
        let bytes = keys
            .get(name, Some(version))
            .map_err(|error| error.to_string())?;
        Ok(Secret {
            version,
            bytes: Zeroizing::new(bytes.to_vec()),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_for_writing_and_old_ones_for_reading() {
        let text = format!(
            "command:printf store/1=%s\\nstore/3=%s\\n {} {}",
            "01".repeat(32),
            "03".repeat(32)
        );
        let keys = StoreKeys::new(text.parse().unwrap());
        assert_eq!(keys.secret("store", None).unwrap().version, 3);
        assert_eq!(keys.secret("store", Some(1)).unwrap().bytes[..], [1; 32]);
        let missing = keys.secret("store", Some(2)).unwrap_err();
        assert!(missing.contains("`store/2`"), "{missing}");
        assert!(!format!("{keys:?}").contains("0101"));
    }
}
