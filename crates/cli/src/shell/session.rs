//! A session: statements and backslash commands, one after the other, with what they change.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use columna_query::script::Parameters;
use columna_store::Snapshot;

use crate::args::Format;
use crate::commands::privacy::access::refused;
use crate::error::{CliError, Report};
use crate::output::sink::Sink;
use crate::settings::{Settings, pager};
use crate::size::{human_time, plural};
use crate::sql::catalogue;
use crate::sql::engine::{Engine, Mode, Ran, Receiver};
use crate::sql::parameters::{parameter, text_of};
use crate::sql::script::{Item, ItemKind, Script};

use super::backslash::{Backslash, help, parse};
use super::describe;
use super::policed;
use super::results::{ResultPrinter, Target};

/// Files that include files that include files: beyond this it is a circle.
const MAX_DEPTH: usize = 16;

/// How long queries that were cancelled may take to put their temporary files away.
const FAREWELL: Duration = Duration::from_millis(500);

/// The state of a session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) format: Format,
    pub(crate) target: Target,
    pub(crate) parameters: Parameters,
    /// A person is at the prompt: counts and times are shown, and errors do not end the session.
    pub(crate) interactive: bool,
    /// `\timing`; unless told, times are shown at the prompt only.
    pub(crate) timing: Option<bool>,
    /// The last statement, for `\watch` and `\explain`.
    pub(crate) last: Option<String>,
    /// How deep `\i` is nested.
    pub(crate) depth: usize,
}

/// Whether a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It does.
    Continue,
    /// `\q`.
    Quit,
}

impl Session {
    /// Runs a script up to its end or its first error.
    pub(crate) fn run_script(&mut self, script: &Script<'_>) -> Result<Flow, CliError> {
        let mut at = 0;
        while let Some((item, next)) = script.next(at) {
            at = next;
            match item.kind {
                ItemKind::Statement => self.run_statement(script, &item, Mode::Run, true)?,
                ItemKind::Command => {
                    let command = self.admitted(script, &item)?;
                    if self.run_command(script, &item, command)? == Flow::Quit {
                        return Ok(Flow::Quit);
                    }
                }
            }
        }
        Ok(Flow::Continue)
    }

    /// Runs one statement of the program's own and prints its result.
    pub(crate) fn demonstrate(&mut self, sql: &str) -> Result<(), CliError> {
        self.run_script(&Script {
            name: "demo",
            text: sql,
        })
        .map(|_| ())
    }

    /// Runs one statement of the program's own for its rows.
    pub(crate) fn ask(&mut self, sql: &str, receiver: &mut dyn Receiver) -> Result<(), CliError> {
        let script = Script {
            name: "demo",
            text: sql,
        };
        let Some((item, _)) = script.next(0) else {
            return Ok(());
        };
        self.engine
            .run(
                &self.settings,
                &script,
                &item,
                Mode::Run,
                &self.parameters,
                receiver,
            )
            .map(|_| ())
    }

    /// Ends the session. Queries that were cancelled get a moment to put their temporary files away.
    pub(crate) fn close(self) {
        let Engine { runtime, context } = self.engine;
        drop(context);
        runtime.shutdown_timeout(FAREWELL);
    }

    fn run_statement(
        &mut self,
        script: &Script<'_>,
        item: &Item<'_>,
        mode: Mode,
        paging: bool,
    ) -> Result<(), CliError> {
        self.last = Some(item.text.to_owned());
        let paging = paging && self.pages();
        let mut printer = ResultPrinter::new(&mut self.target, self.format, &self.settings, paging);
        let ran = self.engine.run(
            &self.settings,
            script,
            item,
            mode,
            &self.parameters,
            &mut printer,
        );
        if let Ok(ran) = &ran {
            self.say_time(ran);
        }
        // What was spent is spent, also by a statement that failed afterwards.
        for note in self
            .engine
            .gate()
            .map(|gate| gate.notes())
            .unwrap_or_default()
        {
            self.say(&note);
        }
        ran.map(|_| ())
    }

    /// Row count and time, on standard error.
    fn say_time(&self, ran: &Ran) {
        let timing = self.timing.unwrap_or(self.interactive);
        let rows = ran
            .rows
            .map(|rows| plural(rows, "row"))
            .filter(|_| self.interactive || timing);
        let time = timing.then(|| human_time(ran.elapsed));
        let parts: Vec<String> = rows.into_iter().chain(time).collect();
        if !parts.is_empty() {
            self.say(&format!("({})", parts.join(", ")));
        }
    }

    /// A message for people, on standard error.
    pub(crate) fn say(&self, message: &str) {
        // Nobody is there to hear that standard error is gone.
        let _ = writeln!(std::io::stderr(), "{message}");
    }

