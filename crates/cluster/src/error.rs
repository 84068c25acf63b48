//! What can go wrong with a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use ballista_core::error::BallistaError;
use datafusion::error::DataFusionError;

/// Why a role could not start or a cluster not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A role was to listen where other machines could reach it.
    #[error(
        "{address} can be reached from other machines: that needs a token and a certificate with its key, \
         or bind to 127.0.0.1"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// A client or executor was to talk to another machine readably.
    #[error(
        "`{host}` is another machine, and without a certificate everybody in between could read the token \
         and patients' rows: give the cluster's certificate"
    )]
    NotEncrypted {
        /// The other machine.
        host: String,
    },
    /// A role has a certificate and no key for it.
    #[error("a role needs the private key of its certificate; clients do without")]
    NoKey,
    /// A file that is no certificate or no key.
    #[error("this is no {what} in PEM form")]
    Pem {
        /// What it was to be.
        what: &'static str,
    },
    /// An executor that others could not find.
    #[error(
        "`{address}` means every address of this machine: an executor must name the one under which others reach it"
    )]
    Unspecified {
        /// The address.
        address: SocketAddr,
    },
    /// A store with a policy was to be served to whoever can connect.
    #[error(
        "`{store}` is under a policy, and without a token everybody on this machine could read it past that: set \
         COLUMNA_CLUSTER_TOKEN, or use the file of `columna cluster init`"
    )]
    Open {
        /// The store.
        store: String,
    },
    /// A role's port is taken, or an address is not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The folder for shuffle files can't be used.
    #[error("cannot use {} for shuffle files: {source}", folder.display())]
    WorkDir {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A token that can't be sent.
    #[error(
        "the token must be at least 16 characters, and of letters, digits, `-`, `_` and `.` only"
    )]
    Token,
    /// The cluster's address can't be read.
    #[error("`{url}` is no scheduler's address: expected one like df://127.0.0.1:{port}", port = crate::SCHEDULER_PORT)]
    Address {
        /// What was given.
        url: String,
    },
    /// Nobody answers.
    #[error(
        "no scheduler answers at {url}: start one with `columna cluster scheduler`, or give the certificate that it \
         was started with"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
    },
    /// The scheduler asks for another token.
    #[error(
        "the scheduler at {url} asks for a token: set COLUMNA_CLUSTER_TOKEN to the one its roles were started with"
    )]
    Refused {
        /// Where the scheduler is.
        url: String,
    },
    /// A certificate and key that do not fit each other, or are damaged.
    #[error("the certificate and its key cannot be used: {why}")]
    Tls {
        /// What TLS says.
        why: String,
    },
    /// Somebody answers, but not under the certificate.
    #[error(
        "the scheduler at {url} cannot be reached under this certificate ({why}): roles and clients need the same \
         one, made out to `{name}`",
        name = crate::CERTIFICATE_NAME
    )]
    Handshake {
        /// Where the scheduler is.
        url: String,
        /// What the other side or the network said.
        why: String,
    },
    /// The policy does not know the role.
    #[error(transparent)]
    Privacy(#[from] columna_privacy::Error),
    /// Ballista refused or failed.
    #[error("the cluster failed: {0}")]
    Ballista(#[from] BallistaError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] columna_store::Error),
    /// The session could not be made.
    #[error(transparent)]
    Session(#[from] columna_query::Error),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] DataFusionError),
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
