//! Margins: which groups may be shown beside the sums that they are part of, in this result and in earlier ones.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use super::Error;
use super::PERSONS;
use super::bounds::{Audit, Equation, Number};
use super::cube::{Dims, equations};
use super::decisions::Decisions;
use super::matching::{Match, Source};
use super::persons::{Contribution, footprint};
use super::releases::{Cell, Outcome, Table, Work};
use super::span::Unit;
use super::spread::counted;

/// What is audited of a table: its rows, or their persons.
struct Margins<'a> {
    unit: Unit,
    /// The name of its numbers in the record.
    name: &'a str,
    places: Vec<Dims>,
    audit: Audit,
}

impl Work<'_> {
    /// Which groups may be shown, given all levels and what was shown of the same rows before. Where persons are shown whose rows are
    /// others, they have margins of their own.
    pub(super) fn margins(&self, table: &mut Table, matches: &[Match]) -> Result<Vec<bool>, Error> {
        // As they are counted: a few persons' other rows decide nothing.
        let mut once = true;
        let mut rows = Vec::with_capacity(table.cells.len());
        let mut persons = Vec::with_capacity(table.cells.len());
        for cell in &mut table.cells {
            let contributions = cell.persons.contributions();
            persons.push(contributions.len() as u64);
            let counted = counted(contributions, self.profile);
            once &= counted.iter().all(|entry| entry.rows == 1);
            rows.push(counted.iter().map(|entry| entry.rows).sum());
        }
        let rows_key = self.rows_key(table)?;
        let measure = table.measure.clone();
        let mut asked = vec![(Unit::Rows, measure.as_str(), &rows, once)];
        let shows_persons = |cell: &Cell| cell.values.contains_key(PERSONS);
        if !once && measure.is_empty() && table.cells.iter().any(shows_persons) {
            asked.push((Unit::Person, PERSONS, &persons, true));
        }
        let audits = asked.into_iter().map(|(unit, name, values, once)| {
            let groups = values.iter().zip(&persons).zip(matches);
            self.audited(table, groups, (unit, name), once, &rows_key)
        });
        let mut audits = audits.collect::<Result<Vec<_>, Error>>()?;
        let mine = table.cells.len();
        let withheld = |at: usize| {
            let mut own = audits.iter().filter(|of| is_own(&matches[at], of.unit));
            own.any(|of| of.audit.numbers[at].shown.is_none())
        };
        let withheld: Vec<bool> = (0..mine).map(withheld).collect();
        // What could not be looked at is asked for again in coarser groups: nothing is shown, and nothing hangs on it.
        if !table.gave_up {
            for of in &mut audits {
                let own = of.audit.numbers.iter_mut().zip(&withheld);
                own.filter(|(_, withheld)| **withheld)
                    .for_each(|(number, _)| number.shown = None);
                self.remember(&rows_key, of, mine)?;
            }
        }
        let equations = audits.first().map(|of| &of.audit.equations);
        let own = equations
            .into_iter()
            .flatten()
            .filter(|equation| equation.cells.iter().all(|cell| *cell < mine));
        let margins: HashSet<usize> = own.map(|equation| equation.margin).collect();
        let margin = |at: usize| self.profile.margins_of_shown && margins.contains(&at);
        Ok((0..mine)
            .map(|at| match matches[at] {
                Match::Unsafe | Match::TooNear | Match::Telling(_) => false,
                Match::Same(id) if id < 0 && table.gave_up => false,
                Match::Same(id) if id < 0 => !withheld[at] || margin(at),
                Match::Same(_) | Match::Near(_) => true,
                Match::New(..) if !audits.iter().any(|of| is_own(&matches[at], of.unit)) => true,
                Match::New(..) if table.gave_up => false,
                Match::New(..) => !withheld[at] || margin(at),
            })
            .collect())
    }

    /// Audits groups, of which each has a number, so many persons, and what was found of these.
    fn audited<'a, 'g>(
        &self,
        table: &mut Table,
        groups: impl Iterator<Item = ((&'g u64, &'g u64), &'g Match)>,
        (unit, name): (Unit, &'a str),
        once: bool,
        rows_key: &str,
    ) -> Result<Margins<'a>, Error> {
        let slack = self
            .profile
            .round_to
            .map_or(0.0, |step| f64::from(step) / 2.0);
        let mut places: Vec<Dims> = Vec::new();
        let mut audit = Audit::default();
        let k = f64::from(self.profile.k);
        // Groups of fewer than k persons are not listed. Their rows can be any number, unless each has one.
        let range = |listed: bool| match (listed, once) {
            (true, _) => (k, f64::INFINITY),
            (false, true) => (0.0, k - 1.0),
            (false, false) => (0.0, f64::INFINITY),
        };
        for (cell, ((value, persons), found)) in table.cells.iter().zip(groups) {
            let few = *persons < u64::from(self.profile.k);
            let own = is_own(found, unit);
            // What follows from others is the same whoever is in it, or in no group that is listed: it says nothing of these.
            let follows = matches!(found, Match::New(..)) && !own;
            // It stays so, be it of exactly these persons or nearly: which of both must not show in what becomes of others.
            let known = matches!(found, Match::Same(id) | Match::Near(id) if *id >= 0)
                || unit == Unit::Person && has_persons_of_before(found);
            audit.numbers.push(Number {
                value: *value as f64,
                shown: (known || own).then_some(slack),
                sensitive: few && *value > 0,
                open: !known,
                range: match follows {
                    true => (0.0, f64::INFINITY),
                    false => range(!few),
                },
            });
            places.push(cell.dims.clone());
        }
        let mine = places.len();
        let mut of = Margins {
            unit,
            name,
            places,
            audit,
        };
        self.earlier_cells(rows_key, &mut of, &range)?;
        let Margins { places, audit, .. } = &mut of;
        audit.equations = equations(places);
        add_up_earlier(audit, places, (unit, k), mine);
        if self.profile.margins_of_shown {
            // Margins within this result are sums of what is shown, and say nothing of their own.
            for equation in &audit.equations {
                if equation.margin < mine && equation.cells.iter().all(|cell| *cell < mine) {
                    audit.numbers[equation.margin].shown = None;
                }
            }
        }
        table.gave_up |= audit.protect(self.profile.k).gave_up;
        Ok(of)
    }

    /// Adds what was shown and withheld of the same rows before.
    fn earlier_cells(
        &self,
        rows_key: &str,
        of: &mut Margins<'_>,
        range: &dyn Fn(bool) -> (f64, f64),
    ) -> Result<(), Error> {
        let Margins {
            name,
            places,
            audit,
            ..
        } = of;
        let mut statement = self.transaction.prepare_cached(
            "SELECT dims, value, slack, sensitive FROM cell
             WHERE snapshot = ?1 AND principal = ?2 AND rows = ?3 AND measure = ?4",
        )?;
        let mut known_places: HashMap<Dims, usize> = HashMap::with_capacity(places.len());
        for (at, place) in places.iter().enumerate() {
            known_places.entry(place.clone()).or_insert(at);
        }
        let rows = statement.query_map(
            params![self.reader.snapshot, self.reader.principal, rows_key, *name],
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, f64>(1)?,
                    row.get::<_, Option<f64>>(2)?,
                    row.get::<_, bool>(3)?,
                ))
            },
        )?;
        for row in rows {
            let (dims, value, slack, sensitive) = row?;
            let dims: Dims = serde_json::from_str(&dims).map_err(|_| Error::Damaged)?;
            match known_places.get(&dims).copied() {
                // Another group that a query gave the same name: nothing is known of this one by it.
                Some(at)
                    if audit.numbers[at].sensitive != sensitive
                        || audit.numbers[at].value != value => {}
                // Shown before, it is known; of one that was withheld, what was found of its persons says whether it stays so.
                Some(at) if slack.is_some() => {
                    audit.numbers[at].shown = slack;
                    audit.numbers[at].open = false;
                }
                Some(_) => {}
                None => {
                    known_places.insert(dims.clone(), places.len());
                    places.push(dims);
                    audit.numbers.push(Number {
                        value,
                        shown: slack,
                        sensitive,
                        open: false,
                        range: range(!sensitive && value > 0.0),
                    });
                }
            }
        }
        Ok(())
    }

    /// Names the rows of a table by whose they are and how many: the same for the same rows, however a query words them, and for all
    /// but fewer than k persons of those of an earlier table, the nearest. Each level has all of them. Groups of the same name are others
    /// where the values that they are made of are treated otherwise.
    fn rows_key(&self, table: &mut Table) -> Result<String, Error> {
        let level = |cell: &Cell| cell.dims.keys().cloned().collect::<Vec<_>>();
        let first = table.cells.first().map(level);
        let mut cells: Vec<&[Contribution]> = Vec::new();
        for cell in &mut table.cells {
            if Some(level(cell)) == first {
                cells.push(cell.persons.contributions());
            }
        }
        let rows = rows_of_each(&cells);
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.treatments.as_bytes());
        let mut all = Vec::with_capacity(rows.len());
        for (person, rows) in rows {
            hasher.update(&person.to_le_bytes());
            hasher.update(&rows.to_le_bytes());
            all.push(Contribution {
                rows,
                ..Contribution::of(person, 0.0)
            });
        }
        let mut first_bytes = [0; 8];
        first_bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        let own = i64::from_le_bytes(first_bytes);
        let about = format!("rows of a table {}", self.treatments);
        let print = footprint(&all);
        let mut decisions =
            Decisions::within(self.transaction, self.reader, u64::from(self.profile.k));
        let key = decisions.of(&about, print, own)?;
        decisions.keep()?;
        Ok(key.to_string())
    }

    fn remember(&self, rows_key: &str, of: &Margins<'_>, mine: usize) -> Result<(), Error> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO cell (snapshot, principal, rows, measure, dims, value, slack, sensitive)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET slack = coalesce(slack, excluded.slack)",
        )?;
        let numbers = of.places.iter().zip(&of.audit.numbers);
        for (place, number) in numbers.take(mine) {
            let dims = serde_json::to_string(place).map_err(|_| Error::Damaged)?;
            statement.execute(params![
                self.reader.snapshot,
                self.reader.principal,
                rows_key,
                of.name,
                dims,
                number.value,
                number.shown,
                number.sensitive
            ])?;
        }
        Ok(())
    }
}

