//! What was released to whom on which snapshot, and what may be released next.
//!
//! Numbers that are safe one by one give others away together. So each answer is checked with all earlier ones of
//! the same principal on the same snapshot, whichever session they were given in:
//!
//! - *Differencing.* A number whose persons differ from those of an earlier one by a few tells those few by
//!   subtraction. Where the difference is within the noise of a count (two persons, a rounding step or two per cent),
//!   the earlier answer is given again, whether or not there is a difference, so that it cannot be seen.
//!   Where it is larger and still below the threshold, the number is withheld.
//!   Of measures, persons who contribute other values differ too; and numbers of columns in common are held against each
//!   other, whatever is computed from them.
//!   Those of other columns are held against each other person by person: see [`super::beside`].
//! - *Combinations.* Exact numbers of several groups may give few persons away together: see [`super::span`].
//! - *Margins.* Cells and margins of the same rows, over all levels and earlier answers, are audited together:
//!   see [`super::bounds`].
//!
//! The persons of each number are kept as compressed bitmaps in a SQLite file that only its owner can read. It holds
//! what is withheld from everybody, and belongs where the store itself is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use roaring::{RoaringBitmap, RoaringTreemap};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::Error;
use super::at_risk::AtRisk;
use super::by_steps::Steps;
use super::cube::Dims;
use super::margins::add_up;
use super::matching::{Match, Part, Shown, Source, of_this_result};
use super::persons::{Persons, people};
use super::profile::Profile;
use super::rest::Common;
use super::sketch::Sketch;
use super::span::Unit;
use super::{IN_SHARE, PERSONS, ROWS};

/// To whom, and of which bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The store's first snapshot, and after a `/` the first one that has these rows.
    pub snapshot: String,
    /// The principal.
    pub principal: String,
}

impl Reader {
    /// From where to where names of the same store's rows lie, in the order of texts: what is known of persons is held against what
    /// is asked of them after a delivery, too.
    pub(super) fn of_store(&self) -> (String, String) {
        match self.snapshot.split_once('/') {
            Some((store, _)) => (format!("{store}/"), format!("{store}0")),
            None => (self.snapshot.clone(), format!("{}\0", self.snapshot)),
        }
    }
}

/// Numbers about the same rows: one filter, one measure, all groups.
#[derive(Debug)]
pub struct Table {
    /// What is summed up; empty for counts.
    pub measure: String,
    /// How that is computed from its columns; empty for counts.
    pub atom: String,
    /// Whose rows these are, in the words of the query.
    pub words: String,
    /// How they are grouped, in words.
    pub grouped: String,
    /// How the columns that it is computed from are treated; empty where they are as stored.
    pub treated: String,
    /// Something of it is to be shown; otherwise nothing is looked at or kept.
    pub asked: bool,
    /// Its numbers are of groups that have nobody in common, and are computed with, and not shown: others that fewer than k persons
    /// tell apart are as good.
    pub computed_with: bool,
    /// For numbers that hang on which models are known: the last one, as it was when they were computed. Nothing is shown, and
    /// nothing is left here, where others came since.
    pub seen: Option<i64>,
    /// Of a model: the persons that it speaks of, where it does not of all.
    pub parts: Vec<Table>,
    /// Of a model over time: whom it has at risk.
    pub(crate) at_risk: Option<AtRisk>,
    /// What means say as numbers of rows, where that is new, by their groups.
    pub(crate) steps: BTreeMap<usize, Steps>,
    /// A number for each group of each level.
    pub cells: Vec<Cell>,
    /// It was too much to look at all of it, and nothing new is shown.
    pub gave_up: bool,
}

impl Table {
    /// Numbers of persons, as they are counted without a measure; what else they are is named by those who make them.
    #[must_use]
    pub fn of(cells: Vec<Cell>) -> Self {
        Self {
            measure: String::new(),
            atom: String::new(),
            words: String::new(),
            grouped: String::new(),
            treated: String::new(),
            asked: true,
            computed_with: false,
            seen: None,
            parts: Vec::new(),
            at_risk: None,
            steps: BTreeMap::new(),
            cells,
            gave_up: false,
        }
    }

    /// A group's place by the words of the query: the same for all rows, however they are grouped.
    #[must_use]
    pub fn place(&self, at: usize) -> String {
        placed(&self.grouped, &self.cells[at].dims)
    }
}

