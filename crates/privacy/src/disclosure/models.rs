//! What a model's columns say beside those of earlier models of nearly the same persons.
//!
//! Two models of numbers that are the same for everybody of a group are the same themselves, and tell by their being so, or not, of
//! somebody for whom these differ. So each column of a later one says something else of at least k persons, unless it is a column of
//! the earlier one by the words of both queries.

use rusqlite::{Transaction, params};

use super::beside::{Earlier, New, beside};
use super::matching::may_be_near;
use super::persons::{Contribution, footprint, persons_between};
use super::releases::{Reader, Releases, Work, decoded};
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
    sketch: Sketch,
    held: Sketch,
    between: u64,
}

impl Releases {
    /// Holds a model's columns against those of earlier ones: no more counts of anybody than of others. The last model that was
    /// looked at; nothing where a column says something else of too few.
    pub(crate) fn beside_models(
        &self,
        (reader, k): (&Reader, u64),
        words: &str,
        persons: &[Contribution],
        columns: &mut [Column],
    ) -> Result<Option<i64>, Error> {
        let mut connection = self.locked();
        let transaction = connection.transaction()?;
        let seen = last_model(&transaction, reader)?;
        let known = known(&transaction, reader, words, persons, k)?;
        drop(transaction);
        drop(connection);
        let hold = |column: &mut Column| hold(column, &known, k);
        Ok(columns.iter_mut().all(hold).then_some(seen))
    }
}

