//! Differencing: which groups are nearly the same as one whose numbers are known.

use roaring::RoaringTreemap;
use rusqlite::params;

use super::Error;
use super::follows::{follow_with, followed};
use super::known::{Known, KnownSet, Near, Set};
use super::persons::{footprint, people};
use super::releases::{Table, Work, decoded, is_rounded};
use super::rest::Common;
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

    /// What follows from others.
    fn from(others: &[(i64, f64)]) -> Self {
        Self {
            persons: Source::From(others.to_vec()),
            rows: Source::From(others.to_vec()),
        }
    }

    /// It is more than what follows from others.
    pub(super) fn is_news(&self) -> bool {
        self.rows == Source::Own
    }
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
enum Free {
    News,
    /// By the words of the queries it follows from these, but for fewer than k persons or nobody.
    Follows(Vec<(i64, f64)>),
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

    /// Whether a number of a measure is free, which is not taken in here. It is where it does not follow from others but for few
    /// persons or nobody, or where enough contribute something else than to those others. Which of few and nobody it is decides
    /// nothing: it would tell of those few.
    fn is_free(&self, admitted: Admitted, set: Set<'_>, known: &Known, k: u64) -> Free {
        let (left, from) = match admitted {
            Admitted::New => return Free::News,
            Admitted::Few => return Free::No,
            Admitted::Follows { left, from } => (left, from),
        };
        let mut words = from.iter().map(|(at, _)| &self.sets[*at].1);
        let by_words = !set.words.is_empty() && words.all(|words| words == set.words);
        let from = self.named(from);
        if known.is_other_than(set, &from, k + left) {
            Free::News
        } else if by_words {
            Free::Follows(from)
        } else {
            Free::No
        }
    }
}

/// Whether a measure may be shown beside others. Every unit is asked, so that each knows what was admitted. What persons are counted
/// once in, and their rows not, is news where rows are.
fn free_beside(
    spans: &mut [Numbers],
    (at, take): (usize, bool),
    set: Set<'_>,
    known: &Known,
    k: u64,
) -> Free {
    let several = spans.len() > 1;
    let mut all = Free::News;
    for numbers in spans {
        let admitted = match take {
            true => numbers.span.admit(at),
            false => numbers.span.asked(at),
        };
        let of_rows = !several || numbers.unit == Unit::Rows;
        match (numbers.is_free(admitted, set, known, k), &all) {
            (Free::No, _) => all = Free::No,
            (Free::Follows(from), Free::News) if of_rows => all = Free::Follows(from),
            _ => {}
        }
    }
    all
}

/// What a group of this result is called until it has its place in the record.
pub(super) fn of_this_result(at: usize) -> i64 {
    -1 - i64::try_from(at).unwrap_or(i64::MAX - 1)
}

