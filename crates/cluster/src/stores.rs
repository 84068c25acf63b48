//! The stores that a role was started with and nothing else, and the guards before their tables.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use columna_privacy::guard::{GuardSource, GuardSpec, GuardedTable, guard_table};
use columna_privacy::pseudonym::{KeySource, ProjectKeys};
use columna_privacy::{Policy, State};
use columna_store::scan::SnapshotTable;
use columna_store::{Snapshot, Store};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::failure::guard::{NO_KEYS, NO_POLICY, OTHER_KEYS, OTHER_POLICY, refused};
use crate::{Error, Trust};

/// Guards that are kept: as many as the tables of some principals.
const GUARDS: usize = 1_000;

/// A guard, and the policy that it is from.
type Attached = (Arc<Policy>, GuardedTable);

/// Stores by their addresses. Cheap to clone.
#[derive(Clone, Default)]
pub struct Stores {
    stores: Arc<Vec<Store>>,
    snapshots: Arc<Mutex<HashMap<(String, u64), Snapshot>>>,
    policy: Option<PathBuf>,
    keys: Option<KeySource>,
    guards: Arc<Mutex<HashMap<GuardSpec, Attached>>>,
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
            ..Self::default()
        }
    }

    /// With the policy of stores that have none beside them, and the keys that policies ask for.
    #[must_use]
    pub fn with_policy(self, policy: Option<PathBuf>, keys: Option<KeySource>) -> Self {
        Self {
            policy,
            keys,
            ..self
        }
    }

    /// Refuses to serve a store with a policy to whoever can connect.
    pub(crate) fn may_be_served(&self, trust: &Trust) -> crate::Result<()> {
        let mut guarded = self
            .stores
            .iter()
            .filter(|store| self.policy_of(store).is_some());
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

    fn policy_of(&self, store: &Store) -> Option<PathBuf> {
        State::own_policy(store.url()).or_else(|| self.policy.clone())
    }

    fn store(&self, url: &str) -> Result<&Store> {
        let Some(store) = self.stores.iter().find(|store| store.url() == url) else {
            return plan_err!(
                "the cluster does not serve this store: start its scheduler and executors with `--store {url}`"
            );
        };
        Ok(store)
    }

    /// A table, if it lies in one of the stores.
    pub(crate) fn table(&self, url: &str, version: u64, name: &str) -> Result<SnapshotTable> {
        let store = self.store(url)?;
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

/// Guards by this role's own policy and keys. Whoever sends a plan has the token, with which every row can be read: that
/// it names a principal is believed.
impl GuardSource for Stores {
    fn table(&self, spec: &GuardSpec) -> columna_privacy::Result<GuardedTable> {
        let known = || self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((policy, table)) = known().get(spec)
            && policy.is_in_force()
        {
            return Ok(table.clone());
        }
        let store = self.store(&spec.store)?;
        let Some(file) = self.policy_of(store) else {
            return Err(refused(NO_POLICY));
        };
        if State::own_policy(store.url()).as_ref() == Some(&file) {
            State::keeps_well(&file).map_err(|error| DataFusionError::Plan(error.to_string()))?;
        }
        let policy = Policy::load(&file)?;
        if policy.hash != spec.policy {
            return Err(refused(OTHER_POLICY));
        }
        let principal = spec.principal();
        let source = self.keys.as_ref();
        let keys = match source.filter(|_| policy.project(&principal).is_some()) {
            Some(source) => {
                let keys = source
                    .load()
                    .and_then(|keys| ProjectKeys::of(&policy, &principal, &keys));
                keys.map_err(|_| refused(NO_KEYS))?.map(Arc::new)
            }
            None => None,
        };
        let snapshot = self.snapshot(store, spec.snapshot)?;
        let table = self.table(&spec.store, spec.snapshot, &spec.table)?;
        let of = (store, &snapshot);
        let table = match guard_table(table, of, &policy, &principal, keys.as_ref()) {
            Err(columna_privacy::Error::Keys { .. }) => return Err(refused(NO_KEYS)),
            Ok(table) if table.spec().keys != spec.keys => return Err(refused(OTHER_KEYS)),
            table => table?,
        };
        let mut guards = known();
        if guards.len() >= GUARDS {
            guards.clear();
        }
        guards.insert(spec.clone(), (Arc::new(policy), table.clone()));
        Ok(table)
    }
}
