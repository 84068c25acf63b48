//! Keeps one of each.

use std::collections::HashMap;
use std::hash::Hash;

use super::At;

/// A list in which equal things stand once.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    places: HashMap<T, At>,
    items: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            items: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    pub(crate) fn place(&mut self, item: T) -> At {
        if let Some(&at) = self.places.get(&item) {
            return at;
        }
        let at = self.items.len();
        self.items.push(item.clone());
        self.places.insert(item, at);
        at
    }

    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    pub(crate) fn into_items(self) -> Vec<T> {
        self.items
    }
}
