//! Arrays whose buffers hold their own values and nobody else's.
//!
//! A view of a text points into a buffer that rows share, and so do the keys of a dictionary. Under a NULL lies whatever was
//! computed there, or was in the place before. What writes whole buffers, as Arrow IPC does, would write the values of rows
//! that are not shown.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, ArrowPrimitiveType, AsArray, MutableArrayData, PrimitiveArray,
    RecordBatch, UInt64Array, downcast_primitive_array, make_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, UnionMode};
use arrow::error::ArrowError;
use datafusion::common::Result;

/// The same values, apart from those of other rows. Values that share nothing are not copied.
pub(crate) fn compact(values: &ArrayRef) -> Result<ArrayRef> {
    if !shares(values.data_type()) {
        return Ok(Arc::clone(values));
    }
    match values.data_type() {
        DataType::Utf8View => Ok(Arc::new(blanked(values)?.as_string_view().gc())),
        DataType::BinaryView => Ok(Arc::new(blanked(values)?.as_binary_view().gc())),
        DataType::Dictionary(..) => {
            let dictionary = values.as_any_dictionary();
            let words = dictionary.values();
            let mut used = vec![false; words.len()];
            if !words.is_empty() {
                for (row, word) in dictionary.normalized_keys().into_iter().enumerate() {
                    used[word] |= dictionary.keys().is_valid(row);
                }
            }
            // The keys stay what they are, and words that none of them means become NULL.
            let own: UInt64Array = (0_u64..)
                .zip(used)
                .map(|(word, used)| used.then_some(word))
                .collect();
            Ok(dictionary.with_values(compact(&take(words, &own, None)?)?))
        }
        _ => {
            // A slice of lists has the values of all of them; taken, it has its own.
            let all = UInt64Array::from_iter_values(0..values.len() as u64);
            let data = take(values, &all, None)?.to_data();
            let parts = data.child_data().iter().map(|part| {
                let part = compact(&make_array(part.clone()))?;
                Ok(part.to_data())
            });
            let parts = parts.collect::<Result<Vec<_>>>()?;
            Ok(make_array(data.into_builder().child_data(parts).build()?))
        }
    }
}

/// The same rows, apart from others.
pub(crate) fn compact_rows(batch: RecordBatch) -> Result<RecordBatch> {
    let mut columns = batch.columns().iter();
    if !columns.any(|column| shares(column.data_type())) {
        return Ok(batch);
    }
    let (schema, columns, rows) = batch.into_parts();
    let columns = columns.iter().map(compact).collect::<Result<_>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}

/// The same values, with zeros, empty texts and empty lists in the places of those that are NULL, in parts of others too, and
/// no bits behind the last one. Values without NULLs are not copied.
///
/// # Errors
/// When an array is damaged.
pub fn blanked(values: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let array = values.as_ref();
    downcast_primitive_array!(
        array => Ok(match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => Arc::new(blanked_numbers(array, nulls)),
            None => Arc::clone(values),
        }),
        _ => {
            let data = values.to_data();
            if is_blank(&data) {
                return Ok(Arc::clone(values));
            }
            blanked_data(&data, None).map(make_array)
        }
    )
}

fn blanked_numbers<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    nulls: &NullBuffer,
) -> PrimitiveArray<T> {
    let own: Vec<T::Native> = values
        .values()
        .iter()
        .zip(nulls)
        .map(|(value, valid)| if valid { *value } else { T::Native::default() })
        .collect();
    PrimitiveArray::<T>::new(own.into(), Some(own_bits(nulls)))
        .with_data_type(values.data_type().clone())
}

/// The same bits in a buffer whose last byte has none of other rows.
fn own_bits(nulls: &NullBuffer) -> NullBuffer {
    if nulls.len().is_multiple_of(8) {
        return nulls.clone();
    }
    nulls.iter().collect()
}

