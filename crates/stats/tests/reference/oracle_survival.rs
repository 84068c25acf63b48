//! Kaplan-Meier, Nelson-Aalen and restricted means against the oracle.

use columna_stats::description::quantile::{QuantileType, Values};
use columna_stats::rates::PersonTime;
use columna_stats::survival::kaplan_meier::{self, Row};
use columna_stats::survival::nelson_aalen::{self, Ties};
use columna_stats::survival::rmst::{self, BeyondData};
use columna_stats::survival::{ConfType, EventTimes, RiskTable};

use crate::oracle::{Data, Oracle};

const TOLERANCE: f64 = 1e-11;

/// Rows of one data set, ready to be split into groups.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    pub(crate) start: Option<Vec<f64>>,
    pub(crate) time: Vec<f64>,
    pub(crate) status: Vec<f64>,
    pub(crate) weights: Option<Vec<f64>>,
}

impl Rows {
    pub(crate) fn summary(&self, keep: impl Fn(usize) -> bool) -> EventTimes {
        let mut summary = EventTimes::new();
        for row in (0..self.time.len()).filter(|row| keep(*row)) {
            let status = self.status[row] as u32;
            let start = self.start.as_ref().map(|start| start[row]);
            match (&self.weights, start) {
                (Some(weights), _) => summary
                    .add_weighted(start, self.time[row], status, weights[row])
                    .unwrap(),
                (None, Some(start)) => summary.add_interval(start, self.time[row], status).unwrap(),
                (None, None) => summary.add(self.time[row], status).unwrap(),
            }
        }
        summary
    }
}

/// The curves under `path`, one group per stratum; `group` gives the rows' strata, as the oracle names them.
fn curves(oracle: &Oracle, path: &str, rows: &Rows, group: Option<&[String]>) {
    let strata = oracle.strings(&format!("{path}/strata"));
    let groups: Vec<EventTimes> = strata
        .iter()
        .map(|stratum| rows.summary(|row| group.is_none_or(|group| group[row] == *stratum)))
        .collect();
    let n: Vec<f64> = groups.iter().map(|group| group.rows() as f64).collect();
    oracle.compare(&format!("{path}/n"), &n, 0.0);
    let tables = EventTimes::risk_tables(&groups.iter().collect::<Vec<_>>()).unwrap();
    for (stratum, table) in strata.iter().zip(&tables) {
        let at = |quantity: &str| format!("{path}/curves/{stratum}/{quantity}");
        let curve = kaplan_meier::curve_of(table, &kaplan_meier::Options::default()).unwrap();
        let column = |of: fn(&Row) -> f64| curve.rows.iter().map(of).collect::<Vec<_>>();
        oracle.compare(&at("time"), &column(|row| row.time), 1e-15);
        oracle.compare(&at("n_risk"), &column(|row| row.n_risk), 0.0);
        oracle.compare(&at("n_event"), &column(|row| row.n_event), 0.0);
        oracle.compare(&at("n_censor"), &column(|row| row.n_censor), 0.0);
        oracle.compare(&at("surv"), &column(|row| row.survival), TOLERANCE);
        if rows.weights.is_some() {
            // Robust variances are of S itself in R, so that here `survfit$std.err` is what `summary()` prints.
            oracle.compare(&at("stderr_logS"), &column(|row| row.std_err), TOLERANCE);
            oracle.compare(
                &at("se_S"),
                &column(|row| row.survival * row.std_err),
                TOLERANCE,
            );
        } else {
            oracle.compare(
                &at("stderr_logS"),
                &column(|row| row.std_err_log),
                TOLERANCE,
            );
            oracle.compare(&at("se_S"), &column(|row| row.std_err), TOLERANCE);
        }
        for (conf_type, name) in ConfType::ALL
            .into_iter()
            .zip(["plain", "log", "loglog", "logit", "arcsin"])
        {
            let options = kaplan_meier::Options {
                conf_type,
                ..kaplan_meier::Options::default()
            };
            let curve = kaplan_meier::curve_of(table, &options).unwrap();
            let column = |of: fn(&Row) -> f64| curve.rows.iter().map(of).collect::<Vec<_>>();
            for (side, found) in [
                ("lower", column(|row| row.lower)),
                ("upper", column(|row| row.upper)),
            ] {
                let path = at(&format!("{side}_{name}"));
                let mut expected = oracle.numbers(&path);
                // The README's convention: no width where nothing has happened yet.
                for (expected, row) in expected.iter_mut().zip(&curve.rows) {
                    if row.survival == 1.0 && expected.is_nan() {
                        *expected = 1.0;
                    }
                }
                oracle.compare_with(&path, &found, &expected, TOLERANCE);
            }
        }
    }
    for (stratum, table) in strata.iter().zip(&tables) {
        cumulative_hazards(oracle, &format!("{path}/curves/{stratum}"), table);
    }
    quantiles(oracle, path, &tables);
    restricted_means(oracle, path, &tables);
}

