//! Competing risks against the oracle.

use columna_stats::Grouped;
use columna_stats::survival::cumulative_incidence::{self, CumulativeIncidence, Variance};
use columna_stats::survival::fine_gray::{self, CompetingRows};
use columna_stats::survival::{ConfType, EventTimes, gray};

use crate::oracle::{Data, Oracle};

const TOLERANCE: f64 = 1e-11;
const FINE_GRAY: f64 = 1e-6;

struct Rows {
    time: Vec<f64>,
    status: Vec<f64>,
    arm: Vec<String>,
    data: Data,
}

impl Rows {
    fn load() -> Self {
        let data = Data::load("cr_synth");
        let arm = data.text("arm").to_vec();
        Self {
            time: data.numbers("time"),
            status: data.numbers("status"),
            arm,
            data,
        }
    }

    fn summary(&self, arm: Option<&str>) -> EventTimes {
        let mut summary = EventTimes::new();
        for row in (0..self.time.len()).filter(|row| arm.is_none_or(|arm| self.arm[*row] == arm)) {
            summary
                .add(self.time[row], self.status[row] as u32)
                .unwrap();
        }
        summary
    }

    fn by_arm(&self, stratum: Option<&str>) -> Grouped<(String, String), EventTimes> {
        let mut arms = Grouped::<(String, String), EventTimes>::default();
        for row in 0..self.time.len() {
            let stratum = stratum
                .map_or("", |stratum| &self.data.text(stratum)[row])
                .to_owned();
            arms.entry((stratum, self.arm[row].clone()))
                .add(self.time[row], self.status[row] as u32)
                .unwrap();
        }
        arms
    }
}

pub(crate) fn aalen_johansen(oracle: &Oracle) {
    let rows = Rows::load();
    for path in ["aj_overall", "aj_arm"] {
        oracle.mark(&format!("{path}/states"));
        for name in oracle.keys(&format!("{path}/curves")) {
            let summary = rows.summary(name.strip_prefix("arm="));
            states(oracle, &format!("{path}/curves/{name}"), &summary);
        }
    }
}

fn states(oracle: &Oracle, path: &str, summary: &EventTimes) {
    let at = |quantity: &str| format!("{path}/{quantity}");
    let curves = |conf_type| {
        let options = cumulative_incidence::Options {
            conf_type,
            ..cumulative_incidence::Options::default()
        };
        cumulative_incidence::curves(summary, &options).unwrap()
    };
    // R's rows hold the event-free state and the two causes.
    let rows = |curves: &CumulativeIncidence, of: fn(&cumulative_incidence::Row) -> f64| {
        let states = [&curves.event_free, &curves.causes[0], &curves.causes[1]];
        (0..curves.event_free.len())
            .flat_map(|at| states.map(|rows| of(&rows[at])))
            .collect::<Vec<_>>()
    };
    let log = curves(ConfType::Log);
    let column = |of: fn(&cumulative_incidence::Row) -> f64| {
        log.event_free.iter().map(of).collect::<Vec<_>>()
    };
    oracle.compare(&at("time"), &column(|row| row.time), 0.0);
    oracle.compare(&at("n_censor"), &column(|row| row.n_censor), 0.0);
    oracle.compare(&at("n_event"), &rows(&log, |row| row.n_event), 0.0);
    oracle.compare(&at("pstate"), &rows(&log, |row| row.estimate), TOLERANCE);
    oracle.compare(&at("se_pstate"), &rows(&log, |row| row.std_err), TOLERANCE);
    // R also counts who is "at risk" in the states of the causes: those who are there.
    let at_risk: Vec<f64> = oracle
        .numbers(&at("n_risk"))
        .chunks(3)
        .map(|states| states[0])
        .collect();
    oracle.compare_with(&at("n_risk"), &column(|row| row.n_risk), &at_risk, 0.0);
    let log_log = curves(ConfType::LogLog);
    for (curves, name) in [(&log, "log"), (&log_log, "loglog")] {
        for (side, found) in [
            ("lower", rows(curves, |row| row.lower)),
            ("upper", rows(curves, |row| row.upper)),
        ] {
            let path = at(&format!("{side}_{name}"));
            // The README's convention: an incidence of 0 has the interval [0, 0].
            let expected = oracle
                .numbers(&path)
                .into_iter()
                .zip(rows(curves, |row| row.estimate));
            let expected =
                expected.map(|(limit, estimate)| if estimate == 0.0 { 0.0 } else { limit });
            let found: Vec<f64> = found
                .iter()
                .zip(rows(curves, |row| row.estimate))
                .map(|(limit, estimate)| {
                    if estimate == 0.0 && limit.is_nan() {
                        0.0
                    } else {
                        *limit
                    }
                })
                .collect();
            oracle.compare_with(&path, &found, &expected.collect::<Vec<_>>(), TOLERANCE);
        }
    }
}

