//! Penalised Cox models of data made by a formula, which R makes alike.
//!
//! Expected values: R 4.2.2, glmnet 4.1-6 with `thresh = 1e-16, maxit = 1e8`, where it fits (start, stop] and strata
//! with `glmnet.control(mxitnr = 500, epsnr = 1e-14)` (by default it stops two digits short), and survival 3.5-3 for
//! `ridge()`. glmnet's own sequence of penalties has the seven digits of single precision. The data, in R:
//! `i <- 0:(n-1); x <- sapply(1:p, function(j) ((i*7919 + j*104729 + i*i*31*j) %% 1009)/1009);`
//! `time <- 1 + floor(60*((i*4241+17) %% 997)/997 * exp(-(2*x[,1] - 1.5*x[,2])/2)); event <- (i*13) %% 7 < 5`

use columna_stats::models::{PathOptions, PathPoint};
use columna_stats::survival::cox::{Cox, Options, Row, Rows, Ties, cross_validate, path};
use columna_stats::{Error, Summary};

#[derive(Clone, Copy, Default)]
struct Made {
    weighted: bool,
    late: bool,
    strata: bool,
}

fn made(n: u64, terms: u64, with: Made) -> Rows {
    let mut rows = Rows::new();
    for i in 0..n {
        let x: Vec<f64> = (1..=terms)
            .map(|j| ((i * 7919 + j * 104_729 + i * i * 31 * j) % 1009) as f64 / 1009.0)
            .collect();
        let risk = 2.0 * x[0] - 1.5 * x[1];
        let share = ((i * 4241 + 17) % 997) as f64 / 997.0;
        let time = 1.0 + (60.0 * share * (-risk / 2.0).exp()).floor();
        let mut row = Row::new(time, (i * 13) % 7 < 5, &x);
        if with.weighted {
            row.weight = [1.0, 2.0, 0.5][i as usize % 3];
        }
        if with.late {
            row.start = Some((time / 3.0).floor());
        }
        if with.strata {
            row.stratum = i % 3;
        }
        rows.push(&row).unwrap();
    }
    rows
}

fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs() / expected.abs().max(1e-2);
        assert!(
            difference < tolerance,
            "{found:e}, expected {expected:e} ({difference:.1e})"
        );
    }
}

fn slopes(point: &PathPoint) -> Vec<f64> {
    let mut slopes = vec![0.0; 6];
    for (term, slope) in &point.coefficients {
        slopes[*term] = *slope;
    }
    slopes
}

fn at(lambda: &[f64]) -> PathOptions {
    PathOptions {
        lambda: Some(lambda.to_vec()),
        ..PathOptions::default()
    }
}

/// `glmnet(x, Surv(time, event), family = "cox", nlambda = 10)`.
#[test]
fn lasso_path() {
    let options = PathOptions {
        lambda_count: 10,
        ..PathOptions::default()
    };
    let found = path(&made(120, 6, Made::default()), Ties::Breslow, &options).unwrap();
    close(&[found.null_deviance], &[530.308407321835], 1e-13);
    let lambda: Vec<f64> = found.points.iter().map(|point| point.lambda).collect();
    close(&lambda[..2], &[0.21886702996787, 0.078656731685752], 1e-7);
    close(&lambda[8..9], &[6.09010474922021e-05], 1e-7);
    let explained: Vec<f64> = found
        .points
        .iter()
        .map(|point| point.deviance_ratio)
        .collect();
    let expected = [
        0.0328425199104417,
        0.0412999405010191,
        0.0426619696874321,
        0.0428467273053673,
        0.0428761689055913,
        0.0428799735249794,
    ];
    close(&explained[1..7], &expected, 1e-7);
    let expected = [
        0.922936851429412,
        -0.874623399063586,
        -0.160376281807402,
        -0.798151637217549,
        0.0,
        0.308658454767907,
    ];
    close(&slopes(&found.points[2]), &expected, 1e-6);
    let expected = [
        1.0494884686635,
        -1.06783091962646,
        -0.326743928141542,
        -0.901880796864375,
        0.0109396847170667,
        0.452275536131254,
    ];
    close(&slopes(&found.points[4]), &expected, 1e-6);
    assert!(
        found.points[0]
            .coefficients
            .iter()
            .all(|slope| slope.1.abs() < 1e-9)
    );
    assert!(found.points.iter().all(|point| point.converged));
}

