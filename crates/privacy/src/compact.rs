//! Arrays whose buffers hold their own values and nobody else's.
//!
//! A view of a text points into a buffer that rows share, and so do the keys of a dictionary. What writes whole buffers,
//! as Arrow IPC does, would write the texts of rows that are not shown.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array, make_array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::Result;

/// The same values, apart from those of other rows. Values that share nothing are not copied.
pub(crate) fn compact(values: &ArrayRef) -> Result<ArrayRef> {
    if !shares(values.data_type()) {
        return Ok(Arc::clone(values));
    }
    match values.data_type() {
        DataType::Utf8View => Ok(Arc::new(values.as_string_view().gc())),
        DataType::BinaryView => Ok(Arc::new(values.as_binary_view().gc())),
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
        ArrayData, DictionaryArray, FixedSizeListArray, Int64Array, ListArray, StringArray,
        StringViewArray, StructArray,
    };
    use arrow::buffer::{NullBuffer, OffsetBuffer};
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
}
