//! Aligned columns for people. Widths come from the first rows, which are held back; all later rows
//! stream with these widths, and a longer cell pushes its line out rather than being cut.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Fields, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::EncoderOptions;
use arrow::record_batch::RecordBatch;
use unicode_width::UnicodeWidthStr;

use crate::error::CliError;

use super::cells::{CellWriter, is_nested, is_number, json_options, visible};
use super::{Printer, Style, arrow_error};

/// Rows that decide the widths.
const HELD_ROWS: usize = 1_000;
/// Bytes of text that decide the widths, where rows are large.
const HELD_BYTES: usize = 4 << 20;
/// How NULL is shown.
const NULL: &str = "NULL";

/// Prints a table.
#[derive(Debug)]
pub(crate) struct TablePrinter<W: Write> {
    schema: SchemaRef,
    out: W,
    style: Style,
    json: EncoderOptions,
    held: Vec<Vec<Cell>>,
    held_bytes: usize,
    widths: Option<Vec<usize>>,
}

/// A cell: one line, or several.
#[derive(Debug, Default)]
struct Cell {
    text: String,
    null: bool,
}

impl Cell {
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    fn width(&self) -> usize {
        self.lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
    }
}

impl<W: Write> TablePrinter<W> {
    /// Starts a table; nothing is printed until the widths are known.
    pub(crate) fn new(schema: &SchemaRef, out: W, style: Style) -> Self {
        Self {
            schema: SchemaRef::clone(schema),
            out,
            style,
            json: json_options(),
            held: Vec::new(),
            held_bytes: 0,
            widths: None,
        }
    }

