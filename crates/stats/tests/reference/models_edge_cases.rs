//! Regressions that have no solution, hardly one, or none that can be computed: what is said about each.

#![expect(clippy::excessive_precision, reason = "the digits are R's")]

use columna_stats::models::{
    Coefficient, Family, Frame, Options, Row, Rows, Variance, fit, logistic_regression,
    poisson_regression,
};
use columna_stats::{Error, Summary};

use crate::models_published::{CARS, close, errors, estimates};

/// R: `glm(y ~ x, …, control = glm.control(epsilon = 1e-14, maxit = 100))`: steps that are far from the maximum.
/// Standard errors: from `solve(t(X) %*% (X * V))` with R's variances V at the estimate.
#[test]
fn rows_far_from_the_others() {
    let options = Options {
        max_iterations: 100,
        ..Options::default()
    };
    let x: [&[f64]; 1] = [&[0.0, 1.0, 2.0, 3.0, 30.0]];
    let found =
        poisson_regression::fit(&Frame::new(&[1.0, 3.0, 2.0, 5.0, 1e6], &x), &options).unwrap();
    close(
        &estimates(&found),
        &[0.20746438309299411, 0.45360153868574321],
        1e-9,
    );
    close(
        &errors(&found),
        &[0.323039505212115552, 0.010768042464924046],
        1e-10,
    );
    close(&[found.deviance], &[0.96455541529522704], 1e-8);
    assert_eq!(found.iterations, 5);

    let y = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0];
    let x: [&[f64]; 1] = [&[-1000.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]];
    let found = logistic_regression::fit(&Frame::new(&y, &x), &options).unwrap();
    close(
        &estimates(&found),
        &[0.31241428978129021, -0.0058841817768201547],
        1e-8,
    );
    close(
        &errors(&found),
        &[0.765921094352899012, 0.022092812851367681],
        1e-11,
    );
    close(&[found.deviance], &[9.5885585786932026], 1e-11);
    assert!(found.converged && found.separation.is_none());

    let offset = [5.0, -5.0, 3.0, -3.0, 20.0, -20.0];
    let x: [&[f64]; 1] = [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]];
    let frame = Frame {
        offset: Some(&offset),
        ..Frame::new(&[0.0, 1.0, 0.0, 2.0, 1.0, 4.0], &x)
    };
    let found = poisson_regression::fit(&frame, &options).unwrap();
    close(
        &estimates(&found),
        &[-3.4950523286780628, -2.8914523141687747],
        1e-8,
    );
    close(
        &errors(&found),
        &[2.50174482854458891, 0.50802795171355575],
        1e-11,
    );
    // R holds means above 2.2e-16, which one of these is not, and has 398.9; this is R's arithmetic without that.
    close(&[found.deviance], &[437.31706137521235], 1e-10);
    assert!(found.converged && found.separation.is_none());
}

#[test]
fn a_collinear_column_is_dropped_and_named() {
    let weight = CARS.map(|car| car.0);
    let (power, manual) = (CARS.map(|car| car.1), CARS.map(|car| car.3));
    let both: Vec<f64> = CARS
        .iter()
        .map(|car| 3.0 * car.0 - 0.1 * car.1 + 7.0)
        .collect();
    let constant = [0.1; 32];
    let columns: [&[f64]; 4] = [&weight, &constant, &power, &both];
    let found =
        logistic_regression::fit(&Frame::new(&manual, &columns), &Options::default()).unwrap();
    assert_eq!(
        (found.dropped.as_slice(), found.rank),
        ([2, 4].as_slice(), 3)
    );
    assert!(found.coefficients[2].estimate.is_nan() && found.covariance[4][0].is_nan());
    let kept = [
        found.coefficients[0].estimate,
        found.coefficients[1].estimate,
        found.coefficients[3].estimate,
    ];
    close(
        &kept,
        &[18.866298717204096, -8.083475182444628, 0.036255596082216547],
        1e-9,
    );
    close(&[found.aic], &[16.059110472266987], 1e-12);
}

/// The same cars with weights in other units and horsepower far from zero: nothing overflows, nothing is lost.
#[test]
fn large_numbers_keep_their_digits() {
    let weight = CARS.map(|car| 1e9 * car.0);
    let power: Vec<f64> = CARS.iter().map(|car| 1.7e7 + car.1).collect();
    let manual = CARS.map(|car| car.3);
    let fit = logistic_regression::fit(
        &Frame::new(&manual, &[&weight, &power]),
        &Options::default(),
    )
    .unwrap();
    let slopes = [
        1e9 * fit.coefficients[1].estimate,
        fit.coefficients[2].estimate,
    ];
    close(&slopes, &[-8.083475182444628, 0.036255596082216547], 1e-8);
    close(&[fit.deviance], &[10.059110472266989], 1e-10);
    let huge = CARS.map(|car| 1e200 * car.0);
    assert_eq!(
        logistic_regression::fit(&Frame::new(&manual, &[&huge]), &Options::default()).unwrap_err(),
        Error::CovariateOutOfRange
    );
}

