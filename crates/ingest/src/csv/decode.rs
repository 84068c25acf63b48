//! Blocks of text into typed columns, one row group of cells at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, NullArray};
use arrow::compute::filter;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::blocks::{TextBlock, lines_of};
use super::builder::Builder;
use super::tokenizer::{Cell, QuoteFault, Record, Tokenizer};
use crate::parse::{self, Fault};

/// Records whose cells are parsed together: small enough that their positions stay in the nearest cache.
const GROUP: usize = 1024;

/// What a cell must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellType {
    /// `Int64`.
    BigInt,
    /// `Int32`.
    Integer,
    /// `Float64`.
    Float,
    /// `Utf8`.
    Text,
    /// `Date32`.
    Date,
    /// `Timestamp(Microsecond, None)`.
    DateTime,
}

impl CellType {
    /// The cell type of an Arrow type that text can be parsed into.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int64 => Self::BigInt,
            DataType::Int32 => Self::Integer,
            DataType::Float64 => Self::Float,
            DataType::Utf8 => Self::Text,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(_, None) => Self::DateTime,
            _ => return None,
        })
    }
}

/// A column to decode.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// What the cells must be.
    pub(crate) cell_type: CellType,
    /// Which cell of a record it is; `None` for a column that the file does not have.
    pub(crate) cell: Option<usize>,
    /// Whether a row without it cannot be stored.
    pub(crate) key: bool,
}

/// Decodes the blocks of one file.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) columns: Vec<Column>,
    /// Names of the cells, as in the header.
    pub(crate) header: Vec<String>,
    pub(crate) delimiter: u8,
    /// The cell with the person, so that a rejected row can still be found by its person.
    pub(crate) person: Option<usize>,
}

/// A row that could not be stored.
#[derive(Debug)]
pub(crate) struct RowReject {
    /// The line on which it starts, or the row of a Parquet file; from one.
    pub(crate) line: u64,
    /// The column at fault, where it is one.
    pub(crate) column: Option<String>,
    /// Why, without any value.
    pub(crate) reason: String,
    /// The row as it stands in the file.
    pub(crate) raw: String,
    /// Its person, where that can be read.
    pub(crate) person: Option<i64>,
}

/// Readings that were not literal, counted per column.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Words such as `NULL` read as no value, by column.
    pub(crate) null_words: Vec<(usize, u64)>,
    /// Dates given as Unix seconds, by column.
    pub(crate) unix_dates: Vec<(usize, u64)>,
}

/// What a block holds.
#[derive(Debug)]
pub(crate) struct Rows {
    /// One array per column of the decoder.
    pub(crate) columns: Vec<ArrayRef>,
    /// Records of the block.
    pub(crate) read: u64,
    /// Records that are not in the arrays.
    pub(crate) rejects: Vec<RowReject>,
    /// Readings that were not literal.
    pub(crate) notes: Notes,
}

impl Decoder {
    /// Decodes a block.
    pub(crate) fn decode(&self, block: &TextBlock) -> Result<Rows, ArrowError> {
        Pass::new(self, block).run()
    }
}

/// One block on its way.
struct Pass<'a> {
    decoder: &'a Decoder,
    block: &'a TextBlock,
    bytes: &'a [u8],
    /// Whether all of the block is UTF-8, so that no cell needs a look.
    is_utf8: bool,
    builders: Vec<Builder>,
    /// For every row of the builders whether it can be stored; empty while all can.
    refused: Vec<usize>,
    rows: usize,
    read: u64,
    rejects: Vec<RowReject>,
    /// Line feeds before this byte were counted.
    counted: (usize, u64),
    null_words: Vec<u64>,
    unix_dates: Vec<u64>,
}

