//! Rows of regressions, kept by column: every fit reads them again, so that the summary is the rows themselves.
//!
//! Batches are appended at the speed of a copy. Words become codes, which are translated where summaries meet.
//! Columns of whole numbers are kept in 16 bits where those will do, and travel four to a word. A partial state is the
//! columns one after another; [`Layout`] says which column is which.

mod layout;
mod numbers;
mod sets;
mod words;

use std::borrow::Cow;

use arrow::array::Array;
use arrow::datatypes::{DataType, Int64Type};
use columna_stats::{Numbers, Summary, Values};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};

pub(crate) use layout::{Kind, Layout, Slot};
use layout::{kind, kind_of_term};
use numbers::{BatchNumbers, packed, unpacked};
pub(crate) use sets::members;
use words::BatchWords;
pub(crate) use words::Words;

use super::batch::{self, Batch, Counted};
use super::parameters::Role;
use super::rows::{BatchRows, RowSummary};
use super::state::{State, StateBuilder};

/// The columns of a batch, by kind.
pub(crate) struct ModelBatch {
    numbers: Vec<BatchNumbers>,
    codes: Vec<Vec<u64>>,
    words: Vec<BatchWords>,
    counted: Counted,
}

impl BatchRows for ModelBatch {
    fn read(batch: &Batch<'_>) -> Result<Self> {
        let (mut numbers, mut words) = (Vec::new(), Vec::new());
        let mut keys = Vec::new();
        for (parameter, array) in batch.given() {
            match kind(parameter.role, array.data_type()) {
                Some(Kind::Number) if matches!(parameter.role, Role::Time | Role::Start) => {
                    numbers.push(BatchNumbers::of_days(array)?);
                }
                Some(Kind::Number) => numbers.push(BatchNumbers::read(array)?),
                Some(Kind::Word) => words.push(BatchWords::read(array)?),
                Some(Kind::Code) => keys.push((parameter, array)),
                None => {
                    let columns = arrow::array::AsArray::as_struct_opt(array).ok_or_else(|| {
                        internal_datafusion_err!("covariates are {}", array.data_type())
                    })?;
                    // A struct that is NULL is a row whose covariates are not known.
                    for column in columns.flatten().1 {
                        match kind_of_term(column.data_type()) {
                            Kind::Word => words.push(BatchWords::read(&column)?),
                            _ => numbers.push(BatchNumbers::read(&column)?),
                        }
                    }
                }
            }
        }
        let nulls = (numbers.iter().map(BatchNumbers::nulls))
            .chain(words.iter().map(BatchWords::nulls))
            .chain(keys.iter().map(|(_, array)| array.nulls()));
        let counted = batch.counted(nulls);
        let codes = keys.iter().map(|(parameter, array)| match parameter.role {
            Role::Event => {
                let codes = batch::statuses(array, &counted)?;
                Ok(codes.into_iter().map(u64::from).collect())
            }
            Role::Flag => {
                let flags = batch::flags(array, &counted, parameter.name)?;
                Ok(flags.iter().map(u64::from).collect())
            }
            _ => {
                let whole = arrow::compute::cast(array, &DataType::Int64)?;
                let whole = arrow::array::AsArray::as_primitive::<Int64Type>(&whole);
                Ok(whole.values().iter().map(|id| id.cast_unsigned()).collect())
            }
        });
        Ok(Self {
            codes: codes.collect::<Result<_>>()?,
            numbers,
            words,
            counted,
        })
    }

    fn counted(&self) -> &Counted {
        &self.counted
    }
}

impl ModelBatch {
    /// A number of a row, by the place of its column among the numbers; nothing if it was not given.
    pub(crate) fn number(&self, place: usize, row: usize) -> Option<f64> {
        self.numbers.get(place).map(|column| column.value(row))
    }

    /// A code of a row, by the place of its column among the codes.
    pub(crate) fn code(&self, place: usize, row: usize) -> Option<u64> {
        self.codes.get(place).map(|column| column[row])
    }

    /// A word of a row, by the place of its column among the words.
    pub(crate) fn word(&self, place: usize, row: usize) -> Option<&str> {
        self.words.get(place).map(|words| words.word(row))
    }
}

/// The rows of a regression.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelRows {
    rows: usize,
    numbers: Vec<Numbers>,
    pub(crate) codes: Vec<Vec<u64>>,
    pub(crate) words: Vec<Words>,
}

impl ModelRows {
    /// Rows kept.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes a column of numbers out, for a statistic that keeps it. An empty one if it was not given.
    pub(crate) fn take_column(&mut self, slot: Option<Slot>) -> Numbers {
        slot.and_then(|slot| self.numbers.get_mut(slot.place))
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The same as floating-point numbers.
    pub(crate) fn take_numbers(&mut self, slot: Option<Slot>) -> Vec<f64> {
        self.take_column(slot).into()
    }

    /// The only column of numbers.
    pub(crate) fn take_first_numbers(&mut self) -> Numbers {
        self.numbers
            .first_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// A column of numbers, if it was given.
    pub(crate) fn numbers_of(&self, slot: Option<Slot>) -> Option<Cow<'_, [f64]>> {
        let column = self.numbers.get(slot?.place)?;
        Some(column.floats())
    }

    /// All columns of numbers.
    pub(crate) fn all_numbers(&self) -> impl Iterator<Item = Cow<'_, [f64]>> {
        self.numbers.iter().map(Numbers::floats)
    }

