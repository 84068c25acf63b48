//! At which events of a model over time each of its persons is at risk: all that the model takes of times.
//!
//! Whoever is censored after the last event is at risk at all of them, whenever that was, and nobody sees by a model that times are at
//! another scale. So a model of other times may be the same but for somebody, however many persons have another time. It says
//! something else of as many persons as must be left out of both for the same ones to be at risk at each event: of two persons who are
//! at risk together in one of them only, one.
//!
//! Events say nothing where those who are still at risk have the same covariates: from there on, who has one, and when, is as good.

use super::Error;
use super::beside::{Earlier, New, held_beside};
use super::models::Column;
use super::persons::{Contribution, folded};
use super::sketch::{BUCKETS, Sketch, mixed};
use super::spread::deviation;

/// So many persons of a model are kept, in no order of theirs.
const KEPT: usize = 1 << 16;

/// So often persons are looked at in pairs, in other orders.
const ROUNDS: u64 = 32;

/// Covariates are the same where they differ by no more than this part of their deviation.
const SAME: f64 = 0.02;

/// Whom a model over time has at risk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AtRisk {
    /// How the event and the time are computed.
    name: String,
    /// At how many events each is at risk, as it counts.
    held: Sketch,
    persons: Vec<Person>,
}

/// A person of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Person {
    number: u32,
    /// At how many events it is at risk.
    events: u32,
    has_event: bool,
    /// And that event says something.
    says: bool,
}

/// The events of a model over time.
struct Events {
    /// When those were that say something.
    times: Vec<f64>,
    /// From then on none does.
    end: f64,
}

impl Events {
    fn of(k: u64, event: &[Contribution], covariates: &[Column], time: &[Contribution]) -> Self {
        let end = end(k, event, covariates, time);
        let pairs = event.iter().zip(time);
        let with = pairs.filter(|(event, time)| event.sum > 0.0 && time.sum < end);
        let mut times: Vec<f64> = with.map(|(_, time)| time.sum).collect();
        times.sort_unstable_by(f64::total_cmp);
        Self { times, end }
    }

    /// How many events there are up to a time.
    fn up_to(&self, time: f64) -> usize {
        self.times.partition_point(|event| *event <= time)
    }

    /// At how many events each person is at risk.
    fn of_each(&self, time: &[Contribution]) -> Vec<Contribution> {
        let events = time
            .iter()
            .map(|entry| (entry.person, self.up_to(entry.sum)));
        events
            .map(|(person, events)| Contribution::of(person, events as f64))
            .collect()
    }

    /// A time up to which there are so many events.
    fn after(&self, events: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of events"
        )]
        let events = events.round().max(0.0) as usize;
        let last = events.min(self.times.len()).checked_sub(1);
        // Before the first one, or at it where it is at once.
        last.map_or(0.0, |last| self.times[last])
    }
}

/// The first time from which on all who are at risk have the same covariates, but for fewer than `k` in each.
fn end(k: u64, event: &[Contribution], covariates: &[Column], time: &[Contribution]) -> f64 {
    let few = usize::try_from(k).unwrap_or(usize::MAX);
    let mut order: Vec<usize> = (0..time.len()).collect();
    order.sort_unstable_by(|a, b| time[*b].sum.total_cmp(&time[*a].sum));
    let mut spreads: Vec<Spread> = covariates.iter().map(|of| Spread::of(of, few)).collect();
    let mut end = f64::INFINITY;
    for at_once in order.chunk_by(|a, b| time[*a].sum.total_cmp(&time[*b].sum).is_eq()) {
        for (spread, covariate) in spreads.iter_mut().zip(covariates) {
            let values = at_once.iter().map(|at| covariate.counted[*at].sum);
            values.for_each(|value| spread.add(value));
        }
        if spreads.iter().any(Spread::is_wide) {
            break;
        }
        if at_once.iter().any(|at| event[*at].sum > 0.0) {
            end = time[at_once[0]].sum;
        }
    }
    end
}

