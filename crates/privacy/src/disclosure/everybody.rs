//! The persons of several numbers, in a list.

use std::collections::HashMap;

use roaring::{RoaringBitmap, RoaringTreemap};

/// All persons of some numbers, each with a place in a list: its own number where these lie close together.
#[derive(Debug)]
pub(super) struct Everybody {
    pub(super) places: usize,
    ranks: Option<HashMap<u32, usize>>,
}

impl Everybody {
    pub(super) fn of<'a>(footprints: impl Iterator<Item = &'a RoaringTreemap>) -> Self {
        let mut all = RoaringBitmap::new();
        for (_, persons) in footprints.flat_map(|print| print.bitmaps()) {
            all |= persons;
        }
        let last = all.max().map_or(0, |last| last as usize + 1);
        if last <= 8 * usize::try_from(all.len()).unwrap_or(usize::MAX) {
            return Self {
                places: last,
                ranks: None,
            };
        }
        let ranks: HashMap<u32, usize> = all.iter().zip(0..).collect();
        Self {
            places: ranks.len(),
            ranks: Some(ranks),
        }
    }

    pub(super) fn place(&self, person: u32) -> usize {
        match &self.ranks {
            None => person as usize,
            Some(ranks) => ranks.get(&person).copied().unwrap_or(0),
        }
    }
}
