//! What was released to whom on which snapshot, and what may be released next.
//!
//! Numbers that are safe one by one give others away together. So each answer is checked with all earlier ones of
//! the same principal on the same snapshot, whichever session they were given in:
//!
//! - *Differencing.* A number whose persons differ from those of an earlier one by a few tells those few by
//!   subtraction. Where the difference is within the noise of a count (two persons, a rounding step or two per cent),
//!   the earlier answer is given again, whether or not there is a difference, so that it cannot be seen.
//!   Where it is larger and still below the threshold, the number is withheld.
//! - *Combinations.* Exact numbers of several groups may give few persons away together: see [`super::span`].
//! - *Margins.* Cells and margins of the same rows, over all levels and earlier answers, are audited together:
//!   see [`super::bounds`].
//!
//! The persons of each number are kept as compressed bitmaps in a SQLite file that only its owner can read. It holds
//! what is withheld from everybody, and belongs where the store itself is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use roaring::RoaringTreemap;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::Error;
use super::bounds::{Audit, Number};
use super::cube::{Dims, equations};
use super::persons::{Persons, footprint, persons_between};
use super::profile::Profile;
use super::span::{Span, Unit};

/// To whom, and of which bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The snapshot's hash.
    pub snapshot: String,
    /// The principal.
    pub principal: String,
}

/// Numbers about the same rows: one filter, one measure, all groups.
#[derive(Debug)]
pub struct Table {
    /// What is summed up; empty for counts.
    pub measure: String,
    /// A number for each group of each level.
    pub cells: Vec<Cell>,
}

/// The numbers of one group.
#[derive(Debug)]
pub struct Cell {
    /// Which group.
    pub dims: Dims,
    /// Who stands behind it.
    pub persons: Persons,
    /// It stands on enough persons, none of whom dominates it.
    pub safe: bool,
    /// Its numbers as they would be shown, by function.
    pub values: BTreeMap<String, Option<f64>>,
}

/// What becomes of a group's numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// They are shown, as they are or as they were shown before.
    Shown(BTreeMap<String, Option<f64>>),
    /// They are withheld.
    Withheld,
}

