//! Performing one step: its inputs from files, its results to files.

use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::Shared;
use super::inputs::{cohorts, ends, ends_of, finding};
use super::plan::{Task, main_model};
use super::record::{Output, hash_of, write_json};
use super::tables;
use crate::error::{Error, Result};
use crate::findings::{Finding, NotEstimable};
use crate::frame;
use crate::spec::{Kind, Spec};
use crate::steps::covariates::Dense;
use crate::steps::data::{Data, groups};
use crate::steps::sparse::Sparse;
use crate::steps::{
    cohort, competing, controls, covariates, cox, follow_up, grid, incidence, kaplan_meier,
    logistic, population, propensity, rates, readmission, sparse, sql, subgroups, table_one,
};

/// A table that later steps and queries see: its name and its file.
fn visible(task: &Task) -> Option<(String, String)> {
    Some(match task {
        Task::Cohort(name) => (format!("cohort_{name}"), format!("cohort-{name}.parquet")),
        Task::Population => ("population".to_owned(), "population.parquet".to_owned()),
        Task::Covariates => ("covariates".to_owned(), "covariates.parquet".to_owned()),
        Task::Propensity => ("propensity".to_owned(), "propensity.parquet".to_owned()),
        Task::FollowUp(name) => (
            format!("follow_up_{name}"),
            format!("follow-up-{name}.parquet"),
        ),
        Task::Sparse | Task::Analysis(_) => return None,
    })
}

/// Makes a finished step's table known to the session.
pub(super) async fn register(shared: &Shared, task: &Task) -> Result<()> {
    if let Some((table, file)) = visible(task) {
        let batch = frame::read(&shared.work().join(file))?;
        // The step may have run in this session before.
        shared.ctx.deregister_table(table.as_str())?;
        shared.ctx.register_batch(&table, batch)?;
    }
    Ok(())
}

/// What a step leaves.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Its files.
    pub(super) outputs: Vec<Output>,
    /// What its result lacks.
    pub(super) note: Option<String>,
}

/// Performs it.
pub(super) async fn perform(shared: &Arc<Shared>, name: &str, task: &Task) -> Result<Done> {
    let spec = &shared.study.spec;
    let work = shared.work();
    let mut note = None;
    let files = match task {
        Task::Cohort(one) => {
            let Some(cohort) = spec.cohort(one) else {
                return Ok(Done::default());
            };
            let batch =
                cohort::build(&shared.ctx, cohort, &shared.study.folder(), &shared.source).await?;
            table(shared, task, &batch)?
        }
        Task::Population => {
            let Some(design) = &spec.design else {
                return Ok(Done::default());
            };
            let names = std::iter::once(&design.target)
                .chain(&design.comparator)
                .chain(
                    design
                        .require
                        .iter()
                        .chain(&design.exclude)
                        .map(|one| &one.cohort),
                )
                .map(|name| name.value.as_str());
            let cohorts = cohorts(&work, names)?;
            let (batch, attrition) =
                population::build(&shared.ctx, name, spec, design, &cohorts).await?;
            write_json(&work.join("attrition.json"), &attrition)?;
            let mut files = table(shared, task, &batch)?;
            files.push("work/attrition.json".to_owned());
            files
        }
        Task::Covariates => {
            let people = population::read(&work.join("population.parquet"))?;
            let names = spec
                .covariates
                .named
                .iter()
                .filter_map(|one| match &one.source {
                    crate::spec::CovariateSource::Cohort(name) => Some(name.value.as_str()),
                    _ => None,
                });
            let cohorts = cohorts(&work, names)?;
            let batch = covariates::build(&shared.ctx, spec, &people, &cohorts).await?;
            table(shared, task, &batch)?
        }
        Task::Sparse => {
            let people = population::read(&work.join("population.parquet"))?;
            let batch = sparse::build(&shared.ctx, spec, &people).await?;
            frame::write(&work.join("sparse-covariates.parquet"), &batch)?;
            vec!["work/sparse-covariates.parquet".to_owned()]
        }
        Task::Propensity | Task::FollowUp(_) => {
            let (shared, task) = (Arc::clone(shared), task.clone());
            blocking(name, move || adjust_or_follow(&shared, &task)).await?
        }
        Task::Analysis(at) => {
            let Some(analysis) = spec.analyses.get(*at) else {
                return Ok(Done::default());
            };
            let (found, answer) = match &analysis.kind {
                Kind::Rates(wanted) => {
                    let names = std::iter::once(&wanted.event)
                        .chain(&wanted.among)
                        .map(|name| name.value.as_str());
                    let cohorts = cohorts(&work, names)?;
                    (
                        Finding::Rates(
                            rates::build(&shared.ctx, name, spec, wanted, &cohorts).await?,
                        ),
                        None,
                    )
                }
                Kind::Readmission(wanted) => (
                    Finding::Readmission(
                        readmission::build(&shared.ctx, name, spec, wanted).await?,
                    ),
                    None,
                ),
                Kind::Sql { query } => {
                    let (found, answer) = sql::build(&shared.ctx, query).await?;
                    (Finding::Sql(found), Some(answer))
                }
                _ => {
                    let (shared, at) = (Arc::clone(shared), *at);
                    let found = blocking(name, move || match analyse(&shared, at) {
                        Err(Error::Statistic(why)) => not_estimable(&shared, at, &why),
                        other => other,
                    });
                    (found.await?, None)
                }
            };
            if let Finding::NotEstimable(one) = &found {
                note = Some(format!("not computed: {}", one.reason));
            }
            let path = format!("findings/{}.json", analysis.id);
            write_json(&shared.out.join(&path), &found)?;
            let mut files = vec![path];
            files.extend(tables::write(
                spec,
                &shared.out,
                &analysis.id,
                &found,
                answer,
            )?);
            files
        }
    };
    register(shared, task).await?;
    let outputs = outputs(&shared.out, files)?;
    Ok(Done { outputs, note })
}

