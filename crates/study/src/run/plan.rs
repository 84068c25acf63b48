//! The steps of a study and what each needs.

use serde::Serialize;

use crate::spec::{Competing, CovariateSource, Kind, Spec};

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Brings a cohort.
    Cohort(String),
    /// Chooses the population.
    Population,
    /// Brings the named covariates.
    Covariates,
    /// Brings the sparse covariates.
    Sparse,
    /// Scores and adjusts.
    Propensity,
    /// Follows everybody to an outcome.
    FollowUp(String),
    /// An analysis by its place in the specification.
    Analysis(usize),
}

/// A step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) task: Task,
    /// Places of steps before it.
    pub(crate) needs: Vec<usize>,
    /// What of the specification it depends on.
    pub(crate) settings: String,
    pub(crate) reads_store: bool,
}

#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
}

impl Plan {
    fn at(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name == name)
    }

    fn add(
        &mut self,
        name: String,
        task: Task,
        needs: &[String],
        settings: String,
        reads_store: bool,
    ) {
        let needs = needs.iter().filter_map(|need| self.at(need)).collect();
        self.steps.push(Step {
            name,
            task,
            needs,
            settings,
            reads_store,
        });
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn cohort(name: &str) -> String {
    format!("cohort.{name}")
}

/// The steps in an order in which each comes after what it needs.
pub(crate) fn plan(spec: &Spec) -> Vec<Step> {
    let mut plan = Plan::default();
    for one in &spec.cohorts {
        plan.add(
            cohort(&one.name),
            Task::Cohort(one.name.clone()),
            &[],
            json(&one.source),
            true,
        );
    }
    let labels = json(
        &spec
            .cohorts
            .iter()
            .map(|one| (&one.name, &one.label))
            .collect::<Vec<_>>(),
    );
    if let Some(design) = &spec.design {
        let mut needs: Vec<String> = std::iter::once(&design.target)
            .chain(&design.comparator)
            .map(|name| cohort(&name.value))
            .collect();
        needs.extend(
            design
                .require
                .iter()
                .chain(&design.exclude)
                .map(|one| cohort(&one.cohort.value)),
        );
        plan.add(
            "population".into(),
            Task::Population,
            &needs,
            format!("{}{labels}", json(design)),
            true,
        );
        let mut needs = vec!["population".to_owned()];
        needs.extend(
            spec.covariates
                .named
                .iter()
                .filter_map(|one| match &one.source {
                    CovariateSource::Cohort(name) => Some(cohort(&name.value)),
                    _ => None,
                }),
        );
        let settings = json(&(&spec.covariates.demographics, &spec.covariates.named));
        plan.add(
            "covariates".into(),
            Task::Covariates,
            &needs,
            settings,
            true,
        );
        if design.comparator.is_some() {
            let settings = format!("{}{}", json(&spec.covariates.sparse), json(&spec.cohorts));
            plan.add(
                "sparse_covariates".into(),
                Task::Sparse,
                &["population".to_owned()],
                settings,
                true,
            );
            let needs = ["population", "covariates", "sparse_covariates"].map(str::to_owned);
            let settings = json(&(&spec.propensity, spec.confidence, &spec.covariates, &labels));
            plan.add(
                "propensity".into(),
                Task::Propensity,
                &needs,
                settings,
                false,
            );
        }
        for outcome in spec.outcomes.iter().chain(&spec.negative_controls) {
            let mut needs = vec!["population".to_owned(), cohort(&outcome.cohort.value)];
            needs.extend(ends(spec));
            let settings = json(&(outcome, &spec.time_at_risk));
            plan.add(
                follow_up(&outcome.name),
                Task::FollowUp(outcome.name.clone()),
                &needs,
                settings,
                false,
            );
        }
    }
    for (at, analysis) in spec.analyses.iter().enumerate() {
        let settings = json(&(
            (
                &analysis.id,
                &analysis.kind,
                spec.confidence,
                &spec.design,
                &spec.time_at_risk,
            ),
            (
                &spec.propensity,
                &spec.covariates,
                &labels,
                &spec.outcomes,
                &spec.negative_controls,
            ),
            (main_model(spec), &spec.outputs),
        ));
        let mut needs = needs(spec, &analysis.kind);
        needs.dedup();
        let reads = matches!(
            analysis.kind,
            Kind::Rates(_) | Kind::Readmission(_) | Kind::Sql { .. }
        );
        plan.add(
            format!("analysis.{}", analysis.id),
            Task::Analysis(at),
            &needs,
            settings,
            reads,
        );
    }
    plan.steps
}

/// The model of the first Cox analysis, and its terms: what negative controls are fitted with.
pub(crate) fn main_model(
    spec: &Spec,
) -> (crate::spec::Model, Option<&[crate::spec::Located<String>]>) {
    spec.analyses
        .iter()
        .find_map(|analysis| match &analysis.kind {
            Kind::Cox {
                main, covariates, ..
            } => Some((*main, covariates.as_deref())),
            _ => None,
        })
        .unwrap_or((crate::spec::Model::Propensity, None))
}

fn follow_up(outcome: &str) -> String {
    format!("follow_up.{outcome}")
}

/// Cohorts that end the time at risk.
fn ends(spec: &Spec) -> Vec<String> {
    let competing = match &spec.time_at_risk.competing {
        Some(Competing::Cohort(name)) => Some(cohort(&name.value)),
        _ => None,
    };
    spec.time_at_risk
        .censor_at
        .iter()
        .map(|name| cohort(&name.value))
        .chain(competing)
        .collect()
}

fn needs(spec: &Spec, kind: &Kind) -> Vec<String> {
    let mut needs: Vec<String> = Vec::new();
    if matches!(kind, Kind::Attrition) {
        // It says why nobody is left where all else fails.
        needs.push("population".to_owned());
    } else if kind.needs_design() {
        needs.extend(
            [
                "population",
                "covariates",
                "sparse_covariates",
                "propensity",
            ]
            .map(str::to_owned),
        );
    }
    match kind {
        Kind::KaplanMeier { outcome, .. }
        | Kind::Cox { outcome, .. }
        | Kind::CompetingRisks { outcome, .. }
        | Kind::Incidence { outcome }
        | Kind::Logistic { outcome, .. }
        | Kind::Subgroups { outcome, .. } => needs.push(follow_up(&outcome.value)),
        Kind::Sensitivity { outcome, .. } => {
            if let Some(found) = spec.outcome(&outcome.value) {
                needs.push(cohort(&found.cohort.value));
            }
            needs.extend(ends(spec));
        }
        Kind::NegativeControls => {
            needs.extend(
                spec.outcomes
                    .first()
                    .into_iter()
                    .chain(&spec.negative_controls)
                    .map(|one| follow_up(&one.name)),
            );
        }
        Kind::Rates(rates) => {
            needs.push(cohort(&rates.event.value));
            needs.extend(rates.among.iter().map(|name| cohort(&name.value)));
        }
        Kind::Sql { .. } => {
            // A query may ask for any table of the study.
            needs.extend(spec.cohorts.iter().map(|one| cohort(&one.name)));
            if spec.design.is_some() {
                needs.extend(["population", "covariates", "propensity"].map(str::to_owned));
                needs.extend(
                    spec.outcomes
                        .iter()
                        .chain(&spec.negative_controls)
                        .map(|one| follow_up(&one.name)),
                );
            }
        }
        Kind::Attrition | Kind::TableOne { .. } | Kind::Propensity | Kind::Readmission(_) => {}
    }
    needs
}
