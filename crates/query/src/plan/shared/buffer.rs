//! Rows that are made once and read several times.
//!
//! Whoever is the first to need a batch asks the input for it; the others find it kept. It is let go when all have read it.
//! What does not fit into memory waits on disk, since no reader may have to wait for another: the two can be sides of
//! one join.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream, SpillManager,
};
use futures::{Stream, StreamExt};

/// Without a limit of memory, what all partitions of a part keep in it at most.
const MOST_BYTES: usize = 1 << 30;

/// A part of a plan, under way in each partition once.
pub(in super::super) struct Shared {
    input: Arc<dyn ExecutionPlan>,
    readers: usize,
    partitions: Vec<Partition>,
}

struct Partition {
    kept: Mutex<Kept>,
    wakers: Arc<Wakers>,
    /// Whether a reader found another one at work.
    contended: AtomicBool,
}

struct Kept {
    source: Source,
    /// The batches that not all have read, the first of which is this one of all.
    slots: VecDeque<Slot>,
    first: usize,
    /// Who has read or is reading; a reader that comes again gets rows of its own.
    came: Vec<bool>,
    /// Readers that have not ended, whether they began or not.
    left: usize,
    room: Option<Room>,
}

/// Where batches are kept.
struct Room {
    reservation: MemoryReservation,
    most: usize,
    spill: SpillManager,
}

enum Source {
    NotBegun,
    Running(SendableRecordBatchStream),
    Ended,
    Failed(Arc<DataFusionError>),
}

struct Slot {
    batch: Stored,
    /// Readers that have not read it.
    left: usize,
}

enum Stored {
    Memory(RecordBatch, usize),
    Disk(SpilledBatch),
}

type SpilledBatch = Arc<dyn datafusion::execution::SpillFile>;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({} readers)", self.readers)
    }
}

/// What a poisoned lock guards is still whole: batches are put in and taken out one at a time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(in super::super) fn new(input: Arc<dyn ExecutionPlan>, readers: usize) -> Self {
        let partition = |_| Partition {
            kept: Mutex::new(Kept {
                source: Source::NotBegun,
                slots: VecDeque::new(),
                first: 0,
                came: vec![false; readers],
                left: readers,
                room: None,
            }),
            wakers: Arc::new(Wakers::default()),
            contended: AtomicBool::new(false),
        };
        let partitions = input.output_partitioning().partition_count();
        Self {
            partitions: (0..partitions).map(partition).collect(),
            input,
            readers,
        }
    }

    pub(super) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    pub(super) fn readers(&self) -> usize {
        self.readers
    }

    /// The rows for a reader; none if it has had them.
    pub(in super::super) fn read(
        self: &Arc<Self>,
        reader: usize,
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> Result<Option<SendableRecordBatchStream>> {
        let mut kept = lock(&self.partitions[partition].kept);
        if std::mem::replace(&mut kept.came[reader], true) {
            return Ok(None);
        }
        if let Source::NotBegun = kept.source {
            kept.source = Source::Running(self.input.execute(partition, Arc::clone(context))?);
            let consumer =
                MemoryConsumer::new(format!("SharedExec[{partition}]")).with_can_spill(true);
            let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), partition);
            kept.room = Some(Room {
                reservation: consumer.register(context.memory_pool()),
                most: MOST_BYTES / self.partitions.len().max(1),
                spill: SpillManager::new(context.runtime_env(), metrics, self.input.schema()),
            });
        }
        Ok(Some(Box::pin(Reader {
            shared: Arc::clone(self),
            partition,
            at: 0,
            from_disk: None,
            ended: false,
        })))
    }
}

impl Kept {
    /// Keeps a batch for the readers that have not ended.
    fn keep(&mut self, batch: RecordBatch) -> Result<()> {
        let batch = match &self.room {
            Some(room) => room.store(batch)?,
            None => Stored::Memory(batch, 0),
        };
        let left = self.left;
        self.slots.push_back(Slot { batch, left });
        Ok(())
    }

    /// Lets go what all have read.
    fn let_go(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.left == 0) {
            self.first += 1;
            if let (Some(slot), Some(room)) = (self.slots.pop_front(), &self.room)
                && let Stored::Memory(_, bytes) = slot.batch
            {
                room.reservation.shrink(bytes);
            }
        }
    }
}

