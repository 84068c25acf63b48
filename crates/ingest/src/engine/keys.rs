//! Counts repeated primary keys of a table, exactly, in memory that fits.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::spill::SpillFolder;
use crate::{Error, Result};

/// The smallest and largest key of a table, and how many there are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyRange {
    bounds: Option<(i64, i64)>,
    count: u64,
}

impl KeyRange {
    pub(crate) fn add(&mut self, batch: &RecordBatch, column: usize) {
        let Some(keys) = batch.column(column).as_primitive_opt::<Int64Type>() else {
            return;
        };
        self.count += (keys.len() - keys.null_count()) as u64;
        if let (Some(least), Some(most)) = (arrow::compute::min(keys), arrow::compute::max(keys)) {
            let (from, to) = self.bounds.unwrap_or((least, most));
            self.bounds = Some((from.min(least), to.max(most)));
        }
    }

    /// Whether any key from the one to the other may be in the range.
    pub(crate) fn meets(&self, least: i64, most: i64) -> bool {
        self.bounds
            .is_some_and(|(from, to)| from <= most && least <= to)
    }

    /// Makes room for more keys within the bounds.
    pub(crate) fn expect(&mut self, keys: u64) {
        self.count += keys;
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.bounds = match (self.bounds, other.bounds) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (bounds, None) | (None, bounds) => bounds,
        };
    }
}

/// Counts keys that were seen before. Callable from many threads.
#[derive(Debug)]
pub(crate) struct RepeatedKeys {
    bounds: Option<(i64, i64)>,
    seen: Seen,
    repeated: AtomicU64,
}

#[derive(Debug)]
enum Seen {
    /// One bit per possible key: keys are mostly dense.
    Bits { least: i64, words: Vec<AtomicU64> },
    /// All keys, sorted in the end.
    List(Mutex<Vec<i64>>),
    /// Keys by their last bits, in files that fit one by one.
    Files(Vec<Mutex<(PathBuf, BufWriter<File>)>>),
}

const FILES: i64 = 64;

impl RepeatedKeys {
    pub(crate) fn new(range: KeyRange, memory: usize, folder: &SpillFolder) -> Result<Self> {
        let seen = match range.bounds {
            Some((least, most)) if bits_fit(least, most, memory) => {
                let words = usize::try_from(most.abs_diff(least) / 64 + 1).unwrap_or(0);
                Seen::Bits {
                    least,
                    words: (0..words).map(|_| AtomicU64::new(0)).collect(),
                }
            }
            _ if range.count.saturating_mul(8) <= memory as u64 => Seen::List(Mutex::default()),
            _ => {
                let file = |_| {
                    let (path, file) = folder.create()?;
                    Ok(Mutex::new((path, BufWriter::new(file))))
                };
                Seen::Files((0..FILES).map(file).collect::<Result<_>>()?)
            }
        };
        Ok(Self {
            bounds: range.bounds,
            seen,
            repeated: AtomicU64::new(0),
        })
    }

    pub(crate) fn add(&self, batch: &RecordBatch, column: usize) -> std::io::Result<()> {
        let Some(keys) = batch.column(column).as_primitive_opt::<Int64Type>() else {
            return Ok(());
        };
        self.see(keys.iter().flatten())
    }

    /// Adds keys of the store, as far as any new key can repeat them. Call before any other is added.
    pub(crate) fn know(&self, batch: &RecordBatch) -> std::io::Result<()> {
        let (Some(keys), Some((from, to))) =
            (batch.column(0).as_primitive_opt::<Int64Type>(), self.bounds)
        else {
            return Ok(());
        };
        self.see(
            keys.iter()
                .flatten()
                .filter(|key| (from..=to).contains(key)),
        )
    }

