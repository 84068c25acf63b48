//! Log-rank tests against the oracle.

use columna_stats::Grouped;
use columna_stats::survival::EventTimes;
use columna_stats::survival::logrank::{self, Weighting};

use crate::oracle::{Data, Oracle};
use crate::oracle_survival::{Rows, heart_rows};

const TOLERANCE: f64 = 1e-11;

fn arms(
    data: &Data,
    rows: &Rows,
    group: &str,
    stratum: Option<&str>,
) -> Grouped<(String, String), EventTimes> {
    let mut arms = Grouped::default();
    let groups = data.text(group);
    for row in 0..groups.len() {
        // R leaves out rows with an unknown group or stratum.
        let stratum = stratum.map_or("all", |stratum| &data.text(stratum)[row]);
        if groups[row].is_empty() || stratum.is_empty() {
            continue;
        }
        let summary: &mut EventTimes =
            arms.entry((stratum.to_owned(), format!("{group}={}", groups[row])));
        match &rows.start {
            Some(start) => summary
                .add_interval(start[row], rows.time[row], rows.status[row] as u32)
                .unwrap(),
            None => summary
                .add(rows.time[row], rows.status[row] as u32)
                .unwrap(),
        }
    }
    arms
}

/// R's order of groups is that of the factor's levels, which need not be the sort order.
fn in_order(names: &[String], test: &logrank::LogRank<String>) -> Vec<usize> {
    names
        .iter()
        .map(|name| {
            test.groups
                .iter()
                .position(|group| group.group == *name)
                .unwrap()
        })
        .collect()
}

fn survdiff(oracle: &Oracle, path: &str, data: &Data, rows: &Rows) {
    for case in oracle.keys(path) {
        let at = |quantity: &str| format!("{path}/{case}/{quantity}");
        let formula = oracle.strings(&at("formula")).remove(0);
        let terms = formula.split('~').nth(1).unwrap().trim();
        let (group, stratum) = match terms.split_once(" + strata(") {
            Some((group, stratum)) => (group, Some(stratum.trim_end_matches(')'))),
            None => (terms, None),
        };
        let rho = oracle.numbers(&at("rho"))[0];
        let arms = arms(data, rows, group, stratum);
        let test = logrank::test(&arms, Weighting::FlemingHarrington { rho, gamma: 0.0 }).unwrap();
        let order = in_order(&oracle.strings(&at("groups")), &test);
        compare(
            oracle,
            &at(""),
            &test,
            &order,
            ["obs", "exp", "var", "chisq", "df", "p"],
        );
        let n: Vec<f64> = order
            .iter()
            .map(|index| test.groups[*index].n as f64)
            .collect();
        oracle.compare(&at("n"), &n, 0.0);
    }
}

fn compare(
    oracle: &Oracle,
    path: &str,
    test: &logrank::LogRank<String>,
    order: &[usize],
    names: [&str; 6],
) {
    let at = |quantity: &str| format!("{path}{quantity}");
    let of = |of: fn(&logrank::Group<String>) -> f64| {
        order
            .iter()
            .map(|at| of(&test.groups[*at]))
            .collect::<Vec<_>>()
    };
    oracle.compare(&at(names[0]), &of(|group| group.observed), TOLERANCE);
    oracle.compare(&at(names[1]), &of(|group| group.expected), TOLERANCE);
    let variance: Vec<f64> = order
        .iter()
        .flat_map(|row| order.iter().map(|column| test.variance[*row][*column]))
        .collect();
    oracle.compare(&at(names[2]), &variance, TOLERANCE);
    oracle.compare(&at(names[3]), &[test.chi_squared], TOLERANCE);
    oracle.compare(&at(names[4]), &[test.df as f64], 0.0);
    oracle.compare(&at(names[5]), &[test.p_value], TOLERANCE);
}

fn weighted(oracle: &Oracle, path: &str, arms: &Grouped<(String, String), EventTimes>) {
    let at = |quantity: &str| format!("{path}/{quantity}");
    let [rho, gamma] = [oracle.numbers(&at("p"))[0], oracle.numbers(&at("q"))[0]];
    let weighting = match oracle.strings(&at("weight"))[0].as_str() {
        "logrank" => Weighting::LogRank,
        "gehan" => Weighting::Gehan,
        "tarone" => Weighting::TaroneWare,
        "fh" => Weighting::FlemingHarrington { rho, gamma },
        // The oracle's name for Peto and Peto's own estimate of survival.
        "peto_modified" => Weighting::Peto,
        other => panic!("unknown weight {other}"),
    };
    let test = logrank::test(arms, weighting).unwrap();
    let names = [
        "weighted_obs",
        "weighted_exp",
        "var",
        "chisq",
        "df",
        "pvalue",
    ];
    compare(oracle, &at(""), &test, &[0, 1], names);
}

pub(crate) fn lung(oracle: &Oracle) {
    let data = Data::load("lung");
    let rows = Rows {
        time: data.numbers("time"),
        status: data.numbers("event"),
        ..Rows::default()
    };
    survdiff(oracle, "logrank", &data, &rows);
    for case in oracle.keys("weighted_logrank_sex") {
        weighted(
            oracle,
            &format!("weighted_logrank_sex/{case}"),
            &arms(&data, &rows, "sex", None),
        );
    }
}

pub(crate) fn veteran(oracle: &Oracle) {
    let data = Data::load("veteran");
    let rows = Rows {
        time: data.numbers("time"),
        status: data.numbers("status"),
        ..Rows::default()
    };
    survdiff(oracle, "logrank", &data, &rows);
}

pub(crate) fn ovarian(oracle: &Oracle) {
    let data = Data::load("ovarian");
    let rows = Rows {
        time: data.numbers("futime"),
        status: data.numbers("fustat"),
        ..Rows::default()
    };
    survdiff(oracle, "logrank", &data, &rows);
}

pub(crate) fn heart(oracle: &Oracle) {
    let data = Data::load("heart");
    weighted(
        oracle,
        "logrank_counting_process_plainR",
        &arms(&data, &heart_rows(&data), "transplant", None),
    );
}
