//! `columna privacy ledger`: budgets, and what was spent of them.

use std::io::{Write, stdout};

use columna_privacy::State;
use columna_privacy::audit::AuditLog;
use columna_privacy::dp::accounting::{Cost, epsilon_of_rho, rho_of_budget};
use columna_privacy::ledger::{AccountKey, AccountState, Ledger};
use serde_json::json;

use super::args::{AccountArgs, FreezeArgs, GrantArgs, LedgerCommand, ShowArgs, StateArgs};
use crate::commands::info::columns;
use crate::error::CliError;

/// Runs a command of `columna privacy ledger`.
pub(super) fn run(command: &LedgerCommand) -> Result<(), CliError> {
    match command {
        LedgerCommand::Show(args) => show(args),
        LedgerCommand::Grant(args) => grant(args),
        LedgerCommand::Freeze(args) => freeze(args),
    }
}

/// The folder of a store's records.
pub(super) fn state(args: &StateArgs) -> Result<State, CliError> {
    if args.store.is_none() && args.state.is_none() {
        return Err(CliError::usage("whose records is not said")
            .hint("give the store with `--store STORE`, or their folder with `--state DIR`"));
    }
    let store = args.store.as_deref().unwrap_or_default();
    State::of(store, args.state.as_deref()).map_err(|error| CliError::engine(&error))
}

fn open(args: &StateArgs) -> Result<Ledger, CliError> {
    let state = state(args)?;
    if !state.ledger().is_file() {
        return Err(CliError::failed(format!(
            "there is no ledger in `{}`",
            state.folder().display()
        ))
        .hint(
            "it begins with the first differentially private question, `columna sql --role ...`",
        ));
    }
    Ledger::open(&state.ledger()).map_err(|error| CliError::engine(&error))
}

fn accounts(ledger: &Ledger) -> Result<Vec<AccountState>, CliError> {
    ledger.accounts().map_err(|error| CliError::engine(&error))
}

/// ε of what was spent, at the δ for which the policy gives half to the conversion.
fn epsilon(account: &AccountState) -> Option<f64> {
    (account.allowed.delta > 0.0).then(|| epsilon_of_rho(account.spent.rho, account.allowed.delta))
}

fn show(args: &ShowArgs) -> Result<(), CliError> {
    let ledger = open(&args.state)?;
    let wanted = |account: &AccountState| {
        args.principal
            .as_ref()
            .is_none_or(|principal| account.key.principal == *principal)
    };
    let accounts: Vec<AccountState> = accounts(&ledger)?.into_iter().filter(wanted).collect();
    let mut out = stdout().lock();
    if args.json {
        let all: Vec<_> = accounts.iter().map(as_json).collect();
        let text = serde_json::to_string_pretty(&all).map_err(|error| CliError::engine(&error))?;
        return Ok(writeln!(out, "{text}")?);
    }
    let number = |number: f64| format!("{number:.6}");
    let rows: Vec<[String; 8]> = accounts
        .iter()
        .map(|account| {
            [
                account.key.project.clone(),
                account.key.principal.clone(),
                number(account.allowed.rho + account.granted.rho),
                number(account.spent.rho),
                number(account.left.rho.max(0.0)),
                epsilon(account).map_or_else(|| "-".to_owned(), |epsilon| format!("{epsilon:.3}")),
                account.charges.len().to_string(),
                if account.frozen { "frozen" } else { "" }.to_owned(),
            ]
        })
        .collect();
    let header = [
        "project",
        "principal",
        "rho",
        "spent",
        "left",
        "epsilon spent",
        "questions",
        "",
    ];
    let right = [false, false, true, true, true, true, true, false];
    write!(out, "{}", columns(header, &rows, right))?;
    if args.charges {
        for account in &accounts {
            let rows: Vec<[String; 5]> = account
                .charges
                .iter()
                .map(|charge| {
                    [
                        charge.time.clone(),
                        charge.snapshot.chars().take(12).collect(),
                        charge.fingerprint.chars().take(12).collect(),
                        number(charge.cost.rho),
                        if charge.answered {
                            "answered"
                        } else {
                            "charged"
                        }
                        .to_owned(),
                    ]
                })
                .collect();
            writeln!(
                out,
                "\n{} in {}",
                account.key.principal, account.key.project
            )?;
            let header = ["time", "snapshot", "question", "rho", ""];
            write!(
                out,
                "{}",
                columns(header, &rows, [false, false, false, true, false])
            )?;
        }
    }
    Ok(())
}

fn as_json(account: &AccountState) -> serde_json::Value {
    let cost = |cost: Cost| json!({ "rho": cost.rho, "delta": cost.delta });
    let charges: Vec<_> = account
        .charges
        .iter()
        .map(|charge| {
            json!({
                "time": charge.time,
                "snapshot": charge.snapshot,
                "question": charge.fingerprint,
                "cost": cost(charge.cost),
                "answered": charge.answered,
            })
        })
        .collect();
    json!({
        "dataset": account.key.dataset,
        "project": account.key.project,
        "principal": account.key.principal,
        "allowed": cost(account.allowed),
        "granted": cost(account.granted),
        "spent": cost(account.spent),
        "left": cost(account.left),
        "epsilon_spent": epsilon(account),
        "frozen": account.frozen,
        "charges": charges,
    })
}

