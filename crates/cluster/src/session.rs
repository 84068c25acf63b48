//! A session whose queries run on the cluster.

use std::sync::Arc;

use ballista::prelude::SessionContextExt;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::GetJobStatusParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use columna_query::SessionOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use tokio::time::{Duration, timeout};
use tonic::Code;
use tonic::transport::Endpoint;

use crate::codec::Codec;
use crate::{Error, Result, SCHEDULER_PORT, Token};

/// How long a scheduler may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the session that [`columna_query::session`] makes, with queries sent to the scheduler at
/// `df://HOST[:PORT]`. Tables are those of the store; what a session makes for itself, such as a table function's
/// rows, stays with it, and a query that needs both is refused.
///
/// The scheduler trusts whoever carries the token with every row of its stores. That is why sessions under a policy
/// do not come here: a policy that the client applies would bind only clients that want to be bound.
///
/// # Errors
/// When the address can't be read, nobody answers there, or the session can't be made.
pub async fn connect(
    url: &str,
    token: &Token,
    mut options: SessionOptions,
) -> Result<SessionContext> {
    let (host, port) = address(url)?;
    introduce(url, &format!("http://{host}:{port}"), token).await?;
    if let Some(store) = &options.store {
        // Every node reads the snapshot that the client sees, whatever is ingested meanwhile.
        let snapshot = store.snapshot(options.snapshot).await?;
        options.snapshot = Some(snapshot.version());
    }
    let snapshot = options.snapshot.unwrap_or_default();
    let here = columna_query::session(options).await?.state();
    let config = here
        .config()
        .clone()
        // The catalogue with the tables is there already; a new one would hide it.
        .with_create_default_catalog_and_schema(false)
        // Ballista 55's adaptive planner repeats rows of a UNION ALL of aggregates: the tests have one.
        .with_ballista_adaptive_query_planner(false)
        .with_ballista_logical_extension_codec(Arc::new(Codec::of_snapshot(snapshot)))
        .with_ballista_override_create_grpc_client_endpoint(token.endpoint());
    let state = SessionStateBuilder::new_from_existing(here.clone())
        .with_config(config)
        .build();
    let there = SessionContext::remote_with_state(&format!("df://{host}:{port}"), state).await?;
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

/// Finds out whether a scheduler answers, and to this token.
async fn introduce(url: &str, endpoint: &str, token: &Token) -> Result<()> {
    let unreachable = || Error::Unreachable {
        url: url.to_owned(),
    };
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| Error::Address {
        url: url.to_owned(),
    })?;
    let endpoint = token.endpoint()(endpoint).map_err(|_| unreachable())?;
    let reached = timeout(PATIENCE, endpoint.connect()).await;
    let Ok(Ok(channel)) = reached else {
        return Err(unreachable());
    };
    // Whatever it says of a job that is not there, it says it to those it serves only.
    let nothing = GetJobStatusParams::default();
    match SchedulerGrpcClient::new(channel)
        .get_job_status(nothing)
        .await
    {
        Err(status) if status.code() == Code::Unauthenticated => Err(Error::Refused {
            url: url.to_owned(),
        }),
        Err(status) if status.code() == Code::Unimplemented => Err(unreachable()),
        _ => Ok(()),
    }
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