/// A group's place in words.
pub(super) fn placed(grouped: &str, dims: &Dims) -> String {
    match dims {
        dims if dims.is_empty() => String::new(),
        dims => format!("{grouped} {dims:?}"),
    }
}

impl Table {
    /// The persons of a footprint, where they are counted.
    pub(super) fn people_of(&self, print: &RoaringTreemap) -> RoaringBitmap {
        if self.measure.is_empty() {
            people(print)
        } else {
            RoaringBitmap::new()
        }
    }
}

/// The numbers of one group.
#[derive(Debug)]
pub struct Cell {
    /// Which group.
    pub dims: Dims,
    /// Who stands behind it.
    pub persons: Persons,
    /// What they contribute; nothing for counts.
    pub sketch: Option<Sketch>,
    /// The same as it is counted in the numbers that are shown; nothing but for means and deviations.
    pub held: Option<Sketch>,
    /// Values that enough of them have, of a mean or deviation.
    pub common: Option<Common>,
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
  elements INTEGER NOT NULL, persons INTEGER NOT NULL, footprint BLOB NOT NULL, shown TEXT NOT NULL,
  rules TEXT NOT NULL DEFAULT '', treated TEXT NOT NULL DEFAULT '',
  atom TEXT NOT NULL DEFAULT '', sketch BLOB NOT NULL DEFAULT x'', rest BLOB NOT NULL DEFAULT x'', held BLOB NOT NULL DEFAULT x'',
  words TEXT NOT NULL DEFAULT '', place TEXT NOT NULL DEFAULT '', counted INTEGER NOT NULL DEFAULT 1,
  at_risk BLOB NOT NULL DEFAULT x''
);
CREATE INDEX IF NOT EXISTS number_set_size ON number_set (snapshot, principal, measure, elements);
CREATE TABLE IF NOT EXISTS cell (
  snapshot TEXT NOT NULL, principal TEXT NOT NULL, rows TEXT NOT NULL, measure TEXT NOT NULL, dims TEXT NOT NULL,
  value REAL NOT NULL, slack REAL, sensitive INTEGER NOT NULL,
  PRIMARY KEY (snapshot, principal, rows, measure, dims)
);
CREATE TABLE IF NOT EXISTS curve (ticket REAL PRIMARY KEY, course TEXT NOT NULL);";

