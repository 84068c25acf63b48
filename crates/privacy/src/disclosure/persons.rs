//! The persons behind a number, and what each of them contributes to it.

use std::collections::BTreeMap;

use roaring::{RoaringBitmap, RoaringTreemap};

/// Bytes of one person's entry, where something is measured.
const ENTRY: usize = 32;
/// The first byte of entries with and without a measure.
const COUNTS: u8 = 0;
const MEASURED: u8 = 1;

/// What one person contributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// The person.
    pub person: i64,
    /// Its rows.
    pub rows: u64,
    /// The sum of the measure over its rows.
    pub sum: f64,
    /// The sum of its squares.
    pub squares: f64,
}

/// The contributions of persons, in the order in which their rows came until they are asked for.
#[derive(Debug, Clone, Default)]
pub struct Persons {
    entries: Vec<Contribution>,
    /// So many entries are sorted and of distinct persons.
    merged: usize,
}

impl Persons {
    /// One row of a person.
    pub fn push(&mut self, person: i64, value: f64) {
        self.add(Contribution {
            person,
            rows: 1,
            sum: value,
            squares: value * value,
        });
    }

    fn add(&mut self, new: Contribution) {
        // Rows mostly come by person.
        if let Some(last) = self.entries.last_mut()
            && last.person == new.person
        {
            last.rows += new.rows;
            last.sum += new.sum;
            last.squares += new.squares;
            return;
        }
        self.entries.push(new);
        // Where they don't, entries of the same persons pile up.
        if self.entries.len() > 1024 && self.entries.len() > 4 * self.merged {
            self.merge();
        }
    }

    fn merge(&mut self) {
        if self.merged == self.entries.len() {
            return;
        }
        let sorted = self
            .entries
            .windows(2)
            .all(|pair| pair[0].person < pair[1].person);
        if !sorted {
            self.entries.sort_by_key(|entry| entry.person);
            self.entries.dedup_by(|next, kept| {
                let same = next.person == kept.person;
                if same {
                    kept.rows += next.rows;
                    kept.sum += next.sum;
                    kept.squares += next.squares;
                }
                same
            });
        }
        self.merged = self.entries.len();
    }

    /// All contributions, by person.
    pub fn contributions(&mut self) -> &[Contribution] {
        self.merge();
        &self.entries
    }

    /// Takes in those of another part of the data.
    pub fn extend(&mut self, bytes: &[u8]) {
        match bytes.split_first() {
            Some((&COUNTS, mut rest)) => {
                let mut person = 0_i64;
                while !rest.is_empty() {
                    let step = number(&mut rest);
                    let rows = number(&mut rest);
                    person = person.wrapping_add(signed(step));
                    self.add(Contribution {
                        person,
                        rows,
                        sum: 0.0,
                        squares: 0.0,
                    });
                }
            }
            Some((_, rest)) => {
                for entry in rest.chunks_exact(ENTRY) {
                    self.add(read(entry));
                }
            }
            None => {}
        }
    }

    /// As bytes, for another thread or machine. Where nothing is measured, persons in order take a few bytes each.
    pub fn bytes(&mut self) -> Vec<u8> {
        self.merge();
        let measured = self
            .entries
            .iter()
            .any(|entry| entry.sum != 0.0 || entry.squares != 0.0);
        if !measured {
            let mut bytes = Vec::with_capacity(1 + self.entries.len() * 4);
            bytes.push(COUNTS);
            let mut before = 0_i64;
            for entry in &self.entries {
                write(&mut bytes, unsigned(entry.person.wrapping_sub(before)));
                write(&mut bytes, entry.rows);
                before = entry.person;
            }
            return bytes;
        }
        let mut bytes = Vec::with_capacity(1 + self.entries.len() * ENTRY);
        bytes.push(MEASURED);
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.person.to_le_bytes());
            bytes.extend_from_slice(&entry.rows.to_le_bytes());
            bytes.extend_from_slice(&entry.sum.to_le_bytes());
            bytes.extend_from_slice(&entry.squares.to_le_bytes());
        }
        bytes
    }

    /// From [`Self::bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut persons = Self::default();
        persons.extend(bytes);
        persons.merge();
        persons
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.entries.capacity() * size_of::<Contribution>()
    }
}

/// Seven bits a byte, the lowest first.
fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        bytes.push(number.to_le_bytes()[0] | 128);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn number(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    let mut shift = 0;
    while let Some((first, rest)) = bytes.split_first() {
        *bytes = rest;
        if shift < 64 {
            number |= u64::from(first & 127) << shift;
        }
        shift += 7;
        if first & 128 == 0 {
            break;
        }
    }
    number
}

/// Small steps both ways as small numbers.
fn unsigned(step: i64) -> u64 {
    ((step << 1) ^ (step >> 63)).cast_unsigned()
}

