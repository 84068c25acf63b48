//! The kept side of a join by its numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::concat;
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::common::{Result, exec_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::TryStreamExt;

use super::Key;

/// No row.
pub(super) const NONE: u32 = u32::MAX;
/// Set in what is found where it is not a row, but the slot of several.
const SEVERAL: u32 = 1 << 31;
/// Numbers in order are so many slots from where they belong at most, on average.
pub(super) const MOST_STEPS: usize = 2;
/// And no more of them are taken one after the other.
pub(super) const MOST_TOGETHER: usize = 256;
/// A table of so many rows is small, and has more room.
const FEW_ROWS: usize = 4 * 1024;
/// A table has no more rows: places in it are numbers of 32 bits, of which one is none.
pub(super) const MOST_ROWS: usize = 1 << 30;

/// A number, and the rows that have it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) key: i64,
    /// The row where there is one; of several, the first place among all such rows in order.
    pub(super) first: u32,
    /// How many; none in an empty slot.
    pub(super) rows: u32,
}

/// The rows of the kept side by their numbers.
#[derive(Debug)]
pub(super) struct Table {
    /// Empty without a number, and otherwise about half empty at least.
    pub(super) slots: Vec<Slot>,
    /// From which number on slots are in order, if they are, and how many 2^64ths of a slot each number is further; 0 where it is
    /// one slot.
    pub(super) low: Option<i64>,
    pub(super) scale: u64,
    /// How many bits of a number's hash tell nothing.
    pub(super) shift: u32,
    /// How many numbers there are, and between which.
    pub(super) numbers: usize,
    pub(super) bounds: Option<(i64, i64)>,
    /// The rows of numbers that have several, in the order of their slots.
    pub(super) order: Vec<u32>,
    /// The columns of these rows that the join passes on, and those that its condition asks for.
    pub(super) columns: Vec<ArrayRef>,
    pub(super) rows: usize,
    _memory: MemoryReservation,
}

impl Table {
    pub(super) async fn of(
        mut input: SendableRecordBatchStream,
        key: Key,
        columns: Vec<usize>,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let mut counter = RecordBatchMemoryCounter::new();
        let schema = input.schema();
        let (mut keys, mut kept) = (Vec::new(), vec![Vec::new(); columns.len()]);
        while let Some(batch) = input.try_next().await? {
            memory.try_grow(counter.count_batch(&batch))?;
            keys.push(key.evaluate(&batch)?.into_array(batch.num_rows())?);
            for (kept, at) in kept.iter_mut().zip(&columns) {
                kept.push(Arc::clone(batch.column(*at)));
            }
        }
        let rows: usize = keys.iter().map(|keys| keys.len()).sum();
        if rows > MOST_ROWS {
            return exec_err!("a join keeps at most 2^30 rows of one side");
        }
        let room = if rows <= FEW_ROWS { 4 } else { 2 };
        let mut slots = (rows * room).next_power_of_two();
        // Not twice the memory for a few numbers that have no room in half of it.
        if rows > FEW_ROWS && slots / 2 * 11 / 20 >= rows {
            slots /= 2;
        }
        // With the slot of each row, the next place of each slot, and which rows were found.
        let of_rows = rows * (2 * size_of::<u32>() + size_of::<bool>());
        memory.try_grow(slots * (size_of::<Slot>() + size_of::<u32>()) + of_rows)?;
        let whole = |parts: &[ArrayRef]| {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            concat(&parts)
        };
        let mut made = Vec::with_capacity(columns.len());
        for (parts, at) in kept.iter().zip(&columns) {
            made.push(match parts.as_slice() {
                [] => arrow::array::new_empty_array(schema.field(*at).data_type()),
                [one] => Arc::clone(one),
                parts => whole(parts)?,
            });
        }
        let mut table = Self {
            slots: Vec::new(),
            low: None,
            scale: 0,
            shift: 0,
            numbers: 0,
            bounds: None,
            order: Vec::new(),
            columns: made,
            rows,
            _memory: memory,
        };
        table.fill(&keys, slots);
        Ok(table)
    }

    pub(super) fn fill(&mut self, keys: &[ArrayRef], slots: usize) {
        let mut known = 0;
        for keys in keys {
            each_key(keys.as_ref(), |key| {
                if let Some(key) = key {
                    let (low, high) = self.bounds.unwrap_or((key, key));
                    self.bounds = Some((low.min(key), high.max(key)));
                    known += 1;
                }
            });
        }
        let Some((low, high)) = self.bounds else {
            return;
        };
        // Numbers in order find their slots side by side; where they lie too unevenly for that, anywhere.
        let range = u128::from(low.abs_diff(high));
        self.slots = vec![Slot::default(); slots];
        self.shift = u64::BITS - slots.trailing_zeros();
        self.low = Some(low);
        if range >= slots as u128 {
            self.scale = u64::try_from(((slots as u128) << 64) / (range + 1)).unwrap_or(u64::MAX);
        }
        let mut slot_of = Vec::new();
        // Order keeps what is looked up together close in memory; a table that the processor holds whole only needs few steps.
        let most_steps = if known <= FEW_ROWS && self.scale > 0 {
            known / 8
        } else {
            known * MOST_STEPS
        };
        let mut runs = self.number(keys, &mut slot_of, most_steps);
        // A number that is not there is looked for as far as slots are taken.
        if runs.is_none() || (self.scale > 0 && self.longest() > MOST_TOGETHER) {
            self.slots.fill(Slot::default());
            self.low = None;
            runs = self.number(keys, &mut slot_of, usize::MAX);
        }
        let Some(runs) = runs else {
            return;
        };
        if self.numbers == known {
            return;
        }
        let rows: usize = keys.iter().map(|keys| keys.len()).sum();
        #[expect(clippy::cast_possible_truncation, reason = "there are no more rows")]
        if runs && known == rows {
            // The rows of each number follow each other as they are.
            self.order = (0..rows as u32).collect();
            return;
        }
        let mut begin = 0;
        for slot in self.slots.iter_mut().filter(|slot| slot.rows > 1) {
            slot.first = begin;
            begin += slot.rows;
        }
        self.order = vec![0; begin as usize];
        let mut next: Vec<u32> = self.slots.iter().map(|slot| slot.first).collect();
        for (slot, row) in slot_of.iter().zip(0..) {
            if *slot != NONE && self.slots[*slot as usize].rows > 1 {
                let place = &mut next[*slot as usize];
                self.order[*place as usize] = row;
                *place += 1;
            }
        }
    }

