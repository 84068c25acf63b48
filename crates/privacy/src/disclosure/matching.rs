//! Differencing: which groups are nearly the same as one whose numbers are known.

use roaring::RoaringTreemap;
use rusqlite::params;

use super::Error;
use super::follows::{follow_with, followed};
use super::known::{Known, KnownSet, Near, Set};
use super::models::is_same;
use super::persons::{footprint, people};
use super::releases::{BOTH, PERSONS_ALONE, ROWS_ALONE, Table, Work, decoded, is_rounded};
use super::rest::Common;
use super::several::Sums;
use super::sketch::Sketch;
use super::span::{Admitted, Unit};
use super::spread::counted;
use super::together::{Free, Numbers, even, free_beside};

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
    /// So is this, or it tells of few together with others. A count of nearly these persons is withheld from now on.
    Telling(RoaringTreemap),
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
    From(Vec<Part>),
    Withheld,
}

/// A number that another one follows from: of an earlier set, or of a group of this result, whose place is negative; what it counts;
/// and how many times it is taken.
pub(super) type Part = (i64, Unit, f64);

impl Source {
    /// So many times that number.
    fn times(&self, times: f64) -> Self {
        match self {
            Self::From(parts) => {
                let parts = parts.iter();
                Self::From(
                    parts
                        .map(|(id, unit, factor)| (*id, *unit, factor * times))
                        .collect(),
                )
            }
            other => other.clone(),
        }
    }
}

impl Shown {
    const OWN: Self = Self {
        persons: Source::Own,
        rows: Source::Own,
    };

    pub(super) const NOTHING: Self = Self {
        persons: Source::Withheld,
        rows: Source::Withheld,
    };

    /// What follows from others.
    fn from(others: &[(i64, f64)]) -> Self {
        Self {
            persons: Source::Withheld,
            rows: Source::From(
                others
                    .iter()
                    .map(|(id, factor)| (*id, Unit::Rows, *factor))
                    .collect(),
            ),
        }
    }

    /// It is more than what follows from others.
    pub(super) fn is_news(&self) -> bool {
        self.has_rows() || self.persons == Source::Own
    }

