//! Penalised regression of small published data.
//!
//! Expected values: R 4.2.2, glmnet 4.1-6 with `thresh = 1e-15, maxit = 1e7`.

use columna_stats::Error;
use columna_stats::models::{
    Family, PathOptions, PathPoint, SparseColumn, SparseFrame, cross_validate, path,
};

use crate::models_published::CARS;

/// Rear axle ratio, quarter-mile time and displacement of the same cars.
const MORE: [(f64, f64, f64); 32] = [
    (3.9, 16.46, 160.0),
    (3.9, 17.02, 160.0),
    (3.85, 18.61, 108.0),
    (3.08, 19.44, 258.0),
    (3.15, 17.02, 360.0),
    (2.76, 20.22, 225.0),
    (3.21, 15.84, 360.0),
    (3.69, 20.0, 146.7),
    (3.92, 22.9, 140.8),
    (3.92, 18.3, 167.6),
    (3.92, 18.9, 167.6),
    (3.07, 17.4, 275.8),
    (3.07, 17.6, 275.8),
    (3.07, 18.0, 275.8),
    (2.93, 17.98, 472.0),
    (3.0, 17.82, 460.0),
    (3.23, 17.42, 440.0),
    (4.08, 19.47, 78.7),
    (4.93, 18.52, 75.7),
    (4.22, 19.9, 71.1),
    (3.7, 20.01, 120.1),
    (2.76, 16.87, 318.0),
    (3.15, 17.3, 304.0),
    (3.73, 15.41, 350.0),
    (3.08, 17.05, 400.0),
    (4.08, 18.9, 79.0),
    (4.43, 16.7, 120.3),
    (3.77, 16.9, 95.1),
    (4.22, 14.5, 351.0),
    (3.62, 15.5, 145.0),
    (3.54, 14.6, 301.0),
    (4.11, 18.6, 121.0),
];

fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs() / expected.abs().max(1e-6);
        assert!(
            difference < tolerance,
            "{found:e}, expected {expected:e} ({difference:.1e})"
        );
    }
}

/// `mtcars[, c("wt", "hp", "qsec", "drat", "disp")]`.
fn columns() -> Vec<SparseColumn> {
    let dense = |of: &dyn Fn(usize) -> f64| {
        SparseColumn::from_dense(&(0..32).map(of).collect::<Vec<_>>()).unwrap()
    };
    vec![
        dense(&|row| CARS[row].0),
        dense(&|row| CARS[row].1),
        dense(&|row| MORE[row].1),
        dense(&|row| MORE[row].0),
        dense(&|row| MORE[row].2),
    ]
}

fn table(point: &PathPoint) -> Vec<f64> {
    let slope = |term: usize| {
        point
            .coefficients
            .iter()
            .find(|slope| slope.0 == term)
            .map_or(0.0, |slope| slope.1)
    };
    std::iter::once(point.intercept)
        .chain((0..5).map(slope))
        .collect()
}

fn exact() -> PathOptions {
    PathOptions {
        tolerance: 1e-22,
        ..PathOptions::default()
    }
}

/// `glmnet(x, mtcars$am, family = "binomial", nlambda = 20)`.
#[test]
fn lasso_path() {
    let (columns, manual) = (columns(), CARS.map(|car| car.3));
    let options = PathOptions {
        lambda_count: 20,
        ..exact()
    };
    let found = path(
        Family::Binomial,
        &SparseFrame::new(&manual, &columns),
        &options,
    )
    .unwrap();
    close(&[found.null_deviance], &[43.2297332768578], 1e-13);
    let lambda: Vec<f64> = found.points[..6].iter().map(|point| point.lambda).collect();
    let expected = [
        0.350035456163655,
        0.215568709488067,
        0.132757604100038,
        0.0817585329904203,
        0.050350846281533,
        0.0310084786081426,
    ];
    close(&lambda, &expected, 1e-13);
    let explained: Vec<f64> = found.points[1..5]
        .iter()
        .map(|point| point.deviance_ratio)
        .collect();
    close(
        &explained,
        &[
            0.27556597977271,
            0.445704662302831,
            0.610273586424806,
            0.720217204746363,
        ],
        1e-8,
    );
    let expected = [
        53.0041259926991,
        -4.41720930801786,
        0.0,
        -2.57695183082621,
        2.95156487344431,
        -0.0267945508318105,
    ];
    close(&table(&found.points[9]), &expected, 1e-5);
    assert!(
        found.points[0]
            .coefficients
            .iter()
            .all(|slope| slope.1.abs() < 1e-9)
    );
    assert!(found.points.iter().all(|point| point.converged));
}

