//! From scores to weights, matched sets or strata.

use std::path::Path;

use arrow::record_batch::RecordBatch;
use columna_stats::causal::matching::{Caliper, MatchOptions, Search, nearest};
use columna_stats::causal::weighting::{self, Trim};

use super::population::Person;
use super::{count, length};
use crate::error::Result;
use crate::frame::{self, Columns};
use crate::spec::{Estimand, Method, Propensity};

/// What the adjustment makes of each person, in the order of the population.
#[derive(Debug, Clone)]
pub(crate) struct Adjustment {
    pub(crate) scores: Vec<f64>,
    /// 0 for who is left out.
    pub(crate) weights: Vec<f64>,
    /// With stratification.
    pub(crate) strata: Option<Vec<u64>>,
    /// With matching: the matched set.
    pub(crate) sets: Option<Vec<u64>>,
}

/// Adjusts; `keep` says who is in this analysis at all.
pub(crate) fn adjust(
    people: &[Person],
    scores: &[f64],
    keep: &[bool],
    propensity: &Propensity,
) -> Result<Adjustment> {
    let inside = |row: usize| {
        keep[row]
            && propensity
                .trim
                .is_none_or(|(low, high)| (low..=high).contains(&scores[row]))
    };
    let rows: Vec<usize> = (0..people.len()).filter(|row| inside(*row)).collect();
    let treated: Vec<bool> = rows.iter().map(|row| people[*row].target).collect();
    let own: Vec<f64> = rows.iter().map(|row| scores[*row]).collect();
    let mut adjustment = Adjustment {
        scores: scores.to_vec(),
        weights: vec![0.0; people.len()],
        strata: None,
        sets: None,
    };
    match propensity.method {
        Method::Weighting => {
            let estimand = match propensity.estimand {
                Estimand::Overlap => weighting::Estimand::Overlap,
                Estimand::Ate => weighting::Estimand::Stabilized,
                Estimand::Att => weighting::Estimand::Treated,
                Estimand::Atc => weighting::Estimand::Untreated,
                Estimand::MatchingWeights => weighting::Estimand::Matching,
            };
            for (row, weight) in
                rows.iter()
                    .zip(weighting::weights(&own, &treated, estimand, Trim::None)?)
            {
                adjustment.weights[*row] = weight;
            }
        }
        Method::Matching => {
            let logit: Vec<f64> = own
                .iter()
                .map(|score| (score / (1.0 - score)).ln())
                .collect();
            let options = MatchOptions {
                ratio: propensity.ratio,
                replacement: false,
                caliper: (propensity.caliper > 0.0)
                    .then_some(Caliper::StandardDeviations(propensity.caliper)),
                search: Search::Nearest,
            };
            let matching = nearest(&logit, &treated, &options)?;
            let mut sets = vec![0; people.len()];
            for (row, weight) in rows.iter().zip(matching.weights()) {
                adjustment.weights[*row] = weight;
            }
            for (number, set) in matching.sets.iter().enumerate() {
                for member in std::iter::once(&set.treated).chain(&set.untreated) {
                    sets[rows[*member]] = count(number) + 1;
                }
            }
            adjustment.sets = Some(sets);
        }
        Method::Stratification => {
            // Strata of equal numbers of the target group, as is usual for an effect among the treated.
            let mut of_target: Vec<f64> = own
                .iter()
                .zip(&treated)
                .filter(|(_, treated)| **treated)
                .map(|(score, _)| *score)
                .collect();
            of_target.sort_by(f64::total_cmp);
            let cuts: Vec<f64> = (1..propensity.strata)
                .filter_map(|cut| {
                    of_target
                        .get(cut * of_target.len() / propensity.strata)
                        .copied()
                })
                .collect();
            let mut strata = vec![0; people.len()];
            let mut sizes = vec![[0_usize; 2]; cuts.len() + 1];
            for (row, score) in rows.iter().zip(&own) {
                let stratum = cuts.partition_point(|cut| cut <= score);
                strata[*row] = count(stratum) + 1;
                sizes[stratum][usize::from(!people[*row].target)] += 1;
            }
            // Weights that give each stratum's comparators the weight of its targets: for curves and balance.
            for row in &rows {
                let stratum = usize::try_from(strata[*row] - 1).unwrap_or(0);
                let [targets, comparators] = sizes[stratum];
                adjustment.weights[*row] = if targets == 0 || comparators == 0 {
                    0.0
                } else if people[*row].target {
                    1.0
                } else {
                    length(targets) / length(comparators)
                };
            }
            adjustment.strata = Some(strata);
        }
    }
    Ok(adjustment)
}

