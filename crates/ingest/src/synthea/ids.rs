//! Keys of the source, and the numbers they get in the store.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A key of the source in sixteen bytes: a UUID as it is, any other text by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// The key of a cell; `None` for an empty one.
    pub(super) fn of(cell: &[u8]) -> Option<Self> {
        let cell = cell.trim_ascii();
        if cell.is_empty() {
            return None;
        }
        Some(uuid(cell).map_or_else(|| Self::hashed(cell), Self))
    }

    fn hashed(cell: &[u8]) -> Self {
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(blake3::hash(cell).as_bytes()) {
            *to = *from;
        }
        Self(key)
    }
}

/// The sixteen bytes of `8-4-4-4-12` hexadecimal digits.
fn uuid(cell: &[u8]) -> Option<[u8; 16]> {
    let hyphens = [8, 13, 18, 23];
    if cell.len() != 36 || hyphens.iter().any(|at| cell[*at] != b'-') {
        return None;
    }
    let mut bytes = [0; 16];
    let mut digits = cell
        .iter()
        .enumerate()
        .filter(|(at, _)| !hyphens.contains(at));
    for byte in &mut bytes {
        *byte = (nibble(*digits.next()?.1)? << 4) | nibble(*digits.next()?.1)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Hashes a [`Key`] by folding it: its bytes are random or a hash already.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for half in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..half.len()].copy_from_slice(half);
            // An odd multiplier (2^64 divided by the golden ratio) spreads keys that count up by one.
            self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length of a fixed array says nothing.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map by keys of the source.
pub(super) type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<Folded>>;

/// Numbers of one kind of thing: those of the store, and behind them new ones in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Ids {
    numbers: KeyMap<i64>,
    highest: i64,
    stored: i64,
}

impl Ids {
    /// A thing that the store has.
    pub(super) fn known(&mut self, cell: &[u8], id: i64) {
        if let Some(key) = Key::of(cell) {
            self.numbers.insert(key, id);
        }
        self.at_least(id);
    }

    /// The store has numbers up to this one.
    pub(super) fn at_least(&mut self, highest: i64) {
        self.highest = self.highest.max(highest);
        self.stored = self.highest;
    }

    /// The number of a thing of this delivery, a new one where it has none; `None` for an empty cell.
    pub(super) fn assign(&mut self, cell: &[u8]) -> Option<i64> {
        let next = self.highest + 1;
        let id = *self.numbers.entry(Key::of(cell)?).or_insert(next);
        self.highest = self.highest.max(id);
        Some(id)
    }

    /// The number of a thing.
    pub(super) fn get(&self, cell: &[u8]) -> Option<i64> {
        self.numbers.get(&Key::of(cell)?).copied()
    }

    /// Whether a number was given by an earlier delivery.
    pub(super) fn is_stored(&self, id: i64) -> bool {
        id <= self.stored
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const ANN: &[u8] = b"3edac2e3-d223-6fae-d515-daf96ef6bc76";

    #[test]
    fn a_uuid_is_the_same_in_any_case_and_other_text_is_not() {
        assert_eq!(Key::of(ANN), Key::of(&ANN.to_ascii_uppercase()));
        assert_eq!(
            Key::of(ANN),
            Key::of(b" 3edac2e3-d223-6fae-d515-daf96ef6bc76 ")
        );
        assert_ne!(Key::of(b"patient-1"), Key::of(b"PATIENT-1"));
        assert_ne!(Key::of(b"1"), Key::of(b"2"));
        // As long as a UUID, with a letter that is no digit.
        assert_ne!(
            Key::of(b"3edac2e3-d223-6fae-d515-daf96ef6bc7g"),
            Key::of(ANN)
        );
        assert_eq!(Key::of(b" "), None);
    }

    #[test]
    fn numbers_go_on_behind_those_of_the_store() {
        let mut ids = Ids::default();
        ids.known(ANN, 7);
        ids.at_least(9);
        assert_eq!(ids.assign(b"b").unwrap(), 10);
        assert_eq!(ids.assign(ANN).unwrap(), 7);
        assert_eq!(ids.assign(b"c").unwrap(), 11);
        assert_eq!(ids.assign(b"b").unwrap(), 10);
        assert_eq!(ids.assign(b""), None);
        assert_eq!(ids.get(b"c"), Some(11));
        assert_eq!(ids.get(b"d"), None);
        assert!(ids.is_stored(7) && !ids.is_stored(10));
    }
}
