use super::*;

/// Answers as the record does: once for nearly the same persons.
#[derive(Default)]
struct Record {
    known: Vec<(BTreeMap<i64, usize>, i64)>,
    new: Vec<(BTreeMap<i64, usize>, i64)>,
}

impl Record {
    fn once(&mut self, halves: [&[i64]; 2], own: i64) -> i64 {
        let of = halves.into_iter().enumerate();
        let of = of.flat_map(|(at, half)| half.iter().map(move |person| (*person, at)));
        let persons: BTreeMap<i64, usize> = of.collect();
        let apart = |other: &BTreeMap<i64, usize>| {
            let differ = |a: &BTreeMap<i64, usize>, b: &BTreeMap<i64, usize>| {
                a.iter()
                    .filter(|(of, half)| b.get(of) != Some(half))
                    .count()
            };
            let elsewhere = other.keys().filter(|of| !persons.contains_key(of)).count();
            differ(&persons, other) + elsewhere
        };
        let known = self.known.iter().filter(|(other, _)| apart(other) < 11);
        let known = known.min_by_key(|(other, _)| apart(other));
        if let Some((_, found)) = known {
            return *found;
        }
        self.new.push((persons, own));
        own
    }

    fn up_to(&mut self, persons: &[(i64, f64)]) -> Vec<(f64, Vec<i64>)> {
        let decide = &mut |halves: [&[i64]; 2], own: i64| {
            Ok::<_, std::convert::Infallible>(self.once(halves, own))
        };
        let Ok(found) = up_to(persons.to_vec(), 11, decide);
        self.known.append(&mut self.new);
        found.until
    }
}

fn times(persons: i64) -> Vec<(i64, f64)> {
    (0..persons)
        .map(|n| (n, (1 + n * 97 % 1500) as f64))
        .collect()
}

/// No end of an interval is a person's: it is the same with one person more, wherever it has its event, and whoever else is there
/// much later.
#[test]
fn one_person_moves_no_step() {
    let lines = |until: &[(f64, Vec<i64>)]| -> Vec<f64> {
        until
            .iter()
            .map(|(end, _)| *end)
            .filter(|end| *end < 2_048.0)
            .collect()
    };
    for persons in [60, 150, 400] {
        let alone = times(persons);
        let later = (1_000..1_020).map(|n| (n, 2_600.0 + n as f64));
        let padded: Vec<(i64, f64)> = alone.iter().copied().chain(later).collect();
        let mut told = 0;
        for time in [0.0, 3.0, 100.0, 512.0, 513.0, 700.0, 1_300.0, 1_499.0] {
            let seen = [false, true].map(|with| {
                let mut record = Record::default();
                let first = record.up_to(&alone);
                let more = padded.iter().copied().chain(with.then_some((999, time)));
                let more: Vec<(i64, f64)> = more.collect();
                (lines(&first), lines(&record.up_to(&more)))
            });
            assert_eq!(seen[0].0, seen[1].0);
            assert!(seen[0].0.len() > 2, "{seen:?}");
            told += usize::from(seen[0].1 != seen[1].1);
        }
        assert_eq!(told, 0, "{persons}");
    }
}

/// What was decided about another time of the same persons parts nothing of this one; what is the same time at another scale is
/// parted as before, and nobody is told apart by it.
#[test]
fn another_time_of_the_same_persons_is_parted_by_itself() {
    // Months that are all in the second half of their interval, and days.
    let months: Vec<(i64, f64)> = (0..400).map(|n| (n, (21 + n % 12) as f64)).collect();
    let days: Vec<(i64, f64)> = (0..400).map(|n| (n, (1 + n * 97 % 31) as f64)).collect();
    let mut record = Record::default();
    assert!(!record.up_to(&months).is_empty());
    assert_eq!(record.up_to(&days), Record::default().up_to(&days));
    // Of ten persons in the second half, or eleven: the ends are those of before.
    let few = |with: bool| -> Vec<(i64, f64)> {
        let late = if with { 11 } else { 10 };
        let of = (0..60).map(|n| (n, if n < late { 20.0 } else { 10.0 }));
        of.collect()
    };
    for scale in [0.5, 2.0, 8.0] {
        let ends = [false, true].map(|with| {
            let mut record = Record::default();
            record.up_to(&few(false));
            let scaled = few(with).into_iter().map(|(n, time)| (n, time * scale));
            let found = record.up_to(&scaled.collect::<Vec<_>>());
            found.iter().map(|(end, _)| *end).collect::<Vec<_>>()
        });
        assert_eq!(ends[0], ends[1], "{scale}");
    }
}

