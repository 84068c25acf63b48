//! The distributions of the noise, and an estimate of epsilon from outside.
//!
//! These tests draw from the operating system's generator, so that they may fail by chance. Each states how often:
//! all of them together reject right samplers less than once in a hundred million runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::gaussian::{Variance, discrete_gaussian};
use super::laplace::discrete_laplace;
use super::random::Random;

/// Pearson's chi-square of draws in −`reach`..=`reach`, with one cell for each tail, against probabilities.
fn chi_square(draws: &[i128], reach: i128, probability: impl Fn(i128) -> f64) -> (f64, f64) {
    let cells = usize::try_from(2 * reach + 3).unwrap();
    let mut observed = vec![0.0; cells];
    for draw in draws {
        let cell = (draw.clamp(&(-reach - 1), &(reach + 1)) + reach + 1) as usize;
        observed[cell] += 1.0;
    }
    let far = 60 * reach;
    let tail: f64 = (reach + 1..far).map(&probability).sum();
    let mut statistic = 0.0;
    for (cell, count) in observed.iter().enumerate() {
        let x = cell as i128 - reach - 1;
        let p = if x.abs() > reach {
            tail
        } else {
            probability(x)
        };
        let expected = p * draws.len() as f64;
        assert!(expected > 20.0, "cells must be large enough for the test");
        statistic += (count - expected).powi(2) / expected;
    }
    (statistic, (cells - 1) as f64)
}

/// The quantile of chi-square that a right sampler passes with probability 1 − 1e-9 (Wilson and Hilferty 1931).
fn limit(df: f64) -> f64 {
    let z = 5.998;
    let a = 2.0 / (9.0 * df);
    df * (1.0 - a + z * a.sqrt()).powi(3)
}

#[test]
fn discrete_laplace_has_its_distribution() {
    let mut random = Random::default();
    for (numerator, denominator, reach) in [(1, 1, 5), (7, 2, 14), (1, 3, 1)] {
        let draws: Vec<i128> = (0..100_000)
            .map(|_| discrete_laplace(&mut random, numerator, denominator).unwrap())
            .collect();
        let q = (-(denominator as f64) / numerator as f64).exp();
        let (statistic, df) = chi_square(&draws, reach, |x| {
            (1.0 - q) / (1.0 + q) * q.powi(i32::try_from(x.abs()).unwrap())
        });
        assert!(
            statistic < limit(df),
            "{numerator}/{denominator}: {statistic} on {df}"
        );
    }
}

#[test]
fn discrete_gaussian_has_its_distribution() {
    let mut random = Random::default();
    for (rho, reach) in [(0.5, 2), (0.02, 12), (0.125, 5)] {
        let variance = Variance::for_rho(1.0, rho).unwrap();
        let draws: Vec<i128> = (0..60_000)
            .map(|_| discrete_gaussian(&mut random, variance).unwrap())
            .collect();
        let density = |x: i128| (-(x as f64).powi(2) / (2.0 * variance.sigma().powi(2))).exp();
        let total: f64 = (-2000..=2000).map(density).sum();
        let (statistic, df) = chi_square(&draws, reach, |x| density(x) / total);
        assert!(statistic < limit(df), "rho {rho}: {statistic} on {df}");
    }
}

#[test]
fn large_noise_keeps_its_spread() {
    // σ = 2^20: far beyond the cells of a chi-square. The mean square has a relative error of sqrt(2/n); six of
    // those are exceeded once in 5e8 runs.
    let mut random = Random::default();
    let variance = Variance::for_rho(2.0, 1.0 / f64::from(1_u32 << 20).powi(2)).unwrap();
    let n = 4_000;
    let mean_square: f64 = (0..n)
        .map(|_| (discrete_gaussian(&mut random, variance).unwrap() as f64).powi(2))
        .sum::<f64>()
        / f64::from(n);
    let ratio = mean_square / variance.sigma().powi(2);
    assert!(
        (ratio - 1.0).abs() < 6.0 * (2.0 / f64::from(n)).sqrt(),
        "{ratio}"
    );
}

/// The largest log-ratio of events' frequencies on two neighbouring counts, from below with confidence: each
/// frequency is moved by five standard errors to the mechanism's favour, over 20 events (false alarm below 2e-5
/// times the slack of 1e-4 that right mechanisms leave; none was seen in a thousand runs).
fn epsilon_from_outside(draw: impl Fn(&mut Random) -> i128, runs: u32) -> f64 {
    let mut random = Random::default();
    let here: Vec<i128> = (0..runs).map(|_| draw(&mut random)).collect();
    let there: Vec<i128> = (0..runs).map(|_| 1 + draw(&mut random)).collect();
    let share = |draws: &[i128], at: i128| {
        draws.iter().filter(|draw| **draw <= at).count() as f64 / f64::from(runs)
    };
    let error = |p: f64| 5.0 * (p * (1.0 - p) / f64::from(runs)).sqrt();
    (-10..=10)
        .map(|at| {
            let (p, q) = (share(&here, at), share(&there, at));
            let (low, high) = (p - error(p), q + error(q));
            if low > 0.0 {
                (low / high).ln()
            } else {
                f64::NEG_INFINITY
            }
        })
        .fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn epsilon_estimated_on_neighbours_is_the_declared_one() {
    let declared = 1.0;
    let estimate = epsilon_from_outside(|random| discrete_laplace(random, 1, 1).unwrap(), 100_000);
    assert!(
        estimate <= declared,
        "{estimate} exceeds the declared epsilon"
    );
    // And the test can fail: it sees nearly all of the epsilon there is, and so would see a larger one.
    assert!(
        estimate > 0.85 * declared,
        "{estimate}: the test has no power"
    );
    let weak = epsilon_from_outside(|random| discrete_laplace(random, 1, 2).unwrap(), 100_000);
    assert!(
        weak > declared,
        "noise of half the scale must be noticed: {weak}"
    );
}

#[test]
fn noise_that_cannot_be_drawn_is_refused() {
    let mut random = Random::default();
    assert!(discrete_laplace(&mut random, 0, 1).is_err());
    for rho in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-40] {
        assert!(Variance::for_rho(1.0, rho).is_err(), "{rho}");
    }
}
