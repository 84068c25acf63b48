//! JSON as one array of objects, or one object in each line (NDJSON); NULLs are written.

use std::io::Write;

use arrow::error::ArrowError;
use arrow::json::writer::{JsonFormat, LineDelimited, Writer, WriterBuilder};
use arrow::record_batch::RecordBatch;

use crate::error::CliError;

use super::{Printer, arrow_error};

/// Prints JSON.
#[derive(Debug)]
pub(crate) struct JsonPrinter<W: Write, F: JsonFormat> {
    writer: Writer<W, F>,
    /// The brackets of an empty array, which Arrow's writer leaves out.
    closing: &'static [u8],
    any: bool,
}

/// An array with one object in each line.
#[derive(Debug, Default)]
pub(crate) struct ArrayLines;

impl JsonFormat for ArrayLines {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"[\n")?)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        if !is_first_row {
            writer.write_all(b",\n")?;
        }
        Ok(())
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"\n]\n")?)
    }
}

impl<W: Write> JsonPrinter<W, ArrayLines> {
    /// Prints an array.
    pub(crate) fn array(out: W) -> Result<Self, CliError> {
        let writer = WriterBuilder::new().with_explicit_nulls(true).build(out);
        Ok(Self {
            writer,
            closing: b"[]\n",
            any: false,
        })
    }
}

impl<W: Write> JsonPrinter<W, LineDelimited> {
    /// Prints lines.
    pub(crate) fn lines(out: W) -> Self {
        let writer = WriterBuilder::new().with_explicit_nulls(true).build(out);
        Self {
            writer,
            closing: b"",
            any: false,
        }
    }
}

impl<W: Write, F: JsonFormat> Printer for JsonPrinter<W, F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.any = true;
        self.writer.write(batch).map_err(arrow_error)
    }

    fn finish(&mut self) -> Result<(), CliError> {
        if self.any {
            self.writer.finish().map_err(arrow_error)?;
        } else {
            self.writer.get_mut().write_all(self.closing)?;
        }
        Ok(self.writer.get_mut().flush()?)
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;
    use crate::output::table::tests::{nested_batch, sample_batch};

    #[test]
    fn an_array_of_objects_and_lines_of_objects() {
        let batch = nested_batch();
        let mut out = Vec::new();
        let mut printer = JsonPrinter::array(&mut out).expect("start");
        printer.write(&batch.slice(0, 1)).expect("rows");
        printer.write(&batch.slice(1, 2)).expect("rows");
        printer.finish().expect("end");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "[\n{\"g\":\"A\",\"curve\":[{\"time\":5,\"survival\":0.5},{\"time\":10,\"survival\":null}]},\n\
             {\"g\":\"B\",\"curve\":[]},\n{\"g\":\"C\",\"curve\":null}\n]\n"
        );
        let mut out = Vec::new();
        let mut printer = JsonPrinter::lines(&mut out);
        printer.write(&sample_batch()).expect("rows");
        printer.finish().expect("end");
        let text = String::from_utf8_lossy(&out).into_owned();
        assert_eq!(text.lines().count(), 3);
        assert!(text.starts_with("{\"id\":1,\"name\":\"Kim, \\\"A\\\"\",\"weight\":61.5,\"since\":\"2020-02-29\",\"seen\":\"2020-02-29T08:30:00\"}\n"), "{text}");
    }

    #[test]
    fn an_empty_result_is_still_json() {
        let mut out = Vec::new();
        let mut printer = JsonPrinter::array(&mut out).expect("start");
        printer.write(&sample_batch().slice(0, 0)).expect("rows");
        printer.finish().expect("end");
        assert_eq!(out, b"[]\n");
    }
}
