//! Which persons a model is of: who has the same values as many others counts as often as their number says that is shown.

use std::collections::BTreeMap;

use datafusion::common::Result;

use super::aggregate::Controlled;
use super::numbers::number_of;
use super::value::group_cell;
use crate::disclosure::at_risk::events_of_each;
use crate::disclosure::models::Column;
use crate::disclosure::parts::{Part, of_part};
use crate::disclosure::releases::{Outcome, Table};
use crate::disclosure::spread::deviation;
use crate::disclosure::{PERSONS, Profile};

/// So many groups of persons who have the same values are counted: of more there is no model.
const COUNTED: usize = 10_000;

/// Persons whose values at least k have, and others who count as if they had them.
struct Alike {
    rows: Vec<usize>,
    also: Vec<usize>,
}

impl Alike {
    fn all(&self) -> impl Iterator<Item = &usize> {
        self.rows.iter().chain(&self.also)
    }
}

/// Persons of one outcome and the same covariates, whenever it was.
#[derive(Default)]
struct Whenever {
    /// Groups of those who have the same time, too.
    groups: Vec<usize>,
    /// Those of no group.
    alone: Vec<usize>,
}

/// So many persons of rare values are compared with each other: of more, each is among many.
const RARE: usize = 4_096;

/// When values of a column are the same, by parts of its deviation: there is no such gap between them, and no more than that from the
/// first to the last. Persons who are too few that way are looked at in the next one: who puts a little of something else to each
/// value changes next to nothing about a model.
const NEARNESS: [(f64, f64); 3] = [(1e-9, 1e-9), (0.02, 0.05), (0.2, 0.25)];

fn scale_of(column: &[f64]) -> f64 {
    deviation(column.iter().copied()).0.max(f64::MIN_POSITIVE)
}

/// For each of these persons which value of a column it has.
fn values_of(column: &[f64], rows: &[usize], (gap, width): (f64, f64)) -> Vec<usize> {
    let unit = scale_of(column);
    let own = |at: usize| column[rows[at]];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| own(*a).total_cmp(&own(*b)));
    let mut values = vec![0; rows.len()];
    let mut value = 0;
    let first = order.first().map_or(0.0, |at| own(*at));
    let (mut first, mut before) = (first, first);
    for at in order {
        if own(at) - before > gap * unit || own(at) - first > width * unit {
            value += 1;
            first = own(at);
        }
        before = own(at);
        values[at] = value;
    }
    values
}

/// These persons by their values in all columns.
fn by_values(columns: &[Vec<f64>], rows: &[usize], nearness: (f64, f64)) -> Vec<Vec<usize>> {
    let values: Vec<Vec<usize>> = columns
        .iter()
        .map(|column| values_of(column, rows, nearness))
        .collect();
    let mut all: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let own = values.iter().map(|of| of[at]).collect();
        all.entry(own).or_default().push(*row);
    }
    all.into_values().collect()
}

/// Persons who have the same values in all columns, where they are at least `k`, and those of no such group. Who is nearer to a group
/// than to k others of none counts with it, with the same event: a value that nobody else has would show by the model that somebody
/// has it.
fn alike(k: usize, event: usize, columns: &[Vec<f64>]) -> (Vec<Alike>, Vec<usize>) {
    let mut few: Vec<usize> = (0..columns.first().map_or(0, Vec::len)).collect();
    let mut groups: Vec<Alike> = Vec::new();
    for (at, nearness) in NEARNESS.into_iter().enumerate() {
        let all = by_values(columns, &few, nearness);
        let (large, rest): (Vec<Vec<usize>>, Vec<Vec<usize>>) =
            all.into_iter().partition(|rows| rows.len() >= k);
        // Of so many persons one changes nothing by a little of something else.
        if at > 0 && groups.len() + large.len() > COUNTED {
            few = large.into_iter().chain(rest).flatten().collect();
            break;
        }
        groups.extend(large.into_iter().map(|rows| Alike {
            rows,
            also: Vec::new(),
        }));
        few = rest.concat();
    }
    if few.len() > RARE || groups.is_empty() || groups.len() > COUNTED {
        return (groups, few);
    }
    let scales: Vec<f64> = columns.iter().map(|column| scale_of(column)).collect();
    let apart = |a: usize, b: usize| -> f64 {
        let each = columns.iter().zip(&scales);
        let each = each.map(|(column, scale)| ((column[a] - column[b]) / scale).powi(2));
        each.sum()
    };
    let same = |a: usize, b: usize| columns[event][a].total_cmp(&columns[event][b]).is_eq();
    let mut left = Vec::new();
    for person in &few {
        let near = groups.iter().enumerate().filter_map(|(at, group)| {
            let first = *group.rows.first()?;
            same(*person, first).then(|| (at, apart(*person, first)))
        });
        let nearest = near.min_by(|a, b| a.1.total_cmp(&b.1));
        let among = |far: f64| {
            let others = few.iter().filter(|other| *other != person);
            let others = others.filter(|other| same(*person, **other));
            others.filter(|other| apart(*person, **other) < far).count()
        };
        match nearest {
            Some((at, far)) if among(far) < k => groups[at].also.push(*person),
            _ => left.push(*person),
        }
    }
    (groups, left)
}

