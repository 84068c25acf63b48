//! The steps of a run as they come and go, on standard error.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use columna_study::Event;
use indicatif::{ProgressBar, ProgressStyle};

use crate::settings::Settings;

/// A bar on a terminal, lines elsewhere, silence with `--quiet`.
#[derive(Debug)]
pub(crate) struct Steps {
    bar: Option<ProgressBar>,
    quiet: bool,
    at_work: Mutex<BTreeSet<String>>,
}

impl Steps {
    pub(crate) fn new(settings: &Settings) -> Self {
        let bar = settings.progress().then(|| {
            let bar = ProgressBar::new(0);
            let style =
                ProgressStyle::with_template("{spinner} {pos}/{len} steps, {elapsed}: {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            quiet: settings.quiet,
            at_work: Mutex::default(),
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match event {
            Event::Planned(steps) => {
                if let Some(bar) = &self.bar {
                    bar.set_length(u64::try_from(steps).unwrap_or(0));
                }
                None
            }
            Event::Started(step) => {
                at_work.insert(step);
                None
            }
            Event::Finished {
                step,
                seconds,
                reused,
                note,
            } => {
                at_work.remove(&step);
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
                let note = note.map_or_else(String::new, |note| format!(" ({note})"));
                Some(if reused {
                    format!("unchanged  {step}{note}")
                } else {
                    format!("{seconds:7.2} s  {step}{note}")
                })
            }
            Event::Failed { step, message } => {
                at_work.remove(&step);
                Some(format!("   failed  {step}: {message}"))
            }
            _ => None,
        };
        match (&self.bar, line) {
            (Some(bar), line) => {
                if let Some(line) = line {
                    bar.println(line);
                }
                bar.set_message(at_work.iter().cloned().collect::<Vec<_>>().join(", "));
            }
            (None, Some(line)) if !self.quiet => {
                use std::io::Write;
                // Standard error may be gone; the run goes on.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            (None, _) => {}
        }
    }

    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
