//! Persons of whom numbers are known, and which of them are nearly others.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

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
    /// Its own number of rows was shown.
    pub(super) has_rows: bool,
    /// By rules that do not round.
    pub(super) exact: bool,
}

impl KnownSet {
    /// A number of it was shown.
    pub(super) fn is_shown(&self) -> bool {
        self.counted || self.has_rows
    }

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

    /// How many tell them apart without those of common values who are in one alone; nothing where they are many anyway.
    fn without_common(self, other: Self, k: u64) -> Option<u64> {
        let apart = |both: Both| {
            let [one, two] = &both.left_out;
            let values = self.sketch.zip(other.sketch).map_or(0, |(own, others)| {
                one.of_others(own).persons_between(&two.of_others(others))
            });
            both.apart.max(values)
        };
        let both = Both::of([(self.print, self.common), (other.print, other.common)], k);
        both.into_iter().map(apart).filter(|apart| *apart < k).min()
    }
}

/// A known set that is near.
pub(super) struct Near {
    pub(super) id: i64,
    pub(super) persons: u64,
    /// Only without those of common values who are in one alone.
    pub(super) padded: bool,
    pub(super) same_columns: bool,
    /// These are the same persons by the words of both queries.
    pub(super) by_words: bool,
    /// A number of them was shown.
    pub(super) shown: bool,
}

/// The persons of numbers that are known.
#[derive(Debug)]
pub(super) struct Known {
    sets: Vec<KnownSet>,
    /// The places of those with common values.
    with_common: Vec<usize>,
    /// Fewer persons, or rows of persons, than this tell near sets apart.
    k: u64,
    /// The places of the sets among whose first are these, and of those among whose first persons, where they are counted.
    by_first: HashMap<u64, Vec<usize>>,
    by_first_person: HashMap<u32, Vec<usize>>,
}

