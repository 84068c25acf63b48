//! A Markdown table (GitHub's flavour): numbers to the right, `|` and line breaks escaped.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::json::writer::EncoderOptions;
use arrow::record_batch::RecordBatch;

use crate::error::CliError;

use super::cells::{CellWriter, is_number, json_options, visible};
use super::{Printer, arrow_error};

/// Prints Markdown.
#[derive(Debug)]
pub(crate) struct MarkdownPrinter<W: Write> {
    schema: SchemaRef,
    out: W,
    json: EncoderOptions,
}

impl<W: Write> MarkdownPrinter<W> {
    /// Prints the head of the table, and starts.
    pub(crate) fn new(schema: &SchemaRef, mut out: W) -> Result<Self, CliError> {
        let mut head = String::from("|");
        let mut rule = String::from("|");
        for field in schema.fields() {
            head.push_str(&format!(" {} |", escaped(field.name())));
            rule.push_str(if is_number(field.data_type()) {
                " ---: |"
            } else {
                " --- |"
            });
        }
        writeln!(out, "{head}\n{rule}")?;
        Ok(Self {
            schema: SchemaRef::clone(schema),
            out,
            json: json_options(),
        })
    }
}

impl<W: Write> Printer for MarkdownPrinter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let mut columns =
            CellWriter::of_batch(&self.schema, batch, &self.json).map_err(arrow_error)?;
        let mut cell = String::new();
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            line.push('|');
            for column in &mut columns {
                cell.clear();
                column.append(row, &mut cell).map_err(arrow_error)?;
                line.push(' ');
                line.push_str(&escaped(&cell));
                line.push_str(" |");
            }
            line.push('\n');
            self.out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CliError> {
        Ok(self.out.flush()?)
    }
}

fn escaped(text: &str) -> String {
    visible(&text.replace("\r\n", "\n"), true)
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('\n', "<br>")
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;
    use crate::output::table::tests::sample_batch;

    #[test]
    fn a_table_that_markdown_reads() {
        let batch = sample_batch();
        let mut out = Vec::new();
        let mut printer = MarkdownPrinter::new(&batch.schema(), &mut out).expect("head");
        printer.write(&batch).expect("rows");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "| id | name | weight | since | seen |\n| ---: | --- | ---: | --- | --- |\n\
             | 1 | Kim, \"A\" | 61.5 | 2020-02-29 | 2020-02-29 08:30:00 |\n| 2 |  |  |  |  |\n\
             |  | two<br>lines | -0.001 | 1969-12-31 | 1969-12-31 23:59:59.500 |\n"
        );
        assert_eq!(escaped(r"a|b\c"), r"a\|b\\c");
    }
}
