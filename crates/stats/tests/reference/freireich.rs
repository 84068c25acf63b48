//! Freireich's remission times of leukaemia patients (Blood 1963; Cox 1972, table 1).
//!
//! Expected values: R 4.2.2, survival 3.5-3.

use columna_stats::survival::cox::{Cox, Options, Row, Rows, Ties};
use columna_stats::survival::logrank::{self, Weighting};
use columna_stats::survival::{EventTimes, kaplan_meier, nelson_aalen, rmst};
use columna_stats::{Error, Grouped};

/// Weeks in remission on 6-mercaptopurine, and whether remission ended.
pub(crate) const TREATED: [(f64, u32); 21] = [
    (6.0, 1),
    (6.0, 1),
    (6.0, 1),
    (6.0, 0),
    (7.0, 1),
    (9.0, 0),
    (10.0, 1),
    (10.0, 0),
    (11.0, 0),
    (13.0, 1),
    (16.0, 1),
    (17.0, 0),
    (19.0, 0),
    (20.0, 0),
    (22.0, 1),
    (23.0, 1),
    (25.0, 0),
    (32.0, 0),
    (32.0, 0),
    (34.0, 0),
    (35.0, 0),
];
/// The same on placebo.
pub(crate) const PLACEBO: [(f64, u32); 21] = [
    (1.0, 1),
    (1.0, 1),
    (2.0, 1),
    (2.0, 1),
    (3.0, 1),
    (4.0, 1),
    (4.0, 1),
    (5.0, 1),
    (5.0, 1),
    (8.0, 1),
    (8.0, 1),
    (8.0, 1),
    (8.0, 1),
    (11.0, 1),
    (11.0, 1),
    (12.0, 1),
    (12.0, 1),
    (15.0, 1),
    (17.0, 1),
    (22.0, 1),
    (23.0, 1),
];

pub(crate) fn arm(rows: &[(f64, u32)]) -> EventTimes {
    let mut summary = EventTimes::new();
    for (time, status) in rows {
        summary.add(*time, *status).unwrap();
    }
    summary
}

#[test]
fn kaplan_meier_of_the_treated() {
    let curve = kaplan_meier::curve(&arm(&TREATED), &kaplan_meier::Options::default()).unwrap();
    let found: Vec<_> = curve
        .rows
        .iter()
        .filter(|row| row.n_event > 0.0)
        .map(|row| (row.time, row.survival))
        .collect();
    // Cox (1972) and Klein and Moeschberger (2003), table 4.1A, print these to four places.
    let expected = [
        (6.0, 0.857142857142857),
        (7.0, 0.806722689075630),
        (10.0, 0.752941176470588),
        (13.0, 0.690196078431373),
        (16.0, 0.627450980392157),
        (22.0, 0.537815126050420),
        (23.0, 0.448179271708684),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.0, expected.0);
        assert!((found.1 - expected.1).abs() < 1e-14);
    }
    let median = curve.median();
    assert_eq!((median.time, median.lower), (23.0, 16.0));
    assert!(median.upper.is_nan());
}

fn close(found: f64, expected: f64) {
    assert!(
        (found / expected - 1.0).abs() < 1e-13,
        "{found:e}, expected {expected:e}"
    );
}

#[test]
fn nelson_aalen_of_the_treated() {
    let rows =
        nelson_aalen::cumulative_hazard(&arm(&TREATED), &nelson_aalen::Options::default()).unwrap();
    let last = rows.last().unwrap();
    close(last.cumulative_hazard, 0.752113572701808);
    close(last.std_err, 0.2794677466950028);
}

#[test]
fn restricted_means_and_their_difference() {
    let options = rmst::Options::new(23.0);
    let treated = rmst::rmst(&arm(&TREATED), &options).unwrap();
    let placebo = rmst::rmst(&arm(&PLACEBO), &options).unwrap();
    close(treated.estimate, 17.90924369747899);
    close(treated.std_err, 1.55318997824838);
    close(placebo.estimate, 8.66666666666667);
    close(placebo.std_err, 1.37739004126455);
    let difference = rmst::difference(&arm(&TREATED), &arm(&PLACEBO), &options).unwrap();
    close(difference.estimate, 17.90924369747899 - 8.66666666666667);
    close(
        difference.std_err,
        1.55318997824838_f64.hypot(1.37739004126455),
    );
    assert_eq!(
        rmst::rmst(&arm(&TREATED), &rmst::Options::new(36.0)),
        Err(Error::HorizonBeyondData)
    );
    // The placebo curve has reached 0: nothing is added beyond.
    close(
        rmst::rmst(&arm(&PLACEBO), &rmst::Options::new(100.0))
            .unwrap()
            .estimate,
        8.66666666666667,
    );
}

#[test]
fn logrank_tests_of_the_trial() {
    let mut arms = Grouped::<((), &str), EventTimes>::default();
    *arms.entry(((), "6-MP")) = arm(&TREATED);
    *arms.entry(((), "placebo")) = arm(&PLACEBO);
    let logrank = logrank::test(&arms, Weighting::LogRank).unwrap();
    close(logrank.chi_squared, 16.7929409892165);
    close(logrank.groups[0].expected, 19.2505009480311);
    let early = logrank::test(
        &arms,
        Weighting::FlemingHarrington {
            rho: 1.0,
            gamma: 0.0,
        },
    )
    .unwrap();
    close(early.chi_squared, 14.4571508187171);
}

#[test]
fn cox_model_of_the_trial() {
    let mut rows = Rows::new();
    for (arm, placebo) in [(TREATED, 0.0), (PLACEBO, 1.0)] {
        for (time, status) in arm {
            rows.push(&Row::new(time, status == 1, &[placebo])).unwrap();
        }
    }
    let fit = |ties| {
        Cox::fit(
            &rows,
            &Options {
                ties,
                ..Options::default()
            },
        )
        .unwrap()
        .result()
        .clone()
    };
    let efron = fit(Ties::Efron);
    assert!((efron.coefficients[0] - 1.57212514882907).abs() < 1e-9);
    close(efron.log_likelihood_null, -93.1842699968477);
    close(efron.log_likelihood, -85.0084245773717);
    close(efron.score_test.statistic, 17.2465367957166);
    // Cox's own paper reports 1.65 from the exact likelihood, and Breslow's approximation 1.51.
    assert!((fit(Ties::Breslow).coefficients[0] - 1.50919141258588).abs() < 1e-9);
}
