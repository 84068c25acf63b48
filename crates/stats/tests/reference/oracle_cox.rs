//! Cox models and concordance against the oracle.

use columna_stats::survival::ConfType;
use columna_stats::survival::concordance::{self, Concordance, TimeWeight, concordance};
use columna_stats::survival::cox::{Cox, Options, Row, Rows, Ties, TimeTransform};

use crate::oracle::{Data, Oracle};

const COEFFICIENT: f64 = 1e-8;
const LIKELIHOOD: f64 = 1e-10;

/// What a formula says, besides its terms.
#[derive(Default)]
struct Design {
    strata: Option<String>,
    cluster: Option<String>,
    /// The event is one cause of several.
    cause: Option<f64>,
    weights: Option<Vec<f64>>,
    robust: Option<bool>,
    /// Rows unknown in these are left out, whether or not the model has them.
    complete: Vec<&'static str>,
}

fn argument(formula: &str, function: &str) -> Option<String> {
    let (_, rest) = formula.split_once(&format!("{function}("))?;
    rest.split_once(')').map(|(name, _)| name.to_owned())
}

/// The column of a term: a number, a product, or a level of a factor.
fn column(data: &Data, term: &str) -> Vec<f64> {
    if let Some((a, b)) = term.split_once(':') {
        return column(data, a)
            .iter()
            .zip(column(data, b))
            .map(|(a, b)| a * b)
            .collect();
    }
    if let Some(level) = term.strip_prefix("celltype") {
        return data
            .text("celltype")
            .iter()
            .map(|cell| f64::from(u8::from(cell == level)))
            .collect();
    }
    data.numbers(term)
}

/// The rows of a model, and which row of the data each is.
fn rows(data: &Data, times: &[&str], terms: &[String], design: &Design) -> (Rows, Vec<usize>) {
    let columns: Vec<Vec<f64>> = terms.iter().map(|term| column(data, term)).collect();
    let numbers = |name: &Option<String>| name.as_ref().map(|name| coded(data, name));
    let (strata, clusters) = (numbers(&design.strata), numbers(&design.cluster));
    let complete: Vec<Vec<f64>> = design
        .complete
        .iter()
        .map(|name| data.numbers(name))
        .collect();
    let (time, event) = (
        data.numbers(times[times.len() - 2]),
        data.numbers(times[times.len() - 1]),
    );
    let start = (times.len() == 3).then(|| data.numbers(times[0]));
    let (mut rows, mut kept) = (Rows::new(), Vec::new());
    for row in 0..time.len() {
        let x: Vec<f64> = columns.iter().map(|column| column[row]).collect();
        let others = complete.iter().map(|column| column[row]);
        if x.iter().copied().chain(others).any(f64::is_nan) {
            continue;
        }
        let event = design
            .cause
            .map_or(event[row] == 1.0, |cause| event[row] == cause);
        let mut new = Row::new(time[row], event, &x);
        new.start = start.as_ref().map(|start| start[row]);
        new.stratum = strata.as_ref().map_or(0, |strata| strata[row]);
        new.cluster = clusters.as_ref().map(|clusters| clusters[row]);
        new.weight = design.weights.as_ref().map_or(1.0, |weights| weights[row]);
        rows.push(&new).unwrap();
        kept.push(row);
    }
    (rows, kept)
}

/// Codes in R's order of levels: numbers as they are, celltype as its factor.
fn coded(data: &Data, name: &str) -> Vec<u64> {
    let levels = ["squamous", "smallcell", "adeno", "large"];
    let code = |cell: &String| match levels.iter().position(|level| level == cell) {
        Some(level) => level as u64,
        None => cell.parse().unwrap_or(u64::MAX),
    };
    data.text(name).iter().map(code).collect()
}

