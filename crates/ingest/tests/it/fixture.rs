//! Small sources, and stores read back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use columna_ingest::{IngestOptions, IngestReport, Result, ingest};
use columna_store::{Layout, Snapshot, Store};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

/// A source folder and a store beside it.
pub(crate) struct Fixture {
    folder: TempDir,
}

pub(crate) fn options() -> IngestOptions {
    IngestOptions {
        threads: 2,
        memory_limit: 256 << 20,
        ..IngestOptions::default()
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        Self { folder }
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.source().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// A few persons, with their usual columns.
    pub(crate) fn with_persons(self, ids: impl IntoIterator<Item = i64>) -> Self {
        let mut text =
            "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n"
                .to_owned();
        for id in ids {
            text.push_str(&format!("{id},8507,1970,0,0\n"));
        }
        self.with("person.csv", text)
    }

    pub(crate) async fn store(&self) -> Store {
        let url = self.folder.path().join("store");
        let url = url.to_str().unwrap();
        if Store::exists(url).await.unwrap() {
            Store::open(url).await.unwrap()
        } else {
            Store::create(url, small()).await.unwrap()
        }
    }

    pub(crate) async fn ingest(&self, options: &IngestOptions) -> Result<IngestReport> {
        ingest(&self.source(), &self.store().await, options).await
    }
}

/// Several buckets even for a few hundred persons.
pub(crate) fn small() -> Layout {
    Layout {
        persons_per_bucket: 200,
        ..Layout::default()
    }
}

/// All rows of a table, bucket by bucket.
pub(crate) fn rows(store: &Store, snapshot: &Snapshot, table: &str) -> Vec<RecordBatch> {
    let Some(version) = snapshot.table(table) else {
        return Vec::new();
    };
    let mut files: Vec<_> = version.files.iter().collect();
    files.sort_by_key(|file| (file.min_person, file.path.clone()));
    let mut batches = Vec::new();
    for file in files {
        let opened = File::open(Path::new(store.url()).join(&file.path)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened)
            .unwrap()
            .build()
            .unwrap();
        batches.extend(reader.map(|batch| batch.unwrap()));
    }
    batches
}

/// A table as text, row by row in the store's order.
pub(crate) fn text(store: &Store, snapshot: &Snapshot, table: &str) -> String {
    pretty_format_batches(&rows(store, snapshot, table))
        .unwrap()
        .to_string()
}
