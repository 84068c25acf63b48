//! Compares logistic and Poisson regression with R's `glm`, and weights, balance and matching with R's numbers.

use columna_stats::models::{Family, Fit, Frame, Options, Variance, fit};

use crate::oracle::{Data, Oracle};

const COEFFICIENTS: f64 = 1e-8;
const LIKELIHOOD: f64 = 1e-10;

pub(crate) fn lung(oracle: &Oracle) {
    // R's complete cases over all variables that the models of the file use, the institution among them.
    let data = Data::load("lung");
    let used = ["inst", "age", "sex", "ph.ecog", "wt.loss"].map(|name| data.numbers(name));
    let rows: Vec<usize> =
        (0..used[0].len()).filter(|row| used.iter().all(|column| !column[*row].is_nan())).collect();
    let column = |name: &str| -> Vec<f64> {
        let column = data.numbers(name);
        rows.iter().map(|row| column[*row]).collect()
    };
    let (event, age, sex) = (column("event"), column("age"), column("sex"));
    let (ecog, loss) = (column("ph.ecog"), column("wt.loss"));
    let log_time: Vec<f64> = column("time").iter().map(|time| time.ln()).collect();
    let columns: [&[f64]; 4] = [&age, &sex, &ecog, &loss];
    compare(oracle, "glm_logistic", Family::Binomial, &Frame::new(&event, &columns));
    let frame = Frame { offset: Some(&log_time), ..Frame::new(&event, &columns[..2]) };
    compare(oracle, "glm_poisson_offset", Family::Poisson, &frame);
}

fn robust() -> Options {
    Options { variance: Variance::Robust, ..Options::default() }
}

pub(crate) fn compare(oracle: &Oracle, path: &str, family: Family, frame: &Frame<'_>) -> Fit {
    let at = |name: &str| format!("{path}/{name}");
    for note in ["formula", "family", "terms"] {
        oracle.mark(&at(note));
    }
    let fit = fit(family, frame, &robust()).unwrap();
    oracle.compare(&at("n"), &[fit.rows as f64], 0.0);
    oracle.compare(&at("iter"), &[fit.iterations as f64], 0.0);
    oracle.compare(&at("coef"), &fit.coefficients.iter().map(|c| c.estimate).collect::<Vec<_>>(), COEFFICIENTS);
    oracle.compare(&at("se"), &fit.coefficients.iter().map(|c| c.std_err).collect::<Vec<_>>(), COEFFICIENTS);
    oracle.compare(&at("vcov"), &fit.covariance.concat(), COEFFICIENTS);
    let sandwich: Vec<f64> = fit.coefficients.iter().filter_map(|c| c.robust_std_err).collect();
    oracle.compare(&at("robust_HC0_se"), &sandwich, COEFFICIENTS);
    oracle.compare(&at("deviance"), &[fit.deviance], LIKELIHOOD);
    oracle.compare(&at("null_deviance"), &[fit.null_deviance], LIKELIHOOD);
    oracle.compare(&at("aic"), &[fit.aic], LIKELIHOOD);
    oracle.compare(&at("loglik"), &[fit.log_likelihood], LIKELIHOOD);
    oracle.compare(&at("fitted_first10"), &fit.fitted(frame).unwrap()[..10], COEFFICIENTS);
    fit
}