fn model(oracle: &Oracle, path: &str, data: &Data, times: &[&str], mut design: Design) {
    let at = |quantity: &str| format!("{path}/{quantity}");
    let formula = oracle.strings(&at("formula")).remove(0);
    let terms = oracle.strings(&at("terms"));
    let ties = match oracle.strings(&at("ties"))[0].as_str() {
        "efron" => Ties::Efron,
        "breslow" => Ties::Breslow,
        other => panic!("unknown ties {other}"),
    };
    design.strata = argument(&formula, "strata");
    design.cluster = argument(&formula, "cluster");
    let (rows, _) = rows(data, times, &terms, &design);
    let options = Options {
        ties,
        robust: design.robust,
        ..Options::default()
    };
    let cox = Cox::fit(&rows, &options).unwrap();
    let fit = cox.result();
    let flat = |matrix: &[Vec<f64>]| matrix.concat();
    oracle.compare(&at("n"), &[fit.n as f64], 0.0);
    oracle.compare(&at("nevent"), &[fit.n_events as f64], 0.0);
    oracle.compare(&at("coef"), &fit.coefficients, COEFFICIENT);
    oracle.compare(&at("se"), &fit.std_err(), COEFFICIENT);
    oracle.compare(&at("var"), &flat(&fit.variance), COEFFICIENT);
    oracle.compare(&at("loglik_null"), &[fit.log_likelihood_null], LIKELIHOOD);
    oracle.compare(&at("loglik"), &[fit.log_likelihood], LIKELIHOOD);
    oracle.compare(&at("score_test"), &[fit.score_test.statistic], COEFFICIENT);
    oracle.compare(&at("wald_test"), &[fit.wald_test.statistic], COEFFICIENT);
    oracle.compare(
        &at("lr_test"),
        &[fit.likelihood_ratio_test.statistic],
        COEFFICIENT,
    );
    oracle.compare(&at("means"), &fit.means, COEFFICIENT);
    let ratios = fit.hazard_ratios(0.95).unwrap();
    let of = |of: fn(&columna_stats::survival::HazardRatio) -> f64| {
        ratios.iter().map(of).collect::<Vec<_>>()
    };
    oracle.compare(&at("hr"), &of(|ratio| ratio.estimate), COEFFICIENT);
    oracle.compare(&at("hr_lower"), &of(|ratio| ratio.lower), COEFFICIENT);
    oracle.compare(&at("hr_upper"), &of(|ratio| ratio.upper), COEFFICIENT);
    oracle.compare(&at("p_wald"), &of(|ratio| ratio.p_value), 1e-7);
    if oracle.has(&at("naive_var")) {
        let naive: Vec<f64> = (0..terms.len())
            .map(|term| fit.naive_variance[term][term].sqrt())
            .collect();
        oracle.compare(&at("se_naive"), &naive, COEFFICIENT);
        oracle.compare(&at("naive_var"), &flat(&fit.naive_variance), COEFFICIENT);
        oracle.compare(
            &at("robust_score"),
            &[fit.robust_score_test.unwrap().statistic],
            COEFFICIENT,
        );
    }
    let found = concordance(
        &rows,
        &cox.linear_predictors(),
        &concordance::Options::default(),
    )
    .unwrap();
    oracle.compare(&at("concordance/C"), &[found.concordance], 1e-12);
    oracle.compare(&at("concordance/se"), &[found.std_err], 1e-9);
    for (name, count) in [
        ("concordant", found.concordant),
        ("discordant", found.discordant),
        ("tied_x", found.tied_risk),
        ("tied_y", found.tied_time),
        ("tied_xy", found.tied_both),
    ] {
        oracle.compare(&at(&format!("concordance/{name}")), &[count], 0.0);
    }
    after_the_fit(oracle, path, &cox);
}

