//! What must hold for any rows: parts make the whole, and the order of rows does not matter.

use columna_stats::causal::balance::Balance;
use columna_stats::causal::outcome::WeightedOutcomes;
use columna_stats::causal::weighting::Weights;
use columna_stats::models::{
    Answer, Family, Fit, Fitting, Frame, Moments, Options, Point, Question, Row, Rows, Step,
    Variance, fit,
};
use columna_stats::{Result, Summary};
use proptest::prelude::*;

/// Outcome, two covariates, weight, offset, cluster.
type Line = (u8, i8, i8, u8, i8, u8);

fn rows(lines: &[Line], family: Family) -> Rows {
    let mut rows = Rows::new();
    for (y, a, b, weight, offset, cluster) in lines {
        let outcome = match family {
            Family::Binomial => f64::from(y % 2),
            Family::Poisson => f64::from(y % 7),
        };
        let covariates = [f64::from(*a) / 16.0, 2000.0 + f64::from(*b) / 8.0];
        let row = Row {
            weight: f64::from(weight % 4) / 2.0 + 0.25,
            offset: f64::from(*offset) / 100.0,
            cluster: Some(u64::from(cluster % 9)),
            ..Row::new(outcome, &covariates)
        };
        rows.push(&row).unwrap();
    }
    rows
}

fn fitted(rows: &Rows, family: Family, variance: Variance) -> Result<Fit> {
    rows.with_frame(|frame| {
        fit(
            family,
            frame,
            &Options {
                variance,
                ..Options::default()
            },
        )
    })
}

/// Relative to the size of the largest number of its kind.
fn agree(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    let scale = a
        .iter()
        .chain(b)
        .fold(f64::MIN_POSITIVE, |largest: f64, x| largest.max(x.abs()));
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| (a - b).abs() <= tolerance * scale)
}

fn numbers(step: &Step) -> Vec<f64> {
    let parts = step.to_parts();
    [
        vec![parts.rows as f64, parts.log_likelihood, parts.saturated],
        parts.score,
        parts.information,
    ]
    .concat()
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    prop::collection::vec(any::<Line>(), 40..160)
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Binomial), Just(Family::Poisson)]
}