impl Work<'_> {
    /// Holds each group's persons against earlier ones, and against the groups before it.
    pub(super) fn matches(&self, table: &mut Table) -> Result<Vec<Match>, Error> {
        let sizes: Vec<usize> = table
            .cells
            .iter_mut()
            .map(|cell| cell.persons.contributions().len())
            .collect();
        let prints: Vec<Option<RoaringTreemap>> = table
            .cells
            .iter_mut()
            .map(|cell| cell.safe.then(|| footprint(cell.persons.contributions())))
            .collect();
        let earlier = self.earlier_sets(table)?;
        let order = self.order(table, &sizes);
        let mut spans = self.spans(&earlier, &prints, table);
        let measured = self.measured(table)?;
        let mut sums = Sums::of(table, &prints, &measured, self.profile.k);
        let mut known = Known::new(u64::from(self.profile.k));
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
            let mut found = self.nearest(table, set, sizes[at], &known);
            if table.measure.is_empty() {
                let within_noise = self.within_noise(table, sizes[at]);
                found = self.counts(found, (at, within_noise), print, &known, &mut spans);
            } else if let Match::New(..) | Match::TooNear = &found {
                let new = matches!(found, Match::New(..));
                let k = u64::from(self.profile.k);
                let free = free_beside(&mut spans, (at, new), set, &known, k);
                let numbers = match &free {
                    Free::Follows(from) => known.parts(from),
                    Free::News | Free::No => None,
                };
                let numbers = numbers.map(|parts| followed(&parts, self.profile));
                // What is left of others less others may lie anywhere, also where no value of the group does.
                let is_sum = |from: &[(i64, f64)]| from.iter().all(|(_, factor)| *factor > 0.0);
                match (free, numbers) {
                    (Free::Follows(from), Some(numbers)) if is_sum(&from) => {
                        follow_with(&mut table.cells[at], numbers);
                        matches[at] = Match::New(print.clone(), Shown::from(&from));
                        continue;
                    }
                    (Free::Follows(_), Some(_)) | (Free::No, _) => found = Match::TooNear,
                    _ => {}
                }
            }
            let (sketch, common) = (sketch.clone(), common.clone());
            if matches!(found, Match::New(..))
                && (!self.says_more(&mut table.cells[at], print, &measured)
                    || sums.tell(at, table, print))
            {
                found = Match::TooNear;
            }
            // Groups that are computed with have nobody in common.
            if let Match::New(print, shown) = &found
                && shown.is_news()
                && !table.computed_with
            {
                known.add(KnownSet {
                    id: of_this_result(at),
                    print: print.clone(),
                    sketch,
                    held: table.cells[at].held.clone(),
                    common,
                    same_columns: true,
                    words: table.words.clone(),
                    place,
                    people: table.people_of(print),
                    counted: shown.persons == Source::Own,
                    exact: self.profile.is_exact(),
                });
            }
            matches[at] = found;
        }
        Ok(matches)
    }

    /// In which order a table's groups are looked at, the same each time, in whichever they came: coarse levels first, and there
    /// large groups first, as what an analyst needs most is shown as it is. Margins that are sums of what is shown, and means that
    /// follow from those of their groups, come last: they say nothing that their cells would have to give way to. Of measures there
    /// may be no earlier number that is near, and it would be one person who says which of two groups is the smaller one, and empty:
    /// they come by their names.
    fn order(&self, table: &Table, sizes: &[usize]) -> Vec<usize> {
        let finest_first = !table.measure.is_empty() || self.profile.margins_of_shown;
        // Of sizes no more than is shown.
        let step = self.profile.round_to.map_or(1, |step| step.max(1) as usize);
        let mut order: Vec<usize> = (0..table.cells.len()).collect();
        order.sort_by_key(|at| {
            let dims = &table.cells[*at].dims;
            let (level, size) = (dims.len(), (sizes[*at] + step / 2) / step);
            let size = match (table.computed_with, table.measure.is_empty()) {
                (true, _) => size,
                (false, true) => usize::MAX - size,
                (false, false) => 0,
            };
            (
                if finest_first {
                    usize::MAX - level
                } else {
                    level
                },
                size,
                dims,
            )
        });
        order
    }

    /// What is shown of counts. How many persons there are is known where the same persons are, with whichever rows; and where
    /// numbers follow from others but for few persons, or nobody, they are what follows.
    fn counts(
        &self,
        found: Match,
        (at, within_noise): (usize, u64),
        print: &RoaringTreemap,
        known: &Known,
        spans: &mut [Numbers],
    ) -> Match {
        let news = match found {
            Match::New(..) => true,
            Match::TooNear => false,
            other => return other,
        };
        let source = |from: Vec<(i64, f64)>, left: u64| match left <= within_noise {
            true => Source::From(from),
            false => Source::Withheld,
        };
        let near = known.near_people(&people(print));
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
                // A rounded number says nothing beside others like it.
                let admitted = match self.profile.is_exact() {
                    true => span.span.admit(at),
                    false => span.span.asked(at),
                };
                *of = match admitted {
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
            "SELECT id, measure, atom, sketch, footprint, treated, rest, words, place, counted, held, rules, snapshot FROM number_set
             WHERE snapshot >= ?1 AND snapshot < ?2 AND principal = ?3 AND (measure = ?4 OR measure <> '' AND ?4 <> '') ORDER BY id",
        )?;
        let (from, to) = self.reader.of_store();
        let mut rows = statement.query(params![from, to, self.reader.principal, table.measure])?;
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
            let of = |at: usize| match same {
                true => Sketch::from_bytes(&row.get::<_, Vec<u8>>(at)?),
                false => Ok(None),
            };
            let sketch = of(3)?;
            sets.push(KnownSet {
                id: row.get(0)?,
                people: table.people_of(&print),
                print,
                counted: row.get(9)?,
                exact: !is_rounded(&row.get::<_, String>(11)?),
                // Kept where it is not what they contribute. Of what a model says nothing follows.
                held: match table.measure.starts_with(super::MODEL_OF) {
                    true => None,
                    false => of(10)?.or_else(|| sketch.clone()),
                },
                sketch,
                common: Common::from_bytes(&row.get::<_, Vec<u8>>(6)?)?,
                same_columns,
                // The same words are of other rows after a delivery.
                words: match row.get::<_, String>(12)? == self.reader.snapshot {
                    true => row.get(7)?,
                    false => String::new(),
                },
                place: row.get(8)?,
            });
        }
        Ok(sets)
    }

    /// What earlier exact numbers say together, ready for those of this result. Rounded counts say little together:
    /// each of them may be off by half a step, but beside exact ones it says who is in it. Means are as exact with them as without.
    fn spans(
        &self,
        earlier: &[KnownSet],
        prints: &[Option<RoaringTreemap>],
        table: &Table,
    ) -> Vec<Numbers> {
        let rounded = !self.profile.is_exact() && table.measure.is_empty();
        let known = |set: &KnownSet| set.exact || !rounded;
        // A curve says no more than the counts that it is of.
        if rounded && !earlier.iter().any(known)
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
                if (set.counted || rows) && known(set) {
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
    fn within_noise(&self, table: &Table, persons: usize) -> u64 {
        let most = u64::from(self.profile.k) - 1;
        if table.computed_with {
            return most;
        }
        [
            2,
            u64::from(self.profile.round_to.unwrap_or(1)),
            persons as u64 / 50,
        ]
        .into_iter()
        .max()
        .unwrap_or(2)
        .min(most)
    }

    fn nearest(&self, table: &Table, set: Set<'_>, persons: usize, known: &Known) -> Match {
        let (within_noise, part) = (self.within_noise(table, persons), table.is_part());
        let near = known.near(set);
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
