//! What a model's columns say beside those of earlier models of nearly the same persons.
//!
//! Two models of numbers that are the same for everybody of a group are the same themselves, and tell by their being so, or not, of
//! somebody for whom these differ. So each column of a later one says something else of at least k persons, unless it is a column of
//! the earlier one by the words of both queries. So it is of those persons whom a model [speaks of](super::parts): others can be added
//! to any.

use rusqlite::{Transaction, params};

use super::at_risk::{self, AtRisk};
use super::beside::{Earlier, New, beside};
use super::known::may_be_near;
use super::parts::{Kind, PART, Part, Words, of_part, part_of, that_vary};
use super::persons::{Contribution, footprint, persons_between};
use super::releases::{Reader, Releases, Work, decoded, placed};
use super::sketch::Sketch;
use super::{Error, MODEL_OF};

/// Between a model and its columns, in the record.
const NAMES: char = '\u{1f}';

/// A column of a model.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// How it is computed.
    pub(crate) name: String,
    /// What may have been added to each value and taken off again.
    pub(crate) shifted: f64,
    /// What persons contribute to it, one row each.
    pub(crate) own: Vec<Contribution>,
    /// The same as it counts.
    pub(crate) counted: Vec<Contribution>,
    /// It is the time of a model over time: the last of its columns, of which the event is the first.
    pub(crate) is_time: bool,
}

/// What a model is called in the record, with its columns.
pub(crate) fn named(model: &str, columns: &[Column]) -> String {
    let mut name = model.to_owned();
    for column in columns {
        name.push(NAMES);
        name.push_str(&column.name);
    }
    name
}

/// Whether two names are of one model: without its columns, of any that has the same words.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let both_have_columns = one.contains(NAMES) && other.contains(NAMES);
    one == other || !both_have_columns && one.split(NAMES).next() == other.split(NAMES).next()
}

/// What persons contribute to all columns.
pub(crate) fn sketch(columns: &[Column], of: impl Fn(&Column) -> &Vec<Contribution>) -> Sketch {
    let mut sketch = Sketch::default();
    for column in columns {
        sketch.add(of(column), column.shifted);
    }
    sketch
}

/// A column of an earlier model.
struct Known {
    name: String,
    /// Its rows are these by the words of both queries.
    by_words: bool,
    /// It is of a part that the outcome and the time tell.
    by_time: bool,
    sketch: Sketch,
    held: Sketch,
    between: u64,
}

impl Known {
    /// It is this column by the words of both queries.
    fn says(&self, column: &Column) -> bool {
        self.by_words && self.name == column.name
    }
}

impl Releases {
    /// Holds a model's columns against those of earlier ones, of all its persons and of those of each part: no more counts of anybody
    /// than of others. The last model that was looked at; nothing where a column says something else of too few.
    pub(crate) fn beside_models(
        &self,
        (reader, k): (&Reader, u64),
        words: Words<'_>,
        (persons, parts): (&[Contribution], &[Part]),
        columns: &mut [Column],
    ) -> Result<Option<i64>, Error> {
        let mut connection = self.locked();
        let transaction = connection.transaction()?;
        let seen = last_model(&transaction, reader)?;
        let of = |persons: &[Contribution], words, kind: &Kind| {
            known(&transaction, (reader, k), words, persons, kind)
        };
        let of_all = of(persons, words, &Kind::Covariates)?;
        let group = &part_of(words.group);
        let in_part = Words { group, ..words };
        let of_parts = parts.iter().map(|part| {
            let theirs = that_vary(of_part(columns, &part.stays));
            let persons = theirs.first().map_or(&[][..], |column| &column.own);
            of(persons, in_part, &part.kind)
        });
        let of_parts = of_parts.collect::<Result<Vec<_>, Error>>()?;
        drop(transaction);
        drop(connection);
        let (of_all, at_risk) = &of_all;
        let mut all = columns.iter_mut();
        if !all.all(|column| hold(column, of_all, k)) || !at_risk::hold(columns, at_risk, k) {
            return Ok(None);
        }
        for (Part { stays, kind }, (known, at_risk)) in parts.iter().zip(&of_parts) {
            // Nothing in it is new, and only of parts by time do words say that they are the same persons.
            let by_words = *kind == Kind::Time && known.iter().all(|known| known.by_time);
            let is_said = |theirs: &Column| known.iter().any(|known| known.says(theirs));
            let all = that_vary(of_part(columns, stays));
            if !by_words && !all.is_empty() && all.iter().all(is_said) {
                return Ok(None);
            }
            for mut theirs in all {
                if !hold(&mut theirs, known, k) {
                    return Ok(None);
                }
                counts_as(columns, stays, theirs);
            }
            let mut theirs = of_part(columns, stays);
            if !at_risk::hold(&mut theirs, at_risk, k) {
                return Ok(None);
            }
            if let Some(time) = theirs.pop().filter(|column| column.is_time) {
                counts_as(columns, stays, time);
            }
        }
        Ok(Some(seen))
    }
}

