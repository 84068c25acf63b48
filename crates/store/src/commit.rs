//! Commits a change optimistically: the snapshot is put if absent, and the loser goes on top of the winner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use columna_model::BucketId;

use crate::backend::Put;
use crate::bridge::blocking;
use crate::buckets::Buckets;
use crate::encryption::Encryption;
use crate::manifest::{self, FileEntry, TableVersion};
use crate::operation::{Delivery, Operation};
use crate::owned::{self, OwnedColumn};
use crate::pseudonymised::Pseudonymised;
use crate::snapshot::{self, Body, Snapshot, TableRef};
use crate::staging::Place;
use crate::store::Store;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// What a transaction changes, independent of what it is put on top of.
#[derive(Debug)]
pub(crate) struct Change {
    /// The buckets, if they changed.
    pub(crate) buckets: Option<Buckets>,
    /// Tables that are new or wider.
    pub(crate) specs: Vec<TableSpec>,
    /// The files of the places that changed.
    pub(crate) places: BTreeMap<Place, Vec<FileEntry>>,
    /// Tables that were emptied, whatever they hold.
    pub(crate) cleared: BTreeSet<String>,
    /// Buckets in which no other change of any table may come between.
    pub(crate) guarded: BTreeSet<BucketId>,
    pub(crate) deliveries: Vec<Delivery>,
    /// The columns by which tables are to have copies, where that changes.
    pub(crate) projections: BTreeMap<String, Vec<String>>,
    /// What is encrypted from now on, if that changes.
    pub(crate) encryption: Option<Option<Encryption>>,
    /// What its rows were pseudonymised with, together with those before, if that changes.
    pub(crate) pseudonymised: Option<Pseudonymised>,
}

/// Commits a change made on top of `base`.
pub(crate) async fn run(
    store: &Store,
    base: &Snapshot,
    change: &Change,
    operation: &Operation,
    memory: usize,
) -> Result<Snapshot> {
    let mut head = base.clone();
    let mut owned = owned(store, base, change, operation, memory).await?;
    loop {
        let (body, tables) = put_together(&head, change, operation, owned.as_ref())?;
        let written = write_manifests(store, &head, body, &tables).await?;
        let staged = change.places.values().flatten();
        let staged = staged
            .flat_map(FileEntry::with_copies)
            .map(|f| f.path.as_str());
        let manifests: Vec<String> = written
            .tables
            .values()
            .map(|t| manifest::path(&t.manifest))
            .collect();
        store
            .backend()
            .sync_folders(staged.chain(manifests.iter().map(String::as_str)))
            .await?;
        let (path, bytes) = (snapshot::path(written.version), written.encode()?);
        match store.backend().put_if_absent(&path, &bytes).await? {
            Put::Won => {
                let hash = blake3::hash(&bytes).to_hex().to_string();
                return Snapshot::new(&path, written, hash, tables);
            }
            Put::Lost => {
                head = rebase(store, &head, change).await?;
                // What was found of the tables is not known of those of the faster writer.
                owned = None;
            }
        }
    }
}

/// The columns of each table that only one person has each value of.
type Owned = BTreeMap<String, Vec<OwnedColumn>>;

/// Finds these columns, if the change brings rows. Not again in an object store, where all rows would have to be fetched.
async fn owned(
    store: &Store,
    base: &Snapshot,
    change: &Change,
    operation: &Operation,
    memory: usize,
) -> Result<Option<Owned>> {
    let first = matches!(operation, Operation::Ingest { .. });
    if !operation.brings_rows() || !(first || store.is_local()) {
        return Ok(None);
    }
    let (_, tables) = put_together(base, change, operation, None)?;
    let backend = store.backend().clone();
    let found = blocking(move || owned::find(&backend, &tables, memory));
    // Who cannot read what was there before can still add to it.
    Ok(found.await.ok())
}

/// Goes from the snapshot that a commit was tried on to the newest one, unless they cannot both be.
async fn rebase(store: &Store, head: &Snapshot, change: &Change) -> Result<Snapshot> {
    let newest = store.newest_version().await?;
    let mut at = head.clone();
    for version in head.version() + 1..=newest {
        let next = match store.snapshot(Some(version)).await {
            // Vacuum removed it meanwhile: the next one's difference holds its change as well.
            Err(Error::NoSuchSnapshot { .. }) => continue,
            loaded => loaded?,
        };
        if let Some(what) = overlap(&at, &next, change) {
            return Err(conflict(&next, what));
        }
        at = next;
    }
    Ok(at)
}

fn conflict(winner: &Snapshot, what: String) -> Error {
    Error::Conflict {
        version: winner.version(),
        operation: winner.operation().name().to_owned(),
        what,
    }
}