/// A group's own number of rows, or of persons, is shown here for the first time, be it for another group of the same rows.
fn is_own(found: &Match, unit: Unit) -> bool {
    match (found, unit) {
        (Match::New(_, shown), Unit::Rows) => shown.has_rows(),
        (Match::New(_, shown), Unit::Person) => shown.persons == Source::Own,
        (Match::Same(id), _) => *id < 0,
        _ => false,
    }
}

/// Its persons are shown as those of earlier numbers.
fn has_persons_of_before(found: &Match) -> bool {
    let Match::New(_, shown) = found else {
        return false;
    };
    matches!(&shown.persons, Source::From(parts) if parts.iter().all(|(id, ..)| *id >= 0))
}

/// Makes margins the sums of their cells, also where one is of nearly the other's rows: of whom the few are who make the difference
/// must not show in what is withheld. Where enough persons are in several cells, margins are less than those sums.
fn add_up_earlier(audit: &mut Audit, places: &[Dims], (unit, k): (Unit, f64), mine: usize) {
    let mut order: Vec<usize> = (0..audit.equations.len()).collect();
    // The finest margins first, so that coarser ones add them up.
    order.sort_by_key(|at| std::cmp::Reverse(places[audit.equations[*at].margin].len()));
    for at in order {
        let Equation {
            margin,
            ref cells,
            ref mut shared,
        } = audit.equations[at];
        let sum: f64 = cells.iter().map(|at| audit.numbers[*at].value).sum();
        let apart = sum - audit.numbers[margin].value;
        let earlier = margin >= mine || cells.iter().any(|at| *at >= mine);
        match (unit, earlier) {
            (Unit::Rows, true) => audit.numbers[margin].value = sum,
            (Unit::Person, _) if apart.abs() < k => audit.numbers[margin].value = sum,
            _ => *shared = apart > 0.0,
        }
    }
}