/// The smallest and the largest values of a covariate, so many of each.
struct Spread {
    few: usize,
    same: f64,
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Spread {
    fn of(covariate: &Column, few: usize) -> Self {
        Self {
            few,
            same: SAME * deviation(covariate.counted.iter().map(|entry| entry.sum)).0,
            low: Vec::new(),
            high: Vec::new(),
        }
    }

    fn add(&mut self, value: f64) {
        let (low, high) = (&mut self.low, &mut self.high);
        low.insert(low.partition_point(|other| *other <= value), value);
        high.insert(high.partition_point(|other| *other >= value), value);
        low.truncate(self.few);
        high.truncate(self.few);
    }

    /// Not all values are the same, whichever of them are left out that are fewer than so many.
    fn is_wide(&self) -> bool {
        let ends = self.low.iter().zip(self.high.iter().rev());
        self.low.len() == self.few && ends.clone().all(|(low, high)| high - low > self.same)
    }
}

/// The event, the covariates and the time of a model over time.
fn columns_of(columns: &[Column]) -> Option<(&Column, &[Column], &Column)> {
    match columns {
        [event, covariates @ .., time] if time.is_time => Some((event, covariates, time)),
        _ => None,
    }
}

/// At how many events each person of a model over time is at risk, as its times count.
pub(crate) fn events_of_each(k: u64, columns: &[Column]) -> Option<Vec<f64>> {
    let (event, covariates, time) = columns_of(columns)?;
    let events = Events::of(k, &event.own, covariates, &time.counted);
    let each = events.of_each(&time.counted).into_iter();
    Some(each.map(|entry| entry.sum).collect())
}

impl AtRisk {
    /// Of a model of these columns; nothing where it is none over time. Of fewer than `k` persons no event says anything.
    pub(crate) fn of(k: u64, columns: &[Column]) -> Option<Self> {
        let (event, covariates, time) = columns_of(columns)?;
        let events = Events::of(k, &event.own, covariates, &time.own);
        let person = |(event, time): (&Contribution, &Contribution)| Person {
            number: folded(event.person),
            events: u32::try_from(events.up_to(time.sum)).unwrap_or(u32::MAX),
            has_event: event.sum > 0.0,
            says: event.sum > 0.0 && time.sum < events.end,
        };
        let mut persons: Vec<Person> = event.own.iter().zip(&time.own).map(person).collect();
        if persons.len() > KEPT {
            persons.select_nth_unstable_by_key(KEPT, |person| mixed(person.number.into()));
            persons.truncate(KEPT);
        }
        persons.sort_unstable_by_key(|person| person.number);
        let counted = Events::of(k, &event.own, covariates, &time.counted);
        Some(Self {
            name: format!("{} at {}", event.name, time.name),
            held: Sketch::of(&counted.of_each(&time.counted), 0.0),
            persons,
        })
    }

    /// So many persons at least must be left out of both for the same ones to be at risk at each event that says something; looked
    /// for up to as many as are `wanted`.
    fn persons_between(&self, other: &Self, wanted: u64) -> u64 {
        let mut others = other.persons.iter().peekable();
        let mut both: Vec<(Person, Person)> = Vec::new();
        for one in &self.persons {
            while others.next_if(|other| other.number < one.number).is_some() {}
            if let Some(other) = others.next_if(|other| other.number == one.number) {
                both.push((*one, *other));
            }
        }
        let all = both.len();
        both.retain(|(a, b)| (a.has_event || !b.says) && (b.has_event || !a.says));
        let mut between = (all - both.len()) as u64;
        for round in 0..ROUNDS {
            if between >= wanted {
                break;
            }
            both.sort_by_cached_key(|(a, _)| mixed(u64::from(a.number) ^ mixed(round)));
            let mut last = None;
            let mut out = vec![false; both.len()];
            for (at, person) in both.iter().enumerate() {
                if let Some(event) = last
                    && differ(&both[event], person)
                {
                    (out[event], out[at]) = (true, true);
                    between += 1;
                    last = None;
                } else if person.0.says && person.1.says {
                    last = Some(at);
                }
            }
            let mut out = out.into_iter();
            both.retain(|_| out.next() != Some(true));
        }
        between
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.name.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(self.name.as_bytes());
        bytes.extend(self.held.bytes());
        for person in &self.persons {
            bytes.extend(person.number.to_le_bytes());
            let flags = u32::from(person.has_event) << 1 | u32::from(person.says);
            bytes.extend((person.events << 2 | flags).to_le_bytes());
        }
        bytes
    }

