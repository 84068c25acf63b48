//! The stores that a role was started with, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use columna_privacy::State;
use columna_store::scan::SnapshotTable;
use columna_store::{Snapshot, Store};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::{Error, Trust};

/// Stores by their addresses. Cheap to clone.
#[derive(Clone, Default)]
pub struct Stores {
    stores: Arc<Vec<Store>>,
    snapshots: Arc<Mutex<HashMap<(String, u64), Snapshot>>>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.stores.iter().map(Store::url))
            .finish()
    }
}

impl Stores {
    /// The stores of a role.
    #[must_use]
    pub fn new(stores: Vec<Store>) -> Self {
        Self {
            stores: Arc::new(stores),
            snapshots: Arc::default(),
        }
    }

    /// Refuses to serve a store with a policy to whoever can connect.
    pub(crate) fn may_be_served(&self, trust: &Trust) -> crate::Result<()> {
        let mut guarded = self
            .stores
            .iter()
            .filter(|store| State::own_policy(store.url()).is_some());
        match guarded.next() {
            Some(store) if !trust.has_token() => Err(Error::Open {
                store: store.url().to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Makes the files of every store known to a runtime, and all others unknown: plans may name any path.
    pub(crate) fn register(&self, runtime: &RuntimeEnv) -> Result<()> {
        runtime.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;
        for store in self.stores.iter() {
            SnapshotTable::register(store, runtime)?;
        }
        Ok(())
    }

    /// A table, if it lies in one of the stores.
    pub(crate) fn table(&self, url: &str, version: u64, name: &str) -> Result<SnapshotTable> {
        let Some(store) = self.stores.iter().find(|store| store.url() == url) else {
            return plan_err!(
                "the cluster does not serve this store: start its scheduler and executors with `--store {url}`"
            );
        };
        let snapshot = self.snapshot(store, version)?;
        let Some(table) = SnapshotTable::new(store, &snapshot, name) else {
            return plan_err!("snapshot {version} has no table `{name}`");
        };
        // The rule that corrects conclusions from the order has no codec.
        Ok(table.with_order(false))
    }

    fn snapshot(&self, store: &Store, version: u64) -> Result<Snapshot> {
        let key = (store.url().to_owned(), version);
        let known = |stores: &Self| {
            let snapshots = stores.snapshots.lock();
            snapshots
                .unwrap_or_else(PoisonError::into_inner)
                .get(&key)
                .cloned()
        };
        if let Some(snapshot) = known(self) {
            return Ok(snapshot);
        }
        // Plans are decoded synchronously on a runtime's thread, which must not wait for itself.
        let read = store.clone();
        let read = thread::spawn(move || -> Result<Snapshot> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let snapshot = runtime.block_on(read.snapshot(Some(version)));
            snapshot.map_err(|error| DataFusionError::External(Box::new(error)))
        });
        let Ok(snapshot) = read.join() else {
            return exec_err!("snapshot {version} could not be read");
        };
        let snapshot = snapshot?;
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, snapshot.clone());
        Ok(snapshot)
    }
}
