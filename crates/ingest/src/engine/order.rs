//! The order of rows: keys packed into integers where they are such, encoded rows where they are not.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

/// Ascending, nulls last: the order of every table of a store.
pub(crate) const ORDER: SortOptions = SortOptions {
    descending: false,
    nulls_first: false,
};

/// Columns that a packed key holds.
const PACKED: usize = 3;

/// Some rows of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice<'a> {
    pub(crate) batch: &'a RecordBatch,
    /// The rows; all of them where `None`.
    pub(crate) rows: Option<&'a [u32]>,
    /// The position in the source of the batch's first row: equal keys keep the order of the source.
    pub(crate) ordinal: u64,
}

impl Slice<'_> {
    pub(crate) fn len(&self) -> usize {
        self.rows.map_or(self.batch.num_rows(), <[u32]>::len)
    }

    fn for_each(&self, mut visit: impl FnMut(u32)) {
        match self.rows {
            Some(rows) => rows.iter().copied().for_each(visit),
            None => (0..self.batch.num_rows())
                .for_each(|row| visit(u32::try_from(row).unwrap_or(u32::MAX))),
        }
    }
}

/// A row by its batch and its position there.
pub(crate) type Place = (usize, usize);

/// The rows of all slices in the order of the `sort` columns, ties in the order of the source.
pub(crate) fn sorted(slices: &[Slice<'_>], sort: &[usize]) -> Result<Vec<Place>, ArrowError> {
    match packed(slices, sort) {
        Some(keys) => Ok(keys
            .into_iter()
            .map(|key| (key.batch as usize, key.row as usize))
            .collect()),
        None => encoded(slices, sort),
    }
}

/// A row's key, its place in the source, and where it lies. The order of the fields is the order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    columns: [i64; PACKED],
    ordinal: u64,
    batch: u32,
    row: u32,
}

/// `None` where a column is not an integer of some kind, or uses the number that stands for NULL.
fn packed(slices: &[Slice<'_>], sort: &[usize]) -> Option<Vec<Key>> {
    if sort.len() > PACKED {
        return None;
    }
    let mut keys: Vec<Key> = Vec::with_capacity(slices.iter().map(Slice::len).sum());
    for (batch, slice) in slices.iter().enumerate() {
        let batch = u32::try_from(batch).ok()?;
        let start = keys.len();
        slice.for_each(|row| {
            keys.push(Key {
                columns: [0; PACKED],
                ordinal: slice.ordinal + u64::from(row),
                batch,
                row,
            })
        });
        for (at, column) in sort.iter().enumerate() {
            fill(&mut keys[start..], at, slice.batch.column(*column))?;
        }
    }
    if !keys.is_sorted() {
        keys.sort_unstable();
    }
    Some(keys)
}

fn fill(keys: &mut [Key], at: usize, column: &ArrayRef) -> Option<()> {
    match column.data_type() {
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>().values();
            fill_with(keys, at, column, |row| values[row])
        }
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>().values();
            fill_with(keys, at, column, |row| i64::from(values[row]))
        }
        DataType::Date32 => {
            let values = column.as_primitive::<Date32Type>().values();
            fill_with(keys, at, column, |row| i64::from(values[row]))
        }
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>().values();
            fill_with(keys, at, column, |row| values[row])
        }
        _ => None,
    }
}

fn fill_with(
    keys: &mut [Key],
    at: usize,
    column: &ArrayRef,
    value: impl Fn(usize) -> i64,
) -> Option<()> {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    for key in keys {
        let row = key.row as usize;
        key.columns[at] = match nulls {
            Some(nulls) if nulls.is_null(row) => i64::MAX,
            _ => {
                let value = value(row);
                // The largest number stands for NULL, which comes last.
                if value == i64::MAX {
                    return None;
                }
                value
            }
        };
    }
    Some(())
}

fn encoded(slices: &[Slice<'_>], sort: &[usize]) -> Result<Vec<Place>, ArrowError> {
    let Some(first) = slices.first() else {
        return Ok(Vec::new());
    };
    let converter = converter(
        &sort
            .iter()
            .map(|at| first.batch.column(*at).data_type().clone())
            .collect::<Vec<_>>(),
    )?;
    let mut encoded = Vec::with_capacity(slices.len());
    let mut places: Vec<(u64, usize, usize)> = Vec::new();
    for (batch, slice) in slices.iter().enumerate() {
        let columns: Vec<ArrayRef> = sort
            .iter()
            .map(|at| ArrayRef::clone(slice.batch.column(*at)))
            .collect();
        encoded.push(if sort.is_empty() {
            None
        } else {
            Some(converter.convert_columns(&columns)?)
        });
        slice.for_each(|row| places.push((slice.ordinal + u64::from(row), batch, row as usize)));
    }
    let key = |place: &(u64, usize, usize)| encoded[place.1].as_ref().map(|rows| rows.row(place.2));
    places.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then(a.0.cmp(&b.0)));
    Ok(places
        .into_iter()
        .map(|(_, batch, row)| (batch, row))
        .collect())
}

