//! Arguments of `columna privacy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The commands of `columna privacy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PrivacyCommand {
    /// Budgets of differentially private answers: show, grant, freeze
    #[command(subcommand)]
    Ledger(LedgerCommand),
}

/// The commands of `columna privacy ledger`.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Show who may spend what, and has spent
    Show(ShowArgs),
    /// Give a principal more than the policy does
    Grant(GrantArgs),
    /// Stop a principal from asking, or let it ask again
    Freeze(FreezeArgs),
}

/// Where the ledger is.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// The store: its ledger is kept beside it, in `STORE.privacy`
    #[arg(long, value_name = "STORE", env = "COLUMNA_STORE")]
    pub(crate) store: Option<String>,
    /// The folder to keep it in, in place of the one beside the store
    #[arg(long, value_name = "DIR", env = "COLUMNA_PRIVACY")]
    pub(crate) state: Option<PathBuf>,
}

/// Whose account it is.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// The principal
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: String,
    /// Its project; may be left out where the principal has one account
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
}

/// Arguments of `columna privacy ledger show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Only this principal's
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: Option<String>,
    /// Each charge, oldest first
    #[arg(long)]
    pub(crate) charges: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `columna privacy ledger grant`.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// How much more, as rho of zero-concentrated differential privacy: costs in it add up
    #[arg(
        long,
        value_name = "R",
        conflicts_with = "epsilon",
        required_unless_present = "epsilon"
    )]
    pub(crate) rho: Option<f64>,
    /// How much more, as the rho of an epsilon at `--delta`
    #[arg(long, value_name = "E")]
    pub(crate) epsilon: Option<f64>,
    /// The delta of `--epsilon`; half of it is granted for group keys that are not declared
    #[arg(long, value_name = "D", default_value_t = 1e-6)]
    pub(crate) delta: f64,
}

/// Arguments of `columna privacy ledger freeze`.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Let it ask again
    #[arg(long)]
    pub(crate) off: bool,
}
