//! Runs one statement: parse, bind, plan, stream, with a sign of life and Ctrl-C.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use columna_privacy::Gate;
use columna_query::script::{Parameters, plan};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{Sender, channel};

use crate::commands::privacy::access::refused;
use crate::error::{CliError, Report};
use crate::settings::Settings;

use super::catalogue;
use super::message::explain;
use super::parameters::{Missing, missing};
use super::script::{Item, Script};
use super::spinner::Spinner;

/// Takes a result batch by batch.
pub(crate) trait Receiver {
    /// A result begins.
    fn start(&mut self, schema: &SchemaRef) -> Result<(), CliError>;
    /// Some of its rows.
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), CliError>;
    /// All rows were given.
    fn finish(&mut self) -> Result<(), CliError>;
    /// What is written appears where the sign of life is drawn.
    fn on_terminal(&self) -> bool {
        false
    }
}

/// What a statement did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    /// Rows of its result; none for a statement without a result.
    pub(crate) rows: Option<u64>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// What is done with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It runs.
    Run,
    /// Its plan is the result.
    Explain,
}

/// What a query's task needs.
struct Query {
    sql: String,
    mode: Mode,
    parameters: Parameters,
}

/// A session with the runtime that its queries run on.
pub(crate) struct Engine {
    pub(crate) runtime: Runtime,
    pub(crate) context: SessionContext,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("session", &self.context.session_id())
            .finish_non_exhaustive()
    }
}

/// From the task that runs a query to the thread that prints.
enum Message {
    Schema(SchemaRef),
    Batch(RecordBatch),
    Failed(DataFusionError),
}

type SharedPlan = Arc<Mutex<Option<Arc<dyn ExecutionPlan>>>>;

impl Engine {
    /// Runs a statement of a script and gives its result to `receiver`.
    pub(crate) fn run(
        &self,
        settings: &Settings,
        script: &Script<'_>,
        item: &Item<'_>,
        mode: Mode,
        parameters: &Parameters,
        receiver: &mut dyn Receiver,
    ) -> Result<Ran, CliError> {
        if let Some(Missing { name, at }) = missing(item.text, parameters) {
            let place = script.place(item, Some(at), name.chars().count() + 1);
            let hint = format!(
                "give one with `--param {name}=VALUE`, or `\\set {name} VALUE` in the shell"
            );
            if let Some(gate) = self.gate() {
                gate.not_understood("").map_err(|error| refused(&error))?;
            }
            return Err(CliError::report(
                Report::new(format!("`${name}` has no value"))
                    .at(place)
                    .hint(hint)
                    .quotes(),
            ));
        }
        let query = Query {
            sql: item.text.to_owned(),
            mode,
            parameters: parameters.clone(),
        };
        let mut spinner = Spinner::new(settings);
        let outcome = self
            .runtime
            .block_on(self.stream(query, receiver, &mut spinner));
        let elapsed = spinner.elapsed();
        spinner.clear();
        if let Some(gate) = self.gate() {
            let recorded = match &outcome {
                Ok(_) => gate.ended(None),
                Err(Stopped::Engine(error)) => gate.ended(Some(error)),
                Err(Stopped::Printer(_)) => gate.broken_off(),
            };
            recorded.map_err(|error| CliError::failed(error.to_string()))?;
        }
        match outcome {
            Ok(rows) => Ok(Ran { rows, elapsed }),
            Err(Stopped::Engine(error)) => Err(self.failed(&error, script, item)),
            Err(Stopped::Printer(error)) => Err(error),
        }
    }

    /// What stands at the session's entrance, where it is under a policy.
    pub(crate) fn gate(&self) -> Option<Arc<Gate>> {
        self.context.state_ref().read().config().get_extension()
    }

    /// Whether the session shows less than everything.
    pub(crate) fn is_restricted(&self) -> bool {
        crate::commands::privacy::access::is_restricted(&self.context)
    }

    /// A DataFusion error in our words, at its place in the script.
    fn failed(&self, error: &DataFusionError, script: &Script<'_>, item: &Item<'_>) -> CliError {
        let explained = explain(
            error,
            item.text,
            &catalogue::tables(&self.context),
            self.is_restricted(),
        );
        let (at, width) = explained
            .at
            .map_or((None, 1), |(at, width)| (Some(at), width));
        CliError::report(explained.report.at(script.place(item, at, width)))
    }