/// What records of before did not have.
const DECISIONS: &str = "
CREATE TABLE IF NOT EXISTS decision (
  id INTEGER PRIMARY KEY,
  snapshot TEXT NOT NULL, principal TEXT NOT NULL, about TEXT NOT NULL,
  elements INTEGER NOT NULL, footprint BLOB NOT NULL, decision INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS decision_about ON decision (snapshot, principal, about, elements);";

impl Releases {
    /// Opens the record at `path`, and makes it if there is none, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// When the file can't be made or is not a record of releases.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = crate::ledger::database(path, TABLES)?;
        // Records of before did not say by which rules a number was shown, nor what persons contribute: they count as
        // others than today's, as the same contributions, and as all of them, by words of their own. Whom models had at risk is not known.
        for (column, kind) in [
            ("rules", "TEXT NOT NULL DEFAULT ''"),
            ("treated", "TEXT NOT NULL DEFAULT ''"),
            ("atom", "TEXT NOT NULL DEFAULT ''"),
            ("sketch", "BLOB NOT NULL DEFAULT x''"),
            ("rest", "BLOB NOT NULL DEFAULT x''"),
            ("held", "BLOB NOT NULL DEFAULT x''"),
            ("words", "TEXT NOT NULL DEFAULT ''"),
            ("place", "TEXT NOT NULL DEFAULT ''"),
            ("counted", "INTEGER NOT NULL DEFAULT 1"),
            ("at_risk", "BLOB NOT NULL DEFAULT x''"),
        ] {
            let known = connection.prepare(&format!("SELECT {column} FROM number_set LIMIT 0"));
            if known.is_err() {
                drop(known);
                let add = format!("ALTER TABLE number_set ADD COLUMN {column} {kind}");
                // Another process may have been faster.
                let added = connection.execute(&add, []).map(|_| ());
                let known = connection.prepare(&format!("SELECT {column} FROM number_set LIMIT 0"));
                added.or_else(|_| known.map(|_| ()))?;
            }
        }
        connection.execute_batch(DECISIONS)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Keeps what is shown of a curve, under the number by which the record knows its persons.
    ///
    /// # Errors
    ///
    /// When the record can't be written: then nothing may be shown.
    pub fn keep_curve(&self, ticket: f64, course: &str) -> Result<(), Error> {
        let connection = self.locked();
        let insert = "INSERT OR IGNORE INTO curve (ticket, course) VALUES (?1, ?2)";
        connection.execute(insert, params![ticket, course])?;
        Ok(())
    }

    /// What is shown of a curve.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    pub fn curve(&self, ticket: f64) -> Result<Option<String>, Error> {
        let connection = self.locked();
        let select = "SELECT course FROM curve WHERE ticket = ?1";
        let mut statement = connection.prepare_cached(select)?;
        let mut rows = statement.query([ticket])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    pub(super) fn locked(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        treatments: &str,
        tables: &mut [Table],
    ) -> Result<Vec<Vec<Outcome>>, Error> {
        let mut connection = self.locked();
        // Immediate: two sessions that release at once see each other's releases.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outcomes = Vec::with_capacity(tables.len());
        for table in tables.iter_mut() {
            if !table.asked {
                outcomes.push(vec![Outcome::Shown(BTreeMap::new()); table.cells.len()]);
                continue;
            }
            let work = Work {
                transaction: &transaction,
                reader,
                profile,
                treatments,
            };
            outcomes.push(work.table(table)?);
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}

pub(super) struct Work<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) reader: &'a Reader,
    pub(super) profile: &'a Profile,
    pub(super) treatments: &'a str,
}

/// Which of a group's own numbers were shown, as the record has it. Nothing was where it was withheld for its margins: it stays so.
pub(super) const ROWS_ALONE: i64 = 0;
pub(super) const BOTH: i64 = 1;
pub(super) const PERSONS_ALONE: i64 = 2;
const NOTHING: i64 = 3;

impl Work<'_> {
    fn table(&self, table: &mut Table) -> Result<Vec<Outcome>, Error> {
        if let Some(seen) = table.seen
            && self.last_model()? != seen
        {
            table.seen = None;
            return Ok(vec![Outcome::Withheld; table.cells.len()]);
        }
        let matches = self.matches(table)?;
        if matches.iter().any(|found| matches!(found, Match::New(..))) {
            if !self.parts_are_new(&mut table.parts)? {
                return Ok(vec![Outcome::Withheld; table.cells.len()]);
            }
        } else {
            table.parts.clear();
        }
        let shown = self.margins(table, &matches)?;
        self.follow(table, &matches, &shown)?;
        let mut outcomes = vec![Outcome::Withheld; table.cells.len()];
        if shown.contains(&true) {
            self.keep_parts(&mut table.parts)?;
        }
        // New numbers first: others of this result may be shown as theirs.
        let mut later = Vec::new();
        let mut placed: BTreeMap<i64, i64> = BTreeMap::new();
        // In the same order each time, as what is found beside them later depends on it.
        let mut found: Vec<(usize, Match)> = matches.into_iter().enumerate().collect();
        found.sort_by_cached_key(|(at, _)| table.place(*at));
        for (at, found) in found {
            match found {
                Match::New(print, sources) if !shown[at] || is_empty(table, at, &sources) => {
                    self.keep_hidden(table, at, &print)?;
                }
                Match::Telling(print) => self.keep_hidden(table, at, &print)?,
                _ if !shown[at] => {}
                Match::New(print, sources) => {
                    if sources.is_news() {
                        let id = self.keep(table, at, &print, &sources)?;
                        self.keep_steps(table, at)?;
                        placed.insert(of_this_result(at), id);
                    }
                    outcomes[at] = Outcome::Shown(table.cells[at].values.clone());
                }
                Match::Same(id) | Match::Near(id) => later.push((at, id)),
                Match::TooNear | Match::Unsafe => {}
            }
        }
        for (at, id) in later {
            // A group of this very result has its place in the record by now, unless it was withheld: then so is this.
            let id = if id < 0 {
                placed.get(&id).copied()
            } else {
                Some(id)
            };
            if let Some(id) = id {
                let shown = self.shown_as(id, &table.treated, &table.cells[at])?;
                outcomes[at] = Outcome::Shown(shown);
            }
        }
        if self.profile.margins_of_shown {
            add_up(table, &mut outcomes);
        }
        Ok(outcomes)
    }

    /// Keeps the persons of a count that is withheld for its margins, or beside others: it stays so, of nearly these too. Whether others
    /// are of these or nearly these persons tells nobody then.
    fn keep_hidden(
        &self,
        table: &mut Table,
        at: usize,
        print: &RoaringTreemap,
    ) -> Result<(), Error> {
        if !table.measure.is_empty() || table.computed_with || table.gave_up {
            return Ok(());
        }
        let values = table.cells[at].values.values_mut();
        values.for_each(|value| *value = None);
        self.keep(table, at, print, &Shown::NOTHING).map(|_| ())
    }

    /// Puts what follows from others in the place of a group's own numbers.
    fn follow(&self, table: &mut Table, matches: &[Match], shown: &[bool]) -> Result<(), Error> {
        for (at, found) in matches.iter().enumerate() {
            let Match::New(_, Shown { persons, rows }) = found else {
                continue;
            };
            if !table.measure.is_empty() {
                // What follows from means is there already, where these are shown.
                let hidden =
                    |(id, ..): &Part| usize::try_from(-1 - id).is_ok_and(|other| !shown[other]);
                if matches!(rows, Source::From(from) if from.iter().any(hidden)) {
                    let values = table.cells[at].values.values_mut();
                    values.for_each(|value| *value = None);
                }
                continue;
            }
            let names = table.cells[at].values.keys().cloned();
            for name in names.collect::<Vec<_>>() {
                if name == IN_SHARE {
                    continue;
                }
                let source = if name == PERSONS { persons } else { rows };
                let from = match source {
                    Source::Own => continue,
                    Source::Withheld => &[],
                    Source::From(from) => from.as_slice(),
                };
                let mut sum = (!from.is_empty()).then_some(0.0);
                for (id, unit, factor) in from {
                    let name = match unit {
                        Unit::Person => PERSONS,
                        Unit::Rows => ROWS,
                    };
                    let number = match usize::try_from(-1 - id) {
                        Ok(other) if shown[other] => table.cells[other].values.get(name).copied(),
                        Ok(_) => None,
                        Err(_) => {
                            let cell = &table.cells[at];
                            let earlier = self.shown_as(*id, &table.treated, cell)?;
                            earlier.get(name).copied()
                        }
                    };
                    let number = number.flatten().map(|number| number * factor);
                    sum = sum.zip(number).map(|(sum, number)| sum + number);
                }
                table.cells[at].values.insert(name, sum.map(f64::round));
            }
            // Of rows as they are shown.
            let values = &mut table.cells[at].values;
            if let (Some(rows), true) = (values.get(ROWS).copied(), values.contains_key(IN_SHARE)) {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a number of rows, which is shown"
                )]
                let in_share = |rows: f64| self.profile.in_share(rows as u64) as f64;
                values.insert(IN_SHARE.to_owned(), rows.map(in_share));
            }
        }
        Ok(())
    }

    /// Keeps a group's persons with its numbers.
    pub(super) fn keep(
        &self,
        table: &mut Table,
        at: usize,
        print: &RoaringTreemap,
        shown: &Shown,
    ) -> Result<i64, Error> {
        let place = table.place(at);
        let at_risk = table
            .at_risk
            .as_ref()
            .map(AtRisk::bytes)
            .unwrap_or_default();
        let cell = &mut table.cells[at];
        let mut bytes = Vec::new();
        print
            .serialize_into(&mut bytes)
            .map_err(|_| Error::Damaged)?;
        let size = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.transaction.execute(
            "INSERT INTO number_set (snapshot, principal, measure, elements, persons, footprint, shown, rules, treated, atom, sketch, rest,
               words, place, counted, held, at_risk)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            params![
                self.reader.snapshot,
                self.reader.principal,
                table.measure,
                size(print.len()),
                size(cell.persons.contributions().len() as u64),
                bytes,
                json(&cell.values)?,
                self.rules(),
                table.treated,
                table.atom,
                cell.sketch.as_ref().map(Sketch::bytes).unwrap_or_default(),
                cell.common.as_ref().map(Common::bytes).transpose()?.unwrap_or_default(),
                table.words,
                place,
                match (shown.persons == Source::Own, shown.has_rows()) {
                    (true, true) => BOTH,
                    (true, false) => PERSONS_ALONE,
                    (false, true) => ROWS_ALONE,
                    (false, false) => NOTHING,
                },
                cell.held
                    .as_ref()
                    .filter(|held| cell.sketch.as_ref() != Some(held))
                    .map(Sketch::bytes)
                    .unwrap_or_default(),
                at_risk,
            ],
        )?;
        Ok(self.transaction.last_insert_rowid())
    }

    /// The numbers of a group as those of an earlier one. What was not asked of that one is withheld: it would have to
    /// be computed from other persons. So is what the rules of today would not show, where it was shown by others: to
    /// another role of this principal, or before its policy was changed.
    fn shown_as(
        &self,
        id: i64,
        treated: &str,
        cell: &Cell,
    ) -> Result<BTreeMap<String, Option<f64>>, Error> {
        let known = self.known(id)?;
        let by_other_rules = known.rules != self.rules() || known.treated != treated;
        let shown = cell.values.keys().map(|name| {
            let before = known.values.get(name).copied().flatten();
            let again = match before {
                Some(before) if by_other_rules => self.again(name, before, treated, &known),
                before => before,
            };
            (name.clone(), again)
        });
        Ok(shown.collect())
    }

    /// A number that other rules showed, as those of today show it; nothing where that cannot be told. It is known to who asks, be it of
    /// exactly these persons or of nearly these, which must not show.
    fn again(&self, name: &str, before: f64, treated: &str, known: &Known) -> Option<f64> {
        let profile = self.profile;
        if known.persons < u64::from(profile.k) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts are whole numbers from 0, far below 2^53"
        )]
        let count = before.max(0.0) as u64;
        match name {
            PERSONS => profile.count(count).map(|count| count as f64),
            ROWS => profile.rows(count, known.persons).map(|rows| rows as f64),
            IN_SHARE => Some(profile.in_share(count) as f64),
            // Of the same values, both rules show the mean as exactly as it is known.
            _ => (known.treated == treated).then_some(before),
        }
    }

    /// How many persons, or rows, were shown of a set.
    pub(super) fn shown_of(&self, id: i64, unit: Unit) -> Result<Option<f64>, Error> {
        let name = match unit {
            Unit::Person => PERSONS,
            Unit::Rows => ROWS,
        };
        if id < 0 {
            return Ok(None);
        }
        Ok(self.known(id)?.values.get(name).copied().flatten())
    }

    /// Today's rules, as the record has them.
    fn rules(&self) -> String {
        rules(self.profile)
    }

    fn known(&self, id: i64) -> Result<Known, Error> {
        let (shown, persons, rules, treated): (String, i64, String, String) =
            self.transaction.query_row(
                "SELECT shown, persons, rules, treated FROM number_set WHERE id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )?;
        Ok(Known {
            values: serde_json::from_str(&shown).map_err(|_| Error::Damaged)?,
            persons: u64::try_from(persons).map_err(|_| Error::Damaged)?,
            rules,
            treated,
        })
    }
}

/// All that a count follows from is withheld.
fn is_empty(table: &Table, at: usize, sources: &Shown) -> bool {
    let none = table.cells[at].values.values().all(Option::is_none);
    table.measure.is_empty() && none && !sources.is_news()
}

fn rules(profile: &Profile) -> String {
    format!("{profile:?}")
}

/// Whether rules, as the record has them, round counts; those of records that do not say which do not.
pub(super) fn is_rounded(rules: &str) -> bool {
    let step = rules.split_once("round_to: Some(");
    let step = step.and_then(|(_, rest)| rest.split_once(')')?.0.parse::<u32>().ok());
    step.is_some_and(|step| step > 1)
}

/// What was shown of a group, to how many persons it belongs, and by which rules.
struct Known {
    values: BTreeMap<String, Option<f64>>,
    persons: u64,
    rules: String,
    treated: String,
}

pub(super) fn decoded(bytes: &[u8]) -> Result<RoaringTreemap, Error> {
    RoaringTreemap::deserialize_from(bytes).map_err(|_| Error::Damaged)
}

fn json(values: &BTreeMap<String, Option<f64>>) -> Result<String, Error> {
    serde_json::to_string(values).map_err(|_| Error::Damaged)
}
