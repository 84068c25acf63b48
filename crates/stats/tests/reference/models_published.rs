//! Logistic and Poisson regression of small published data.
//!
//! Expected values: R 4.2.2, `glm(…, control = glm.control(epsilon = 1e-14))`, sandwich 3.0-2; where that stops with weights of
//! the step before, variances are worked out at the estimate, as `solve(t(X) %*% (X * V))`.

#![expect(clippy::excessive_precision, reason = "the digits are R's")]

use columna_stats::Summary;
use columna_stats::models::{
    Family, Fit, Frame, Moments, Newton, Options, Step, Variance, logistic_regression,
    poisson_regression,
};

/// Weight (1000 lbs), horsepower, gears and transmission of 32 cars (Motor Trend 1974; R's `mtcars`).
pub(crate) const CARS: [(f64, f64, u64, f64); 32] = [
    (2.62, 110.0, 4, 1.0),
    (2.875, 110.0, 4, 1.0),
    (2.32, 93.0, 4, 1.0),
    (3.215, 110.0, 3, 0.0),
    (3.44, 175.0, 3, 0.0),
    (3.46, 105.0, 3, 0.0),
    (3.57, 245.0, 3, 0.0),
    (3.19, 62.0, 4, 0.0),
    (3.15, 95.0, 4, 0.0),
    (3.44, 123.0, 4, 0.0),
    (3.44, 123.0, 4, 0.0),
    (4.07, 180.0, 3, 0.0),
    (3.73, 180.0, 3, 0.0),
    (3.78, 180.0, 3, 0.0),
    (5.25, 205.0, 3, 0.0),
    (5.424, 215.0, 3, 0.0),
    (5.345, 230.0, 3, 0.0),
    (2.2, 66.0, 4, 1.0),
    (1.615, 52.0, 4, 1.0),
    (1.835, 65.0, 4, 1.0),
    (2.465, 97.0, 3, 0.0),
    (3.52, 150.0, 3, 0.0),
    (3.435, 150.0, 3, 0.0),
    (3.84, 245.0, 3, 0.0),
    (3.845, 175.0, 3, 0.0),
    (1.935, 66.0, 4, 1.0),
    (2.14, 91.0, 5, 1.0),
    (1.513, 113.0, 5, 1.0),
    (3.17, 264.0, 5, 1.0),
    (2.77, 175.0, 5, 1.0),
    (3.57, 335.0, 5, 1.0),
    (2.78, 109.0, 4, 1.0),
];

/// Age, girls asked, girls menstruating (Milicer and Szczotka 1966; R's `MASS::menarche`).
const MENARCHE: [(f64, f64, f64); 25] = [
    (9.21, 376.0, 0.0),
    (10.21, 200.0, 0.0),
    (10.58, 93.0, 0.0),
    (10.83, 120.0, 2.0),
    (11.08, 90.0, 2.0),
    (11.33, 88.0, 5.0),
    (11.58, 105.0, 10.0),
    (11.83, 111.0, 17.0),
    (12.08, 100.0, 16.0),
    (12.33, 93.0, 29.0),
    (12.58, 100.0, 39.0),
    (12.83, 108.0, 51.0),
    (13.08, 99.0, 47.0),
    (13.33, 106.0, 67.0),
    (13.58, 105.0, 81.0),
    (13.83, 117.0, 88.0),
    (14.08, 98.0, 79.0),
    (14.33, 97.0, 90.0),
    (14.58, 120.0, 113.0),
    (14.83, 102.0, 95.0),
    (15.08, 122.0, 117.0),
    (15.33, 111.0, 107.0),
    (15.58, 94.0, 92.0),
    (15.83, 114.0, 112.0),
    (17.58, 1049.0, 1049.0),
];

pub(crate) fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs() / expected.abs().max(1e-6);
        assert!(
            difference < tolerance,
            "{found:e}, expected {expected:e} ({difference:.1e})"
        );
    }
}

