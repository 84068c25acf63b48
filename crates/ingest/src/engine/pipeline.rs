//! Files cut into blocks by one thread, and blocks decoded by all the others.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use columna_model::progress::{Progress, Silent};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::{Scope, ThreadPool};

use crate::csv::TextBlocks;
use crate::files::{Text, hash};
use crate::options::IngestOptions;
use crate::reader::{Block, Decoded, Input, Reader};
use crate::source::Encoding;
use crate::{Error, Result};

/// Rows of a Parquet file decoded at once.
const ROWS: usize = 16_384;

/// Bits of a row's place in the source that count rows or bytes within a file.
const WITHIN_FILE: u32 = 44;

/// What becomes of decoded blocks.
pub(crate) trait Sink: Sync {
    /// Takes a block of an input. `ordinal` is the place in the source of its first row.
    fn accept(&self, input: usize, ordinal: u64, decoded: Decoded) -> Result<()>;

    /// Called between blocks, when none is being decoded if `must_rest` said so.
    fn rest(&self) -> Result<()>;

    /// Whether [`Sink::rest`] has something to do.
    fn must_rest(&self) -> bool;
}

/// Reads some of a reader's inputs into a sink, and returns the hash of each file.
pub(crate) fn read(
    reader: &dyn Reader,
    inputs: &[usize],
    pool: &ThreadPool,
    options: &IngestOptions,
    progress: &Arc<dyn Progress>,
    sink: &dyn Sink,
) -> Result<Vec<String>> {
    let state = State {
        gate: Gate::new(options.threads + 1),
        failed: AtomicBool::new(false),
        error: Mutex::new(None),
    };
    let hashes = Mutex::new(vec![String::new(); inputs.len()]);
    pool.in_place_scope(|scope| {
        for (at, input) in inputs.iter().enumerate() {
            if state.failed.load(Ordering::Relaxed) {
                return;
            }
            let producer = Producer {
                reader,
                index: *input,
                input: &reader.inputs()[*input],
                pool,
                options,
                progress,
                sink,
                state: &state,
            };
            let done = match producer.input.file.encoding {
                Encoding::Text(compression) => producer.text(scope, compression).map(|hash| {
                    set(&hashes, at, hash);
                }),
                Encoding::Parquet => producer.parquet(scope, at, &hashes),
            };
            if let Err(error) = done {
                state.fail(*input, error);
            }
        }
    });
    if let Some((_, error)) = state
        .error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        return Err(error);
    }
    Ok(hashes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn set(hashes: &Mutex<Vec<String>>, at: usize, hash: String) {
    hashes.lock().unwrap_or_else(PoisonError::into_inner)[at] = hash;
}

struct State {
    gate: Gate,
    failed: AtomicBool,
    /// The error of the first input that failed.
    error: Mutex<Option<(usize, Error)>>,
}

impl State {
    fn fail(&self, input: usize, error: Error) {
        self.failed.store(true, Ordering::Relaxed);
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(at, _)| input < *at) {
            *first = Some((input, error));
        }
    }
}

/// One file on its way.
#[derive(Clone, Copy)]
struct Producer<'a> {
    reader: &'a dyn Reader,
    index: usize,
    input: &'a Input,
    pool: &'a ThreadPool,
    options: &'a IngestOptions,
    progress: &'a Arc<dyn Progress>,
    sink: &'a dyn Sink,
    state: &'a State,
}

impl<'a> Producer<'a> {
    fn text(self, scope: &Scope<'a>, compression: crate::source::Compression) -> Result<String> {
        let file = &self.input.file;
        let Some(dialect) = self.input.dialect else {
            return Text::open(file, compression, self.progress)?.finish(&file.path);
        };
        let text = Text::open(file, compression, self.progress)?;
        let mut blocks = TextBlocks::new(
            text,
            dialect,
            self.options.block_bytes(),
            self.input.numbered,
        );
        while let Some(block) = blocks.next().map_err(|error| error.of_file(file))? {
            self.pause()?;
            if self.state.failed.load(Ordering::Relaxed) {
                return Ok(String::new());
            }
            let ordinal = block.offset;
            self.spawn(scope, move |this| {
                let decoded = this.reader.decode(this.index, &Block::Text(block))?;
                this.accept(ordinal, decoded)
            });
        }
        blocks.into_inner().finish(&file.path)
    }