/// `length(glmnet(x, y, family = "cox", alpha)$lambda)`, the largest `dev.ratio`, and the length with `nlambda = 30`.
#[test]
fn default_paths_end_as_those_of_glmnet() {
    let plain = Made::default();
    let (late, strata) = (
        Made {
            late: true,
            ..plain
        },
        Made {
            strata: true,
            ..plain
        },
    );
    let expected = [
        (120, 6, 1.0, plain, 44, 0.0428398157181, 18),
        (120, 6, 0.5, plain, 47, 0.042847546818, 18),
        (1000, 4, 1.0, plain, 44, 0.0480704955818, 18),
        (1000, 4, 0.5, plain, 47, 0.0480707967692, 18),
        (3000, 12, 1.0, plain, 48, 0.050713449481, 19),
        (400, 6, 1.0, late, 44, 0.0263966141709, 18),
        (400, 6, 1.0, strata, 43, 0.0446177007259, 18),
    ];
    for (n, terms, alpha, with, length, explained, length_of_30) in expected {
        let rows = made(n, terms, with);
        let fitted = |lambda_count: usize| {
            let options = PathOptions {
                alpha,
                lambda_count,
                ..PathOptions::default()
            };
            path(&rows, Ties::Breslow, &options).unwrap().points
        };
        let points = fitted(100);
        assert_eq!(points.len(), length, "{n} {alpha}");
        close(&[points[length - 1].deviance_ratio], &[explained], 1e-7);
        assert_eq!(fitted(30).len(), length_of_30);
        assert_eq!(fitted(4).len(), 4);
        if n < 400 {
            let options = PathOptions {
                alpha,
                ..PathOptions::default()
            };
            let folds: Vec<u32> = (0..120).map(|row| row % 5).collect();
            let validated = cross_validate(&rows, &folds, Ties::Breslow, &options).unwrap();
            assert_eq!(validated.path.points, points);
            assert_eq!(validated.loss.len(), length);
        }
    }
}

/// `alpha = 0.5` with weights of 1, 2, 0.5 in turn; `alpha = 0, standardize = FALSE`.
#[test]
fn elastic_net_and_ridge() {
    let weighted = Made {
        weighted: true,
        ..Made::default()
    };
    let options = PathOptions {
        alpha: 0.5,
        ..at(&[0.05, 0.01])
    };
    let found = path(&made(120, 6, weighted), Ties::Breslow, &options)
        .unwrap()
        .points;
    let expected = [
        1.03185734195155,
        -0.903178960220243,
        -0.228225968190453,
        -0.755514850351418,
        -0.149314073051691,
        0.258841601725661,
    ];
    close(&slopes(&found[0]), &expected, 1e-6);
    close(
        &[found[0].deviance_ratio, found[1].deviance_ratio],
        &[0.0454540971946734, 0.0474501558910123],
        1e-7,
    );
    let options = PathOptions {
        alpha: 0.0,
        standardize: false,
        ..at(&[0.5, 0.05])
    };
    let found = path(&made(120, 6, Made::default()), Ties::Breslow, &options)
        .unwrap()
        .points;
    let expected = [
        0.570096863505155,
        -0.47333210574762,
        -0.139136992016893,
        -0.528921471730501,
        -0.0524829919911186,
        0.259441533507748,
    ];
    close(&slopes(&found[1]), &expected, 1e-6);
}