/// Makes a column count of some persons as it does in their part.
fn counts_as(columns: &mut [Column], stays: &[bool], theirs: Column) {
    let whole = columns.iter_mut().find(|column| column.name == theirs.name);
    let counted = whole.into_iter().flat_map(|whole| &mut whole.counted);
    let counted = counted.zip(stays).filter(|(_, stays)| **stays);
    for ((entry, _), held) in counted.zip(theirs.counted) {
        *entry = held;
    }
}

/// Whether a column says something of enough persons that others do not say; it counts as that.
fn hold(column: &mut Column, known: &[Known], k: u64) -> bool {
    let of = |contributions: &[Contribution]| Sketch::of(contributions, column.shifted);
    let own = of(&column.own);
    let is_known = |known: &Known| {
        let same = known.between > 0 || own.persons_between(&known.sketch) == 0;
        known.says(column) && same
    };
    if known.is_empty() || known.iter().any(is_known) {
        return true;
    }
    let earlier = known.iter().map(|known| Earlier {
        sketch: &known.sketch,
        held: &known.held,
        between: known.between,
    });
    let earlier: Vec<Earlier<'_>> = earlier.collect();
    let new = New {
        sketch: &own,
        held: &of(&column.counted),
        counted: &column.counted,
    };
    match beside(new, &earlier, k) {
        Some(counted) => {
            column.counted = counted;
            true
        }
        None => false,
    }
}

/// The columns of earlier models of nearly the same persons, and whom these have at risk.
fn known(
    transaction: &Transaction<'_>,
    (reader, k): (&Reader, u64),
    words: Words<'_>,
    persons: &[Contribution],
    kind: &Kind,
) -> Result<(Vec<Known>, Vec<at_risk::Known>), Error> {
    let print = footprint(persons);
    let place = placed("", words.group);
    let in_part = words.group.contains_key(PART);
    let mut statement = transaction.prepare_cached(
        "SELECT footprint, atom, words, sketch, held, place, snapshot, at_risk FROM number_set
         WHERE snapshot >= ?1 AND snapshot < ?2 AND principal = ?3 AND substr(measure, 1, length(?4)) = ?4
           AND elements BETWEEN ?5 AND ?6 ORDER BY id",
    )?;
    let size = i64::try_from(print.len()).unwrap_or(i64::MAX);
    let few = i64::try_from(k).unwrap_or(i64::MAX);
    let (least, most) = (size.saturating_sub(few), size.saturating_add(few));
    let (from, to) = reader.of_store();
    let measure = kind.measure(MODEL_OF);
    let mut rows = statement.query(params![from, to, reader.principal, measure, least, most])?;
    let mut known = Vec::new();
    let mut at_risk = Vec::new();
    while let Some(row) = rows.next()? {
        let other = decoded(&row.get::<_, Vec<u8>>(0)?)?;
        if !may_be_near(&print, &other, k) {
            continue;
        }
        let between = persons_between(&print, &other);
        if between >= k {
            continue;
        }
        let of = |at: usize| Sketch::from_bytes(&row.get::<_, Vec<u8>>(at)?);
        let Some(sketch) = of(3)? else {
            continue;
        };
        // Kept where it is not what they contribute.
        let held = of(4)?.unwrap_or_else(|| sketch.clone());
        let atom: String = row.get(1)?;
        let of_what = atom.split(NAMES).next().unwrap_or_default();
        if !kind.is_nearly(of_what, k) {
            continue;
        }
        let by_time = in_part && of_what == Kind::Time.words();
        // Of older records their names are not known, and they are none of these.
        let names = atom.split(NAMES).skip(1).map(ToOwned::to_owned);
        let names = names.chain(std::iter::repeat(String::new()));
        // Which part it is follows from columns that are known.
        let by_words = (between == 0 || in_part)
            && row.get::<_, String>(2)? == words.rows
            && row.get::<_, String>(5)? == place
            && row.get::<_, String>(6)? == reader.snapshot;
        let whom = AtRisk::from_bytes(&row.get::<_, Vec<u8>>(7)?)?;
        at_risk.extend(whom.map(|of| at_risk::Known {
            by_words,
            between,
            of,
        }));
        let columns = sketch
            .alone()
            .zip(held.alone().collect::<Vec<_>>())
            .zip(names);
        known.extend(columns.map(|((sketch, held), name)| Known {
            name,
            by_words,
            by_time,
            sketch,
            held,
            between,
        }));
    }
    Ok((known, at_risk))
}

fn last_model(transaction: &Transaction<'_>, reader: &Reader) -> Result<i64, Error> {
    let mut statement = transaction.prepare_cached(
        "SELECT coalesce(max(id), 0) FROM number_set
         WHERE snapshot >= ?1 AND snapshot < ?2 AND principal = ?3 AND substr(measure, 1, length(?4)) = ?4",
    )?;
    let (from, to) = reader.of_store();
    let last = statement.query_row(params![from, to, reader.principal, MODEL_OF], |row| {
        row.get(0)
    })?;
    Ok(last)
}

impl Work<'_> {
    pub(super) fn last_model(&self) -> Result<i64, Error> {
        last_model(self.transaction, self.reader)
    }
}

#[cfg(test)]
mod tests;