    /// Its own number of rows is shown.
    pub(super) fn has_rows(&self) -> bool {
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

/// What a group of this result is called until it has its place in the record.
pub(super) fn of_this_result(at: usize) -> i64 {
    -1 - i64::try_from(at).unwrap_or(i64::MAX - 1)
}

impl Work<'_> {
    /// Holds each group's persons against earlier ones, and against the groups before it.
    pub(super) fn matches(&self, table: &mut Table) -> Result<Vec<Match>, Error> {
        let table_is_mean = table.is_mean();
        let sizes: Vec<usize> = table
            .cells
            .iter_mut()
            .map(|cell| cell.persons.contributions().len())
            .collect();
        let prints: Vec<Option<RoaringTreemap>> = table
            .cells
            .iter_mut()
            // Rows as they are counted, which is all that is shown of them.
            .map(|cell| {
                let mut counts = || counted(cell.persons.contributions(), self.profile);
                cell.safe.then(|| footprint(&counts()))
            })
            .map(|print| print.map(|print| self.as_compared(table_is_mean, print)))
            .collect();
        let earlier = self.earlier_sets(table)?;
        let order = self.order(table, &sizes);
        // Made when something is asked of them: what was shown before is shown again without.
        let mut spans: Option<Vec<Numbers>> = None;
        let measured = self.measured(table)?;
        let mut sums = Sums::of(table, &prints, &measured, self.profile.k);
        let mut by_steps = None;
        let mut known = Known::new(u64::from(self.profile.k));
        let so_many = earlier.len();
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
            let mut found = self.first_near(table, set, sizes[at], &known);
            if let Match::New(..) | Match::TooNear | Match::Telling(_) = &found
                && spans.is_none()
            {
                spans = Some(self.spans(known.first(so_many), &prints, table)?);
            }
            let spans = spans.as_deref_mut().unwrap_or_default();
            if table.measure.is_empty() {
                let within_noise = self.within_noise(table.computed_with, sizes[at]);
                found = self.counts(found, (at, within_noise), print, &known, spans);
            } else if let Match::New(..) | Match::TooNear | Match::Telling(_) = &found {
                let new = matches!(found, Match::New(..));
                let k = u64::from(self.profile.k);
                let free = free_beside(spans, (at, new), set, &known, k);
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
                    || sums.tell(at, table, print)
                    || !self.holds_by_steps(table, at, &mut by_steps)?)
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
                    has_rows: shown.has_rows(),
                    exact: self.profile.is_exact(),
                });
            }
            matches[at] = found;
        }
        Ok(matches)
    }

    /// A group's persons as they are held against others: to a mean, whoever has as many rows as all others contributes as if it had
    /// one.
    fn as_compared(&self, of_mean: bool, print: RoaringTreemap) -> RoaringTreemap {
        match of_mean && even(&print, u64::from(self.profile.k)).is_some() {
            true => RoaringTreemap::from_bitmaps([(1, people(&print))]),
            false => print,
        }
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
        let (news, telling) = match found {
            Match::New(..) => (true, true),
            Match::Telling(_) => (false, true),
            Match::TooNear => (false, false),
            other => return other,
        };
        let source = |from: Vec<Part>, left: u64| match left <= within_noise {
            true => Source::From(from),
            false => Source::Withheld,
        };
        let near = known.near_people(&people(print), within_noise);
        let near = near.map(|(id, between)| match id {
            Some(id) => source(vec![(id, Unit::Person, 1.0)], between),
            None => Source::Withheld,
        });
        let own = if news { Source::Own } else { Source::Withheld };
        let mut shown = Shown {
            persons: near.unwrap_or(own.clone()),
            rows: own,
        };
        // What is shown of others says nothing of its own. The group's persons are before its rows in the span.
        let mut asked = 0..;
        let mut admitted = |of: &Source| -> Source {
            let place = asked.next().unwrap_or_default();
            if *of != Source::Own {
                return of.clone();
            }
            for numbers in spans.iter_mut() {
                let Some(vector) = numbers.of(of_this_result(at)).nth(place) else {
                    continue;
                };
                let rough = numbers.rough;
                // A rounded number says nothing beside others like it.
                let admitted = match self.profile.is_exact() {
                    true => numbers.span.admit(vector),
                    false => numbers.span.asked(vector),
                };
                match admitted {
                    Admitted::New => {}
                    Admitted::Follows { left, from } if !rough || left <= within_noise => {
                        return source(numbers.named(&from), left);
                    }
                    // How many they are is not known there.
                    Admitted::Follows { .. } if rough => {}
                    Admitted::Follows { .. } | Admitted::Few => return Source::Withheld,
                }
            }
            Source::Own
        };
        shown.persons = admitted(&shown.persons);
        shown.rows = match (even(print, u64::from(self.profile.k)), &shown.rows) {
            // Where each person has as many rows, these say what the persons do.
            (Some(times), Source::Own) => shown.persons.times(times),
            (_, rows) => admitted(rows),
        };
        match (&shown.persons, &shown.rows) {
            (Source::Withheld, Source::Withheld) if telling => Match::Telling(print.clone()),
            (Source::Withheld, Source::Withheld) => Match::TooNear,
            _ => Match::New(print.clone(), shown),
        }
    }

    pub(super) fn earlier_sets(&self, table: &Table) -> Result<Vec<KnownSet>, Error> {
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
            let atom: String = row.get(2)?;
            let of_model = table.measure.starts_with(super::MODEL_OF);
            // Models of the same stored columns may be of other numbers: each of their columns is held against the others. Of a
            // part, the columns that vary in it are all that is said, whatever else the model has.
            let same_columns = match table.is_part() {
                true => atom == table.atom,
                false => measure == table.measure && (!of_model || is_same(&atom, &table.atom)),
            };
            let print = decoded(&row.get::<_, Vec<u8>>(4)?)?;
            // Values that a role sees otherwise differ by what is done to them.
            let same =
                same_columns && atom == table.atom && row.get::<_, String>(5)? == table.treated;
            let of = |at: usize| match same {
                true => Sketch::from_bytes(&row.get::<_, Vec<u8>>(at)?),
                false => Ok(None),
            };
            let sketch = of(3)?;
            let shown: i64 = row.get(9)?;
            sets.push(KnownSet {
                id: row.get(0)?,
                people: table.people_of(&print),
                print,
                counted: [PERSONS_ALONE, BOTH].contains(&shown),
                has_rows: [ROWS_ALONE, BOTH].contains(&shown),
                exact: !is_rounded(&row.get::<_, String>(11)?),
                // Kept where it is not what they contribute. Of what a model says nothing follows.
                held: match of_model {
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

    /// So many persons are no difference that shows.
    pub(super) fn within_noise(&self, computed_with: bool, persons: usize) -> u64 {
        let most = u64::from(self.profile.k) - 1;
        if computed_with {
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

    fn first_near(&self, table: &Table, set: Set<'_>, persons: usize, known: &Known) -> Match {
        let (within_noise, part) = (
            self.within_noise(table.computed_with, persons),
            table.is_part(),
        );
        let near = known.near(set);
        // The earlier number again says nothing, whoever else is known: first of all, so that nothing can be told from that.
        let own = near.iter().filter(|near| {
            near.same_columns && !near.padded && (near.shown || near.persons <= within_noise)
        });
        // Of several the first that was asked for: which of two is nearer, one person could decide.
        match own.min_by_key(|near| (near.persons > within_noise, near.id < 0, near.id.abs())) {
            // What was withheld stays so.
            Some(near) if !near.shown => return Match::TooNear,
            Some(near) if near.persons == 0 => return Match::Same(near.id),
            Some(near) if near.persons <= within_noise => return Match::Near(near.id),
            Some(_) => return Match::Telling(set.print.clone()),
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
