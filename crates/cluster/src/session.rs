//! A session whose queries run on the cluster.

use std::io::ErrorKind;
use std::sync::Arc;

use ballista_core::extension::{SessionConfigExt, SessionStateExt};
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{CancelJobParams, GetJobStatusParams};
use columna_privacy::Gate;
use columna_query::SessionOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use tokio::time::{Duration, Instant, sleep, timeout};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::codec::Codec;
use crate::planner::{Here, Planner};
use crate::trust::PATIENCE;
use crate::{Error, Result, SCHEDULER_PORT, Trust, status};

/// A fit by passes takes some ten queries, of which each reads the rows again: moving them once takes less time, as long as
/// one executor can hold them. Twelve columns of these are a gigabyte.
const PASSES_FROM: u64 = 10_000_000;

/// Makes the session that [`columna_query::session`] makes, with queries sent to the scheduler at
/// `df://HOST[:PORT]`. Rows of tables that only the session has go along with a query; where they are too many, and
/// where a query reads nothing of the store, it runs in this process.
///
/// A session under a policy sends tables by name and for whom they are; scheduler and executors put their own guards
/// before them. Disclosure control and noise are applied in this process, to groups that the cluster computed. The
/// scheduler trusts whoever carries the token with every row of its stores, so that this process must be one that
/// principals reach through its options only.
///
/// # Errors
/// When the address can't be read, nobody answers there, or the session can't be made.
pub async fn connect(
    url: &str,
    trust: &Trust,
    mut options: SessionOptions,
) -> Result<SessionContext> {
    let scheduler = Scheduler::new(url, trust)?;
    scheduler.introduce().await?;
    if options.threads.is_none() {
        // The cores that a query can use are the executors', not those of the machine that asks.
        options.threads = status::vcores(&scheduler).await;
    }
    if let Some(store) = &options.store {
        // Every node reads the snapshot that the client sees, whatever is ingested meanwhile.
        let snapshot = store.snapshot(options.snapshot).await?;
        options.snapshot = Some(snapshot.version());
    }
    let snapshot = options.snapshot.unwrap_or_default();
    let passes_from = options.passes_from.unwrap_or(PASSES_FROM);
    let here = columna_query::session(options).await?.state();
    let codec = Arc::new(Codec::of_snapshot(snapshot, Arc::new(here.clone())));
    let config = here
        .config()
        .clone()
        // The catalogue with the tables is there already; a new one would hide it.
        .with_create_default_catalog_and_schema(false)
        .upgrade_for_ballista()
        // Ballista 55's adaptive planner repeats rows of a UNION ALL of aggregates: the tests have one.
        .with_ballista_adaptive_query_planner(false)
        .with_ballista_override_create_grpc_client_endpoint(trust.endpoint());
    let restricted = config
        .get_extension::<Gate>()
        .is_some_and(|gate| gate.restricts());
    let planner = Planner::new(
        scheduler.clone(),
        config.ballista_config(),
        codec,
        Here {
            planner: Arc::clone(here.query_planner()),
            restricted,
            passes_from,
        },
    );
    let config = config.with_ballista_query_planner(Arc::new(planner));
    let state = SessionStateBuilder::new_from_existing(here.clone())
        .with_config(config)
        .build()
        .upgrade_for_ballista(scheduler.endpoint)?;
    let there = SessionContext::new_with_state(state);
    // Ballista replaces the functions by its own list.
    for function in here.scalar_functions().values() {
        there.register_udf(function.as_ref().clone());
    }
    for function in here.aggregate_functions().values() {
        there.register_udaf(function.as_ref().clone());
    }
    for function in here.window_functions().values() {
        there.register_udwf(function.as_ref().clone());
    }
    Ok(there)
}

/// A scheduler, and how to talk to it.
#[derive(Debug, Clone)]
pub(crate) struct Scheduler {
    /// As the user wrote it.
    pub(crate) url: String,
    /// As Ballista wants it.
    pub(crate) endpoint: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    trust: Trust,
}

