//! Who a session is for: from options to a principal under a policy.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use columna_privacy::pseudonym::ProjectKeys;
use columna_privacy::{Access, Gate, Policy, Principal, Refusal, State};
use datafusion::prelude::SessionContext;

use super::args::AccessArgs;
use crate::error::CliError;
use crate::sql::engine::Engine;

/// The access that options ask for; none where neither they nor the store speak of a policy.
pub(crate) fn access(args: &AccessArgs, store: Option<&str>) -> Result<Option<Access>, CliError> {
    let Some(store) = store else {
        return Ok(None);
    };
    let engine = |error: &dyn std::error::Error| CliError::failed(error.to_string());
    let own = State::own_policy(store);
    if let Some(own) = &own {
        State::keeps_well(own).map_err(|error| engine(&error))?;
    }
    let state = State::of(store, args.state.as_deref());
    let Some(role) = &args.role else {
        // The way around a policy must not be to leave the role out.
        let named = state.map(|state| state.policy()).ok();
        let options = [
            ("--policy", args.policy.is_some()),
            ("--purpose", args.purpose.is_some()),
            ("--project", args.project.is_some()),
        ];
        return match own.or(named.filter(|policy| policy.is_file())) {
            None => match options.into_iter().find(|(_, given)| *given) {
                // Whoever names a policy thinks that it holds.
                Some((option, _)) => Err(CliError::usage(format!(
                    "`{option}` is for a role of a policy: say which with `--role`, or leave it out to ask as the store's owner"
                ))),
                None => Ok(None),
            },
            Some(policy) => Err(CliError::usage(format!(
                "this store is under the policy `{}`: say who asks with `--role` and `--purpose`",
                policy.display()
            ))
            .hint("`columna privacy policy show` prints what a role sees")),
        };
    };
    say_only_where();
    let state = state.map_err(|error| engine(&error))?;
    let file = match &own {
        Some(own) => {
            only_its_own(args, own)?;
            own.to_path_buf()
        }
        None => args.policy.clone().unwrap_or_else(|| state.policy()),
    };
    if own.is_none() && !file.is_file() {
        return Err(CliError::usage(format!(
            "the role `{role}` needs a policy, and there is no `{}`",
            file.display()
        ))
        .hint("give one with `--policy FILE`; `columna privacy policy init` prints a start"));
    }
    let policy = load(&file)?;
    let principal = Principal {
        name: args.principal.clone().or_else(user).ok_or_else(|| {
            CliError::usage("nobody knows who asks".to_owned())
                .hint("give a name with `--principal`")
        })?,
        role: role.clone(),
        purpose: args.purpose.clone().unwrap_or_default(),
        project: args.project.clone(),
    };
    policy.role(&principal).map_err(|error| refused(&error))?;
    let source = crate::commands::keys::source();
    let keys = match source.filter(|_| policy.project(&principal).is_some()) {
        Some(source) => {
            let keys = source.load().map_err(|error| engine(&error))?;
            let keys = ProjectKeys::of(&policy, &principal, &keys);
            keys.map_err(|error| engine(&error))?.map(Arc::new)
        }
        None => None,
    };
    Ok(Some(Access {
        policy: Arc::new(policy),
        principal,
        keys,
        epsilon: args.epsilon.clone(),
        state,
    }))
}

/// Refuses options that would put another policy, or records with another budget, in place of a store's own.
fn only_its_own(args: &AccessArgs, own: &Path) -> Result<(), CliError> {
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if let Some(file) = &args.policy {
        let read = |path: &Path| std::fs::read(path).ok();
        // A copy says the same; anything else could say more.
        if !same(file, own) && (read(file).is_none() || read(file) != read(own)) {
            return Err(CliError::usage(format!(
                "`--policy {}` cannot stand in place of the store's own policy `{}`",
                file.display(),
                own.display()
            ))
            .hint(
                "leave `--policy` out; whoever keeps the store changes its policy there, and tries one with `columna privacy policy check` and `show`",
            ));
        }
    }
    if let (Some(folder), Some(kept)) = (&args.state, own.parent())
        && !same(folder, kept)
    {
        return Err(CliError::usage(format!(
            "`--state {}` cannot stand in place of `{}`, where this store's budgets, releases and log are kept",
            folder.display(),
            kept.display()
        ))
        .hint("leave `--state` and COLUMNA_PRIVACY out"));
    }
    Ok(())
}

