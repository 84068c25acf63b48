//! `columna ingest`: a hospital's files into a store.

use std::io::{Write, stdout};
use std::path::Path;

use columna_ingest::{Format, IngestOptions, IngestReport, Projections, ingest};
use columna_store::{Layout, Store};

use crate::args::{EncryptArgs, IngestArgs, IngestFormatArg};
use crate::error::CliError;
use crate::progress::progress;
use crate::settings::Settings;

/// Runs `columna ingest`.
pub(crate) fn run(args: &IngestArgs, settings: &Settings) -> Result<(), CliError> {
    let defaults = IngestOptions::default();
    let options = IngestOptions {
        format: match args.format {
            IngestFormatArg::Auto => Format::Auto,
            IngestFormatArg::Omop => Format::Omop,
            IngestFormatArg::Synthea => Format::Synthea,
        },
        memory_limit: args.memory_limit.unwrap_or(defaults.memory_limit),
        max_rejects: args.max_rejects,
        replace: args.replace,
        threads: args.threads.unwrap_or(defaults.threads),
        vocabulary: args.vocabulary.clone(),
        allow_identifiers: args.allow_identifiers.clone(),
        drop_columns: args.drop_column.clone(),
        projections: projections(&args.projection)?,
        treatment: super::privacy::pseudonymize::treatment(args)?,
        progress: progress(settings),
    };
    let report = super::runtime(args.threads)?.block_on(store(
        &args.source,
        &args.store.store,
        &options,
        Some(&args.encrypt),
    ))?;
    let mut out = stdout().lock();
    if args.json {
        let text =
            serde_json::to_string_pretty(&report).map_err(|error| CliError::engine(&error))?;
        writeln!(out, "{text}")?;
    } else {
        writeln!(out, "{}", report.to_string().trim_end())?;
    }
    match report.rejected_files.as_slice() {
        [] => Ok(()),
        files => Err(CliError::failed(format!(
            "no row of {} could be stored{}",
            files.join(", "),
            if report.stored > 0 {
                "; the rest was"
            } else {
                ""
            }
        ))
        .hint("mend what the report says of it, and ingest the folder again with `--replace`")),
    }
}

/// Tables and the columns to copy them by: as told, or their concept; the large ones unless told.
fn projections(given: &[String]) -> Result<Projections, CliError> {
    let named = match given {
        [] => return Ok(Projections::default()),
        [none] if none == "none" => &[],
        named => named,
    };
    let each = named.iter().map(|given| match given.split_once('.') {
        Some((table, column)) => Ok((table.to_owned(), column.to_owned())),
        None => Ok((given.clone(), super::store::concept_of(given)?)),
    });
    Ok(Projections::Named(each.collect::<Result<_, CliError>>()?))
}

/// Ingests a folder into a store, which is made where there is none, and takes the progress bar away
/// whatever happens.
pub(crate) async fn store(
    source: &Path,
    url: &str,
    options: &IngestOptions,
    encrypt: Option<&EncryptArgs>,
) -> Result<IngestReport, CliError> {
    if !source.exists() {
        return Err(
            CliError::failed(format!("there is no `{}`", source.display()))
                .hint("give the folder that holds the hospital's files"),
        );
    }
    let engine = |error: columna_store::Error| CliError::engine(&error);
    let store = if Store::exists(url).await.map_err(engine)? {
        Store::open(url).await.map_err(engine)?
    } else {
        Store::create(url, Layout::default())
            .await
            .map_err(engine)?
    };
    let store = super::keys::unlocked(store);
    if let Some(encrypt) = encrypt.filter(|e| !e.parts.is_empty()) {
        super::store::encrypt_new(&store, encrypt).await?;
    }
    let report = ingest(source, &store, options).await;
    options.progress.finish();
    report.map_err(|error| CliError::engine(&error))
}