    /// The rows of the result, or none for a statement without one.
    async fn stream(
        &self,
        query: Query,
        receiver: &mut dyn Receiver,
        spinner: &mut Spinner,
    ) -> Result<Option<u64>, Stopped> {
        let plan = SharedPlan::default();
        // A query runs in its own task: a plan that computes for long between batches would otherwise keep
        // Ctrl-C and the sign of life waiting.
        let (sender, mut messages) = channel(2);
        let task = tokio::spawn(drive(
            self.context.clone(),
            query,
            sender,
            Arc::clone(&plan),
        ));
        let stop = AbortOnDrop(task.abort_handle());
        let interrupt = crate::signals::asked_to_stop();
        tokio::pin!(interrupt);
        let mut clock = tokio::time::interval(Duration::from_millis(100));
        let mut rows = None;
        let restricted = self.is_restricted();
        loop {
            tokio::select! {
                biased;
                () = &mut interrupt => return Err(Stopped::Printer(CliError::Interrupted)),
                message = messages.recv() => match message {
                    Some(Message::Schema(schema)) => {
                        receiver.start(&schema)?;
                        rows = Some(0);
                    }
                    Some(Message::Batch(batch)) => {
                        if receiver.on_terminal() {
                            spinner.clear();
                        }
                        receiver.batch(&batch)?;
                        let count = u64::try_from(batch.num_rows()).unwrap_or(0);
                        rows = rows.map(|rows: u64| rows + count);
                    }
                    Some(Message::Failed(error)) => return Err(Stopped::Engine(error)),
                    None => break,
                },
                _ = clock.tick() => {
                    let plan = plan.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    // How many rows there are so far depends on rows that a restricted role does not see.
                    let shown = rows.filter(|_| !restricted);
                    spinner.refresh(plan.as_ref(), shown.unwrap_or(0));
                }
            }
        }
        drop(stop);
        if let Err(error) = task.await
            && error.is_panic()
        {
            return Err(Stopped::Engine(DataFusionError::Internal(
                "a part of the query broke down".into(),
            )));
        }
        if rows.is_some() {
            spinner.clear();
            receiver.finish()?;
        }
        Ok(rows)
    }
}

/// Why a stream ended early.
enum Stopped {
    Engine(DataFusionError),
    Printer(CliError),
}

impl From<CliError> for Stopped {
    fn from(error: CliError) -> Self {
        Self::Printer(error)
    }
}

/// Ends a query's task when its reader leaves.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Plans and runs a statement, and sends what it yields. A closed channel means that nobody listens any more.
async fn drive(context: SessionContext, query: Query, sender: Sender<Message>, shared: SharedPlan) {
    if let Err(error) = send_result(&context, query, &sender, &shared).await {
        let _ = sender.send(Message::Failed(error)).await;
    }
}

async fn send_result(
    context: &SessionContext,
    query: Query,
    sender: &Sender<Message>,
    shared: &SharedPlan,
) -> Result<(), DataFusionError> {
    let plan = plan(context, &query.sql, &query.parameters).await?;
    if query.mode == Mode::Explain {
        let frame = DataFrame::new(context.state(), plan).explain(false, false)?;
        return send_rows(frame, sender, shared).await;
    }
    let yields_rows =
        !matches!(plan, LogicalPlan::Ddl(_) | LogicalPlan::Statement(_)) || is_execute(&plan);
    let frame = context.execute_logical_plan(plan).await?;
    if yields_rows {
        send_rows(frame, sender, shared).await
    } else {
        Ok(())
    }
}

async fn send_rows(
    frame: DataFrame,
    sender: &Sender<Message>,
    shared: &SharedPlan,
) -> Result<(), DataFusionError> {
    let task = Arc::new(frame.task_ctx());
    let physical = frame.create_physical_plan().await?;
    let gate = task.session_config().get_extension::<Gate>();
    if !gate.is_some_and(|gate| gate.restricts()) {
        // A progress bar counts rows as they are read, hidden ones too.
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&physical));
    }
    let mut stream = execute_stream(physical, task)?;
    if sender.send(Message::Schema(stream.schema())).await.is_err() {
        return Ok(());
    }
    while let Some(batch) = stream.next().await {
        if sender.send(Message::Batch(batch?)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// `EXECUTE` runs a prepared query, and yields what that yields.
fn is_execute(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Statement(datafusion::logical_expr::Statement::Execute(_))
    )
}