/// Encodes keys so that their bytes compare as the rows do.
pub(crate) fn converter(types: &[DataType]) -> Result<RowConverter, ArrowError> {
    RowConverter::new(
        types
            .iter()
            .map(|data_type| SortField::new_with_options(data_type.clone(), ORDER))
            .collect(),
    )
}

/// The rows at `places`, which may be all of one batch.
pub(crate) fn gather(
    batches: &[&RecordBatch],
    places: &[Place],
) -> Result<RecordBatch, ArrowError> {
    if let Some((batch, first)) = places.first()
        && places
            .iter()
            .enumerate()
            .all(|(at, place)| *place == (*batch, first + at))
    {
        return Ok(batches[*batch].slice(*first, places.len()));
    }
    let Some(schema) = batches.first().map(|batch| batch.schema()) else {
        return arrow::compute::interleave_record_batch(batches, places);
    };
    let columns = (0..schema.fields().len()).map(|at| {
        let parts: Vec<&dyn Array> = batches.iter().map(|b| b.column(at).as_ref()).collect();
        // Of the model's columns a source fills some: what nobody filled need not be fetched row by row.
        if parts.iter().all(|part| part.null_count() == part.len()) {
            return Ok(new_null_array(schema.field(at).data_type(), places.len()));
        }
        interleave(&parts, places)
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
    RecordBatch::try_new_with_options(schema, columns, &options)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Int64Array, StringArray};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn batch(rows: &[(Option<i64>, Option<i32>)]) -> RecordBatch {
        let keys: Int64Array = rows.iter().map(|(key, _)| *key).collect();
        let dates: Date32Array = rows.iter().map(|(_, date)| *date).collect();
        let texts: StringArray = rows
            .iter()
            .map(|(key, _)| key.map(|key| key.to_string()))
            .collect();
        RecordBatch::try_from_iter_with_nullable([
            ("k", Arc::new(keys) as ArrayRef, true),
            ("d", Arc::new(dates), true),
            ("t", Arc::new(texts), true),
        ])
        .unwrap()
    }

    type Rows = Vec<(Option<i64>, Option<i32>)>;

    proptest! {
        #[test]
        fn packed_and_encoded_agree(rows in proptest::collection::vec(proptest::collection::vec((proptest::option::of(prop_oneof![-3_i64..3, Just(i64::MAX)]), proptest::option::of(-2_i32..2)), 0..20), 1..4)) {
            let batches: Vec<RecordBatch> = rows.iter().map(|rows: &Rows| batch(rows)).collect();
            let slices: Vec<Slice<'_>> = batches.iter().enumerate().map(|(at, batch)| Slice { batch, rows: None, ordinal: 100 * at as u64 }).collect();
            prop_assert_eq!(sorted(&slices, &[0, 1]).unwrap(), encoded(&slices, &[0, 1]).unwrap());
            let flat: Rows = sorted(&slices, &[0, 1]).unwrap().into_iter().map(|(batch, row)| rows[batch][row]).collect();
            let mut expected: Rows = rows.concat();
            expected.sort_by_key(|(key, date)| (key.is_none(), *key, date.is_none(), *date));
            prop_assert_eq!(flat, expected);
        }
    }

    #[test]
    fn some_rows_only() {
        let all = batch(&[(Some(3), None), (Some(1), None), (Some(2), None)]);
        let slices = [Slice {
            batch: &all,
            rows: Some(&[0, 2]),
            ordinal: 0,
        }];
        assert_eq!(sorted(&slices, &[0]).unwrap(), [(0, 2), (0, 0)]);
        assert_eq!(gather(&[&all], &[(0, 1), (0, 2)]).unwrap(), all.slice(1, 2));
        // The dates are all missing.
        let turned = batch(&[(Some(2), None), (Some(3), None)]);
        assert_eq!(gather(&[&all], &[(0, 2), (0, 0)]).unwrap(), turned);
    }
}
