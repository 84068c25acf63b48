//! The methods, written out from what was really run.

use super::number::{fixed, plain};
use super::sections::lower;
use super::{Found, Section};
use crate::findings::Finding;
use crate::spec::{
    Both, Comorbidity, Competing, CovariateSource, IndexRule, Measure, Missing, Observation,
    RiskEnd, Source, Spec,
};

const APART: &str = "Differences of survival and of cumulative incidence on a day are target less comparator, in percentage points, with intervals by the normal distribution.";

/// The part.
pub(super) fn section(spec: &Spec, found: &[Found<'_>]) -> Section {
    let mut part = Section::new("methods", "Methods");
    part.h3("Cohorts");
    for cohort in &spec.cohorts {
        let source = match &cohort.source {
            Source::Records {
                domain,
                concepts,
                gap,
            } => format!(
                "records in the domain {} of the concepts {}{}{}",
                domain.name(),
                concepts
                    .concepts
                    .iter()
                    .map(i64::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
                if concepts.descendants {
                    " and all below them"
                } else {
                    ""
                },
                gap.map(|gap| format!("; records at most {gap} days apart are one entry"))
                    .unwrap_or_default()
            ),
            Source::Death => "deaths".to_owned(),
            Source::Sql(sql) => {
                format!(
                    "the query {}",
                    sql.split_whitespace().collect::<Vec<_>>().join(" ")
                )
            }
            Source::Definition { path, hash } => {
                format!("the OHDSI definition {path} (BLAKE3 {})", &hash[..16])
            }
            Source::Run { cohort, hash, .. } => format!(
                "the cohort {cohort} of another run (BLAKE3 {})",
                &hash[..16]
            ),
        };
        part.p(&format!("{}: {source}.", cohort.label));
    }
    if spec.design.is_some() {
        design(spec, &mut part);
        covariates(spec, &mut part);
    }
    part.h3("Statistics");
    for text in statistics(spec, found) {
        part.p(&text);
    }
    part
}

fn design(spec: &Spec, part: &mut Section) {
    let Some(design) = &spec.design else { return };
    part.h3("Design");
    let mut text = format!(
        "The index date is the {} entry into {}{}, within {} observation period of the person, with at least {} days under observation before it.",
        if design.index == IndexRule::First {
            "first"
        } else {
            "last"
        },
        spec.cohort_label(&design.target.value),
        design
            .comparator
            .as_ref()
            .map(|name| format!(" or {}", spec.cohort_label(&name.value)))
            .unwrap_or_default(),
        if design.observation == Observation::First {
            "the first"
        } else {
            "any"
        },
        design.washout
    );
    if design.comparator.is_some() {
        text.push_str(match design.both {
            Both::First => " Who entered both is in the group entered first.",
            Both::Exclude => " Who entered both is left out.",
        });
    }
    for criterion in &design.require {
        text.push_str(&format!(
            " Required: {}, {}.",
            spec.cohort_label(&criterion.cohort.value),
            criterion.window.words()
        ));
    }
    for criterion in &design.exclude {
        text.push_str(&format!(
            " Excluded: {}, {}.",
            spec.cohort_label(&criterion.cohort.value),
            criterion.window.words()
        ));
    }
    part.p(&text);
    let risk = &spec.time_at_risk;
    let end = match risk.end {
        RiskEnd::Observation => "the end of the observation period".to_owned(),
        RiskEnd::Days(days) => format!(
            "{days} days after the index date, at the latest the end of the observation period"
        ),
        RiskEnd::Cohort => format!(
            "the end of the cohort entry plus {} days, at the latest the end of the observation period",
            risk.grace
        ),
    };
    let start = match risk.start {
        0 => "the index date".to_owned(),
        1 => "the day after the index date".to_owned(),
        days => format!("{days} days after the index date"),
    };
    let mut text = format!("Persons are at risk from {start} to the outcome or {end}.");
    if let Some(competing) = &risk.competing {
        let name = match competing {
            Competing::Death => "death".to_owned(),
            Competing::Cohort(name) => lower(&spec.cohort_label(&name.value)),
        };
        text.push_str(&format!(" They are censored at {name}, which competes with the outcome where cumulative incidence is reported."));
    }
    if !risk.censor_at.is_empty() {
        let names: Vec<String> = risk
            .censor_at
            .iter()
            .map(|name| spec.cohort_label(&name.value))
            .collect();
        text.push_str(&format!(
            " Entry into {} ends the time at risk.",
            names.join(", ")
        ));
    }
    part.p(&text);
    for outcome in &spec.outcomes {
        part.p(&format!(
            "Outcome: {}, the first entry into {}{}.",
            outcome.label,
            spec.cohort_label(&outcome.cohort.value),
            if outcome.exclude_prior {
                match outcome.prior_days {
                    None => "; persons who had it before the time at risk are left out".to_owned(),
                    Some(days) => format!("; persons who had it in the {days} days before the time at risk are left out"),
                }
            } else {
                String::new()
            }
        ));
    }
}

fn covariates(spec: &Spec, part: &mut Section) {
    part.h3("Covariates");
    let names: Vec<String> = spec
        .covariates
        .demographics
        .iter()
        .map(|one| lower(one.label()))
        .collect();
    if !names.is_empty() {
        part.p(&format!("At the index date: {}.", names.join(", ")));
    }
    for one in &spec.covariates.named {
        let value = match one.value {
            Measure::Any => "whether there is a record",
            Measure::Count => "the number of records",
            Measure::Last => "the last value",
            Measure::Mean => "the mean value",
            Measure::Min => "the lowest value",
            Measure::Max => "the highest value",
        };
        let value = match &one.source {
            CovariateSource::Index(Comorbidity::Charlson) => {
                "Charlson's index (17 groups of conditions by the concept hierarchy, with the weights of 1987; a milder form does not count beside its more severe one)"
            }
            CovariateSource::Index(Comorbidity::Elixhauser) => {
                "Elixhauser's score (31 groups of conditions by Quan's lists of ICD-10 codes, with van Walraven's weights)"
            }
            CovariateSource::Score(_) => "a sum of weights of conditions",
            CovariateSource::Sql(_) => "a query, given in the specification",
            _ => value,
        };
        let missing = match one.missing {
            Missing::Zero => String::new(),
            Missing::Indicator => {
                "; missing values take the mean, with an indicator of their own".to_owned()
            }
            Missing::Mean => "; missing values take the mean".to_owned(),
            Missing::Drop => "; persons without a value are left out of adjusted models".to_owned(),
        };
        part.p(&format!(
            "{}: {value}, {}{missing}.",
            one.label,
            one.window.words()
        ));
    }
    if let Some(sparse) = &spec.covariates.sparse
        && spec
            .design
            .as_ref()
            .is_some_and(|design| design.comparator.is_some())
    {
        let domains: Vec<&str> = sparse.domains.iter().map(|domain| domain.name()).collect();
        part.p(&format!(
            "Sparse covariates: every concept of the domains {} recorded {}{}, of at least {} persons; the concepts that define the groups are left out.",
            domains.join(", "),
            sparse.window.words(),
            if sparse.hierarchy { ", and every concept above it" } else { "" },
            sparse.min_persons
        ));
    }
}

fn statistics(spec: &Spec, found: &[Found<'_>]) -> Vec<String> {
    let level = fixed(spec.confidence * 100.0, 1);
    let level = level.trim_end_matches(".0");
    let mut texts = vec![format!(
        "Intervals are at the {level}% level, two-sided. A year has 365.25 days."
    )];
    let mut add = |text: String| {
        if !texts.contains(&text) {
            texts.push(text);
        }
    };
    for one in found {
        match &one.finding {
            Finding::Propensity(one) => add(format!(
                "The propensity score was estimated by {}{}. Adjustment: {}. Balance is judged by standardised mean differences in units of the standard deviation before adjustment.",
                one.model,
                one.lambda.map(|lambda| format!(" (λ = {}, {} folds by person)", plain(lambda.get()), spec.propensity.folds)).unwrap_or_default(),
                one.method
            )),
            Finding::KaplanMeier(one) => {
                add(format!("Survival was estimated by Kaplan and Meier's method with log-log intervals{}.", one.logrank.map_or("", |_| ", and compared by the log-rank test")));
                if let Some(by) = &one.adjusted_by {
                    add(format!("Adjusted curves are weighted ({by}) with robust variance."));
                }
                if !one.differences.is_empty() {
                    add(APART.to_owned());
                }
                if one.rmst.is_some() {
                    add("Restricted mean times are areas under the Kaplan-Meier curves.".to_owned());
                }
            }
            Finding::Cox(_) => add("Hazard ratios are from Cox models with Efron's treatment of ties; weighted and matched models have robust (sandwich) variance, by matched set where there are sets; stratified models have a baseline hazard for each stratum. Proportional hazards were tested by Grambsch and Therneau's score test, and the main model was fitted again within periods of the follow-up with about as many events each (at most four, at least 20 events in each).".to_owned()),
            Finding::Competing(one) => {
                add("Cumulative incidence was estimated by Aalen and Johansen's method.".to_owned());
                if !one.differences.is_empty() {
                    add(APART.to_owned());
                }
                if !one.gray.is_empty() {
                    add("It was compared by Gray's test and modelled by Fine and Gray's subdistribution hazards.".to_owned());
                }
            }
            Finding::Incidence(one) => {
                add("Rates have exact Poisson intervals.".to_owned());
                if one.ratio.is_some() {
                    add("Their ratio is exact by the binomial distribution.".to_owned());
                }
            }
            Finding::Rates(one) => add(format!("Population rates split each person's time on birthdays and at the turn of the year; direct standardisation to {} with Fay and Feuer's gamma intervals.", one.standard)),
            Finding::Logistic(_) => add("Odds ratios are from logistic regression by maximum likelihood; weighted models have robust variance.".to_owned()),
            Finding::Readmission(_) => add("Shares of readmission have intervals by the ratio estimator over persons.".to_owned()),
            Finding::Controls(one) if !one.calibration.is_empty() => add("Empirical calibration fits a normal distribution of systematic error to the negative controls (Schuemie et al., 2014).".to_owned()),
            Finding::Subgroups(_) => add("Subgroups are fitted separately with the weights of the whole population; their difference is tested by Cochran's Q.".to_owned()),
            Finding::Grid(_) => add("Sensitivity analyses keep the estimated scores, and adjust and follow anew.".to_owned()),
            _ => {}
        }
    }
    texts
}