/// `i <- 0:(n-1); x <- sapply(1:p, function(j) ((i*7919 + j*104729 + i*i*31*j) %% 1009)/1009)`.
fn made(n: u64, terms: u64) -> Vec<Vec<f64>> {
    let value = |i: u64, j: u64| (i * 7919 + j * 104_729 + i * i * 31 * j) % 1009;
    let column = |j: u64| (0..n).map(|i| value(i, j) as f64 / 1009.0).collect();
    (1..=terms).map(column).collect()
}

/// `length(glmnet(x, y, family, alpha)$lambda)`, the largest `dev.ratio`, and the lengths with `nlambda = 30` and `4`;
/// `u <- ((i*4241+17) %% 997)/997; y <- u < x[,1]` and `floor(10*u*x[,1])`. `cv.glmnet` has as many.
#[test]
fn default_paths_end_as_those_of_glmnet() {
    let expected = [
        (120, 6, 1.0, Family::Binomial, 62, 0.364914684506, 21),
        (120, 6, 1.0, Family::Poisson, 61, 0.540351326534, 23),
        (120, 6, 0.5, Family::Binomial, 68, 0.364914116471, 23),
        (120, 6, 0.5, Family::Poisson, 65, 0.540352962848, 24),
        (1000, 4, 1.0, Family::Binomial, 57, 0.275369263114, 20),
        (1000, 4, 1.0, Family::Poisson, 59, 0.403584409725, 22),
        (1000, 4, 0.5, Family::Binomial, 63, 0.275370939378, 22),
        (1000, 4, 0.5, Family::Poisson, 62, 0.403585437889, 23),
        (3000, 12, 1.0, Family::Binomial, 64, 0.300516934247, 22),
        (3000, 12, 0.5, Family::Poisson, 66, 0.391904843265, 24),
    ];
    for (n, terms, alpha, family, length, explained, length_of_30) in expected {
        let made = made(n, terms);
        let share = |i: u64| ((i * 4241 + 17) % 997) as f64 / 997.0;
        let outcome: Vec<f64> = (0..n)
            .zip(&made[0])
            .map(|(i, x)| match family {
                Family::Binomial => f64::from(share(i) < *x),
                Family::Poisson => (10.0 * share(i) * x).floor(),
            })
            .collect();
        let columns: Vec<SparseColumn> = made
            .iter()
            .map(|column| SparseColumn::from_dense(column).unwrap())
            .collect();
        let frame = SparseFrame::new(&outcome, &columns);
        let fitted = |lambda_count: usize| {
            let options = PathOptions {
                alpha,
                lambda_count,
                ..PathOptions::default()
            };
            (path(family, &frame, &options).unwrap().points, options)
        };
        let (points, options) = fitted(100);
        assert_eq!(points.len(), length, "{n} {alpha} {family:?}");
        close(&[points[length - 1].deviance_ratio], &[explained], 1e-8);
        assert_eq!(fitted(30).0.len(), length_of_30);
        assert_eq!(fitted(4).0.len(), 4);
        let lambda: Vec<f64> = points.iter().map(|point| point.lambda).collect();
        if n < 1000 {
            let folds: Vec<u32> = (0..outcome.len() as u32).map(|row| row % 5).collect();
            let validated = cross_validate(family, &frame, &folds, &options).unwrap();
            assert_eq!(validated.path.points, points);
            assert_eq!(validated.loss.len(), length);
        }
        // What is asked for is given, however little it explains.
        let asked = PathOptions {
            lambda: Some([lambda.as_slice(), &[lambda[length - 1]; 3]].concat()),
            ..options
        };
        let points = path(family, &frame, &asked).unwrap().points;
        assert_eq!(points.len(), length + 3);
    }
}

