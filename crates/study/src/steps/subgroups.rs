//! The model within subgroups, and whether they differ.

use columna_stats::chi_squared_tail;
use columna_stats::description::quantile::{QuantileType, Values};

use super::cox::{Fit, counts, fit, model_words};
use super::data::{Data, terms};
use super::follow_up::FollowUp;
use crate::error::Result;
use crate::findings::{Interval, Num, Subgroup, Subgroups};
use crate::spec::{Located, Model, Spec};

/// Fits the model in each subgroup.
pub(crate) fn build(
    spec: &Spec,
    data: &Data,
    follow: &[FollowUp],
    outcome: &str,
    by: &[Located<String>],
    model: Model,
) -> Result<Subgroups> {
    let terms = terms(&data.dense, None);
    let whole = Fit {
        spec,
        data,
        follow,
        adjustment: data.adjustment.as_ref(),
        terms: &terms,
        keep: None,
        period: None,
    };
    let overall = fit(model, &whole, false)?;
    let mut found = Subgroups {
        outcome: outcome.to_owned(),
        model: model_words(model, spec, &terms),
        overall: overall.ratio,
        rows: Vec::new(),
        heterogeneity: Vec::new(),
    };
    for name in by {
        let Some(index) = data.dense.index_of(&name.value) else {
            continue;
        };
        // The covariate is whether one is a man; its subgroups are of both.
        let variable = match data.dense.names[index].as_str() {
            "sex" => "Sex",
            _ => &data.dense.labels[index],
        };
        let mut estimates: Vec<(f64, f64)> = Vec::new();
        for (label, keep) in parts(data, index)? {
            let counts = counts(data, follow, 2, Some(&keep));
            let part = Fit {
                keep: Some(&keep),
                ..whole
            };
            let (ratio, note) = match fit(model, &part, false) {
                Ok(one) if one.ratio.value.finite().is_some() => {
                    estimates.push((one.log_ratio.get(), one.std_err.get()));
                    (one.ratio, None)
                }
                Ok(_) => (Interval::unknown(), Some("no finite estimate".to_owned())),
                Err(error) => (Interval::unknown(), Some(error.to_string())),
            };
            found.rows.push(Subgroup {
                variable: variable.to_owned(),
                label,
                persons: counts.iter().map(|one| one.0).collect(),
                events: counts.iter().map(|one| one.1).collect(),
                ratio,
                note,
            });
        }
        if estimates.len() > 1 {
            found
                .heterogeneity
                .push((variable.to_owned(), Num(heterogeneity(&estimates))));
        }
    }
    Ok(found)
}

/// Cochran's Q: whether independent estimates differ by more than chance; its p-value.
fn heterogeneity(estimates: &[(f64, f64)]) -> f64 {
    let weight = |std_err: f64| 1.0 / (std_err * std_err);
    let all: f64 = estimates.iter().map(|one| weight(one.1)).sum();
    let mean = estimates
        .iter()
        .map(|one| one.0 * weight(one.1))
        .sum::<f64>()
        / all;
    let q = estimates
        .iter()
        .map(|one| weight(one.1) * (one.0 - mean) * (one.0 - mean))
        .sum();
    chi_squared_tail(q, estimates.len() - 1)
}

/// Yes and no, or below the median and from it on.
fn parts(data: &Data, index: usize) -> Result<Vec<(String, Vec<bool>)>> {
    let column = &data.dense.columns[index];
    let part = |test: &dyn Fn(f64) -> bool| {
        column
            .iter()
            .map(|value| test(*value))
            .collect::<Vec<bool>>()
    };
    if data.dense.names[index] == "sex" {
        return Ok(vec![
            ("Men".to_owned(), part(&|x| x == 1.0)),
            ("Women".to_owned(), part(&|x| x == 0.0)),
        ]);
    }
    if data.dense.binary[index] {
        return Ok(vec![
            ("With".to_owned(), part(&|x| x == 1.0)),
            ("Without".to_owned(), part(&|x| x == 0.0)),
        ]);
    }
    let mut values = Values::default();
    for value in column.iter().filter(|value| !value.is_nan()) {
        values.add(*value)?;
    }
    let middle = values
        .quantiles(&[0.5], QuantileType::default())?
        .first()
        .copied()
        .unwrap_or(f64::NAN);
    let shown = crate::report::number::plain(middle);
    Ok(vec![
        (format!("Below {shown}"), part(&|x| x < middle)),
        (format!("{shown} or more"), part(&|x| x >= middle)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_estimates_do_not_differ() {
        assert!((heterogeneity(&[(0.5, 0.1), (0.5, 0.3)]) - 1.0).abs() < 1e-12);
        // Two estimates: Q is the square of their z, here (0.4 / sqrt(0.02))² = 8; pchisq(8, 1, lower = FALSE).
        assert!(
            (heterogeneity(&[(0.0, 0.1), (0.4, 0.1)]) - 0.004_677_734_981_047_266).abs() < 1e-12
        );
    }
}