pub(crate) fn cmprsk(oracle: &Oracle) {
    let rows = Rows::load();
    for quantity in ["causes", "timepoints", "at_rownames"] {
        oracle.mark(&format!("cmprsk/{quantity}"));
    }
    let points = oracle.numbers("cmprsk/timepoints");
    let options = cumulative_incidence::Options {
        variance: Variance::Delta,
        ..Default::default()
    };
    let names = oracle.strings("cmprsk/at_rownames");
    let (mut estimates, mut variances) = (Vec::new(), Vec::new());
    for name in &names {
        let (arm, cause) = name.split_once(' ').unwrap();
        let curves = cumulative_incidence::curves(&rows.summary(Some(arm)), &options).unwrap();
        let curve = &curves.causes[cause.parse::<usize>().unwrap() - 1];
        // As a polygon: two points per event, from time 0 to the last observed time.
        let (mut time, mut estimate, mut variance) = (vec![0.0], vec![0.0], vec![0.0]);
        for row in curve.iter().filter(|row| row.n_event > 0.0) {
            time.extend([row.time; 2]);
            estimate.extend([*estimate.last().unwrap(), row.estimate]);
            variance.extend([*variance.last().unwrap(), row.std_err.powi(2)]);
        }
        let last = curve.last().unwrap();
        time.push(last.time);
        estimate.push(*estimate.last().unwrap());
        variance.push(*variance.last().unwrap());
        let at = |quantity: &str| format!("cmprsk/curves_step_form/{name}/{quantity}");
        oracle.compare(&at("time"), &time, 0.0);
        oracle.compare(&at("est"), &estimate, TOLERANCE);
        oracle.compare(&at("var"), &variance, TOLERANCE);
        for point in &points {
            let row = curve.iter().rev().find(|row| row.time <= *point);
            estimates.push(row.map_or(0.0, |row| row.estimate));
            variances.push(row.map_or(0.0, |row| row.std_err.powi(2)));
        }
    }
    for (path, found) in [("cmprsk/est_at", &estimates), ("cmprsk/var_at", &variances)] {
        // Keys 1, 2, … are the rows.
        for (row, key) in oracle.keys(path).into_iter().enumerate() {
            oracle.compare(
                &format!("{path}/{key}"),
                &found[row * points.len()..][..points.len()],
                TOLERANCE,
            );
        }
    }
    gray_tests(oracle, &rows);
    for cause in [1, 2] {
        model(oracle, &rows, cause);
    }
}

fn gray_tests(oracle: &Oracle, rows: &Rows) {
    oracle.mark("cmprsk/gray_rho0/columns");
    oracle.mark("cmprsk/gray_rho0/causes");
    for (path, stratum, rho) in [
        ("cmprsk/gray_rho0/rows", None, 0.0),
        ("cmprsk/gray_rho1", None, 1.0),
        ("cmprsk/gray_stratified", Some("site"), 0.0),
    ] {
        let arms = rows.by_arm(stratum);
        let mut found = Vec::new();
        for cause in [1, 2] {
            let test = gray::test(&arms, &gray::Options { cause, rho }).unwrap();
            found.extend([test.statistic, test.p_value, test.df as f64]);
        }
        oracle.compare(path, &found, 1e-10);
    }
}

fn model(oracle: &Oracle, rows: &Rows, cause: u32) {
    let at = |quantity: &str| format!("cmprsk/finegray/cause{cause}/{quantity}");
    let columns: Vec<Vec<f64>> = oracle
        .strings(&at("terms"))
        .iter()
        .map(|term| rows.data.numbers(term))
        .collect();
    let mut competing = CompetingRows::new();
    for row in 0..rows.time.len() {
        let x: Vec<f64> = columns.iter().map(|column| column[row]).collect();
        competing
            .push(rows.time[row], rows.status[row] as u32, cause, &x)
            .unwrap();
    }
    let fit = fine_gray::fit(&competing, &fine_gray::Options::default()).unwrap();
    oracle.compare(&at("coef"), &fit.coefficients, FINE_GRAY);
    oracle.compare(&at("se"), &fit.std_err(), FINE_GRAY);
    oracle.compare(&at("var"), &fit.variance.concat(), FINE_GRAY);
    oracle.compare(
        &at("inv_information"),
        &fit.naive_variance.concat(),
        FINE_GRAY,
    );
    oracle.compare(&at("loglik"), &[fit.log_likelihood], FINE_GRAY);
    oracle.compare(&at("loglik_null"), &[fit.log_likelihood_null], FINE_GRAY);
    oracle.compare(&at("converged"), &[1.0], 0.0);
    let (times, jumps): (Vec<f64>, Vec<f64>) = fit.baseline.iter().copied().unzip();
    oracle.compare(&at("unique_failure_times"), &times, 0.0);
    oracle.compare(&at("baseline_jumps_bfitj"), &jumps, FINE_GRAY);
    let means: Vec<f64> = columns
        .iter()
        .map(|column| column.iter().sum::<f64>() / column.len() as f64)
        .collect();
    let (times, incidence): (Vec<f64>, Vec<f64>) = fit.predict(&means).unwrap().into_iter().unzip();
    oracle.compare(&at("cif_at_covariate_means/time"), &times, 0.0);
    oracle.compare(&at("cif_at_covariate_means/cif"), &incidence, FINE_GRAY);
}