/// Groups that differ by their times alone, where there are times.
fn whenever(event: usize, columns: &[Vec<f64>], groups: &[Alike], few: &[usize]) -> Vec<Whenever> {
    if event == 0 {
        return Vec::new();
    }
    let values = |row: usize| -> Vec<u64> {
        let own = columns[event..].iter().map(|column| column[row]);
        own.map(f64::to_bits).collect()
    };
    let mut all: BTreeMap<Vec<u64>, Whenever> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        let own = group.rows.first().map(|first| values(*first));
        all.entry(own.unwrap_or_default())
            .or_default()
            .groups
            .push(at);
    }
    for row in few {
        if let Some(own) = all.get_mut(&values(*row)) {
            own.alone.push(*row);
        }
    }
    let several = all.into_values().filter(|own| own.groups.len() > 1);
    several.collect()
}

/// Those of a model's persons, and of each of its parts, whose values few have, beside groups of others.
pub(super) fn few_of(profile: &Profile, columns: &[Column], parts: &[Part]) -> Vec<Part> {
    let everybody = vec![true; columns[0].own.len()];
    let of_each = std::iter::once(&everybody).chain(parts.iter().map(|part| &part.stays));
    let found = of_each.filter_map(|stays| few_among(profile, columns, stays));
    found.collect()
}

/// The same among some of them. Of their times it takes at which events they are at risk.
fn few_among(profile: &Profile, columns: &[Column], stays: &[bool]) -> Option<Part> {
    let k = u64::from(profile.k);
    let theirs = of_part(columns, stays);
    let events = events_of_each(k, &theirs);
    let others = &theirs[..theirs.len() - events.iter().len()];
    let counted = |column: &Column| column.counted.iter().map(|entry| entry.sum).collect();
    let values: Vec<Vec<f64>> = others.iter().map(counted).chain(events).collect();
    let all: Vec<usize> = (0..values[0].len()).collect();
    // A little of something else makes no other groups.
    let [.., widest] = NEARNESS;
    let groups = by_values(&values, &all, widest).into_iter();
    let (large, few): (Vec<Vec<usize>>, Vec<Vec<usize>>) =
        groups.partition(|group| group.len() as u64 >= k);
    let size = |group: &Vec<usize>| profile.rounded(group.len() as u64);
    let places = stays.iter().zip(0..).filter(|(stays, _)| **stays);
    let places: Vec<usize> = places.map(|(_, at)| at).collect();
    let few: Vec<usize> = few.concat().into_iter().map(|at| places[at]).collect();
    Part::few(k, stays.len(), &few, large.iter().map(size).collect())
}

/// Makes some of the numbers add up to so many, each in proportion to what it was.
fn share(all: usize, of: &[usize], numbers: &mut [usize]) {
    let sum: usize = of.iter().map(|at| numbers[*at]).sum();
    if sum == 0 || sum == all {
        return;
    }
    let mut rests: Vec<(usize, usize)> = of
        .iter()
        .map(|at| {
            let part = numbers[*at] * all;
            numbers[*at] = part / sum;
            (part % sum, *at)
        })
        .collect();
    let missing = all - of.iter().map(|at| numbers[*at]).sum::<usize>();
    rests.sort_unstable_by_key(|(rest, at)| (std::cmp::Reverse(*rest), *at));
    for (_, at) in rests.into_iter().take(missing) {
        numbers[at] += 1;
    }
}