    /// A command, where it is one and the session's policy lets it in.
    fn admitted(&self, script: &Script<'_>, item: &Item<'_>) -> Result<Backslash, CliError> {
        let gate = self.engine.gate();
        let command = parse(item.text).map_err(|message| {
            let wrong = Report::new(message).at(script.place(item, None, 1));
            let recorded = gate
                .as_ref()
                .map_or(Ok(()), |gate| gate.not_understood("\\"));
            match recorded {
                Ok(()) => CliError::report(wrong.quotes()),
                Err(error) => refused(&error),
            }
        })?;
        if let Some(gate) = gate {
            let tables = || catalogue::tables(&self.engine.context);
            policed::admit(&gate, &command, tables).map_err(|error| refused(&error))?;
        }
        Ok(command)
    }

    /// A result that is longer than the screen goes to a pager: a person is there, who may have one. Under a policy nobody does:
    /// pagers open files and start programs, as the account that the engine runs under.
    fn pages(&self) -> bool {
        self.interactive && !self.engine.is_restricted()
    }

    fn run_command(
        &mut self,
        script: &Script<'_>,
        item: &Item<'_>,
        command: Backslash,
    ) -> Result<Flow, CliError> {
        match command {
            Backslash::Quit => return Ok(Flow::Quit),
            Backslash::Help => self.print_text(&help())?,
            Backslash::Describe(table) => self.describe(table.as_deref())?,
            Backslash::Functions(None) => {
                let list = describe::function_list().map_err(crate::output::arrow_error)?;
                self.print_batch(&list)?;
            }
            Backslash::Functions(Some(name)) => {
                let text = describe::function(&name, &self.engine.context).ok_or_else(|| {
                    CliError::report(
                        Report::new(format!("no function named `{name}`"))
                            .at(script.place(item, None, 1))
                            .hint("`\\df` lists the functions"),
                    )
                })?;
                self.print_text(&text)?;
            }
            Backslash::Timing(wanted) => {
                let on = wanted.unwrap_or(!self.timing.unwrap_or(self.interactive));
                self.timing = Some(on);
                self.say(&format!("timing is {}", if on { "on" } else { "off" }));
            }
            Backslash::Output(path) => {
                let said = path
                    .as_ref()
                    .map_or("results go to standard output".to_owned(), |path| {
                        format!("results go to `{path}`")
                    });
                self.target = Target::new(path.map(PathBuf::from));
                if self.interactive {
                    self.say(&said);
                }
            }
            Backslash::Include(path) => return self.include(&path),
            Backslash::Format(name) => self.set_format(name.as_deref())?,
            Backslash::Watch(seconds) => self.watch(seconds)?,
            Backslash::Explain(sql) => self.explain(script, item, sql.as_deref())?,
            Backslash::Set(name, value) => self.set(name, value)?,
            Backslash::Unset(name) => {
                if self.parameters.remove(&name).is_none() {
                    return Err(CliError::failed(format!("`${name}` has no value")));
                }
            }
        }
        Ok(Flow::Continue)
    }

    fn describe(&mut self, table: Option<&str>) -> Result<(), CliError> {
        let names = catalogue::tables(&self.engine.context);
        let batch = match table {
            // How many rows are stored, hidden ones among them, is for those who see all of them.
            None => {
                let stored = self.snapshot.as_ref();
                describe::tables(&names, stored.filter(|_| !self.engine.is_restricted()))
            }
            Some(table) => {
                let table = table.trim_matches('"');
                let found = self
                    .engine
                    .runtime
                    .block_on(catalogue::columns(&self.engine.context, table));
                let columns = found.map_err(|_| {
                    CliError::failed(format!("no table named `{table}`"))
                        .hint("`\\d` lists the tables")
                })?;
                describe::columns(table, &columns, self.engine.gate().as_deref())
            }
        };
        self.print_batch(&batch.map_err(crate::output::arrow_error)?)
    }

    fn print_batch(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let paging = self.pages();
        let mut printer = ResultPrinter::new(&mut self.target, self.format, &self.settings, paging);
        printer.start(&batch.schema())?;
        printer.batch(batch)?;
        printer.finish()
    }

    /// Prints a text that is no table, through the pager where it is long.
    fn print_text(&self, text: &str) -> Result<(), CliError> {
        let pager = (self.pages() && self.settings.stdout_terminal)
            .then(pager)
            .flatten();
        let mut sink = match pager {
            Some(pager) => Sink::paged(pager, self.settings.screen()),
            None => Sink::stdout(),
        };
        sink.write_all(text.as_bytes())?;
        sink.commit()
    }

