//! Compares logistic and Poisson regression with R's `glm`, and weights, balance and matching with R's numbers.

use columna_stats::causal::balance::Balance;
use columna_stats::causal::matching::{Caliper, MatchOptions, MatchedSet, Search, nearest};
use columna_stats::causal::outcome::{WeightedOutcomes, weighted_logistic};
use columna_stats::causal::propensity::{c_statistic, propensity_scores};
use columna_stats::causal::weighting::{Estimand, Trim, Weights, weights};
use columna_stats::models::{
    Family, Fit, Frame, Options, PathOptions, SparseColumn, SparseFrame, Variance, fit, path,
};

use crate::oracle::{Data, Oracle};

const COEFFICIENTS: f64 = 1e-8;
const LIKELIHOOD: f64 = 1e-10;
/// glmnet at `thresh = 1e-15` stops this far from the solution, which the optimality conditions show
/// (`models_penalised::optimal_to_rounding`).
const PENALISED: f64 = 1e-7;
const EXPLAINED: f64 = 1e-8;

pub(crate) fn lung(oracle: &Oracle) {
    // R's complete cases over all variables that the models of the file use, the institution among them.
    let data = Data::load("lung");
    let used = ["inst", "age", "sex", "ph.ecog", "wt.loss"].map(|name| data.numbers(name));
    let rows: Vec<usize> = (0..used[0].len())
        .filter(|row| used.iter().all(|column| !column[*row].is_nan()))
        .collect();
    let column = |name: &str| -> Vec<f64> {
        let column = data.numbers(name);
        rows.iter().map(|row| column[*row]).collect()
    };
    let (event, age, sex) = (column("event"), column("age"), column("sex"));
    let (ecog, loss) = (column("ph.ecog"), column("wt.loss"));
    let log_time: Vec<f64> = column("time").iter().map(|time| time.ln()).collect();
    let columns: [&[f64]; 4] = [&age, &sex, &ecog, &loss];
    compare(
        oracle,
        "glm_logistic",
        Family::Binomial,
        &Frame::new(&event, &columns),
    );
    let frame = Frame {
        offset: Some(&log_time),
        ..Frame::new(&event, &columns[..2])
    };
    compare(oracle, "glm_poisson_offset", Family::Poisson, &frame);
    penalised(oracle, &event, &columns);
}

fn penalised(oracle: &Oracle, event: &[f64], columns: &[&[f64]]) {
    oracle.mark("glmnet_logistic/note");
    oracle.mark("glmnet_note");
    let columns: Vec<SparseColumn> = columns
        .iter()
        .map(|column| SparseColumn::from_dense(column).unwrap())
        .collect();
    let frame = SparseFrame::new(event, &columns);
    for alpha in ["1", "0", "0.5"] {
        for standardize in [true, false] {
            let name = if standardize { "TRUE" } else { "FALSE" };
            let at = |quantity: &str| format!("glmnet_logistic/alpha{alpha}_std{name}/{quantity}");
            oracle.mark(&at("terms"));
            let lambda = oracle.numbers(&at("lambda"));
            let alpha = alpha.parse().unwrap();
            let options = PathOptions {
                alpha,
                lambda: Some(lambda),
                standardize,
                tolerance: 1e-22,
                ..PathOptions::default()
            };
            let found = path(Family::Binomial, &frame, &options).unwrap().points;
            let coefficient = |term: usize, at: usize| {
                let slopes = &found[at].coefficients;
                slopes
                    .iter()
                    .find(|slope| slope.0 == term)
                    .map_or(0.0, |slope| slope.1)
            };
            let rows = (0..=4).flat_map(|row| (0..found.len()).map(move |at| (row, at)));
            let table: Vec<f64> = rows
                .map(|(row, at)| {
                    if row == 0 {
                        found[at].intercept
                    } else {
                        coefficient(row - 1, at)
                    }
                })
                .collect();
            oracle.compare(&at("coef_columns_are_lambdas"), &table, PENALISED);
            let explained: Vec<f64> = found.iter().map(|point| point.deviance_ratio).collect();
            oracle.compare(&at("dev_ratio"), &explained, EXPLAINED);
        }
    }
}

fn robust() -> Options {
    Options {
        variance: Variance::Robust,
        ..Options::default()
    }
}

