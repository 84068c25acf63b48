//! `columna study`: from a specification to a report.

pub(crate) mod args;
mod progress;

use std::fs;
use std::io::{Write, stderr, stdout};
use std::path::Path;

use columna_privacy::policy::RoleKind;
use columna_privacy::{Access, Refusal};
use columna_query::SessionOptions;
use columna_store::Snapshot;
use columna_study::{Error, Problem, RunOptions, RunRecord, Source, Study};

use datafusion::prelude::SessionContext;

use crate::commands::cluster::args::ClientArgs;
use crate::commands::privacy::access::{access, may_run_into, no_session, refused};
use crate::commands::privacy::args::AccessArgs;
use crate::error::{CliError, Place, Position, Report};
use crate::settings::Settings;
use crate::signals::asked_to_stop;
use crate::temporary;

use args::{InitArgs, ReportArgs, RunArgs, StudyCommand, ValidateArgs};
use progress::Steps;

/// Runs `columna study …`.
pub(crate) fn run(command: StudyCommand, settings: &Settings) -> Result<(), CliError> {
    match command {
        StudyCommand::Init(args) => init(&args),
        StudyCommand::Validate(args) => validate(&args, settings),
        StudyCommand::Run(args) => start(&args, settings),
        StudyCommand::Report(args) => report(&args),
    }
}

fn init(args: &InitArgs) -> Result<(), CliError> {
    let path = &args.specification;
    if path.exists() {
        return Err(
            CliError::usage(format!("`{}` is there already", path.display()))
                .hint("give another name, or remove it first"),
        );
    }
    let text = if args.example {
        columna_study::EXAMPLE
    } else {
        columna_study::START
    };
    let schema = path.with_file_name(columna_study::SCHEMA_FILE);
    for (path, text) in [(path, text), (&schema, columna_study::SCHEMA)] {
        fs::write(path, text).map_err(|error| CliError::io("write", path.display(), &error))?;
    }
    writeln!(
        stderr(),
        "wrote {} and {}; next: columna study validate {} --store STORE",
        path.display(),
        schema.display(),
        path.display()
    )?;
    Ok(())
}

/// Reads a specification; mistakes are printed one by one, and the exit code is that of wrong usage.
pub(crate) fn load(path: &Path, settings: &Settings, json: bool) -> Result<Study, CliError> {
    Study::load(path).map_err(|error| told(&error, settings, json))
}

fn sees_all(access: &Access) -> bool {
    access.kind().is_ok_and(|kind| kind == RoleKind::Steward)
}

/// The same for whoever asks under a policy: it may name a file that it cannot open, of which nothing is quoted.
fn load_for(
    access: Option<&Access>,
    path: &Path,
    settings: &Settings,
    json: bool,
) -> Result<Study, CliError> {
    if access.is_none_or(sees_all) {
        return load(path, settings, json);
    }
    Study::load(path).map_err(|error| match &error {
        Error::Specification { path, problems, .. } => {
            let places = problems.iter().map(|problem| {
                let Problem { at, .. } = problem;
                format!("{}:{}", at.line, at.column)
            });
            CliError::usage(format!(
                "`{}` is no study that can be run; look at line and column {}",
                path.display(),
                places.collect::<Vec<_>>().join(", ")
            ))
            .hint("`columna study validate FILE`, without a store, says what is wrong to whoever may open the file")
        }
        other => CliError::engine(other),
    })
}

/// What a study's error is for a user of the command line.
fn told(error: &Error, settings: &Settings, json: bool) -> CliError {
    let Error::Specification {
        path,
        text,
        problems,
    } = error
    else {
        let refusal = match error {
            Error::Engine(error) => Refusal::within(error),
            _ => None,
        };
        return match refusal {
            Some(refusal) => refused(&refusal.clone().into()),
            None => CliError::engine(error),
        };
    };
    if json {
        // Standard output may be gone; the exit code says it all the same.
        let _ = print_json(
            &serde_json::json!({ "valid": false, "problems": problems.iter().map(as_json).collect::<Vec<_>>() }),
        );
    }
    let Some((last, others)) = problems.split_last() else {
        return CliError::engine(error);
    };
    for problem in others {
        CliError::Usage(Box::new(placed(problem, path, text)))
            .print(&mut stderr(), settings.colour_err);
    }
    CliError::Usage(Box::new(placed(last, path, text)))
}