impl<'a> Pass<'a> {
    fn new(decoder: &'a Decoder, block: &'a TextBlock) -> Self {
        let bytes = &block.bytes[..];
        // A guess from the first record saves most of the growing.
        let first = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()).max(16);
        let rows = bytes.len() / first;
        Self {
            decoder,
            block,
            bytes,
            is_utf8: std::str::from_utf8(bytes).is_ok(),
            builders: decoder
                .columns
                .iter()
                .map(|column| Builder::new(column.cell_type, rows))
                .collect(),
            refused: Vec::new(),
            rows: 0,
            read: 0,
            rejects: Vec::new(),
            counted: (0, block.line),
            null_words: vec![0; decoder.columns.len()],
            unix_dates: vec![0; decoder.columns.len()],
        }
    }

    fn run(mut self) -> Result<Rows, ArrowError> {
        let width = self.decoder.header.len();
        let mut tokenizer = Tokenizer::new(self.bytes, self.decoder.delimiter);
        let mut cells: Vec<Cell> = Vec::with_capacity(GROUP * width);
        let mut records: Vec<Record> = Vec::with_capacity(GROUP);
        loop {
            let before = cells.len();
            let Some(record) = tokenizer.next(&mut cells) else {
                break;
            };
            self.read += 1;
            if let Some(reason) = self.shape_fault(&record, &cells[before..]) {
                let column = record
                    .fault
                    .and_then(|(_, cell)| self.decoder.header.get(cell).cloned());
                self.reject(&record, &cells[before..], column, reason);
                cells.truncate(before);
                continue;
            }
            cells.truncate(before + width);
            records.push(record);
            if records.len() == GROUP {
                self.parse_group(&records, &cells);
                records.clear();
                cells.clear();
            }
        }
        self.parse_group(&records, &cells);
        self.finish()
    }

    /// Why the record has not the shape of the header.
    fn shape_fault(&self, record: &Record, cells: &[Cell]) -> Option<String> {
        if let Some((fault, _)) = record.fault {
            return Some(match fault {
                QuoteFault::TextAfterQuote => "text after a closing quote".to_owned(),
                QuoteFault::NeverClosed => "a quote that is never closed".to_owned(),
            });
        }
        let width = self.decoder.header.len();
        // Delimiters at the end of a line add cells, but no data.
        let surplus_is_empty = cells
            .iter()
            .skip(width)
            .all(|cell| cell.bytes(self.bytes).trim_ascii().is_empty());
        if record.cells == width || (record.cells > width && surplus_is_empty) {
            return None;
        }
        Some(format!(
            "{} cells where the header has {width}",
            record.cells
        ))
    }

    fn parse_group(&mut self, records: &[Record], cells: &[Cell]) {
        let width = self.decoder.header.len();
        // The first fault of a row, by column order.
        let mut faults: Vec<(usize, usize, Fault)> = Vec::new();
        for (at, column) in self.decoder.columns.iter().enumerate() {
            let Some(cell) = column.cell else {
                self.builders[at].append_nulls(records.len());
                continue;
            };
            let group = cells
                .iter()
                .skip(cell)
                .step_by(width)
                .map(|cell| (*cell, cell.bytes(self.bytes)));
            let mut column_pass = ColumnPass {
                row: 0,
                at,
                faults: &mut faults,
                key: column.key,
                null_words: 0,
                unix_dates: 0,
            };
            match &mut self.builders[at] {
                Builder::BigInt(values) => column_pass.numbers(group, values, parse::integer),
                Builder::Integer(values) => {
                    column_pass.numbers(group, values, parse::small_integer)
                }
                Builder::Float(values) => column_pass.numbers(group, values, parse::float),
                Builder::DateTime(values) => column_pass.numbers(group, values, parse::datetime),
                Builder::Date(values) => {
                    let unix = std::cell::Cell::new(0);
                    column_pass.numbers(group, values, |cell| {
                        parse::date(cell).or_else(|fault| {
                            let day = parse::is_midnight_seconds(cell).ok_or(fault)?;
                            unix.set(unix.get() + 1);
                            Ok(day)
                        })
                    });
                    column_pass.unix_dates = unix.get();
                }
                Builder::Text(values) => {
                    for (cell, bytes) in group {
                        if !self.is_utf8 && std::str::from_utf8(bytes).is_err() {
                            column_pass.fault(Fault::Utf8);
                            values.append_null();
                        } else if bytes.is_empty() || bytes == b"\\N" {
                            column_pass.empty();
                            values.append_null();
                        } else {
                            values.append(|content| cell.append_to(self.bytes, content));
                        }
                        column_pass.row += 1;
                    }
                }
            }
            self.null_words[at] += column_pass.null_words;
            self.unix_dates[at] += column_pass.unix_dates;
        }
        faults.sort_unstable_by_key(|(row, column, _)| (*row, *column));
        faults.dedup_by_key(|(row, _, _)| *row);
        for (row, column, fault) in faults {
            let name = self.decoder.columns[column]
                .cell
                .and_then(|cell| self.decoder.header.get(cell).cloned());
            self.reject(
                &records[row],
                &cells[row * width..(row + 1) * width],
                name,
                fault.reason().to_owned(),
            );
            self.refused.push(self.rows + row);
        }
        self.rows += records.len();
    }

    #[cold]
    fn reject(&mut self, record: &Record, cells: &[Cell], column: Option<String>, reason: String) {
        let (from, lines) = self.counted;
        let line = lines + lines_of(&self.bytes[from..record.start.max(from)]);
        // Rejects of a group come after those of its shapes: lines are counted anew when they go backwards.
        let line = if record.start < from {
            self.block.line + lines_of(&self.bytes[..record.start])
        } else {
            line
        };
        if record.start >= from {
            self.counted = (record.start, line);
        }
        let person = self.decoder.person.and_then(|cell| cells.get(cell));
        let person =
            person.and_then(|cell| parse::integer(parse::trim(cell.bytes(self.bytes))).ok());
        self.rejects.push(RowReject {
            line,
            column,
            reason,
            raw: printable(&self.bytes[record.start..record.end]),
            person,
        });
    }

    fn finish(mut self) -> Result<Rows, ArrowError> {
        let rows = self.rows;
        let keep = (!self.refused.is_empty()).then(|| {
            let mut keep = vec![true; rows];
            for row in &self.refused {
                keep[*row] = false;
            }
            BooleanArray::from(keep)
        });
        let mut columns = Vec::with_capacity(self.builders.len());
        for builder in self.builders {
            let array = builder.finish()?;
            columns.push(match &keep {
                Some(keep) => filter(&array, keep)?,
                None => array,
            });
        }
        if columns.is_empty() {
            columns.push(Arc::new(NullArray::new(rows)));
        }
        self.rejects.sort_by_key(|reject| reject.line);
        let counted = |counts: Vec<u64>| {
            counts
                .into_iter()
                .enumerate()
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        Ok(Rows {
            columns,
            read: self.read,
            rejects: self.rejects,
            notes: Notes {
                null_words: counted(self.null_words),
                unix_dates: counted(self.unix_dates),
            },
        })
    }
}

