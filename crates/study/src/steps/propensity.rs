//! The propensity score: the probability of being in the target group, given what was known at the index date.

use columna_stats::causal::balance::Balance;
use columna_stats::causal::propensity::{c_statistic, propensity_scores};
use columna_stats::causal::weighting::Weights;
use columna_stats::description::quantile::{QuantileType, Values};
use columna_stats::models::{
    Family, Frame, Options, PathOptions, SparseColumn, SparseFrame, cross_validate, fold_of_key,
};

use super::adjust::{Adjustment, adjust, estimand_words, method_words};
use super::covariates::Dense;
use super::data::{groups, terms};
use super::population::Person;
use super::sparse::Sparse;
use super::{count, length};
use crate::error::{Error, Result};
use crate::findings::{BalanceRow, Interval, Num, Propensity, ScoreTerm};
use crate::spec::{PropensityModel, Spec};

/// Bins of the histogram of scores.
const BINS: usize = 40;
/// Balance is called into question above this.
const THRESHOLD: f64 = 0.1;

struct Score {
    scores: Vec<f64>,
    selected: usize,
    lambda: Option<f64>,
    penalised: bool,
    terms: Vec<ScoreTerm>,
}

/// Estimates the score and adjusts by it.
pub(crate) fn build(
    spec: &Spec,
    people: &[Person],
    dense: &Dense,
    sparse: &Sparse,
) -> Result<(Adjustment, Propensity)> {
    let treated: Vec<bool> = people.iter().map(|person| person.target).collect();
    let groups = groups(spec);
    for (group, name) in groups.iter().enumerate() {
        if !treated.contains(&(group == 0)) {
            return Err(Error::Step {
                step: "propensity".to_owned(),
                message: format!(
                    "nobody is left in the group \"{name}\"; the attrition in `findings` says who was left out"
                ),
            });
        }
    }
    let wanted = spec.propensity.covariates.as_deref();
    let found = terms(dense, wanted);
    let use_sparse = spec.propensity.sparse && !sparse.rows.is_empty();
    let columns = if use_sparse {
        sparse.columns()?
    } else {
        Vec::new()
    };
    let score = score(spec, people, &found, sparse, &columns)?;
    let keep: Vec<bool> = found
        .incomplete
        .iter()
        .map(|incomplete| !incomplete)
        .collect();
    let keep = if keep.is_empty() {
        vec![true; people.len()]
    } else {
        keep
    };
    let adjustment = adjust(people, &score.scores, &keep, &spec.propensity)?;
    let finding = describe(
        spec,
        people,
        dense,
        sparse,
        use_sparse,
        &score,
        &adjustment,
        found.columns.len(),
    )?;
    Ok((adjustment, finding))
}

fn score(
    spec: &Spec,
    people: &[Person],
    found: &super::data::Terms,
    sparse: &Sparse,
    columns: &[SparseColumn],
) -> Result<Score> {
    let outcome: Vec<f64> = people
        .iter()
        .map(|person| f64::from(u8::from(person.target)))
        .collect();
    let mut labels = found.labels.clone();
    let mut chosen: Vec<Vec<f64>> = found.columns.clone();
    let (mut selected, mut lambda, mut penalised_scores) = (0, None, None);
    if spec.propensity.model == PropensityModel::Lasso
        && !(columns.is_empty() && found.columns.is_empty())
    {
        let mut all: Vec<SparseColumn> = found
            .columns
            .iter()
            .map(|column| Ok(SparseColumn::from_dense(column)?))
            .collect::<Result<_>>()?;
        let named = all.len();
        all.extend_from_slice(columns);
        let frame = SparseFrame::new(&outcome, &all);
        let folds: Vec<u32> = people
            .iter()
            .map(|person| fold_of_key(person.person.cast_unsigned(), spec.propensity.folds))
            .collect();
        // A short path is enough to choose a penalty; it ends long before the model is saturated.
        let options = PathOptions {
            lambda_count: 30,
            // The path only selects: glmnet's own tolerance is enough, where nearly equal covariates would take
            // a hundred times as long to stand still to all digits.
            tolerance: 1e-7,
            max_sweeps: 10_000,
            ..PathOptions::default()
        };
        let validated = cross_validate(Family::Binomial, &frame, &folds, &options)?;
        let point = &validated.path.points[validated.best.min(validated.path.points.len() - 1)];
        lambda = Some(point.lambda);
        penalised_scores = Some(
            point
                .linear_predictor(&frame)
                .into_iter()
                .map(|eta| 1.0 / (1.0 + (-eta).exp()))
                .collect::<Vec<f64>>(),
        );
        for (term, coefficient) in &point.coefficients {
            if *term >= named && *coefficient != 0.0 {
                let mut column = vec![0.0; people.len()];
                for row in &sparse.rows[term - named] {
                    column[usize::try_from(*row).unwrap_or(0)] = 1.0;
                }
                labels.push(sparse.labels[term - named].clone());
                chosen.push(column);
                selected += 1;
            }
        }
    }
    let slices: Vec<&[f64]> = chosen.iter().map(Vec::as_slice).collect();
    let options = Options {
        conf_level: spec.confidence,
        ..Options::default()
    };
    let fitted = propensity_scores(&Frame::new(&outcome, &slices), &options);
    let usable = fitted
        .as_ref()
        .is_ok_and(|fit| fit.model.converged && fit.model.separation.is_none());
    match (fitted, penalised_scores) {
        (Ok(fit), _) if usable => Ok(Score {
            terms: score_terms(&labels, fit.model.coefficients.iter().skip(1).map(|one| Interval::from(one.ratio()))),
            scores: fit.scores,
            selected,
            lambda,
            penalised: false,
        }),
        (_, Some(scores)) => Ok(Score { scores, selected, lambda, penalised: true, terms: Vec::new() }),
        (Ok(_), None) => Err(Error::Step {
            step: "propensity".to_owned(),
            message: "the covariates tell the two groups apart completely, so that nobody is comparable; leave out \
                      the covariate that defines the groups"
                .to_owned(),
        }),
        (Err(error), None) => Err(error.into()),
    }
}

