//! `columna store`: compact, erase, verify, vacuum, project, encrypt, publish.

use std::io::{BufRead, Write, stdin, stdout};

use columna_model::PersonId;
use columna_store::{Encryption, ProjectReport, Snapshot, Store, VacuumOptions};

use crate::args::{EncryptArgs, StoreCommand};
use crate::error::CliError;
use crate::size::{human_bytes, human_count, plural};

/// Runs a command of `columna store`.
pub(crate) fn run(command: StoreCommand) -> Result<(), CliError> {
    let runtime = super::runtime(None)?;
    runtime.block_on(async {
        match command {
            StoreCommand::Compact { store } => compact(&super::open(&store.store).await?).await,
            StoreCommand::Erase { store, person } => {
                let persons = persons(&person)?;
                erase(&super::open(&store.store).await?, &persons).await
            }
            StoreCommand::Verify { store, json } => {
                verify(&super::open(&store.store).await?, json).await
            }
            StoreCommand::Vacuum {
                store,
                grace,
                keep,
                keep_for,
                everything,
                dry_run,
            } => {
                let options = if everything {
                    VacuumOptions {
                        dry_run,
                        ..VacuumOptions::everything()
                    }
                } else {
                    VacuumOptions {
                        keep,
                        keep_for,
                        grace,
                        dry_run,
                    }
                };
                let report = super::open(&store.store).await?.vacuum(&options).await;
                Ok(writeln!(
                    stdout(),
                    "{}",
                    report.map_err(|error| CliError::engine(&error))?
                )?)
            }
            StoreCommand::Project {
                store,
                table,
                by,
                drop,
                memory_limit,
            } => {
                let column = by.map_or_else(|| concept_of(&table), Ok)?;
                let store = super::open(&store.store).await?;
                let report = if drop {
                    store.drop_projection(&table, &column).await
                } else {
                    store.project(&table, &column, memory_limit).await
                };
                let report = report.map_err(|error| CliError::engine(&error))?;
                Ok(writeln!(stdout(), "{}", projected(&report))?)
            }
            StoreCommand::Encrypt { store, parts, key } => {
                let store = super::open(&store.store).await?;
                encrypt(&store, &EncryptArgs { parts, key }).await
            }
            StoreCommand::Publish { store, delta: _ } => {
                publish(&super::open(&store.store).await?).await
            }
        }
    })
}

/// The column by which a table of the model is copied when none is named: the concept of its rows.
pub(crate) fn concept_of(table: &str) -> Result<String, CliError> {
    let known = columna_model::table(table);
    let concept = known.and_then(|def| def.concept);
    concept.map(str::to_owned).ok_or_else(|| {
        let what = match known {
            Some(_) => "has no concept of its rows",
            None => "is no table of the model",
        };
        CliError::usage(format!(
            "`{table}` {what}: which column to order by is not known"
        ))
        .hint("name one: `columna store project TABLE --by COLUMN`, or `TABLE.COLUMN` on ingest")
    })
}

fn projected(report: &ProjectReport) -> String {
    let ProjectReport {
        table,
        column,
        files,
        bytes,
        table_bytes,
        dropped,
        snapshot,
    } = report;
    let files = plural(*files as u64, "file");
    let size = human_bytes(*bytes);
    match (snapshot, dropped) {
        (None, false) => format!("`{table}` has its copy by `{column}` already, of {size}"),
        (None, true) => format!("`{table}` has no copy by `{column}`"),
        (Some(version), false) => format!(
            "snapshot {version}: {files} of `{table}` copied in the order of `{column}`\nthe copy takes {size} beside the table's {}",
            human_bytes(*table_bytes)
        ),
        (Some(version), true) => format!(
            "snapshot {version}: the copy of `{table}` by `{column}` is given up\nits {files} ({size}) stay for earlier snapshots until `columna store vacuum`"
        ),
    }
}

#[cfg(feature = "delta")]
async fn publish(store: &Store) -> Result<(), CliError> {
    let report = store.publish_delta().await;
    let report = report.map_err(|error| CliError::engine(&error))?;
    Ok(writeln!(stdout(), "{report}")?)
}

#[cfg(not(feature = "delta"))]
#[expect(clippy::unused_async, reason = "with the feature it waits")]
async fn publish(_store: &Store) -> Result<(), CliError> {
    Err(CliError::usage("this build cannot publish Delta tables")
        .hint("build with `cargo build --release --features delta`"))
}

/// What options ask to encrypt, under the newest version of the key that they name.
fn encryption(args: &EncryptArgs, snapshot: &Snapshot) -> Result<Encryption, CliError> {
    let Some(keys) = super::keys::of_stores() else {
        return Err(CliError::usage(format!(
            "encrypting takes a key `{}`, and no keys were given",
            args.key
        ))
        .hint(format!(
            "make one with `(umask 077; columna privacy key new {} > keys)`, keep it elsewhere than the store, and add `--keys keys`",
            args.key
        )));
    };
    Encryption::new(&args.parts, &keys, &args.key, Some(snapshot))
        .map_err(|error| CliError::engine(&error))
}

