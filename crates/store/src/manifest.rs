//! A manifest: one version of one table, as the list of its files.

use columna_model::BucketId;
use serde::{Deserialize, Serialize};

use crate::encryption::{FileEncryption, FileKey, FileKeys, unseal};
use crate::owned::OwnedColumn;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// A data file of a store, never changed once it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredFile", from = "StoredFile")]
pub struct FileEntry {
    /// Where it is, relative to the store.
    pub path: String,
    /// Its bucket; none where the table is not bucketed.
    pub bucket: Option<BucketId>,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// The smallest person in it; unknown to those who lack the key of an encrypted person column.
    pub min_person: Option<i64>,
    /// The largest person in it.
    pub max_person: Option<i64>,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
    /// How it is encrypted, if it is.
    pub encryption: Option<FileEncryption>,
    /// Copies of it in other orders. They are named here and nowhere else: who replaces the file leaves them behind.
    pub projections: Vec<Projection>,
}

/// The same rows as those of a data file, in the order of another column first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// The column.
    pub by: String,
    /// The file that has them.
    pub file: FileEntry,
    /// Its rows that have a value in the column.
    pub present: u64,
    /// The column's values at even steps through these rows; none where the column is encrypted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<i64>,
    /// How many different values the column has in it; none where it is encrypted, or the copy is of before they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<u64>,
}

impl FileEntry {
    /// Its copy by a column.
    #[must_use]
    pub fn projection(&self, by: &str) -> Option<&Projection> {
        self.projections.iter().find(|p| p.by == by)
    }

    /// The file and its copies.
    pub(crate) fn with_copies(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.projections.iter().map(|p| &p.file))
    }
}

/// An entry as a manifest holds it: without persons that are encrypted.
#[derive(Clone, Serialize, Deserialize)]
struct StoredFile {
    path: String,
    #[serde(
        with = "bucket_number",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    bucket: Option<BucketId>,
    rows: u64,
    bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_person: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_person: Option<i64>,
    blake3: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encryption: Option<FileEncryption>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    projections: Vec<Projection>,
}

impl From<FileEntry> for StoredFile {
    fn from(file: FileEntry) -> Self {
        let sealed = file
            .encryption
            .as_ref()
            .is_some_and(|e| e.persons.is_some());
        Self {
            path: file.path,
            bucket: file.bucket,
            rows: file.rows,
            bytes: file.bytes,
            min_person: file.min_person.filter(|_| !sealed),
            max_person: file.max_person.filter(|_| !sealed),
            blake3: file.blake3,
            encryption: file.encryption,
            projections: file.projections,
        }
    }
}

impl From<StoredFile> for FileEntry {
    fn from(file: StoredFile) -> Self {
        Self {
            path: file.path,
            bucket: file.bucket,
            rows: file.rows,
            bytes: file.bytes,
            min_person: file.min_person,
            max_person: file.max_person,
            blake3: file.blake3,
            encryption: file.encryption,
            projections: file.projections,
        }
    }
}

mod bucket_number {
    use super::BucketId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        bucket: &Option<BucketId>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        bucket.map(|b| b.0).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<BucketId>, D::Error> {
        Ok(Option::<u32>::deserialize(from)?.map(BucketId))
    }
}

/// One version of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableVersion {
    /// What the table is.
    pub spec: TableSpec,
    /// Its files, in order of buckets; one per bucket.
    pub files: Vec<FileEntry>,
    /// The rows of all files.
    pub rows: u64,
    /// The size of all files, without copies in other orders.
    pub bytes: u64,
    /// The columns by which every file of it is to have a copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projections: Vec<String>,
    /// Its columns of which each value is one person's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<OwnedColumn>,
}

impl TableVersion {
    pub(crate) fn new(
        spec: TableSpec,
        mut files: Vec<FileEntry>,
        projections: Vec<String>,
        owned: Vec<OwnedColumn>,
    ) -> Self {
        for file in &mut files {
            file.projections.retain(|p| projections.contains(&p.by));
        }
        Self {
            projections,
            owned,
            rows: files.iter().map(|f| f.rows).sum(),
            bytes: files.iter().map(|f| f.bytes).sum(),
            spec,
            files,
        }
    }

    /// Decrypts the persons of files whose keys are there; those of others stay unknown.
    pub(crate) fn unseal(&mut self, keys: Option<&dyn FileKeys>) -> Result<()> {
        for file in &mut self.files {
            unseal_entry(file, keys)?;
            for projection in &mut file.projections {
                unseal_entry(&mut projection.file, keys)?;
            }
        }
        Ok(())
    }

    /// The size of all copies in other orders.
    #[must_use]
    pub fn projection_bytes(&self) -> u64 {
        let copies = self.files.iter().flat_map(|f| &f.projections);
        copies.map(|p| p.file.bytes).sum()
    }

    /// The files of a bucket, or of a table that is not bucketed.
    pub fn files_in(&self, bucket: Option<BucketId>) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(move |f| f.bucket == bucket)
    }
}

fn unseal_entry(file: &mut FileEntry, keys: Option<&dyn FileKeys>) -> Result<()> {
    let Some((encryption, sealed)) = file
        .encryption
        .as_ref()
        .and_then(|e| Some((e, e.persons.as_ref()?)))
    else {
        return Ok(());
    };
    // Who reads the file is told what is missing; who only counts files needs no key.
    if let Ok(key) = FileKey::new(&encryption.key, keys, &file.path) {
        let (min, max) = unseal(&key, &file.path, sealed)?;
        (file.min_person, file.max_person) = (Some(min), Some(max));
    }
    Ok(())
}

/// The path of a manifest, by its hash.
pub(crate) fn path(hash: &str) -> String {
    format!("manifests/{hash}.json")
}

/// A manifest's bytes and their hash.
pub(crate) fn encode(table: &TableVersion) -> Result<(Vec<u8>, String)> {
    let mut bytes =
        serde_json::to_vec_pretty(table).map_err(|e| Error::engine(format!("a manifest: {e}")))?;
    bytes.push(b'\n');
    let hash = blake3::hash(&bytes).to_hex().to_string();
    Ok((bytes, hash))
}

/// Reads a manifest, and checks that it is the one the hash names.
pub(crate) fn decode(hash: &str, bytes: &[u8]) -> Result<TableVersion> {
    let file = path(hash);
    if blake3::hash(bytes).to_hex().as_str() != hash {
        return Err(Error::damaged(
            file,
            "its content is not what its name says",
        ));
    }
    let table: TableVersion = serde_json::from_slice(bytes)
        .map_err(|e| Error::damaged(&file, format!("not a manifest: line {}", e.line())))?;
    let outside = table
        .files
        .iter()
        .flat_map(FileEntry::with_copies)
        .any(|of| !is_within(&of.path));
    if outside {
        return Err(Error::damaged(
            file,
            "it names a file outside of the store's folders",
        ));
    }
    Ok(table)
}

/// Whether a path stays below the folder that it begins in. Another store's files are under that store's policy.
fn is_within(path: &str) -> bool {
    path.split(['/', '\\'])
        .all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_in_the_stores_own_folders() {
        for path in [
            "tables/person/00000/a.parquet",
            "projections/a..b/all/c.parquet",
        ] {
            assert!(is_within(path), "{path}");
        }
        for path in [
            "../other/tables/person/00000/a.parquet",
            "tables/../../other/a.parquet",
            "/other/tables/a.parquet",
            "tables\\..\\..\\a.parquet",
            "tables/./a.parquet",
            "",
        ] {
            assert!(!is_within(path), "{path}");
        }
    }
}
