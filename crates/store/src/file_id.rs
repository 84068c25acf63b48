//! Names that no two files ever share.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The characters of a name.
const LENGTH: usize = 24;

/// A new name: 96 bits from the system's random keys, the time, the process and a counter.
pub(crate) fn new() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&RandomState::new().hash_one(count).to_le_bytes());
    hasher.update(&RandomState::new().hash_one(now).to_le_bytes());
    hasher.update(&now.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.update(&count.to_le_bytes());
    hasher.finalize().to_hex()[..LENGTH].to_owned()
}

/// Whether a file's name is one of ours, with the given ending.
pub(crate) fn is_one(name: &str, ending: &str) -> bool {
    name.strip_suffix(ending)
        .is_some_and(|id| id.len() == LENGTH && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_are_known_again() {
        let names: std::collections::HashSet<String> = (0..10_000).map(|_| new()).collect();
        assert_eq!(names.len(), 10_000);
        assert!(is_one(&format!("{}.parquet", new()), ".parquet"));
        assert!(!is_one("other.parquet", ".parquet"));
    }
}
