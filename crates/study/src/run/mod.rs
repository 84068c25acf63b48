//! Running a study: the steps as a graph, what can run side by side does, what did not change is not computed again.

mod inputs;
mod plan;
mod record;
mod tables;
mod task;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use datafusion::prelude::SessionContext;
use tokio::task::JoinSet;

pub use record::{Output, RunRecord, Status, StepRecord, StepStatus, StoreRecord};

use crate::check::check_role;
use crate::error::{Error, Result, said};
use crate::frame::write_bytes;
use crate::spec::Study;
use plan::{Step, plan};
use task::Done;

/// Where the data come from and on whose behalf.
#[derive(Debug, Clone)]
pub struct Source {
    /// The store's address.
    pub store: String,
    /// The version of the snapshot.
    pub snapshot: u64,
    /// Its hash: it names the exact bytes.
    pub snapshot_hash: String,
    /// Who asks.
    pub principal: String,
    /// What for.
    pub purpose: Option<String>,
    /// The hash of the policy that they obey.
    pub policy: Option<String>,
    /// Their role, where it may not see everything.
    pub role: Option<String>,
    /// What tells the pseudonyms of persons from those of another project or key; none where persons keep their numbers.
    pub pseudonyms: Option<String>,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The run folder.
    pub out: PathBuf,
    /// Compute every step, whatever is there.
    pub fresh: bool,
    /// How many steps may run side by side.
    pub at_once: usize,
}

/// What happens in a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// There are so many steps.
    Planned(usize),
    /// A step begins.
    Started(String),
    /// A step is done.
    Finished {
        /// Its name.
        step: String,
        /// How long it took.
        seconds: f64,
        /// Whether it was taken from an earlier run.
        reused: bool,
        /// What its result lacks.
        note: Option<String>,
    },
    /// A step failed.
    Failed {
        /// Its name.
        step: String,
        /// Why.
        message: String,
    },
}

/// What all steps of a run share.
pub(crate) struct Shared {
    pub(crate) study: Study,
    pub(crate) ctx: SessionContext,
    pub(crate) out: PathBuf,
    pub(crate) source: Source,
}

impl Shared {
    pub(crate) fn work(&self) -> PathBuf {
        self.out.join("work")
    }
}

/// The run of a folder that did not come to its end, if there is one.
///
/// # Errors
///
/// When the record is damaged.
pub fn unfinished(out: &Path) -> Result<Option<RunRecord>> {
    let record = RunRecord::read(out)?;
    Ok(record.filter(|record| record.status != Status::Finished))
}

/// Notes that a run was stopped.
///
/// # Errors
///
/// When the record can't be written.
pub fn note_interruption(out: &Path) -> Result<()> {
    if let Some(mut record) = RunRecord::read(out)?
        && record.status == Status::Running
    {
        record.status = Status::Interrupted;
        record.write(out)?;
    }
    Ok(())
}

/// Runs a study into a folder, and writes its report.
///
/// # Errors
///
/// [`Error::Step`] of the first step that failed, after all others that do not need it were finished;
/// [`Error::Folder`] when another run is at work there; [`Error::Specification`] where a step reads what a role does not see.
pub async fn run(
    study: &Study,
    ctx: SessionContext,
    source: Source,
    options: &RunOptions,
    notify: &(dyn Fn(Event) + Send + Sync),
) -> Result<RunRecord> {
    let started = Instant::now();
    check_role(study, &ctx).await?;
    let _lock = prepare(&options.out)?;
    write_bytes(
        &options.out.join("specification.yaml"),
        study.text.as_bytes(),
    )?;
    let mut record = RunRecord::begin(study, &source);
    record.write(&options.out)?;
    let shared = Arc::new(Shared {
        study: study.clone(),
        ctx,
        out: options.out.clone(),
        source,
    });
    let steps = plan(&study.spec);
    notify(Event::Planned(
        steps.len() + usize::from(study.spec.outputs.report),
    ));
    let failure = execute(&shared, &steps, options, &mut record, notify).await?;
    record.seconds = started.elapsed().as_secs_f64();
    if let Some(failure) = failure {
        record.status = Status::Failed;
        record.write(&options.out)?;
        return Err(failure);
    }
    if study.spec.outputs.report || study.spec.outputs.svg {
        let begin = Instant::now();
        notify(Event::Started("report".to_owned()));
        crate::report::write(study, &record, &options.out)?;
        notify(Event::Finished {
            step: "report".to_owned(),
            seconds: begin.elapsed().as_secs_f64(),
            reused: false,
            note: None,
        });
    }
    record.seconds = started.elapsed().as_secs_f64();
    record.finish();
    record.write(&options.out)?;
    Ok(record)
}

/// Makes the folders; the lock is held for as long as the file is.
fn prepare(out: &Path) -> Result<File> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    for folder in [
        out.to_owned(),
        out.join("work").join("steps"),
        out.join("findings"),
        out.join("tables"),
    ] {
        fs::create_dir_all(&folder).map_err(wrong(&folder))?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Rows of persons lie there.
        let work = out.join("work");
        fs::set_permissions(&work, fs::Permissions::from_mode(0o700)).map_err(wrong(&work))?;
    }
    let path = out.join("work").join("lock");
    let lock = File::create(&path).map_err(wrong(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Folder(format!(
            "another run is at work in `{}`; wait for it, or give another folder with `--out`",
            out.display()
        ))),
        Err(TryLockError::Error(source)) => Err(Error::Write { path, source }),
    }
}