fn score_terms(labels: &[String], ratios: impl Iterator<Item = Interval>) -> Vec<ScoreTerm> {
    labels
        .iter()
        .zip(ratios)
        .filter(|(_, ratio)| ratio.value.finite().is_some())
        .map(|(label, odds_ratio)| ScoreTerm {
            label: label.clone(),
            odds_ratio,
        })
        .collect()
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything that the finding is about"
)]
fn describe(
    spec: &Spec,
    people: &[Person],
    dense: &Dense,
    sparse: &Sparse,
    use_sparse: bool,
    score: &Score,
    adjustment: &Adjustment,
    offered: usize,
) -> Result<Propensity> {
    let treated: Vec<bool> = people.iter().map(|person| person.target).collect();
    let of_group =
        |group: usize| (0..people.len()).filter(move |row| people[*row].target == (group == 0));
    let mut finding = Propensity {
        groups: groups(spec),
        persons: (0..2).map(|group| count(of_group(group).count())).collect(),
        kept: (0..2)
            .map(|group| count(of_group(group).filter(|row| adjustment.weights[*row] > 0.0).count()))
            .collect(),
        model: match (spec.propensity.model, score.penalised) {
            (PropensityModel::Lasso, false) => {
                "logistic regression on the named covariates and on the covariates that a lasso with a cross-validated penalty selected".to_owned()
            }
            (PropensityModel::Lasso, true) => "lasso logistic regression with a cross-validated penalty".to_owned(),
            (PropensityModel::Logistic, _) => "logistic regression".to_owned(),
        },
        method: method_words(&spec.propensity),
        estimand: estimand_words(&spec.propensity).to_owned(),
        offered: (offered, if use_sparse { sparse.rows.len() } else { 0 }),
        selected: score.selected,
        lambda: score.lambda.map(Num),
        c_statistic: Num(c_statistic(&score.scores, &treated)?),
        penalised: score.penalised,
        terms: score.terms.clone(),
        histogram: Vec::new(),
        histogram_after: Vec::new(),
        weights: Vec::new(),
        effective: Vec::new(),
        strata: Vec::new(),
        balance: Vec::new(),
        unbalanced: (0, 0),
        largest: (Num(0.0), Num(0.0)),
    };
    for group in 0..2 {
        let (mut before, mut after) = (vec![0.0; BINS], vec![0.0; BINS]);
        let mut effective = Weights::default();
        let mut values = Values::default();
        for row in of_group(group) {
            let bin = bin(score.scores[row]);
            before[bin] += 1.0;
            after[bin] += adjustment.weights[row];
            if adjustment.weights[row] > 0.0 {
                values.add(adjustment.weights[row])?;
            }
            effective.add(adjustment.weights[row])?;
        }
        let shares = |bins: Vec<f64>| {
            let sum: f64 = bins.iter().sum();
            bins.into_iter()
                .map(|share| Num(share / sum))
                .collect::<Vec<_>>()
        };
        finding.histogram.push(shares(before));
        finding.histogram_after.push(shares(after));
        let quantiles = values.quantiles(
            &[0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0],
            QuantileType::default(),
        )?;
        let mut seven = [Num(f64::NAN); 7];
        seven
            .iter_mut()
            .zip(quantiles)
            .for_each(|(into, value)| *into = Num(value));
        finding.weights.push(seven);
        finding.effective.push(Num(effective.effective()));
    }
    if let Some(strata) = &adjustment.strata {
        for stratum in 1..=spec.propensity.strata {
            finding.strata.push(
                (0..2)
                    .map(|group| {
                        count(
                            of_group(group)
                                .filter(|row| strata[*row] == count(stratum))
                                .count(),
                        )
                    })
                    .collect(),
            );
        }
    }
    finding.balance = balance(people, dense, sparse, adjustment)?;
    let above = |pick: fn(&BalanceRow) -> Num| {
        finding
            .balance
            .iter()
            .filter(|row| pick(row).get().abs() > THRESHOLD)
            .count()
    };
    let largest = |pick: fn(&BalanceRow) -> Num| {
        Num(finding
            .balance
            .iter()
            .map(|row| pick(row).get().abs())
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max))
    };
    finding.unbalanced = (above(|row| row.before), above(|row| row.after));
    finding.largest = (largest(|row| row.before), largest(|row| row.after));
    Ok(finding)
}