/// `glmnet(…, alpha = 0.5, lambda = c(0.2, 0.05))`, and the same with `weights = mtcars$gear`.
#[test]
fn elastic_net_with_weights() {
    let (columns, manual) = (columns(), CARS.map(|car| car.3));
    let options = PathOptions {
        alpha: 0.5,
        lambda: Some(vec![0.2, 0.05]),
        ..exact()
    };
    let plain = SparseFrame::new(&manual, &columns);
    let found = path(Family::Binomial, &plain, &options).unwrap().points;
    let expected = [
        -0.338210272609561,
        -0.50900494345075,
        0.0,
        -0.0994473965602625,
        0.988615747469858,
        -0.0012091223713492,
    ];
    close(&table(&found[0]), &expected, 1e-6);
    let expected = [
        7.30221889794396,
        -1.22113575101591,
        0.0,
        -0.543641923562293,
        1.85024318381109,
        -0.0050411006494511,
    ];
    close(&table(&found[1]), &expected, 1e-6);
    let gears = CARS.map(|car| car.2 as f64);
    let weighted = SparseFrame {
        weights: Some(&gears),
        ..plain
    };
    let found = path(Family::Binomial, &weighted, &options).unwrap().points;
    let expected = [
        8.59080414952545,
        -1.31024561401468,
        0.0,
        -0.581647153472611,
        1.77955359527485,
        -0.00458241167743502,
    ];
    close(&table(&found[1]), &expected, 1e-6);
}

/// `cv.glmnet(…, foldid = (0:31) %% 5 + 1, lambda = c(0.3, 0.1, 0.05, 0.02, 0.01))`.
#[test]
fn penalty_by_cross_validation() {
    let (columns, manual) = (columns(), CARS.map(|car| car.3));
    let folds: Vec<u32> = (0..32).map(|row| row % 5).collect();
    let options = PathOptions {
        lambda: Some(vec![0.3, 0.1, 0.05, 0.02, 0.01]),
        ..exact()
    };
    let frame = SparseFrame::new(&manual, &columns);
    let found = cross_validate(Family::Binomial, &frame, &folds, &options).unwrap();
    let expected = [
        1.2232440457712,
        0.695616137558415,
        0.492244588629397,
        0.401562072345237,
        0.399305841672304,
    ];
    close(&found.loss, &expected, 1e-6);
    let expected = [
        0.0401988181111369,
        0.0883104602786132,
        0.0960462165736069,
        0.131408378543729,
        0.170864302052748,
    ];
    close(&found.loss_std_err, &expected, 1e-6);
    assert_eq!((found.best, found.one_std_err), (4, 2));
    let one = cross_validate(Family::Binomial, &frame, &[3; 32], &options);
    assert_eq!(
        one.unwrap_err(),
        Error::InvalidOption("the number of folds")
    );
}

