//! Differencing: which groups are nearly the same as one whose numbers are known.

use std::collections::BTreeMap;

use roaring::{RoaringBitmap, RoaringTreemap};
use rusqlite::params;

use super::Error;
use super::persons::{footprint, people, persons_between};
use super::releases::{Table, Work, decoded};
use super::rest::{Both, Common};
use super::several::Sums;
use super::sketch::Sketch;
use super::span::{Admitted, Span, Unit};

/// What was found of a group's persons.
#[derive(Debug)]
pub(super) enum Match {
    /// No earlier number is near: its own numbers are shown, or what is said of persons and of rows.
    New(RoaringTreemap, Shown),
    /// Exactly these persons.
    Same(i64),
    /// Nearly these persons: their numbers are shown.
    Near(i64),
    /// Too near to be shown beside them.
    TooNear,
    /// It is not safe by itself, or empty.
    Unsafe,
}

/// What is shown of a group's persons, and of their rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) persons: Source,
    pub(super) rows: Source,
}

/// Where a number comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    Own,
    /// It follows from others, each with its factor: from earlier ones, or groups of this result, which are negative.
    From(Vec<(i64, f64)>),
    Withheld,
}

impl Shown {
    const OWN: Self = Self {
        persons: Source::Own,
        rows: Source::Own,
    };

    /// It is more than what follows from others.
    pub(super) fn is_news(&self) -> bool {
        self.rows == Source::Own
    }
}

/// A set of persons of which numbers are known.
#[derive(Debug)]
struct KnownSet {
    /// Of the record, or of a group of this result: then it is negative.
    id: i64,
    print: RoaringTreemap,
    /// What they contribute, where it is the very measure that is asked for.
    sketch: Option<Sketch>,
    /// Who has common values.
    common: Option<Common>,
    /// It is of the same columns as the numbers that are asked for, and not only of one of them.
    same_columns: bool,
    /// Its rows, and its place among their groups, in the words of its query.
    words: String,
    place: String,
    /// Its persons alone, where they are counted.
    people: RoaringBitmap,
    /// Its own number of persons was shown, and not only one of rows.
    counted: bool,
}

impl KnownSet {
    fn persons(&self) -> Set<'_> {
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
struct Set<'a> {
    print: &'a RoaringTreemap,
    sketch: Option<&'a Sketch>,
    common: Option<&'a Common>,
    words: &'a str,
    place: &'a str,
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
struct Near {
    id: i64,
    persons: u64,
    /// Only without those of one value who are in one alone.
    padded: bool,
    same_columns: bool,
    /// These are the same persons by the words of both queries.
    by_words: bool,
}

/// The persons of numbers that are known.
#[derive(Debug, Default)]
struct Known {
    sets: Vec<KnownSet>,
    /// Their places, by how many persons they are.
    by_size: BTreeMap<u64, Vec<usize>>,
}

impl Known {
    fn add(&mut self, set: KnownSet) {
        let at = self.sets.len();
        self.by_size.entry(set.print.len()).or_default().push(at);
        self.sets.push(set);
    }