/// What both a change and the step from one snapshot to the next touch.
fn overlap(from: &Snapshot, to: &Snapshot, change: &Change) -> Option<String> {
    if change.buckets.is_some() && from.buckets() != to.buckets() {
        return Some("the buckets".to_owned());
    }
    // Files are written as one snapshot says, and would stay so under another.
    if from.encryption() != to.encryption() || change.encryption.is_some() {
        return Some("what is encrypted".to_owned());
    }
    // Rows of the one must not come beside rows of the other that were treated otherwise.
    if from.pseudonymised() != to.pseudonymised() || change.pseudonymised.is_some() {
        return Some("how rows are pseudonymised".to_owned());
    }
    let tables: BTreeSet<&String> = from
        .table_versions()
        .keys()
        .chain(to.table_versions().keys())
        .collect();
    for table in tables {
        let (old, new) = (from.table(table), to.table(table));
        if old == new {
            continue;
        }
        let files =
            |version: Option<&TableVersion>| -> BTreeMap<Option<BucketId>, BTreeSet<String>> {
                let mut places: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
                for file in version.map_or(&[][..], |t| &t.files) {
                    places
                        .entry(file.bucket)
                        .or_default()
                        .extend(file.with_copies().map(|f| f.path.clone()));
                }
                places
            };
        let (old, new) = (files(old), files(new));
        let buckets: BTreeSet<Option<BucketId>> = old.keys().chain(new.keys()).copied().collect();
        for bucket in buckets.into_iter().filter(|b| old.get(b) != new.get(b)) {
            let both = change.places.contains_key(&(table.clone(), bucket))
                || change.cleared.contains(table)
                || bucket.is_some_and(|b| change.guarded.contains(&b));
            if both {
                return Some(match bucket {
                    Some(bucket) => format!("table `{table}` in bucket {}", bucket.0),
                    None => format!("table `{table}`"),
                });
            }
        }
    }
    let delivered = &to.deliveries()[from.deliveries().len().min(to.deliveries().len())..];
    let theirs: BTreeSet<&str> = delivered
        .iter()
        .flat_map(|d| &d.files)
        .map(|f| f.blake3.as_str())
        .collect();
    let mut mine = change.deliveries.iter().flat_map(|d| &d.files);
    mine.any(|f| theirs.contains(f.blake3.as_str()))
        .then(|| "the same delivered files".to_owned())
}

type Tables = BTreeMap<String, Arc<TableVersion>>;

/// The next snapshot: the change on top of the head.
///
/// A table that may have new rows keeps none of its owned columns, unless they were found again.
fn put_together(
    head: &Snapshot,
    change: &Change,
    operation: &Operation,
    owned: Option<&Owned>,
) -> Result<(Body, Tables)> {
    let mut body = Body::after(Some(head), head.layout(), operation.clone());
    body.buckets = change.buckets.as_ref().unwrap_or(head.buckets()).clone();
    body.deliveries = head.deliveries().to_vec();
    body.deliveries
        .extend(change.deliveries.iter().cloned().map(|mut delivery| {
            delivery.snapshot = body.version;
            delivery
        }));
    let mut specs: BTreeMap<String, TableSpec> = BTreeMap::new();
    let mut files: BTreeMap<String, Vec<FileEntry>> = BTreeMap::new();
    for (name, version) in head.table_versions() {
        specs.insert(name.clone(), version.spec.clone());
        let kept = version
            .files
            .iter()
            .filter(|f| !change.places.contains_key(&(name.clone(), f.bucket)));
        files.insert(name.clone(), kept.cloned().collect());
    }
    for spec in &change.specs {
        let spec = match specs.get(&spec.name) {
            Some(known) => known
                .widened(spec)
                .map_err(|_| conflict(head, format!("the columns of table `{}`", spec.name)))?,
            None => spec.clone(),
        };
        specs.insert(spec.name.clone(), spec);
    }
    for ((table, _), new) in &change.places {
        files
            .entry(table.clone())
            .or_default()
            .extend(new.iter().cloned());
    }
    let mut tables: BTreeMap<String, TableVersion> = BTreeMap::new();
    for (name, spec) in specs {
        let mut files = files.remove(&name).unwrap_or_default();
        for file in &files {
            if let (Some(bucket), Some(min), Some(max)) =
                (file.bucket, file.min_person, file.max_person)
                && !body.buckets.holds(bucket, min, max)
            {
                return Err(conflict(
                    head,
                    format!("the persons of bucket {}", bucket.0),
                ));
            }
        }
        files.sort_by_cached_key(|f| {
            (
                f.bucket.and_then(|b| body.buckets.position(b)),
                f.path.clone(),
            )
        });
        let projections = match change.projections.get(&name) {
            Some(changed) => changed.clone(),
            None => head
                .table(&name)
                .map_or_else(Vec::new, |t| t.projections.clone()),
        };
        let written = || change.places.keys().any(|(table, _)| *table == name);
        let owned = match (owned, head.table(&name)) {
            (Some(found), _) => found.get(&name).cloned(),
            (None, Some(known)) if !operation.brings_rows() || !written() => {
                Some(known.owned.clone())
            }
            _ => None,
        };
        let version = TableVersion::new(spec, files, projections, owned.unwrap_or_default());
        tables.insert(name, version);
    }
    owned::tell_no_hidden(&mut tables, matches!(operation, Operation::Erase { .. }));
    let tables: Tables = tables
        .into_iter()
        .map(|(name, table)| (name, Arc::new(table)))
        .collect();
    let encryption = match &change.encryption {
        Some(changed) => changed.clone(),
        None => head.encryption().cloned(),
    };
    let files = tables.values().flat_map(|t| &t.files);
    let pseudonymised = change.pseudonymised.as_ref().or(head.pseudonymised());
    body.protect(
        encryption,
        files.into_iter().any(|f| f.encryption.is_some()),
        pseudonymised.cloned(),
    );
    Ok((body, tables))
}

/// Writes the manifests that changed, and refers to the others again.
async fn write_manifests(
    store: &Store,
    head: &Snapshot,
    mut body: Body,
    tables: &Tables,
) -> Result<Body> {
    for (name, table) in tables {
        let known = head
            .body()
            .tables
            .get(name)
            .filter(|_| head.table(name) == Some(table.as_ref()));
        let reference = match known {
            Some(known) => known.clone(),
            None => {
                let (bytes, hash) = manifest::encode(table)?;
                store.backend().put(&manifest::path(&hash), &bytes).await?;
                TableRef::new(hash, table)
            }
        };
        body.tables.insert(name.clone(), reference);
    }
    Ok(body)
}