/// Baselines, residuals and proportional-hazards tests, where the oracle has them.
fn after_the_fit(oracle: &Oracle, path: &str, cox: &Cox<'_>) {
    let at = |quantity: &str| format!("{path}/{quantity}");
    for (name, baseline) in [
        ("basehaz_uncentered", cox.baseline()),
        ("basehaz_at_means", cox.baseline_at_means()),
    ] {
        if oracle.has(&at(name)) {
            let rows: Vec<_> = baseline.iter().flat_map(|stratum| &stratum.rows).collect();
            let column = |quantity: &str| at(&format!("{name}/{quantity}"));
            oracle.compare(
                &column("time"),
                &rows.iter().map(|row| row.time).collect::<Vec<_>>(),
                1e-15,
            );
            let hazard: Vec<f64> = rows.iter().map(|row| row.cumulative_hazard).collect();
            compare_relative(oracle, &column("cumhaz"), &hazard);
            if oracle.has(&column("strata")) {
                strata(
                    oracle,
                    &column("strata"),
                    &baseline
                        .iter()
                        .map(|stratum| stratum.rows.len())
                        .collect::<Vec<_>>(),
                );
            }
        }
    }
    if oracle.has(&at("survfit_at_means")) {
        let means = cox.result().means.clone();
        let curves = cox.predict(&means, ConfType::Log, 0.95).unwrap();
        let rows: Vec<_> = curves.iter().flat_map(|(_, rows)| rows).collect();
        let column = |quantity: &str| at(&format!("survfit_at_means/{quantity}"));
        oracle.compare(
            &column("time"),
            &rows.iter().map(|row| row.time).collect::<Vec<_>>(),
            1e-15,
        );
        oracle.compare(
            &column("surv"),
            &rows.iter().map(|row| row.survival).collect::<Vec<_>>(),
            COEFFICIENT,
        );
        let std_errs: Vec<f64> = rows.iter().map(|row| row.std_err).collect();
        oracle.compare(&column("stderr_cumhaz"), &std_errs, COEFFICIENT);
        if oracle.has(&column("lower_log")) {
            oracle.compare(
                &column("lower_log"),
                &rows.iter().map(|row| row.lower).collect::<Vec<_>>(),
                COEFFICIENT,
            );
            oracle.compare(
                &column("upper_log"),
                &rows.iter().map(|row| row.upper).collect::<Vec<_>>(),
                COEFFICIENT,
            );
        }
    }
    if oracle.has(&at("martingale")) {
        oracle.compare(&at("martingale"), &cox.martingale_residuals(), COEFFICIENT);
    }
    if oracle.has(&at("dfbeta_first3rows")) {
        oracle.compare(
            &at("dfbeta_first3rows"),
            &cox.dfbeta()[..3].concat(),
            COEFFICIENT,
        );
    }
    if oracle.has(&at("linear_predictor_centered_first10")) {
        let found = &cox.linear_predictors()[..10];
        oracle.compare(&at("linear_predictor_centered_first10"), found, COEFFICIENT);
    }
    let transforms = [
        ("km", TimeTransform::KaplanMeier),
        ("rank", TimeTransform::Rank),
        ("identity", TimeTransform::Identity),
        ("log", TimeTransform::Log),
    ];
    for (name, transform) in transforms
        .into_iter()
        .filter(|(name, _)| oracle.has(&at(&format!("cox_zph/{name}"))))
    {
        let column = |quantity: &str| at(&format!("cox_zph/{name}/{quantity}"));
        let terms = oracle.strings(&column("rows")).len() - 1;
        let zph = cox.zph(transform, &(0..terms).collect::<Vec<_>>()).unwrap();
        let tests: Vec<_> = zph.terms.iter().chain([&zph.global]).collect();
        oracle.compare(
            &column("chisq"),
            &tests.iter().map(|test| test.statistic).collect::<Vec<_>>(),
            COEFFICIENT,
        );
        oracle.compare(
            &column("df"),
            &tests.iter().map(|test| test.df as f64).collect::<Vec<_>>(),
            0.0,
        );
        oracle.compare(
            &column("p"),
            &tests.iter().map(|test| test.p_value).collect::<Vec<_>>(),
            COEFFICIENT,
        );
    }
}

