//! The book that is printed: `docs/statistics-oracle.md` lists every quantity of the oracle, the function that gives
//! it, and the largest difference found. `COLUMNA_UPDATE=1 cargo test -p columna-stats oracle` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What happened to a quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    /// It was compared; the largest relative difference.
    Compared(f64),
    /// It is an input, a name, or a note.
    Read,
    /// It is listed as not covered.
    NotCovered,
}

/// The SQL function that gives a quantity.
fn function(path: &str) -> &'static str {
    let (section, quantity) = path.split_once('/').unwrap_or((path, ""));
    let has = |part: &str| quantity.contains(part);
    match section {
        _ if has("cox_zph") => "cox_zph",
        _ if has("concordance") || section.starts_with("concordance") => "concordance_index",
        _ if has("basehaz") || has("survfit_at") => "cox_baseline",
        _ if has("martingale") || has("dfbeta") || has("linear_predictor") => "cox_residuals",
        "weighted_logrank_sex" => "logrank_test",
        _ if section.starts_with("logrank") => "logrank_test",
        _ if section.starts_with("cox") || section.starts_with("cause_specific") => {
            let of_the_fit = ["loglik", "_test", "nevent", "iter"]
                .iter()
                .any(|part| has(part));
            if of_the_fit || quantity == "n" {
                "cox_ph_tests"
            } else {
                "cox_ph"
            }
        }
        "finegray_weighted_coxph" => "fine_gray",
        _ if has("finegray") => "fine_gray",
        _ if has("gray_") => "gray_test",
        "cmprsk" | "aj_overall" | "aj_arm" => "cumulative_incidence",
        "glm_logistic" | "glm_poisson_offset" | "iptw"
            if has("deviance") || has("aic") || has("loglik") =>
        {
            if section == "glm_poisson_offset" {
                "poisson_summary"
            } else {
                "logistic_summary"
            }
        }
        "glm_logistic" => "logistic_regression",
        "glm_poisson_offset" => "poisson_regression",
        "glmnet_logistic" | "glmnet_note" => "logistic_elastic_net_path",
        "quantile_time" | "quantile_probs" | "los" => "quantile_exact",
        "pyears" | "poisson_rates" => "incidence_rate",
        "rate_ratios" => "rate_ratio",
        "binomial" => "proportion",
        "standardisation" if has("smr") || has("indirect") => "smr",
        "standardisation" => "standardized_rate",
        "mantel_haenszel" => "mantel_haenszel",
        "two_by_two" if has("OR.") || has("or_wald") || has("midp") => "odds_ratio",
        "two_by_two" if has("evalue") => "e_value",
        "two_by_two" if has("RR.") || has("rr_wald") || has("AFRisk") => "risk_ratio",
        "two_by_two" if has("ARisk") || has("rd_wald") || has("diff_ci") => "risk_difference",
        "two_by_two" if has("mcnemar") => "mcnemar_test",
        "two_by_two" if has("chisq") || has("prop_test") => "chi_squared_test",
        "two_by_two" => "fisher_exact",
        "iptw" if has("ps_model") || has("glm_weighted") => "logistic_regression",
        "iptw" if has("ess") => "effective_sample_size",
        "iptw" if has("smd") => "smd",
        "iptw" if has("nearest") => "match_nearest",
        "iptw" if has("outcome") => "risk_difference",
        "iptw" => "propensity_score",
        _ if has("quantile") || has("median") => "survival_quantile",
        _ if has("rmean") => "rmst",
        _ if has("cumhaz") => "nelson_aalen",
        _ => "kaplan_meier",
    }
}

/// The last words of a path, without the stratum or the number of the example that they are of.
fn quantity(path: &str) -> &str {
    let parts: Vec<&str> = path.split('/').collect();
    let [_, middle @ .., last] = parts.as_slice() else {
        return path;
    };
    let of_one = |part: &&str| {
        part.contains('=') || part.contains(' ') || *part == "all" || part.parse::<u32>().is_ok()
    };
    match middle.last().filter(|part| !of_one(part)) {
        Some(part) => &path[path.len() - part.len() - 1 - last.len()..],
        None => last,
    }
}

/// Rows of the table of one file: a row for each section and function, the quantities in their order.
pub(crate) fn table(outcomes: &[(String, Outcome)]) -> String {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    let mut quantities: BTreeMap<(&str, &str), Vec<(&str, Outcome)>> = BTreeMap::new();
    for (path, outcome) in outcomes {
        let row = (path.split('/').next().unwrap_or(path), function(path));
        let name = quantity(path);
        if !rows.contains(&row) {
            rows.push(row);
        }
        let known = quantities.entry(row).or_default();
        match known.iter_mut().find(|(other, _)| *other == name) {
            None => known.push((name, *outcome)),
            Some((_, so_far)) => *so_far = worse(*so_far, *outcome),
        }
    }
    let mut text = String::from("| section | function | quantities |\n|---|---|---|\n");
    for row in rows {
        let cells: Vec<String> = quantities[&row]
            .iter()
            .map(|(name, outcome)| match outcome {
                Outcome::Compared(0.0) => format!("`{name}` 0"),
                Outcome::Compared(difference) => format!("`{name}` {difference:.0e}"),
                Outcome::Read => format!("`{name}` read"),
                Outcome::NotCovered => format!("`{name}` **not covered**"),
            })
            .collect();
        let _ = writeln!(
            text,
            "| {} | `{}` | {} |",
            row.0,
            row.1,
            cells.join(", ").replace('|', "/")
        );
    }
    text
}

fn worse(a: Outcome, b: Outcome) -> Outcome {
    match (a, b) {
        (Outcome::NotCovered, _) | (_, Outcome::NotCovered) => Outcome::NotCovered,
        (Outcome::Compared(a), Outcome::Compared(b)) => Outcome::Compared(a.max(b)),
        (Outcome::Compared(a), Outcome::Read) | (Outcome::Read, Outcome::Compared(a)) => {
            Outcome::Compared(a)
        }
        (Outcome::Read, Outcome::Read) => Outcome::Read,
    }
}

static WRITING: Mutex<()> = Mutex::new(());

fn page() -> PathBuf {
    Path::new("../../docs/statistics-oracle.md").to_path_buf()
}

/// Puts the table of a file into the page, or says that the page has other quantities.
pub(crate) fn check(name: &str, outcomes: &[(String, Outcome)]) {
    let table = table(outcomes);
    let (begin, end) = (format!("## {name}\n\n"), "\n<!-- end -->\n");
    let _guard = WRITING.lock().unwrap();
    let text = std::fs::read_to_string(page()).unwrap();
    let start = text
        .find(&begin)
        .unwrap_or_else(|| panic!("the page has no heading {name}"))
        + begin.len();
    let length = text[start..]
        .find(end)
        .unwrap_or_else(|| panic!("{name} has no end"));
    if std::env::var_os("COLUMNA_UPDATE").is_some() {
        let mut new = text.clone();
        new.replace_range(start..start + length, &table);
        std::fs::write(page(), new).unwrap();
        return;
    }
    // Differences may vary in their last bits from machine to machine; which quantities there are may not.
    let quantities = |table: &str| -> Vec<String> {
        let cells = table.split('`').skip(1).step_by(2);
        cells.map(str::to_owned).collect()
    };
    assert_eq!(
        quantities(&text[start..start + length]),
        quantities(&table),
        "docs/statistics-oracle.md is out of date for {name}: COLUMNA_UPDATE=1 cargo test -p columna-stats oracle"
    );
}
