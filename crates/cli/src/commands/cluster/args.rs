//! Arguments of `columna cluster`, and of the commands that use one.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::parse_threads;
use crate::size::parse_size;

/// The commands of `columna cluster`. What several machines share stands in a file that `init` writes; every option
/// wins over it, and the token comes from it or from `COLUMNA_CLUSTER_TOKEN`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Write what the machines of a cluster share: a token, a certificate, and the file that names them
    Init(InitArgs),
    /// Plan queries and hand their parts to executors, until Ctrl-C
    Scheduler {
        #[command(flatten)]
        role: RoleArgs,
        /// Where to listen: the file's scheduler, else 127.0.0.1:50050. Other addresses than loopback need a token
        /// and a certificate
        #[arg(long, value_name = "HOST:PORT", env = "COLUMNA_CLUSTER_BIND")]
        bind: Option<String>,
    },
    /// Run parts of queries for a scheduler, until Ctrl-C
    Executor {
        #[command(flatten)]
        role: RoleArgs,
        #[command(flatten)]
        executor: ExecutorArgs,
        /// Where the scheduler listens: the file's, else 127.0.0.1:50050
        #[arg(long, value_name = "HOST:PORT", env = "COLUMNA_CLUSTER_SCHEDULER")]
        scheduler: Option<String>,
        /// Where others fetch what came out: the address under which the scheduler sees this machine, and any port,
        /// unless told
        #[arg(long, value_name = "IP[:PORT]", env = "COLUMNA_CLUSTER_EXECUTOR_BIND", value_parser = parse_bind)]
        bind: Option<SocketAddr>,
        /// End when standard input does: how a parent process takes its executors with it
        #[arg(long, hide = true)]
        until_stdin_closes: bool,
    },
    /// Show the executors, and the queries at work
    Status {
        #[command(flatten)]
        client: ClientArgs,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// A scheduler and executors on this machine, to try it out
    Local {
        #[command(flatten)]
        role: RoleArgs,
        #[command(flatten)]
        executor: ExecutorArgs,
        /// How many executors
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
        executors: u16,
        /// Where to listen: a loopback address
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50050")]
        bind: SocketAddr,
    },
}

/// Arguments of `columna cluster init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Where the scheduler will listen, as the other machines reach it
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50050")]
    pub(crate) scheduler: String,
    /// A store that the cluster serves: a folder, or a URL; may be repeated
    #[arg(long = "store", value_name = "STORE", env = "COLUMNA_STORE")]
    pub(crate) stores: Vec<String>,
}

/// What every role takes.
#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    /// A store: a folder, or a URL; may be repeated
    #[arg(long = "store", value_name = "STORE", env = "COLUMNA_STORE")]
    pub(crate) stores: Vec<String>,
    /// The cluster's file, as `columna cluster init` writes it
    #[arg(long, value_name = "FILE", env = "COLUMNA_CLUSTER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The policy of stores that have none beside them
    #[arg(long, value_name = "FILE", env = "COLUMNA_POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// The cluster's certificate, in PEM form
    #[arg(long, value_name = "FILE", env = "COLUMNA_CLUSTER_CERTIFICATE")]
    pub(crate) certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM form
    #[arg(long, value_name = "FILE", env = "COLUMNA_CLUSTER_KEY")]
    pub(crate) key: Option<PathBuf>,
}

/// What an executor may use.
#[derive(Debug, Args)]
pub(crate) struct ExecutorArgs {
    /// Where shuffle and spill files go; the folder for temporary files unless told
    #[arg(long, value_name = "DIR", env = "COLUMNA_CLUSTER_WORK_DIR")]
    pub(crate) work_dir: Option<PathBuf>,
    /// Parts of queries that an executor runs at once; all cores unless told
    #[arg(long, value_name = "N", env = "COLUMNA_CLUSTER_VCORES", value_parser = parse_threads)]
    pub(crate) vcores: Option<usize>,
    /// How much memory an executor's queries may use; beyond it they spill
    #[arg(long, value_name = "SIZE", env = "COLUMNA_CLUSTER_MEMORY_LIMIT", value_parser = parse_size)]
    pub(crate) memory_limit: Option<usize>,
}

/// How a client reaches its cluster.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ClientArgs {
    /// Run queries on the cluster whose scheduler is at this address, such as `df://127.0.0.1:50050`
    #[arg(long, value_name = "URL", env = "COLUMNA_CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// Run queries on the cluster of this file, as `columna cluster init` writes it
    #[arg(long, value_name = "FILE", env = "COLUMNA_CLUSTER_CONFIG")]
    pub(crate) cluster_config: Option<PathBuf>,
    /// The cluster's certificate, in PEM form, where no file names it
    #[arg(long, value_name = "FILE", env = "COLUMNA_CLUSTER_CERTIFICATE")]
    pub(crate) cluster_certificate: Option<PathBuf>,
    /// On a cluster, fit regressions of at least this many rows by passes over the executors, one query for each Newton
    /// step, so that their rows stay there; ten million unless told
    #[arg(long, value_name = "ROWS", env = "COLUMNA_CLUSTER_PASSES")]
    pub(crate) cluster_passes: Option<u64>,
}

impl ClientArgs {
    /// Whether queries go to a cluster.
    pub(crate) fn is_given(&self) -> bool {
        self.cluster.is_some() || self.cluster_config.is_some()
    }
}

/// An address with or without a port.
fn parse_bind(text: &str) -> Result<SocketAddr, String> {
    let host = text.trim_matches(['[', ']']);
    match host.parse() {
        Ok(ip) => Ok(SocketAddr::new(ip, 0)),
        Err(_) => text
            .parse()
            .map_err(|_| format!("`{text}` is no address; write `192.0.2.7` or `192.0.2.7:50051`")),
    }
}
