//! `columna cohort run`: members to Parquet and into the store, counts to standard output.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use columna_cohort::definition::Definition;
use columna_cohort::exec::{Attrition, Member, Outcome};
use columna_cohort::library::{self, DefinitionFile};
use columna_cohort::plan::compile;
use columna_cohort::report::{CohortFile, StoreTable, attrition_csv, diagram};
use columna_model::BucketId;
use columna_privacy::{Gate, Refusal};
use columna_query::SessionOptions;
use columna_store::{Snapshot, Store};

use super::args::RunArgs;
use crate::commands::privacy::access::{access, refused};
use crate::error::CliError;
use crate::output::{Style, printer};
use crate::settings::Settings;
use crate::size::{human_time, plural};
use crate::temporary;

/// Runs `columna cohort run`.
pub(super) fn run(args: &RunArgs, settings: &Settings) -> Result<(), CliError> {
    let began = Instant::now();
    let files = super::load(&args.definitions)?;
    let some_refused = refuse(&files, args.keep_going)?;
    let definitions = library::runnable(&files);
    if let Some(out) = &args.out {
        fs::create_dir_all(out).map_err(|error| CliError::io("make", out.display(), &error))?;
    }
    let runtime = crate::commands::runtime(args.threads)?;
    let (store, snapshot) = runtime.block_on(async {
        let store = crate::commands::open(&args.store.store).await?;
        let snapshot = store.snapshot(args.snapshot).await;
        let snapshot = snapshot.map_err(|error| CliError::engine(&error))?;
        admit(args, &store, &snapshot).await?;
        Ok::<_, CliError>((store, snapshot))
    })?;
    let table = if args.into_store {
        let begun = runtime.block_on(StoreTable::begin(&store, &snapshot));
        Some(begun.map_err(|error| CliError::engine(&error))?)
    } else {
        None
    };
    let (outcome, table) = members(args, &store, &snapshot, &definitions, table, settings)
        .map_err(|error| CliError::engine(&error))?;
    if let Some(table) = table {
        let committed = runtime.block_on(table.commit());
        committed.map_err(|error| CliError::engine(&error))?;
    }
    if let Some(out) = &args.out {
        write_attrition(out, &outcome.attrition)?;
    }
    print_counts(args, &outcome, settings)?;
    if !settings.quiet {
        // Standard error may be gone; the answer is already out.
        let _ = writeln!(
            stderr(),
            "{} over {} in {}: {}",
            plural(definitions.len() as u64, "definition"),
            plural(outcome.persons, "person"),
            human_time(began.elapsed()),
            plural(outcome.rows, "row")
        );
    }
    if some_refused {
        Err(CliError::Unsound)
    } else {
        Ok(())
    }
}

/// Cohorts name persons and are built past every guard: only a role that sees everything may build them. Both are on record
/// before anything is built.
async fn admit(args: &RunArgs, store: &Store, snapshot: &Snapshot) -> Result<(), CliError> {
    let Some(access) = access(&args.access, Some(&args.store.store))? else {
        return Ok(());
    };
    let options = SessionOptions {
        access: Some(access),
        store: Some(store.clone()),
        snapshot: Some(snapshot.version()),
        ..temporary::session_options()?
    };
    let session = columna_query::session(options).await;
    let session = session.map_err(|error| CliError::engine(&error))?;
    let gate: Option<Arc<Gate>> = session.state_ref().read().config().get_extension();
    let Some(gate) = gate else { return Ok(()) };
    let admitted = if gate.restricts() {
        gate.turn_away(
            &command(args),
            Refusal::new(
                "cohort",
                "this role sees less than the whole store, and cohorts are built from all of it",
                "ask in a role of the kind `steward`, or for the cohort as a table of the store",
            ),
        )
    } else {
        gate.answers(&command(args))
    };
    admitted.map_err(|error| refused(&error))
}

/// The command as it is on record: what it does, without names of files.
fn command(args: &RunArgs) -> String {
    let out = args.out.as_ref().map_or("", |_| " --out ?");
    let into_store = if args.into_store { " --into-store" } else { "" };
    format!("cohort run ?{out}{into_store}")
}

