//! The entry point: a source into a store, as one snapshot.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use columna_store::{Operation, Pseudonymised, Snapshot, Store};

use crate::engine::{self, Known};
use crate::omop::OmopReader;
use crate::options::{Format, IngestOptions};
use crate::reader::Reader;
use crate::report::IngestReport;
use crate::source::Source;
use crate::synthea::{SyntheaReader, is_synthea};
use crate::treat::TreatedReader;
use crate::{Error, Result};

/// Stores a delivery: the tables of a folder, or of a single file.
///
/// Nothing is visible before all of it is: an error, a kill or too many rejects leave the store as it was.
///
/// # Errors
/// When the source has no tables, a file cannot be read as what its name says, the same files were stored before,
/// more rows are rejected than allowed, or the store refuses.
pub async fn ingest(source: &Path, store: &Store, options: &IngestOptions) -> Result<IngestReport> {
    let began = Instant::now();
    options.check()?;
    let path = source.to_owned();
    let source = Arc::new(blocking(move || Source::discover(&path)).await?);
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .thread_name(|at| format!("ingest-{at}"));
    let pool = Arc::new(
        threads
            .build()
            .map_err(|error| Error::engine(format!("no threads: {error}")))?,
    );

    let mut transaction = store.begin().await?;
    let base = transaction.base().clone();
    if base.pseudonymised().is_some() && options.treatment.is_none() {
        return Err(Error::Treatment {
            what: "this store is pseudonymised, and the delivery would come in as it is: give `--pseudonymize` with the \
                   policy, role and key of the earlier deliveries, or choose another store"
                .to_owned(),
        });
    }
    let reader = open(&source, store, &base, &pool, options).await?;
    let (reader, pseudonymised) = treated(reader, &base, options)?;
    let source = match pseudonymised {
        Some(with) => {
            transaction.pseudonymised(with);
            Arc::new(source.nameless(base.deliveries().len() + 1))
        }
        None => source,
    };
    let known = {
        let (reader, base) = (Arc::clone(&reader), base.clone());
        blocking(move || Known::find(&*reader, &base)).await?
    };
    if !options.replace {
        known.refuse(&*reader, store).await?;
    }
    let people = engine::stored_people(store, &base).await?;

    let unchanged: BTreeSet<usize> = if options.replace {
        BTreeSet::new()
    } else {
        known.unchanged.keys().copied().collect()
    };
    let staged = {
        let (reader, source, pool, options, store) = (
            Arc::clone(&reader),
            Arc::clone(&source),
            Arc::clone(&pool),
            options.clone(),
            store.clone(),
        );
        blocking(move || {
            let job = engine::Job {
                reader: &*reader,
                unchanged: &unchanged,
                delivery: &source.name,
                store: &store,
                pool: &pool,
                options: &options,
            };
            let outcome = job.run(&mut transaction, people)?;
            Ok((transaction, outcome, unchanged))
        })
    };
    let (transaction, mut outcome, unchanged) = staged.await?;
    let operation = outcome.operation.clone();
    let replaces = matches!(operation, Operation::Replace { .. });
    let snapshot = transaction.commit(operation).await?;
    if !replaces {
        check_rows(&*reader, &outcome, &base, &snapshot)?;
    }
    let skipped = unchanged.into_iter().collect::<Vec<_>>();
    if options.treatment.is_some() {
        // Births are cut and dates are shifted: what they say of each other is no finding.
        outcome
            .findings
            .retain(|finding| finding.kind != crate::FindingKind::BeforeBirth);
    }
    let findings = if options.replace {
        Vec::new()
    } else {
        known.findings
    };
    Ok(IngestReport::new(
        &source,
        &*reader,
        outcome,
        &skipped,
        findings,
        &snapshot,
        began.elapsed(),
    ))
}

/// The reader, with the rows treated as the options say, and what the store's are pseudonymised with then.
fn treated(
    reader: Arc<dyn Reader>,
    base: &Snapshot,
    options: &IngestOptions,
) -> Result<(Arc<dyn Reader>, Option<Pseudonymised>)> {
    if options.treatment.is_none() && options.drop_columns.is_empty() {
        return Ok((reader, None));
    }
    // Synthea's later deliveries are matched with the store by the numbers that the treatment has replaced.
    if options.treatment.is_some() && reader.format().contains("Synthea") && base.tables().len() > 0
    {
        return Err(Error::Treatment {
            what:
                "Synthea's files are pseudonymised into a new store only: give all of them at once"
                    .to_owned(),
        });
    }
    let treatment = options.treatment.clone();
    let reader = TreatedReader::new(reader, treatment, &options.drop_columns)?;
    let together = reader.together(base)?;
    Ok((Arc::new(reader), together))
}

async fn open(
    source: &Arc<Source>,
    store: &Store,
    base: &Snapshot,
    pool: &Arc<rayon::ThreadPool>,
    options: &IngestOptions,
) -> Result<Arc<dyn Reader>> {
    let synthea = match options.format {
        Format::Omop => false,
        Format::Synthea => true,
        Format::Auto => {
            let source = Arc::clone(source);
            blocking(move || is_synthea(&source)).await?
        }
    };
    if synthea {
        return Ok(Arc::new(
            SyntheaReader::open(source, store, base, options).await?,
        ));
    }
    let (source, base, pool, options) = (
        Arc::clone(source),
        base.clone(),
        Arc::clone(pool),
        options.clone(),
    );
    let reader =
        blocking(move || pool.install(|| OmopReader::open(&source, &base, &options))).await?;
    Ok(Arc::new(reader))
}

/// The new snapshot must have exactly the rows that were counted on the way.
fn check_rows(
    reader: &dyn Reader,
    outcome: &engine::Outcome,
    base: &Snapshot,
    snapshot: &Snapshot,
) -> Result<()> {
    for (target, counts) in reader.targets().iter().zip(&outcome.targets) {
        let name = &target.spec.name;
        let rows = |snapshot: &Snapshot| snapshot.table(name).map_or(0, |table| table.rows);
        let (before, after) = (rows(base), rows(snapshot));
        // With another writer's snapshot in between, the difference is not ours alone.
        if after != before + counts.stored + counts.derived
            && snapshot.version() == base.version() + 1
        {
            return Err(Error::engine(format!(
                "table `{name}` had {before} rows, got {} and has {after}",
                counts.stored + counts.derived
            )));
        }
    }
    Ok(())
}

/// Runs blocking work beside the asynchronous threads, which must never wait for rayon.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Error::engine("a worker ended early")),
    }
}