pub(crate) fn estimates(fit: &Fit) -> Vec<f64> {
    fit.coefficients.iter().map(|term| term.estimate).collect()
}

pub(crate) fn errors(fit: &Fit) -> Vec<f64> {
    fit.coefficients.iter().map(|term| term.std_err).collect()
}

fn robust(fit: &Fit) -> Vec<f64> {
    fit.coefficients
        .iter()
        .filter_map(|term| term.robust_std_err)
        .collect()
}

fn measures(fit: &Fit) -> [f64; 4] {
    [fit.deviance, fit.null_deviance, fit.aic, fit.log_likelihood]
}

fn cars(variance: Variance) -> Fit {
    let weight = CARS.map(|car| car.0);
    let power = CARS.map(|car| car.1);
    let columns: [&[f64]; 2] = [&weight, &power];
    let gears = CARS.map(|car| car.2);
    let manual = CARS.map(|car| car.3);
    let frame = Frame {
        clusters: Some(&gears),
        ..Frame::new(&manual, &columns)
    };
    logistic_regression::fit(
        &frame,
        &Options {
            variance,
            ..Options::default()
        },
    )
    .unwrap()
}

/// R: `glm(am ~ wt + hp, binomial, mtcars)`.
#[test]
fn cars_with_manual_transmission() {
    let fit = cars(Variance::Robust);
    close(
        &estimates(&fit),
        &[18.866298717204096, -8.083475182444628, 0.036255596082216547],
        1e-9,
    );
    close(
        &errors(&fit),
        &[
            7.44355842798216116,
            3.06867527539076956,
            0.01773415433194751,
        ],
        1e-9,
    );
    close(
        &robust(&fit),
        &[
            8.24291825662846556,
            2.76748758129136885,
            0.0083212482516862047,
        ],
        1e-9,
    );
    let expected = [
        10.059110472266989,
        43.229733276857807,
        16.059110472266987,
        -5.0295552361334934,
    ];
    close(&measures(&fit), &expected, 1e-12);
    assert_eq!((fit.iterations, fit.converged, fit.rank), (8, true, 3));
    assert!(fit.separation.is_none() && fit.dropped.is_empty());
    let p: Vec<f64> = cars(Variance::Model)
        .coefficients
        .iter()
        .map(|term| term.p_value)
        .collect();
    close(
        &p,
        &[
            0.0112582027407677580,
            0.0084338160612948982,
            0.0409146542103897212,
        ],
        1e-8,
    );
}

/// R: `vcovCL(fit, cluster = ~gear)` and the same with `cadjust = FALSE`.
#[test]
fn clusters_of_cars() {
    let adjusted = cars(Variance::Clustered { adjusted: true });
    close(
        &robust(&adjusted),
        &[
            7.92575999429294864,
            2.23821158174249613,
            0.0093202082852015099,
        ],
        1e-9,
    );
    assert_eq!(adjusted.clusters, Some(3));
    let plain = cars(Variance::Clustered { adjusted: false });
    close(
        &robust(&plain),
        &[
            6.47135593659394637,
            1.82749210388558558,
            0.0076099181984012974,
        ],
        1e-9,
    );
}

/// R: `glm(am ~ wt + hp - 1, binomial, mtcars)`.
#[test]
fn without_a_constant() {
    let (weight, power, manual) = (
        CARS.map(|car| car.0),
        CARS.map(|car| car.1),
        CARS.map(|car| car.3),
    );
    let options = Options {
        intercept: false,
        variance: Variance::Robust,
        ..Options::default()
    };
    let fit = logistic_regression::fit(&Frame::new(&manual, &[&weight, &power]), &options).unwrap();
    close(
        &estimates(&fit),
        &[-0.8168110120148304, 0.012311545661184082],
        1e-9,
    );
    close(
        &errors(&fit),
        &[0.397437440797021, 0.007983796025178992],
        1e-9,
    );
    close(
        &robust(&fit),
        &[0.31782939639002095, 0.0062387688476580163],
        1e-9,
    );
    close(
        &measures(&fit),
        &[
            37.03972626267597,
            44.361419555836498,
            41.03972626267597,
            -18.519863131337985,
        ],
        1e-12,
    );
}