pub(crate) fn compare(oracle: &Oracle, path: &str, family: Family, frame: &Frame<'_>) -> Fit {
    let at = |name: &str| format!("{path}/{name}");
    for note in ["formula", "family", "terms"] {
        oracle.mark(&at(note));
    }
    let fit = fit(family, frame, &robust()).unwrap();
    oracle.compare(&at("n"), &[fit.rows as f64], 0.0);
    oracle.compare(&at("iter"), &[fit.iterations as f64], 0.0);
    oracle.compare(
        &at("coef"),
        &fit.coefficients
            .iter()
            .map(|c| c.estimate)
            .collect::<Vec<_>>(),
        COEFFICIENTS,
    );
    oracle.compare(
        &at("se"),
        &fit.coefficients
            .iter()
            .map(|c| c.std_err)
            .collect::<Vec<_>>(),
        COEFFICIENTS,
    );
    oracle.compare(&at("vcov"), &fit.covariance.concat(), COEFFICIENTS);
    let sandwich: Vec<f64> = fit
        .coefficients
        .iter()
        .filter_map(|c| c.robust_std_err)
        .collect();
    oracle.compare(&at("robust_HC0_se"), &sandwich, COEFFICIENTS);
    oracle.compare(&at("deviance"), &[fit.deviance], LIKELIHOOD);
    oracle.compare(&at("null_deviance"), &[fit.null_deviance], LIKELIHOOD);
    oracle.compare(&at("aic"), &[fit.aic], LIKELIHOOD);
    oracle.compare(&at("loglik"), &[fit.log_likelihood], LIKELIHOOD);
    oracle.compare(
        &at("fitted_first10"),
        &fit.fitted(frame).unwrap()[..10],
        COEFFICIENTS,
    );
    fit
}

const ESTIMANDS: [(&str, Estimand); 5] = [
    ("ate", Estimand::Everybody),
    ("stabilised_ate", Estimand::Stabilized),
    ("att", Estimand::Treated),
    ("overlap", Estimand::Overlap),
    ("matching", Estimand::Matching),
];

pub(crate) fn iptw(oracle: &Oracle) {
    let data = Data::load("iptw_open");
    let covariates = ["x1", "x2", "x3"].map(|name| data.numbers(name));
    let (treatment, outcome) = (data.numbers("treat"), data.numbers("y"));
    let columns: Vec<&[f64]> = covariates.iter().map(Vec::as_slice).collect();
    let frame = Frame::new(&treatment, &columns);
    compare(oracle, "iptw/ps_model", Family::Binomial, &frame);
    let scores = propensity_scores(&frame, &Options::default())
        .unwrap()
        .scores;
    oracle.compare("iptw/ps", &scores, COEFFICIENTS);
    let treated: Vec<bool> = treatment.iter().map(|treated| *treated == 1.0).collect();
    oracle.compare(
        "iptw/ps_c_statistic",
        &[c_statistic(&scores, &treated).unwrap()],
        LIKELIHOOD,
    );

    let ones = vec![1.0; treated.len()];
    weighted(
        oracle,
        "unadjusted",
        &ones,
        &ones,
        &treated,
        &covariates,
        &outcome,
    );
    for (name, estimand) in ESTIMANDS {
        let found = weights(&scores, &treated, estimand, Trim::None).unwrap();
        oracle.compare(&format!("iptw/weights/{name}"), &found, COEFFICIENTS);
        weighted(oracle, name, &found, &ones, &treated, &covariates, &outcome);
    }
    oracle.mark("iptw/csv");
    matched(oracle, &scores, &treated);
}