/// Sets what of a new store is encrypted, before anything is written to it.
pub(crate) async fn encrypt_new(store: &Store, args: &EncryptArgs) -> Result<(), CliError> {
    let engine = |error: columna_store::Error| CliError::engine(&error);
    let snapshot = store.snapshot(None).await.map_err(engine)?;
    let encryption = encryption(args, &snapshot)?;
    if snapshot.encryption() == Some(&encryption) {
        return Ok(());
    }
    if snapshot.rows() > 0 {
        return Err(CliError::usage(format!(
            "the store has rows already, {}",
            match snapshot.encryption() {
                None => "which are not encrypted".to_owned(),
                Some(known) => format!(
                    "encrypted as `{}` under the key `{}`, and stays so without `--encrypt`",
                    known.parts.join(","),
                    known.key
                ),
            }
        ))
        .hint(format!(
            "`columna store encrypt {} --store {} --keys SOURCE` changes that for all rows",
            args.parts.join(","),
            store.url()
        )));
    }
    store.encrypt(Some(encryption)).await.map_err(engine)?;
    Ok(())
}

async fn encrypt(store: &Store, args: &EncryptArgs) -> Result<(), CliError> {
    let engine = |error: columna_store::Error| CliError::engine(&error);
    let encryption = if args.parts == ["none"] {
        None
    } else {
        let snapshot = store.snapshot(None).await.map_err(engine)?;
        Some(encryption(args, &snapshot)?)
    };
    let report = store.encrypt(encryption).await.map_err(engine)?;
    Ok(writeln!(stdout(), "{report}")?)
}

async fn compact(store: &Store) -> Result<(), CliError> {
    let report = store
        .compact()
        .await
        .map_err(|error| CliError::engine(&error))?;
    let mut out = stdout().lock();
    match report.snapshot {
        None => writeln!(out, "nothing to compact: every bucket has its size")?,
        Some(version) => writeln!(
            out,
            "snapshot {version}: {} divided, {} joined\n{} files ({}) are now {} files ({})",
            plural(report.split, "bucket"),
            plural(report.merged, "bucket"),
            report.files.0,
            human_bytes(report.bytes.0),
            report.files.1,
            human_bytes(report.bytes.1),
        )?,
    }
    Ok(())
}

/// The persons to erase. Messages never repeat what was given: it is a patient's id.
fn persons(given: &[String]) -> Result<Vec<PersonId>, CliError> {
    let mut persons = Vec::new();
    for (index, text) in given.iter().enumerate() {
        if text == "-" {
            for (line, text) in stdin().lock().lines().enumerate() {
                let text = text.map_err(|error| CliError::io("read", "standard input", &error))?;
                if !text.trim().is_empty() {
                    persons.push(person(
                        &text,
                        &format!("line {} of standard input", line + 1),
                    )?);
                }
            }
        } else {
            persons.push(person(
                text,
                &format!("the value of `--person` number {}", index + 1),
            )?);
        }
    }
    if persons.is_empty() {
        return Err(CliError::usage("no person to erase was given")
            .hint("give `--person ID`, or ids on standard input"));
    }
    Ok(persons)
}

fn person(text: &str, place: &str) -> Result<PersonId, CliError> {
    text.trim()
        .parse()
        .map(PersonId)
        .map_err(|_| CliError::usage(format!("{place} is not a person id: write a whole number")))
}

async fn erase(store: &Store, persons: &[PersonId]) -> Result<(), CliError> {
    let mut rows = 0;
    let mut snapshot = None;
    let mut unknown = 0u64;
    for person in persons {
        let report = store
            .erase(*person)
            .await
            .map_err(|error| CliError::engine(&error))?;
        rows += report.rows;
        snapshot = report.snapshot.or(snapshot);
        unknown += u64::from(report.snapshot.is_none());
    }
    let mut out = stdout().lock();
    let given = plural(u64::try_from(persons.len()).unwrap_or(u64::MAX), "person");
    match snapshot {
        None => writeln!(out, "{given} given, none has rows in this store")?,
        Some(version) => {
            writeln!(
                out,
                "snapshot {version}: {given} given, {} erased",
                plural(rows, "row")
            )?;
            if unknown > 0 {
                writeln!(
                    out,
                    "{} of them had no rows in this store",
                    human_count(unknown)
                )?;
            }
            writeln!(
                out,
                "earlier snapshots and their files still hold them until `columna store vacuum --everything`"
            )?;
        }
    }
    Ok(())
}

async fn verify(store: &Store, json: bool) -> Result<(), CliError> {
    let report = store
        .verify()
        .await
        .map_err(|error| CliError::engine(&error))?;
    let mut out = stdout().lock();
    if json {
        let text =
            serde_json::to_string_pretty(&report).map_err(|error| CliError::engine(&error))?;
        writeln!(out, "{text}")?;
    } else {
        writeln!(out, "{report}")?;
    }
    if report.is_ok() {
        Ok(())
    } else {
        Err(CliError::Unsound)
    }
}