/// `coxph(Surv(time, event) ~ ridge(x, theta = 6, scale = FALSE))`: Efron's ties, and θ is λ times the rows.
#[test]
fn ridge_of_survival() {
    let options = PathOptions {
        alpha: 0.0,
        standardize: false,
        ..at(&[6.0 / 120.0])
    };
    let found = path(&made(120, 6, Made::default()), Ties::Efron, &options)
        .unwrap()
        .points;
    let expected = [
        0.581844260480374,
        -0.479900026846428,
        -0.144202871989157,
        -0.531948465164205,
        -0.0492019109158118,
        0.263176439696345,
    ];
    close(&slopes(&found[0]), &expected, 1e-8);
}

/// `Surv(floor(time / 3), time, event)`, and `stratifySurv(y, i %% 3)`.
#[test]
fn late_starts_and_strata() {
    let fitted = |with: Made| {
        let rows = made(120, 6, with);
        path(&rows, Ties::Breslow, &at(&[0.05, 0.01])).unwrap()
    };
    let found = fitted(Made {
        late: true,
        ..Made::default()
    });
    close(&[found.null_deviance], &[462.009788423538], 1e-12);
    let expected = [
        0.728676811885523,
        -0.956856559415708,
        -0.218739529201192,
        -0.889489241518237,
        0.0,
        0.452105746442633,
    ];
    close(&slopes(&found.points[1]), &expected, 1e-9);
    let found = fitted(Made {
        strata: true,
        ..Made::default()
    });
    let expected = [
        0.899907436374907,
        -0.936115008629741,
        -0.217583530364752,
        -0.897058855059399,
        0.0,
        0.284087577947578,
    ];
    close(&slopes(&found.points[1]), &expected, 1e-9);
    close(
        &[found.points[1].deviance_ratio],
        &[0.0455726731538233],
        1e-9,
    );
}

/// 80 terms of 50 rows: terms are screened, and none that matters is missed.
#[test]
fn more_terms_than_rows() {
    let options = PathOptions {
        lambda_count: 10,
        ..PathOptions::default()
    };
    let found = path(&made(50, 80, Made::default()), Ties::Breslow, &options).unwrap();
    close(
        &[found.points[0].lambda, found.points[9].lambda],
        &[0.301788082694639, 0.0030178807233993],
        1e-7,
    );
    let terms: Vec<usize> = found.points[2]
        .coefficients
        .iter()
        .map(|slope| slope.0 + 1)
        .collect();
    let expected = [
        1, 2, 4, 13, 14, 15, 19, 22, 28, 29, 30, 39, 43, 44, 47, 62, 64, 73, 77,
    ];
    assert_eq!(terms, expected);
    let values: Vec<f64> = found.points[2]
        .coefficients
        .iter()
        .map(|slope| slope.1)
        .collect();
    let expected = [1.14630629587798, -0.295572300272584, -0.459442070160349];
    close(&values[..3], &expected, 1e-6);
    let explained: Vec<f64> = found.points[1..]
        .iter()
        .map(|point| point.deviance_ratio)
        .collect();
    let expected = [
        0.0643822518238846,
        0.21653306283435,
        0.382727931494356,
        0.527939398364652,
        0.666327154361181,
        0.769420816198099,
        0.844414123923383,
        0.898627873458284,
        0.935525637231743,
    ];
    close(&explained, &expected, 1e-6);
}

