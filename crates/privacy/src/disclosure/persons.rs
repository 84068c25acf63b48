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

impl Contribution {
    /// Of one row.
    pub(crate) fn of(person: i64, value: f64) -> Self {
        Self {
            person,
            rows: 1,
            sum: value,
            squares: value * value,
        }
    }
}

/// The contributions of persons, in the order in which their rows came until they are asked for.
///
/// Rows that are only counted mostly come by person: they are kept as they cross threads, in a few bytes for each person. What
/// is measured is kept as it is shown.
#[derive(Debug, Clone, Default)]
pub struct Persons {
    counts: Counts,
    entries: Vec<Contribution>,
    /// So many entries are sorted and of distinct persons.
    merged: usize,
}

/// Counted rows of persons, each as the step from the person before and the number of its rows.
#[derive(Debug, Clone, Default)]
struct Counts {
    bytes: Vec<u8>,
    before: i64,
    /// The last person, who may have more rows.
    last: Option<(i64, u64)>,
    /// Somebody came after a person with a higher number, and may be there twice.
    mixed: bool,
    /// So many bytes held each person once.
    merged: usize,
}

impl Counts {
    fn add(&mut self, person: i64, rows: u64) {
        match &mut self.last {
            Some((last, more)) if *last == person => *more += rows,
            last => {
                let before = last.replace((person, rows));
                if let Some((before, rows)) = before {
                    self.mixed |= person < before;
                    self.write(before, rows);
                }
            }
        }
    }

    fn write(&mut self, person: i64, rows: u64) {
        if self.bytes.is_empty() {
            self.bytes.push(COUNTS);
        }
        write(&mut self.bytes, unsigned(person.wrapping_sub(self.before)));
        write(&mut self.bytes, rows);
        self.before = person;
    }

    /// All of them as bytes; nothing is left.
    fn take(&mut self) -> Vec<u8> {
        if let Some((person, rows)) = self.last.take() {
            self.write(person, rows);
        }
        std::mem::take(self).bytes
    }

    /// Whether many entries are of persons who are there already.
    fn pile_up(&self) -> bool {
        self.mixed && self.bytes.len() > 4096 && self.bytes.len() > 4 * self.merged
    }
}

impl Persons {
    /// One row of a person.
    pub fn push(&mut self, person: i64, value: f64) {
        self.add(Contribution::of(person, value));
    }

    /// So many rows of a person, of which nothing is measured.
    pub fn push_rows(&mut self, person: i64, rows: u64) {
        self.add(Contribution {
            person,
            rows,
            sum: 0.0,
            squares: 0.0,
        });
    }

    fn add(&mut self, new: Contribution) {
        if self.entries.is_empty() && !is_measured(&new) {
            self.counts.add(new.person, new.rows);
            if self.counts.pile_up() {
                self.fold();
            }
            return;
        }
        self.unfold();
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

    /// What was counted, as entries.
    fn unfold(&mut self) {
        if self.counts.last.is_none() {
            return;
        }
        let bytes = self.counts.take();
        self.read_counts(bytes.get(1..).unwrap_or_default());
    }

    fn read_counts(&mut self, mut rest: &[u8]) {
        // Two numbers each, whose last bytes are below 128.
        let ends = rest.iter().filter(|byte| **byte < 128).count();
        self.entries.reserve_exact(ends / 2);
        let mut person = 0_i64;
        while !rest.is_empty() {
            let step = number(&mut rest);
            let rows = number(&mut rest);
            person = person.wrapping_add(signed(step));
            self.entries.push(Contribution {
                person,
                rows,
                sum: 0.0,
                squares: 0.0,
            });
        }
    }

    /// What was counted, with each person once.
    fn fold(&mut self) {
        self.unfold();
        self.merge();
        let entries = std::mem::take(&mut self.entries);
        self.merged = 0;
        for entry in &entries {
            self.counts.add(entry.person, entry.rows);
        }
        self.counts.merged = self.counts.bytes.len();
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
        self.unfold();
        self.merge();
        &self.entries
    }

    /// Takes in those of another part of the data.
    pub fn extend(&mut self, bytes: &[u8]) {
        match bytes.split_first() {
            Some((&COUNTS, rest)) => {
                let mut theirs = Self::default();
                theirs.read_counts(rest);
                for entry in theirs.entries {
                    self.add(entry);
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
        if self.entries.is_empty() && !self.counts.mixed {
            let mut bytes = self.counts.clone().take();
            if bytes.is_empty() {
                bytes.push(COUNTS);
            }
            return bytes;
        }
        self.unfold();
        self.merge();
        if !self.entries.iter().any(is_measured) {
            let mut counts = Counts::default();
            for entry in &self.entries {
                counts.add(entry.person, entry.rows);
            }
            return counts.take();
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
        match bytes.split_first() {
            Some((&COUNTS, rest)) => persons.read_counts(rest),
            _ => persons.extend(bytes),
        }
        persons.merge();
        persons
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.counts.bytes.capacity() + self.entries.capacity() * size_of::<Contribution>()
    }
}

fn is_measured(entry: &Contribution) -> bool {
    entry.sum != 0.0 || entry.squares != 0.0
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
        // Below the prime that `span` computes with, for which so many rows would be none.
        let rows = u32::try_from(entry.rows)
            .unwrap_or(u32::MAX)
            .min((1 << 31) - 2);
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

/// The persons of a footprint, whatever they contribute.
#[must_use]
pub fn people(print: &RoaringTreemap) -> RoaringBitmap {
    let mut people = RoaringBitmap::new();
    for (_, bitmap) in print.bitmaps() {
        people |= bitmap;
    }
    people
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
pub(super) fn low(element: u64) -> u32 {
    element as u32
}

pub(super) fn folded(person: i64) -> u32 {
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
    fn counted_rows_are_few_bytes_in_any_order() {
        let mut persons = Persons::default();
        for row in 0..100_000_i64 {
            persons.push(row * 7919 % 1000, 0.0);
        }
        assert!(persons.size() < 50_000);
        let mut again = persons.clone();
        // What is measured later is of the same persons.
        again.push(3, 0.5);
        let bytes = persons.bytes();
        assert_eq!(bytes, persons.bytes());
        let all = persons.contributions();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|entry| entry.rows == 100));
        let all = again.contributions();
        assert_eq!(all.len(), 1000);
        assert_eq!((all[3].rows, all[3].sum), (101, 0.5));
        // Parts in any order, one of which has some of the persons again.
        let part = |persons: &[i64]| {
            let rows: Vec<(i64, f64)> = persons.iter().map(|person| (*person, 0.0)).collect();
            of(&rows).bytes()
        };
        let mut joined = Persons::from_bytes(&part(&[7, 8]));
        joined.extend(&part(&[1, 2, 2]));
        let mut counted = Persons::default();
        for bytes in [part(&[7, 8]), part(&[1, 2, 2]), part(&[2, 9])] {
            counted.extend(&bytes);
        }
        let rows = |persons: &mut Persons| -> Vec<(i64, u64)> {
            let all = persons.contributions().iter();
            all.map(|entry| (entry.person, entry.rows)).collect()
        };
        assert_eq!(rows(&mut joined), [(1, 1), (2, 2), (7, 1), (8, 1)]);
        let expected = [(1, 1), (2, 3), (7, 1), (8, 1), (9, 1)];
        assert_eq!(rows(&mut Persons::from_bytes(&counted.bytes())), expected);
        assert_eq!(rows(&mut counted), expected);
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
