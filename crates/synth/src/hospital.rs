//! One hospital: which human being is behind each patient, and that patient's records.

use crate::SynthOptions;
use crate::admissions;
use crate::chart::Chart;
use crate::disease::{
    History, background, cancer, diabetes, heart_failure, hypertension, infection,
};
use crate::population::{Period, Person};
use crate::records::{DeathRow, PeriodRow, PersonRow, Records};
use crate::rng::{Rng, split_mix};
use crate::treatment;
use crate::truth::Tally;

/// Of two hospitals, one patient in so many is a patient of both.
pub(crate) const SHARED_ONE_IN: u64 = 5;
/// Chance that a hospital holds a visit of a shared patient.
pub(crate) const SHARED_VISIT: f64 = 0.6;

/// A hospital of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hospital {
    /// The run's seed.
    pub(crate) seed: u64,
    /// Hospitals of the run.
    pub(crate) hospitals: u8,
    /// This hospital, from 0.
    pub(crate) number: u8,
    /// Patients of each hospital.
    pub(crate) patients: u64,
    /// The key of the first hospital's first patient.
    pub(crate) first_person_id: i64,
}

impl Hospital {
    /// A hospital of a run.
    pub(crate) fn of(options: &SynthOptions, number: u8) -> Self {
        Self {
            seed: options.seed,
            hospitals: options.hospitals,
            number,
            patients: options.patients,
            first_person_id: options.first_person_id,
        }
    }

    /// The key of this hospital's first patient: the second hospital's follow those of the first.
    pub(crate) fn first_person(&self) -> i64 {
        self.first_person_id + i64::from(self.number) * i64::try_from(self.patients).unwrap_or(0)
    }

    /// The key of a patient by position.
    pub(crate) fn person(&self, position: u64) -> i64 {
        self.first_person() + i64::try_from(position).unwrap_or(0)
    }

    /// The human being behind a position, and whether another hospital knows them too.
    ///
    /// The second hospital holds its shared patients in another order than the first.
    pub(crate) fn identity(&self, position: u64) -> (u64, bool) {
        let own = |hospital: u8, position: u64| {
            let base = u64::try_from(self.first_person_id).unwrap_or(0);
            (u64::from(hospital) << 48) | (base + position)
        };
        if self.hospitals < 2 {
            return (own(0, position), false);
        }
        let at_first = self.at_first(position);
        let shared = at_first.is_multiple_of(SHARED_ONE_IN);
        if shared || self.number == 0 {
            (own(0, at_first), shared)
        } else {
            (own(self.number, position), false)
        }
    }

    /// The position at the first hospital that a position here stands for.
    pub(crate) fn at_first(&self, position: u64) -> u64 {
        if self.number == 0 {
            position
        } else {
            self.reordered(position)
        }
    }

    /// A permutation of positions: multiplication by a number without a common factor.
    fn reordered(&self, position: u64) -> u64 {
        let n = self.patients.max(1);
        let mut step = n * 5 / 8 + 1;
        while gcd(step, n) != 1 {
            step += 1;
        }
        let product = u128::from(position) * u128::from(step) % u128::from(n);
        u64::try_from(product).unwrap_or(0)
    }

    /// Simulates a patient and appends what this hospital holds.
    pub(crate) fn simulate(&self, position: u64, records: &mut Records, tally: &mut Tally) {
        let (identity, shared) = self.identity(position);
        let key = self.person(position);
        let mut rng = Rng::new(&[self.seed, identity]);
        let person = Person::draw(&mut rng);
        let history = History::draw(&mut rng, &person);
        let periods = observed(&person.periods, history.death.map(|(day, _)| day));
        let entry = person.entry();
        let exit = periods.last().map_or(entry, |period| period.end);

        let mut chart = Chart::new(&person, &periods);
        write(&mut chart, &mut rng, &history, exit);
        if !shared {
            tally.add(&person, &history, &periods, &chart);
        }

        records.persons.push(PersonRow {
            person: key,
            identity,
            sex: person.sex,
            birth: person.birth,
            district: person.district,
        });
        for (id, period) in (key * 10..).zip(&periods) {
            records.periods.push(PeriodRow {
                person: key,
                id,
                start: period.start,
                end: period.end,
            });
        }
        if let Some((day, cause)) = history.death
            && periods.last().is_some_and(|period| period.end == day)
        {
            records.deaths.push(DeathRow {
                person: key,
                day,
                cause,
            });
        }
        chart.finish(key, records, |day| {
            !shared || day == entry || holds(identity, self.number, day)
        });
    }
}

/// Everything that is written about a person, in an order that keeps visits within stays apart from others.
fn write(chart: &mut Chart<'_>, rng: &mut Rng, history: &History, exit: i32) {
    let person = chart.person;
    let supply = rng.pick(&[56, 84, 90, 90, 90, 90]);
    let first_prescription_at_entry = history
        .new_use
        .as_ref()
        .is_some_and(|new_use| new_use.index == person.entry());
    if first_prescription_at_entry {
        treatment::first_prescription(chart, rng, history, supply);
    }
    background::first_contact(chart, rng, history);

    let mut cases = infection::draw(rng, person, exit);
    let mut planned = heart_failure::admissions(rng, person, history, exit);
    planned.extend(cancer::admissions(rng, person, history));
    planned.extend(background::admissions(rng, person, history, exit));
    planned.extend(infection::admissions(rng, person, &mut cases));
    admissions::record(chart, rng, history, planned);

    if !first_prescription_at_entry {
        treatment::first_prescription(chart, rng, history, supply);
    }
    diabetes::record(chart, rng, history, exit);
    hypertension::record(chart, rng, history, exit);
    heart_failure::record(chart, rng, history);
    cancer::record(chart, rng, history, exit);
    treatment::record(chart, rng, history, supply, exit);
    background::record(chart, rng, history, exit);
    infection::record(chart, rng, history, &cases);
}

/// The periods up to a death; what follows a death in a gap is gone.
fn observed(periods: &[Period], death: Option<i32>) -> Vec<Period> {
    let death = death.unwrap_or(i32::MAX);
    periods
        .iter()
        .filter(|period| period.start <= death)
        .map(|period| Period {
            start: period.start,
            end: period.end.min(death),
        })
        .collect()
}

/// Whether a hospital holds the visits of a shared patient that began on a day (the first contact is in both).
fn holds(identity: u64, hospital: u8, day: i32) -> bool {
    let day = u64::from(day.unsigned_abs());
    let mut rng = Rng::new(&[split_mix(identity), u64::from(hospital), day]);
    rng.chance(SHARED_VISIT)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_fifth_of_the_patients_is_shared_and_nobody_stands_twice() {
        for patients in [1_u64, 10, 1_000, 1_024] {
            let hospital = |number| Hospital {
                seed: 1,
                hospitals: 2,
                number,
                patients,
                first_person_id: 1,
            };
            let first: HashMap<u64, bool> =
                (0..patients).map(|at| hospital(0).identity(at)).collect();
            let second: HashMap<u64, bool> =
                (0..patients).map(|at| hospital(1).identity(at)).collect();
            assert_eq!(first.len() as u64, patients);
            assert_eq!(second.len() as u64, patients);
            let both = second
                .keys()
                .filter(|identity| first.contains_key(identity))
                .count();
            assert_eq!(both as u64, patients.div_ceil(SHARED_ONE_IN));
            assert_eq!(both, second.values().filter(|shared| **shared).count());
        }
    }
}
