//! Changes what of a store is encrypted, and rewrites the files that were written otherwise.

use std::fmt;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use crate::Result;
use crate::bridge::blocking;
use crate::encryption::{Covered, Encryption};
use crate::manifest::{FileEntry, TableVersion};
use crate::operation::Operation;
use crate::run_reader::{Keep, read};
use crate::staging::Place;
use crate::store::Store;
use crate::transaction::Transaction;

/// What an encryption did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EncryptReport {
    /// The key's name and version; none where nothing is encrypted any more.
    pub key: Option<String>,
    /// Files rewritten.
    pub rewritten: u64,
    /// Files of the newest snapshot that are encrypted, and all of them.
    pub files: (usize, usize),
    /// The snapshot made; none when everything was as asked.
    pub snapshot: Option<u64>,
    /// Older snapshots that are kept, and may hold the same rows otherwise.
    pub older_snapshots: usize,
}

impl fmt::Display for EncryptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (encrypted, all) = self.files;
        match &self.key {
            Some(key) => write!(
                f,
                "{encrypted} of {all} files encrypted, new ones under the key `{key}`"
            )?,
            None => write!(f, "no file is encrypted")?,
        }
        match self.snapshot {
            None => return f.write_str("; nothing was to be done"),
            Some(snapshot) => write!(
                f,
                "; {} files rewritten, snapshot {snapshot}",
                self.rewritten
            )?,
        }
        if self.rewritten > 0 && self.older_snapshots > 0 {
            write!(
                f,
                "\n{} older snapshots still hold the files as they were, until `columna store vacuum --everything`",
                self.older_snapshots
            )?;
        }
        Ok(())
    }
}

impl Store {
    /// Sets what is encrypted, now and by all later writes, and rewrites every file that was written otherwise: in
    /// the clear, under another key or version of it, or with other columns encrypted. None decrypts everything.
    ///
    /// # Errors
    /// When a key is not there, a file cannot be read or written, or another writer came between.
    pub async fn encrypt(&self, encryption: Option<Encryption>) -> Result<EncryptReport> {
        let mut tx = self.begin().await?;
        let base = tx.base().clone();
        let changed = base.encryption() != encryption.as_ref();
        let places: Vec<Place> = base
            .tables()
            .flat_map(|table| misfits(table, encryption.as_ref()))
            .collect();
        let files = places
            .iter()
            .filter_map(|(table, bucket)| Some(base.table(table)?.files_in(*bucket).count()))
            .sum::<usize>() as u64;
        let mut after = base.clone();
        if changed || !places.is_empty() {
            tx.encrypt(encryption.clone());
            let tx = blocking(move || {
                places
                    .into_par_iter()
                    .try_for_each(|place| rewrite(&tx, place))?;
                Ok(tx)
            })
            .await?;
            after = tx.commit(Operation::Encrypt { files }).await?;
        }
        let all: Vec<&FileEntry> = after.tables().flat_map(|t| &t.files).collect();
        let older = self.versions().await?;
        Ok(EncryptReport {
            key: encryption.map(|e| e.key.to_string()),
            rewritten: files,
            files: (
                all.iter().filter(|f| f.encryption.is_some()).count(),
                all.len(),
            ),
            snapshot: (after.version() != base.version()).then(|| after.version()),
            older_snapshots: older.iter().filter(|&&v| v < after.version()).count(),
        })
    }
}

/// The places of a table with a file that is not encrypted as it should be.
fn misfits(table: &TableVersion, encryption: Option<&Encryption>) -> Vec<Place> {
    let wanted = encryption
        .map(|e| (&e.key, e.covers(&table.spec)))
        .filter(|(_, covered)| *covered != Covered::Nothing);
    let fits = |file: &FileEntry| match (&file.encryption, &wanted) {
        (None, None) => true,
        (Some(is), Some((key, covered))) => is.key == **key && is.columns == covered.columns(),
        _ => false,
    };
    let mut places: Vec<Place> = table
        .files
        .iter()
        .filter(|file| !fits(file))
        .map(|file| (table.spec.name.clone(), file.bucket))
        .collect();
    places.dedup();
    places
}

fn rewrite(tx: &Transaction, (table, bucket): Place) -> Result<()> {
    let Some(version) = tx.base().table(&table) else {
        return Ok(());
    };
    let runs = version
        .files_in(bucket)
        .map(|file| read(tx.store().backend(), &version.spec, file, Keep::All));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    tx.rewrite(&table, bucket, runs)
}
