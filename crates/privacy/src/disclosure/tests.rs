//! Releases one after another, as an analyst and as an attacker ask for them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ops::Range;

use super::cube::Dims;
use super::persons::Persons;
use super::profile::{Profile, profile};
use super::releases::{Cell, Outcome, Reader, Releases, Table};
use super::{PERSONS, ROWS};

/// Where a group stands, and its members.
type Group<'a> = (&'a [(&'a str, &'a str)], Range<i64>);

struct Desk {
    releases: Releases,
    profile: Profile,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            releases: Releases::open(&folder.path().join("releases.sqlite")).unwrap(),
            profile: profile(name).unwrap(),
            _folder: folder,
        }
    }

    /// Asks for the counts of groups of persons of the same rows.
    fn ask(&self, groups: &[Group<'_>]) -> Vec<Option<f64>> {
        self.ask_as("ana", groups)
    }

    fn ask_as(&self, principal: &str, groups: &[Group<'_>]) -> Vec<Option<f64>> {
        let cells = groups
            .iter()
            .map(|(dims, members)| {
                let mut persons = Persons::default();
                for person in members.clone() {
                    persons.push(person, 0.0);
                }
                let count = persons.contributions().len() as u64;
                let shown = self.profile.count(count).map(|n| n as f64);
                Cell {
                    dims: dims
                        .iter()
                        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                        .collect::<Dims>(),
                    safe: shown.is_some(),
                    persons,
                    sketch: None,
                    held: None,
                    common: None,
                    values: BTreeMap::from([(ROWS.to_owned(), shown), (PERSONS.to_owned(), shown)]),
                }
            })
            .collect();
        let mut tables = [Table::of(cells)];
        let reader = Reader {
            snapshot: "s".into(),
            principal: principal.into(),
        };
        let outcomes = self
            .releases
            .release(&reader, &self.profile, "", &mut tables);
        outcomes.unwrap()[0]
            .iter()
            .map(|outcome| match outcome {
                Outcome::Shown(values) => values[PERSONS],
                Outcome::Withheld => None,
            })
            .collect()
    }
}

#[test]
fn opensafely_totals_are_sums_of_rounded_counts() {
    let desk = Desk::new("opensafely");
    let shown = desk.ask(&[
        (&[("g", "a")], 0..3),
        (&[("g", "b")], 100..108),
        (&[("g", "c")], 200..216),
        (&[("g", "d")], 300..323),
    ]);
    assert_eq!(shown, [None, Some(10.0), Some(15.0), Some(25.0)]);
    let desk = Desk::new("opensafely");
    let shown = desk.ask(&[
        (&[("g", "a")], 0..3),
        (&[("g", "b")], 3..11),
        (&[("g", "c")], 11..27),
        (&[("g", "d")], 27..50),
        (&[], 0..50),
    ]);
    assert_eq!(
        shown,
        [None, Some(10.0), Some(15.0), Some(25.0), Some(50.0)]
    );
}

/// A margin is the sum of what is shown, and no reason to show less.
#[test]
fn no_margin_of_what_is_shown_stands_against_its_cells() {
    let desk = Desk::new("opensafely");
    let shown = desk.ask(&[(&[], 0..22), (&[("g", "a")], 0..6), (&[("g", "b")], 6..22)]);
    assert_eq!(shown, [Some(15.0), None, Some(15.0)]);
    // Of nothing there is no sum.
    let desk = Desk::new("opensafely");
    let shown = desk.ask(&[(&[], 0..9), (&[("g", "a")], 0..4), (&[("g", "b")], 4..9)]);
    assert_eq!(shown, [None, None, None]);
}

#[test]
fn a_margin_does_not_give_its_small_cell_away() {
    let desk = Desk::new("cms");
    let shown = desk.ask(&[
        (&[("g", "a")], 0..3),
        (&[("g", "b")], 3..40),
        (&[("g", "c")], 40..100),
        (&[], 0..100),
    ]);
    assert_eq!(shown, [None, None, Some(60.0), Some(100.0)]);
}

#[test]
fn earlier_answers_count() {
    let desk = Desk::new("cms");
    let cells: [Group<'_>; 3] = [
        (&[("g", "a")], 0..5),
        (&[("g", "b")], 5..40),
        (&[("g", "c")], 40..100),
    ];
    // Without a margin nothing gives the small group away.
    assert_eq!(desk.ask(&cells), [None, Some(35.0), Some(60.0)]);
    // The total would, now that the others are known.
    assert_eq!(desk.ask(&[(&[], 0..100)]), [None]);
    // Another principal has not seen the others.
    assert_eq!(desk.ask_as("ben", &[(&[], 0..100)]), [Some(100.0)]);
    // And the same again stays the same.
    assert_eq!(desk.ask(&cells), [None, Some(35.0), Some(60.0)]);
}

#[test]
fn a_total_in_other_words_counts_too() {
    let desk = Desk::new("cms");
    let cells: [Group<'_>; 3] = [
        (&[("g", "a")], 0..5),
        (&[("g", "b")], 5..40),
        (&[("g", "c")], 40..100),
    ];
    desk.ask(&cells);
    // One person of a large group is left out, so that these are not the same rows; the rest would be 4.
    let mut persons = Persons::default();
    for person in (0..100).filter(|person| *person != 50) {
        persons.push(person, 0.0);
    }
    let shown = BTreeMap::from([(PERSONS.to_owned(), Some(99.0))]);
    let mut tables = [Table::of(vec![Cell {
        dims: Dims::new(),
        persons,
        sketch: None,
        held: None,
        common: None,
        safe: true,
        values: shown,
    }])];
    let reader = Reader {
        snapshot: "s".into(),
        principal: "ana".into(),
    };
    let outcomes = desk
        .releases
        .release(&reader, &desk.profile, "", &mut tables);
    assert_eq!(outcomes.unwrap(), [[Outcome::Withheld]]);
}

#[test]
fn one_person_more_or_less_is_never_seen() {
    let desk = Desk::new("cms");
    assert_eq!(desk.ask(&[(&[], 0..100)]), [Some(100.0)]);
    // With one person less, or none less: the same answer.
    assert_eq!(desk.ask(&[(&[], 0..99)]), [Some(100.0)]);
    assert_eq!(desk.ask(&[(&[], 0..100)]), [Some(100.0)]);
    // A few less: withheld. Enough less: shown.
    assert_eq!(desk.ask(&[(&[], 0..93)]), [None]);
    assert_eq!(desk.ask(&[(&[], 0..80)]), [Some(80.0)]);
}

/// Groups of fewer than eleven are not listed, which says of two with twenty persons together that each has ten.
#[test]
fn what_is_not_listed_is_known_to_be_small() {
    let desk = Desk::new("cms");
    let shown = desk.ask(&[
        (&[("g", "a")], 0..10),
        (&[("g", "b")], 10..20),
        (&[("g", "c")], 20..500),
        (&[], 0..500),
    ]);
    assert_eq!(shown, [None, None, None, Some(500.0)]);
    // Of four groups with twenty together, each may have none, and each may have ten.
    let desk = Desk::new("cms");
    let shown = desk.ask(&[
        (&[("g", "a")], 0..5),
        (&[("g", "b")], 5..10),
        (&[("g", "c")], 10..15),
        (&[("g", "d")], 15..20),
        (&[("g", "e")], 20..500),
        (&[], 0..500),
    ]);
    assert_eq!(shown[4..], [Some(480.0), Some(500.0)]);
}

#[test]
fn a_group_of_nearly_all_is_shown_as_the_total_beside_it() {
    let desk = Desk::new("cms");
    let shown = desk.ask(&[
        (&[("x", "no")], 1..200),
        (&[("x", "yes")], 0..1),
        (&[], 0..200),
    ]);
    assert_eq!(shown, [Some(200.0), None, Some(200.0)]);
}

#[test]
fn the_record_is_private_and_survives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("releases.sqlite");
    drop(Releases::open(&path).unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    assert!(Releases::open(&path).is_ok());
}

/// Parts by exact rules, and then all of them by rules that round, with or without one more: 202 persons are 200, and 203 are 205.
#[test]
fn a_rounded_number_tells_nothing_beside_exact_ones() {
    let total = |persons: std::ops::Range<i64>| {
        let mut desk = Desk::new("sacro");
        let parts: [&[_]; 2] = [&[("g", "a")], &[("g", "b")]];
        let shown = desk.ask(&[(parts[0], 0..101), (parts[1], 101..202)]);
        assert_eq!(shown, [Some(101.0), Some(101.0)]);
        desk.profile = profile("opensafely").unwrap();
        desk.ask(&[(&[], persons)])
    };
    assert_eq!(total(0..202), total(0..203));
    // Who is not near them is counted.
    assert_eq!(total(0..233), [Some(235.0)]);
}

/// The count of all, and then groups, with or without one person who is in a group of her own: the small one is what the others leave.
#[test]
fn a_small_group_of_a_known_total_is_shown_whoever_is_in_none() {
    let groups = |alone: bool| {
        let desk = Desk::new("sacro");
        let all = if alone { 97 } else { 96 };
        assert_eq!(
            desk.ask(&[(&[], 0..i64::from(all))]),
            [Some(f64::from(all))]
        );
        let parts: [&[_]; 3] = [&[("g", "a")], &[("g", "b")], &[("g", "x")]];
        let all = [(parts[0], 0..81), (parts[1], 81..96), (parts[2], 96..97)];
        desk.ask(&all[..2 + usize::from(alone)])
    };
    assert_eq!(groups(false), [Some(81.0), Some(15.0)]);
    assert_eq!(groups(true), [Some(81.0), Some(16.0), None]);
}

/// A record that was begun before numbers were kept with the rules that showed them.
#[test]
fn an_older_record_is_taken_up() {
    let mut desk = Desk::new("cms");
    assert_eq!(desk.ask(&[(&[], 0..33)]), [Some(33.0)]);
    let path = desk._folder.path().join("releases.sqlite");
    let older = "ALTER TABLE number_set DROP COLUMN rules; ALTER TABLE number_set DROP COLUMN treated; DROP TABLE decision;";
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(older)
        .unwrap();
    desk.releases = Releases::open(&path).unwrap();
    // Two persons fewer: what was shown then, under whatever rules, counts.
    assert_eq!(desk.ask(&[(&[], 0..31)]), [Some(33.0)]);
    desk.profile = profile("opensafely").unwrap();
    assert_eq!(desk.ask(&[(&[], 0..31)]), [Some(35.0)]);
    // What is decided is kept in it, too.
    let reader = Reader {
        snapshot: "s".into(),
        principal: "ana".into(),
    };
    let decide = |own: i64| {
        let decided = desk
            .releases
            .decide((&reader, 10), |of| of.once("x", [&[1, 2], &[3]], own));
        decided.unwrap()
    };
    assert_eq!((decide(1), decide(2)), (1, 1));
}