/// One column of a group on its way.
struct ColumnPass<'a> {
    row: usize,
    at: usize,
    faults: &'a mut Vec<(usize, usize, Fault)>,
    key: bool,
    null_words: u64,
    unix_dates: u64,
}

impl ColumnPass<'_> {
    #[inline]
    fn numbers<'b, T: Default>(
        &mut self,
        group: impl Iterator<Item = (Cell, &'b [u8])>,
        values: &mut super::builder::Numbers<T>,
        parse: impl Fn(&[u8]) -> Result<T, Fault>,
    ) {
        for (_, bytes) in group {
            let bytes = parse::trim(bytes);
            if bytes.is_empty() {
                self.empty();
                values.append_null();
            } else {
                match parse(bytes) {
                    Ok(value) => values.append(value),
                    Err(fault) => {
                        if parse::is_null_word(bytes) {
                            self.null_words += 1;
                            self.empty();
                        } else {
                            self.fault(fault);
                        }
                        values.append_null();
                    }
                }
            }
            self.row += 1;
        }
    }

    #[inline]
    fn empty(&mut self) {
        if self.key {
            self.fault(Fault::MissingKey);
        }
    }

    #[cold]
    fn fault(&mut self, fault: Fault) {
        self.faults.push((self.row, self.at, fault));
    }
}

/// Bytes as text: those that are not UTF-8 as `\xHH`, so that the row can be restored.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Date32Type, Int32Type, Int64Type};

    fn decode(types: &[CellType], text: &[u8]) -> Rows {
        let columns = types.iter().enumerate().map(|(at, cell_type)| Column {
            cell_type: *cell_type,
            cell: Some(at),
            key: at == 0,
        });
        let header = (0..types.len()).map(|at| format!("c{at}")).collect();
        let decoder = Decoder {
            columns: columns.collect(),
            header,
            delimiter: b',',
            person: Some(0),
        };
        decoder
            .decode(&TextBlock {
                bytes: text.to_vec(),
                offset: 0,
                line: 2,
                record: 0,
            })
            .unwrap()
    }

    #[test]
    fn typed_columns() {
        let rows = decode(
            &[
                CellType::BigInt,
                CellType::Text,
                CellType::Date,
                CellType::Integer,
            ],
            "7,김,2024-02-29,1.0\r\n 8 ,\"\",,NULL\n".as_bytes(),
        );
        assert_eq!(
            (rows.read, rows.columns[0].len(), rows.rejects.len()),
            (2, 2, 0)
        );
        assert_eq!(
            rows.columns[0].as_primitive::<Int64Type>().values(),
            &[7, 8]
        );
        assert_eq!(rows.columns[1].as_string::<i32>().value(0), "김");
        assert_eq!(rows.columns[1].null_count(), 1);
        assert_eq!(
            rows.columns[2].as_primitive::<Date32Type>().value(0),
            19_782
        );
        assert_eq!(rows.columns[3].as_primitive::<Int32Type>().value(0), 1);
        assert_eq!(rows.notes.null_words, [(3, 1)]);
    }

    #[test]
    fn each_reject_names_line_and_column_once() {
        let text = b"1,a,2024-01-01\nx,\xff,never\n2,b\n3,\"q\"z,2024-01-01\n4,c,2024-01-01,,\n5,\"two\nlines\",20240230\n,d,2024-01-01\n6,e,2024-01-01,z\n";
        let rows = decode(&[CellType::BigInt, CellType::Text, CellType::Date], text);
        assert_eq!((rows.read, rows.columns[0].len()), (8, 2));
        let seen: Vec<_> = rows
            .rejects
            .iter()
            .map(|r| (r.line, r.column.as_deref(), r.reason.as_str(), r.person))
            .collect();
        assert_eq!(
            seen,
            [
                (3, Some("c0"), "not an integer", None),
                (4, None, "2 cells where the header has 3", Some(2)),
                (5, Some("c1"), "text after a closing quote", Some(3)),
                (7, Some("c2"), "not a date", Some(5)),
                (9, Some("c0"), "required key is empty", None),
                (10, None, "4 cells where the header has 3", Some(6)),
            ]
        );
        assert_eq!(rows.rejects[0].raw, "x,\\xff,never");
        assert_eq!(rows.rejects[3].raw, "5,\"two\nlines\",20240230");
        assert_eq!(
            rows.columns[0].as_primitive::<Int64Type>().values(),
            &[1, 4]
        );
    }
}
