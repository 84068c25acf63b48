//! Columns of words as codes: each word is kept once, and looked up once per batch.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;

use super::sets::as_words;
use crate::functions::aggregate::adapter::parameters::is_set;

/// The words of a batch: the distinct ones, and which of them each row has.
pub(crate) struct BatchWords {
    levels: StringArray,
    codes: Vec<u32>,
    nulls: Option<NullBuffer>,
}

/// Up to this many distinct words, looking through all of them is faster than hashing.
const FEW: usize = 12;
const NONE: u32 = u32::MAX;

impl BatchWords {
    pub(super) fn read(array: &ArrayRef) -> Result<Self> {
        if let DataType::Dictionary(_, _) = array.data_type() {
            return Self::of_dictionary(array);
        }
        let words = if is_set(array.data_type()) {
            as_words(array)?
        } else {
            cast(array, &DataType::Utf8)?.as_string::<i32>().clone()
        };
        let mut levels: Vec<&str> = Vec::new();
        let mut known: HashMap<&str, u32> = HashMap::new();
        let mut codes = Vec::with_capacity(words.len());
        for row in 0..words.len() {
            if words.is_null(row) {
                codes.push(NONE);
                continue;
            }
            let word = words.value(row);
            let found = if levels.len() <= FEW {
                levels.iter().position(|level| *level == word)
            } else {
                known.get(word).map(|code| *code as usize)
            };
            let code = found.unwrap_or_else(|| {
                levels.push(word);
                if levels.len() == FEW + 1 {
                    known.extend(levels.iter().copied().zip(0..));
                } else if levels.len() > FEW {
                    known.insert(word, code(levels.len() - 1));
                }
                levels.len() - 1
            });
            codes.push(self::code(code));
        }
        Ok(Self {
            levels: StringArray::from(levels),
            codes,
            nulls: words.nulls().cloned(),
        })
    }

    fn of_dictionary(array: &ArrayRef) -> Result<Self> {
        let dictionary = array.as_any_dictionary();
        let keys = cast(dictionary.keys(), &DataType::Int64)?;
        let keys = keys.as_primitive::<Int64Type>();
        let values = cast(dictionary.values(), &DataType::Utf8)?;
        let codes = keys
            .iter()
            .map(|key| key.and_then(|key| u32::try_from(key).ok()).unwrap_or(NONE));
        Ok(Self {
            levels: values.as_string::<i32>().clone(),
            codes: codes.collect(),
            nulls: array.logical_nulls(),
        })
    }

    pub(super) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// The word of a row that counts.
    pub(super) fn word(&self, row: usize) -> &str {
        self.levels.value(self.codes[row] as usize)
    }
}

fn code(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NONE)
}

/// A column of words: the distinct ones in the order in which they came, and each row's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    levels: Vec<String>,
    known: HashMap<String, u32>,
    codes: Vec<u32>,
}

impl Words {
    fn code_of(&mut self, word: &str) -> u32 {
        if let Some(code) = self.known.get(word) {
            return *code;
        }
        let code = code(self.levels.len());
        self.levels.push(word.to_owned());
        self.known.insert(word.to_owned(), code);
        code
    }

    pub(super) fn push(&mut self, words: &BatchWords, row: usize) {
        let code = self.code_of(words.word(row));
        self.codes.push(code);
    }

    pub(super) fn extend(&mut self, words: &BatchWords, selected: impl Iterator<Item = usize>) {
        let mut translated = vec![NONE; words.levels.len()];
        for row in selected {
            let own = words.codes[row] as usize;
            if translated[own] == NONE {
                translated[own] = self.code_of(words.levels.value(own));
            }
            self.codes.push(translated[own]);
        }
    }

    /// Appends rows of another column with these levels.
    pub(super) fn merge<'l>(
        &mut self,
        levels: impl Iterator<Item = &'l str>,
        codes: impl Iterator<Item = usize>,
    ) -> Option<()> {
        let translated: Vec<u32> = levels.map(|level| self.code_of(level)).collect();
        for code in codes {
            self.codes.push(*translated.get(code)?);
        }
        Some(())
    }

    /// No rows, but these levels.
    pub(super) fn of_levels(levels: &[String]) -> Self {
        let mut words = Self::default();
        for level in levels {
            words.code_of(level);
        }
        words
    }

    /// Gives words the places that they have among `levels`; none if one of them is missing there.
    pub(super) fn number(&mut self, levels: &[String]) -> Option<()> {
        let mut numbered = Self::of_levels(levels);
        let places = self.levels.iter();
        let places = places.map(|level| numbered.known.get(level).copied());
        let places: Vec<u32> = places.collect::<Option<_>>()?;
        let codes = self.codes.iter().map(|code| places[*code as usize]);
        numbered.codes = codes.collect();
        *self = numbered;
        Some(())
    }

    pub(crate) fn levels(&self) -> &[String] {
        &self.levels
    }

    pub(crate) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The words in sort order, and each row's place among them.
    pub(crate) fn sorted_by<K: Ord>(&self, key: impl Fn(&str) -> K) -> (Vec<&str>, Vec<u32>) {
        let mut order: Vec<usize> = (0..self.levels.len()).collect();
        order.sort_by_cached_key(|level| key(&self.levels[*level]));
        let mut place = vec![0; order.len()];
        for (at, level) in order.iter().enumerate() {
            place[*level] = code(at);
        }
        let levels = order.iter().map(|level| self.levels[*level].as_str());
        let codes = self.codes.iter().map(|code| place[*code as usize]);
        (levels.collect(), codes.collect())
    }

    pub(super) fn heap_bytes(&self) -> usize {
        // A word is kept twice; 64 bytes for its places are near enough.
        let words: usize = self.levels.iter().map(|level| 2 * level.len() + 64).sum();
        words + 4 * self.codes.capacity()
    }
}
