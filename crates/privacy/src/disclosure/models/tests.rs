//! Which models are shown beside each other.

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
        let cell = Cell {
            dims: Dims::new(),
            persons,
            sketch: Some(sketch(columns, |column| &column.own)),
            held: Some(sketch(columns, |column| &column.counted)),
            common: None,
            safe: true,
            values: BTreeMap::from([("logit 0".to_owned(), Some(1.0))]),
        };
        let mut tables = [Table {
            parts: tables_of(&measure, words, (10, parts), columns),
            at_risk: AtRisk::of(10, columns),
            measure,
            atom: named("logit", columns),
            words: rows.to_owned(),
            seen: Some(seen),
            ..Table::of(vec![cell])
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

/// Of two models, in either order, the second is not shown.
fn hides_nothing(
    models: [&Vec<Column>; 2],
    ask: impl Fn(&Desk, &str, Vec<Column>) -> Option<Vec<Column>>,
) {
    for [one, other] in [models, [models[1], models[0]]] {
        let desk = Desk::new();
        assert!(ask(&desk, "a", one.clone()).is_some());
        assert!(ask(&desk, "b", other.clone()).is_none());
    }
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
        hides_nothing([&first, &second], |desk, words, of| {
            desk.ask_of(words, of, None)
        });
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
            hides_nothing([&first, &second], |desk, words, of| {
                desk.ask_of(words, of, None)
            });
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
            let shown = order.map(|at| desk.ask_of(words[at], sets[at].clone(), None).is_some());
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
    let half =
        |parity| move |at: u32| !(PERSONS..100).contains(&at) && (at < 100 || at % 4 / 2 == parity);
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
        hides_nothing([&first, &second], Desk::ask_timed);
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