    /// The set of fewest other persons than these, whatever rows they have, of which a number of persons is known.
    fn near_people(&self, people: &RoaringBitmap, k: u64) -> Option<(i64, u64)> {
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

    /// At least `k` persons contribute something else to a number than to those that it would follow from.
    fn is_other_than(&self, set: Set<'_>, from: &[(i64, f64)], k: u64) -> bool {
        let of = |id: i64| self.sets.iter().find(|set| set.id == id)?.sketch.as_ref();
        let from = from
            .iter()
            .map(|(id, factor)| Some((of(*id)?, *factor)))
            .collect::<Option<Vec<_>>>();
        let between = set
            .sketch
            .zip(from)
            .map(|(sketch, from)| sketch.persons_between(&Sketch::combined(&from)));
        between.is_some_and(|between| between >= k)
    }

    /// The sets that fewer than `k` persons tell apart from this one, with how many: earlier ones first.
    fn near(&self, set: Set<'_>, k: u64) -> Vec<Near> {
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

/// Numbers of one measure could tell of numbers of the other: they are of a column in common. Curves are of counts, which are held
/// against all others themselves; the same curve is shown again.
fn overlap(a: &str, b: &str) -> bool {
    if a.starts_with(super::CURVE_OF) || b.starts_with(super::CURVE_OF) {
        return a == b;
    }
    let columns = |measure: &'_ str| -> (bool, Vec<String>) {
        let model = measure.strip_prefix(super::MODEL_OF);
        let columns = model.unwrap_or(measure).split(", ");
        (model.is_some(), columns.map(ToOwned::to_owned).collect())
    };
    let (a, b) = (columns(a), columns(b));
    a.0 == b.0 && a.1.iter().any(|column| b.1.contains(column))
}

/// Whether a number may be shown beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Free {
    News,
    /// It is a sum of others by the words of the queries.
    ByWords,
    No,
}

/// Exact numbers that may say something together.
struct Numbers {
    span: Span,
    unit: Unit,
    /// What each of them is called in the record, and the words of its rows.
    sets: Vec<(i64, String)>,
}

impl Numbers {
    fn named(&self, from: Vec<(usize, f64)>) -> Vec<(i64, f64)> {
        let named = from
            .into_iter()
            .map(|(at, factor)| (self.sets[at].0, factor));
        named.collect()
    }

    /// Takes in a number of a measure. What follows from others, which no number could be shown for, is free where it does so by
    /// the words of the queries, as groups of the same rows do: whether it does would tell of those few who could be left. So it is
    /// where enough persons contribute something else than to those others.
    fn is_free(&mut self, at: usize, set: Set<'_>, known: &Known, k: u64) -> Free {
        match self.span.admit(at) {
            Admitted::New => Free::News,
            Admitted::Follows { left: 0, from } => {
                let mut sets = from.iter().map(|(at, _)| &self.sets[*at].1);
                if !set.words.is_empty() && sets.all(|words| words == set.words) {
                    Free::ByWords
                } else if known.is_other_than(set, &self.named(from), k) {
                    Free::News
                } else {
                    Free::No
                }
            }
            Admitted::Follows { .. } | Admitted::Few => Free::No,
        }
    }
}

/// What a group of this result is called until it has its place in the record.
pub(super) fn of_this_result(at: usize) -> i64 {
    -1 - i64::try_from(at).unwrap_or(i64::MAX - 1)
}

impl Work<'_> {
    /// Holds each group's persons against earlier ones, and against the groups before it.
    pub(super) fn matches(&self, table: &mut Table) -> Result<Vec<Match>, Error> {
        // Coarse levels first, and there large groups first: what an analyst needs most is shown as it is.
        let mut order: Vec<usize> = (0..table.cells.len()).collect();
        let sizes: Vec<usize> = table
            .cells
            .iter_mut()
            .map(|cell| cell.persons.contributions().len())
            .collect();
        // Margins that are sums of what is shown come last: they say nothing that their cells would have to give way to.
        let sums = self.profile.margins_of_shown && table.measure.is_empty();
        // In the same order each time, in whichever the groups came.
        order.sort_by_key(|at| {
            let dims = &table.cells[*at].dims;
            let level = if sums {
                usize::MAX - dims.len()
            } else {
                dims.len()
            };
            (level, std::cmp::Reverse(sizes[*at]), dims)
        });
        let prints: Vec<Option<RoaringTreemap>> = table
            .cells
            .iter_mut()
            .map(|cell| cell.safe.then(|| footprint(cell.persons.contributions())))
            .collect();
        let earlier = self.earlier_sets(table)?;
        let mut spans = self.spans(&earlier, &prints, table);
        let measured = self.measured(table)?;
        let mut sums = Sums::of(table, &prints, &measured, self.profile.k);
        let mut known = Known::default();
        for set in earlier {
            known.add(set);
        }
        let mut matches: Vec<Match> = table.cells.iter().map(|_| Match::Unsafe).collect();
        for at in order {
            let Some(print) = &prints[at] else {
                continue;
            };
            let (sketch, common) = (&table.cells[at].sketch, &table.cells[at].common);
            let place = table.place(at);
            let set = Set {
                print,
                sketch: sketch.as_ref(),
                common: common.as_ref(),
                words: &table.words,
                place: &place,
            };
            let mut free = Free::News;
            let mut found = self.nearest(set, (sizes[at], table.is_part()), &known);
            if table.measure.is_empty() {
                found = self.counts(found, at, sizes[at], print, &known, &mut spans);
            } else if let Match::New(..) = &found {
                // Every unit is asked, so that each knows what was admitted.
                for span in &mut spans {
                    free = free.max(span.is_free(at, set, &known, u64::from(self.profile.k)));
                }
                if free == Free::No {
                    found = Match::TooNear;
                }
            }
            let (sketch, common) = (sketch.clone(), common.clone());
            let by_words = free == Free::ByWords;
            if matches!(found, Match::New(..))
                && (!self.says_more(&mut table.cells[at], print, (&measured, by_words))
                    || !by_words && sums.tell(at, table, print))
            {
                found = Match::TooNear;
            }
            if let Match::New(print, shown) = &found
                && shown.is_news()
            {
                known.add(KnownSet {
                    id: of_this_result(at),
                    print: print.clone(),
                    sketch,
                    common,
                    same_columns: true,
                    words: table.words.clone(),
                    place,
                    people: table.people_of(print),
                    counted: shown.persons == Source::Own,
                });
            }
            matches[at] = found;
        }
        Ok(matches)
    }

