//! Removes old snapshots, and the files that no snapshot names any more.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use futures::{StreamExt, TryStreamExt};
use serde::Serialize;

use crate::backend::{Listed, STAGED};
use crate::file_id;
use crate::manifest::{self, FileEntry};
use crate::run_writer::PROJECTIONS;
use crate::snapshot;
use crate::store::{CONCURRENT_READS, Store, read_body};
use crate::{Error, Result};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a vacuum keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VacuumOptions {
    /// The newest snapshots are kept, this many; the newest one always.
    pub keep: usize,
    /// Snapshots younger than this are kept as well.
    pub keep_for: Duration,
    /// Files younger than this are kept even when no snapshot names them: a writer may be about to.
    /// With zero, a write that is under way fails or is damaged.
    pub grace: Duration,
    /// Only report what would be removed.
    pub dry_run: bool,
}

impl Default for VacuumOptions {
    /// Ten snapshots, all of the last week, and a day for writers under way.
    fn default() -> Self {
        Self {
            keep: 10,
            keep_for: 7 * DAY,
            grace: DAY,
            dry_run: false,
        }
    }
}

impl VacuumOptions {
    /// Keeps the newest snapshot and nothing else, at once: what was erased is gone afterwards.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            keep: 1,
            keep_for: Duration::ZERO,
            grace: Duration::ZERO,
            dry_run: false,
        }
    }
}

/// What a vacuum removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VacuumReport {
    /// Snapshots removed.
    pub snapshots: usize,
    /// Snapshots kept.
    pub snapshots_kept: usize,
    /// Data files and manifests removed.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Files that no snapshot names, spared because they are young.
    pub spared: usize,
    /// Tables whose published Delta log named a removed file, and was removed with it.
    pub unpublished: Vec<String>,
    /// Nothing was really removed.
    pub dry_run: bool,
}

impl fmt::Display for VacuumReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run {
            "would be removed"
        } else {
            "removed"
        };
        write!(
            f,
            "{} snapshots and {} files ({} bytes) {verb}, {} snapshots kept",
            self.snapshots, self.files, self.bytes, self.snapshots_kept
        )?;
        if self.spared > 0 {
            write!(
                f,
                "\n{} young files spared: a writer may be about to name them",
                self.spared
            )?;
        }
        if !self.unpublished.is_empty() {
            let tables = self.unpublished.join(", ");
            write!(
                f,
                "\nDelta logs out of date and {verb}: {tables}; run `columna store publish --delta` again"
            )?;
        }
        Ok(())
    }
}

impl Store {
    /// Removes old snapshots, and the files that none of the others name.
    ///
    /// # Errors
    /// When a snapshot or manifest that is kept is damaged: nothing is removed then.
    pub async fn vacuum(&self, options: &VacuumOptions) -> Result<VacuumReport> {
        let backend = self.backend();
        // Files are listed before snapshots are read, so that a commit between the two is seen.
        let mut listed = Vec::new();
        for folder in ["tables", PROJECTIONS, "manifests", "snapshots"] {
            listed.extend(backend.list(folder).await?);
        }
        let (kept, removed) = self.divide_snapshots(options).await?;
        let named = self.named_by(&kept).await?;
        let mut report = VacuumReport {
            snapshots: removed.len(),
            snapshots_kept: kept.len(),
            dry_run: options.dry_run,
            ..VacuumReport::default()
        };
        let now = SystemTime::now();
        let mut gone: Vec<&Listed> = Vec::new();
        for file in listed
            .iter()
            .filter(|f| !named.contains(&f.path) && is_ours(&f.path))
        {
            // A clock that went back makes a file look as if it came from the future: spare it.
            let age = now.duration_since(file.modified).unwrap_or(Duration::ZERO);
            if age < options.grace {
                report.spared += 1;
            } else {
                gone.push(file);
            }
        }
        report.files = gone.len();
        report.bytes = gone.iter().map(|f| f.bytes).sum();
        let (logs, unpublished) = stale_logs(&listed, &gone);
        report.unpublished = unpublished;
        if !options.dry_run {
            // Snapshots first, oldest first: a vacuum that is killed leaves files too many, never too few.
            for version in removed {
                backend.delete(&snapshot::path(version)).await?;
            }
            let paths: Vec<String> = logs.iter().chain(&gone).map(|f| f.path.clone()).collect();
            let deletions =
                futures::stream::iter(paths).map(|path| async move { backend.delete(&path).await });
            deletions
                .buffer_unordered(CONCURRENT_READS)
                .try_collect::<()>()
                .await?;
        }
        Ok(report)
    }

