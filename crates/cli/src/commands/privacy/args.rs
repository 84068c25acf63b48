//! Arguments of `columna privacy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The commands of `columna privacy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PrivacyCommand {
    /// Policies: start one, check one, show what a role sees
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The audit log: is it whole?
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Keys of pseudonyms and shifted dates
    #[command(subcommand)]
    Key(KeyCommand),
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

/// Who asks, and under which policy.
#[derive(Debug, Default, Args)]
pub(crate) struct AccessArgs {
    /// The role to work in, by the policy
    #[arg(long, value_name = "ROLE", env = "COLUMNA_ROLE", requires = "store")]
    pub(crate) role: Option<String>,
    /// What for, by the policy
    #[arg(long, value_name = "TEXT", env = "COLUMNA_PURPOSE")]
    pub(crate) purpose: Option<String>,
    /// In which project; may be left out where the role has only one
    #[arg(long, value_name = "NAME", env = "COLUMNA_PROJECT")]
    pub(crate) project: Option<String>,
    /// Who asks, for the audit log and budgets; the user of this system unless told
    #[arg(
        long,
        value_name = "NAME",
        env = "COLUMNA_PRINCIPAL",
        requires = "role"
    )]
    pub(crate) principal: Option<String>,
    /// The policy; `STORE.privacy/policy.toml` unless told
    #[arg(long, value_name = "FILE", env = "COLUMNA_POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// What each question of a differentially private role may spend, where it is to be less than the policy gives
    #[arg(long, value_name = "E", requires = "role")]
    pub(crate) epsilon: Option<String>,
    /// The folder of budgets, releases and the audit log, in place of `STORE.privacy`
    #[arg(long = "state", value_name = "DIR", env = "COLUMNA_PRIVACY")]
    pub(crate) state: Option<PathBuf>,
}

/// The commands of `columna privacy policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Compare a policy with a store's tables; exit code 1 when something is wrong
    Check {
        /// The policy
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        store: crate::args::StoreArg,
    },
    /// Show what a role sees
    Show {
        /// The policy
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        store: crate::args::StoreArg,
        /// The role
        #[arg(long, value_name = "ROLE")]
        role: String,
        /// The purpose; the role's first unless told
        #[arg(long, value_name = "TEXT")]
        purpose: Option<String>,
        /// The project; the role's first unless told
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
    },
    /// Print a policy to start from, made for a store's tables
    Init {
        #[command(flatten)]
        store: crate::args::StoreArg,
        /// What to start from
        #[arg(long, value_name = "NAME", default_value = "korea", value_parser = ["safe-harbor", "korea", "opensafely"])]
        profile: String,
    },
}

/// The commands of `columna privacy audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Go through the log; exit code 1 when a line was changed, removed, added or moved
    Verify {
        #[command(flatten)]
        state: StateArgs,
    },
}

/// The commands of `columna privacy key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Print a new random key, as a line of a key file
    New {
        /// The key's name: that of its project, unless the policy says otherwise
        #[arg(value_name = "NAME")]
        name: String,
        /// Its version: 2 and more replace an older key
        #[arg(long, value_name = "N", default_value_t = 1)]
        version: u32,
    },
}