/// Every interval has enough persons, whose times are in it or near it, and together they are all.
#[test]
fn intervals_hold_enough_persons() {
    let all = times(400);
    let until = Record::default().up_to(&all);
    let mut before: &[i64] = &[];
    for (at, (end, persons)) in until.iter().enumerate() {
        assert!(persons.starts_with(before) && persons.len() - before.len() >= 11);
        let wrong = persons
            .iter()
            .filter(|person| all[usize::try_from(**person).unwrap_or(0)].1 > *end);
        assert!(wrong.count() <= 11 * (at + 1), "{end}");
        before = persons;
    }
    assert_eq!(before.len(), 400);
    assert!(until.len() > 12, "{}", until.len());
    // Of few persons there is none, and all at once are one.
    assert!(Record::default().up_to(&times(10)).is_empty());
    let at_once: Vec<(i64, f64)> = (0..30).map(|n| (n, 0.0)).collect();
    assert_eq!(
        Record::default()
            .up_to(&at_once)
            .iter()
            .map(|(end, _)| *end)
            .collect::<Vec<_>>(),
        [0.0]
    );
    let never: Vec<(i64, f64)> = (0..30).map(|n| (n, f64::MAX)).collect();
    assert_eq!(Record::default().up_to(&never).len(), 1);
}

fn course(numbers: &[(f64, Option<f64>)]) -> Course {
    Course::of(numbers.iter().copied())
}

/// Numbers that are withheld are those of before, and the curve ends where few remain.
#[test]
fn steps_are_where_events_are_shown() {
    let events = course(&[
        (8.0, Some(20.0)),
        (16.0, None),
        (32.0, Some(45.0)),
        (64.0, Some(45.0)),
        (128.0, Some(90.0)),
    ]);
    let censored = course(&[(16.0, Some(5.0)), (32.0, Some(15.0))]);
    let (steps, counts) = counted(&[100.0], &[events], &[censored], 10);
    assert_eq!(steps, [8.0, 32.0].map(|time| Step { time }));
    assert_eq!((counts["risk:0:0"], counts["risk:1:0"]), (100.0, 75.0));
    assert_eq!((counts["events:0:0"], counts["events:1:0"]), (20.0, 45.0));
    let few = course(&[(8.0, Some(95.0))]);
    assert!(
        counted(&[100.0], &[few], &[Course::default()], 10)
            .0
            .is_empty()
    );
    // Causes of few persons are none.
    let of = |cause: i64, persons: i64| {
        (0..persons).map(move |person| Follow {
            person,
            time: 1.0,
            cause,
            arm: 0,
        })
    };
    let follows: Vec<Follow> = of(1, 11)
        .chain(of(2, 10))
        .chain(of(0, 40))
        .chain(of(3, 30))
        .collect();
    assert_eq!(causes(&follows, 11), [1, 3]);
}

#[test]
fn estimates_follow_from_what_is_shown() {
    let run = |events: &[[f64; 2]], estimator: Estimator| {
        let events: Vec<Course> = events
            .iter()
            .map(|numbers| course(&[(1.0, Some(numbers[0])), (2.0, Some(numbers[1]))]))
            .collect();
        let (steps, counts) = counted(&[100.0], &events, &[Course::default()], 10);
        let causes: Vec<i64> = (1..).take(events.len()).collect();
        estimated(&causes, &steps, &counts, estimator)
    };
    // By hand: S = (1 - 20/100)(1 - 40/80); F1 = 20/100 + 0.8·20/80, F2 = 0 + 0.8·20/80.
    let two = [[20.0, 60.0]];
    let rows = run(&two, Estimator::KaplanMeier);
    assert!((rows[1].estimate - 0.4).abs() < 1e-12 && rows[1].at_risk == 80.0);
    let rows = run(&[[20.0, 40.0], [0.0, 20.0]], Estimator::AalenJohansen);
    assert!((rows[1].estimate - 0.4).abs() < 1e-12 && (rows[3].estimate - 0.2).abs() < 1e-12);
    let rows = run(&two, Estimator::NelsonAalen);
    assert!((rows[1].estimate - 0.7).abs() < 1e-12);
}

#[test]
fn digits_are_significant_ones() {
    assert_eq!(digits(41.384, 3), 41.4);
    assert_eq!(digits(0.001_234_5, 3), 0.001_23);
    assert_eq!(digits(-98_765.0, 2), -99_000.0);
    assert_eq!(digits(0.0, 3), 0.0);
}