    /// The snapshots to keep and those to remove.
    async fn divide_snapshots(&self, options: &VacuumOptions) -> Result<(Vec<u64>, Vec<u64>)> {
        let history = self.history().await?;
        let first_kept = history.len().saturating_sub(options.keep.max(1));
        let now = chrono::Utc::now();
        let (mut kept, mut removed) = (Vec::new(), Vec::new());
        for (at, summary) in history.iter().enumerate() {
            let made = chrono::DateTime::parse_from_rfc3339(&summary.time);
            let made = made.map_err(|_| {
                Error::damaged(snapshot::path(summary.version), "its time is not a time")
            })?;
            let young = now
                .signed_duration_since(made)
                .to_std()
                .is_ok_and(|age| age < options.keep_for);
            // Snapshots are removed from the oldest on, so that the chain of those kept has no gap.
            if at >= first_kept || young || !kept.is_empty() {
                kept.push(summary.version);
            } else {
                removed.push(summary.version);
            }
        }
        Ok((kept, removed))
    }

    /// All manifests and data files that snapshots name.
    async fn named_by(&self, versions: &[u64]) -> Result<BTreeSet<String>> {
        let mut named = BTreeSet::new();
        let mut hashes = BTreeSet::new();
        for &version in versions {
            let (body, _) = read_body(self.backend(), version, version).await?;
            hashes.extend(body.tables.into_values().map(|t| t.manifest));
        }
        for hash in hashes {
            let table = self.manifest(&hash).await?;
            let files = table.files.iter().flat_map(FileEntry::with_copies);
            named.extend(files.map(|f| f.path.clone()));
            named.insert(manifest::path(&hash));
        }
        Ok(named)
    }
}

/// Whether a file that no snapshot names is one that a writer of ours left. What others put here stays.
pub(crate) fn is_ours(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let top = folder.split('/').next().unwrap_or_default();
    file_id::is_one(name, STAGED)
        || match top {
            "tables" => !is_delta_log(path) && file_id::is_one(name, ".parquet"),
            PROJECTIONS => file_id::is_one(name, ".parquet"),
            "manifests" => name.strip_suffix(".json").is_some_and(|hash| {
                hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())
            }),
            _ => false,
        }
}

/// Whether a file belongs to a table's published Delta log.
pub(crate) fn is_delta_log(path: &str) -> bool {
    path.split('/').any(|part| part == "_delta_log")
}

/// The folder of a table that a file belongs to.
fn table_folder(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("tables/")?;
    rest.split('/').next()
}

/// The files of Delta logs that may name a removed file, and their tables' folders.
fn stale_logs<'a>(listed: &'a [Listed], gone: &[&Listed]) -> (Vec<&'a Listed>, Vec<String>) {
    let changed: BTreeSet<&str> = gone.iter().filter_map(|f| table_folder(&f.path)).collect();
    let stale = |f: &&Listed| {
        is_delta_log(&f.path) && table_folder(&f.path).is_some_and(|t| changed.contains(t))
    };
    let logs: Vec<&Listed> = listed.iter().filter(stale).collect();
    let tables: BTreeSet<&str> = logs.iter().filter_map(|f| table_folder(&f.path)).collect();
    (logs, tables.into_iter().map(str::to_owned).collect())
}
