//! `columna sql`: a session from `-c`, `-f`, a pipe, or the prompt.

use std::fs;
use std::io::{Read, stdin};

use columna_query::SessionOptions;
use columna_store::Snapshot;

use crate::args::{Format, SqlArgs};
use crate::commands::privacy::access::{access, is_restricted, may_write, no_session};
use crate::error::CliError;
use crate::settings::{Settings, state_folder};
use crate::shell::history::History;
use crate::shell::interactive;
use crate::shell::results::Target;
use crate::shell::session::Session;
use crate::sql::engine::Engine;
use crate::sql::parameters::parameter;
use crate::sql::script::Script;
use crate::temporary;

/// Runs `columna sql`.
pub(crate) fn run(args: &SqlArgs, settings: &Settings) -> Result<(), CliError> {
    // Scripts are read before anything is opened: a wrong file name should not cost a wait.
    let scripts = scripts(args, settings)?;
    let store = match &args.store {
        None if args.cluster.is_given() => super::cluster::store(&args.cluster)?,
        named => named.clone(),
    };
    let mut session = open(args, store.as_deref(), settings)?;
    let outcome = match &scripts {
        Some(scripts) => {
            let ran = run_scripts(&mut session, scripts);
            // Who passes a file's name on need not be who may open it.
            if session.engine.is_restricted() && is_file(args) {
                ran.map_err(CliError::of_file)
            } else {
                ran
            }
        }
        None => prompt(&mut session, args, store.as_deref()),
    };
    session.close();
    outcome
}

/// The scripts to run, each with the name that its positions carry; none for the prompt.
fn scripts(args: &SqlArgs, settings: &Settings) -> Result<Option<Vec<(String, String)>>, CliError> {
    if !args.commands.is_empty() {
        let many = args.commands.len() > 1;
        let named = args.commands.iter().enumerate().map(|(index, text)| {
            let name = if many {
                format!("-c[{}]", index + 1)
            } else {
                "-c".to_owned()
            };
            (name, text.clone())
        });
        return Ok(Some(named.collect()));
    }
    match &args.file {
        Some(path) if path.as_os_str() != "-" => {
            let text = fs::read_to_string(path)
                .map_err(|error| CliError::io("read", path.display(), &error))?;
            Ok(Some(vec![(path.display().to_string(), text)]))
        }
        None if settings.stdin_terminal => Ok(None),
        _ => {
            let mut text = String::new();
            stdin()
                .read_to_string(&mut text)
                .map_err(|error| CliError::io("read", "standard input", &error))?;
            Ok(Some(vec![("stdin".to_owned(), text)]))
        }
    }
}

/// Whether the script is a file that is opened here.
fn is_file(args: &SqlArgs) -> bool {
    let named = args.file.as_ref().filter(|_| args.commands.is_empty());
    named.is_some_and(|path| path.as_os_str() != "-")
}

fn open(args: &SqlArgs, store: Option<&str>, settings: &Settings) -> Result<Session, CliError> {
    let runtime = super::runtime(args.threads)?;
    let (context, snapshot) = runtime.block_on(async {
        let mut options = SessionOptions {
            access: access(&args.access, store)?,
            memory_limit: args.memory_limit,
            threads: args.threads,
            ..temporary::session_options()?
        };
        let mut snapshot: Option<Snapshot> = None;
        let mut store_of_cohorts = None;
        if let Some(url) = store {
            let store = super::open(url).await?;
            let found = store
                .snapshot(args.snapshot)
                .await
                .map_err(|error| CliError::engine(&error))?;
            // From here on the session stays with this snapshot, whatever is ingested meanwhile.
            options.snapshot = Some(found.version());
            store_of_cohorts = Some(store.clone());
            options.store = Some(store);
            snapshot = Some(found);
        }
        let context = if args.cluster.is_given() {
            super::cluster::session(&args.cluster, options).await?
        } else {
            columna_query::session(options)
                .await
                .map_err(|error| no_session(&error))?
        };
        // It reads the store past every guard, so that only a session that sees everything has it.
        if let (Some(store), Some(snapshot)) = (&store_of_cohorts, &snapshot)
            && !is_restricted(&context)
        {
            columna_cohort::sql::register(&context, store, snapshot);
        }
        context
            .state_ref()
            .write()
            .config_mut()
            .options_mut()
            .sql_parser
            .collect_spans = true;
        Ok::<_, CliError>((context, snapshot))
    })?;
    let whole = is_restricted(&context);
    let engine = Engine { runtime, context };
    if let (Some(file), Some(store)) = (&args.output, store) {
        may_write(&engine, &args.access, store, file)?;
    }
    Ok(Session {
        engine,
        settings: settings.clone(),
        snapshot,
        format: args
            .format
            .or_else(|| Format::of_file(args.output.as_deref()?))
            .unwrap_or(Format::Table),
        target: Target::new(args.output.clone()).whole(whole),
        parameters: args
            .params
            .iter()
            .map(|(name, value)| (name.clone(), parameter(value)))
            .collect(),
        interactive: false,
        timing: None,
        last: None,
        depth: 0,
    })
}

fn run_scripts(session: &mut Session, scripts: &[(String, String)]) -> Result<(), CliError> {
    for (name, text) in scripts {
        if session.run_script(&Script { name, text })? == crate::shell::session::Flow::Quit {
            break;
        }
    }
    Ok(())
}

fn prompt(session: &mut Session, args: &SqlArgs, store: Option<&str>) -> Result<(), CliError> {
    session.interactive = true;
    let history =
        match state_folder().filter(|_| !args.no_history && !session.engine.is_restricted()) {
            None => History::off(),
            Some(folder) => History::open(&folder).unwrap_or_else(|error| {
                error.print(&mut std::io::stderr(), session.settings.colour_err);
                History::off()
            }),
        };
    let store = match (store, &session.snapshot) {
        (Some(url), Some(snapshot)) => format!("{url}, snapshot {}", snapshot.version()),
        _ => "no store".to_owned(),
    };
    session.say(&format!(
        "columna {} ({store}). Type \\? for help, \\q to leave",
        env!("CARGO_PKG_VERSION")
    ));
    interactive::run(session, &history)
}
