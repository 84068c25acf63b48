//! `columna schedule add`.

use std::io::{Write, stdout};
use std::path::Path;
use std::time::Duration;

use columna_study::schedule::{Definition, Missed, Notify, Overlap, State, newest};

use super::args::{AddArgs, MissedArg, NotifyArg, OverlapArg};
use super::{absolute, failed, folder, local, minute_time, now, remind_of_scheduler};
use crate::commands::study;
use crate::error::CliError;
use crate::settings::Settings;

pub(super) fn run(args: &AddArgs, settings: &Settings) -> Result<(), CliError> {
    let Some(store) = &args.state.store else {
        return Err(CliError::usage("which store does the study read?")
            .hint("give `--store STORE` or set COLUMNA_STORE"));
    };
    let folder = absolute(folder(&args.state)?);
    if !args.specification.is_file() {
        return Err(CliError::failed(format!(
            "there is no specification `{}`",
            args.specification.display()
        ))
        .hint("`columna study init` writes a start"));
    }
    if !args.unchecked {
        // Found now by who wrote it, not at night by who is on call.
        study::load(&args.specification, settings, false)?;
    }
    let name = match &args.name {
        Some(name) => name.clone(),
        None => stem(&args.specification),
    };
    let address = local(store).map_or_else(|| store.clone(), |path| path.display().to_string());
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| folder.join("results").join(&name));
    let definition = Definition {
        cron: args.cron.clone(),
        timezone: args.timezone.clone(),
        on_snapshot: args.on_snapshot,
        settle_seconds: args.settle.as_secs(),
        after: args.after.clone(),
        missed: match args.missed {
            MissedArg::Skip => Missed::Skip,
            MissedArg::Once => Missed::Once,
            MissedArg::All => Missed::All,
        },
        grace_seconds: args.grace.as_secs(),
        overlap: match args.overlap {
            OverlapArg::Skip => Overlap::Skip,
            OverlapArg::Queue => Overlap::Queue,
            OverlapArg::Cancel => Overlap::Cancel,
        },
        time_limit_seconds: args.time_limit.as_ref().map(Duration::as_secs),
        retries: args.retries,
        backoff_seconds: args.backoff.as_secs(),
        backoff_max_seconds: args.backoff_max.as_secs(),
        priority: args.priority,
        memory_limit: args.memory_limit.map(|bytes| bytes as u64),
        threads: args.threads.and_then(|threads| u32::try_from(threads).ok()),
        arguments: args.arguments.clone(),
        notify: match args.notify {
            NotifyArg::Always => Notify::Always,
            NotifyArg::Failure => Notify::Failure,
            NotifyArg::Success => Notify::Success,
        },
        hooks: args.hook.clone(),
        webhooks: args.webhook.clone(),
        ..Definition::new(
            absolute(args.specification.clone()),
            address.clone(),
            absolute(out),
        )
    };
    // Mistakes on the command line first: they are quicker found than a store.
    definition.check(&name).map_err(failed)?;
    let newest = newest(&address).map_err(failed)?;
    let mut state = State::create(&folder).map_err(failed)?;
    state
        .add(&name, &definition, newest.as_ref(), args.replace, now())
        .map_err(failed)?;
    writeln!(stdout(), "`{name}` {}", when(&definition)?)?;
    remind_of_scheduler(&state)
}

/// The file name without its ending.
fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// When the study runs, in words.
fn when(definition: &Definition) -> Result<String, CliError> {
    let mut parts = Vec::new();
    if let Some(calendar) = definition.calendar().map_err(failed)?
        && let Some(first) = calendar.next_after(now())
    {
        let mut text = format!("runs at {}", minute_time(first, definition));
        if let Some(second) = calendar.next_after(first) {
            text = format!("{text}, then at {}", minute_time(second, definition));
        }
        parts.push(text);
    }
    if definition.on_snapshot {
        parts.push("runs when the store has a new snapshot".to_owned());
    }
    if !definition.after.is_empty() {
        let names = definition.after.join("` and `");
        parts.push(if definition.follows() {
            format!("runs when `{names}` succeeded")
        } else {
            format!("waits for `{names}`")
        });
    }
    Ok(parts.join("; "))
}
