//! Standard populations by age, in bands of the study's own.
//!
//! World: Ahmad et al., WHO GPE Discussion Paper 31 (2001), average world population 2000 to 2025, in percent.
//! European: Eurostat, Revision of the European Standard Population (2013), per 100,000.

use crate::spec::RateStandard;

/// Five-year bands from 0 on; the last is 85 and over.
const WORLD: [f64; 18] = [
    8.86, 8.69, 8.60, 8.47, 8.22, 7.93, 7.61, 7.15, 6.59, 6.04, 5.37, 4.55, 3.72, 2.96, 2.21, 1.52,
    0.91, 0.635,
];
const EUROPEAN: [f64; 18] = [
    5000.0, 5500.0, 5500.0, 5500.0, 6000.0, 6000.0, 6500.0, 7000.0, 7000.0, 7000.0, 7000.0, 6500.0,
    6000.0, 5500.0, 5000.0, 4000.0, 2500.0, 2500.0,
];

/// How much of the standard population is in each band; the bands begin at `ages`. The last five-year band is
/// taken to be as wide as the others.
pub(crate) fn shares(standard: RateStandard, ages: &[i64]) -> Option<Vec<f64>> {
    let table = match standard {
        RateStandard::World => &WORLD,
        RateStandard::European => &EUROPEAN,
        RateStandard::Internal => return None,
    };
    let mut shares = vec![0.0; ages.len()];
    for (five, weight) in (0_i64..).step_by(5).zip(table) {
        for year in five..five + 5 {
            if let Some(band) = ages.partition_point(|age| *age <= year).checked_sub(1) {
                shares[band] += weight / 5.0;
            }
        }
    }
    Some(shares)
}

/// Its name.
pub(crate) fn words(standard: RateStandard) -> &'static str {
    match standard {
        RateStandard::World => "the WHO world population of 2000 to 2025",
        RateStandard::European => "the European standard population of 2013",
        RateStandard::Internal => "the person-time of the study itself",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_of_the_study_take_all_of_the_standard() {
        let ages = [0, 20, 40, 50, 60, 70];
        let european = shares(RateStandard::European, &ages).unwrap_or_default();
        assert!((european.iter().sum::<f64>() - 100_000.0).abs() < 1e-6);
        assert!((european[0] - 21_500.0).abs() < 1e-9);
        assert!((european[5] - 14_000.0).abs() < 1e-9);
        // From 18 on: two fifths of 15 to 19, and nobody below.
        let adults = shares(RateStandard::World, &[18, 65]).unwrap_or_default();
        assert!((adults[0] + adults[1] - (100.035 - 8.86 - 8.69 - 8.60 - 8.47 * 0.6)).abs() < 1e-9);
    }
}