/// The record of releases.
#[derive(Debug)]
pub struct Releases {
    connection: Mutex<Connection>,
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS number_set (
  id INTEGER PRIMARY KEY,
  snapshot TEXT NOT NULL, principal TEXT NOT NULL, measure TEXT NOT NULL,
  elements INTEGER NOT NULL, persons INTEGER NOT NULL, footprint BLOB NOT NULL, shown TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS number_set_size ON number_set (snapshot, principal, measure, elements);
CREATE TABLE IF NOT EXISTS cell (
  snapshot TEXT NOT NULL, principal TEXT NOT NULL, rows TEXT NOT NULL, measure TEXT NOT NULL, dims TEXT NOT NULL,
  value REAL NOT NULL, slack REAL, sensitive INTEGER NOT NULL,
  PRIMARY KEY (snapshot, principal, rows, measure, dims)
);";

/// A set of persons whose numbers were shown.
#[derive(Debug)]
struct Known {
    id: i64,
    shown: BTreeMap<String, Option<f64>>,
}

/// What was found of a group's persons.
enum Match {
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

impl Releases {
    /// Opens the record at `path`, and makes it if there is none, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// When the file can't be made or is not a record of releases.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = crate::ledger::database(path, TABLES)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Decides about the numbers of one result, and keeps what is shown. The outcomes are in the order of the cells.
    ///
    /// # Errors
    ///
    /// When the record can't be read or written: then nothing may be shown.
    pub fn release(
        &self,
        reader: &Reader,
        profile: &Profile,
        tables: &mut [Table],
    ) -> Result<Vec<Vec<Outcome>>, Error> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Immediate: two sessions that release at once see each other's releases.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outcomes = Vec::with_capacity(tables.len());
        for table in tables.iter_mut() {
            let work = Work {
                transaction: &transaction,
                reader,
                profile,
            };
            outcomes.push(work.table(table)?);
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}

struct Work<'a> {
    transaction: &'a Transaction<'a>,
    reader: &'a Reader,
    profile: &'a Profile,
}

impl Work<'_> {
    fn table(&self, table: &mut Table) -> Result<Vec<Outcome>, Error> {
        let matches = self.matches(table)?;
        let shown = self.margins(table, &matches)?;
        let mut outcomes = vec![Outcome::Withheld; table.cells.len()];
        // New numbers first: others of this result may be shown as theirs.
        let mut later = Vec::new();
        for (at, (found, shown)) in matches.into_iter().zip(shown).enumerate() {
            match found {
                _ if !shown => {}
                Match::New(_) => {
                    outcomes[at] =
                        Outcome::Shown(self.keep(&table.measure, &mut table.cells[at], found)?);
                }
                _ => later.push((at, found)),
            }
        }
        for (at, found) in later {
            outcomes[at] =
                Outcome::Shown(self.keep(&table.measure, &mut table.cells[at], found)?);
        }
        if self.profile.margins_of_shown {
            add_up(table, &mut outcomes);
        }
        Ok(outcomes)
    }

    /// Holds each group's persons against earlier ones, and against the groups before it.
    fn matches(&self, table: &mut Table) -> Result<Vec<Match>, Error> {
        // Coarse levels first, and there large groups first: what an analyst needs most is shown as it is.
        let mut order: Vec<usize> = (0..table.cells.len()).collect();
        let sizes: Vec<usize> = table
            .cells
            .iter_mut()
            .map(|cell| cell.persons.contributions().len())
            .collect();
        order.sort_by_key(|at| (table.cells[*at].dims.len(), std::cmp::Reverse(sizes[*at])));
        let prints: Vec<Option<RoaringTreemap>> = table
            .cells
            .iter_mut()
            .map(|cell| cell.safe.then(|| footprint(cell.persons.contributions())))
            .collect();
        let mut spans = self.spans(&table.measure, &prints)?;
        let mut fresh: Vec<(i64, RoaringTreemap)> = Vec::new();
        let mut matches: Vec<Match> = table.cells.iter().map(|_| Match::Unsafe).collect();
        for at in order {
            let Some(print) = &prints[at] else {
                continue;
            };
            let earlier = self.near(&table.measure, print)?;
            let mut found = self.nearest(print, sizes[at], &earlier, &fresh);
            if let Match::New(print) = &found {
                // Every unit is asked, so that each knows what was admitted.
                let mut admitted = true;
                for span in &mut spans {
                    admitted &= span.admit(at);
                }
                if admitted {
                    let place = i64::try_from(at).unwrap_or(i64::MAX);
                    fresh.push((-1 - place, print.clone()));
                } else {
                    found = Match::TooNear;
                }
            }
            matches[at] = found;
        }
        Ok(matches)
    }

    /// What earlier exact numbers say together, ready for those of this result. Rounded numbers say little together:
    /// each of them may be off by half a step.
    fn spans(&self, measure: &str, prints: &[Option<RoaringTreemap>]) -> Result<Vec<Span>, Error> {
        if self.profile.round_to.is_some_and(|step| step > 1) {
            return Ok(Vec::new());
        }
        let mut statement = self.transaction.prepare_cached(
            "SELECT footprint FROM number_set WHERE snapshot = ?1 AND principal = ?2 AND measure = ?3 ORDER BY id",
        )?;
        let earlier = statement
            .query_map(
                params![self.reader.snapshot, self.reader.principal, measure],
                |row| row.get::<_, Vec<u8>>(0),
            )?
            .map(|bytes| decoded(&bytes?))
            .collect::<Result<Vec<_>, Error>>()?;
        let none = RoaringTreemap::new();
        let all: Vec<&RoaringTreemap> = prints
            .iter()
            .map(|print| print.as_ref().unwrap_or(&none))
            .chain(&earlier)
            .collect();
        let several = all
            .iter()
            .any(|print| print.max().is_some_and(|last| last >> 40 > 1));
        let mut spans = vec![Span::new(&all, Unit::Person, self.profile.k)];
        if several {
            spans.push(Span::new(&all, Unit::Rows, self.profile.k));
        }
        for span in &mut spans {
            for at in prints.len()..all.len() {
                span.take(at);
            }
        }
        Ok(spans)
    }

    /// Earlier sets of about the same size.
    fn near(
        &self,
        measure: &str,
        print: &RoaringTreemap,
    ) -> Result<Vec<(i64, RoaringTreemap)>, Error> {
        let size = i64::try_from(print.len()).unwrap_or(i64::MAX);
        let k = i64::from(self.profile.k);
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, footprint FROM number_set WHERE snapshot = ?1 AND principal = ?2 AND measure = ?3
             AND elements BETWEEN ?4 AND ?5 ORDER BY id",
        )?;
        let rows = statement.query_map(
            params![
                self.reader.snapshot,
                self.reader.principal,
                measure,
                size - k,
                size + k
            ],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
        )?;
        rows.map(|row| {
            let (id, bytes) = row?;
            Ok((id, decoded(&bytes)?))
        })
        .collect()
    }

    fn nearest(
        &self,
        print: &RoaringTreemap,
        persons: usize,
        earlier: &[(i64, RoaringTreemap)],
        fresh: &[(i64, RoaringTreemap)],
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
        let mut near = None;
        for (id, other) in earlier.iter().chain(fresh) {
            if other.len().abs_diff(print.len()) >= k {
                continue;
            }
            let differing = persons_between(print, other);
            if differing == 0 {
                return Match::Same(*id);
            }
            if differing < k && near.is_none() {
                near = Some((*id, differing));
            }
        }
        match near {
            None => Match::New(print.clone()),
            Some((id, differing)) if differing <= within_noise => Match::Near(id),
            Some(_) => Match::TooNear,
        }
    }

    /// Which groups may be shown, given all levels and what was shown of the same rows before.
    fn margins(&self, table: &mut Table, matches: &[Match]) -> Result<Vec<bool>, Error> {
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
        let rows_key = rows_key(table);
        self.earlier(table, &rows_key, &mut places, &mut audit)?;
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
    fn earlier(
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

    /// The numbers to show of a group, kept with its persons.
    fn keep(
        &self,
        measure: &str,
        cell: &mut Cell,
        found: Match,
    ) -> Result<BTreeMap<String, Option<f64>>, Error> {
        let id = match found {
            Match::New(print) => {
                let mut bytes = Vec::new();
                print
                    .serialize_into(&mut bytes)
                    .map_err(|_| Error::Damaged)?;
                let size = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                self.transaction.execute(
                    "INSERT INTO number_set (snapshot, principal, measure, elements, persons, footprint, shown)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        self.reader.snapshot,
                        self.reader.principal,
                        measure,
                        size(print.len()),
                        size(cell.persons.contributions().len() as u64),
                        bytes,
                        json(&cell.values)?
                    ],
                )?;
                return Ok(cell.values.clone());
            }
            // A group of this very result: found again by its persons, which stand in the record by now.
            Match::Same(id) | Match::Near(id) => id,
            Match::TooNear | Match::Unsafe => return Err(Error::Damaged),
        };
        let id = if id < 0 { None } else { Some(id) };
        let known = match id {
            Some(id) => Some(self.known(id)?),
            None => {
                let print = footprint(cell.persons.contributions());
                let mut near = None;
                for (id, other) in self.near(measure, &print)? {
                    if persons_between(&print, &other) < u64::from(self.profile.k) {
                        near = Some(self.known(id)?);
                        break;
                    }
                }
                near
            }
        };
        // Its like was withheld for the margins' sake: then so is this.
        let Some(mut known) = known else {
            return Ok(cell
                .values
                .keys()
                .map(|name| (name.clone(), None))
                .collect());
        };
        let mut added = false;
        let shown = cell
            .values
            .iter()
            .map(|(name, value)| {
                let before = known.shown.entry(name.clone()).or_insert_with(|| {
                    added = true;
                    *value
                });
                (name.clone(), *before)
            })
            .collect();
        if added {
            self.transaction.execute(
                "UPDATE number_set SET shown = ?2 WHERE id = ?1",
                params![known.id, json(&known.shown)?],
            )?;
        }
        Ok(shown)
    }

    fn known(&self, id: i64) -> Result<Known, Error> {
        let shown: String = self.transaction.query_row(
            "SELECT shown FROM number_set WHERE id = ?1",
            [id],
            |row| row.get(0),
        )?;
        Ok(Known {
            id,
            shown: serde_json::from_str(&shown).map_err(|_| Error::Damaged)?,
        })
    }
}

/// Names the rows of a table by whose they are and how many: the same for the same rows, however a query words them.
/// Each level has all of them.
fn rows_key(table: &mut Table) -> String {
    let level = |cell: &Cell| cell.dims.keys().cloned().collect::<Vec<_>>();
    let first = table.cells.first().map(level);
    let mut all = Persons::default();
    for cell in &mut table.cells {
        if Some(level(cell)) == first {
            all.extend(&cell.persons.bytes());
        }
    }
    let mut hasher = blake3::Hasher::new();
    for entry in all.contributions() {
        hasher.update(&entry.person.to_le_bytes());
        hasher.update(&entry.rows.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Margins become the sums of the numbers shown, where their cells share no person.
fn add_up(table: &mut Table, outcomes: &mut [Outcome]) {
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

fn decoded(bytes: &[u8]) -> Result<RoaringTreemap, Error> {
    RoaringTreemap::deserialize_from(bytes).map_err(|_| Error::Damaged)
}

fn json(values: &BTreeMap<String, Option<f64>>) -> Result<String, Error> {
    serde_json::to_string(values).map_err(|_| Error::Damaged)
}