fn quantiles(oracle: &Oracle, path: &str, tables: &[RiskTable]) {
    let probabilities = oracle.numbers(&format!("{path}/quantile_probs"));
    for (conf_type, name) in ConfType::ALL
        .into_iter()
        .zip(["plain", "log", "loglog", "logit", "arcsin"])
    {
        let options = kaplan_meier::Options {
            conf_type,
            ..kaplan_meier::Options::default()
        };
        let (mut times, mut lower, mut upper) = (Vec::new(), Vec::new(), Vec::new());
        for table in tables {
            let curve = kaplan_meier::curve_of(table, &options).unwrap();
            for quantile in curve.quantiles(&probabilities).unwrap() {
                times.push(quantile.time);
                lower.push(quantile.lower);
                upper.push(quantile.upper);
            }
        }
        let at = |quantity: &str| format!("{path}/quantiles_rows_are_strata/{name}/{quantity}");
        oracle.compare(&at("quantile"), &times, 1e-15);
        oracle.compare(&at("lower"), &lower, 1e-15);
        oracle.compare(&at("upper"), &upper, 1e-15);
    }
}

/// R's `summary(survfit, rmean = …)$table`.
fn restricted_means(oracle: &Oracle, path: &str, tables: &[RiskTable]) {
    let common = tables
        .iter()
        .filter_map(|table| table.times().last().copied())
        .fold(0.0, f64::max);
    for kind in oracle.keys(&format!("{path}/rmean_tables")) {
        oracle.mark(&format!("{path}/rmean_tables/{kind}/columns"));
        let mut found = Vec::new();
        for table in tables {
            let tau = match kind.as_str() {
                "common" => common,
                "individual" => *table.times().last().unwrap(),
                other => other.strip_prefix("tau_").unwrap().parse().unwrap(),
            };
            let options = rmst::Options {
                beyond_data: BeyondData::CarryForward,
                ..rmst::Options::new(tau)
            };
            let mean = rmst::rmst_of(table, &options).unwrap();
            let curve = kaplan_meier::curve_of(table, &kaplan_meier::Options::default()).unwrap();
            let at_risk: Vec<f64> = curve.rows.iter().map(|row| row.n_risk).collect();
            let median = curve.median();
            found.extend([
                table.rows() as f64,
                at_risk.iter().copied().fold(0.0, f64::max),
                at_risk[0],
                curve.rows.iter().map(|row| row.n_event).sum(),
                mean.estimate,
                mean.std_err,
                median.time,
                median.lower,
                median.upper,
            ]);
        }
        let path = format!("{path}/rmean_tables/{kind}/rows");
        let mut expected = oracle.numbers(&path);
        // The README's convention for medians: `quantile()`'s rule, also at the end of the curve, where
        // `summary()` takes the first time.
        for (expected, found) in expected.chunks_mut(9).zip(found.chunks(9)) {
            for column in 6..9 {
                if expected[column] < found[column] {
                    expected[column] = found[column];
                }
            }
        }
        oracle.compare_with(&path, &found, &expected, TOLERANCE);
    }
}

fn named(data: &Data, column: &str) -> Vec<String> {
    data.text(column)
        .iter()
        .map(|value| format!("{column}={value}"))
        .collect()
}

pub(crate) fn lung(oracle: &Oracle) {
    let data = Data::load("lung");
    let mut rows = Rows {
        time: data.numbers("time"),
        status: data.numbers("event"),
        ..Rows::default()
    };
    curves(oracle, "km_overall", &rows, None);
    curves(oracle, "km_sex", &rows, Some(&named(&data, "sex")));
    curves(oracle, "km_ecog", &rows, Some(&named(&data, "ph.ecog")));
    oracle.mark("km_weights_rule");
    rows.weights = Some(
        (1..=rows.time.len())
            .map(|row| [2.0, 1.0, 0.5][row % 3])
            .collect(),
    );
    curves(oracle, "km_sex_weighted", &rows, Some(&named(&data, "sex")));
}

pub(crate) fn veteran(oracle: &Oracle) {
    let data = Data::load("veteran");
    let rows = Rows {
        time: data.numbers("time"),
        status: data.numbers("status"),
        ..Rows::default()
    };
    curves(oracle, "km_trt", &rows, Some(&named(&data, "trt")));
    curves(
        oracle,
        "km_celltype",
        &rows,
        Some(&named(&data, "celltype")),
    );
}

pub(crate) fn ovarian(oracle: &Oracle) {
    let data = Data::load("ovarian");
    let rows = Rows {
        time: data.numbers("futime"),
        status: data.numbers("fustat"),
        ..Rows::default()
    };
    curves(oracle, "km_rx", &rows, Some(&named(&data, "rx")));
}

pub(crate) fn heart(oracle: &Oracle) {
    let data = Data::load("heart");
    let rows = heart_rows(&data);
    curves(
        oracle,
        "km_startstop",
        &rows,
        Some(&named(&data, "transplant")),
    );
    oracle.mark("km_note");
}

pub(crate) fn heart_rows(data: &Data) -> Rows {
    Rows {
        start: Some(data.numbers("start")),
        time: data.numbers("stop"),
        status: data.numbers("event"),
        ..Rows::default()
    }
}

