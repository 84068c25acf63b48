//! Where the results of a session go, and a receiver that prints one of them.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::args::Format;
use crate::error::CliError;
use crate::output::sink::{SharedSink, Sink};
use crate::output::{Printer, Style, printer};
use crate::settings::{Settings, pager};
use crate::sql::engine::Receiver;

/// Where the results of a session go.
#[derive(Debug, Default)]
pub(crate) struct Target {
    /// A file; none for standard output.
    path: Option<PathBuf>,
    /// Results show when they are complete. How many rows come before a failure depends on rows that are not shown: on how
    /// they lie among those that are.
    whole: bool,
    /// Results that went there.
    results: usize,
}

impl Target {
    /// Standard output, or a file.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            whole: false,
            results: 0,
        }
    }

    /// Whether results show only when they are complete.
    pub(crate) fn whole(self, whole: bool) -> Self {
        Self { whole, ..self }
    }

    /// Results go to standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        self.path.is_none()
    }

    fn open(&self, format: Format, settings: &Settings, paging: bool) -> Result<Sink, CliError> {
        let sink = self.sink(format, settings, paging)?;
        Ok(if self.whole { sink.held() } else { sink })
    }

    fn sink(&self, format: Format, settings: &Settings, paging: bool) -> Result<Sink, CliError> {
        match &self.path {
            Some(path) if self.results == 0 => Sink::file(path),
            Some(path) if format.holds_one_result() => Err(CliError::failed(format!(
                "`{}` holds a result already, and {} has room for one",
                path.display(),
                format.name()
            ))
            .hint("write one result to each file, or choose `--format ndjson`")),
            Some(path) => Sink::append(path),
            None if format.is_binary() && settings.stdout_terminal => Err(CliError::failed(
                format!("{} is not for a terminal", format.name()),
            )
            .hint("name a file with `-o FILE` (`\\o FILE` in the shell), or redirect the output")),
            None => Ok(
                match (paging && settings.stdout_terminal).then(pager).flatten() {
                    Some(pager) => Sink::paged(pager, settings.screen()),
                    None => Sink::stdout(),
                },
            ),
        }
    }
}

/// Prints one result to a target.
pub(crate) struct ResultPrinter<'s> {
    target: &'s mut Target,
    format: Format,
    settings: &'s Settings,
    paging: bool,
    open: Option<(Box<dyn Printer>, SharedSink)>,
}

impl std::fmt::Debug for ResultPrinter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResultPrinter")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl<'s> ResultPrinter<'s> {
    /// A printer for the next result.
    pub(crate) fn new(
        target: &'s mut Target,
        format: Format,
        settings: &'s Settings,
        paging: bool,
    ) -> Self {
        Self {
            target,
            format,
            settings,
            paging,
            open: None,
        }
    }
}

impl Receiver for ResultPrinter<'_> {
    fn start(&mut self, schema: &SchemaRef) -> Result<(), CliError> {
        let sink = SharedSink::new(self.target.open(self.format, self.settings, self.paging)?);
        let mut out: Box<dyn std::io::Write + Send> = Box::new(sink.clone());
        // At the prompt, the row count stands between results.
        if !self.paging
            && self.target.results > 0
            && matches!(self.format, Format::Table | Format::Markdown)
        {
            writeln!(out)?;
        }
        let to_screen = self.target.is_stdout() && self.settings.stdout_terminal;
        let style = Style {
            box_drawing: to_screen && self.settings.utf8,
            colour: self.target.is_stdout() && self.settings.colour_out,
            file: !self.target.is_stdout(),
        };
        self.open = Some((printer(self.format, schema, out, style)?, sink));
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        self.open
            .as_mut()
            .map_or(Ok(()), |(printer, _)| printer.write(batch))
    }

    fn finish(&mut self) -> Result<(), CliError> {
        if let Some((mut printer, sink)) = self.open.take() {
            printer.finish()?;
            drop(printer);
            self.target.results += 1;
            sink.commit()?;
        }
        Ok(())
    }

    fn on_terminal(&self) -> bool {
        self.target.is_stdout() && self.settings.stdout_terminal
    }
}