/// Whether a column says something of enough persons that others do not say; it counts as that.
fn hold(column: &mut Column, known: &[Known], k: u64) -> bool {
    let is_known = |known: &Known| known.by_words && known.name == column.name;
    if known.is_empty() || known.iter().any(is_known) {
        return true;
    }
    let earlier = known.iter().map(|known| Earlier {
        sketch: &known.sketch,
        held: &known.held,
        between: known.between,
    });
    let earlier: Vec<Earlier<'_>> = earlier.collect();
    let of = |contributions: &[Contribution]| Sketch::of(contributions, column.shifted);
    let new = New {
        sketch: &of(&column.own),
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

/// The columns of earlier models of nearly the same persons.
fn known(
    transaction: &Transaction<'_>,
    reader: &Reader,
    words: &str,
    persons: &[Contribution],
    k: u64,
) -> Result<Vec<Known>, Error> {
    let print = footprint(persons);
    let mut statement = transaction.prepare_cached(
        "SELECT footprint, atom, words, sketch, held FROM number_set
         WHERE snapshot = ?1 AND principal = ?2 AND substr(measure, 1, length(?3)) = ?3
           AND elements BETWEEN ?4 AND ?5 ORDER BY id",
    )?;
    let size = i64::try_from(print.len()).unwrap_or(i64::MAX);
    let few = i64::try_from(k).unwrap_or(i64::MAX);
    let (least, most) = (size.saturating_sub(few), size.saturating_add(few));
    let mut rows = statement.query(params![
        reader.snapshot,
        reader.principal,
        MODEL_OF,
        least,
        most
    ])?;
    let mut known = Vec::new();
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
        // Of older records their names are not known, and they are none of these.
        let names = atom.split(NAMES).skip(1).map(ToOwned::to_owned);
        let names = names.chain(std::iter::repeat(String::new()));
        let by_words = between == 0 && row.get::<_, String>(2)? == words;
        let columns = sketch
            .alone()
            .zip(held.alone().collect::<Vec<_>>())
            .zip(names);
        known.extend(columns.map(|((sketch, held), name)| Known {
            name,
            by_words,
            sketch,
            held,
            between,
        }));
    }
    Ok(known)
}

fn last_model(transaction: &Transaction<'_>, reader: &Reader) -> Result<i64, Error> {
    let mut statement = transaction.prepare_cached(
        "SELECT coalesce(max(id), 0) FROM number_set
         WHERE snapshot = ?1 AND principal = ?2 AND substr(measure, 1, length(?3)) = ?3",
    )?;
    let last = statement.query_row(
        params![reader.snapshot, reader.principal, MODEL_OF],
        |row| row.get(0),
    )?;
    Ok(last)
}

impl Work<'_> {
    pub(super) fn last_model(&self) -> Result<i64, Error> {
        last_model(self.transaction, self.reader)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use super::*;
    use crate::disclosure::cube::Dims;
    use crate::disclosure::persons::Persons;
    use crate::disclosure::profile;
    use crate::disclosure::releases::{Cell, Outcome, Table};

    const PERSONS: u32 = 70;

    type Values = fn(u32) -> f64;

    struct Desk {
        releases: Releases,
        _folder: tempfile::TempDir,
    }

    fn reader() -> Reader {
        Reader {
            snapshot: "s".into(),
            principal: "ana".into(),
        }
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self {
                releases: Releases::open(&folder.path().join("releases.sqlite")).unwrap(),
                _folder: folder,
            }
        }

        fn columns(persons: u32, of: &[(&str, Values)]) -> Vec<Column> {
            let column = |(name, value): &(&str, Values)| {
                let all = (0..persons).map(|at| Contribution::of(at.into(), value(at)));
                let own: Vec<Contribution> = all.collect();
                Column {
                    name: (*name).to_owned(),
                    shifted: 0.0,
                    counted: own.clone(),
                    own,
                }
            };
            of.iter().map(column).collect()
        }

        /// Whether a model of these columns is shown, and how the columns count.
        fn ask(&self, words: &str, persons: u32, of: &[(&str, Values)]) -> Option<Vec<Column>> {
            let mut columns = Self::columns(persons, of);
            let theirs = columns[0].own.clone();
            let seen = self
                .releases
                .beside_models((&reader(), 10), words, &theirs, &mut columns);
            let seen = seen.unwrap()?;
            self.show(seen, words, &columns).then_some(columns)
        }

        fn show(&self, seen: i64, words: &str, columns: &[Column]) -> bool {
            let mut persons = Persons::default();
            for entry in &columns[0].own {
                persons.push(entry.person, entry.sum);
            }
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let mut tables = [Table {
                measure: format!("{MODEL_OF}{}", names.join(", ")),
                atom: named("logit", columns),
                words: words.to_owned(),
                grouped: String::new(),
                treated: String::new(),
                gave_up: false,
                asked: true,
                seen: Some(seen),
                cells: vec![Cell {
                    dims: Dims::new(),
                    persons,
                    sketch: Some(sketch(columns, |column| &column.own)),
                    held: Some(sketch(columns, |column| &column.counted)),
                    common: None,
                    safe: true,
                    values: BTreeMap::from([("logit 0".to_owned(), Some(1.0))]),
                }],
            }];
            let rules = profile("opensafely").unwrap();
            let outcomes = self.releases.release(&reader(), &rules, "", &mut tables);
            let is_shown = outcomes.unwrap()[0][0] != Outcome::Withheld;
            assert!(tables[0].seen.is_some() || !is_shown);
            is_shown
        }
    }

    fn man(at: u32) -> f64 {
        f64::from(u8::from(at * 7 % 20 < 9))
    }

    fn day(at: u32) -> f64 {
        f64::from(at * 37 % 61)
    }

    fn other_day(at: u32) -> f64 {
        f64::from(at * 53 % 89)
    }

    fn died(at: u32) -> f64 {
        f64::from(u8::from(at * 11 % 30 < 13))
    }

    /// The same days for all but the last person.
    fn nearly_day(at: u32) -> f64 {
        day(at) + if at == PERSONS { 25.0 } else { 0.0 }
    }

    /// Twins of both columns, which have no column in common: of other rows in words and of the same ones, with somebody for whom
    /// they differ, and without.
    #[test]
    fn models_that_would_agree_but_for_one_person_are_not_both_shown() {
        for persons in [PERSONS, PERSONS + 1] {
            for words in ["a", "b"] {
                let desk = Desk::new();
                assert!(
                    desk.ask("a", persons, &[("man", man), ("day", day)])
                        .is_some()
                );
                for twins in [
                    [("sex", man as Values), ("date", nearly_day as Values)],
                    [("sex", man), ("date", other_day)],
                    [("died", died), ("date", nearly_day)],
                    [("died", died), ("date", |at| 3.0 - 2.0 * nearly_day(at))],
                ] {
                    assert!(
                        desk.ask(words, persons, &twins).is_none(),
                        "{persons} {words}"
                    );
                }
                // Of one person less, too.
                let twins = [("sex", man as Values), ("date", nearly_day as Values)];
                assert!(desk.ask("c", PERSONS, &twins).is_none());
            }
        }
    }

    /// Other columns of the same persons, and the same columns among others, are models of their own.
    #[test]
    fn other_models_of_the_same_persons_are_shown() {
        let desk = Desk::new();
        for columns in [
            &[("man", man as Values), ("day", day as Values)][..],
            &[("man", man), ("other", other_day)],
            &[("man", man), ("day", day), ("other", other_day)],
            &[("died", died), ("day", day), ("man", man)],
        ] {
            let shown = desk.ask("a", PERSONS, columns).unwrap();
            // And count as they are, but for few.
            for (column, own) in shown.iter().zip(Desk::columns(PERSONS, columns)) {
                let pairs = column.counted.iter().zip(&own.own);
                let moved = pairs.filter(|(a, b)| (a.sum - b.sum).abs() > 1e-6).count();
                assert!(moved < 7, "{}: {moved}", column.name);
            }
        }
    }

    /// What a model was computed beside must be all that is known when it is shown.
    #[test]
    fn a_model_is_not_shown_beside_one_that_came_meanwhile() {
        let desk = Desk::new();
        let mut columns = Desk::columns(PERSONS, &[("man", man), ("day", day)]);
        let theirs = columns[0].own.clone();
        let seen = desk
            .releases
            .beside_models((&reader(), 10), "a", &theirs, &mut columns);
        assert!(
            desk.ask("b", PERSONS, &[("died", died), ("other", other_day)])
                .is_some()
        );
        assert!(!desk.show(seen.unwrap().unwrap(), "a", &columns));
    }
}