pub(crate) fn edge(oracle: &Oracle) {
    for case in oracle
        .keys("")
        .into_iter()
        .filter(|case| oracle.has(&format!("{case}/km")))
    {
        let at = |quantity: &str| format!("{case}/{quantity}");
        let truncated = oracle.has(&at("start"));
        let mut rows = Rows {
            status: oracle.numbers(&at("event")),
            ..Rows::default()
        };
        if truncated {
            rows.start = Some(oracle.numbers(&at("start")));
            rows.time = oracle.numbers(&at("stop"));
        } else {
            rows.time = oracle.numbers(&at("time"));
        }
        if case == "near_ties" {
            // Fifteen digits cannot show what the case is about.
            rows.time[1] = 0.1 + 0.2;
            rows.time[4] = 0.1 + 0.7;
        }
        curves(oracle, &at("km"), &rows, None);
        if oracle.has(&at("timefix_FALSE")) {
            let table = rows.summary(|_| true).risk_table_exact().unwrap();
            let curve = kaplan_meier::curve_of(&table, &kaplan_meier::Options::default()).unwrap();
            for (quantity, of) in [
                ("time", (|row| row.time) as fn(&Row) -> f64),
                ("n_risk", |row| row.n_risk),
                ("n_event", |row| row.n_event),
                ("surv", |row| row.survival),
            ] {
                let found: Vec<f64> = curve.rows.iter().map(of).collect();
                oracle.compare(&at(&format!("timefix_FALSE/{quantity}")), &found, TOLERANCE);
            }
        }
    }
}

fn cumulative_hazards(oracle: &Oracle, path: &str, table: &RiskTable) {
    let hazards = |ties| {
        let options = nelson_aalen::Options {
            ties,
            ..nelson_aalen::Options::default()
        };
        nelson_aalen::cumulative_hazard_of(table, &options).unwrap()
    };
    let column = |rows: &[nelson_aalen::Row], of: fn(&nelson_aalen::Row) -> f64| {
        rows.iter().map(of).collect::<Vec<_>>()
    };
    let at = |quantity: &str| format!("{path}/{quantity}");
    let rows = hazards(Ties::NelsonAalen);
    oracle.compare(
        &at("cumhaz_NA"),
        &column(&rows, |row| row.cumulative_hazard),
        TOLERANCE,
    );
    oracle.compare(
        &at("se_cumhaz_NA"),
        &column(&rows, |row| row.std_err),
        TOLERANCE,
    );
    oracle.compare(
        &at("surv_expNA_ctype1"),
        &column(&rows, |row| row.survival),
        TOLERANCE,
    );
    let rows = hazards(Ties::FlemingHarrington);
    oracle.compare(
        &at("cumhaz_FH_ctype2"),
        &column(&rows, |row| row.cumulative_hazard),
        TOLERANCE,
    );
    oracle.compare(
        &at("se_cumhaz_FH_ctype2"),
        &column(&rows, |row| row.std_err),
        TOLERANCE,
    );
    oracle.compare(
        &at("surv_FH_ctype2"),
        &column(&rows, |row| row.survival),
        TOLERANCE,
    );
}

/// R's `pyears`: person-years and events by group.
pub(crate) fn person_years(oracle: &Oracle) {
    let (name, group) = if oracle.has("km_sex") {
        ("lung", "sex")
    } else {
        ("heart", "transplant")
    };
    let data = Data::load(name);
    let rows = if name == "heart" {
        heart_rows(&data)
    } else {
        Rows {
            time: data.numbers("time"),
            status: data.numbers("event"),
            ..Rows::default()
        }
    };
    let groups = data.text(group);
    let mut levels = groups.to_vec();
    levels.sort();
    levels.dedup();
    let (mut years, mut events, mut n) = (Vec::new(), Vec::new(), Vec::new());
    for level in &levels {
        let mut sums = PersonTime::default();
        let members = (0..groups.len()).filter(|row| groups[*row] == *level);
        for row in members.clone() {
            let start = rows.start.as_ref().map_or(0.0, |start| start[row]);
            sums.add(rows.status[row] as u64, rows.time[row] - start)
                .unwrap();
        }
        years.push(sums.time / 365.25);
        events.push(sums.events as f64);
        n.push(members.count() as f64);
    }
    oracle.compare("pyears/pyears", &years, TOLERANCE);
    oracle.compare("pyears/event", &events, 0.0);
    if oracle.has("pyears/n") {
        oracle.compare("pyears/n", &n, 0.0);
        oracle.compare("pyears/offtable", &[0.0], 0.0);
    }
}

pub(crate) fn quantiles_of_time(oracle: &Oracle) {
    let time = Data::load("lung").numbers("time");
    let probabilities = oracle.numbers("quantile_probs");
    for kind in 1..=9 {
        let values: Values = time.iter().copied().collect();
        let found = values
            .quantiles(&probabilities, QuantileType::new(kind).unwrap())
            .unwrap();
        oracle.compare(&format!("quantile_time/type{kind}"), &found, TOLERANCE);
    }
}