/// The rows of each person over all cells, by person.
fn rows_of_each(cells: &[&[Contribution]]) -> Vec<(i64, u64)> {
    let all = || cells.iter().copied().flatten();
    let ends = || {
        cells
            .iter()
            .filter_map(|cell| cell.first().zip(cell.last()))
    };
    let first = ends().map(|(first, _)| first.person).min();
    let last = ends().map(|(_, last)| last.person).max();
    let span = first
        .zip(last)
        .and_then(|(first, last)| last.checked_sub(first));
    let span = span.and_then(|span| usize::try_from(span).ok());
    if let (Some(first), Some(span)) = (first, span)
        && span < 4 * all().count()
    {
        // Numbers that lie close together are places in a list.
        let mut rows = vec![0_u64; span + 1];
        for entry in all() {
            if let Ok(at) = usize::try_from(entry.person - first) {
                rows[at] += entry.rows;
            }
        }
        let persons = rows.into_iter().enumerate().filter(|(_, rows)| *rows > 0);
        return persons
            .map(|(at, rows)| (first.wrapping_add_unsigned(at as u64), rows))
            .collect();
    }
    let mut rows: Vec<(i64, u64)> = all().map(|entry| (entry.person, entry.rows)).collect();
    rows.sort_unstable();
    rows.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    rows
}