    fn parquet(self, scope: &Scope<'a>, at: usize, hashes: &'a Mutex<Vec<String>>) -> Result<()> {
        if self.input.file.bytes == 0 {
            set(hashes, at, blake3::hash(b"").to_hex().to_string());
            return Ok(());
        }
        self.spawn(scope, move |this| {
            set(hashes, at, hash(&this.input.file, this.progress)?);
            Ok(())
        });
        let builder = self.open_parquet()?;
        let groups: Vec<i64> = builder
            .metadata()
            .row_groups()
            .iter()
            .map(|group| group.num_rows())
            .collect();
        let mut first = 0_u64;
        for (group, rows) in groups.into_iter().enumerate() {
            self.pause()?;
            if self.state.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.spawn(scope, move |this| this.row_group(group, first));
            first += u64::try_from(rows).unwrap_or(0);
        }
        Ok(())
    }

    fn open_parquet(&self) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let file = &self.input.file;
        let opened = File::open(&file.path).map_err(|error| Error::io(&file.path, error))?;
        ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|_| {
            Error::bad_file(
                &file.name,
                "the Parquet footer cannot be read: copy or export the file again",
            )
        })
    }

    fn row_group(self, group: usize, first: u64) -> Result<()> {
        // The library's message may quote a value, and is not passed on.
        let damaged = || {
            Error::bad_file(
                &self.input.file.name,
                format!(
                    "row group {} cannot be read: copy or export the file again",
                    group + 1
                ),
            )
        };
        let builder = self
            .open_parquet()?
            .with_row_groups(vec![group])
            .with_batch_size(ROWS);
        let mut row = first;
        for batch in builder.build().map_err(|_| damaged())? {
            let batch = batch.map_err(|_| damaged())?;
            let rows = batch.num_rows() as u64;
            let decoded = self.reader.decode(self.index, &Block::Rows(batch, row))?;
            self.accept(row, decoded)?;
            row += rows;
        }
        Ok(())
    }

    fn accept(&self, within: u64, decoded: Decoded) -> Result<()> {
        let ordinal = ((self.index as u64) << WITHIN_FILE) + within;
        self.sink.accept(self.index, ordinal, decoded)
    }

    fn spawn(self, scope: &Scope<'a>, work: impl FnOnce(Self) -> Result<()> + Send + 'a) {
        self.state.gate.enter();
        scope.spawn(move |_| {
            let _inside = Inside(&self.state.gate);
            if self.state.failed.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = work(self) {
                self.state.fail(self.index, error);
            }
        });
    }

    /// Lets the sink rest, once no block is being decoded.
    fn pause(&self) -> Result<()> {
        if self.sink.must_rest() {
            self.state.gate.wait_until_empty();
            self.pool.install(|| self.sink.rest())?;
        }
        Ok(())
    }
}

/// Keeps the number of blocks in memory small.
struct Gate {
    most: usize,
    inside: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    fn new(most: usize) -> Self {
        Self {
            most,
            inside: Mutex::new(0),
            changed: Condvar::new(),
        }
    }

    fn enter(&self) {
        self.wait(|inside| inside >= self.most, 1);
    }

    fn wait_until_empty(&self) {
        self.wait(|inside| inside > 0, 0);
    }

    fn wait(&self, while_true: impl Fn(usize) -> bool, then_add: usize) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        while while_true(*inside) {
            inside = self
                .changed
                .wait(inside)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *inside += then_add;
    }
}

/// A block that left memory when this is dropped, even by a panic.
struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        *self.0.inside.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.changed.notify_all();
    }
}

/// Progress that nobody sees, for passes beside the main one.
pub(crate) fn silent() -> Arc<dyn Progress> {
    Arc::new(Silent)
}