fn signed(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn read(entry: &[u8]) -> Contribution {
    let part = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&entry[at..at + 8]);
        bytes
    };
    Contribution {
        person: i64::from_le_bytes(part(0)),
        rows: u64::from_le_bytes(part(8)),
        sum: f64::from_le_bytes(part(16)),
        squares: f64::from_le_bytes(part(24)),
    }
}

/// What tells two numbers' persons apart: each person with a mark of what it contributes. Two numbers whose
/// footprints differ in few persons give those persons away by subtraction.
///
/// The mark is the number of rows; the person's number is folded to 32 bits where it is larger. That can hide a
/// difference with a probability of 2⁻³² that nobody can steer, and keeps a million persons within some hundred
/// kilobytes.
#[must_use]
pub fn footprint(contributions: &[Contribution]) -> RoaringTreemap {
    // Persons come in order, so that those of one mark do too: nothing is sorted where numbers are small.
    let mut marks: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in contributions {
        let rows = u32::try_from(entry.rows)
            .unwrap_or(u32::MAX)
            .min((1 << 31) - 1);
        marks.entry(rows).or_default().push(folded(entry.person));
    }
    let bitmaps = marks.into_iter().map(|(rows, mut persons)| {
        if !persons.is_sorted() {
            persons.sort_unstable();
        }
        persons.dedup();
        // In order and each once, so that this cannot fail.
        let bitmap = RoaringBitmap::from_sorted_iter(persons).unwrap_or_default();
        (rows, bitmap)
    });
    RoaringTreemap::from_bitmaps(bitmaps)
}

/// How many persons tell two footprints apart.
#[must_use]
pub fn persons_between(a: &RoaringTreemap, b: &RoaringTreemap) -> u64 {
    let both = a.len() + b.len();
    let common = a.intersection_len(b);
    let differing = both - 2 * common;
    if differing == 0 {
        return 0;
    }
    // A person who is in both with another mark is in the difference twice.
    let mut persons: Vec<u32> = (a ^ b).iter().map(low).collect();
    persons.sort_unstable();
    persons.dedup();
    persons.len() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half of an element is the person"
)]
fn low(element: u64) -> u32 {
    element as u32
}

fn folded(person: i64) -> u32 {
    u32::try_from(person).unwrap_or_else(|_| {
        let hash = blake3::hash(&person.to_le_bytes());
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&hash.as_bytes()[..4]);
        u32::from_le_bytes(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(i64, f64)]) -> Persons {
        let mut persons = Persons::default();
        for (person, value) in rows {
            persons.push(*person, *value);
        }
        persons
    }

    #[test]
    fn rows_of_a_person_become_one_contribution_in_any_order() {
        let mut a = of(&[(1, 2.0), (2, 1.0), (1, 3.0)]);
        let mut b = of(&[(2, 1.0), (1, 3.0), (1, 2.0)]);
        assert_eq!(a.contributions(), b.contributions());
        assert_eq!(a.contributions().len(), 2);
        assert_eq!(a.contributions()[0].rows, 2);
        let bytes = a.bytes();
        let mut merged = Persons::from_bytes(&bytes);
        merged.extend(&bytes);
        assert_eq!(merged.contributions()[0].rows, 4);
    }

    #[test]
    fn persons_cross_threads_unchanged() {
        let extreme = [i64::MIN, -70_000, -1, 0, 1, 127, 128, 1 << 40, i64::MAX];
        for value in [0.0, 1.5] {
            let mut persons = Persons::default();
            for (at, person) in extreme.iter().enumerate() {
                for _ in 0..=at * 100 {
                    persons.push(*person, value);
                }
            }
            let mut again = Persons::from_bytes(&persons.bytes());
            assert_eq!(again.contributions(), persons.contributions());
            assert_eq!(again.contributions().len(), extreme.len());
        }
        assert!(
            Persons::from_bytes(&Persons::default().bytes())
                .contributions()
                .is_empty()
        );
        // A few bytes each, where nothing is measured.
        assert!(of(&[(1_000_000, 0.0), (1_000_001, 0.0)]).bytes().len() < 10);
    }

    #[test]
    fn many_unsorted_rows_stay_small() {
        let mut persons = Persons::default();
        for row in 0..100_000_i64 {
            persons.push(row * 7919 % 1000, 1.0);
        }
        assert!(persons.size() < 1_000_000);
        assert_eq!(persons.contributions().len(), 1000);
    }

    #[test]
    fn differences_are_counted_in_persons() {
        let print = |rows: &[(i64, f64)]| footprint(of(rows).contributions());
        let all = print(&[(1, 0.0), (2, 0.0), (3, 0.0), (-4, 0.0)]);
        assert_eq!(persons_between(&all, &all), 0);
        assert_eq!(
            persons_between(&all, &print(&[(1, 0.0), (2, 0.0), (3, 0.0)])),
            1
        );
        // The same persons, one of them with another row: one person tells them apart.
        let more = print(&[(1, 0.0), (2, 0.0), (2, 0.0), (3, 0.0), (-4, 0.0)]);
        assert_eq!(persons_between(&all, &more), 1);
    }
}