/// The words of what breaks down may have a value of a row in them: of a session of a role they say where it was.
fn say_only_where() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic
            .location()
            .map(|at| (Path::new(at.file()).file_name(), at.line()));
        let at = at.map(|(file, line)| format!(" ({}:{line})", file.unwrap_or_default().display()));
        let at = at.unwrap_or_default();
        let _ = writeln!(
            io::stderr(),
            "a part of Columna broke down{at}: please report the statement"
        );
    }));
}

/// Whether a session shows less than everything.
pub(crate) fn is_restricted(context: &SessionContext) -> bool {
    let gate: Option<Arc<Gate>> = context.state_ref().read().config().get_extension();
    gate.is_some_and(|gate| gate.restricts())
}

/// Refuses to write the results of a restricted session to a file that is there already, or that lies in the store or among
/// its private records: it would be written as the account that owns them.
pub(crate) fn may_write(
    engine: &Engine,
    args: &AccessArgs,
    store: &str,
    file: &Path,
) -> Result<(), CliError> {
    let Some(gate) = engine.gate().filter(|gate| gate.restricts()) else {
        return Ok(());
    };
    let state = State::of(store, args.state.as_deref());
    if state.is_ok_and(|state| state.lets_write(store, file)) {
        return Ok(());
    }
    let refusal = Refusal::new(
        "file",
        "this role writes its results to a new file, outside of the store and its private records",
        "choose another name, or redirect the output, as in `columna sql ... > FILE`",
    );
    gate.turn_away("--output ?", refusal)
        .map_err(|error| refused(&error))
}

/// The same for the folder of a study's results.
pub(crate) fn may_run_into(
    context: &SessionContext,
    args: &AccessArgs,
    store: &str,
    folder: &Path,
) -> Result<(), CliError> {
    let gate: Option<Arc<Gate>> = context.state_ref().read().config().get_extension();
    let Some(gate) = gate.filter(|gate| gate.restricts()) else {
        return Ok(());
    };
    let state = State::of(store, args.state.as_deref());
    if state.is_ok_and(|state| state.lets_run(store, folder)) {
        return Ok(());
    }
    let refusal = Refusal::new(
        "file",
        "a study of this role writes into a new or empty folder, or that of another run, outside of the store and its private records",
        "give another one with `--out`",
    );
    gate.turn_away("study run --out ?", refusal)
        .map_err(|error| refused(&error))
}

/// Reads a policy; what is wrong in it is said line by line.
pub(crate) fn load(file: &Path) -> Result<Policy, CliError> {
    Policy::load(file).map_err(|error| CliError::failed(error.to_string()))
}

/// A refusal with what to do instead.
pub(crate) fn refused(error: &columna_privacy::Error) -> CliError {
    match error {
        columna_privacy::Error::Refused(refusal) => {
            CliError::failed(format!("{} [{}]", refusal.message, refusal.code))
                .hint(refusal.hint.clone())
        }
        other => CliError::failed(other.to_string()),
    }
}

/// Why there is no session: a refusal with what to do instead.
pub(crate) fn no_session(error: &columna_query::Error) -> CliError {
    match error {
        columna_query::Error::Privacy(error @ columna_privacy::Error::Refused(_)) => refused(error),
        other => CliError::engine(other),
    }
}

/// The system's name for whoever runs this.
pub(super) fn user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(crate::settings::variable)
        .and_then(|name| name.into_string().ok())
}
