//! Progress bars on standard error.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use columna_model::progress::{Progress, Silent, Unit};
use indicatif::{ProgressBar, ProgressStyle};

use crate::settings::Settings;

/// A receiver of progress: a bar on a terminal, else silence.
pub(crate) fn progress(settings: &Settings) -> Arc<dyn Progress> {
    if settings.progress() {
        Arc::new(Bar {
            bar: RwLock::new(None),
            utf8: settings.utf8,
            colour: settings.colour_err,
        })
    } else {
        Arc::new(Silent)
    }
}

/// One bar that is replaced stage by stage.
struct Bar {
    bar: RwLock<Option<ProgressBar>>,
    utf8: bool,
    colour: bool,
}

impl fmt::Debug for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bar")
            .field("utf8", &self.utf8)
            .finish_non_exhaustive()
    }
}

impl Progress for Bar {
    fn start(&self, what: &str, total: Option<u64>, unit: Unit) {
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_style(style(unit, total.is_some(), self.utf8, self.colour));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        let before = self
            .bar
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(bar);
        if let Some(before) = before {
            before.finish_and_clear();
        }
    }

    fn advance(&self, n: u64) {
        if let Some(bar) = &*self.bar.read().unwrap_or_else(PoisonError::into_inner) {
            bar.inc(n);
        }
    }

    fn finish(&self) {
        if let Some(bar) = self
            .bar
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            bar.finish_and_clear();
        }
    }
}

fn style(unit: Unit, bounded: bool, utf8: bool, colour: bool) -> ProgressStyle {
    let (position, speed) = match unit {
        Unit::Bytes => ("{decimal_bytes}", "{decimal_bytes_per_sec}"),
        Unit::Rows => ("{human_pos} rows", "{per_sec} rows"),
        Unit::Persons => ("{human_pos} persons", "{per_sec}"),
        Unit::Files => ("{human_pos} files", "{per_sec}"),
    };
    let total = match unit {
        Unit::Bytes => "{decimal_total_bytes}",
        _ => "{human_len}",
    };
    let bar = if colour {
        "{bar:24.cyan/dim}"
    } else {
        "{bar:24}"
    };
    let template = if bounded {
        let position = position.split(' ').next().unwrap_or(position);
        let noun = match unit {
            Unit::Bytes => "",
            Unit::Rows => " rows",
            Unit::Persons => " persons",
            Unit::Files => " files",
        };
        format!("{{msg:28!}} {bar} {position} of {total}{noun} · {{eta}} left")
    } else {
        format!("{{spinner}} {{msg:28!}} {position} · {speed} · {{elapsed}}")
    };
    let template = if utf8 {
        template
    } else {
        template.replace('·', "-")
    };
    plain_ticks(
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        utf8,
    )
}

/// Spinner and bar characters that the terminal's character set has.
fn plain_ticks(style: ProgressStyle, utf8: bool) -> ProgressStyle {
    if utf8 {
        style.progress_chars("━╸─").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
    } else {
        style.progress_chars("=>-").tick_chars("|/-\\ ")
    }
}