fn weighted(
    oracle: &Oracle,
    name: &str,
    weights: &[f64],
    ones: &[f64],
    treated: &[bool],
    covariates: &[Vec<f64>; 3],
    outcome: &[f64],
) {
    for (group, of) in [("treated", true), ("control", false)] {
        let mut sum = Weights::default();
        for (weight, _) in weights
            .iter()
            .zip(treated)
            .filter(|(_, treated)| **treated == of)
        {
            sum.add(*weight).unwrap();
        }
        oracle.compare(
            &format!("iptw/ess/{name}/{group}"),
            &[sum.effective()],
            COEFFICIENTS,
        );
    }
    let balance = |values: &[f64], weights: &[f64]| {
        let mut balance = Balance::default();
        for row in 0..values.len() {
            balance
                .add(values[row], treated[row], weights[row])
                .unwrap();
        }
        balance
    };
    // Overlap weights balance exactly: differences of 0 carry the scores' last digits, relative to the mean.
    let smd = |path: &str, found: f64| {
        let expected = oracle.numbers(path)[0];
        let shown = if expected.abs() < 1e-14 && found.abs() < 1e-12 {
            expected
        } else {
            found
        };
        oracle.compare(path, &[shown], COEFFICIENTS);
    };
    for (covariate, values) in [("x1", &covariates[0]), ("x3", &covariates[2])] {
        let at = |quantity: &str| format!("iptw/smd/{name}/{covariate}/{quantity}");
        let found = balance(values, weights);
        oracle.compare(&at("mean1"), &[found.means().0], COEFFICIENTS);
        oracle.compare(&at("mean0"), &[found.means().1], COEFFICIENTS);
        smd(
            &at("smd_unweighted_pooled_sd"),
            found.smd_by(balance(values, ones).pooled_sd()),
        );
        smd(&at("smd_weighted_pooled_sd"), found.smd());
    }
    let at = |quantity: &str| format!("iptw/smd/{name}/x2_binary/{quantity}");
    let found = balance(&covariates[1], weights);
    oracle.compare(&at("p1"), &[found.means().0], COEFFICIENTS);
    oracle.compare(&at("p0"), &[found.means().1], COEFFICIENTS);
    smd(&at("smd"), found.smd_binary());

    let mut outcomes = WeightedOutcomes::default();
    for row in 0..outcome.len() {
        outcomes
            .add(outcome[row], treated[row], weights[row])
            .unwrap();
    }
    let difference = outcomes.compare(0.95).unwrap().difference.value;
    oracle.compare(
        &format!("iptw/outcome_hajek_risk_difference/{name}"),
        &[difference],
        COEFFICIENTS,
    );

    let at = |quantity: &str| format!("iptw/glm_weighted_or_robust/{name}/{quantity}");
    oracle.mark(&at("terms"));
    let fit = weighted_logistic(outcome, treated, weights, 0.95).unwrap();
    oracle.compare(
        &at("coef"),
        &fit.coefficients
            .iter()
            .map(|c| c.estimate)
            .collect::<Vec<_>>(),
        COEFFICIENTS,
    );
    let sandwich: Vec<f64> = fit
        .coefficients
        .iter()
        .filter_map(|c| c.robust_std_err)
        .collect();
    oracle.compare(&at("robust_HC0_se"), &sandwich, COEFFICIENTS);
}

fn matched(oracle: &Oracle, scores: &[f64], treated: &[bool]) {
    let path = "iptw/nearest_1to1_noreplace_order_largest_ps";
    let below_first = MatchOptions {
        search: Search::BelowFirst,
        ..MatchOptions::default()
    };
    let found = nearest(scores, treated, &below_first).unwrap();
    // The file's ids count rows from 1.
    let ids: Vec<f64> = found
        .sets
        .iter()
        .map(|set| (set.treated + 1) as f64)
        .collect();
    let controls: Vec<f64> = found
        .sets
        .iter()
        .map(|set| (set.untreated[0] + 1) as f64)
        .collect();
    oracle.compare(&format!("{path}/treated_id"), &ids, 0.0);
    oracle.compare(&format!("{path}/control_id"), &controls, 0.0);
    oracle.compare(&format!("{path}/n_matched_pairs"), &[ids.len() as f64], 0.0);

    // With a caliper the oracle's pairs are the same, one of them 0.044 apart where 0.018 is allowed: why they
    // are listed as not covered. Ours keep to it, and are no further apart in all.
    let caliper = MatchOptions {
        caliper: Some(Caliper::StandardDeviations(0.2)),
        ..MatchOptions::default()
    };
    let kept = nearest(scores, treated, &caliper).unwrap();
    let apart = |set: &MatchedSet| (scores[set.treated] - scores[set.untreated[0]]).abs();
    assert!(kept.sets.iter().all(|set| apart(set) <= kept.caliper));
    assert!(found.sets.iter().any(|set| apart(set) > 2.0 * kept.caliper));
    let nearest = nearest(scores, treated, &MatchOptions::default()).unwrap();
    let total = |sets: &[MatchedSet]| sets.iter().map(apart).sum::<f64>();
    assert!(total(&nearest.sets) < total(&found.sets));
}