/// Whether nothing lies under NULLs, because there are none, nor behind the last bit.
fn is_blank(data: &ArrayData) -> bool {
    let bits = *data.data_type() == DataType::Boolean && !data.len().is_multiple_of(8);
    let union = matches!(data.data_type(), DataType::Union(..));
    data.null_count() == 0 && !bits && !union && data.child_data().iter().all(is_blank)
}

/// The same for values of which only those `within` count, where it is given.
fn blanked_data(
    data: &ArrayData,
    within: Option<&NullBuffer>,
) -> std::result::Result<ArrayData, ArrowError> {
    let nulls = NullBuffer::union(data.nulls(), within).filter(|nulls| nulls.null_count() > 0);
    let mut own = MutableArrayData::new(vec![data], nulls.is_some(), data.len());
    let mut next = 0;
    if let Some(nulls) = &nulls {
        for (start, end) in nulls.valid_slices() {
            own.try_extend_nulls(start - next)?;
            own.try_extend(0, start, end)?;
            next = end;
        }
        own.try_extend_nulls(data.len() - next)?;
    } else {
        own.try_extend(0, 0, data.len())?;
    }
    let own = own.freeze();
    let union = matches!(own.data_type(), DataType::Union(..));
    if !union && own.child_data().iter().all(is_blank) {
        return Ok(own);
    }
    let mut parts = Vec::with_capacity(own.child_data().len());
    for (at, part) in own.child_data().iter().enumerate() {
        // A part of a union has a place for each row, also for those of the other parts.
        let within = match own.data_type() {
            DataType::Union(fields, UnionMode::Sparse) => {
                let kinds = own.buffer::<i8>(0);
                let kind = fields.iter().nth(at).map(|(kind, _)| kind);
                let theirs = |row: usize| Some(kinds[row]) == kind;
                Some(NullBuffer::new(BooleanBuffer::collect_bool(
                    own.len(),
                    theirs,
                )))
            }
            _ => None,
        };
        parts.push(blanked_data(part, within.as_ref())?);
    }
    own.into_builder().child_data(parts).build()
}