/// R: `glm(cbind(Menarche, Total - Menarche) ~ Age, binomial, MASS::menarche)`: shares with numbers of trials.
#[test]
fn menarche() {
    let age = MENARCHE.map(|row| row.0);
    let (asked, share) = (MENARCHE.map(|row| row.1), MENARCHE.map(|row| row.2 / row.1));
    let columns: [&[f64]; 1] = [&age];
    let frame = Frame {
        weights: Some(&asked),
        ..Frame::new(&share, &columns)
    };
    let options = Options {
        variance: Variance::Robust,
        ..Options::default()
    };
    let fit = logistic_regression::fit(&frame, &options).unwrap();
    close(
        &estimates(&fit),
        &[-21.226394905167364, 1.6319683482275742],
        1e-10,
    );
    close(
        &errors(&fit),
        &[0.7706858843854665, 0.05895317461853912],
        1e-9,
    );
    close(
        &robust(&fit),
        &[0.696631542713916, 0.05336276784905088],
        1e-9,
    );
    close(
        &measures(&fit),
        &[
            26.703451635764878,
            3693.8835747941548,
            114.75525431310389,
            -55.377627156551945,
        ],
        1e-11,
    );
    assert_eq!(fit.iterations, 5);
}

/// Dobson (1990), page 93: a randomised trial. R: the example of `help(glm)`.
#[test]
fn dobson() {
    let counts = [18.0, 17.0, 15.0, 20.0, 10.0, 20.0, 25.0, 13.0, 12.0];
    let indicator = |of: &dyn Fn(usize) -> bool| -> Vec<f64> {
        (0..9).map(|row| f64::from(u8::from(of(row)))).collect()
    };
    let columns = [
        indicator(&|row| row % 3 == 1),
        indicator(&|row| row % 3 == 2),
        indicator(&|row| row / 3 == 1),
        indicator(&|row| row / 3 == 2),
    ];
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let options = Options {
        variance: Variance::Robust,
        ..Options::default()
    };
    let fit = poisson_regression::fit(&Frame::new(&counts, &columns), &options).unwrap();
    close(
        &estimates(&fit),
        &[
            3.0445224377234239,
            -0.4542552722775966,
            -0.2929871246814742,
            0.0,
            0.0,
        ],
        1e-9,
    );
    let expected = [
        0.17089865185644157,
        0.20217075919384542,
        0.19274234515979277,
        0.2,
        0.2,
    ];
    close(&errors(&fit), &expected, 1e-9);
    let expected = [
        0.11626678039201992,
        0.14821415290786832,
        0.14607791409824533,
        0.14666666666666667,
        0.14483707321600289,
    ];
    close(&robust(&fit), &expected, 1e-9);
    close(
        &measures(&fit),
        &[
            5.1291410770011421,
            10.581445863750867,
            56.761318401957681,
            -23.38065920097884,
        ],
        1e-11,
    );
    assert_eq!(fit.iterations, 5);
}