fn placed(problem: &Problem, path: &Path, text: &str) -> Report {
    let message = if problem.path.is_empty() {
        problem.message.clone()
    } else {
        format!("{}: {}", problem.path, problem.message)
    };
    let mut report = Report::new(message);
    report.hint.clone_from(&problem.hint);
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let Some(source) = whole(problem.at.line)
        .checked_sub(1)
        .and_then(|line| text.lines().nth(line))
    else {
        return report;
    };
    let at = Position {
        line: whole(problem.at.line),
        column: whole(problem.at.column).max(1),
    };
    let width = source
        .chars()
        .skip(at.column - 1)
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
        .count();
    report.at(Place {
        script: path.display().to_string(),
        at,
        statement: at,
        source: source.to_owned(),
        width,
    })
}

fn as_json(problem: &Problem) -> serde_json::Value {
    serde_json::json!({
        "line": problem.at.line,
        "column": problem.at.column,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    })
}

fn print_json(value: &serde_json::Value) -> Result<(), CliError> {
    let mut out = stdout().lock();
    writeln!(out, "{value:#}")?;
    Ok(())
}

fn validate(args: &ValidateArgs, settings: &Settings) -> Result<(), CliError> {
    let access = match &args.store {
        Some(url) => access_to_rows(&args.access, url)?,
        None => None,
    };
    let study = load_for(access.as_ref(), &args.specification, settings, args.json)?;
    if let Some(url) = &args.store {
        let runtime = super::runtime(None)?;
        runtime.block_on(async {
            let store = super::open(url).await?;
            let snapshot = store
                .snapshot(args.snapshot)
                .await
                .map_err(|error| CliError::engine(&error))?;
            let options = SessionOptions {
                store: Some(store),
                snapshot: Some(snapshot.version()),
                access,
                ..temporary::session_options()?
            };
            let ctx = session(options, &snapshot, &ClientArgs::default()).await?;
            columna_study::check(&study, &ctx)
                .await
                .map_err(|error| told(&error, settings, args.json))
        })?;
    }
    if args.json {
        return print_json(&serde_json::json!({ "valid": true, "problems": [] }));
    }
    let against = args
        .store
        .as_ref()
        .map(|store| format!(" against {store}"))
        .unwrap_or_default();
    writeln!(
        stdout().lock(),
        "{} is valid{against}: {} cohorts, {} outcomes, {} analyses",
        args.specification.display(),
        study.spec.cohorts.len(),
        study.spec.outcomes.len(),
        study.spec.analyses.len(),
    )?;
    Ok(())
}

/// A study run for the demo: the record and the report's path, or why there is none.
pub(crate) fn demonstrate(
    specification: &Path,
    store: &Path,
    out: &Path,
    settings: &Settings,
) -> Result<RunRecord, CliError> {
    let args = RunArgs::of(specification, store, out);
    perform(&args, settings)
}

fn start(args: &RunArgs, settings: &Settings) -> Result<(), CliError> {
    let record = perform(args, settings)?;
    if args.json {
        return print_json(
            &serde_json::to_value(&record).map_err(|error| CliError::engine(&error))?,
        );
    }
    summary(&record, &args.out)
}

/// The access of a study: it reads rows of persons, which not every role may see.
fn access_to_rows(args: &AccessArgs, store: &str) -> Result<Option<Access>, CliError> {
    let access = access(args, Some(store))?;
    if let Some(access) = &access {
        let role = access.policy.role(&access.principal);
        let role = role.map_err(|error| CliError::engine(&error))?;
        if matches!(role.kind, RoleKind::Aggregate | RoleKind::Dp) {
            return Err(CliError::usage(format!(
                "a study reads rows of persons, and the role `{}` sees numbers about groups only",
                access.principal.role
            ))
            .hint("run it in a role of the kind `analyst`; `columna sql` answers this role's questions, statistics included"));
        }
    }
    Ok(access)
}