/// The conditions that hold at the minimum and nowhere else: of covariates of unit spread, the gradient of the
/// log-likelihood is the penalty's where a coefficient is not 0, and not beyond it elsewhere.
#[test]
fn optimal_to_rounding() {
    let (columns, manual) = (columns(), CARS.map(|car| car.3));
    let frame = SparseFrame::new(&manual, &columns);
    for alpha in [1.0, 0.5, 0.0] {
        let options = PathOptions {
            alpha,
            lambda: Some(vec![0.2, 0.05, 0.01]),
            ..exact()
        };
        for point in path(Family::Binomial, &frame, &options).unwrap().points {
            let eta = point.linear_predictor(&frame);
            let residual: Vec<f64> = (0..32)
                .map(|row| manual[row] - Family::Binomial.mean(eta[row]))
                .collect();
            assert!(residual.iter().sum::<f64>().abs() < 1e-9);
            let slopes = &table(&point)[1..];
            for (term, of) in [CARS.map(|car| car.0), CARS.map(|car| car.1)]
                .iter()
                .enumerate()
            {
                let mean = of.iter().sum::<f64>() / 32.0;
                let sd = (of.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 32.0).sqrt();
                let gradient = (0..32)
                    .map(|row| residual[row] * (of[row] - mean))
                    .sum::<f64>()
                    / (32.0 * sd);
                let slope = slopes[term] * sd;
                if slope == 0.0 {
                    assert!(gradient.abs() <= point.lambda * alpha + 1e-10);
                } else {
                    let penalty = point.lambda * (alpha * slope.signum() + (1.0 - alpha) * slope);
                    assert!((gradient - penalty).abs() < 1e-10, "{gradient} {penalty}");
                }
            }
        }
    }
}

/// Two terms of correlation 0.9996, among which the descent alone creeps. `glmnet(x, y, family, alpha, lambda = c(0.05, 0.001),
/// thresh = 1e-26, maxit = 1e9)`, whose score residuals balance the penalty to 2e-13.
#[test]
fn correlated_terms_reach_the_solution() {
    let column = |of: fn(u32) -> f64| (0..200).map(of).collect::<Vec<_>>();
    let first = column(|row| f64::from(row * 7919 % 101) / 50.0 - 1.0);
    let second = column(|row| f64::from(row * 31 % 17) / 300.0);
    let second: Vec<f64> = first.iter().zip(second).map(|(a, b)| a + b).collect();
    let third = column(|row| f64::from(row * 13 % 29) / 10.0);
    let uniform = column(|row| f64::from(row * 271 % 97) / 97.0);
    let chance = |row: usize| 1.0 / (1.0 + (0.5 * (third[row] - 1.4) - first[row]).exp());
    let flags: Vec<f64> = (0..200)
        .map(|row| f64::from(uniform[row] < chance(row)))
        .collect();
    let counts: Vec<f64> = (0..200)
        .map(|row| (4.0 * uniform[row] * (0.5 * first[row]).exp()).floor())
        .collect();
    let columns = [first, second, third].map(|column| SparseColumn::from_dense(&column).unwrap());
    let expected = [
        (
            (Family::Binomial, &flags, 1.0),
            [
                [
                    0.9144573603092845,
                    0.0,
                    0.6402193597387706,
                    -0.6492483995970372,
                ],
                [
                    1.3952253827854253,
                    0.0,
                    1.1228449843749384,
                    -0.9985596468076438,
                ],
            ],
        ),
        (
            (Family::Binomial, &flags, 0.5),
            [
                [
                    1.01754403842425,
                    0.36515594738703455,
                    0.43331685462799535,
                    -0.7183362115132348,
                ],
                [
                    1.3963424810196177,
                    0.0,
                    1.1246324587957754,
                    -0.999379372656204,
                ],
            ],
        ),
        (
            (Family::Poisson, &counts, 1.0),
            [
                [
                    0.17782448050131078,
                    0.5653427643703414,
                    0.0,
                    0.15195020849266538,
                ],
                [
                    0.1983479238611791,
                    3.9592917113038237,
                    -3.3342925598029125,
                    0.18838195418868825,
                ],
            ],
        ),
        (
            (Family::Poisson, &counts, 0.5),
            [
                [
                    0.14518272753163372,
                    0.44928692394154907,
                    0.13739691616740138,
                    0.1683176351056824,
                ],
                [
                    0.17524131939148674,
                    3.0951896324482098,
                    -2.471286198379551,
                    0.18894158211472764,
                ],
            ],
        ),
    ];
    for ((family, outcome, alpha), expected) in expected {
        let options = PathOptions {
            alpha,
            lambda: Some(vec![0.05, 0.001]),
            ..PathOptions::default()
        };
        let found = path(family, &SparseFrame::new(outcome, &columns), &options).unwrap();
        for (point, expected) in found.points.iter().zip(expected) {
            close(&table(point)[..4], &expected, 1e-7);
        }
    }
}

