//! Onsets under hazards that are constant between birthdays of an age band and between changes of risk.

use crate::population::{Sex, birthday};
use crate::rng::{Rng, whole};

/// Days of a year, as every rate per person-year here means it.
pub(crate) const DAYS_PER_YEAR: f64 = 365.25;

/// From an age on: cases per 1,000 person-years among men and women, up to the next band.
pub(crate) type Band = (i32, [f64; 2]);

/// A risk from a day on is multiplied by a factor (for good, unless a later change undoes it).
pub(crate) type Change = (i32, f64);

/// The first event after `from` and before `until`, or none.
///
/// The hazard is the rate of the age band (which changes on birthdays) times every change of risk so far.
pub(crate) fn onset(
    rng: &mut Rng,
    birth: i32,
    sex: Sex,
    bands: &[Band],
    changes: &[Change],
    from: i32,
    until: i32,
) -> Option<i32> {
    let mut left = rng.exponential();
    let mut start = f64::from(from);
    while start < f64::from(until) {
        let (rate, mut end) = band_at(birth, sex, bands, start);
        let mut factor = 1.0;
        for (day, change) in changes {
            if f64::from(*day) <= start {
                factor *= change;
            } else {
                end = end.min(f64::from(*day));
            }
        }
        end = end.min(f64::from(until));
        let per_day = rate * factor / 1000.0 / DAYS_PER_YEAR;
        let risk = per_day * (end - start);
        if left < risk {
            return Some(whole(start + left / per_day));
        }
        left -= risk;
        start = end;
    }
    None
}

/// The rate at a time, and the time until which it holds.
fn band_at(birth: i32, sex: Sex, bands: &[Band], time: f64) -> (f64, f64) {
    let mut rate = 0.0;
    for (age, rates) in bands {
        let from = f64::from(birthday(birth, *age));
        if from > time {
            return (rate, from);
        }
        rate = rates[sex.index()];
    }
    (rate, f64::INFINITY)
}

/// The days of a Poisson process with a constant rate per year within `[from, until)`.
pub(crate) fn poisson(
    rng: &mut Rng,
    per_year: f64,
    from: i32,
    until: i32,
    mut event: impl FnMut(&mut Rng, i32),
) {
    if per_year <= 0.0 {
        return;
    }
    let mut time = f64::from(from);
    loop {
        time += rng.exponential() / per_year * DAYS_PER_YEAR;
        if time >= f64::from(until) {
            return;
        }
        event(rng, whole(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onsets_have_the_rate_that_was_asked_for() {
        // 50 per 1,000 person-years from age 40, doubled after ten years: survival is exp(-0.5 - 1.0) after 20 years.
        let bands: &[Band] = &[(0, [0.0, 0.0]), (40, [50.0, 20.0])];
        let birth = -14_610;
        let forty = birthday(birth, 40);
        let changes = [(forty + 3652, 2.0)];
        let n = 20_000_u32;
        let mut rng = Rng::new(&[5]);
        let free = (0..n)
            .filter(|_| {
                onset(
                    &mut rng,
                    birth,
                    Sex::Male,
                    bands,
                    &changes,
                    birth,
                    forty + 7305,
                )
                .is_none()
            })
            .count();
        let expected = (-1.5_f64).exp();
        let error = (expected * (1.0 - expected) / f64::from(n)).sqrt();
        assert!((free as f64 / f64::from(n) - expected).abs() < 4.5 * error);
    }
}
