//! A scheduler and executors in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use columna_cluster::{
    ExecutorOptions, SchedulerOptions, Stores, Token, Trust, connect, run_executor, serve_scheduler,
};
use columna_query::SessionOptions;
use columna_store::Store;
use datafusion::prelude::SessionContext;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const TOKEN: &str = "a-token-of-the-tests";

pub(crate) fn trust() -> Trust {
    Trust::local(Token::new(Some(TOKEN)).unwrap())
}

pub(crate) struct Cluster {
    pub(crate) address: SocketAddr,
    roles: Vec<JoinHandle<()>>,
    store: Store,
    trust: Trust,
}

impl Cluster {
    pub(crate) async fn start(store: &Store, work_dir: &Path, executors: usize) -> Self {
        Self::with(store, work_dir, executors, &trust()).await
    }

    /// A cluster with its own trust, such as one that encrypts.
    pub(crate) async fn with(
        store: &Store,
        work_dir: &Path,
        executors: usize,
        trust: &Trust,
    ) -> Self {
        let stores = || Stores::new(vec![store.clone()]);
        let (tell, told) = oneshot::channel();
        let options = SchedulerOptions {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            stores: stores(),
            trust: trust.clone(),
        };
        let mut roles = vec![tokio::spawn(async move {
            let listening = |address| tell.send(address).unwrap();
            serve_scheduler(options, listening, std::future::pending())
                .await
                .unwrap();
        })];
        let address = told.await.unwrap();
        for _ in 0..executors {
            let options = ExecutorOptions {
                scheduler: address.to_string(),
                bind: None,
                stores: stores(),
                trust: trust.clone(),
                work_dir: work_dir.to_path_buf(),
                vcores: 2,
                memory_limit: Some(256 << 20),
            };
            roles.push(tokio::spawn(async move {
                run_executor(options, |_| (), std::future::pending())
                    .await
                    .unwrap();
            }));
        }
        Self {
            address,
            roles,
            store: store.clone(),
            trust: trust.clone(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("df://{}", self.address)
    }

    pub(crate) async fn session(&self) -> SessionContext {
        let options = SessionOptions {
            store: Some(self.store.clone()),
            threads: Some(4),
            ..SessionOptions::default()
        };
        connect(&self.url(), &self.trust, options).await.unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for role in &self.roles {
            role.abort();
        }
    }
}