impl Scheduler {
    pub(crate) fn new(url: &str, trust: &Trust) -> Result<Self> {
        let (host, port) = address(url)?;
        trust.may_connect(&host)?;
        Ok(Self {
            url: url.to_owned(),
            endpoint: format!("http://{host}:{port}"),
            host,
            port,
            trust: trust.clone(),
        })
    }

    /// Connects, if somebody answers within seconds.
    pub(crate) async fn channel(&self) -> Result<Channel> {
        let unreachable = || Error::Unreachable {
            url: self.url.clone(),
        };
        let endpoint =
            Endpoint::from_shared(self.endpoint.clone()).map_err(|_| Error::Address {
                url: self.url.clone(),
            })?;
        let endpoint = self.trust.endpoint()(endpoint).map_err(|_| unreachable())?;
        match timeout(PATIENCE, endpoint.connect()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) if self.trust.is_encrypted() && is_refusal(&error) => {
                Err(Error::Handshake {
                    url: self.url.clone(),
                    why: innermost(&error),
                })
            }
            _ => Err(unreachable()),
        }
    }

    /// Finds out whether a scheduler answers, and to this token.
    pub(crate) async fn introduce(&self) -> Result<()> {
        let channel = self.channel().await?;
        // Whatever it says of a job that is not there, it says it to those it serves only.
        let nothing = GetJobStatusParams::default();
        let mut client = SchedulerGrpcClient::new(channel);
        match timeout(PATIENCE, client.get_job_status(nothing)).await {
            Ok(Err(status)) => self.told(&status),
            Ok(Ok(_)) => Ok(()),
            Err(_) => Err(Error::Unreachable {
                url: self.url.clone(),
            }),
        }
    }

    /// Waits for it to come up: roles may be started in any order.
    pub(crate) async fn wait(&self, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        loop {
            match self.introduce().await {
                Err(Error::Unreachable { .. } | Error::Handshake { .. })
                    if Instant::now() < until =>
                {
                    sleep(Duration::from_millis(200)).await;
                }
                told => return told,
            }
        }
    }

    /// What a refused call means.
    pub(crate) fn told(&self, status: &tonic::Status) -> Result<()> {
        let url = self.url.clone();
        // What the other side says has no cause here; a connection that broke, such as at a port that expects TLS, has.
        let broken = std::error::Error::source(status).is_some();
        match status.code() {
            Code::Unauthenticated => Err(Error::Refused { url }),
            Code::Unimplemented | Code::Unavailable | Code::Unknown | Code::Cancelled => {
                Err(Error::Unreachable { url })
            }
            _ if broken => Err(Error::Unreachable { url }),
            _ => Ok(()),
        }
    }

    /// Ends a job that nobody waits for. It is a courtesy: where it fails, the job runs to its end.
    pub(crate) async fn cancel(&self, job_id: String) {
        if let Ok(channel) = self.channel().await {
            let mut client = SchedulerGrpcClient::new(channel);
            let _ = timeout(PATIENCE, client.cancel_job(CancelJobParams { job_id })).await;
        }
    }
}

/// Whether somebody answered, and not as expected.
fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            // TLS puts its own errors into this kind.
            return matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::Other
            );
        }
        cause = error.source();
    }
    true
}

/// The last of the causes, which says what happened.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// The host and port of `df://HOST[:PORT]`.
fn address(url: &str) -> Result<(String, u16)> {
    let bad = || Error::Address {
        url: url.to_owned(),
    };
    let rest = url.strip_prefix("df://").ok_or_else(bad)?;
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
        None => (rest, SCHEDULER_PORT),
    };
    // An IPv6 address is in brackets, as in every URL.
    if host.is_empty() || host.contains(['/', '@']) {
        return Err(bad());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_schedulers() {
        assert_eq!(address("df://a:7").unwrap(), ("a".to_owned(), 7));
        assert_eq!(address("df://127.0.0.1").unwrap().1, SCHEDULER_PORT);
        for bad in [
            "",
            "a:7",
            "http://a:7",
            "df://",
            "df://:7",
            "df://a:x",
            "df://a/b",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
