//! How a run is encoded in Parquet: row groups, compression, encodings, bloom filters, footer.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::layout::Layout;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// A bloom filter may wave this share of absent values through. Filters are written for the row group's
/// size and folded down to what its distinct values need.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// The options for a file that begins with `first`.
pub(crate) fn of(
    spec: &TableSpec,
    layout: Layout,
    first: &RecordBatch,
) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(layout.zstd_level).map_err(|e| Error::parquet(&spec.name, e))?;
    let mut sorting = Vec::with_capacity(spec.sort.len());
    for at in spec.sort_positions()? {
        let column_idx =
            i32::try_from(at).map_err(|_| Error::engine("a table with too many columns"))?;
        sorting.push(SortingColumn {
            column_idx,
            descending: false,
            nulls_first: false,
        });
    }
    let mut options = WriterProperties::builder()
        .set_created_by(format!("columna {}", env!("CARGO_PKG_VERSION")))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(layout.row_group_rows))
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .set_statistics_enabled(EnabledStatistics::Page);
    for (field, column) in first.schema().fields().iter().zip(first.columns()) {
        if mostly_distinct(column) {
            let path = ColumnPath::from(field.name().as_str());
            options = options
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    for name in spec.person_key.iter().chain(&spec.bloom) {
        options = options
            .set_column_bloom_filter_fpp(ColumnPath::from(name.as_str()), BLOOM_FALSE_POSITIVES);
    }
    Ok(options.build())
}

/// Whether a whole-number column has so many values that a dictionary would be larger than the column:
/// record ids, mostly. Judged by the first rows, for tables are ordered by person and so alike all over.
fn mostly_distinct(column: &ArrayRef) -> bool {
    let whole = matches!(
        column.data_type(),
        DataType::Int64 | DataType::Int32 | DataType::Timestamp(_, _) | DataType::Date32
    );
    let sample = column.slice(0, column.len().min(4096));
    let present = sample.len() - sample.null_count();
    if !whole || present < 256 {
        return false;
    }
    // 32-bit columns go through a cast, which cannot fail for these types.
    let wide = if sample.data_type() == &DataType::Date32 {
        cast(&sample, &DataType::Int32).and_then(|a| cast(&a, &DataType::Int64))
    } else {
        cast(&sample, &DataType::Int64)
    };
    wide.is_ok_and(|wide| {
        let values: HashSet<i64> = wide.as_primitive::<Int64Type>().iter().flatten().collect();
        values.len() * 2 > present
    })
}