async fn execute(
    shared: &Arc<Shared>,
    steps: &[Step],
    options: &RunOptions,
    record: &mut RunRecord,
    notify: &(dyn Fn(Event) + Send + Sync),
) -> Result<Option<Error>> {
    let mut done: Vec<Option<StepRecord>> = vec![None; steps.len()];
    let mut begun = vec![false; steps.len()];
    let mut lost = vec![false; steps.len()];
    let mut failure = None;
    let mut running: JoinSet<(usize, f64, Result<Done>)> = JoinSet::new();
    let mut keys = vec![String::new(); steps.len()];
    loop {
        // What needs a lost step is lost; what needs only finished ones can begin.
        for at in 0..steps.len() {
            if !lost[at] && steps[at].needs.iter().any(|need| lost[*need]) {
                lost[at] = true;
                begun[at] = true;
                record.steps.push(StepRecord::skipped(&steps[at].name));
            }
        }
        let ready = (0..steps.len())
            .find(|at| !begun[*at] && steps[*at].needs.iter().all(|need| done[*need].is_some()));
        if let Some(at) = ready.filter(|_| running.len() < options.at_once.max(1)) {
            begun[at] = true;
            let step = &steps[at];
            let inputs: Vec<&StepRecord> = step
                .needs
                .iter()
                .filter_map(|need| done[*need].as_ref())
                .collect();
            keys[at] = key(shared, step, &inputs);
            let known = StepRecord::read(&shared.out, &step.name)?;
            let reusable = known.filter(|known| {
                !options.fresh && known.key == keys[at] && known.holds(&shared.out)
            });
            if let Some(mut known) = reusable {
                task::register(shared, &step.task).await?;
                known.status = StepStatus::Reused;
                notify(Event::Finished {
                    step: step.name.clone(),
                    seconds: 0.0,
                    reused: true,
                    note: known.message.clone(),
                });
                record.steps.push(known.clone());
                done[at] = Some(known);
                continue;
            }
            notify(Event::Started(step.name.clone()));
            let (shared, task, name) = (Arc::clone(shared), step.task.clone(), step.name.clone());
            running.spawn(async move {
                let begin = Instant::now();
                let outcome = task::perform(&shared, &name, &task).await;
                (at, begin.elapsed().as_secs_f64(), outcome)
            });
            continue;
        }
        let Some(finished) = running.join_next().await else {
            break;
        };
        let (at, seconds, outcome) = finished.map_err(|error| Error::Step {
            step: "run".to_owned(),
            message: format!("a step ended unexpectedly: {error}"),
        })?;
        let name = &steps[at].name;
        match outcome {
            Ok(Done { outputs, note }) => {
                let step = StepRecord {
                    name: name.clone(),
                    status: StepStatus::Computed,
                    key: keys[at].clone(),
                    seconds,
                    outputs,
                    message: note.clone(),
                };
                step.write(&shared.out)?;
                notify(Event::Finished {
                    step: name.clone(),
                    seconds,
                    reused: false,
                    note,
                });
                record.steps.push(step.clone());
                done[at] = Some(step);
            }
            Err(error) => {
                lost[at] = true;
                let message = match &error {
                    Error::Step { message, .. } => message.clone(),
                    Error::Engine(error) => match said(error, &shared.ctx) {
                        (message, Some(hint)) => format!("{message}; {hint}"),
                        (message, None) => message,
                    },
                    other => other.to_string(),
                };
                notify(Event::Failed {
                    step: name.clone(),
                    message: message.clone(),
                });
                record
                    .steps
                    .push(StepRecord::failed(name, seconds, message.clone()));
                failure.get_or_insert(Error::Step {
                    step: name.clone(),
                    message,
                });
            }
        }
    }
    // The order of the plan, not that of chance.
    let order = |name: &str| steps.iter().position(|step| step.name == name);
    record.steps.sort_by_key(|step| order(&step.name));
    Ok(failure)
}

/// What a step's result depends on, as one hash.
fn key(shared: &Shared, step: &Step, inputs: &[&StepRecord]) -> String {
    let mut hash = blake3::Hasher::new();
    let mut add = |text: &str| {
        hash.update(&text.len().to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(env!("CARGO_PKG_VERSION"));
    add(&step.name);
    add(&step.settings);
    if step.reads_store {
        add(&shared.source.snapshot_hash);
        add(&shared.source.principal);
        for part in [
            &shared.source.purpose,
            &shared.source.policy,
            &shared.source.pseudonyms,
        ] {
            add(part.as_deref().unwrap_or_default());
        }
    }
    for input in inputs {
        add(&input.name);
        for output in &input.outputs {
            add(&output.path);
            add(&output.blake3);
        }
    }
    hash.finalize().to_hex().to_string()
}