    /// Repeats among the keys known until now are not counted.
    pub(crate) fn forgive(&mut self) -> Result<()> {
        *self.repeated.get_mut() = 0;
        match &mut self.seen {
            Seen::Bits { .. } => {}
            Seen::List(list) => {
                let list = list.get_mut().unwrap_or_else(PoisonError::into_inner);
                list.sort_unstable();
                list.dedup();
            }
            Seen::Files(files) => {
                for file in files {
                    let (path, writer) = file.get_mut().unwrap_or_else(PoisonError::into_inner);
                    let failed = |error| Error::io(&*path, error);
                    writer.flush().map_err(failed)?;
                    let mut keys = read_keys(path)?;
                    keys.sort_unstable();
                    keys.dedup();
                    let mut fresh = BufWriter::new(File::create(&*path).map_err(failed)?);
                    for key in keys {
                        fresh.write_all(&key.to_le_bytes()).map_err(failed)?;
                    }
                    *writer = fresh;
                }
            }
        }
        Ok(())
    }

    fn see(&self, keys: impl Iterator<Item = i64>) -> std::io::Result<()> {
        match &self.seen {
            Seen::Bits { least, words } => {
                let mut repeated = 0;
                for key in keys {
                    let at = key.abs_diff(*least);
                    let bit = 1 << (at % 64);
                    let word = usize::try_from(at / 64)
                        .ok()
                        .and_then(|word| words.get(word));
                    if word.is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit != 0) {
                        repeated += 1;
                    }
                }
                self.repeated.fetch_add(repeated, Ordering::Relaxed);
            }
            Seen::List(list) => list
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(keys),
            Seen::Files(files) => {
                let mut parts: Vec<Vec<u8>> = vec![Vec::new(); files.len()];
                for key in keys {
                    let part = usize::try_from(key.rem_euclid(FILES)).unwrap_or(0);
                    parts[part].extend_from_slice(&key.to_le_bytes());
                }
                for (file, part) in files.iter().zip(parts) {
                    file.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .1
                        .write_all(&part)?;
                }
            }
        }
        Ok(())
    }

    /// How many rows have a key that another row before them has.
    pub(crate) fn finish(self) -> Result<u64> {
        match self.seen {
            Seen::Bits { .. } => Ok(self.repeated.into_inner()),
            Seen::List(list) => Ok(repeats(
                list.into_inner().unwrap_or_else(PoisonError::into_inner),
            )),
            Seen::Files(files) => {
                let mut repeated = 0;
                for file in files {
                    let (path, writer) = file.into_inner().unwrap_or_else(PoisonError::into_inner);
                    writer
                        .into_inner()
                        .map_err(|error| Error::io(&path, error.into_error()))?;
                    repeated += repeats(read_keys(&path)?);
                }
                Ok(repeated)
            }
        }
    }
}

fn read_keys(path: &Path) -> Result<Vec<i64>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| Error::io(path, error))?;
    let keys = bytes.as_chunks::<8>().0.iter();
    Ok(keys.map(|key| i64::from_le_bytes(*key)).collect())
}

fn bits_fit(least: i64, most: i64, memory: usize) -> bool {
    most.abs_diff(least) / 8 < memory as u64
}

fn repeats(mut keys: Vec<i64>) -> u64 {
    keys.sort_unstable();
    let all = keys.len();
    keys.dedup();
    (all - keys.len()) as u64
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    #[test]
    fn each_way_counts_the_same() {
        let keys: Int64Array = [
            Some(5),
            Some(-3),
            None,
            Some(5),
            Some(70),
            Some(-3),
            Some(5),
            None,
        ]
        .into_iter()
        .collect();
        let batch = RecordBatch::try_from_iter([("k", Arc::new(keys) as ArrayRef)]).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let folder = SpillFolder::new(&parent.path().join("store").to_string_lossy());
        for memory in [1 << 20, 50, 0] {
            let mut range = KeyRange::default();
            range.add(&batch, 0);
            if memory == 50 {
                range.bounds = Some((i64::MIN, i64::MAX));
            }
            let keys = RepeatedKeys::new(range, memory, &folder).unwrap();
            keys.add(&batch, 0).unwrap();
            assert_eq!(keys.finish().unwrap(), 3, "{memory} bytes");

            // The batch again is known: its own three repeats are forgiven, and every key added then is one.
            let mut keys = RepeatedKeys::new(range, memory, &folder).unwrap();
            keys.know(&batch).unwrap();
            keys.forgive().unwrap();
            keys.add(&batch, 0).unwrap();
            assert_eq!(keys.finish().unwrap(), 6, "{memory} bytes");
        }
    }
}