/// Strictly relative: a baseline far from the data can be as small as 1e-19.
fn compare_relative(oracle: &Oracle, path: &str, found: &[f64]) {
    let expected = oracle.numbers(path);
    let scale = expected.iter().copied().fold(0.0, f64::max);
    let scaled = |values: &[f64]| values.iter().map(|value| value / scale).collect::<Vec<_>>();
    oracle.compare_with(path, &scaled(found), &scaled(&expected), 1e-7);
}

/// The number of rows of each stratum; null where there is one.
fn strata(oracle: &Oracle, path: &str, lengths: &[usize]) {
    oracle.mark(path);
    if oracle.get(path).unwrap().is_null() {
        assert_eq!(lengths.len(), 1);
        return;
    }
    let names = oracle.strings(path);
    let expected: Vec<usize> = names.chunk_by(|a, b| a == b).map(<[String]>::len).collect();
    assert_eq!(lengths, expected, "{path}");
}

fn lung_weights(rows: usize) -> Vec<f64> {
    (1..=rows).map(|row| [2.0, 1.0, 0.5][row % 3]).collect()
}

pub(crate) fn lung(oracle: &Oracle) {
    let data = Data::load("lung");
    let times = ["time", "event"];
    for path in ["cox_efron", "cox_breslow", "cox_strata"] {
        model(oracle, path, &data, &times, Design::default());
    }
    oracle.mark("cox_cluster_note");
    for path in ["cox_cluster", "cox_cluster_breslow"] {
        let complete = vec!["age", "sex", "ph.ecog", "wt.loss", "inst"];
        model(
            oracle,
            path,
            &data,
            &times,
            Design {
                complete,
                ..Design::default()
            },
        );
    }
    model(
        oracle,
        "cox_robust",
        &data,
        &times,
        Design {
            robust: Some(true),
            ..Design::default()
        },
    );
    for path in ["cox_weighted", "cox_weighted_breslow"] {
        let weights = Some(lung_weights(data.numbers("time").len()));
        model(
            oracle,
            path,
            &data,
            &times,
            Design {
                weights,
                ..Design::default()
            },
        );
    }
    time_weighted_concordance(oracle, &data);
}

fn time_weighted_concordance(oracle: &Oracle, data: &Data) {
    let terms = ["age", "sex", "ph.ecog"].map(str::to_owned);
    let (rows, _) = rows(data, &["time", "event"], &terms, &Design::default());
    let cox = Cox::fit(&rows, &Options::default()).unwrap();
    let risk = cox.linear_predictors();
    for (path, latest) in [("concordance", None), ("concordance_ymax500", Some(500.0))] {
        for (name, time_weight) in [
            ("n", TimeWeight::Pairs),
            ("S", TimeWeight::Survival),
            ("S|G", TimeWeight::SurvivalByCensoring),
            ("n|G2", TimeWeight::SurvivalByCensoring),
            ("I", TimeWeight::AtRisk),
        ] {
            let Concordance {
                concordance,
                std_err,
                concordant,
                discordant,
                tied_risk,
                tied_time,
                tied_both,
            } = concordance(
                &rows,
                &risk,
                &concordance::Options {
                    time_weight,
                    latest,
                },
            )
            .unwrap();
            let counts = [concordant, discordant, tied_risk, tied_time, tied_both];
            oracle.compare(&format!("{path}/{name}/C"), &[concordance], 1e-11);
            oracle.compare(&format!("{path}/{name}/se"), &[std_err], 1e-9);
            let keys = ["concordant", "discordant", "tied.x", "tied.y", "tied.xy"];
            for (key, count) in keys.into_iter().zip(counts) {
                oracle.compare(&format!("{path}/{name}/count/{key}"), &[count], 1e-12);
            }
        }
    }
    oracle.mark("concordance_ymax500/ymax");
}

pub(crate) fn veteran(oracle: &Oracle) {
    let data = Data::load("veteran");
    for path in ["cox_efron", "cox_breslow", "cox_factor", "cox_strata"] {
        model(oracle, path, &data, &["time", "status"], Design::default());
    }
}

