//! Differencing: which groups are nearly the same as one whose numbers are known.

use roaring::RoaringTreemap;
use rusqlite::params;

use super::Error;
use super::persons::{footprint, persons_between};
use super::releases::{Table, Work, decoded};
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

/// The persons of numbers that are known, by how many they are.
#[derive(Debug, Default)]
struct Known {
    by_size: std::collections::BTreeMap<u64, Vec<(i64, RoaringTreemap)>>,
}

impl Known {
    fn add(&mut self, id: i64, print: RoaringTreemap) {
        self.by_size
            .entry(print.len())
            .or_default()
            .push((id, print));
    }

    /// The sets that fewer than `k` persons tell apart from this one, with how many: earlier ones first.
    fn near(&self, print: &RoaringTreemap, k: u64) -> Vec<(i64, u64)> {
        // Of any k persons of this set, a set so near has at least one.
        let probe: Vec<u64> = print
            .iter()
            .take(usize::try_from(k).unwrap_or(usize::MAX))
            .collect();
        let size = print.len();
        let mut near: Vec<(i64, u64)> = self
            .by_size
            .range(size.saturating_sub(k - 1)..size + k)
            .flat_map(|(_, sets)| sets)
            .filter(|(_, other)| probe.iter().any(|element| other.contains(*element)))
            .map(|(id, other)| (*id, persons_between(print, other)))
            .filter(|(_, persons)| *persons < k)
            .collect();
        near.sort_unstable_by_key(|(id, _)| (*id < 0, id.abs()));
        near
    }
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
        let earlier = self.earlier_sets(&table.measure)?;
        let mut spans = self.spans(&earlier, &prints);
        let mut known = Known::default();
        for (id, print) in earlier {
            known.add(id, print);
        }
        let mut matches: Vec<Match> = table.cells.iter().map(|_| Match::Unsafe).collect();
        for at in order {
            let Some(print) = &prints[at] else {
                continue;
            };
            let mut found = self.nearest(print, sizes[at], &known);
            if let Match::New(print) = &found {
                // Every unit is asked, so that each knows what was admitted.
                let mut admitted = true;
                for span in &mut spans {
                    admitted &= span.admit(at);
                }
                if admitted {
                    let place = i64::try_from(at).unwrap_or(i64::MAX - 1);
                    known.add(-1 - place, print.clone());
                } else {
                    found = Match::TooNear;
                }
            }
            matches[at] = found;
        }
        Ok(matches)
    }

    fn earlier_sets(&self, measure: &str) -> Result<Vec<(i64, RoaringTreemap)>, Error> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, footprint FROM number_set WHERE snapshot = ?1 AND principal = ?2 AND measure = ?3 ORDER BY id",
        )?;
        let rows = statement.query_map(
            params![self.reader.snapshot, self.reader.principal, measure],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
        )?;
        rows.map(|row| {
            let (id, bytes) = row?;
            Ok((id, decoded(&bytes)?))
        })
        .collect()
    }

    /// What earlier exact numbers say together, ready for those of this result. Rounded numbers say little together:
    /// each of them may be off by half a step.
    fn spans(
        &self,
        earlier: &[(i64, RoaringTreemap)],
        prints: &[Option<RoaringTreemap>],
    ) -> Vec<Span> {
        if self.profile.round_to.is_some_and(|step| step > 1) {
            return Vec::new();
        }
        let none = RoaringTreemap::new();
        let all: Vec<&RoaringTreemap> = prints
            .iter()
            .map(|print| print.as_ref().unwrap_or(&none))
            .chain(earlier.iter().map(|(_, print)| print))
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

    fn nearest(&self, print: &RoaringTreemap, persons: usize, known: &Known) -> Match {
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
        let near = known.near(print, k);
        if let Some((id, _)) = near.iter().find(|(_, persons)| *persons == 0) {
            return Match::Same(*id);
        }
        match near.first() {
            None => Match::New(print.clone()),
            Some((id, differing)) if *differing <= within_noise => Match::Near(*id),
            Some(_) => Match::TooNear,
        }
    }
}