/// `cv.glmnet(x, y, family = "cox", foldid = (0:119) %% 5 + 1)`, and the same with weights.
#[test]
fn penalty_by_cross_validation() {
    let folds: Vec<u32> = (0..120).map(|row| row % 5).collect();
    let options = at(&[0.2, 0.1, 0.05, 0.02, 0.005]);
    let rows = made(120, 6, Made::default());
    let found = cross_validate(&rows, &folds, Ties::Breslow, &options).unwrap();
    let expected = [
        6.89195617786778,
        6.78069743059034,
        6.74656183976351,
        6.74396926444245,
        6.75269876640862,
    ];
    close(&found.loss, &expected, 1e-9);
    let expected = [
        0.153962053488946,
        0.135753413198343,
        0.126834400162075,
        0.120195855994805,
        0.116444031394049,
    ];
    close(&found.loss_std_err, &expected, 1e-8);
    assert_eq!((found.best, found.one_std_err), (3, 1));
    let weighted = made(
        120,
        6,
        Made {
            weighted: true,
            ..Made::default()
        },
    );
    let found = cross_validate(&weighted, &folds, Ties::Breslow, &at(&[0.1, 0.02])).unwrap();
    // glmnet lets the weights sum to the number of rows (120, not 140) in the deviance, and not in what it divides by.
    let of_glmnet = |loss: &[f64]| {
        loss.iter()
            .map(|loss| loss * 120.0 / 140.0)
            .collect::<Vec<_>>()
    };
    close(
        &of_glmnet(&found.loss),
        &[5.86569404222052, 5.84723784665481],
        1e-8,
    );
    close(
        &of_glmnet(&found.loss_std_err),
        &[0.123899831155456, 0.138315149071241],
        1e-7,
    );
    let one = cross_validate(&rows, &[3; 120], Ties::Breslow, &options);
    assert_eq!(
        one.unwrap_err(),
        Error::InvalidOption("the number of folds")
    );
    let short = cross_validate(&rows, &[3; 12], Ties::Breslow, &options);
    assert_eq!(short.unwrap_err(), Error::UnequalColumns);
}

/// Without penalty it is the plain model, whatever the ties; and merged rows are the whole.
#[test]
fn no_penalty_is_the_plain_model() {
    for ties in [Ties::Efron, Ties::Breslow] {
        let rows = made(120, 6, Made::default());
        let plain = Cox::fit(
            &rows,
            &Options {
                ties,
                ..Options::default()
            },
        )
        .unwrap();
        let mut parts = Rows::new();
        parts.merge(rows.clone());
        let found = path(&parts, ties, &at(&[0.0])).unwrap();
        close(
            &slopes(&found.points[0]),
            &plain.result().coefficients,
            1e-9,
        );
    }
}

#[test]
fn constant_columns_censored_rows_and_options() {
    let mut rows = Rows::new();
    for (time, event, x) in [
        (1.0, true, 0.0),
        (2.0, false, 1.0),
        (3.0, true, 1.0),
        (4.0, true, 0.5),
    ] {
        rows.push(&Row::new(time, event, &[7.0, x])).unwrap();
    }
    let found = path(&rows, Ties::Efron, &at(&[0.01])).unwrap();
    let terms: Vec<usize> = found.points[0]
        .coefficients
        .iter()
        .map(|slope| slope.0)
        .collect();
    assert_eq!((terms, found.points[0].converged), (vec![1], true));

    let mut constant = Rows::new();
    constant.push(&Row::new(1.0, true, &[2.0])).unwrap();
    let found = path(&constant, Ties::Efron, &PathOptions::default()).unwrap();
    assert_eq!((found.points.len(), found.points[0].lambda), (1, 0.0));
    assert_eq!(found.points[0].deviance_ratio, 0.0);

    let mut censored = Rows::new();
    censored.push(&Row::new(1.0, false, &[2.0])).unwrap();
    assert_eq!(
        path(&censored, Ties::Efron, &at(&[0.1])),
        Err(Error::NoEvents)
    );
    let options = PathOptions {
        alpha: f64::NAN,
        ..at(&[0.1])
    };
    assert_eq!(
        path(&rows, Ties::Efron, &options),
        Err(Error::InvalidOption("alpha"))
    );
}

/// Neither the plain nor the penalised model takes them for columns that say nothing.
#[test]
fn columns_whose_squares_overflow_or_vanish_are_refused() {
    for scale in [1e200, 1e-200] {
        let mut rows = Rows::new();
        for (time, x) in [(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)] {
            rows.push(&Row::new(time, true, &[x * scale])).unwrap();
        }
        let plain = Cox::fit(&rows, &Options::default());
        assert_eq!(plain.unwrap_err(), Error::CovariateOutOfRange);
        let penalised = path(&rows, Ties::Efron, &at(&[0.1]));
        assert_eq!(penalised, Err(Error::CovariateOutOfRange));
    }
}