pub(crate) fn ovarian(oracle: &Oracle) {
    let data = Data::load("ovarian");
    for path in ["cox_efron", "cox_strata"] {
        model(
            oracle,
            path,
            &data,
            &["futime", "fustat"],
            Design::default(),
        );
    }
}

pub(crate) fn heart(oracle: &Oracle) {
    let data = Data::load("heart");
    for path in [
        "cox_efron",
        "cox_breslow",
        "cox_efron2",
        "cox_strata",
        "cox_cluster_id",
    ] {
        model(
            oracle,
            path,
            &data,
            &["start", "stop", "event"],
            Design::default(),
        );
    }
}

pub(crate) fn competing(oracle: &Oracle) {
    let data = Data::load("cr_synth");
    for (path, cause) in [
        ("cause_specific_cox_1", 1.0),
        ("cause_specific_cox_2", 2.0),
        ("cox_robust_cluster_site_strata", 1.0),
    ] {
        model(
            oracle,
            path,
            &data,
            &["time", "status"],
            Design {
                cause: Some(cause),
                ..Design::default()
            },
        );
    }
}

pub(crate) fn edge(oracle: &Oracle) {
    let data = Data::load("edge_cox_open");
    let times = ["time", "event"];
    oracle.mark("cox_large_offset_covariates/csv");
    model(
        oracle,
        "cox_large_offset_covariates/fit",
        &data,
        &times,
        Design::default(),
    );

    let (x, time, event) = (
        data.numbers("x"),
        data.numbers("time"),
        data.numbers("event"),
    );
    let fit = |rows: &Rows, ties| {
        let cox = Cox::fit(
            rows,
            &Options {
                ties,
                ..Options::default()
            },
        )
        .unwrap();
        cox.result().clone()
    };
    let mut collinear = Rows::new();
    let mut tied = Rows::new();
    for row in 0..x.len() {
        collinear
            .push(&Row::new(
                time[row],
                event[row] == 1.0,
                &[x[row], 2.0 * x[row]],
            ))
            .unwrap();
        tied.push(&Row::new(1.0, event[row] == 1.0, &[x[row]]))
            .unwrap();
    }
    let found = fit(&collinear, Ties::Efron);
    oracle.compare("cox_collinear/coef", &found.coefficients, COEFFICIENT);
    assert_eq!(found.dropped, [false, true]);
    for key in ["csv", "rule", "expected"] {
        oracle.mark(&format!("cox_collinear/{key}"));
    }
    for (name, ties) in [("efron", Ties::Efron), ("breslow", Ties::Breslow)] {
        let found = fit(&tied, ties);
        let at = |quantity: &str| format!("cox_one_tie_block/{name}/{quantity}");
        oracle.compare(&at("coef"), &found.coefficients, COEFFICIENT);
        oracle.compare(&at("se"), &found.std_err(), COEFFICIENT);
        oracle.compare(
            &at("loglik"),
            &[found.log_likelihood_null, found.log_likelihood],
            LIKELIHOOD,
        );
    }
    oracle.mark("cox_one_tie_block/csv");
    oracle.mark("cox_one_tie_block/rule");

    let at = |quantity: &str| format!("cox_monotone/{quantity}");
    let [time, event, x] = ["time", "event", "x"].map(|name| oracle.numbers(&at(name)));
    let mut monotone = Rows::new();
    for row in 0..x.len() {
        monotone
            .push(&Row::new(time[row], event[row] == 1.0, &[x[row]]))
            .unwrap();
    }
    let found = fit(&monotone, Ties::Efron);
    assert_eq!(found.infinite, [true]);
    oracle.compare(
        &at("loglik"),
        &[found.log_likelihood_null, found.log_likelihood],
        1e-9,
    );
    oracle.compare(
        &at("score_test"),
        &[found.score_test.statistic],
        COEFFICIENT,
    );
    for key in ["R_coef_is_arbitrary", "R_warnings", "expected"] {
        oracle.mark(&at(key));
    }
}
