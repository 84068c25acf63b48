//! The sign of life of a long query: elapsed time, rows read, bytes read.

use std::io::{Write, stderr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::physical_plan::ExecutionPlan;

use crate::settings::Settings;
use crate::size::{human_bytes, human_count, human_time};

/// Queries shorter than this show nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// A line on standard error, drawn once a query is long.
#[derive(Debug)]
pub(crate) struct Spinner {
    started: Instant,
    /// How often the line was drawn; 0 when it is not on the screen.
    drawn: usize,
    wanted: bool,
    utf8: bool,
    width: usize,
}

impl Spinner {
    /// Starts the clock; nothing is drawn yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            started: Instant::now(),
            drawn: 0,
            wanted: settings.progress(),
            utf8: settings.utf8,
            width: settings.screen().0,
        }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Draws or refreshes the line from what the plan has counted.
    pub(crate) fn refresh(&mut self, plan: Option<&Arc<dyn ExecutionPlan>>, rows_out: u64) {
        if !self.wanted || self.started.elapsed() < PATIENCE {
            return;
        }
        let mut parts = vec![human_time(self.started.elapsed())];
        if let Some(plan) = plan {
            let read = leaves(plan);
            if read.rows > 0 {
                parts.push(format!("{} rows read", human_count(read.rows)));
            }
            if read.stages > 0 {
                parts.push(format!(
                    "{} of {} stages done",
                    read.stages_done, read.stages
                ));
                parts.push(format!(
                    "{} tasks at work, {} waiting",
                    read.tasks_running, read.tasks_waiting
                ));
            }
            if read.bytes > 0 {
                parts.push(format!("{} read", human_bytes(read.bytes)));
            }
        }
        if rows_out > 0 {
            parts.push(format!("{} rows out", human_count(rows_out)));
        }
        parts.push("Ctrl-C cancels".to_owned());
        let (frames, dot): (&[&str], &str) = if self.utf8 {
            (&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"], " · ")
        } else {
            (&["|", "/", "-", "\\"], " - ")
        };
        let line = format!("{} {}", frames[self.drawn % frames.len()], parts.join(dot));
        let line: String = line.chars().take(self.width.saturating_sub(1)).collect();
        self.drawn += 1;
        // A terminal that is gone needs no sign of life.
        let _ = write!(stderr(), "\r\x1b[2K{line}").and_then(|()| stderr().flush());
    }

    /// Removes the line, for good.
    pub(crate) fn clear(&mut self) {
        self.wanted = false;
        if self.drawn > 0 {
            self.drawn = 0;
            let _ = write!(stderr(), "\r\x1b[2K").and_then(|()| stderr().flush());
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What the leaves of a plan have read so far.
#[derive(Debug, Default)]
struct Read {
    rows: u64,
    bytes: u64,
    /// On a cluster.
    stages: u64,
    stages_done: u64,
    tasks_running: u64,
    tasks_waiting: u64,
}

fn leaves(plan: &Arc<dyn ExecutionPlan>) -> Read {
    let children = plan.children();
    if children.is_empty() {
        let Some(metrics) = plan.metrics() else {
            return Read::default();
        };
        let count = |value: Option<usize>| {
            value
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or(0)
        };
        let named = |name: &str| count(metrics.sum_by_name(name).map(|value| value.as_usize()));
        return Read {
            rows: count(metrics.output_rows()),
            bytes: named("bytes_scanned"),
            stages: named("stages"),
            stages_done: named("stages_done"),
            tasks_running: named("tasks_running"),
            tasks_waiting: named("tasks_waiting"),
        };
    }
    children
        .into_iter()
        .map(leaves)
        .fold(Read::default(), |sum, read| Read {
            rows: sum.rows + read.rows,
            bytes: sum.bytes + read.bytes,
            stages: sum.stages + read.stages,
            stages_done: sum.stages_done + read.stages_done,
            tasks_running: sum.tasks_running + read.tasks_running,
            tasks_waiting: sum.tasks_waiting + read.tasks_waiting,
        })
}
