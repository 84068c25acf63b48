//! Persons of whom numbers are known, and which of them are nearly others.

use std::collections::BTreeMap;

use roaring::{RoaringBitmap, RoaringTreemap};

use super::follows::Part;
use super::persons::persons_between;
use super::rest::{Both, Common};
use super::sketch::Sketch;

/// A set of persons of which numbers are known.
#[derive(Debug)]
pub(super) struct KnownSet {
    /// Of the record, or of a group of this result: then it is negative.
    pub(super) id: i64,
    pub(super) print: RoaringTreemap,
    /// What they contribute, where it is the very measure that is asked for.
    pub(super) sketch: Option<Sketch>,
    /// The same as it counts.
    pub(super) held: Option<Sketch>,
    /// Who has common values.
    pub(super) common: Option<Common>,
    /// It is of the same columns as the numbers that are asked for, and not only of one of them.
    pub(super) same_columns: bool,
    /// Its rows, and its place among their groups, in the words of its query.
    pub(super) words: String,
    pub(super) place: String,
    /// Its persons alone, where they are counted.
    pub(super) people: RoaringBitmap,
    /// Its own number of persons was shown, and not only one of rows.
    pub(super) counted: bool,
}

impl KnownSet {
    pub(super) fn persons(&self) -> Set<'_> {
        Set {
            print: &self.print,
            sketch: self.sketch.as_ref(),
            common: self.common.as_ref(),
            words: &self.words,
            place: &self.place,
        }
    }
}

/// Persons, and what they contribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set<'a> {
    pub(super) print: &'a RoaringTreemap,
    pub(super) sketch: Option<&'a Sketch>,
    pub(super) common: Option<&'a Common>,
    pub(super) words: &'a str,
    pub(super) place: &'a str,
}

impl<'a> Set<'a> {
    /// By the words of their queries the two are of the same persons.
    fn is_by_words(self, other: Self) -> bool {
        !self.words.is_empty() && (self.words, self.place) == (other.words, other.place)
    }

    /// How many persons tell two sets apart.
    fn between(self, other: Self) -> u64 {
        let rows = persons_between(self.print, other.print);
        let values = self.sketch.zip(other.sketch);
        rows.max(values.map_or(0, |(this, other)| this.persons_between(other)))
    }

    /// How many tell them apart without those of one value who are in one alone; nothing where they are many anyway.
    fn without_one_value(self, other: Self, k: u64) -> Option<u64> {
        if self.common.is_none() && other.common.is_none() {
            return None;
        }
        let both = Both::of([(self.print, self.common), (other.print, other.common)], k)?;
        let [one, two] = &both.left_out;
        let values = self.sketch.zip(other.sketch).map_or(0, |(own, others)| {
            one.of_others(own).persons_between(&two.of_others(others))
        });
        Some(both.apart.max(values)).filter(|apart| *apart < k)
    }
}

/// A known set that is near.
pub(super) struct Near {
    pub(super) id: i64,
    pub(super) persons: u64,
    /// Only without those of one value who are in one alone.
    pub(super) padded: bool,
    pub(super) same_columns: bool,
    /// These are the same persons by the words of both queries.
    pub(super) by_words: bool,
}

/// The persons of numbers that are known.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) sets: Vec<KnownSet>,
    /// Their places, by how many persons they are.
    pub(super) by_size: BTreeMap<u64, Vec<usize>>,
}

impl Known {
    pub(super) fn add(&mut self, set: KnownSet) {
        let at = self.sets.len();
        self.by_size.entry(set.print.len()).or_default().push(at);
        self.sets.push(set);
    }

    /// The set of fewest other persons than these, whatever rows they have, of which a number of persons is known.
    pub(super) fn near_people(&self, people: &RoaringBitmap, k: u64) -> Option<(i64, u64)> {
        let few = usize::try_from(k).unwrap_or(usize::MAX);
        let may_be_near = |at: &usize| {
            let other = &self.sets[*at].people;
            people.iter().take(few).any(|person| other.contains(person))
        };
        let near = candidates(&self.by_size, people.len(), k)
            .filter(|at| self.sets[*at].counted)
            .filter(may_be_near)
            .map(|at| &self.sets[at])
            .map(|set| (set.id, (people ^ &set.people).len()))
            .filter(|(_, between)| *between < k);
        near.min_by_key(|(id, between)| (*between, *id < 0, id.abs()))
    }

    fn of(&self, id: i64) -> Option<&KnownSet> {
        self.sets.iter().find(|set| set.id == id)
    }

    /// What is counted in others that a number follows from; nothing where one of them is another measure.
    pub(super) fn parts(&self, from: &[(i64, f64)]) -> Option<Vec<Part<'_>>> {
        let part = |(id, factor): &(i64, f64)| {
            let set = self.of(*id)?;
            Some(Part {
                print: &set.print,
                held: set.held.as_ref()?,
                factor: *factor,
            })
        };
        from.iter().map(part).collect()
    }

    /// At least `few` persons contribute something else to a number than to those that it would follow from.
    pub(super) fn is_other_than(&self, set: Set<'_>, from: &[(i64, f64)], few: u64) -> bool {
        let of = |id: i64| self.of(id)?.sketch.as_ref();
        let from = from
            .iter()
            .map(|(id, factor)| Some((of(*id)?, *factor)))
            .collect::<Option<Vec<_>>>();
        let between = set
            .sketch
            .zip(from)
            .map(|(sketch, from)| sketch.persons_between(&Sketch::combined(&from)));
        between.is_some_and(|between| between >= few)
    }

    /// The sets that fewer than `k` persons tell apart from this one, with how many: earlier ones first.
    pub(super) fn near(&self, set: Set<'_>, k: u64) -> Vec<Near> {
        let of = |at: usize, persons: u64, padded: bool| Near {
            id: self.sets[at].id,
            persons,
            padded,
            same_columns: self.sets[at].same_columns,
            by_words: self.sets[at].persons().is_by_words(set),
        };
        let between = |at: usize| self.sets[at].persons().between(set);
        let mut near: Vec<Near> = candidates(&self.by_size, set.print.len(), k)
            .filter(|at| may_be_near(set.print, &self.sets[*at].print, k))
            .map(|at| of(at, between(at), false))
            .filter(|near| near.persons < k)
            .collect();
        // Who has one value may only make up for others who are few, or nobody: whether or not, nothing new is shown.
        let padded = (0..self.sets.len()).filter_map(|at| {
            let apart = self.sets[at].persons().without_one_value(set, k)?;
            (between(at) >= k).then(|| of(at, apart, true))
        });
        near.extend(padded);
        near.sort_unstable_by_key(|near| (near.id < 0, near.id.abs()));
        near
    }
}

/// Sets of about as many persons.
fn candidates<'a>(
    by_size: &'a BTreeMap<u64, Vec<usize>>,
    size: u64,
    k: u64,
) -> impl Iterator<Item = usize> + 'a {
    let range = size.saturating_sub(k - 1)..size + k;
    by_size.range(range).flat_map(|(_, sets)| sets).copied()
}

/// Of any k persons of a set, one so near has at least one.
pub(super) fn may_be_near(a: &RoaringTreemap, b: &RoaringTreemap, k: u64) -> bool {
    let few = usize::try_from(k).unwrap_or(usize::MAX);
    a.iter().take(few).any(|element| b.contains(element))
}
