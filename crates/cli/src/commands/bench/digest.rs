//! What identifies an answer: the same for the same rows, in whatever order and batches.

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Of floats, this many digits count: the order of a sum decides on the last ones.
const DIGITS: usize = 9;

/// Sixteen hexadecimal digits for the rows of an answer.
///
/// # Errors
///
/// When a value has no text.
pub(super) fn digest(batches: &[RecordBatch]) -> Result<String, ArrowError> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(texts);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        rows.extend((0..batch.num_rows()).map(|row| {
            let cells = columns.iter().map(|column| column[row].as_str());
            cells.collect::<Vec<_>>().join("\t")
        }));
    }
    rows.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for row in rows {
        hasher.update(row.as_bytes());
        hasher.update(b"\n");
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

fn texts(column: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    if column.data_type().is_floating() {
        let floats = cast(column, &DataType::Float64)?;
        let floats = floats.as_any().downcast_ref::<Float64Array>();
        return Ok(floats.into_iter().flatten().map(float).collect());
    }
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(column, &options)?;
    (0..column.len())
        .map(|row| formatter.value(row).try_to_string())
        .collect()
}

fn float(value: Option<f64>) -> String {
    match value {
        // Minus zero is zero.
        Some(value) => format!("{:.*e}", DIGITS - 1, value + 0.0),
        None => "NULL".to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    fn batch(keys: &[i64], values: &[f64]) -> RecordBatch {
        let keys: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
        let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("k", keys), ("v", values)]).unwrap()
    }

    #[test]
    fn order_batches_and_last_digits_do_not_count_and_values_do() {
        let one = digest(&[batch(&[1, 2], &[0.1 + 0.2, 4.0])]).unwrap();
        let two = digest(&[batch(&[2], &[4.0]), batch(&[1], &[0.3])]).unwrap();
        assert_eq!(one, two);
        assert_ne!(one, digest(&[batch(&[1, 2], &[0.3, 4.000_000_1])]).unwrap());
        assert_ne!(one, digest(&[batch(&[1, 2, 2], &[0.3, 4.0, 4.0])]).unwrap());
    }
}
