//! Death: Gompertz by sex with relative risks of chronic disease, and causes of their own beside it.
//!
//! The hazard per year at age x is `level · exp(slope · x)` times the relative risks so far. The parameters are ours,
//! chosen near Korean life tables of the years around 2020 once the relative risks are in: without disease a man of
//! 60 has a hazard of 6 and of 80 one of 45 in 1,000 a year, a woman 2.5 and 24.

use crate::hazard::{Change, DAYS_PER_YEAR};
use crate::population::Sex;
use crate::rng::{Rng, whole};

/// Gompertz parameters of a sex: hazard per year at age 0, and increase per year of age.
pub(crate) const fn gompertz(sex: Sex) -> (f64, f64) {
    match sex {
        Sex::Male => (1.5e-5, 0.100),
        Sex::Female => (2.8e-6, 0.113),
    }
}

/// The day of death from the Gompertz hazard in `[from, until)`, or none. Changes need not be in order.
pub(crate) fn death(
    rng: &mut Rng,
    birth: i32,
    sex: Sex,
    changes: &mut [Change],
    from: i32,
    until: i32,
) -> Option<i32> {
    changes.sort_by_key(|(day, _)| *day);
    let (level, slope) = gompertz(sex);
    let age = |day: f64| (day - f64::from(birth)) / DAYS_PER_YEAR;
    let mut left = rng.exponential();
    let mut start = f64::from(from);
    let mut factor = 1.0;
    let mut next = changes.iter().peekable();
    loop {
        while let Some((_, change)) = next.next_if(|(day, _)| f64::from(*day) <= start) {
            factor *= change;
        }
        let end = next.peek().map_or(f64::from(until), |(day, _)| {
            f64::from(*day).min(f64::from(until))
        });
        let scale = factor * level / slope;
        let begin = (slope * age(start)).exp();
        let risk = scale * ((slope * age(end)).exp() - begin);
        if left < risk {
            let at = (left / scale + begin).ln() / slope;
            return Some(whole(f64::from(birth) + at * DAYS_PER_YEAR).clamp(from, until - 1));
        }
        left -= risk;
        start = end;
        if start >= f64::from(until) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survival_follows_the_gompertz_law() {
        let (level, slope) = gompertz(Sex::Male);
        let birth = -20_000;
        let from = birth + 25_567; // 70 years
        let until = from + 3652;
        let expected = (-2.0 * level / slope
            * ((slope * 79.9986_f64).exp() - (slope * 69.9986_f64).exp()))
        .exp();
        let n = 20_000_u32;
        let mut rng = Rng::new(&[9]);
        let alive = (0..n)
            .filter(|_| {
                death(&mut rng, birth, Sex::Male, &mut [(birth, 2.0)], from, until).is_none()
            })
            .count();
        let error = (expected * (1.0 - expected) / f64::from(n)).sqrt();
        assert!((alive as f64 / f64::from(n) - expected).abs() < 4.5 * error);
    }
}
