//! Margins: which groups may be shown beside the sums that they are part of, in this result and in earlier ones.

use rusqlite::params;

use super::Error;
use super::bounds::{Audit, Number};
use super::cube::{Dims, equations};
use super::matching::Match;
use super::releases::{Cell, Outcome, Table, Work};

impl Work<'_> {
    /// Which groups may be shown, given all levels and what was shown of the same rows before.
    pub(super) fn margins(&self, table: &mut Table, matches: &[Match]) -> Result<Vec<bool>, Error> {
        let slack = self
            .profile
            .round_to
            .map_or(0.0, |step| f64::from(step) / 2.0);
        let mut places: Vec<Dims> = Vec::new();
        let mut audit = Audit::default();
        for (cell, found) in table.cells.iter_mut().zip(matches) {
            let contributions = cell.persons.contributions();
            let rows: u64 = contributions.iter().map(|entry| entry.rows).sum();
            let few = contributions.len() < self.profile.k as usize;
            audit.numbers.push(Number {
                value: rows as f64,
                shown: matches!(found, Match::New(_) | Match::Same(_)).then_some(slack),
                sensitive: few && rows > 0,
                open: true,
            });
            places.push(cell.dims.clone());
        }
        let mine = places.len();
        let rows_key = rows_key(table, self.treatments);
        self.earlier_cells(table, &rows_key, &mut places, &mut audit)?;
        audit.equations = equations(&places);
        if self.profile.margins_of_shown {
            // Margins within this result are sums of what is shown, and say nothing of their own.
            for equation in &audit.equations {
                if equation.margin < mine && equation.cells.iter().all(|cell| *cell < mine) {
                    audit.numbers[equation.margin].shown = None;
                }
            }
        }
        audit.protect(self.profile.k);
        self.remember(table, &rows_key, &places, &audit, mine)?;
        let margin = |at: usize| {
            self.profile.margins_of_shown
                && audit.equations.iter().any(|equation| {
                    equation.margin == at && equation.cells.iter().all(|cell| *cell < mine)
                })
        };
        Ok((0..mine)
            .map(|at| match matches[at] {
                Match::Unsafe | Match::TooNear => false,
                Match::Near(_) => true,
                Match::New(_) | Match::Same(_) => audit.numbers[at].shown.is_some() || margin(at),
            })
            .collect())
    }

    /// Adds what was shown and withheld of the same rows before.
    fn earlier_cells(
        &self,
        table: &Table,
        rows_key: &str,
        places: &mut Vec<Dims>,
        audit: &mut Audit,
    ) -> Result<(), Error> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT dims, value, slack, sensitive FROM cell
             WHERE snapshot = ?1 AND principal = ?2 AND rows = ?3 AND measure = ?4",
        )?;
        let rows = statement.query_map(
            params![
                self.reader.snapshot,
                self.reader.principal,
                rows_key,
                table.measure
            ],
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
            let known = places.iter().position(|place| *place == dims);
            match known {
                // Another group that a query gave the same name: nothing is known of this one by it.
                Some(at)
                    if audit.numbers[at].sensitive != sensitive
                        || audit.numbers[at].value != value => {}
                // Shown before, it is known; withheld before, it may be shown now if nothing speaks against it.
                Some(at) if slack.is_some() => {
                    audit.numbers[at].shown = slack;
                    audit.numbers[at].open = false;
                }
                Some(_) => {}
                None => {
                    places.push(dims);
                    audit.numbers.push(Number {
                        value,
                        shown: slack,
                        sensitive,
                        open: false,
                    });
                }
            }
        }
        Ok(())
    }

    fn remember(
        &self,
        table: &Table,
        rows_key: &str,
        places: &[Dims],
        audit: &Audit,
        mine: usize,
    ) -> Result<(), Error> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO cell (snapshot, principal, rows, measure, dims, value, slack, sensitive)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET slack = coalesce(slack, excluded.slack)",
        )?;
        for (place, number) in places.iter().zip(&audit.numbers).take(mine) {
            let dims = serde_json::to_string(place).map_err(|_| Error::Damaged)?;
            statement.execute(params![
                self.reader.snapshot,
                self.reader.principal,
                rows_key,
                table.measure,
                dims,
                number.value,
                number.shown,
                number.sensitive
            ])?;
        }
        Ok(())
    }
}

/// Names the rows of a table by whose they are and how many: the same for the same rows, however a query words them.
/// Each level has all of them. Groups of the same name are others where the values that they are made of are treated
/// otherwise.
fn rows_key(table: &mut Table, treatments: &str) -> String {
    let level = |cell: &Cell| cell.dims.keys().cloned().collect::<Vec<_>>();
    let first = table.cells.first().map(level);
    let mut all: Vec<(i64, u64)> = Vec::new();
    for cell in &mut table.cells {
        if Some(level(cell)) == first {
            let theirs = cell.persons.contributions().iter();
            all.extend(theirs.map(|entry| (entry.person, entry.rows)));
        }
    }
    all.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(treatments.as_bytes());
    for same in all.chunk_by(|a, b| a.0 == b.0) {
        let rows: u64 = same.iter().map(|entry| entry.1).sum();
        hasher.update(&same[0].0.to_le_bytes());
        hasher.update(&rows.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
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
        let Outcome::Shown(margin) = &outcomes[equation.margin] else {
            continue;
        };
        let mut margin = margin.clone();
        for (name, value) in &mut margin {
            if !super::is_additive(name, apart) {
                continue;
            }
            *value = Some(
                equation
                    .cells
                    .iter()
                    .filter_map(|at| match &outcomes[*at] {
                        Outcome::Shown(values) => values.get(name).copied().flatten(),
                        Outcome::Withheld => None,
                    })
                    .sum(),
            );
        }
        outcomes[equation.margin] = Outcome::Shown(margin);
    }
}