    /// A column of codes.
    pub(crate) fn codes_of(&self, slot: Option<Slot>) -> &[u64] {
        slot.and_then(|slot| self.codes.get(slot.place))
            .map_or(&[], Vec::as_slice)
    }

    /// Rows of one cluster (or stratum, or person) have the same code. Words have their places in their order.
    pub(crate) fn keys_of(&self, slot: Option<Slot>) -> Vec<u64> {
        match slot {
            None => Vec::new(),
            Some(slot) if slot.kind == Kind::Word => {
                self.words.get(slot.place).map_or_else(Vec::new, |words| {
                    words.codes().iter().map(|code| u64::from(*code)).collect()
                })
            }
            slot => self.codes_of(slot).to_vec(),
        }
    }

    /// No rows, but all the levels of the words.
    pub(crate) fn of_levels(layout: &Layout, levels: &[Vec<String>]) -> Self {
        let [numbers, codes, _] = layout.counts();
        let words = levels.iter().map(|levels| Words::of_levels(levels));
        Self {
            rows: 0,
            numbers: vec![Numbers::default(); numbers],
            codes: vec![Vec::new(); codes],
            words: words.collect(),
        }
    }

    /// Gives words the places that they have among these levels, which may be more than those of the rows. Whether
    /// they have all of them.
    pub(crate) fn number_words(&mut self, levels: &[Vec<String>]) -> bool {
        let mut columns = self.words.iter_mut().zip(levels);
        columns.all(|(words, levels)| words.number(levels).is_some())
    }

    /// A sum over all numbers and codes, whatever the order of the rows.
    pub(crate) fn sum(&self) -> u64 {
        // Odd factors, so that values that change places between columns change the sum.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut sum = 0_u64;
        let mut factor = FACTOR;
        let mut add = |column: &mut dyn Iterator<Item = u64>| {
            let column = column.fold(0_u64, u64::wrapping_add);
            sum = sum.wrapping_add(column.wrapping_mul(factor));
            factor = factor.wrapping_mul(FACTOR);
        };
        for column in &self.numbers {
            add(&mut column.iter().map(f64::to_bits));
        }
        for column in &self.codes {
            add(&mut column.iter().copied());
        }
        sum
    }

    fn shape(&mut self, numbers: usize, codes: usize, words: usize) {
        if self.rows == 0 {
            self.numbers.resize(numbers, Numbers::default());
            self.codes.resize(codes, Vec::new());
            self.words.resize(words, Words::default());
        }
    }

    fn shape_as(&mut self, rows: &ModelBatch) {
        self.shape(rows.numbers.len(), rows.codes.len(), rows.words.len());
    }
}

fn corrupt() -> DataFusionError {
    internal_datafusion_err!("the partial state of a model is cut short")
}

/// Takes the next `length` numbers off the front.
fn split<'a, T>(rest: &mut &'a [T], length: usize) -> Result<&'a [T]> {
    let (head, tail) = rest.split_at_checked(length).ok_or_else(corrupt)?;
    *rest = tail;
    Ok(head)
}

fn length(number: u64) -> Result<usize> {
    usize::try_from(number).map_err(|_| corrupt())
}

impl Summary for ModelRows {
    fn merge(&mut self, other: Self) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        self.rows += other.rows;
        for (mine, theirs) in self.numbers.iter_mut().zip(other.numbers) {
            mine.append(theirs);
        }
        for (mine, theirs) in self.codes.iter_mut().zip(other.codes) {
            mine.extend(theirs);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            let levels = theirs.levels().iter().map(String::as_str);
            // Codes are places among the levels, so that none is missing.
            let _: Option<()> =
                mine.merge(levels, theirs.codes().iter().map(|code| *code as usize));
        }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

impl RowSummary for ModelRows {
    type Rows = ModelBatch;

    fn add_row(&mut self, rows: &ModelBatch, row: usize) -> Result<()> {
        self.shape_as(rows);
        self.rows += 1;
        for (column, values) in self.numbers.iter_mut().zip(&rows.numbers) {
            column.push(values.value(row));
        }
        for (column, values) in self.codes.iter_mut().zip(&rows.codes) {
            column.push(values[row]);
        }
        for (column, words) in self.words.iter_mut().zip(&rows.words) {
            column.push(words, row);
        }
        Ok(())
    }

    fn add_rows(&mut self, rows: &ModelBatch, selected: &[usize]) -> Result<()> {
        self.shape_as(rows);
        self.rows += selected.len();
        for (column, values) in self.numbers.iter_mut().zip(&rows.numbers) {
            values.add_rows(selected, column);
        }
        for (column, values) in self.codes.iter_mut().zip(&rows.codes) {
            column.extend(selected.iter().map(|row| values[*row]));
        }
        for (column, words) in self.words.iter_mut().zip(&rows.words) {
            column.extend(words, selected.iter().copied());
        }
        Ok(())
    }