/// Whether arrays of a type may share values with others.
fn shares(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8View | DataType::BinaryView | DataType::Dictionary(..) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => shares(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| shares(field.data_type())),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| shares(field.data_type())),
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{
        BooleanArray, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array, ListArray,
        MapArray, RunArray, StringArray, StringViewArray, StructArray, UnionArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    /// Whether a text is anywhere in an array's buffers.
    pub(crate) fn holds(values: &ArrayRef, text: &str) -> bool {
        fn within(data: &ArrayData, text: &[u8]) -> bool {
            let here = data.buffers().iter().any(|buffer| {
                let mut places = buffer.as_slice().windows(text.len());
                places.any(|place| place == text)
            });
            here || data.child_data().iter().any(|part| within(part, text))
        }
        within(&values.to_data(), text.as_bytes())
    }

    #[test]
    fn values_of_other_rows_are_gone() {
        let shown = "a text of a row that is shown";
        let hidden = "a text of a row that is hidden";
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![shown, hidden]));
        let item = |kind| Arc::new(Field::new("item", kind, true));
        let lists: ArrayRef = Arc::new(ListArray::new(
            item(DataType::Utf8View),
            OffsetBuffer::from_lengths([1, 1]),
            Arc::clone(&texts),
            None,
        ));
        let pairs: ArrayRef = Arc::new(FixedSizeListArray::new(
            item(DataType::Utf8View),
            1,
            Arc::clone(&texts),
            None,
        ));
        let fields = vec![
            Field::new("n", DataType::Int64, true),
            Field::new("lists", lists.data_type().clone(), true),
        ];
        let structs: ArrayRef = Arc::new(StructArray::new(
            fields.into(),
            vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::clone(&lists)],
            Some(NullBuffer::from(vec![true, true])),
        ));
        let words: DictionaryArray<Int32Type> = vec![shown, hidden].into_iter().collect();
        for whole in [texts, lists, pairs, structs, Arc::new(words)] {
            assert!(holds(&whole, hidden));
            let slice = whole.slice(0, 1);
            let own = compact(&slice).unwrap();
            assert_eq!(&own, &slice);
            assert!(holds(&own, shown), "{}", own.data_type());
            assert!(!holds(&own, hidden), "{}", own.data_type());
        }
        let plain: ArrayRef = Arc::new(StringArray::from(vec![shown]));
        assert!(compact(&plain).unwrap().to_data().ptr_eq(&plain.to_data()));
    }

    const SEEN: i64 = 0x1111_1111_1111_1111;
    const UNDER: i64 = 0x7777_7777_7777_7777;

    /// Nine places of which every other one is NULL, with something else under it.
    fn of_each_type() -> Vec<ArrayRef> {
        let places = || (0..9).map(|at| at % 2 == 0);
        let nulls = || Some(NullBuffer::from_iter(places()));
        let of = |valid| if valid { SEEN } else { UNDER };
        let bytes = |size: usize| -> Vec<u8> {
            let each = |valid| if valid { 0x11 } else { 0x77 };
            places()
                .flat_map(|valid| std::iter::repeat_n(each(valid), size))
                .collect()
        };
        let numbers = Int64Array::new(places().map(of).collect(), nulls());
        let text = |valid| {
            if valid {
                "1111111111111111"
            } else {
                "7777777777777777"
            }
        };
        let texts = StringArray::from_iter_values(places().map(text));
        let views = StringViewArray::from_iter_values(places().map(text));
        let under = |array: &dyn Array| {
            let data = array.to_data().into_builder().nulls(nulls()).build();
            make_array(data.unwrap())
        };
        let made = |kind: DataType, size: usize| {
            let data = ArrayData::builder(kind).len(9).nulls(nulls());
            make_array(data.add_buffer(bytes(size).into()).build().unwrap())
        };
        let bits = BooleanArray::new(
            BooleanBuffer::from_iter(places().map(|valid| !valid)),
            nulls(),
        );
        let words: DictionaryArray<Int32Type> = vec![text(false), text(true)].into_iter().collect();
        let keys = Int32Array::from_iter_values(places().map(i32::from));
        let words = DictionaryArray::new(keys, Arc::clone(words.values()));
        let numbers: ArrayRef = Arc::new(numbers);
        let unknown: ArrayRef = Arc::new(Int64Array::from_iter_values(places().map(of)));
        let item = || Arc::new(Field::new("item", DataType::Int64, true));
        let lists = |values: &ArrayRef, nulls| {
            let each = OffsetBuffer::from_lengths([1; 9]);
            ListArray::new(item(), each, Arc::clone(values), nulls)
        };
        let fixed = |values: &ArrayRef, nulls| {
            FixedSizeListArray::new(item(), 1, Arc::clone(values), nulls)
        };
        let structs = |values: &ArrayRef, nulls| {
            let fields = vec![Field::new("n", DataType::Int64, true)];
            StructArray::new(fields.into(), vec![Arc::clone(values)], nulls)
        };
        let map = {
            let fields = vec![
                Field::new("keys", DataType::Int64, false),
                Field::new("values", DataType::Int64, true),
            ];
            let keys: ArrayRef = Arc::new(Int64Array::from(vec![0; 9]));
            let parts = vec![keys, Arc::clone(&unknown)];
            let entries = StructArray::new(fields.into(), parts, None);
            let of = Field::new("entries", entries.data_type().clone(), false);
            let each = OffsetBuffer::from_lengths([1; 9]);
            MapArray::new(Arc::new(of), each, entries, nulls(), false)
        };
        let fields = || {
            [
                (0, Arc::new(Field::new("a", DataType::Int64, true))),
                (1, Arc::new(Field::new("b", DataType::Int64, true))),
            ]
        };
        let union = UnionArray::try_new(
            fields().into_iter().collect(),
            places().map(i8::from).collect(),
            None,
            vec![
                Arc::new(Int64Array::from_iter_values(
                    places().map(|valid| if valid { UNDER } else { SEEN }),
                )),
                Arc::clone(&unknown),
            ],
        );
        let dense = UnionArray::try_new(
            fields().into_iter().collect(),
            vec![0; 9].into(),
            Some((0..9).collect()),
            vec![Arc::clone(&numbers), Arc::clone(&unknown)],
        );
        let ends = Int32Array::from_iter_values(1..=9);
        let runs = RunArray::try_new(&ends, &numbers);
        let interval = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
        vec![
            made(DataType::Date32, 4),
            made(DataType::Float64, 8),
            made(DataType::Int8, 1),
            made(
                DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
                8,
            ),
            made(DataType::Decimal128(38, 0), 16),
            made(DataType::Decimal256(76, 0), 32),
            made(interval, 16),
            made(DataType::FixedSizeBinary(5), 5),
            Arc::new(bits),
            under(&texts),
            under(&views),
            under(&words),
            Arc::new(lists(&unknown, nulls())),
            Arc::new(lists(&numbers, None)),
            Arc::new(fixed(&unknown, nulls())),
            Arc::new(fixed(&numbers, None)),
            Arc::new(structs(&unknown, nulls())),
            Arc::new(structs(&numbers, None)),
            Arc::new(map),
            Arc::new(union.unwrap()),
            Arc::new(dense.unwrap()),
            Arc::new(runs.unwrap()),
            numbers,
        ]
    }

    #[test]
    fn nothing_lies_under_a_null() {
        fn stale(data: &ArrayData) -> bool {
            let of_hidden = |byte: &u8| *byte == 0x77 || *byte == b'7';
            let mut buffers = data.buffers().iter();
            let here = buffers.any(|buffer| buffer.as_slice().iter().any(of_hidden));
            here || data.child_data().iter().any(stale)
        }
        for values in of_each_type() {
            let kind = values.data_type().clone();
            let bits = kind == DataType::Boolean;
            for from in [0, 1, 2] {
                let slice = values.slice(from, values.len() - from);
                let own = blanked(&slice).unwrap();
                match (own.as_union_opt(), slice.as_union_opt()) {
                    // Parts of the other rows count where unions are compared.
                    (Some(own), Some(slice)) => {
                        for row in 0..own.len() {
                            assert_eq!(&own.value(row), &slice.value(row), "{kind}");
                        }
                    }
                    _ => assert_eq!(&own, &slice, "{kind}"),
                }
                let own = compact(&own).unwrap();
                assert!(!stale(&own.to_data()), "{kind}");
                if bits {
                    let own = own.as_boolean().values().sliced();
                    assert!(own.iter().all(|byte| *byte == 0), "{kind}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_nulls_is_not_copied() {
        let nulls = Some(NullBuffer::new_valid(2));
        let numbers: ArrayRef = Arc::new(Int64Array::new(vec![1, 2].into(), nulls));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        for values in [numbers, texts] {
            let own = blanked(&values).unwrap();
            assert!(own.to_data().ptr_eq(&values.to_data()));
        }
    }

    /// The last byte of bits has room for those of other rows.
    #[test]
    fn bits_of_other_rows_are_gone() {
        let values: ArrayRef = Arc::new(BooleanArray::from(vec![true; 16]));
        let own = blanked(&values.slice(0, 3)).unwrap();
        assert_eq!(own.as_boolean().values().sliced().as_slice(), [0b111]);
        let some = (0..16).map(|at| (at != 1).then_some(7_i64));
        let values: ArrayRef = Arc::new(Int64Array::from_iter(some));
        let own = blanked(&values.slice(0, 3)).unwrap();
        let nulls = own.nulls().unwrap().inner().sliced();
        assert_eq!(nulls.as_slice(), [0b101]);
    }
}