/// Freireich's relapses over patient-weeks. R: `glm(c(9, 21) ~ c(1, 0) + offset(log(c(359, 182))), poisson)`.
#[test]
fn rates_with_an_offset() {
    let (events, treated) = ([9.0, 21.0], [1.0, 0.0]);
    let weeks = [359_f64.ln(), 182_f64.ln()];
    let columns: [&[f64]; 1] = [&treated];
    let frame = Frame {
        offset: Some(&weeks),
        ..Frame::new(&events, &columns)
    };
    let fit = poisson_regression::fit(&frame, &Options::default()).unwrap();
    close(
        &estimates(&fit),
        &[-2.1594842493533712, -1.5266135617986873],
        1e-12,
    );
    close(
        &errors(&fit),
        &[0.2182178902290679, 0.39840953618306091],
        1e-9,
    );
    close(
        &measures(&fit)[1..],
        &[16.485214757480854, 12.94394798068104, -4.47197399034052],
        1e-12,
    );
    assert!(fit.deviance.abs() < 1e-13);
    assert_eq!(fit.iterations, 3);
    close(&fit.fitted(&frame).unwrap(), &[9.0, 21.0], 1e-12);
}

/// Steps of parts, sent as numbers and merged in any order, make the same fit.
#[test]
fn hospitals_share_steps_only() {
    let columns: [Vec<f64>; 2] = [
        CARS.map(|car| car.0).to_vec(),
        CARS.map(|car| car.1).to_vec(),
    ];
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let manual = CARS.map(|car| car.3);
    let frame = Frame::new(&manual, &slices);
    let parts = [0..5, 5..19, 19..20, 20..32];
    let options = Options::default();
    let mut moments = Moments::default();
    for part in &parts {
        moments.merge(Moments::of(&frame, Family::Binomial, part.clone()).unwrap());
    }
    let mut newton = Newton::new(Family::Binomial, &moments, &options).unwrap();
    while let Some(point) = newton.point() {
        let mut whole = Step::default();
        for part in parts.iter().rev() {
            let sent = Step::of(&frame, point, part.clone()).to_parts();
            whole.merge(Step::from_parts(sent).unwrap());
        }
        newton.advance(&whole).unwrap();
    }
    let slopes = &newton.last_point().coefficients.as_ref().unwrap()[1..];
    close(slopes, &[-8.083475182444628, 0.036255596082216547], 1e-9);
}

/// Applications to Berkeley by sex and department (Bickel et al. 1975; R's `UCBAdmissions`): the standard errors are those
/// at the estimate, not those of the step before.
#[test]
fn standard_errors_belong_to_the_estimate() {
    const ADMITTED_AND_NOT: [[f64; 4]; 6] = [
        [512.0, 313.0, 89.0, 19.0],
        [353.0, 207.0, 17.0, 8.0],
        [120.0, 205.0, 202.0, 391.0],
        [138.0, 279.0, 131.0, 244.0],
        [53.0, 138.0, 94.0, 299.0],
        [22.0, 351.0, 24.0, 317.0],
    ];
    let mut columns = vec![Vec::new(); 6];
    let (mut outcome, mut weights) = (Vec::new(), Vec::new());
    for (department, counts) in ADMITTED_AND_NOT.iter().enumerate() {
        for (cell, count) in counts.iter().enumerate() {
            outcome.push(f64::from(u8::from(cell % 2 == 0)));
            weights.push(*count);
            columns[0].push(f64::from(u8::from(cell < 2)));
            for (other, column) in columns[1..].iter_mut().enumerate() {
                column.push(f64::from(u8::from(department == other + 1)));
            }
        }
    }
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let frame = Frame {
        weights: Some(&weights),
        ..Frame::new(&outcome, &columns)
    };
    let fit = logistic_regression::fit(&frame, &Options::default()).unwrap();
    // R: f <- glm(Admit == "Admitted" ~ relevel(Gender, "Female") + Dept, binomial, as.data.frame(UCBAdmissions),
    // weights = Freq, control = glm.control(1e-15)), and with X <- model.matrix(f) and p <- fitted(f) the errors
    // sqrt(diag(solve(t(X) %*% (X * (Freq * p * (1 - p))))))
    let expected = [
        0.09911269681181344,
        0.08084646653236978,
        0.10983889832202952,
        0.10663288591147352,
        0.10582342365677620,
        0.12611349600526273,
        0.16998180861357776,
    ];
    close(&errors(&fit), &expected, 1e-12);
}