/// Names the definitions that cannot run, before anything runs. Says whether there are any.
fn refuse(files: &[DefinitionFile], keep_going: bool) -> Result<bool, CliError> {
    let refusals: Vec<String> = files
        .iter()
        .filter_map(DefinitionFile::refusal)
        .map(|error| error.to_string())
        .collect();
    if refusals.is_empty() {
        return Ok(false);
    }
    if keep_going && refusals.len() < files.len() {
        let mut err = stderr().lock();
        for refusal in &refusals {
            writeln!(err, "refused: {refusal}")?;
        }
        return Ok(true);
    }
    let message = format!(
        "{} of {} definitions cannot run: {}",
        refusals.len(),
        files.len(),
        refusals.join("\n  ")
    );
    Err(CliError::failed(message).hint(
        "`columna cohort validate` lists every problem, and `--keep-going` runs the other definitions",
    ))
}

/// Works out the members and hands them to the file and the table. Blocking.
fn members(
    args: &RunArgs,
    store: &Store,
    snapshot: &Snapshot,
    definitions: &[Definition],
    mut table: Option<StoreTable>,
    settings: &Settings,
) -> columna_cohort::Result<(Outcome, Option<StoreTable>)> {
    let plan = compile(store, snapshot, definitions)?;
    if !settings.quiet {
        for warning in plan.warnings() {
            let _ = writeln!(stderr(), "warning: {warning}");
        }
    }
    let mut file = match &args.out {
        Some(out) => {
            let file = CohortFile::create(&out.join("cohort.parquet"))?;
            temporary::hold(file.partial());
            Some(file)
        }
        None => None,
    };
    let ids: BTreeSet<i64> = definitions.iter().map(|d| d.id).collect();
    let mut others: BTreeMap<BucketId, Vec<Member>> = match &mut table {
        Some(table) => table.clear(store, snapshot, &ids)?,
        None => BTreeMap::new(),
    };
    let outcome = columna_cohort::exec::run(
        store,
        snapshot,
        &plan,
        args.threads,
        &mut |bucket, mut members| {
            if let Some(file) = &mut file {
                file.write(&members)?;
            }
            if let Some(table) = &mut table {
                members.extend(others.remove(&bucket).unwrap_or_default());
                table.write(bucket, members)?;
            }
            Ok(())
        },
    )?;
    if let Some(file) = file {
        let partial = file.partial().to_owned();
        file.finish()?;
        temporary::release(&partial);
    }
    Ok((outcome, table))
}

fn write_attrition(out: &Path, attrition: &[Attrition]) -> Result<(), CliError> {
    let write = |path: &Path, text: &str| {
        fs::write(path, text).map_err(|error| CliError::io("write", path.display(), &error))
    };
    write(&out.join("attrition.csv"), &attrition_csv(attrition))?;
    let json = serde_json::to_string_pretty(attrition).map_err(|error| CliError::engine(&error))?;
    write(&out.join("attrition.json"), &json)?;
    let diagrams = out.join("attrition");
    fs::create_dir_all(&diagrams)
        .map_err(|error| CliError::io("make", diagrams.display(), &error))?;
    for cohort in attrition {
        let file = diagrams.join(format!("{}.svg", cohort.cohort_definition_id));
        write(&file, &diagram(cohort))?;
    }
    Ok(())
}

fn print_counts(args: &RunArgs, outcome: &Outcome, settings: &Settings) -> Result<(), CliError> {
    let cohorts = &outcome.attrition;
    let counts = |of: fn(&Attrition) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(cohorts.iter().map(of)))
    };
    let ids = cohorts.iter().map(|c| c.cohort_definition_id);
    let names = cohorts.iter().map(|c| c.name.as_str());
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "cohort_definition_id",
            Arc::new(Int64Array::from_iter_values(ids)),
        ),
        ("name", Arc::new(StringArray::from_iter_values(names))),
        ("entry_events", counts(|c| c.events)),
        ("entry_persons", counts(|c| c.persons)),
        ("persons_meeting_all_rules", counts(|c| c.final_persons)),
        ("persons", counts(|c| c.members)),
        ("rows", counts(|c| c.rows)),
    ];
    let batch = RecordBatch::try_from_iter(columns).map_err(|error| CliError::engine(&error))?;
    let style = Style {
        box_drawing: settings.utf8,
        colour: settings.colour_out,
        file: false,
    };
    let mut printer = printer(args.format, &batch.schema(), Box::new(stdout()), style)?;
    printer.write(&batch)?;
    printer.finish()
}