fn perform(args: &RunArgs, settings: &Settings) -> Result<RunRecord, CliError> {
    let access = access_to_rows(&args.access, &args.store)?;
    let study = load_for(access.as_ref(), &args.specification, settings, false)?;
    let unfinished = if args.resume {
        columna_study::unfinished(&args.out).map_err(|error| CliError::engine(&error))?
    } else {
        None
    };
    // A specification that changed since is another study: it begins with the newest data.
    let before = unfinished.filter(|record| record.specification_hash == study.hash);
    let steps = Steps::new(settings);
    let runtime = super::runtime(args.threads)?;
    let outcome = runtime.block_on(async {
        let store = super::open(&args.store).await?;
        let version = before
            .as_ref()
            .map(|record| record.store.snapshot)
            .or(args.snapshot);
        let snapshot = store
            .snapshot(version)
            .await
            .map_err(|error| CliError::engine(&error))?;
        let (principal, purpose) = match &access {
            Some(access) => (
                format!("{} as {}", access.principal.name, access.principal.role),
                Some(access.principal.purpose.clone()),
            ),
            None => (
                "the store's owner, without a policy".to_owned(),
                args.access.purpose.clone(),
            ),
        };
        let source = Source {
            store: args.store.clone(),
            snapshot: snapshot.version(),
            snapshot_hash: snapshot.hash().to_owned(),
            principal,
            purpose,
            policy: access.as_ref().map(|access| access.policy.hash.clone()),
            role: access
                .as_ref()
                .filter(|access| !sees_all(access))
                .map(|access| access.principal.role.clone()),
            pseudonyms: access
                .as_ref()
                .and_then(|access| access.keys.as_ref())
                .map(|keys| keys.pseudonym_of_text("columna study", "key")),
        };
        let options = SessionOptions {
            store: Some(store),
            snapshot: Some(snapshot.version()),
            access,
            memory_limit: args.memory_limit,
            threads: args.threads,
            ..temporary::session_options()?
        };
        let ctx = session(options, &snapshot, &args.cluster).await?;
        may_run_into(&ctx, &args.access, &args.store, &args.out)?;
        let options = RunOptions {
            out: args.out.clone(),
            fresh: args.fresh,
            at_once: args
                .threads
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)),
        };
        let tell = |event| steps.tell(event);
        tokio::select! {
            outcome = columna_study::run(&study, ctx, source, &options, &tell) => {
                outcome.map_err(|error| told(&error, settings, false))
            }
            () = asked_to_stop() => Err(CliError::Interrupted),
        }
    });
    // What is still being computed has nobody to wait for it.
    runtime.shutdown_background();
    steps.end();
    if matches!(outcome, Err(CliError::Interrupted)) {
        columna_study::note_interruption(&args.out).map_err(|error| CliError::engine(&error))?;
        writeln!(
            stderr(),
            "stopped; `--resume` goes on from the last finished step"
        )?;
    }
    outcome
}

/// A session in which cohort definitions can be run, where the whole store may be seen.
async fn session(
    options: SessionOptions,
    snapshot: &Snapshot,
    cluster: &ClientArgs,
) -> Result<SessionContext, CliError> {
    let store = options.store.clone().filter(|_| options.access.is_none());
    let ctx = if cluster.is_given() {
        super::cluster::session(cluster, options).await?
    } else {
        columna_query::session(options)
            .await
            .map_err(|error| no_session(&error))?
    };
    if let Some(store) = store {
        columna_cohort::sql::register(&ctx, &store, snapshot);
    }
    Ok(ctx)
}

fn summary(record: &RunRecord, out: &Path) -> Result<(), CliError> {
    let report = out.join("report.html");
    let shown = if report.exists() {
        report
    } else {
        out.to_owned()
    };
    writeln!(stdout().lock(), "{}", shown.display())?;
    writeln!(
        stderr(),
        "done in {:.1} s; results {}",
        record.seconds,
        &record.result_hash[..16]
    )?;
    Ok(())
}

fn report(args: &ReportArgs) -> Result<(), CliError> {
    let path = columna_study::report(&args.run).map_err(|error| CliError::engine(&error))?;
    writeln!(stdout().lock(), "{}", path.display())?;
    Ok(())
}