/// Each part's answers go to the fit and its questions to the parts, as the numbers that travel.
fn fitted_by_passes(parts: &[Rows], family: Family, options: &Options) -> Result<Fit> {
    let mut fitting = Fitting::new(family, options.clone())?;
    while let Some(question) = fitting.question() {
        let sent = question.to_numbers().unwrap();
        let mut all = Answer::default();
        for part in parts {
            let question = Question::from_numbers(family, &sent)?;
            let answer = part.with_frame(|frame| question.answer(frame, 0..frame.rows()))?;
            all.merge(Answer::from_numbers(&answer.to_numbers())?);
        }
        fitting.take(all)?;
    }
    fitting.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn passes_that_travel_give_the_fit(lines in lines(), family in family(), cut in 1_usize..39, robust: bool) {
        let variance = if robust { Variance::Robust } else { Variance::Model };
        let options = Options { variance, ..Options::default() };
        let parts = [rows(&lines[..cut], family), rows(&lines[cut..], family)];
        let whole = fitted(&rows(&lines, family), family, variance);
        match (whole, fitted_by_passes(&parts, family, &options)) {
            (Ok(whole), Ok(found)) => {
                assert_eq!(found.separation, whole.separation);
                assert_eq!(found.dropped, whole.dropped);
                if whole.separation.is_none() {
                    let numbers = |fit: &Fit| -> Vec<f64> {
                        let kept = fit.coefficients.iter().filter(|c| !c.estimate.is_nan());
                        kept.flat_map(|c| [c.estimate, c.std_err, c.robust_std_err.unwrap_or(0.0)]).collect()
                    };
                    assert!(agree(&numbers(&found), &numbers(&whole), 1e-9));
                }
                assert!(agree(&[found.log_likelihood, found.deviance], &[whole.log_likelihood, whole.deviance], 1e-10));
            }
            (whole, found) => assert_eq!(whole.err(), found.err()),
        }
    }

    #[test]
    fn steps_of_parts_make_the_step_of_the_whole(lines in lines(), family in family(), cut in 1_usize..39, started: bool) {
        rows(&lines, family).with_frame(|frame| {
            let n = lines.len();
            let moments = Moments::of(frame, family, 0..n)?;
            assert!(!moments.is_empty());
            let at = Point {
                family,
                intercept: true,
                centre: vec![0.0, 2000.0],
                coefficients: started.then(|| vec![0.1, -0.2, 0.05]),
            };
            let of = |begin: usize, end: usize| Step::of(frame, &at, begin..end);
            let whole = of(0, n);
            // (a b) c, c (b a), a (b c), and the empty summary.
            let mut left = of(0, cut);
            left.merge(of(cut, n / 2 + 20));
            left.merge(of(n / 2 + 20, n));
            let mut right = of(cut, n / 2 + 20);
            right.merge(of(n / 2 + 20, n));
            let mut last = of(0, cut);
            last.merge(right);
            let mut backwards = of(n / 2 + 20, n);
            backwards.merge(Step::default());
            backwards.merge(of(cut, n / 2 + 20));
            backwards.merge(of(0, cut));
            for found in [&left, &last, &backwards] {
                assert!(agree(&numbers(found), &numbers(&whole), 1e-12));
            }
            Ok(())
        }).unwrap();
    }

    #[test]
    fn moments_merge_and_rows_may_come_in_any_order(lines in lines(), family in family(), cut in 1_usize..39) {
        let whole = fitted(&rows(&lines, family), family, Variance::Clustered { adjusted: true });
        let mut shuffled = lines.clone();
        shuffled.rotate_left(cut);
        shuffled.reverse();
        let mut parts = rows(&shuffled[cut..], family);
        parts.merge(rows(&shuffled[..cut], family));
        parts.merge(Rows::default());
        let found = fitted(&parts, family, Variance::Clustered { adjusted: true });
        match (whole, found) {
            (Ok(whole), Ok(found)) => {
                prop_assert_eq!(&whole.dropped, &found.dropped);
                prop_assert_eq!(whole.separation.is_some(), found.separation.is_some());
                if whole.converged && whole.extreme == 0 {
                    let of = |fit: &Fit, of: fn(&columna_stats::models::Coefficient) -> f64| {
                        fit.coefficients.iter().map(of).filter(|x| !x.is_nan()).collect::<Vec<_>>()
                    };
                    // An estimate of nearly 0 has the digits of its standard error, not of its own size.
                    let numbers = |fit: &Fit| [of(fit, |c| c.estimate), of(fit, |c| c.std_err)].concat();
                    prop_assert!(agree(&numbers(&whole), &numbers(&found), 1e-12));
                    prop_assert!(agree(&of(&whole, |c| c.std_err), &of(&found, |c| c.std_err), 1e-12));
                    let robust = |c: &columna_stats::models::Coefficient| c.robust_std_err.unwrap_or(f64::NAN);
                    prop_assert!(agree(&of(&whole, robust), &of(&found, robust), 1e-11));
                    prop_assert!(agree(&[whole.deviance], &[found.deviance], 1e-12));
                }
            }
            (whole, found) => prop_assert_eq!(whole.err(), found.err()),
        }
    }

    #[test]
    fn balance_and_outcomes_merge(values in prop::collection::vec((any::<i16>(), any::<bool>(), 0_u8..9), 3..80), cut in 0.0..1.0) {
        let of = |part: &[(i16, bool, u8)]| {
            let (mut balance, mut outcomes) = (Balance::default(), WeightedOutcomes::default());
            let mut weights = Weights::default();
            for (value, treated, weight) in part {
                balance.add(1000.0 + f64::from(*value) / 64.0, *treated, f64::from(*weight) / 4.0).unwrap();
                outcomes.add(f64::from(*value) / 64.0, *treated, f64::from(*weight) / 4.0).unwrap();
                weights.add(f64::from(*weight) / 4.0).unwrap();
            }
            (balance, outcomes, weights)
        };
        let cut = (values.len() as f64 * cut) as usize;
        let whole = of(&values);
        let (mut left, mut right) = (of(&values[..cut]), of(&values[cut..]));
        let swapped = (of(&values[..cut]), of(&values[cut..]));
        left.0.merge(swapped.1.0);
        left.1.merge(swapped.1.1);
        left.2.merge(swapped.1.2);
        right.0.merge(swapped.0.0);
        right.1.merge(swapped.0.1);
        right.2.merge(swapped.0.2);
        for found in [left, right] {
            prop_assert_eq!(found.2, whole.2);
            let numbers = |x: &(Balance, WeightedOutcomes, Weights)| {
                let outcome = x.1.compare(0.95).unwrap();
                [x.0.means().0, x.0.means().1, x.0.pooled_sd(), outcome.difference.value, outcome.difference_std_err]
            };
            for (found, whole) in numbers(&found).iter().zip(numbers(&whole)) {
                let equal = found.is_nan() && whole.is_nan() || found == &whole;
                prop_assert!(equal || (found - whole).abs() <= 1e-12 * whole.abs().max(1000.0), "{found} {whole}");
            }
        }
    }
}

/// The number of threads and the size of parts do not change a bit.
#[test]
fn threads_do_not_matter() {
    let n = 50_000_i64;
    let x: Vec<f64> = (0..n)
        .map(|row| ((row * 7919) % 1009) as f64 / 100.0)
        .collect();
    let y: Vec<f64> = (0..n)
        .map(|row| {
            f64::from(u8::from(
                (row * 104_729) % 977 < 300 + (row * 7919) % 1009 / 5,
            ))
        })
        .collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let columns: [&[f64]; 1] = [&x];
        let fit = pool
            .install(|| {
                fit(
                    Family::Binomial,
                    &Frame::new(&y, &columns),
                    &Options::default(),
                )
            })
            .unwrap();
        (fit.coefficients, fit.log_likelihood, fit.covariance)
    };
    assert_eq!(run(1), run(3));
}