    /// What is shown of counts. How many persons there are is known where the same persons are, with whichever rows; and where
    /// numbers follow from others but for few persons, or nobody, they are what follows.
    fn counts(
        &self,
        found: Match,
        at: usize,
        size: usize,
        print: &RoaringTreemap,
        known: &Known,
        spans: &mut [Numbers],
    ) -> Match {
        let (news, k) = match found {
            Match::New(..) => (true, u64::from(self.profile.k)),
            Match::TooNear => (false, u64::from(self.profile.k)),
            other => return other,
        };
        let within_noise = self.within_noise(size);
        let source = |from: Vec<(i64, f64)>, left: u64| match left <= within_noise {
            true => Source::From(from),
            false => Source::Withheld,
        };
        let near = known.near_people(&people(print), k);
        let near = near.map(|(id, between)| source(vec![(id, 1.0)], between));
        let mut shown = Shown {
            persons: near.unwrap_or(if news { Source::Own } else { Source::Withheld }),
            rows: if news { Source::Own } else { Source::Withheld },
        };
        let several = spans.len() > 1;
        for span in spans {
            let of = match span.unit {
                Unit::Person => &mut shown.persons,
                Unit::Rows => &mut shown.rows,
            };
            // What is shown of others says nothing of its own.
            if *of == Source::Own {
                *of = match span.span.admit(at) {
                    Admitted::New => Source::Own,
                    Admitted::Follows { left, from } => source(span.named(from), left),
                    Admitted::Few => Source::Withheld,
                };
            }
            if !several && shown.rows == Source::Own {
                shown.rows = shown.persons.clone();
            }
        }
        // Rows are audited with their margins, and persons with them.
        if shown.persons == Source::Own && shown.rows != Source::Own {
            shown.persons = Source::Withheld;
        }
        if shown.persons == Source::Withheld && shown.rows == Source::Withheld {
            return Match::TooNear;
        }
        Match::New(print.clone(), shown)
    }