#[test]
fn perfect_and_partial_separation_are_told() {
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let noise = [0.3, -0.2, 0.4, 0.1, -0.5, 0.2, 0.0, 0.1];
    let y = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let fit =
        logistic_regression::fit(&Frame::new(&y, &[&x, &noise]), &Options::default()).unwrap();
    let separation = fit.separation.unwrap();
    assert!(separation.complete);
    assert_eq!(separation.terms, [0, 1, 2]);
    assert!(!fit.converged && fit.deviance < 1e-6);
    // All of a group have the event; the rest is mixed.
    let group = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    let age = [4.0, 1.0, 3.0, 2.0, 6.0, 5.0, 3.0, 2.0];
    let y = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    let fit =
        logistic_regression::fit(&Frame::new(&y, &[&age, &group]), &Options::default()).unwrap();
    let separation = fit.separation.unwrap();
    assert!(!separation.complete);
    assert_eq!(separation.terms, [2]);
    // The age effect is that of the others alone.
    let alone =
        logistic_regression::fit(&Frame::new(&y[..6], &[&age[..6]]), &Options::default()).unwrap();
    close(
        &[fit.coefficients[1].estimate],
        &[alone.coefficients[1].estimate],
        1e-6,
    );
    assert!(alone.separation.is_none() && alone.converged);
    // Nobody has the event.
    let none = logistic_regression::fit(&Frame::new(&[0.0; 6], &[&age[..6]]), &Options::default())
        .unwrap();
    assert_eq!(none.separation.unwrap().terms, [0, 1]);
    assert_eq!(none.null_deviance, 0.0);
    // A group without events.
    let counts = [2.0, 1.0, 0.0, 3.0, 1.0, 4.0, 0.0, 0.0];
    let fit = poisson_regression::fit(&Frame::new(&counts, &[&age, &group]), &Options::default())
        .unwrap();
    assert_eq!(fit.separation.unwrap().terms, [2]);
}

/// A level without events among a thousand rows. R 4.2.2: `glm(y ~ x + g, family, subset = h == 0, control =
/// glm.control(epsilon = 1e-16, maxit = 100))`, to which the model with all rows tends; with `B <- summary(f)$cov.unscaled`
/// and the scores `s <- residuals(f, "working") * weights(f, "working") * model.matrix(f)`, the roots of the diagonals of
/// B, of `B %*% crossprod(s) %*% B` and, with `s <- rowsum(s, cluster)`, of that times 50 / 49.
#[test]
fn a_level_without_events_leaves_the_others_their_errors() {
    type Expected = (Family, u32, [[f64; 3]; 4]);
    let expected: [Expected; 4] = [
        (
            Family::Binomial,
            1,
            [
                [
                    -0.351929539032887873,
                    -0.025220221785570474,
                    -0.0063095935668448285,
                ],
                [
                    0.078703467027799873,
                    0.110336154789868246,
                    0.1363687369329940058,
                ],
                [
                    0.078708065538318092,
                    0.110173441126162577,
                    0.1363589514900688804,
                ],
                [
                    0.034425581230401445,
                    0.104556006100024884,
                    0.0520602661734928807,
                ],
            ],
        ),
        (
            Family::Binomial,
            30,
            [
                [
                    -0.350270428684432145,
                    -0.025606342664231597,
                    -0.011819155141680665,
                ],
                [
                    0.079901103898695064,
                    0.111904802964754566,
                    0.138347061268358607,
                ],
                [
                    0.079901827188000471,
                    0.111714774072750836,
                    0.138345360482053231,
                ],
                [
                    0.040306548656820908,
                    0.106627299679682111,
                    0.057717901245447636,
                ],
            ],
        ),
        (
            Family::Poisson,
            1,
            [
                [
                    0.371831780333455209,
                    0.013071339209821399,
                    5.8236913528889751e-05,
                ],
                [
                    0.032175416142208681,
                    0.045097609637488885,
                    5.5728185228433959e-02,
                ],
                [
                    0.029441369000613147,
                    0.041296561738234969,
                    5.0994992710554840e-02,
                ],
                [
                    0.013628930436870964,
                    0.042994869753933920,
                    2.4630959122557909e-02,
                ],
            ],
        ),
        (
            Family::Poisson,
            30,
            [
                [
                    0.373954511009515045,
                    0.015274341140039532,
                    0.00020732732387576154,
                ],
                [
                    0.032635169872144459,
                    0.045688200842932819,
                    0.05646424695041137726,
                ],
                [
                    0.029821724689752881,
                    0.041882897998086782,
                    0.05173422027740063461,
                ],
                [
                    0.015511105354185291,
                    0.044229317098057615,
                    0.02493783512347026374,
                ],
            ],
        ),
    ];
    let column = |of: fn(u32) -> u32| (0..1000).map(|row| f64::from(of(row))).collect::<Vec<_>>();
    let x: Vec<f64> = (0..1000_u32)
        .map(|row| f64::from(row * 7919 % 101) / 50.0 - 1.0)
        .collect();
    let g = column(|row| u32::from(row % 3 == 0));
    let clusters: Vec<u64> = (0..1000).map(|row| row % 50).collect();
    for (family, size, [coefficients, model, robust, clustered]) in expected {
        let of = match family {
            Family::Binomial => column(|row| u32::from(row * 31337 % 97 < 40)),
            Family::Poisson => column(|row| row * 31337 % 97 / 25),
        };
        let h: Vec<f64> = (0..1000).map(|row| f64::from(row < size)).collect();
        let others: Vec<f64> = h.iter().map(|h| 1.0 - h).collect();
        let y: Vec<f64> = of.iter().zip(&others).map(|(y, other)| y * other).collect();
        for (variance, errors) in [
            (Variance::Robust, robust),
            (Variance::Clustered { adjusted: true }, clustered),
        ] {
            let options = Options {
                variance,
                ..Options::default()
            };
            // The level is a term, or the reference: the constant is then that of the rows without events.
            for (level, terms, first) in [(&h, [3].as_slice(), 0), (&others, &[0, 3], 1)] {
                let columns: [&[f64]; 3] = [&x, &g, level];
                let frame = Frame {
                    clusters: Some(&clusters),
                    ..Frame::new(&y, &columns)
                };
                let found = fit(family, &frame, &options).unwrap();
                let separation = found.separation.unwrap();
                assert_eq!(
                    (separation.complete, separation.terms.as_slice()),
                    (false, terms)
                );
                let finite = &found.coefficients[first..3];
                let numbers =
                    |of: fn(&Coefficient) -> f64| finite.iter().map(of).collect::<Vec<_>>();
                close(&numbers(|term| term.estimate), &coefficients[first..], 1e-8);
                close(&numbers(|term| term.std_err), &model[first..], 1e-9);
                let found = numbers(|term| term.robust_std_err.unwrap_or(f64::NAN));
                close(&found, &errors[first..], 1e-9);
            }
        }
    }
}