/// Without penalty it is maximum likelihood; with an offset, Poisson too.
#[test]
fn no_penalty_is_the_plain_model() {
    let events = [12.0, 30.0];
    let treated = [SparseColumn::indicator(vec![0]).unwrap()];
    let log_days = [3000_f64.ln(), 3600_f64.ln()];
    let frame = SparseFrame {
        offset: Some(&log_days),
        ..SparseFrame::new(&events, &treated)
    };
    let options = PathOptions {
        lambda: Some(vec![0.0]),
        ..exact()
    };
    let found = &path(Family::Poisson, &frame, &options).unwrap().points[0];
    let expected = (12.0 / 3000.0 / (30.0 / 3600.0_f64)).ln();
    close(&[found.coefficients[0].1], &[expected], 1e-9);
}

#[test]
fn what_is_refused() {
    let (columns, manual) = (columns(), CARS.map(|car| car.3));
    let run = |outcome: &[f64], options: &PathOptions| {
        path(
            Family::Binomial,
            &SparseFrame::new(outcome, &columns),
            options,
        )
        .map(|_| ())
    };
    assert_eq!(run(&[0.0; 32], &exact()), Err(Error::NoEvents));
    assert_eq!(run(&[0.0; 3], &exact()), Err(Error::UnequalColumns));
    assert_eq!(
        run(
            &manual,
            &PathOptions {
                alpha: 1.5,
                ..exact()
            }
        ),
        Err(Error::InvalidOption("alpha"))
    );
    let rising = PathOptions {
        lambda: Some(vec![0.1, 0.2]),
        ..exact()
    };
    assert_eq!(run(&manual, &rising), Err(Error::InvalidOption("lambda")));
    assert!(SparseColumn::new(vec![3, 2], vec![1.0, 1.0]).is_err());
    assert_eq!(
        SparseColumn::new(vec![3], vec![f64::NAN]),
        Err(Error::NonFiniteCovariate)
    );
}

/// A column that lies far from 0 has the coefficients of the same column near it.
#[test]
fn an_offset_of_a_column_moves_the_constant_only() {
    let x: Vec<f64> = (0..60).map(|row| f64::from(row * 29 % 41)).collect();
    let y: Vec<f64> = (0..60)
        .map(|row| f64::from(u8::from(row * 11 % 4 < 2)))
        .collect();
    let fitted = |offset: f64| {
        let moved: Vec<f64> = x.iter().map(|x| x + offset).collect();
        let columns = [SparseColumn::from_dense(&moved).unwrap()];
        let frame = SparseFrame::new(&y, &columns);
        let options = PathOptions {
            lambda: Some(vec![0.01, 0.0]),
            ..PathOptions::default()
        };
        path(Family::Binomial, &frame, &options).unwrap().points
    };
    let near = fitted(0.0);
    for offset in [1e3, 1e6, 1e9] {
        for (far, near) in fitted(offset).iter().zip(&near) {
            assert!(far.converged);
            close(&[far.coefficients[0].1], &[near.coefficients[0].1], 1e-9);
            let intercept = far.intercept + far.coefficients[0].1 * offset;
            assert!((intercept - near.intercept).abs() < 1e-16 * offset + 1e-7);
        }
    }
}

#[test]
fn columns_whose_squares_overflow_or_vanish_are_refused() {
    for scale in [1e200, 1e-200] {
        let columns = [SparseColumn::from_dense(&[scale, 2.0 * scale, 0.0]).unwrap()];
        let frame = SparseFrame::new(&[0.0, 1.0, 1.0], &columns);
        let found = path(Family::Binomial, &frame, &PathOptions::default());
        assert_eq!(found, Err(Error::CovariateOutOfRange));
    }
}