    fn earlier_sets(&self, table: &Table) -> Result<Vec<KnownSet>, Error> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, measure, atom, sketch, footprint, treated, rest, words, place, counted FROM number_set
             WHERE snapshot = ?1 AND principal = ?2 AND (measure = ?3 OR measure <> '' AND ?3 <> '') ORDER BY id",
        )?;
        let mut rows = statement.query(params![
            self.reader.snapshot,
            self.reader.principal,
            table.measure
        ])?;
        let mut sets = Vec::new();
        while let Some(row) = rows.next()? {
            let measure: String = row.get(1)?;
            if !overlap(&measure, &table.measure) {
                continue;
            }
            let same_columns = measure == table.measure;
            let print = decoded(&row.get::<_, Vec<u8>>(4)?)?;
            // Values that a role sees otherwise differ by what is done to them.
            let same = same_columns
                && row.get::<_, String>(2)? == table.atom
                && row.get::<_, String>(5)? == table.treated;
            sets.push(KnownSet {
                id: row.get(0)?,
                people: table.people_of(&print),
                print,
                counted: row.get(9)?,
                sketch: match same {
                    true => Sketch::from_bytes(&row.get::<_, Vec<u8>>(3)?)?,
                    false => None,
                },
                common: Common::from_bytes(&row.get::<_, Vec<u8>>(6)?)?,
                same_columns,
                words: row.get(7)?,
                place: row.get(8)?,
            });
        }
        Ok(sets)
    }

    /// What earlier exact numbers say together, ready for those of this result. Rounded counts say little together:
    /// each of them may be off by half a step. Means are as exact with them as without.
    fn spans(
        &self,
        earlier: &[KnownSet],
        prints: &[Option<RoaringTreemap>],
        table: &Table,
    ) -> Vec<Numbers> {
        let rounded = self.profile.round_to.is_some_and(|step| step > 1);
        // A curve says no more than the counts that it is of.
        if rounded && table.measure.is_empty()
            || table.measure.starts_with(super::CURVE_OF)
            || table.is_part()
        {
            return Vec::new();
        }
        let none = RoaringTreemap::new();
        let all: Vec<&RoaringTreemap> = prints
            .iter()
            .map(|print| print.as_ref().unwrap_or(&none))
            .chain(earlier.iter().map(|set| &set.print))
            .collect();
        let several = all
            .iter()
            .any(|print| print.max().is_some_and(|last| last >> 32 > 1));
        let units = [Some(Unit::Person), several.then_some(Unit::Rows)];
        let spans = units.into_iter().flatten().map(|unit| {
            let mut span = Span::new(&all, unit, self.profile.k);
            for (set, at) in earlier.iter().zip(prints.len()..) {
                let rows = unit == Unit::Rows && !table.measure.starts_with(super::MODEL_OF);
                if set.counted || rows {
                    span.take(at);
                }
            }
            let own = (0..prints.len()).map(|at| (of_this_result(at), table.words.clone()));
            let earlier = earlier.iter().map(|set| (set.id, set.words.clone()));
            Numbers {
                span,
                unit,
                sets: own.chain(earlier).collect(),
            }
        });
        spans.collect()
    }

    /// So many persons are no difference that shows.
    fn within_noise(&self, persons: usize) -> u64 {
        [
            2,
            u64::from(self.profile.round_to.unwrap_or(1)),
            persons as u64 / 50,
        ]
        .into_iter()
        .max()
        .unwrap_or(2)
        .min(u64::from(self.profile.k) - 1)
    }

    fn nearest(&self, set: Set<'_>, (persons, part): (usize, bool), known: &Known) -> Match {
        let k = u64::from(self.profile.k);
        let within_noise = self.within_noise(persons);
        let near = known.near(set, k);
        // The earlier number again says nothing, whoever else is known: first of all, so that nothing can be told from that.
        let own = near.iter().filter(|near| near.same_columns && !near.padded);
        match own.min_by_key(|near| near.persons) {
            Some(near) if near.persons == 0 => return Match::Same(near.id),
            Some(near) if near.persons <= within_noise => return Match::Near(near.id),
            Some(_) => return Match::TooNear,
            None => {}
        }
        // Another measure of one of the columns, of nearly the same persons: together they could tell of those few, and
        // its numbers are none that could be shown. Nor is anything shown of the very same persons, unless they are these by the
        // words of both queries: whether they are would tell of those few. Of other persons on the whole, an earlier number would
        // say something else. Which part of a model's persons it is of follows from columns that are known.
        let known_by_words = |near: &Near| {
            let same = near.persons == 0 || part;
            !near.same_columns && near.by_words && same && !near.padded
        };
        if near.iter().all(known_by_words) {
            Match::New(set.print.clone(), Shown::OWN)
        } else {
            Match::TooNear
        }
    }
}