    fn include(&mut self, path: &str) -> Result<Flow, CliError> {
        if self.depth >= MAX_DEPTH {
            return Err(CliError::failed(format!(
                "`{path}` is included more than {MAX_DEPTH} levels deep"
            ))
            .hint("a file probably includes itself"));
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| CliError::io("read", path, &error))?;
        self.depth += 1;
        let flow = self.run_script(&Script {
            name: path,
            text: &text,
        });
        self.depth -= 1;
        flow
    }

    fn set_format(&mut self, name: Option<&str>) -> Result<(), CliError> {
        let Some(name) = name else {
            self.say(&format!("results are printed as {}", self.format.name()));
            return Ok(());
        };
        self.format = <Format as clap::ValueEnum>::from_str(name, true).map_err(|_| {
            let all: Vec<&str> = <Format as clap::ValueEnum>::value_variants()
                .iter()
                .map(|format| format.name())
                .collect();
            CliError::failed(format!("no format `{name}`"))
                .hint(format!("choose one of {}", all.join(", ")))
        })?;
        Ok(())
    }

    fn set(&mut self, name: Option<String>, value: Option<String>) -> Result<(), CliError> {
        match (name, value) {
            (Some(name), Some(value)) => {
                self.parameters.insert(name, parameter(&value));
            }
            (Some(name), None) => {
                let value = self
                    .parameters
                    .get(&name)
                    .ok_or_else(|| CliError::failed(format!("`${name}` has no value")))?;
                self.print_text(&format!("{name} = {}\n", text_of(value)))?;
            }
            (None, _) => {
                let line = |(name, value)| format!("{name} = {}\n", text_of(value));
                let all: String = self.parameters.iter().map(line).collect();
                self.print_text(&all)?;
            }
        }
        Ok(())
    }

    fn last_statement(&self) -> Result<String, CliError> {
        self.last
            .clone()
            .ok_or_else(|| CliError::failed("there is no query yet to repeat"))
    }

    fn watch(&mut self, seconds: u64) -> Result<(), CliError> {
        let last = self.last_statement()?;
        let script = Script {
            name: "",
            text: &last,
        };
        let Some((item, _)) = script.next(0) else {
            return Ok(());
        };
        loop {
            self.run_statement(&script, &item, Mode::Run, false)?;
            self.say(&format!("every {seconds} s, Ctrl-C ends"));
            self.engine.runtime.block_on(async {
                tokio::select! {
                    () = crate::signals::asked_to_stop() => Err(CliError::Interrupted),
                    () = tokio::time::sleep(Duration::from_secs(seconds)) => Ok(()),
                }
            })?;
        }
    }

    fn explain(
        &mut self,
        script: &Script<'_>,
        item: &Item<'_>,
        sql: Option<&str>,
    ) -> Result<(), CliError> {
        let mut plan = PlanText::default();
        let ran = match sql {
            Some(sql) => {
                // The statement stands within the command, so that a mistake in it is shown at its place.
                let inside = item.text.find(sql).unwrap_or(0);
                let item = Item {
                    kind: ItemKind::Statement,
                    text: sql,
                    start: item.start + inside,
                };
                self.engine.run(
                    &self.settings,
                    script,
                    &item,
                    Mode::Explain,
                    &self.parameters,
                    &mut plan,
                )
            }
            None => {
                let last = self.last_statement()?;
                let script = Script {
                    name: "",
                    text: &last,
                };
                let Some((item, _)) = script.next(0) else {
                    return Ok(());
                };
                self.engine.run(
                    &self.settings,
                    &script,
                    &item,
                    Mode::Explain,
                    &self.parameters,
                    &mut plan,
                )
            }
        };
        ran?;
        self.print_text(&plan.text)
    }
}

/// Takes the answer of EXPLAIN as plain text: a heading, then the plan.
#[derive(Debug, Default)]
struct PlanText {
    text: String,
}

impl Receiver for PlanText {
    fn start(&mut self, _schema: &SchemaRef) -> Result<(), CliError> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let column = |index: usize| {
            batch
                .columns()
                .get(index)
                .and_then(|column| column.as_string_opt::<i32>())
        };
        let (Some(kinds), Some(plans)) = (column(0), column(1)) else {
            return Ok(());
        };
        for (kind, plan) in kinds.iter().zip(plans) {
            let kind = kind.unwrap_or_default().replace('_', " ");
            self.text.push_str(&format!("{kind}\n"));
            for line in plan.unwrap_or_default().trim_end().lines() {
                self.text.push_str(&format!("  {line}\n"));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CliError> {
        Ok(())
    }
}