    fn add_all(&mut self, rows: &ModelBatch) -> Result<()> {
        if !rows.counted.all() {
            return self.add_rows(rows, &rows.counted.iter().collect::<Vec<_>>());
        }
        self.shape_as(rows);
        self.rows += rows.counted.rows();
        for (column, values) in self.numbers.iter_mut().zip(&rows.numbers) {
            values.add_all(column);
        }
        for (column, values) in self.codes.iter_mut().zip(&rows.codes) {
            column.extend_from_slice(values);
        }
        for (column, words) in self.words.iter_mut().zip(&rows.words) {
            column.extend(words, 0..rows.counted.rows());
        }
        Ok(())
    }

    fn write_row(rows: &ModelBatch, row: usize, state: &mut StateBuilder) -> Result<()> {
        let (numbers, codes, words) = (rows.numbers.len(), rows.codes.len(), rows.words.len());
        let mut ints = Vec::with_capacity(4 + numbers + codes + 2 * words);
        ints.extend([1, numbers, codes, words].map(|count| count as u64));
        ints.resize(4 + numbers, 0);
        ints.resize(4 + numbers + words, 1);
        ints.extend(rows.codes.iter().map(|column| column[row]));
        ints.resize(4 + numbers + codes + 2 * words, 0);
        let floats: Vec<f64> = rows
            .numbers
            .iter()
            .map(|column| column.value(row))
            .collect();
        let labels = rows.words.iter().map(|words| words.word(row));
        state.append_parts(&[&ints], &[&floats], labels);
        Ok(())
    }

    /// Numbers of rows and columns, which columns of numbers are packed, and the number of each word column's levels;
    /// codes; words' codes; packed columns. Then the other numbers, and the levels.
    fn write(&self, state: &mut StateBuilder) {
        let counts = [
            self.rows,
            self.numbers.len(),
            self.codes.len(),
            self.words.len(),
        ];
        let head: Vec<u64> = counts
            .into_iter()
            .chain(
                self.numbers
                    .iter()
                    .map(|column| usize::from(column.whole().is_some())),
            )
            .chain(self.words.iter().map(|words| words.levels().len()))
            .map(|count| count as u64)
            .collect();
        let codes: Vec<Vec<u64>> = self
            .words
            .iter()
            .map(|words| words.codes().iter().map(|code| u64::from(*code)).collect())
            .collect();
        let packed: Vec<Vec<u64>> = self
            .numbers
            .iter()
            .filter_map(Numbers::whole)
            .map(packed)
            .collect();
        let ints: Vec<&[u64]> = std::iter::once(&head)
            .chain(&self.codes)
            .chain(&codes)
            .chain(&packed)
            .map(Vec::as_slice)
            .collect();
        let floats = self
            .numbers
            .iter()
            .filter_map(|column| match column.values() {
                Values::Any(values) => Some(values),
                Values::Whole(_) => None,
            });
        let floats: Vec<&[f64]> = floats.collect();
        let labels = self.words.iter().flat_map(|words| words.levels());
        state.append_parts(&ints, &floats, labels.map(String::as_str));
    }

    fn read(&mut self, state: &State) -> Result<()> {
        let (mut ints, mut floats) = (state.ints, state.floats);
        let [rows, numbers, codes, words] = split(&mut ints, 4)? else {
            return Err(corrupt());
        };
        let (rows, numbers, words) = (length(*rows)?, length(*numbers)?, length(*words)?);
        self.shape(numbers, length(*codes)?, words);
        // A state without rows may have no columns either.
        let whole = split(&mut ints, numbers)?;
        let levels = split(&mut ints, words)?;
        for column in &mut self.codes {
            column.extend_from_slice(split(&mut ints, rows)?);
        }
        let mut labels = state.labels.iter().flatten();
        for (column, levels) in self.words.iter_mut().zip(levels) {
            let codes = split(&mut ints, rows)?;
            let codes = codes.iter().map(|code| length(*code).unwrap_or(usize::MAX));
            column
                .merge(labels.by_ref().take(length(*levels)?), codes)
                .ok_or_else(corrupt)?;
        }
        for (column, whole) in self.numbers.iter_mut().zip(whole) {
            if *whole == 0 {
                column.extend_from_slice(split(&mut floats, rows)?);
            } else {
                column.extend_from_whole(&unpacked(split(&mut ints, rows.div_ceil(4))?, rows));
            }
        }
        self.rows += rows;
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        let numbers: usize = self.numbers.iter().map(Numbers::heap_bytes).sum();
        let codes: usize = self.codes.iter().map(Vec::capacity).sum();
        let words: usize = self.words.iter().map(Words::heap_bytes).sum();
        8 * codes
            + numbers
            + words
            + self.numbers.len() * size_of::<Numbers>()
            + self.codes.len() * size_of::<Vec<u64>>()
            + self.words.len() * size_of::<Words>()
    }
}