    /// Fixes the widths, and prints the head and the rows that were held back.
    fn release(&mut self) -> Result<(), CliError> {
        if self.widths.is_some() {
            return Ok(());
        }
        let mut widths: Vec<usize> = self
            .schema
            .fields()
            .iter()
            .map(|field| visible(field.name(), false).width())
            .collect();
        for row in &self.held {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        self.head(&widths)?;
        for row in std::mem::take(&mut self.held) {
            self.row(&row, &widths)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn head(&mut self, widths: &[usize]) -> Result<(), CliError> {
        let (bar, line, cross) = self.lines();
        let (bold, off) = if self.style.colour {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("", "")
        };
        let mut head = String::new();
        let mut rule = String::new();
        let last = widths.len().saturating_sub(1);
        for (index, (field, &width)) in self.schema.fields().iter().zip(widths).enumerate() {
            let name = visible(field.name(), false);
            let pad = " ".repeat(width - name.width());
            let name = format!("{bold}{name}{off}");
            let text = match (is_number(field.data_type()), index == last) {
                (true, _) => format!(" {pad}{name} "),
                (false, true) => format!(" {name}"),
                (false, false) => format!(" {name}{pad} "),
            };
            head.push_str(&text);
            rule.push_str(&line.repeat(width + 2));
            if index < last {
                head.push_str(bar);
                rule.push_str(cross);
            }
        }
        writeln!(self.out, "{}\n{rule}", head.trim_end())?;
        Ok(())
    }

    fn lines(&self) -> (&'static str, &'static str, &'static str) {
        if self.style.box_drawing {
            ("│", "─", "┼")
        } else {
            ("|", "-", "+")
        }
    }

    fn row(&mut self, row: &[Cell], widths: &[usize]) -> Result<(), CliError> {
        let (bar, ..) = self.lines();
        let (dim, off) = if self.style.colour {
            ("\x1b[2m", "\x1b[0m")
        } else {
            ("", "")
        };
        let height = row
            .iter()
            .map(|cell| cell.lines().count())
            .max()
            .unwrap_or(1);
        let mut cells: Vec<_> = row.iter().map(Cell::lines).collect();
        let mut line = String::new();
        for _ in 0..height {
            line.clear();
            for (index, (cell, &width)) in cells.iter_mut().zip(widths).enumerate() {
                if index > 0 {
                    line.push_str(bar);
                }
                let text = cell.next().unwrap_or_default();
                let pad = " ".repeat(width.saturating_sub(text.width()));
                let right = is_number(self.schema.field(index).data_type());
                let (before, after) = if right {
                    (pad.as_str(), "")
                } else {
                    ("", pad.as_str())
                };
                line.push(' ');
                line.push_str(before);
                if row[index].null {
                    line.push_str(dim);
                    line.push_str(text);
                    line.push_str(off);
                } else {
                    line.push_str(text);
                }
                line.push_str(after);
                line.push(' ');
            }
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl<W: Write> Printer for TablePrinter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let schema = SchemaRef::clone(&self.schema);
        let json = self.json.clone();
        let mut columns = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| match rows_of_structs(column) {
                Some(fields) => Ok(Column::Table(column, fields)),
                None => CellWriter::new(field, column, &json)
                    .map(|writer| Column::Plain(Box::new(writer))),
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(arrow_error)?;
        for index in 0..batch.num_rows() {
            let row = columns
                .iter_mut()
                .map(|column| column.cell(index))
                .collect::<Result<Vec<_>, _>>()
                .map_err(arrow_error)?;
            if let Some(widths) = self.widths.take() {
                self.row(&row, &widths)?;
                self.widths = Some(widths);
            } else {
                self.held_bytes += row.iter().map(|cell| cell.text.len()).sum::<usize>();
                self.held.push(row);
                if self.held.len() >= HELD_ROWS || self.held_bytes >= HELD_BYTES {
                    self.release()?;
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CliError> {
        self.release()?;
        Ok(self.out.flush()?)
    }
}

/// How the cells of a column are made.
enum Column<'a> {
    Plain(Box<CellWriter<'a>>),
    /// A list of structs: a small table inside the cell.
    Table(&'a ArrayRef, &'a Fields),
}

impl Column<'_> {
    fn cell(&mut self, row: usize) -> Result<Cell, ArrowError> {
        let mut text = String::new();
        let present = match self {
            Self::Plain(writer) => writer.append(row, &mut text)?,
            Self::Table(column, fields) => match list_value(column, row) {
                Some(rows) => {
                    text = small_table(&rows, fields)?;
                    true
                }
                None => false,
            },
        };
        if !present {
            return Ok(Cell {
                text: NULL.to_owned(),
                null: true,
            });
        }
        Ok(Cell {
            text: visible(&text, true).into_owned(),
            null: false,
        })
    }
}

/// The fields of a column of lists of structs of scalars.
fn rows_of_structs(column: &ArrayRef) -> Option<&Fields> {
    let (DataType::List(item) | DataType::LargeList(item)) = column.data_type() else {
        return None;
    };
    match item.data_type() {
        DataType::Struct(fields) if !fields.iter().any(|field| is_nested(field.data_type())) => {
            Some(fields)
        }
        _ => None,
    }
}

fn list_value(column: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if column.is_null(row) {
        None
    } else if let Some(list) = column.as_list_opt::<i32>() {
        Some(list.value(row))
    } else {
        column.as_list_opt::<i64>().map(|list| list.value(row))
    }
}

/// A list of structs as lines: the field names, then one line for each struct.
fn small_table(rows: &ArrayRef, fields: &Fields) -> Result<String, ArrowError> {
    let structs = rows.as_struct();
    let json = json_options();
    let mut writers = fields
        .iter()
        .zip(structs.columns())
        .map(|(field, column)| CellWriter::new(field, column, &json))
        .collect::<Result<Vec<_>, _>>()?;
    let mut lines: Vec<Vec<String>> =
        vec![fields.iter().map(|field| field.name().clone()).collect()];
    for row in 0..structs.len() {
        let mut line = Vec::with_capacity(writers.len());
        for writer in &mut writers {
            let mut text = String::new();
            if structs.is_null(row) || !writer.append(row, &mut text)? {
                text = NULL.to_owned();
            }
            line.push(visible(&text, false).into_owned());
        }
        lines.push(line);
    }
    let widths: Vec<usize> = (0..fields.len())
        .map(|index| {
            lines
                .iter()
                .map(|line| line[index].width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            let mut text = String::new();
            for ((cell, &width), field) in line.iter().zip(&widths).zip(fields) {
                let pad = " ".repeat(width - cell.width());
                if !text.is_empty() {
                    text.push_str("  ");
                }
                if is_number(field.data_type()) {
                    text.push_str(&pad);
                    text.push_str(cell);
                } else {
                    text.push_str(cell);
                    text.push_str(&pad);
                }
            }
            text.trim_end().to_owned()
        })
        .collect();
    Ok(text.join("\n"))
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
pub(crate) mod tests {
    use super::*;
    use arrow::array::{
        Date32Array, Float64Array, Int64Array, ListArray, StringArray, StructArray,
        TimestampMicrosecondArray,
    };
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::Field;
    use std::sync::Arc;

    /// Numbers, quotes, dates, times, NULLs, empty texts and line feeds.
    pub(crate) fn sample_batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            (
                "id",
                Arc::new(Int64Array::from(vec![Some(1), Some(2), None])) as ArrayRef,
            ),
            (
                "name",
                Arc::new(StringArray::from(vec!["Kim, \"A\"", "", "two\nlines"])),
            ),
            (
                "weight",
                Arc::new(Float64Array::from(vec![Some(61.5), None, Some(-0.001)])),
            ),
            (
                "since",
                Arc::new(Date32Array::from(vec![Some(18_321), None, Some(-1)])),
            ),
            (
                "seen",
                Arc::new(TimestampMicrosecondArray::from(vec![
                    Some(1_582_965_000_000_000),
                    None,
                    Some(-500_000),
                ])),
            ),
        ])
        .expect("a batch")
    }

    /// Lists of structs: a curve, an empty one, and NULL.
    pub(crate) fn nested_batch() -> RecordBatch {
        let fields: Fields = vec![
            Field::new("time", DataType::Int64, true),
            Field::new("survival", DataType::Float64, true),
        ]
        .into();
        let structs = StructArray::new(
            fields.clone(),
            vec![
                Arc::new(Int64Array::from(vec![5, 10])),
                Arc::new(Float64Array::from(vec![Some(0.5), None])),
            ],
            None,
        );
        let curves = ListArray::new(
            Arc::new(Field::new("item", DataType::Struct(fields), true)),
            OffsetBuffer::from_lengths([2, 0, 0]),
            Arc::new(structs),
            Some(NullBuffer::from(vec![true, true, false])),
        );
        RecordBatch::try_from_iter([
            (
                "g",
                Arc::new(StringArray::from(vec!["A", "B", "C"])) as ArrayRef,
            ),
            ("curve", Arc::new(curves)),
        ])
        .expect("a batch")
    }

    fn printed(batches: &[RecordBatch], style: Style) -> String {
        let mut out = Vec::new();
        let mut printer = TablePrinter::new(&batches[0].schema(), &mut out, style);
        for batch in batches {
            printer.write(batch).expect("rows");
        }
        printer.finish().expect("end");
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(
            printed(&[sample_batch()], Style::default()),
            concat!(
                "   id | name     | weight | since      | seen\n",
                "------+----------+--------+------------+-------------------------\n",
                "    1 | Kim, \"A\" |   61.5 | 2020-02-29 | 2020-02-29 08:30:00\n",
                "    2 |          |   NULL | NULL       | NULL\n",
                " NULL | two      | -0.001 | 1969-12-31 | 1969-12-31 23:59:59.500\n",
                "      | lines    |        |            |\n",
            )
        );
    }

    #[test]
    fn a_list_of_structs_is_a_small_table() {
        assert_eq!(
            printed(
                &[nested_batch()],
                Style {
                    box_drawing: true,
                    ..Style::default()
                }
            ),
            concat!(
                " g │ curve\n",
                "───┼────────────────\n",
                " A │ time  survival\n",
                "   │    5       0.5\n",
                "   │   10      NULL\n",
                " B │ time  survival\n",
                " C │ NULL\n",
            )
        );
    }

    #[test]
    fn wide_characters_and_control_characters_keep_the_columns() {
        let batch = RecordBatch::try_from_iter([
            (
                "이름",
                Arc::new(StringArray::from(vec!["김철수", "a\u{1b}[2Jb"])) as ArrayRef,
            ),
            ("n", Arc::new(Int64Array::from(vec![1, 2]))),
        ])
        .expect("a batch");
        assert_eq!(
            printed(&[batch], Style::default()),
            " 이름        | n\n-------------+---\n 김철수      | 1\n a\\u{1b}[2Jb | 2\n"
        );
    }

    #[test]
    fn rows_beyond_the_first_stream_with_fixed_widths() {
        let short = RecordBatch::try_from_iter([(
            "n",
            Arc::new(StringArray::from(vec!["a"; HELD_ROWS])) as ArrayRef,
        )])
        .expect("a batch");
        let long = RecordBatch::try_from_iter([(
            "n",
            Arc::new(StringArray::from(vec!["longer"])) as ArrayRef,
        )])
        .expect("a batch");
        let text = printed(&[short, long], Style::default());
        assert!(text.starts_with(" n\n---\n a\n"));
        assert!(text.ends_with(" a\n longer\n"));
        assert_eq!(text.lines().count(), HELD_ROWS + 3);
    }
}