    /// Nothing for an empty list, which is none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, Error> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let (length, rest) = bytes.split_first_chunk().ok_or(Error::Damaged)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Error::Damaged)?;
        let (name, rest) = rest.split_at_checked(length).ok_or(Error::Damaged)?;
        let (held, rest) = rest.split_at_checked(16 * BUCKETS).ok_or(Error::Damaged)?;
        let (persons, []) = rest.as_chunks::<8>() else {
            return Err(Error::Damaged);
        };
        let person = |[a, b, c, d, rest @ ..]: &[u8; 8]| {
            let rest = u32::from_le_bytes(*rest);
            Person {
                number: u32::from_le_bytes([*a, *b, *c, *d]),
                events: rest >> 2,
                has_event: rest & 2 != 0,
                says: rest & 1 != 0,
            }
        };
        Ok(Some(Self {
            name: String::from_utf8(name.to_vec()).map_err(|_| Error::Damaged)?,
            held: Sketch::from_bytes(held)?.ok_or(Error::Damaged)?,
            persons: persons.iter().map(person).collect(),
        }))
    }
}

/// Whether they are at risk together, at the event of the first or at that of the second, in one of two models only.
fn differ(event: &(Person, Person), other: &(Person, Person)) -> bool {
    let apart = |event: &(Person, Person), other: &(Person, Person)| {
        let both = |of: fn(&(Person, Person)) -> Person| of(other).events >= of(event).events;
        both(|pair| pair.0) != both(|pair| pair.1)
    };
    apart(event, other) || other.0.says && other.1.says && apart(other, event)
}

/// Whom an earlier model has at risk.
pub(super) struct Known {
    /// Its rows are these by the words of both queries.
    pub(super) by_words: bool,
    pub(super) between: u64,
    pub(super) of: AtRisk,
}