/// The ledger, which begins here where nobody has asked yet, and the one account that is meant.
fn account(
    state_args: &StateArgs,
    args: &AccountArgs,
) -> Result<(Ledger, AccountKey, &'static str), CliError> {
    let state = state(state_args)?;
    let ledger = Ledger::open(&state.ledger()).map_err(|error| CliError::engine(&error))?;
    let fits = |key: &AccountKey| {
        key.principal == args.principal
            && args
                .project
                .as_ref()
                .is_none_or(|project| key.project == *project)
    };
    let found: Vec<AccountKey> = accounts(&ledger)?
        .into_iter()
        .map(|account| account.key)
        .filter(fits)
        .collect();
    match found.as_slice() {
        [one] => Ok((ledger, one.clone(), "")),
        [] => {
            let key = AccountKey {
                project: args.project.clone().ok_or_else(|| {
                    CliError::failed(format!("`{}` has no such account", args.principal)).hint(
                        "`columna privacy ledger show` lists the accounts. To begin one before its first question, give the \
                         store with `--store` and the project with `--project` (`--project ''` for a role without projects)",
                    )
                })?,
                principal: args.principal.clone(),
                dataset: dataset(state_args, &state)?,
            };
            Ok((ledger, key, ", before its first question"))
        }
        _ => Err(
            CliError::failed(format!("`{}` has several accounts", args.principal))
                .hint("say which with `--project NAME`"),
        ),
    }
}

/// The name of the data set, which its first question would give it.
fn dataset(args: &StateArgs, state: &State) -> Result<String, CliError> {
    let Some(url) = &args.store else {
        return Err(
            CliError::usage("an account begins with the store that it is for")
                .hint("give it with `--store STORE`"),
        );
    };
    let runtime = crate::commands::runtime(Some(1))?;
    let first = runtime.block_on(async {
        let store = crate::commands::open(url).await?;
        let snapshot = store.snapshot(None).await;
        let snapshot = snapshot.map_err(|error| CliError::engine(&error))?;
        Ok::<_, CliError>(snapshot.hash().to_owned())
    })?;
    state
        .dataset(&first)
        .map_err(|error| CliError::engine(&error))
}

/// Puts a change of a budget into the audit log, before it is made.
fn on_record(args: &StateArgs, key: &AccountKey, change: String) -> Result<(), CliError> {
    let who = super::access::user().unwrap_or_else(|| "unknown".to_owned());
    AuditLog::at(state(args)?.audit())
        .budget(&who, key, change)
        .map_err(|error| CliError::engine(&error))
}

fn grant(args: &GrantArgs) -> Result<(), CliError> {
    let (ledger, key, when) = account(&args.state, &args.account)?;
    let more = match (args.rho, args.epsilon) {
        (Some(rho), _) => Cost { rho, delta: 0.0 },
        (None, Some(epsilon)) if epsilon > 0.0 && args.delta > 0.0 && args.delta < 1.0 => Cost {
            rho: rho_of_budget(epsilon, args.delta / 2.0),
            delta: args.delta / 2.0,
        },
        _ => {
            return Err(CliError::usage(
                "`--epsilon` must be above 0, and `--delta` between 0 and 1",
            ));
        }
    };
    if more.rho.is_nan() || more.rho <= 0.0 {
        return Err(CliError::usage("`--rho` must be above 0"));
    }
    let given = accounts(&ledger)?
        .into_iter()
        .find(|account| account.key == key)
        .map_or(0.0, |account| account.allowed.rho);
    on_record(
        &args.state,
        &key,
        format!("granted rho {:.6} and delta {:e}", more.rho, more.delta),
    )?;
    ledger
        .grant(&key, more)
        .map_err(|error| CliError::engine(&error))?;
    Ok(writeln!(
        stdout(),
        "granted rho {:.6} to `{}` in `{}`{when}{}",
        more.rho,
        key.principal,
        key.project,
        much(more.rho, given)
    )?)
}

/// What is said of a grant above the policy's own budget: there is no way to take one back, and grants add up.
fn much(granted: f64, given: f64) -> String {
    if given <= 0.0 || granted <= given {
        return String::new();
    }
    format!(
        "\nwarning: that is {:.1} times what the policy gives, grants add up, and none can be taken back; `columna privacy ledger \
         freeze` stops the account",
        granted / given
    )
}

fn freeze(args: &FreezeArgs) -> Result<(), CliError> {
    let (ledger, key, when) = account(&args.state, &args.account)?;
    let change = if args.off { "released" } else { "frozen" };
    on_record(&args.state, &key, change.to_owned())?;
    ledger
        .freeze(&key, !args.off)
        .map_err(|error| CliError::engine(&error))?;
    let what = if args.off {
        "may ask again"
    } else {
        "is frozen"
    };
    Ok(writeln!(
        stdout(),
        "`{}` in `{}` {what}{when}",
        key.principal,
        key.project
    )?)
}
