//! Verifies a store: the chain of snapshots, their manifests, and every file's bytes, order and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use crate::backend::Listed;
use crate::bridge::blocking;
use crate::manifest::{self, FileEntry, TableVersion};
use crate::projection;
use crate::run_writer::PROJECTIONS;
use crate::snapshot::{self, Body, version_of};
use crate::store::{Store, read_body};
use crate::table_spec::TableSpec;
use crate::vacuum::{is_delta_log, is_ours};
use crate::verify_file::check_file;
use crate::{Error, Result};

/// Something wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file, relative to the store.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Snapshots looked at.
    pub snapshots: usize,
    /// Manifests looked at.
    pub manifests: usize,
    /// Data files read to the last byte.
    pub files: usize,
    /// Their rows.
    pub rows: u64,
    /// Their size.
    pub bytes: u64,
    /// Files of ours that no snapshot names: harmless, a writer is under way or was killed.
    pub unnamed: usize,
    /// What is wrong, by file.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} snapshots, {} manifests and {} data files checked: {} rows, {} bytes",
            self.snapshots, self.manifests, self.files, self.rows, self.bytes
        )?;
        if self.unnamed > 0 {
            write!(
                f,
                "\n{} files that no snapshot names: `columna store vacuum` removes them",
                self.unnamed
            )?;
        }
        for problem in &self.problems {
            write!(f, "\n{}: {}", problem.file, problem.what)?;
        }
        match self.problems.len() {
            0 => f.write_str("\neverything is as it was written"),
            count => write!(f, "\n{count} problems"),
        }
    }
}

/// A data file, and what the manifests that name it say.
struct Expected {
    spec: TableSpec,
    entry: FileEntry,
}

#[derive(Default)]
struct Verification {
    report: VerifyReport,
    bodies: BTreeMap<u64, (Body, String)>,
    named: BTreeSet<String>,
    expected: BTreeMap<String, Expected>,
}

impl Store {
    /// Checks all that is kept of a store, and goes on after a problem.
    ///
    /// # Errors
    /// Only when the place cannot be read at all; what is wrong with the store is in the report.
    pub async fn verify(&self) -> Result<VerifyReport> {
        let mut listed = Vec::new();
        for folder in ["snapshots", "manifests", "tables", PROJECTIONS] {
            listed.extend(self.backend().list(folder).await?);
        }
        let mut verification = Verification::default();
        verification.read_snapshots(self, &listed).await?;
        verification.check_chain();
        verification.read_manifests(self).await?;
        // A write that began after the listing may be named by now, so files are not held against it.
        verification.check_unknown(&listed);
        verification.check_files(self).await?;
        let mut report = verification.report;
        report.problems.sort();
        Ok(report)
    }
}

impl Verification {
    fn problem(&mut self, file: impl Into<String>, what: impl Into<String>) {
        self.report.problems.push(Problem {
            file: file.into(),
            what: what.into(),
        });
    }

    /// Takes a failed reading into the report, or gives it back when it says nothing about the store.
    fn found(&mut self, file: &str, error: Error) -> Result<()> {
        match error {
            Error::Damaged { file, what } => self.problem(file, what),
            e @ Error::NewerFormat { .. } => self.problem(file, e.to_string()),
            Error::NoSuchSnapshot { .. } => self.problem(file, "it is missing"),
            other => return Err(other),
        }
        Ok(())
    }

    async fn read_snapshots(&mut self, store: &Store, listed: &[Listed]) -> Result<()> {
        let names = listed
            .iter()
            .filter_map(|f| f.path.strip_prefix("snapshots/"));
        let versions: Vec<u64> = names.filter_map(version_of).collect();
        for version in versions {
            self.report.snapshots += 1;
            match read_body(store.backend(), version, version).await {
                Ok(read) => drop(self.bodies.insert(version, read)),
                Err(e) => {
                    // Its place in the chain is taken, though nobody knows by what.
                    self.named.insert(snapshot::path(version));
                    self.found(&snapshot::path(version), e)?;
                }
            }
        }
        if self.report.snapshots == 0 {
            self.problem("snapshots", "there is no snapshot");
        }
        Ok(())
    }

    /// Every snapshot names its parent by number and hash, down to the oldest that is kept.
    fn check_chain(&mut self) {
        let mut problems = Vec::new();
        let mut previous: Option<u64> = None;
        for (&version, (body, _)) in &self.bodies {
            let path = snapshot::path(version);
            let parent = body.parent.as_ref();
            if parent.map(|p| p.version) != version.checked_sub(1) {
                problems.push((
                    path.clone(),
                    "its parent is not the snapshot before it".to_owned(),
                ));
            }
            if let Some((parent, (_, hash))) =
                parent.and_then(|p| Some((p, self.bodies.get(&p.version)?)))
                && parent.blake3 != *hash
            {
                let file = snapshot::path(parent.version);
                problems.push((
                    file,
                    format!("snapshot {version} was made from other content than this"),
                ));
            }
            for missing in previous.map_or(version, |p| p + 1)..version {
                let file = snapshot::path(missing);
                if !self.named.contains(&file) {
                    problems.push((file, "it is missing".to_owned()));
                }
            }
            previous = Some(version);
        }
        for (file, what) in problems {
            self.problem(file, what);
        }
    }

