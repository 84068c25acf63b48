//! The connections of an executor to others, kept for the next shuffle. Ballista's own are not for other crates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::client::BallistaClient;
use ballista_core::client_pool::{BallistaClientPool, PooledClient};
use ballista_core::error::Result;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::utils::GrpcClientConfig;

/// How long a connection is kept while nothing moves.
const KEPT: Duration = Duration::from_secs(30);

type Key = (String, u16, GrpcClientConfig);
type Idle = HashMap<Key, Vec<(BallistaClient, Instant)>>;

/// Idle connections, by where they go, and since when.
#[derive(Clone, Default)]
pub(crate) struct Connections {
    idle: Arc<Mutex<Idle>>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connections")
    }
}

impl Connections {
    fn with<T>(&self, act: impl FnOnce(&mut Idle) -> T) -> T {
        act(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn let_go(&self) {
        self.with(|idle| {
            idle.retain(|_, clients| {
                clients.retain(|(_, since)| since.elapsed() < KEPT);
                !clients.is_empty()
            });
        });
    }
}

#[async_trait]
impl BallistaClientPool for Connections {
    async fn acquire(
        &self,
        host: &str,
        port: u16,
        config: &GrpcClientConfig,
        customize_endpoint: Option<Arc<BallistaConfigGrpcEndpoint>>,
    ) -> Result<PooledClient> {
        self.let_go();
        let key = (host.to_owned(), port, config.clone());
        let known = self.with(|idle| idle.get_mut(&key).and_then(Vec::pop));
        let client = match known {
            Some((client, _)) => client,
            None => {
                BallistaClient::try_new(
                    host,
                    port,
                    config.max_message_size,
                    config.use_tls,
                    customize_endpoint,
                    config.io_retries_times,
                    config.io_retry_wait_time_ms,
                    config.initial_connection_window_size,
                    config.initial_stream_window_size,
                )
                .await?
            }
        };
        let connections = self.clone();
        Ok(PooledClient::new(
            client,
            Box::new(move |client| {
                connections
                    .with(|idle| idle.entry(key).or_default().push((client, Instant::now())));
            }),
        ))
    }

    async fn evict_idle(&self) {
        self.let_go();
    }
}