#[test]
fn few_rows() {
    let one = logistic_regression::fit(&Frame::new(&[1.0], &[]), &Options::default()).unwrap();
    assert!(one.separation.is_some());
    let none = logistic_regression::fit(&Frame::new(&[], &[&[]]), &Options::default());
    assert_eq!(none.unwrap_err(), Error::NoRows);
    let zero = Frame {
        weights: Some(&[0.0, 0.0]),
        ..Frame::new(&[1.0, 0.0], &[])
    };
    assert_eq!(
        logistic_regression::fit(&zero, &Options::default()).unwrap_err(),
        Error::NoRows
    );
    let constant =
        logistic_regression::fit(&Frame::new(&[1.0, 0.0, 0.0], &[]), &Options::default()).unwrap();
    close(&estimates(&constant), &[0.5_f64.ln()], 1e-12);
    close(&[constant.deviance], &[constant.null_deviance], 1e-12);
}

#[test]
fn what_is_refused() {
    let refused = |frame: Frame<'_>, family| fit(family, &frame, &Options::default()).unwrap_err();
    let x: [&[f64]; 1] = [&[1.0, 2.0, 4.0]];
    let y = [1.0, 0.0, 1.0];
    assert_eq!(
        refused(Frame::new(&[1.0, 0.0, 2.0], &x), Family::Binomial),
        Error::InvalidBinaryOutcome
    );
    assert_eq!(
        refused(Frame::new(&[1.0, 0.0, f64::NAN], &x), Family::Binomial),
        Error::InvalidBinaryOutcome
    );
    assert_eq!(
        refused(Frame::new(&[1.0, 0.0, -2.0], &x), Family::Poisson),
        Error::InvalidCount
    );
    assert_eq!(
        refused(Frame::new(&y, &[&[1.0, 2.0]]), Family::Poisson),
        Error::UnequalColumns
    );
    assert_eq!(
        refused(
            Frame::new(&y, &[&[1.0, f64::INFINITY, 2.0]]),
            Family::Poisson
        ),
        Error::NonFiniteCovariate
    );
    let weighted = Frame {
        weights: Some(&[1.0, -1.0, 1.0]),
        ..Frame::new(&y, &x)
    };
    assert_eq!(refused(weighted, Family::Binomial), Error::InvalidWeight);
    let shifted = Frame {
        offset: Some(&[1.0, f64::NAN, 1.0]),
        ..Frame::new(&y, &x)
    };
    assert_eq!(refused(shifted, Family::Poisson), Error::NonFiniteCovariate);
    let clustered = Options {
        variance: Variance::Clustered { adjusted: true },
        ..Options::default()
    };
    assert_eq!(
        fit(Family::Poisson, &Frame::new(&y, &x), &clustered).unwrap_err(),
        Error::NoClusters
    );
    let mut rows = Rows::new();
    rows.push(&Row::new(1.0, &[1.0])).unwrap();
    assert_eq!(rows.push(&Row::new(1.0, &[])), Err(Error::UnequalTerms));
    let mut others = Rows::new();
    others.push(&Row::new(1.0, &[1.0, 2.0])).unwrap();
    rows.merge(others);
    assert_eq!(rows.with_frame(|_| Ok(())), Err(Error::UnequalTerms));
}
