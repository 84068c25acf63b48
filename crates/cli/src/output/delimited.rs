//! CSV and TSV with a header, quoted as RFC 4180 has it. NULL is empty, an empty text is `""`, and
//! lists and structs are JSON text in one cell.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::json::writer::EncoderOptions;
use arrow::record_batch::RecordBatch;

use crate::error::CliError;

use super::cells::{CellWriter, json_options};
use super::{Printer, arrow_error};

/// Prints CSV or TSV.
#[derive(Debug)]
pub(crate) struct DelimitedPrinter<W: Write> {
    schema: SchemaRef,
    out: W,
    delimiter: u8,
    json: EncoderOptions,
    lines: Vec<u8>,
}

impl<W: Write> DelimitedPrinter<W> {
    /// Prints the header, and starts.
    pub(crate) fn new(schema: &SchemaRef, mut out: W, delimiter: u8) -> Result<Self, CliError> {
        let mut line = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                line.push(delimiter);
            }
            push_quoted(field.name(), delimiter, &mut line);
        }
        line.push(b'\n');
        out.write_all(&line)?;
        Ok(Self {
            schema: SchemaRef::clone(schema),
            out,
            delimiter,
            json: json_options(),
            lines: Vec::new(),
        })
    }
}

impl<W: Write> Printer for DelimitedPrinter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let mut columns =
            CellWriter::of_batch(&self.schema, batch, &self.json).map_err(arrow_error)?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter_mut().enumerate() {
                if index > 0 {
                    self.lines.push(self.delimiter);
                }
                cell.clear();
                if column.append(row, &mut cell).map_err(arrow_error)? {
                    push_quoted(&cell, self.delimiter, &mut self.lines);
                }
            }
            self.lines.push(b'\n');
            if self.lines.len() > 1 << 16 {
                self.out.write_all(&self.lines)?;
                self.lines.clear();
            }
        }
        self.out.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CliError> {
        Ok(self.out.flush()?)
    }
}

/// Appends a text, in quotes where it needs them. An empty text does: without them it would be NULL.
fn push_quoted(text: &str, delimiter: u8, line: &mut Vec<u8>) {
    let special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    if !text.is_empty() && !text.bytes().any(special) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    line.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;
    use crate::output::table::tests::{nested_batch, sample_batch};

    fn printed(batch: &RecordBatch, delimiter: u8) -> String {
        let mut out = Vec::new();
        let schema = batch.schema();
        let mut printer = DelimitedPrinter::new(&schema, &mut out, delimiter).expect("header");
        printer.write(batch).expect("rows");
        printer.finish().expect("end");
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn quotes_nulls_and_empty_texts() {
        assert_eq!(
            printed(&sample_batch(), b','),
            "id,name,weight,since,seen\n\
             1,\"Kim, \"\"A\"\"\",61.5,2020-02-29,2020-02-29 08:30:00\n\
             2,\"\",,,\n\
             ,\"two\nlines\",-0.001,1969-12-31,1969-12-31 23:59:59.500\n"
        );
        assert!(printed(&sample_batch(), b'\t').contains("\n1\t\"Kim, \"\"A\"\"\"\t61.5\t"));
    }

    #[test]
    fn nested_values_are_json_in_a_cell() {
        assert_eq!(
            printed(&nested_batch(), b','),
            "g,curve\nA,\"[{\"\"time\"\":5,\"\"survival\"\":0.5},{\"\"time\"\":10,\"\"survival\"\":null}]\"\nB,[]\nC,\n"
        );
    }
}