/// Whether a model over time has others at risk than earlier ones of nearly the same persons, or the same by the words of both
/// queries; nobody is at risk at more or fewer events than follows from earlier ones, farther than `k` others are.
pub(super) fn hold(columns: &mut [Column], known: &[Known], k: u64) -> bool {
    let Some(own) = AtRisk::of(k, columns).filter(|_| !known.is_empty()) else {
        return true;
    };
    let is_known = |known: &Known| {
        let same = || known.between > 0 || own.persons_between(&known.of, 1) == 0;
        known.by_words && known.of.name == own.name && same()
    };
    if known.iter().any(is_known) {
        return true;
    }
    let is_new = |known: &Known| own.persons_between(&known.of, k) >= k;
    if !known.iter().all(is_new) {
        return false;
    }
    let Some((event, covariates, time)) = columns_of(columns) else {
        return true;
    };
    let events = Events::of(k, &event.own, covariates, &time.counted);
    let counted = events.of_each(&time.counted);
    let new = New {
        sketch: &own.held,
        held: &own.held,
        counted: &counted,
    };
    let earlier = known.iter().map(|known| Earlier {
        sketch: &known.of.held,
        held: &known.of.held,
        between: known.between,
    });
    let Some(held) = held_beside(new, &earlier.collect::<Vec<_>>(), k) else {
        return false;
    };
    if let Some(time) = columns.last_mut() {
        for ((entry, before), held) in time.counted.iter_mut().zip(&counted).zip(&held) {
            if (held.sum - before.sum).abs() >= 0.5 {
                *entry = Contribution::of(entry.person, events.after(held.sum));
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const PERSONS: u32 = 400;

    fn column(name: &str, value: impl Fn(u32) -> f64, is_time: bool) -> Column {
        let all = (0..PERSONS).map(|at| Contribution::of(at.into(), value(at)));
        let own: Vec<Contribution> = all.collect();
        Column {
            name: name.to_owned(),
            shifted: 0.0,
            counted: own.clone(),
            own,
            is_time,
        }
    }

    fn day(at: u32) -> f64 {
        f64::from(at * 37 % 31)
    }

    fn event(at: u32) -> f64 {
        f64::from(u8::from(at < 300 && at.is_multiple_of(3)))
    }

    /// The last hundred are censored after all events.
    fn time(at: u32) -> f64 {
        match at {
            300.. => 5_000.0 + f64::from(at),
            _ => f64::from(1 + at * 53 % 211),
        }
    }

    fn model(
        event: impl Fn(u32) -> f64,
        covariate: impl Fn(u32) -> f64,
        time: impl Fn(u32) -> f64,
    ) -> Vec<Column> {
        vec![
            column("event", event, false),
            column("covariate", covariate, false),
            column("time", time, true),
        ]
    }

    fn between(one: &[Column], other: &[Column]) -> u64 {
        let of = |columns| AtRisk::of(10, columns).unwrap();
        of(one).persons_between(&of(other), u64::MAX)
    }

    /// Times after the last event, at another scale, and nearer to the next event are the same; so they are but for few, whose
    /// events are before or after those of many others.
    #[test]
    fn times_that_no_model_tells_apart_are_the_same() {
        let plain = model(event, day, time);
        let scaled = model(event, day, |at| time(at).powi(2) + 3.0);
        let last = |at: u32| 900.0 + f64::from(at * 7 % 100);
        let later = move |at: u32| if at >= 300 { last(at) } else { time(at) };
        let few = move |at: u32| if at < 9 { 211.5 - time(at) } else { later(at) };
        for (other, most) in [
            (&scaled, 0),
            (&model(event, day, later), 0),
            (&model(event, day, few), 9),
        ] {
            assert!(between(&plain, other) <= most);
            assert_eq!(between(&plain, other), between(other, &plain));
        }
        assert!(between(&plain, &model(event, day, few)) > 0);
        // Those of many others are other ones.
        let many = |at: u32| if at < 90 { 212.0 - time(at) } else { time(at) };
        assert!(between(&plain, &model(event, day, many)) >= 30);
        let other = |at: u32| event(at + 1);
        assert!(between(&plain, &model(other, day, time)) >= 100);
    }

    /// Events of those who are left at last and have one covariate are as good as none, but for fewer than k.
    #[test]
    fn events_of_whom_nothing_is_said_are_as_good_as_none() {
        for others in [0, 9] {
            let of_last = move |at: u32| if at >= 300 + others { 16.0 } else { day(at) };
            let with =
                |at: u32| event(at).max(f64::from(u8::from(at >= 300 && at.is_multiple_of(2))));
            let [first, second] = [model(event, of_last, time), model(with, of_last, time)];
            assert_eq!(between(&first, &second), 0);
            let [first, second] = [model(event, day, time), model(with, day, time)];
            assert!(between(&first, &second) >= 40);
        }
    }

    /// Of two models whose times differ for many after the last event, the second is not shown, whether or not somebody's differs
    /// before it; one that has others at risk is, and counts as it is.
    #[test]
    fn a_model_that_has_the_same_persons_at_risk_says_nothing() {
        let known = |columns: &[Column]| {
            let of = AtRisk::of(10, columns).unwrap();
            let bytes = of.bytes();
            assert_eq!(AtRisk::from_bytes(&bytes).unwrap().unwrap(), of);
            assert!(AtRisk::from_bytes(&bytes[..bytes.len() - 1]).is_err());
            [Known {
                by_words: true,
                between: 0,
                of,
            }]
        };
        let known = known(&model(event, day, time));
        for with in [false, true] {
            let later = move |at: u32| match at {
                7 if with => 180.0,
                300.. => 900.0 + f64::from(at),
                _ => time(at),
            };
            let mut second = model(event, day, later);
            second[2].name = "another".to_owned();
            assert!(!hold(&mut second, &known, 10), "{with}");
        }
        // By words the same.
        assert!(hold(&mut model(event, day, time), &known, 10));
        // Forty others are at risk at other events, and one at very many more.
        let many = |at: u32| match at {
            260 => 5_000.0,
            60..100 => time(at) + 4.0,
            _ => time(at),
        };
        let mut other = model(event, day, many);
        other[2].name = "another".to_owned();
        let before = other.clone();
        assert!(hold(&mut other, &known, 10));
        let moved: Vec<i64> = other[2]
            .counted
            .iter()
            .zip(&before[2].counted)
            .filter(|(a, b)| a.sum != b.sum)
            .map(|(a, _)| a.person)
            .collect();
        assert!(moved.contains(&260) && moved.len() < 10, "{moved:?}");
    }
}
