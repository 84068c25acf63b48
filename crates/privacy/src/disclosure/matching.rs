//! Differencing: which groups are nearly the same as one whose numbers are known.

use roaring::RoaringTreemap;
use rusqlite::params;

use super::Error;
use super::persons::{footprint, persons_between};
use super::releases::{Table, Work, decoded};
use super::sketch::Sketch;
use super::span::{Span, Unit};

/// What was found of a group's persons.
#[derive(Debug)]
pub(super) enum Match {
    /// No earlier number is near: its own numbers are shown.
    New(RoaringTreemap),
    /// Exactly these persons.
    Same(i64),
    /// Nearly these persons: their numbers are shown.
    Near(i64),
    /// Too near to be shown beside them.
    TooNear,
    /// It is not safe by itself, or empty.
    Unsafe,
}

/// A set of persons of which numbers are known.
#[derive(Debug)]
struct KnownSet {
    /// Of the record, or of a group of this result: then it is negative.
    id: i64,
    print: RoaringTreemap,
    /// What they contribute, where it is the very measure that is asked for.
    sketch: Option<Sketch>,
    /// It is of the same columns as the numbers that are asked for, and not only of one of them.
    same_columns: bool,
}

/// A known set that is near.
struct Near {
    id: i64,
    persons: u64,
    same_columns: bool,
}

/// The persons of numbers that are known, by how many they are.
#[derive(Debug, Default)]
struct Known {
    by_size: std::collections::BTreeMap<u64, Vec<KnownSet>>,
}

impl Known {
    fn add(&mut self, set: KnownSet) {
        self.by_size.entry(set.print.len()).or_default().push(set);
    }

    /// The sets that fewer than `k` persons tell apart from this one, with how many: earlier ones first.
    fn near(&self, print: &RoaringTreemap, sketch: Option<&Sketch>, k: u64) -> Vec<Near> {
        // Of any k persons of this set, a set so near has at least one.
        let probe: Vec<u64> = print
            .iter()
            .take(usize::try_from(k).unwrap_or(usize::MAX))
            .collect();
        let size = print.len();
        let mut near: Vec<Near> = self
            .by_size
            .range(size.saturating_sub(k - 1)..size + k)
            .flat_map(|(_, sets)| sets)
            .filter(|set| probe.iter().any(|element| set.print.contains(*element)))
            .map(|set| {
                let rows = persons_between(print, &set.print);
                let values = set.sketch.as_ref().zip(sketch);
                let values = values.map_or(0, |(set, this)| set.persons_between(this));
                Near {
                    id: set.id,
                    persons: rows.max(values),
                    same_columns: set.same_columns,
                }
            })
            .filter(|near| near.persons < k)
            .collect();
        near.sort_unstable_by_key(|near| (near.id < 0, near.id.abs()));
        near
    }
}

/// Numbers of one measure could tell of numbers of the other: they are of a column in common. Curves always are: all
/// are of who was seen for how long.
fn overlap(a: &str, b: &str) -> bool {
    if a.starts_with(super::CURVE_OF) || b.starts_with(super::CURVE_OF) {
        return a.starts_with(super::CURVE_OF) && b.starts_with(super::CURVE_OF);
    }
    let columns = |measure: &'_ str| -> (bool, Vec<String>) {
        let model = measure.strip_prefix(super::MODEL_OF);
        let columns = model.unwrap_or(measure).split(", ");
        (model.is_some(), columns.map(ToOwned::to_owned).collect())
    };
    let (a, b) = (columns(a), columns(b));
    a.0 == b.0 && a.1.iter().any(|column| b.1.contains(column))
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
        // In the same order each time, in whichever the groups came.
        order.sort_by_key(|at| {
            let dims = &table.cells[*at].dims;
            (dims.len(), std::cmp::Reverse(sizes[*at]), dims)
        });
        let prints: Vec<Option<RoaringTreemap>> = table
            .cells
            .iter_mut()
            .map(|cell| cell.safe.then(|| footprint(cell.persons.contributions())))
            .collect();
        let earlier = self.earlier_sets(table)?;
        let mut spans = self.spans(&earlier, &prints);
        let mut known = Known::default();
        for set in earlier {
            known.add(set);
        }
        let mut matches: Vec<Match> = table.cells.iter().map(|_| Match::Unsafe).collect();
        for at in order {
            let Some(print) = &prints[at] else {
                continue;
            };
            let sketch = table.cells[at].sketch.as_ref();
            let mut found = self.nearest(print, sketch, sizes[at], &known);
            if let Match::New(print) = &found {
                // Every unit is asked, so that each knows what was admitted.
                let mut admitted = true;
                for span in &mut spans {
                    admitted &= span.admit(at);
                }
                if admitted {
                    let place = i64::try_from(at).unwrap_or(i64::MAX - 1);
                    known.add(KnownSet {
                        id: -1 - place,
                        print: print.clone(),
                        sketch: sketch.cloned(),
                        same_columns: true,
                    });
                } else {
                    found = Match::TooNear;
                }
            }
            matches[at] = found;
        }
        Ok(matches)
    }

    fn earlier_sets(&self, table: &Table) -> Result<Vec<KnownSet>, Error> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, measure, atom, sketch, footprint, treated FROM number_set
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
            // Values that a role sees otherwise differ by what is done to them.
            let same = same_columns
                && row.get::<_, String>(2)? == table.atom
                && row.get::<_, String>(5)? == table.treated;
            sets.push(KnownSet {
                id: row.get(0)?,
                print: decoded(&row.get::<_, Vec<u8>>(4)?)?,
                sketch: match same {
                    true => Sketch::from_bytes(&row.get::<_, Vec<u8>>(3)?)?,
                    false => None,
                },
                same_columns,
            });
        }
        Ok(sets)
    }

    /// What earlier exact numbers say together, ready for those of this result. Rounded numbers say little together:
    /// each of them may be off by half a step.
    fn spans(&self, earlier: &[KnownSet], prints: &[Option<RoaringTreemap>]) -> Vec<Span> {
        if self.profile.round_to.is_some_and(|step| step > 1) {
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
        let mut spans = vec![Span::new(&all, Unit::Person, self.profile.k)];
        if several {
            spans.push(Span::new(&all, Unit::Rows, self.profile.k));
        }
        for span in &mut spans {
            for at in prints.len()..all.len() {
                span.take(at);
            }
        }
        spans
    }

    fn nearest(
        &self,
        print: &RoaringTreemap,
        sketch: Option<&Sketch>,
        persons: usize,
        known: &Known,
    ) -> Match {
        let k = u64::from(self.profile.k);
        let within_noise = [
            2,
            u64::from(self.profile.round_to.unwrap_or(1)),
            persons as u64 / 50,
        ]
        .into_iter()
        .max()
        .unwrap_or(2)
        .min(k - 1);
        let near = known.near(print, sketch, k);
        let same_columns = || near.iter().filter(|near| near.same_columns);
        if let Some(same) = same_columns().find(|near| near.persons == 0) {
            return Match::Same(same.id);
        }
        // Another measure of one of the columns, of nearly the same persons: together they could tell of those few, and
        // its numbers are none that could be shown.
        if near
            .iter()
            .any(|near| !near.same_columns && near.persons > 0)
        {
            return Match::TooNear;
        }
        match same_columns().next() {
            None => Match::New(print.clone()),
            Some(near) if near.persons <= within_noise => Match::Near(near.id),
            Some(_) => Match::TooNear,
        }
    }
}