    /// Gives each number its slot, which is told of each row, and says whether equal ones follow each other; none where that takes
    /// too many steps.
    pub(super) fn number(
        &mut self,
        keys: &[ArrayRef],
        slot_of: &mut Vec<u32>,
        most_steps: usize,
    ) -> Option<bool> {
        self.numbers = 0;
        slot_of.clear();
        let (mut row, mut steps, mut runs) = (0, 0, true);
        let mut last = (0, usize::MAX);
        for keys in keys {
            each_key(keys.as_ref(), |key| {
                if let Some(key) = key.filter(|_| steps <= most_steps) {
                    if last.1 == usize::MAX || last.0 != key {
                        let at = self.place(key);
                        steps += at.wrapping_sub(self.home(key)) & (self.slots.len() - 1);
                        runs &= self.slots[at].rows == 0;
                        last = (key, at);
                    }
                    let slot = &mut self.slots[last.1];
                    if slot.rows == 0 {
                        (slot.key, slot.first) = (key, row);
                        self.numbers += 1;
                    }
                    slot.rows += 1;
                }
                #[expect(clippy::cast_possible_truncation, reason = "at most 2^32 slots")]
                slot_of.push(key.map_or(NONE, |_| last.1 as u32));
                row += 1;
            });
        }
        (steps <= most_steps).then_some(runs)
    }

    /// How many slots follow each other that are taken, at most.
    pub(super) fn longest(&self) -> usize {
        let taken = self.slots.split(|slot| slot.rows == 0);
        taken.map(<[Slot]>::len).max().unwrap_or(0)
    }

    /// Where a number, which is within the bounds, is looked for first.
    #[inline]
    pub(super) fn home(&self, key: i64) -> usize {
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "all bits count, and there are no more slots"
        )]
        match self.low {
            Some(low) if self.scale == 0 => key.wrapping_sub(low) as usize,
            Some(low) => {
                let further = u128::from(key.wrapping_sub(low) as u64);
                ((further * u128::from(self.scale)) >> 64) as usize
            }
            // An odd number without a pattern: the golden ratio in 64 bits.
            None => ((key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize,
        }
    }

    /// The slot of a number that has one, or the empty one where it would be.
    #[inline]
    pub(super) fn place(&self, key: i64) -> usize {
        let mut at = self.home(key);
        loop {
            let slot = &self.slots[at];
            if slot.rows == 0 || slot.key == key {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// The rows of what was found, which is not none.
    #[inline]
    pub(super) fn rows_of<'a>(&'a self, found: &'a u32) -> &'a [u32] {
        if is_row(*found) {
            return std::slice::from_ref(found);
        }
        let slot = &self.slots[(found & !SEVERAL) as usize];
        &self.order[slot.first as usize..(slot.first + slot.rows) as usize]
    }

    /// Where each of these numbers is found: its row, or the slot of several. And how many are not.
    pub(super) fn look_up(&self, keys: &dyn Array) -> (Vec<u32>, usize) {
        let mut found = Vec::with_capacity(keys.len());
        let mut missing = 0;
        if self.slots.is_empty() {
            return (vec![NONE; keys.len()], keys.len());
        }
        let (low, high) = self.bounds.unwrap_or_default();
        each_key(keys, |key| {
            let Some(key) = key.filter(|key| (low..=high).contains(key)) else {
                missing += 1;
                found.push(NONE);
                return;
            };
            let at = self.place(key);
            let slot = &self.slots[at];
            #[expect(clippy::cast_possible_truncation, reason = "at most 2^31 slots")]
            let place = match slot.rows {
                0 => NONE,
                1 => slot.first,
                _ => at as u32 | SEVERAL,
            };
            missing += usize::from(place == NONE);
            found.push(place);
        });
        (found, missing)
    }
}

/// Whether what was found, which is not none, is a row.
#[inline]
pub(super) fn is_row(found: u32) -> bool {
    found & SEVERAL == 0
}

#[inline]
pub(super) fn each_key(keys: &dyn Array, mut each: impl FnMut(Option<i64>)) {
    if let Some(keys) = keys.as_primitive_opt::<Int64Type>() {
        if keys.null_count() == 0 {
            keys.values().iter().for_each(|key| each(Some(*key)));
        } else {
            keys.iter().for_each(each);
        }
    } else if let Some(keys) = keys.as_primitive_opt::<Int32Type>() {
        if keys.null_count() == 0 {
            let values = keys.values().iter();
            values.for_each(|key| each(Some(i64::from(*key))));
        } else {
            keys.iter().for_each(|key| each(key.map(i64::from)));
        }
    }
}
