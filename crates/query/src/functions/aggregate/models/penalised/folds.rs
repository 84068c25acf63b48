//! Which fold each row is in: as a column says, by what names its cluster, or dealt out by the rows' own values.
//!
//! None of the three depends on the order of the rows or on how they were partitioned.

use std::borrow::Cow;

use columna_stats::models::{deal_folds, fold_of_key};

use super::{CLUSTER, FOLD, PenaltyOptions};
use crate::functions::aggregate::adapter::{Kind, Label, ModelRows, Slot};

/// The fold of each row; none if the penalties are not compared. Rows are dealt out by `first`, the columns that each
/// fold shall have its share of, and then by all others.
pub(super) fn folds(kept: &ModelRows, options: &PenaltyOptions, first: &[&[f64]]) -> Vec<u32> {
    if !options.cross_validates() {
        return Vec::new();
    }
    if let Some(slot) = options.layout.slot(FOLD.name) {
        return places(kept, slot);
    }
    if let Some(slot) = options.layout.slot(CLUSTER.name) {
        let keys = keys(kept, slot);
        return keys.map(|key| fold_of_key(key, options.nfolds)).collect();
    }
    let words: Vec<Vec<f64>> = kept
        .words
        .iter()
        .map(|words| {
            let (_, codes) = words.sorted_by(|word| Label(word.to_owned()));
            codes.into_iter().map(f64::from).collect()
        })
        .collect();
    let numbers: Vec<Cow<'_, [f64]>> = kept.all_numbers().collect();
    let columns: Vec<&[f64]> = (first.iter().copied())
        .chain(numbers.iter().map(AsRef::as_ref))
        .chain(words.iter().map(Vec::as_slice))
        .collect();
    deal_folds(&columns, options.nfolds)
}

/// A number for each value of a column that names something; the same for the same value, wherever it lies.
fn keys(kept: &ModelRows, slot: Slot) -> Box<dyn Iterator<Item = u64> + '_> {
    if slot.kind != Kind::Word {
        return Box::new(kept.codes_of(Some(slot)).iter().copied());
    }
    let Some(words) = kept.words.get(slot.place) else {
        return Box::new(std::iter::empty());
    };
    let of_levels: Vec<u64> = words.levels().iter().map(|word| hash(word)).collect();
    let codes = words.codes().iter();
    Box::new(codes.map(move |code| of_levels[*code as usize]))
}

/// Each row's place among the distinct values.
fn places(kept: &ModelRows, slot: Slot) -> Vec<u32> {
    if slot.kind == Kind::Word {
        let words = kept.words.get(slot.place);
        return words.map_or_else(Vec::new, |words| {
            words.sorted_by(|word| Label(word.to_owned())).1
        });
    }
    let codes = kept.codes_of(Some(slot));
    let mut levels = codes.to_vec();
    levels.sort_unstable();
    levels.dedup();
    let place = |code: &u64| {
        let place = levels.binary_search(code).unwrap_or_default();
        u32::try_from(place).unwrap_or(u32::MAX)
    };
    codes.iter().map(place).collect()
}

/// FNV-1a, 64 bits: the same on every machine, as the fold of a word must be.
fn hash(word: &str) -> u64 {
    word.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