async fn blocking<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Step {
            step: name.to_owned(),
            message: format!("it ended unexpectedly: {error}"),
        })?
}

fn table(shared: &Shared, task: &Task, batch: &RecordBatch) -> Result<Vec<String>> {
    let Some((_, file)) = visible(task) else {
        return Ok(Vec::new());
    };
    frame::write(&shared.work().join(&file), batch)?;
    Ok(vec![format!("work/{file}")])
}

fn outputs(out: &Path, files: Vec<String>) -> Result<Vec<Output>> {
    files
        .into_iter()
        .map(|path| {
            let blake3 = hash_of(&out.join(&path))
                .ok_or_else(|| Error::Folder(format!("`{path}` went away")))?;
            Ok(Output { path, blake3 })
        })
        .collect()
}

fn adjust_or_follow(shared: &Shared, task: &Task) -> Result<Vec<String>> {
    let (spec, work) = (&shared.study.spec, shared.work());
    let people = population::read(&work.join("population.parquet"))?;
    match task {
        Task::FollowUp(name) => {
            let Some(outcome) = spec.outcome(name) else {
                return Ok(Vec::new());
            };
            let mut names = ends(spec);
            names.push(&outcome.cohort.value);
            let cohorts = cohorts(&work, names)?;
            let ends = ends_of(spec, &cohorts, &outcome.cohort.value);
            let rows: Vec<_> = people
                .iter()
                .map(|person| follow_up::follow(person, outcome, &spec.time_at_risk, &ends))
                .collect();
            table(shared, task, &follow_up::table(&people, &rows)?)
        }
        _ => {
            let dense = Dense::read(&work.join("covariates.parquet"), spec)?;
            let sparse = Sparse::read(&work.join("sparse-covariates.parquet"))?;
            let (adjustment, found) = propensity::build(spec, &people, &dense, &sparse)?;
            write_json(&work.join("propensity.json"), &found)?;
            let mut files = table(shared, task, &adjustment.table(&people)?)?;
            files.push("work/propensity.json".to_owned());
            Ok(files)
        }
    }
}

fn label(spec: &Spec, outcome: &str) -> String {
    spec.outcome(outcome)
        .map_or_else(|| outcome.to_owned(), |one| one.label.clone())
}

/// What there is to say of an analysis that the data do not allow. The other analyses and the report go on.
fn not_estimable(shared: &Shared, at: usize, why: &columna_stats::Error) -> Result<Finding> {
    let (spec, work) = (&shared.study.spec, shared.work());
    let mut found = NotEstimable {
        outcome: None,
        reason: why.to_string(),
        counts: Vec::new(),
    };
    if let Some(outcome) = spec.analyses[at].kind.outcome() {
        let data = Data::read(&work, spec)?;
        let names = groups(spec);
        let counts = cox::counts(&data, &Data::follow_up(&work, outcome)?, names.len(), None);
        let counted = names.into_iter().zip(counts);
        found.outcome = Some(label(spec, outcome));
        found.counts = counted
            .map(|(group, (persons, events, _))| (group, persons, events))
            .collect();
    }
    Ok(Finding::NotEstimable(found))
}

