//! Sorted runs on disk, in a private folder that does not outlive the ingest.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Take, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use crate::{Error, Result};

/// What names of our folders begin with, so that leftovers are recognised.
const PREFIX: &str = ".columna-ingest-";
const LOCK: &str = "lock";

/// A folder for sorted runs, made when first needed.
#[derive(Debug)]
pub(crate) struct SpillFolder {
    parents: Vec<PathBuf>,
    made: Mutex<Option<Made>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// Held while we live: a folder whose lock is free was left behind.
    _lock: File,
}

impl SpillFolder {
    /// In the folder that `TMPDIR` names, and nowhere else: it may be there for what must not lie on a disk. Without one, beside
    /// the store where that is a local folder, else in the system's folder for temporary files. What a killed ingest left
    /// there is removed.
    pub(crate) fn new(store: &str) -> Self {
        let named = std::env::var_os("TMPDIR").filter(|name| !name.is_empty());
        Self::within(named.map(PathBuf::from), store)
    }

    fn within(named: Option<PathBuf>, store: &str) -> Self {
        let beside = Path::new(store)
            .parent()
            .filter(|parent| parent.is_absolute() && parent.is_dir())
            .map(Path::to_owned);
        // Leftovers may be of an ingest that was told another folder.
        let unnamed = beside.into_iter().chain([std::env::temp_dir()]);
        let unnamed: Vec<PathBuf> = unnamed.collect();
        let all = unnamed.iter().chain(&named);
        all.for_each(|parent| remove_leftovers(parent));
        let parents = named.map_or(unnamed, |named| vec![named]);
        Self {
            parents,
            made: Mutex::new(None),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// A new file in the folder.
    pub(crate) fn create(&self) -> Result<(PathBuf, File)> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match &mut *made {
            Some(made) => made,
            empty => empty.insert(self.make()?),
        };
        let path = folder
            .path
            .join(self.files.fetch_add(1, Ordering::Relaxed).to_string());
        let file = File::create_new(&path).map_err(|error| Error::io(&path, error))?;
        Ok((path, file))
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn make(&self) -> Result<Made> {
        let mut failed = None;
        for parent in &self.parents {
            match make_in(parent) {
                Ok(made) => return Ok(made),
                Err(error) => failed = Some(Error::io(parent, error)),
            }
        }
        Err(failed.unwrap_or_else(|| Error::engine("no folder for temporary files")))
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        let made = self.made.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.take() {
            // What cannot be removed now is removed by the next ingest.
            let _ = fs::remove_dir_all(&made.path);
        }
    }
}

fn make_in(parent: &Path) -> std::io::Result<Made> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for attempt in 0_u32.. {
        let path = parent.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
        match builder.create(&path) {
            Ok(()) => {
                let lock = File::create(path.join(LOCK))?;
                lock.lock()?;
                // Another process may have found it before it was locked.
                if path.join(LOCK).exists() {
                    return Ok(Made { path, _lock: lock });
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::other("no free name for a temporary folder"))
}

fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        let is_left = match File::options().write(true).open(path.join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            // Being made at this moment, or not ours.
            Err(_) => false,
        };
        if is_left {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Where the run of one bucket lies in a file.
#[derive(Debug, Clone, Copy)]
struct Segment {
    bucket: usize,
    offset: u64,
    length: u64,
}

/// A file of sorted runs, one per bucket.
#[derive(Debug)]
pub(crate) struct Runs {
    path: PathBuf,
    segments: Vec<Segment>,
}

impl Runs {
    /// Writes the runs of some buckets; each comes as batches in order.
    pub(crate) fn write<B>(
        folder: &SpillFolder,
        schema: &Arc<Schema>,
        runs: impl Iterator<Item = (usize, B)>,
    ) -> Result<Self>
    where
        B: Iterator<Item = Result<RecordBatch, ArrowError>>,
    {
        let (path, file) = folder.create()?;
        let failed = |error: ArrowError| match error {
            ArrowError::IoError(_, error) => Error::io(&path, error),
            error => Error::arrow("temporary run", error),
        };
        let mut output = BufWriter::with_capacity(1 << 20, file);
        let mut segments = Vec::new();
        for (bucket, batches) in runs {
            let offset = output
                .stream_position()
                .map_err(|error| Error::io(&path, error))?;
            let options = IpcWriteOptions::default()
                .try_with_compression(Some(CompressionType::LZ4_FRAME))
                .map_err(failed)?;
            let mut writer =
                StreamWriter::try_new_with_options(&mut output, schema, options).map_err(failed)?;
            for batch in batches {
                writer.write(&batch.map_err(failed)?).map_err(failed)?;
            }
            writer.finish().map_err(failed)?;
            drop(writer);
            let end = output
                .stream_position()
                .map_err(|error| Error::io(&path, error))?;
            segments.push(Segment {
                bucket,
                offset,
                length: end - offset,
            });
        }
        output.flush().map_err(|error| Error::io(&path, error))?;
        folder.bytes.fetch_add(
            segments.iter().map(|segment| segment.length).sum(),
            Ordering::Relaxed,
        );
        Ok(Self { path, segments })
    }

    /// The run of a bucket, if it has one.
    pub(crate) fn read(
        &self,
        bucket: usize,
    ) -> Result<Option<StreamReader<BufReader<Take<File>>>>> {
        let Some(segment) = self
            .segments
            .iter()
            .find(|segment| segment.bucket == bucket)
        else {
            return Ok(None);
        };
        let io = |error| Error::io(&self.path, error);
        let mut file = File::open(&self.path).map_err(io)?;
        file.seek(SeekFrom::Start(segment.offset)).map_err(io)?;
        let reader = StreamReader::try_new(BufReader::new(file.take(segment.length)), None);
        Ok(Some(
            reader.map_err(|error| Error::arrow("temporary run", error))?,
        ))
    }

    /// The buckets that have a run here.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = usize> + '_ {
        self.segments.iter().map(|segment| segment.bucket)
    }
}

/// A table's runs go when the table is written, so that those of the others have their room.
impl Drop for Runs {
    fn drop(&mut self) {
        // What cannot be removed now goes with the folder.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};

    #[test]
    fn folders_go_away() {
        let parent = tempfile::tempdir().unwrap();
        let store = parent.path().join("store");
        let left = parent.path().join(format!("{PREFIX}1-0"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let folder = SpillFolder::within(None, &store.to_string_lossy());
        assert!(!left.exists());
        let (path, _) = folder.create().unwrap();
        assert!(path.exists());
        // A second ingest at the same time leaves the first one's folder alone.
        let other = SpillFolder::within(None, &store.to_string_lossy());
        assert!(path.exists());
        drop(other);
        drop(folder);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_folder_that_is_named_is_the_only_one() {
        let parent = tempfile::tempdir().unwrap();
        let named = tempfile::tempdir().unwrap();
        let store = parent.path().join("store");
        let within = |named: &Path| {
            let folder = SpillFolder::within(Some(named.to_owned()), &store.to_string_lossy());
            folder.create().map(|(path, _)| path.starts_with(named))
        };
        assert!(within(named.path()).unwrap());
        within(&named.path().join("missing")).unwrap_err();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn runs_go_when_they_are_not_needed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = SpillFolder::new(&parent.path().join("store").to_string_lossy());
        let batch = RecordBatch::try_from_iter([(
            "person_id",
            Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef,
        )])
        .unwrap();
        let run = (3, [Ok(batch.clone())].into_iter());
        let runs = Runs::write(&folder, &batch.schema(), [run].into_iter()).unwrap();
        let mut read = runs.read(3).unwrap().unwrap();
        let path = runs.path.clone();
        assert!(path.exists());
        assert_eq!(read.next().unwrap().unwrap(), batch);
        drop(runs);
        assert!(!path.exists());
    }
}