fn bin(score: f64) -> usize {
    (1..BINS)
        .filter(|edge| score >= length(*edge) / length(BINS))
        .count()
}

/// Standardised differences of all covariates, before and after.
pub(crate) fn balance(
    people: &[Person],
    dense: &Dense,
    sparse: &Sparse,
    adjustment: &Adjustment,
) -> Result<Vec<BalanceRow>> {
    let mut rows = Vec::new();
    for (index, label) in dense.labels.iter().enumerate() {
        let (before, after) = differences(
            people,
            &dense.columns[index],
            dense.binary[index],
            &adjustment.weights,
        )?;
        rows.push(BalanceRow {
            label: label.clone(),
            named: true,
            before: Num(before),
            after: Num(after),
        });
    }
    // Of a sparse covariate only the members are visited.
    let groups = |weight: &dyn Fn(usize) -> f64| {
        let mut sums = [0.0; 2];
        for (row, person) in people.iter().enumerate() {
            sums[usize::from(!person.target)] += weight(row);
        }
        sums
    };
    let all = [groups(&|_| 1.0), groups(&|row| adjustment.weights[row])];
    let mut found = Vec::new();
    for (label, members) in sparse.labels.iter().zip(&sparse.rows) {
        let mut sums = [[0.0; 2]; 2];
        for row in members {
            let row = usize::try_from(*row).unwrap_or(0);
            let group = usize::from(!people[row].target);
            sums[0][group] += 1.0;
            sums[1][group] += adjustment.weights[row];
        }
        let share = |at: usize, group: usize| sums[at][group] / all[at][group];
        let spread =
            ((share(0, 0) * (1.0 - share(0, 0)) + share(0, 1) * (1.0 - share(0, 1))) / 2.0).sqrt();
        let difference = |at: usize| {
            let difference = share(at, 0) - share(at, 1);
            if difference == 0.0 {
                0.0
            } else {
                difference / spread
            }
        };
        found.push(BalanceRow {
            label: label.clone(),
            named: false,
            before: Num(difference(0)),
            after: Num(difference(1)),
        });
    }
    found.sort_by(|a, b| {
        b.before
            .get()
            .abs()
            .total_cmp(&a.before.get().abs())
            .then_with(|| a.label.cmp(&b.label))
    });
    rows.extend(found);
    Ok(rows)
}

/// Before and after, both in units of the spread before.
pub(crate) fn differences(
    people: &[Person],
    column: &[f64],
    binary: bool,
    weights: &[f64],
) -> Result<(f64, f64)> {
    let (mut before, mut after) = (Balance::default(), Balance::default());
    for (row, value) in column.iter().enumerate() {
        if value.is_nan() {
            continue;
        }
        before.add(*value, people[row].target, 1.0)?;
        if weights[row] > 0.0 {
            after.add(*value, people[row].target, weights[row])?;
        }
    }
    let spread = if binary {
        before.pooled_sd_binary()
    } else {
        before.pooled_sd()
    };
    Ok((before.smd_by(spread), after.smd_by(spread)))
}