fn analyse(shared: &Shared, at: usize) -> Result<Finding> {
    let (spec, work) = (&shared.study.spec, shared.work());
    let kind = &spec.analyses[at].kind;
    if matches!(kind, Kind::Attrition) {
        return Ok(Finding::Attrition(finding(&work.join("attrition.json"))?));
    }
    let data = Data::read(&work, spec)?;
    let follow = |outcome: &str| Data::follow_up(&work, outcome);
    Ok(match kind {
        Kind::Propensity => Finding::Propensity(finding(&work.join("propensity.json"))?),
        Kind::TableOne { variables } => {
            Finding::TableOne(table_one::build(spec, &data, variables)?)
        }
        Kind::KaplanMeier {
            outcome,
            adjusted,
            at,
            rmst,
        } => {
            let wanted = kaplan_meier::Wanted {
                adjusted: *adjusted,
                at,
                rmst: *rmst,
            };
            let follow = follow(&outcome.value)?;
            Finding::KaplanMeier(kaplan_meier::build(
                spec,
                &data,
                &follow,
                &label(spec, &outcome.value),
                wanted,
            )?)
        }
        Kind::Cox {
            outcome,
            models,
            main,
            covariates,
        } => Finding::Cox(cox::build(
            spec,
            &data,
            &follow(&outcome.value)?,
            &label(spec, &outcome.value),
            models,
            *main,
            covariates.as_deref(),
        )?),
        Kind::CompetingRisks {
            outcome,
            at,
            fine_gray,
            covariates,
        } => Finding::Competing(competing::build(
            spec,
            &data,
            &follow(&outcome.value)?,
            &label(spec, &outcome.value),
            at,
            *fine_gray,
            covariates.as_deref(),
        )?),
        Kind::Incidence { outcome } => Finding::Incidence(incidence::build(
            spec,
            &data,
            &follow(&outcome.value)?,
            &label(spec, &outcome.value),
        )?),
        Kind::Logistic {
            outcome,
            within,
            models,
            covariates,
        } => Finding::Logistic(logistic::build(
            spec,
            &data,
            &follow(&outcome.value)?,
            &label(spec, &outcome.value),
            *within,
            models,
            covariates.as_deref(),
        )?),
        Kind::NegativeControls => {
            let followed = |name: &str| Ok::<_, Error>((label(spec, name), follow(name)?));
            let all = spec
                .negative_controls
                .iter()
                .map(|one| followed(&one.name))
                .collect::<Result<Vec<_>>>()?;
            let primary = spec
                .outcomes
                .first()
                .map(|one| followed(&one.name))
                .transpose()?;
            let (model, covariates) = main_model(spec);
            Finding::Controls(controls::build(
                spec,
                &data,
                model,
                covariates,
                &all,
                primary.as_ref(),
            )?)
        }
        Kind::Subgroups { outcome, by, model } => {
            let follow = follow(&outcome.value)?;
            Finding::Subgroups(subgroups::build(
                spec,
                &data,
                &follow,
                &label(spec, &outcome.value),
                by,
                *model,
            )?)
        }
        Kind::Sensitivity {
            outcome,
            model,
            grid: wanted,
        } => {
            let Some(outcome) = spec.outcome(&outcome.value) else {
                return Err(Error::Folder(
                    "the outcome is not in the specification".to_owned(),
                ));
            };
            let mut names = ends(spec);
            names.push(&outcome.cohort.value);
            let cohorts = cohorts(&work, names)?;
            let inputs = grid::Inputs {
                outcome,
                ends: ends_of(spec, &cohorts, &outcome.cohort.value),
            };
            let sparse = Sparse::read(&work.join("sparse-covariates.parquet"))?;
            Finding::Grid(grid::build(spec, &data, &sparse, &inputs, *model, wanted)?)
        }
        Kind::Attrition | Kind::Rates(_) | Kind::Readmission(_) | Kind::Sql { .. } => {
            return Err(Error::Folder("this analysis reads the store".to_owned()));
        }
    })
}