    async fn read_manifests(&mut self, store: &Store) -> Result<()> {
        let mut tables: BTreeMap<String, Result<Arc<TableVersion>, ()>> = BTreeMap::new();
        let bodies: Vec<Body> = self.bodies.values().map(|(body, _)| body.clone()).collect();
        for body in &bodies {
            for (name, reference) in &body.tables {
                let path = manifest::path(&reference.manifest);
                self.named.insert(path.clone());
                if !tables.contains_key(&reference.manifest) {
                    self.report.manifests += 1;
                    // Not from the cache: the file itself is what is verified.
                    let read = match store.backend().read(&path).await? {
                        Some(bytes) => manifest::decode(&reference.manifest, &bytes)
                            .and_then(|mut t| t.unseal(store.backend().keys()).map(|()| t)),
                        None => Err(Error::damaged(&path, "it is missing")),
                    };
                    let read = match read {
                        Ok(table) => Ok(Arc::new(table)),
                        Err(e) => {
                            self.found(&path, e)?;
                            Err(())
                        }
                    };
                    tables.insert(reference.manifest.clone(), read);
                }
                if let Some(Ok(table)) = tables.get(&reference.manifest) {
                    let table = Arc::clone(table);
                    let counts = (table.files.len() as u64, table.rows, table.bytes);
                    if counts != (reference.files, reference.rows, reference.bytes)
                        || table.spec.name != *name
                    {
                        let file = snapshot::path(body.version);
                        self.problem(
                            file,
                            format!("its counts of table `{name}` are not those of the manifest"),
                        );
                    }
                    self.check_manifest(body, &path, &table);
                }
            }
        }
        Ok(())
    }

    /// What a manifest says must add up, and fit the buckets of the snapshot that names it.
    fn check_manifest(&mut self, body: &Body, path: &str, table: &TableVersion) {
        let name = &table.spec.name;
        let (rows, bytes): (u64, u64) = table
            .files
            .iter()
            .fold((0, 0), |(rows, bytes), f| (rows + f.rows, bytes + f.bytes));
        if (rows, bytes) != (table.rows, table.bytes) {
            self.problem(path, "its totals are not the sums of its files");
        }
        let mut places = BTreeSet::new();
        for file in &table.files {
            self.named.insert(file.path.clone());
            let version = body.version;
            match (file.bucket, file.min_person, file.max_person) {
                (Some(bucket), Some(min), Some(max)) => {
                    if !body.buckets.holds(bucket, min, max) {
                        let what = format!(
                            "its persons are not those of bucket {} in snapshot {version}",
                            bucket.0
                        );
                        self.problem(&file.path, what);
                    }
                    if !places.insert(bucket) {
                        let what = format!(
                            "bucket {} of table `{name}` has another file in snapshot {version}",
                            bucket.0
                        );
                        self.problem(&file.path, what);
                    }
                }
                (None, _, _) if !table.spec.is_bucketed() => {}
                _ => self.problem(
                    &file.path,
                    "its manifest does not say its bucket or its persons",
                ),
            }
            self.expect(path, table.spec.clone(), file);
            for copy in &file.projections {
                self.named.insert(copy.file.path.clone());
                if (copy.file.rows, copy.file.bucket) != (file.rows, file.bucket)
                    || (copy.file.min_person, copy.file.max_person)
                        != (file.min_person, file.max_person)
                {
                    let what = format!("it is no copy of {}, which the manifest says", file.path);
                    self.problem(&copy.file.path, what);
                }
                self.expect(path, projection::spec_by(&table.spec, &copy.by), &copy.file);
            }
        }
    }

    /// Notes a file to be read, and what a manifest says of it.
    fn expect(&mut self, manifest: &str, spec: TableSpec, file: &FileEntry) {
        // Copies in other orders come and go while a file stays.
        let entry = FileEntry {
            projections: Vec::new(),
            ..file.clone()
        };
        let known = self.expected.get(&file.path);
        if known.is_some_and(|known| known.entry != entry || known.spec.name != spec.name) {
            self.problem(
                manifest,
                format!("another manifest says something else about {}", file.path),
            );
        }
        // Of the versions of a table, the newest is the widest.
        self.expected
            .insert(file.path.clone(), Expected { spec, entry });
    }

    fn check_unknown(&mut self, listed: &[Listed]) {
        for file in listed {
            let path = &file.path;
            let is_snapshot = path
                .strip_prefix("snapshots/")
                .and_then(version_of)
                .is_some();
            if is_snapshot || self.named.contains(path) || is_delta_log(path) {
                continue;
            }
            if is_ours(path) {
                self.report.unnamed += 1;
            } else {
                self.problem(path, "it is not a file of the store");
            }
        }
    }

    async fn check_files(&mut self, store: &Store) -> Result<()> {
        let expected: Vec<Expected> = std::mem::take(&mut self.expected).into_values().collect();
        self.report.files = expected.len();
        self.report.rows = expected.iter().map(|e| e.entry.rows).sum();
        self.report.bytes = expected.iter().map(|e| e.entry.bytes).sum();
        let backend = store.backend().clone();
        let checked: Vec<(String, Result<()>)> = blocking(move || {
            let check = |e: Expected| {
                let checked = check_file(&backend, &e.spec, &e.entry);
                (e.entry.path, checked)
            };
            Ok(expected.into_par_iter().map(check).collect())
        })
        .await?;
        for (path, checked) in checked {
            if let Err(e) = checked {
                self.found(&path, e)?;
            }
        }
        Ok(())
    }
}