impl Adjustment {
    /// The table, in the order of the population.
    pub(crate) fn table(&self, people: &[Person]) -> Result<RecordBatch> {
        let whole = |numbers: &Option<Vec<u64>>| -> Vec<Option<i64>> {
            let of = |number: &u64| i64::try_from(*number).ok().filter(|number| *number > 0);
            numbers.as_ref().map_or_else(
                || vec![None; people.len()],
                |numbers| numbers.iter().map(of).collect(),
            )
        };
        Columns::default()
            .integers(
                "person_id",
                people.iter().map(|person| person.person).collect(),
            )
            .integers(
                "target",
                people
                    .iter()
                    .map(|person| i64::from(person.target))
                    .collect(),
            )
            .numbers("score", self.scores.clone())
            .numbers("weight", self.weights.clone())
            .optional_integers("stratum", whole(&self.strata))
            .optional_integers("matched_set", whole(&self.sets))
            .batch()
    }

    /// From its file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let batch = frame::read(path)?;
        let whole = |name: &str| -> Result<Option<Vec<u64>>> {
            let numbers = frame::integers(&batch, name)?;
            let known = numbers.iter().any(Option::is_some);
            Ok(known.then(|| {
                numbers
                    .into_iter()
                    .map(|number| number.and_then(|one| u64::try_from(one).ok()).unwrap_or(0))
                    .collect()
            }))
        };
        Ok(Self {
            scores: frame::numbers(&batch, "score")?,
            weights: frame::numbers(&batch, "weight")?,
            strata: whole("stratum")?,
            sets: whole("matched_set")?,
        })
    }
}

/// The adjustment in words, for readers.
pub(crate) fn method_words(propensity: &Propensity) -> String {
    let trim = propensity
        .trim
        .map(|(low, high)| format!(", after leaving out scores outside {low} to {high}"))
        .unwrap_or_default();
    let method = match propensity.method {
        Method::Weighting => match propensity.estimand {
            Estimand::Overlap => "overlap weights".to_owned(),
            Estimand::Ate => "stabilised inverse probability weights".to_owned(),
            Estimand::Att => {
                "weights by the odds of the score (standardised to the target group)".to_owned()
            }
            Estimand::Atc => {
                "weights by the odds of the score (standardised to the comparator group)".to_owned()
            }
            Estimand::MatchingWeights => "matching weights".to_owned(),
        },
        Method::Matching => {
            let caliper = if propensity.caliper > 0.0 {
                format!(
                    "a caliper of {} standard deviations of the logit of the score",
                    propensity.caliper
                )
            } else {
                "no caliper".to_owned()
            };
            format!(
                "1:{} nearest-neighbour matching without replacement, with {caliper}",
                propensity.ratio
            )
        }
        Method::Stratification => format!(
            "stratification into {} strata of the score",
            propensity.strata
        ),
    };
    format!("{method}{trim}")
}

/// Whose effect it is, in words.
pub(crate) fn estimand_words(propensity: &Propensity) -> &'static str {
    match (propensity.method, propensity.estimand) {
        (Method::Matching | Method::Stratification, _) | (_, Estimand::Att) => {
            "the effect in the target group"
        }
        (_, Estimand::Overlap | Estimand::MatchingWeights) => {
            "the effect in persons who could have been in either group"
        }
        (_, Estimand::Ate) => "the effect in the whole population",
        (_, Estimand::Atc) => "the effect in the comparator group",
    }
}