/// Which persons a model is of, some of them perhaps twice or not at all: as many of those who have the same values as their number
/// says, as it is shown. Who knows the number of each such group computes the model, and would see by it whether there is one person
/// more; and who knows it rounded would see by the model what it was. Nothing where a number that is not rounded follows from others
/// in no simple way.
///
/// A group of one time has few persons, and is nearly one of an earlier model of another covariate, whose number it is given. So the
/// numbers of persons with each outcome and covariates, whenever it was, are asked for, too: hazards are of these, and groups share
/// them in proportion to their own.
pub(super) fn as_counted(
    control: &Controlled,
    persons: &[i64],
    event: usize,
    columns: &[Vec<f64>],
) -> Result<Option<Vec<usize>>> {
    let (large, mut few) = alike(control.profile.k as usize, event, columns);
    if large.is_empty() {
        few.sort_unstable();
        return Ok(Some(few));
    }
    if large.len() > COUNTED {
        return Ok(None);
    }
    let cell = |name: String, rows: &mut dyn Iterator<Item = &usize>| {
        let members: Vec<i64> = rows.map(|row| persons[*row]).collect();
        group_cell(&members, &name, &control.profile)
    };
    let groups = large.iter().enumerate();
    let groups = groups.map(|(at, group)| cell(format!("alike:{at}"), &mut group.all()));
    let whenever = whenever(event, columns, &large, &few);
    let of_all = whenever.iter().enumerate().map(|(at, class)| {
        let groups = class.groups.iter().flat_map(|at| large[*at].all());
        cell(format!("whenever:{at}"), &mut groups.chain(&class.alone))
    });
    let table = |cells| Table {
        computed_with: true,
        ..Table::of(cells)
    };
    let mut tables = vec![table(groups.collect())];
    if !whenever.is_empty() {
        tables.push(table(of_all.collect()));
    }
    let outcomes = control.release(&mut tables)?;
    let rounds = control.profile.round_to.is_some_and(|step| step > 1);
    // A number that is rounded anyway may be withheld for others beside it that differ by few.
    let number = |outcome: &Outcome, own: usize| {
        let own = rounds.then(|| control.profile.rounded(own as u64) as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of persons, from 0"
        )]
        let whole = |number: f64| number.max(0.0) as usize;
        number_of(outcome, PERSONS).or(own).map(whole)
    };
    let of_groups = large.iter().zip(&outcomes[0]);
    let numbers = of_groups.map(|(group, outcome)| number(outcome, group.all().count()));
    let Some(mut numbers) = numbers.collect::<Option<Vec<usize>>>() else {
        return Ok(None);
    };
    for (class, outcome) in whenever.iter().zip(outcomes.iter().skip(1).flatten()) {
        let groups = class.groups.iter().map(|at| large[*at].all().count());
        let Some(all) = number(outcome, groups.sum::<usize>() + class.alone.len()) else {
            return Ok(None);
        };
        let in_groups = all.saturating_sub(class.alone.len());
        share(in_groups, &class.groups, &mut numbers);
    }
    let mut all = few;
    for (group, number) in large.iter().zip(numbers) {
        all.extend(group.rows.iter().cycle().take(number));
    }
    all.sort_unstable();
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::disclosure::profile;
    use crate::disclosure::releases::{Reader, Releases};
    use crate::release::{Lens, Notes};

    fn controlled(rules: &str, releases: &Path) -> Controlled {
        Controlled {
            profile: profile(rules).unwrap(),
            reader: Reader {
                snapshot: "s".into(),
                principal: "ana".into(),
            },
            lens: Lens::default(),
            releases: Arc::new(Releases::open(releases).unwrap()),
            declared: BTreeMap::new(),
            notes: Arc::new(Notes::default()),
            on_release: None,
        }
    }

    #[test]
    fn groups_share_a_number_in_proportion() {
        let of = |all: usize| {
            let mut numbers = [3, 9, 4, 0];
            share(all, &[0, 2, 3], &mut numbers);
            numbers
        };
        assert_eq!(of(7), [3, 9, 4, 0]);
        assert_eq!(of(10), [4, 9, 6, 0]);
        assert_eq!(of(1), [0, 9, 1, 0]);
        assert_eq!(of(0), [0, 9, 0, 0]);
    }

    /// Persons of one outcome and covariate at several times, and one of another covariate.
    #[test]
    fn groups_of_several_times_are_one_whenever_it_was() {
        let columns = [
            vec![1.0, 2.0, 3.0, 1.0, 4.0],
            vec![1.0; 5],
            vec![0.0, 0.0, 1.0, 0.0, 0.0],
        ];
        let group = |rows: &[usize]| Alike {
            rows: rows.to_vec(),
            also: Vec::new(),
        };
        let groups = [group(&[0, 3]), group(&[1]), group(&[2])];
        let found = whenever(1, &columns, &groups, &[4]);
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].groups, &found[0].alone), (&vec![0, 1], &vec![4]));
        assert!(whenever(0, &columns, &groups, &[4]).is_empty());
    }

    /// Twenty persons of each time and outcome, of whom one covariate leaves out three and another one five: groups of the second are
    /// nearly those of the first, and all of one outcome and covariate are as many as they are.
    #[test]
    fn persons_of_another_covariate_are_as_many_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let control = controlled("sacro", &folder.path().join("times"));
        let persons: Vec<i64> = (0..400).collect();
        let column = |value: fn(i64) -> f64| persons.iter().map(|at| value(*at)).collect();
        let time: Vec<f64> = column(|at| (at % 10) as f64);
        let event: Vec<f64> = column(|at| (at / 10 % 2) as f64);
        let first: Vec<f64> = column(|at| f64::from(u8::from(at / 20 < 3)));
        let second: Vec<f64> = column(|at| f64::from(u8::from(at / 20 >= 15)));
        for (covariate, some) in [(first, 30), (second, 50)] {
            let columns = [time.clone(), event.clone(), covariate];
            let rows = as_counted(&control, &persons, 1, &columns)
                .unwrap()
                .unwrap();
            for outcome in [0.0, 1.0] {
                let of = |value: f64| {
                    let own =
                        |row: &&usize| columns[1][**row] == outcome && columns[2][**row] == value;
                    rows.iter().filter(own).count()
                };
                assert_eq!([of(0.0), of(1.0)], [200 - some, some]);
            }
        }
    }

    /// Who knows how many persons there are of each outcome and covariate computes the model, and would see one person more.
    #[test]
    fn a_model_of_counted_persons_is_that_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let desk = |rules: &str, name: &str| controlled(rules, &folder.path().join(name));
        // Sixty and forty persons of two values, and of others in the middle, one by one.
        let of = |persons: i64| {
            if persons < 60 {
                1.0
            } else if persons < 100 {
                0.0
            } else {
                0.5 + (persons - 100) as f64 / 1_000.0
            }
        };
        let model = |control: &Controlled, persons: &[i64]| {
            let values: Vec<f64> = persons.iter().map(|person| of(*person)).collect();
            let columns = [vec![1.0; values.len()], values.clone()];
            let rows = as_counted(control, persons, 0, &columns).unwrap()?;
            let number = |wanted: f64| rows.iter().filter(|row| values[**row] == wanted).count();
            Some([number(1.0), number(0.0), rows.len()])
        };
        let without = |left_out: &[i64]| -> Vec<i64> {
            (0..120)
                .filter(|person| !left_out.contains(person))
                .collect()
        };
        for rules in ["cms", "ohdsi", "sacro"] {
            let control = desk(rules, rules);
            assert_eq!(model(&control, &without(&[7])), Some([59, 40, 119]));
            // With that one, it is the number of before; so it is without another.
            assert_eq!(model(&control, &without(&[])), Some([59, 40, 119]));
            assert_eq!(model(&control, &without(&[7, 8])), Some([59, 40, 119]));
            // So it is with all who are fewer than k. Others have their own.
            assert_eq!(
                model(&control, &without(&[7, 8, 9, 10])),
                Some([59, 40, 119])
            );
            let others: Vec<i64> = (0..40).chain(60..100).collect();
            assert_eq!(model(&control, &others), Some([40, 40, 80]));
            // One who is alone in its value counts with those who are nearest, as many as there were.
            let alone: Vec<i64> = (0..40).chain(60..101).collect();
            assert_eq!(model(&control, &alone), Some([40, 40, 80]));
        }
        // A little of something else in each value, or two values instead of one, and many of them, are no way to be counted as one is.
        for (name, nearly, values) in [
            ("same", 0.0, 200),
            ("nearly", 1e-6, 200),
            ("two", 4.0, 200),
            ("few", 1e-7, 12),
        ] {
            let control = desk("sacro", name);
            let counted = |persons: &[i64]| {
                let value = |at: &i64| (at / 2 % values) as f64 + (at / 400 % 2) as f64 * nearly;
                let event: Vec<f64> = persons.iter().map(|at| (at % 2) as f64).collect();
                let values = persons.iter().map(value).collect();
                let rows = as_counted(&control, persons, 0, &[event, values]).unwrap();
                rows.unwrap().len()
            };
            let all: Vec<i64> = (0..4_400).collect();
            assert_eq!(counted(&all[1..]), 4_399);
            assert_eq!(counted(&all), 4_399, "{name}");
        }
        // Of persons whose number is rounded as many as that says, whoever else there is.
        let control = desk("opensafely", "rounded");
        let less: Vec<i64> = (0..57).chain(62..120).collect();
        assert_eq!(model(&control, &less), Some([55, 40, 115]));
        let more: Vec<i64> = (0..56).chain(62..120).collect();
        assert_eq!(model(&control, &more), Some([55, 40, 115]));
    }
}
