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
            let by_words = *kind != Kind::Covariates && known.iter().all(|known| known.by_time);
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
            theirs
                .pop()
                .into_iter()
                .for_each(|time| counts_as(columns, stays, time));
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use super::*;
    use crate::disclosure::cube::Dims;
    use crate::disclosure::parts::{parts, tables_of};
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
                    is_time: false,
                }
            };
            of.iter().map(column).collect()
        }

        /// Whether a model of these columns is shown, and how the columns count. The first is the event.
        fn ask(&self, words: &str, persons: u32, of: &[(&str, Values)]) -> Option<Vec<Column>> {
            self.ask_of(words, Self::columns(persons, of), None)
        }

        /// The same, where the last column is the time.
        fn ask_timed(&self, words: &str, mut of: Vec<Column>) -> Option<Vec<Column>> {
            of.iter_mut()
                .rev()
                .take(1)
                .for_each(|time| time.is_time = true);
            let time = of.last().cloned();
            self.ask_of(words, of, time.as_ref())
        }

        fn ask_of(
            &self,
            words: &str,
            mut columns: Vec<Column>,
            time: Option<&Column>,
        ) -> Option<Vec<Column>> {
            let covariates = columns.len() - usize::from(time.is_some());
            let mut parts = parts(10, &columns[0], &columns[1..covariates], time);
            parts.extend(few(&columns));
            let theirs = columns[0].own.clone();
            let whose = (&theirs[..], &parts[..]);
            let seen = self.beside(words, whose, &mut columns)?;
            self.show(seen, words, &columns, &parts).then_some(columns)
        }

        fn beside(
            &self,
            words: &str,
            whose: (&[Contribution], &[Part]),
            columns: &mut [Column],
        ) -> Option<i64> {
            let group = &Dims::new();
            let words = Words { rows: words, group };
            let reader = reader();
            let seen = self
                .releases
                .beside_models((&reader, 10), words, whose, columns);
            seen.unwrap()
        }

        fn show(&self, seen: i64, words: &str, columns: &[Column], parts: &[Part]) -> bool {
            let mut persons = Persons::default();
            for entry in &columns[0].own {
                persons.push(entry.person, entry.sum);
            }
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let measure = format!("{MODEL_OF}{}", names.join(", "));
            let group = &Dims::new();
            let rows = words;
            let words = Words { rows, group };
            let mut tables = [Table {
                parts: tables_of(&measure, words, (10, parts), columns),
                at_risk: AtRisk::of(10, columns),
                measure,
                atom: named("logit", columns),
                words: rows.to_owned(),
                grouped: String::new(),
                treated: String::new(),
                gave_up: false,
                asked: true,
                computed_with: false,
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

    /// Those of one value of the second column are so many of each outcome; others are few of any.
    fn few(columns: &[Column]) -> Option<Part> {
        let [event, of, ..] = columns else {
            return None;
        };
        let rows = || event.own.iter().zip(&of.own).enumerate();
        let others = rows().filter(|(_, (_, of))| of.sum != ALIKE);
        let few: Vec<usize> = others.map(|(at, _)| at).collect();
        let of_outcome = |outcome: f64| {
            let all = rows().filter(|(_, (event, of))| of.sum == ALIKE && event.sum == outcome);
            all.count() as u64
        };
        let sizes = [of_outcome(0.0), of_outcome(1.0)].map(|size| size / 5 * 5);
        Part::few(10, event.own.len(), &few, sizes.to_vec())
    }

    const ALIKE: f64 = 999.0;

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
        let seen = desk.beside("a", (&theirs, &[]), &mut columns);
        assert!(
            desk.ask("b", PERSONS, &[("died", died), ("other", other_day)])
                .is_some()
        );
        assert!(!desk.show(seen.unwrap(), "a", &columns, &[]));
    }

    /// Columns of some persons: of their number in each column, and of those only whom a condition chose.
    fn of_some(persons: u32, some: impl Fn(u32) -> bool, of: &[(&str, Values)]) -> Vec<Column> {
        let mut columns = Desk::columns(persons, of);
        for column in &mut columns {
            column
                .own
                .retain(|entry| some(u32::try_from(entry.person).unwrap()));
            column.counted.clone_from(&column.own);
        }
        columns
    }

    /// Sixty persons of one day, who have an indicator of their own.
    fn padded_day(at: u32) -> f64 {
        if at >= 100 { 16.0 } else { day(at) }
    }

    fn padding(at: u32) -> f64 {
        f64::from(u8::from(at >= 100))
    }

    /// A model of seventy, and of the same among sixty others whom an indicator takes out, and perhaps with somebody more: in any
    /// order, the second is not shown.
    #[test]
    fn others_whom_an_indicator_takes_out_do_not_hide_that_models_agree() {
        let plain: &[(&str, Values)] = &[("man", man), ("day", padded_day)];
        let padded: &[(&str, Values)] = &[("man", man), ("day", padded_day), ("pad", padding)];
        for with in [false, true] {
            let first = of_some(160, |at| at < PERSONS, plain);
            let second = of_some(
                160,
                |at| at < PERSONS || with && at == 80 || at >= 100,
                padded,
            );
            for [one, other] in [[&first, &second], [&second, &first]] {
                let desk = Desk::new();
                assert!(desk.ask_of("a", one.clone(), None).is_some(), "{with}");
                assert!(desk.ask_of("b", other.clone(), None).is_none(), "{with}");
            }
        }
        // Siblings: both models of the same rows, and one of others with an indicator.
        let desk = Desk::new();
        let all = |of| of_some(160, |at| !(PERSONS..100).contains(&at), of);
        assert!(desk.ask_of("a", all(plain), None).is_some());
        assert!(desk.ask_of("a", all(padded), None).is_some());
        let died: &[(&str, Values)] = &[("died", died), ("day", padded_day), ("pad", padding)];
        assert!(desk.ask_of("a", all(died), None).is_some());
        let fewer = of_some(160, |at| !(40..100).contains(&at), padded);
        assert!(desk.ask_of("b", fewer, None).is_some());
    }

    /// Others who have an indicator of their own, and a line of their own that says which day it is.
    #[test]
    fn others_who_have_a_line_of_their_own_do_not_hide_that_models_agree() {
        let line = |at: u32| if at >= 100 { other_day(at) } else { -1.0 };
        let on_it = |at: u32| {
            if at >= 100 {
                40.0 - other_day(at) / 3.0
            } else {
                day(at)
            }
        };
        // Nearly on it, and at another scale.
        let nearly = |at: u32| 1e-6 * other_day(at) + if at >= 100 { 7.0 } else { day(at) };
        for of_day in [on_it as Values, nearly] {
            let plain: &[(&str, Values)] = &[("man", man), ("day", of_day)];
            let padded: &[(&str, Values)] = &[
                ("man", man),
                ("line", line),
                ("day", of_day),
                ("pad", padding),
            ];
            for with in [false, true] {
                let first = of_some(200, |at| at < PERSONS, plain);
                let second = of_some(
                    200,
                    |at| at < PERSONS || with && at == 80 || at >= 100,
                    padded,
                );
                for [one, other] in [[&first, &second], [&second, &first]] {
                    let desk = Desk::new();
                    assert!(desk.ask_of("a", one.clone(), None).is_some(), "{with}");
                    assert!(desk.ask_of("b", other.clone(), None).is_none(), "{with}");
                }
            }
        }
    }

    /// Others with a constant and a slope of their own, as one group and as two, of which one has somebody more: what is said of the
    /// rest is the same model but for that one.
    #[test]
    fn others_who_are_taken_out_in_another_way_do_not_hide_that_models_agree() {
        fn of(at: u32, is_in: bool) -> [f64; 2] {
            if is_in { [1.0, day(at)] } else { [0.0; 2] }
        }
        let one: &[(&str, Values)] = &[
            ("man", man),
            ("day", day),
            ("pad", |at| of(at, at >= 100)[0]),
            ("pad day", |at| of(at, at >= 100)[1]),
        ];
        let first: [(&str, Values); 4] = [
            ("day", day),
            ("man", man),
            ("a", |at| of(at, (100..140).contains(&at))[0]),
            ("a day", |at| of(at, (100..140).contains(&at))[1]),
        ];
        let second: [[(&str, Values); 2]; 2] = [
            [
                ("b", |at| of(at, at >= 140)[0]),
                ("b day", |at| of(at, at >= 140)[1]),
            ],
            [
                ("b", |at| of(at, at >= 140 || at == 80)[0]),
                ("b day", |at| of(at, at >= 140 || at == 80)[1]),
            ],
        ];
        for second in second {
            let mut two = [first.as_slice(), &second].concat();
            two.swap(0, 1);
            for [early, late] in [[one, &two], [&two, one]] {
                let desk = Desk::new();
                assert!(desk.ask("a", 180, early).is_some());
                assert!(desk.ask("a", 180, late).is_none());
            }
            // Nor does a column that says something of one of the rest.
            let few: (&str, Values) = ("few", |at| of(at, at >= 120 || at == 50)[1]);
            let more = [one, &[few]].concat();
            let desk = Desk::new();
            assert!(desk.ask("a", 180, &more).is_some());
            assert!(desk.ask("a", 180, &two).is_none());
            // With another covariate it is another model.
            let desk = Desk::new();
            assert!(desk.ask("a", 180, one).is_some());
            let adjusted = [two.as_slice(), &[("other", other_day)]].concat();
            assert!(desk.ask("a", 180, &adjusted).is_some());
        }
    }

    /// Two groups of the same rows and all of them, who are one person more or none: all three are shown, in any order.
    #[test]
    fn a_model_of_all_says_nothing_of_a_group_that_is_not_listed() {
        let of: &[(&str, Values)] = &[("man", man), ("day", day)];
        for with in [false, true] {
            let sets = [
                of_some(160, |at| at < 70, of),
                of_some(160, |at| (70..150).contains(&at), of),
                of_some(160, |at| at < 150 || with && at == 155, of),
            ];
            for order in [[0, 1, 2], [2, 0, 1], [0, 2, 1]] {
                let desk = Desk::new();
                for at in order {
                    let shown = desk.ask_of("a", sets[at].clone(), None);
                    assert!(shown.is_some(), "{with} {order:?} {at}");
                }
                // In other words the last is shown neither way.
                let desk = Desk::new();
                let words = ["a", "b", "c"];
                let shown =
                    order.map(|at| desk.ask_of(words[at], sets[at].clone(), None).is_some());
                assert_eq!(shown, [true, true, false], "{with} {order:?}");
            }
        }
    }

    /// Times that differ for many after the last event, and perhaps for somebody before it: such a model is not shown. That of other
    /// events, and of times before them, is.
    #[test]
    fn other_times_that_no_model_sees_do_not_hide_that_models_agree() {
        fn event(at: u32) -> f64 {
            f64::from(u8::from(at < 100 && at.is_multiple_of(2)))
        }
        fn time(at: u32) -> f64 {
            match at {
                100.. => 1_000.0 + f64::from(at),
                _ => f64::from(1 + at * 53 % 101),
            }
        }
        fn other_time(at: u32) -> f64 {
            match at {
                100.. => f64::from(400 + at * 37 % 61),
                _ => time(at),
            }
        }
        fn with_somebody(at: u32) -> f64 {
            if at == 81 { 100.0 } else { other_time(at) }
        }
        let died = |at: u32| f64::from(u8::from(at < 100 && at % 2 == 1));
        let since = |at: u32| f64::from(1 + at * 29 % 97);
        let of = |event: Values, name: &str, time: Values| -> Vec<Column> {
            let columns = [("event", event), ("day", day as Values), (name, time)];
            Desk::columns(160, &columns)
        };
        for second in [other_time as Values, with_somebody] {
            let desk = Desk::new();
            assert!(desk.ask_timed("a", of(event, "time", time)).is_some());
            assert!(desk.ask_timed("a", of(event, "other", second)).is_none());
        }
        let desk = Desk::new();
        assert!(desk.ask_timed("a", of(event, "time", time)).is_some());
        let mut other = of(died, "time", time);
        other[0].name = "died".to_owned();
        assert!(desk.ask_timed("a", other).is_some());
        assert!(desk.ask_timed("a", of(event, "since", since)).is_some());
    }

    /// Of whom a model says only how many they are, it may be others: other ones of as many with the outcome, and as many others.
    #[test]
    fn others_of_whom_only_a_number_is_said_do_not_hide_that_models_agree() {
        fn value(at: u32) -> f64 {
            if at >= 100 { ALIKE } else { day(at) }
        }
        fn of(at: u32, outcome: bool) -> f64 {
            let own = if at >= 100 { outcome } else { man(at) > 0.0 };
            f64::from(u8::from(own))
        }
        let first: &[(&str, Values)] = &[("man", |at| of(at, at % 2 == 0)), ("day", value)];
        let other: Values = |at| of(at, at % 2 == 1);
        let with_somebody: Values = |at| match at {
            7 => 1.0 - man(at),
            _ => of(at, at % 2 == 1),
        };
        let half = |parity| {
            move |at: u32| !(PERSONS..100).contains(&at) && (at < 100 || at % 4 / 2 == parity)
        };
        for second in [other, with_somebody] {
            let desk = Desk::new();
            assert!(desk.ask("a", 180, first).is_some());
            let second: &[(&str, Values)] = &[("sex", second), ("day", value)];
            assert!(desk.ask("a", 180, second).is_none());
            // Of other persons.
            let desk = Desk::new();
            let own = of_some(180, half(0), first);
            assert!(desk.ask_of("a", own, None).is_some());
            let others = of_some(180, half(1), second);
            assert!(desk.ask_of("b", others, None).is_none());
        }
        // Of twice as many it is another model, and so it is of other days.
        let desk = Desk::new();
        let own = of_some(180, half(0), first);
        assert!(desk.ask_of("a", own, None).is_some());
        assert!(desk.ask("b", 180, first).is_some());
        let desk = Desk::new();
        assert!(desk.ask("a", 180, first).is_some());
        let days: Values = |at| if at >= 100 { ALIKE } else { other_day(at) };
        assert!(desk.ask("a", 180, &[first[0], ("days", days)]).is_some());
    }

    /// The same over time, where the others are censored before the first event, or before the first but for somebody's.
    #[test]
    fn others_who_are_censored_first_do_not_hide_that_models_agree() {
        let event = |at: u32| f64::from(u8::from(at < 100 && at.is_multiple_of(2)));
        let time = |at: u32| match at {
            80 => 5.0,
            100.. => 10.0,
            _ => 200.0 + f64::from(at),
        };
        let columns: &[(&str, Values)] = &[("event", event), ("day", day), ("time", time)];
        for with in [false, true] {
            let first = of_some(160, |at| at < PERSONS, columns);
            let second = of_some(
                160,
                |at| at < PERSONS || with && at == 80 || at >= 100,
                columns,
            );
            for [one, other] in [[&first, &second], [&second, &first]] {
                let desk = Desk::new();
                assert!(desk.ask_timed("a", one.clone()).is_some(), "{with}");
                assert!(desk.ask_timed("b", other.clone()).is_none(), "{with}");
            }
        }
        // Siblings: an adjusted model of the same rows.
        let desk = Desk::new();
        let all = |of| of_some(160, |at| !(PERSONS..100).contains(&at), of);
        assert!(desk.ask_timed("a", all(columns)).is_some());
        let adjusted: &[(&str, Values)] = &[
            ("event", event),
            ("day", day),
            ("other", other_day),
            ("time", time),
        ];
        assert!(desk.ask_timed("a", all(adjusted)).is_some());
    }
}