/// Margins become the sums of the numbers shown, where their cells share no person.
pub(super) fn add_up(table: &mut Table, outcomes: &mut [Outcome]) {
    let places: Vec<Dims> = table.cells.iter().map(|cell| cell.dims.clone()).collect();
    let mut equations = equations(&places);
    // The finest margins first, so that coarser ones add up what is shown there.
    equations.sort_by_key(|equation| std::cmp::Reverse(places[equation.margin].len()));
    for equation in equations {
        let count = |table: &mut Table, at: usize| table.cells[at].persons.contributions().len();
        let apart = equation
            .cells
            .iter()
            .map(|at| count(table, *at))
            .sum::<usize>()
            == count(table, equation.margin);
        // One that is too near to others, or that a cell is near to, is shown as the sum of what is shown, and as nothing else.
        let cell = &table.cells[equation.margin];
        let mut margin = match &outcomes[equation.margin] {
            Outcome::Shown(margin) => margin.clone(),
            Outcome::Withheld if !cell.safe || table.gave_up => continue,
            Outcome::Withheld => cell
                .values
                .keys()
                .map(|name| (name.clone(), None))
                .collect(),
        };
        for (name, value) in &mut margin {
            if !super::is_additive(name, apart) {
                continue;
            }
            let shown = equation.cells.iter().filter_map(|at| match &outcomes[*at] {
                Outcome::Shown(values) => values.get(name).copied().flatten(),
                Outcome::Withheld => None,
            });
            // Of no cells there is no sum.
            *value = shown.reduce(|a, b| a + b);
        }
        outcomes[equation.margin] = Outcome::Shown(margin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_up_by_person_however_far_their_numbers_lie() {
        let cell = |persons: &[(i64, u64)]| -> Vec<Contribution> {
            let all = persons.iter().map(|(person, rows)| Contribution {
                person: *person,
                rows: *rows,
                sum: 0.0,
                squares: 0.0,
            });
            all.collect()
        };
        let near = [cell(&[(-1, 2), (3, 1)]), cell(&[]), cell(&[(2, 5), (3, 4)])];
        let near: Vec<&[Contribution]> = near.iter().map(Vec::as_slice).collect();
        assert_eq!(rows_of_each(&near), [(-1, 2), (2, 5), (3, 5)]);
        let far = [
            cell(&[(i64::MIN, 1), (0, 7)]),
            cell(&[(0, 1), (i64::MAX, 2)]),
        ];
        let far: Vec<&[Contribution]> = far.iter().map(Vec::as_slice).collect();
        assert_eq!(rows_of_each(&far), [(i64::MIN, 1), (0, 8), (i64::MAX, 2)]);
        let last = cell(&[(i64::MAX, 1)]);
        assert_eq!(rows_of_each(&[&last]), [(i64::MAX, 1)]);
        assert!(rows_of_each(&[]).is_empty());
    }
}