impl Room {
    fn store(&self, batch: RecordBatch) -> Result<Stored> {
        // Batches are often pieces of large ones: each counts for what it shows.
        let sizes = batch.columns().iter().map(|column| {
            let data = column.to_data();
            data.get_slice_memory_size()
                .unwrap_or_else(|_| column.get_array_memory_size())
        });
        let bytes: usize = sizes.sum();
        let fits = self.reservation.size() + bytes <= self.most
            && self.reservation.try_grow(bytes).is_ok();
        if !fits && batch.num_columns() > 0 {
            let file = self
                .spill
                .spill_record_batch_and_finish(std::slice::from_ref(&batch), "SharedExec")?;
            if let Some(file) = file {
                return Ok(Stored::Disk(file));
            }
        }
        let bytes = if fits { bytes } else { 0 };
        Ok(Stored::Memory(batch, bytes))
    }
}

/// Wakes all readers of a partition.
#[derive(Default)]
struct Wakers(Mutex<Vec<Waker>>);

impl Wakers {
    fn register(&self, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *lock(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

/// One reading of a partition.
struct Reader {
    shared: Arc<Shared>,
    partition: usize,
    /// The next batch of all.
    at: usize,
    from_disk: Option<SendableRecordBatchStream>,
    ended: bool,
}

/// What a look at the kept batches led to.
enum Found {
    Batch(RecordBatch),
    OnDisk(SendableRecordBatchStream),
    End,
    Error(DataFusionError),
    Nothing,
}

impl Reader {
    fn partition(&self) -> &Partition {
        &self.shared.partitions[self.partition]
    }

    /// Takes the next batch that is kept, or asks the input for one.
    fn look(&self, kept: &mut Kept) -> Found {
        loop {
            if let Some(slot) = kept.slots.get_mut(self.at - kept.first) {
                slot.left -= 1;
                let found = match (&slot.batch, &kept.room) {
                    (Stored::Memory(batch, _), _) => Found::Batch(batch.clone()),
                    (Stored::Disk(file), Some(room)) => {
                        match room.spill.read_spill_as_stream(Arc::clone(file), None) {
                            Ok(stream) => Found::OnDisk(stream),
                            Err(error) => Found::Error(error),
                        }
                    }
                    (Stored::Disk(_), None) => Found::End,
                };
                kept.let_go();
                return found;
            }
            let polled = match &mut kept.source {
                Source::NotBegun | Source::Ended => return Found::End,
                Source::Failed(error) => {
                    return Found::Error(DataFusionError::Shared(Arc::clone(error)));
                }
                Source::Running(stream) => {
                    // The input wakes all: the reader that asked last may never come back.
                    let waker = Waker::from(Arc::clone(&self.partition().wakers));
                    stream.poll_next_unpin(&mut Context::from_waker(&waker))
                }
            };
            match polled {
                Poll::Pending => return Found::Nothing,
                Poll::Ready(None) => kept.source = Source::Ended,
                Poll::Ready(Some(batch)) => {
                    if let Err(error) = batch.and_then(|batch| kept.keep(batch)) {
                        kept.source = Source::Failed(Arc::new(error));
                    }
                }
            }
            self.partition().contended.store(true, Ordering::SeqCst);
        }
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let partition = &self.shared.partitions[self.partition];
        let mut kept = lock(&partition.kept);
        let unread = self.at.saturating_sub(kept.first);
        for slot in kept.slots.iter_mut().skip(unread) {
            slot.left -= 1;
        }
        kept.left -= 1;
        kept.let_go();
        if kept.left == 0 {
            kept.source = Source::Ended;
        }
        drop(kept);
        partition.wakers.wake_all();
    }
}

impl Stream for Reader {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            if let Some(stream) = &mut self.from_disk {
                match stream.poll_next_unpin(cx) {
                    Poll::Ready(None) => self.from_disk = None,
                    other => return other,
                }
            }
            let shared = Arc::clone(&self.shared);
            let partition = &shared.partitions[self.partition];
            // Before the look: who is at work wakes all that are registered when it is done.
            partition.wakers.register(cx.waker());
            let Ok(mut kept) = partition.kept.try_lock() else {
                partition.contended.store(true, Ordering::SeqCst);
                // It may have been done in between.
                match partition.kept.try_lock() {
                    Ok(_) => continue,
                    Err(_) => return Poll::Pending,
                }
            };
            let found = self.look(&mut kept);
            drop(kept);
            if partition.contended.swap(false, Ordering::SeqCst) {
                partition.wakers.wake_all();
            }
            match found {
                Found::Nothing => {
                    partition.wakers.register(cx.waker());
                    return Poll::Pending;
                }
                Found::Batch(batch) => {
                    self.at += 1;
                    return Poll::Ready(Some(Ok(batch)));
                }
                Found::OnDisk(stream) => {
                    self.at += 1;
                    self.from_disk = Some(stream);
                }
                Found::End => {
                    self.end();
                    return Poll::Ready(None);
                }
                Found::Error(error) => {
                    self.end();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl RecordBatchStream for Reader {
    fn schema(&self) -> SchemaRef {
        self.shared.input.schema()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.end();
    }
}