impl Known {
    pub(super) fn new(k: u64) -> Self {
        Self {
            sets: Vec::new(),
            with_common: Vec::new(),
            k,
            by_first: HashMap::new(),
            by_first_person: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, set: KnownSet) {
        let (at, few) = (self.sets.len(), few(self.k));
        for first in set.print.iter().take(few) {
            self.by_first.entry(first).or_default().push(at);
        }
        if set.counted || !set.is_shown() {
            for first in set.people.iter().take(few) {
                self.by_first_person.entry(first).or_default().push(at);
            }
        }
        if set.common.is_some() {
            self.with_common.push(at);
        }
        self.sets.push(set);
    }

    /// The sets that were added first.
    pub(super) fn first(&self, so_many: usize) -> &[KnownSet] {
        &self.sets[..so_many]
    }

    /// The first set of nearly these persons, whatever rows they have, of which a number of persons is known, with how many others they
    /// are; or nothing of it, where it is withheld, and within noise. Which of two is nearer, one person could decide.
    pub(super) fn near_people(
        &self,
        people: &RoaringBitmap,
        within_noise: u64,
    ) -> Option<(Option<i64>, u64)> {
        let between = |set: &KnownSet| {
            let near = people.len().abs_diff(set.people.len()) < self.k;
            near.then(|| (people ^ &set.people).len())
        };
        let near = candidates(&self.by_first_person, people.iter(), self.k)
            .into_iter()
            .map(|at| &self.sets[at])
            .filter_map(|set| Some((set, between(set)?)))
            .filter(|(set, between)| match set.is_shown() {
                true => *between < self.k,
                false => *between <= within_noise,
            });
        let first =
            near.min_by_key(|(set, between)| (*between > within_noise, set.id < 0, set.id.abs()));
        first.map(|(set, between)| (set.is_shown().then_some(set.id), between))
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
    pub(super) fn near(&self, set: Set<'_>) -> Vec<Near> {
        let k = self.k;
        let of = |at: usize, persons: u64, padded: bool| Near {
            id: self.sets[at].id,
            persons,
            padded,
            same_columns: self.sets[at].same_columns,
            by_words: self.sets[at].persons().is_by_words(set),
            shown: self.sets[at].is_shown(),
        };
        let between = |at: usize| self.sets[at].persons().between(set);
        let about = |at: &usize| set.print.len().abs_diff(self.sets[*at].print.len()) < k;
        let mut near: Vec<Near> = candidates(&self.by_first, set.print.iter(), k)
            .into_iter()
            .filter(about)
            .map(|at| of(at, between(at), false))
            .filter(|near| near.persons < k)
            .collect();
        // Who has common values may only make up for others who are few, or nobody: whether or not, nothing new is shown.
        let padded = |at: usize| {
            let apart = self.sets[at].persons().without_common(set, k)?;
            (between(at) >= k).then(|| of(at, apart, true))
        };
        match set.common {
            Some(_) => near.extend((0..self.sets.len()).filter_map(padded)),
            None => near.extend(self.with_common.iter().copied().filter_map(padded)),
        }
        near.sort_unstable_by_key(|near| (near.id < 0, near.id.abs()));
        near
    }
}

fn few(k: u64) -> usize {
    usize::try_from(k).unwrap_or(usize::MAX)
}

/// The sets that may be near one of these elements. Fewer than `k` elements are in one of two near sets alone: the first that both
/// have is among the first `k` of each.
fn candidates<T: Eq + Hash>(
    by_first: &HashMap<T, Vec<usize>>,
    elements: impl Iterator<Item = T>,
    k: u64,
) -> BTreeSet<usize> {
    let firsts = elements.take(few(k));
    firsts
        .filter_map(|first| by_first.get(&first))
        .flatten()
        .copied()
        .collect()
}

/// Of any k persons of a set, one so near has at least one.
pub(super) fn may_be_near(a: &RoaringTreemap, b: &RoaringTreemap, k: u64) -> bool {
    a.iter().take(few(k)).any(|element| b.contains(element))
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: u64 = 5;

    /// Some of the first persons: those of a number, but for few, with few others.
    fn persons(of: u32) -> RoaringBitmap {
        let (group, other) = (of % 7, of / 7);
        let own = (0..60).filter(|person| person % 7 == group);
        let without = own.filter(|person| person / 7 != other % 9);
        without
            .chain((0..other % 4).map(|at| 60 + at * 7 + group))
            .collect()
    }

    fn set(id: i64, people: RoaringBitmap, counted: bool) -> KnownSet {
        KnownSet {
            id,
            print: people.iter().map(u64::from).collect(),
            sketch: None,
            held: None,
            common: None,
            same_columns: true,
            words: String::new(),
            place: String::new(),
            people,
            counted,
            has_rows: true,
            exact: true,
        }
    }

    #[test]
    fn what_is_near_is_found_wherever_sets_begin() {
        let mut known = Known::new(K);
        let sets: Vec<RoaringBitmap> = (0..200).map(persons).collect();
        for (id, people) in (1..).zip(&sets) {
            known.add(set(id, people.clone(), id % 3 != 0));
        }
        let mut found = 0;
        for asked in (0..300).map(persons) {
            let apart = (1..)
                .zip(&sets)
                .map(|(id, people)| (id, (people ^ &asked).len()));
            let apart: Vec<(i64, u64)> = apart.filter(|(_, between)| *between < K).collect();
            let asked = set(0, asked, false);
            let near = known.near(asked.persons());
            let near: Vec<(i64, u64)> = near.iter().map(|near| (near.id, near.persons)).collect();
            assert_eq!(near, apart);
            let counted = apart.iter().filter(|(id, _)| id % 3 != 0);
            let first = counted
                .min_by_key(|(id, between)| (*between > 0, *id))
                .copied();
            let found_people = known.near_people(&asked.people, 0);
            let found_people = found_people.map(|(id, between)| (id.unwrap_or_default(), between));
            assert_eq!(found_people, first);
            found += usize::from(first.is_some());
        }
        assert!(found > 100);
    }
}
