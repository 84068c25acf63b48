//! Guards on the wire: what names a guard is sent, never its rules. The server attaches its own.

use std::fmt;
use std::sync::Arc;

use columna_store::{Snapshot, Store};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::bytes::Serializeable;
use serde::{Deserialize, Serialize};

use super::exec::GuardExec;
use super::table::GuardedTable;
use crate::{Policy, Principal, Refusal};

/// Marks the bytes of a guard among those of other nodes.
const TAG: &[u8] = b"columna guard 1\n";

/// What names a guard: a table of a store at a snapshot, under a policy, for a principal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GuardSpec {
    /// The store's address.
    pub store: String,
    /// The table.
    pub table: String,
    /// The snapshot's version.
    pub snapshot: u64,
    /// The snapshot's hash.
    pub snapshot_hash: String,
    /// The policy's hash.
    pub policy: String,
    /// The principal's name.
    pub principal: String,
    /// Its role.
    pub role: String,
    /// Its purpose.
    pub purpose: String,
    /// Its project.
    pub project: Option<String>,
    /// The mark of the keys of its pseudonyms and shifted dates, where it sees any: with others, one person's rows would
    /// have two pseudonyms.
    pub keys: Option<String>,
}

impl GuardSpec {
    pub(crate) fn new(
        table: &str,
        (store, snapshot): (&Store, &Snapshot),
        policy: &Policy,
        principal: &Principal,
    ) -> Self {
        Self {
            store: store.url().to_owned(),
            table: table.to_owned(),
            snapshot: snapshot.version(),
            snapshot_hash: snapshot.hash().to_owned(),
            policy: policy.hash.clone(),
            principal: principal.name.clone(),
            role: principal.role.clone(),
            purpose: principal.purpose.clone(),
            project: principal.project.clone(),
            keys: None,
        }
    }

    /// The principal that it is for.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            name: self.principal.clone(),
            role: self.role.clone(),
            purpose: self.purpose.clone(),
            project: self.project.clone(),
        }
    }
}

/// Where a server gets its guards from: its own policy and its own keys. It decides whether the principal named in a
/// spec is who sent the plan; a spec is a claim.
pub trait GuardSource: fmt::Debug + Send + Sync {
    /// The guarded table of a spec.
    ///
    /// # Errors
    /// When the server's policy is another one, or the principal may not.
    fn table(&self, spec: &GuardSpec) -> crate::Result<GuardedTable>;
}

#[derive(Serialize, Deserialize)]
struct Wire {
    spec: GuardSpec,
    projection: Vec<usize>,
    filters: Vec<Vec<u8>>,
}

/// Writes guards for the wire, and puts a server's own in their place.
#[derive(Debug, Clone)]
pub struct GuardCodec {
    source: Arc<dyn GuardSource>,
}

impl GuardCodec {
    /// A codec that attaches guards of this source.
    #[must_use]
    pub fn new(source: Arc<dyn GuardSource>) -> Self {
        Self { source }
    }

    /// Whether these bytes are a guard's.
    #[must_use]
    pub fn is_guard(bytes: &[u8]) -> bool {
        bytes.starts_with(TAG)
    }

    /// The bytes of a guarded table, for a logical codec's table providers.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn encode_table(&self, table: &GuardedTable, bytes: &mut Vec<u8>) -> Result<()> {
        bytes.extend_from_slice(TAG);
        serde_json::to_writer(bytes, table.spec()).map_err(|e| failed(&e))
    }

    /// The server's own guarded table for these bytes.
    ///
    /// # Errors
    /// When they are no guard's, or the server's policy refuses.
    pub fn decode_table(&self, bytes: &[u8]) -> Result<GuardedTable> {
        let spec: GuardSpec = serde_json::from_slice(body(bytes)?).map_err(|e| failed(&e))?;
        self.own(&spec)
    }

    /// The bytes of a guard's node, or `false` where the node is none.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn encode_exec(&self, node: &dyn ExecutionPlan, bytes: &mut Vec<u8>) -> Result<bool> {
        let Some(guard) = node.downcast_ref::<GuardExec>() else {
            return Ok(false);
        };
        let filters = guard.filters().iter();
        let wire = Wire {
            spec: guard.guard().spec.clone(),
            projection: guard.projection().to_vec(),
            filters: filters
                .map(|filter| Ok(filter.to_bytes()?.to_vec()))
                .collect::<Result<_>>()?,
        };
        bytes.extend_from_slice(TAG);
        serde_json::to_writer(bytes, &wire).map_err(|e| failed(&e))?;
        Ok(true)
    }

    /// The server's own guard over the scan that was sent.
    ///
    /// # Errors
    /// When the bytes are no guard's, the server's policy refuses, or the scan does not fit.
    pub fn decode_exec(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wire: Wire = serde_json::from_slice(body(bytes)?).map_err(|e| failed(&e))?;
        let [child] = inputs else {
            return internal_err!("a guard has one scan");
        };
        let filters = wire
            .filters
            .iter()
            .map(|bytes| Expr::from_bytes(bytes))
            .collect::<Result<Vec<_>>>()?;
        self.own(&wire.spec)?
            .attach(Arc::clone(child), wire.projection, filters)
    }

    fn own(&self, spec: &GuardSpec) -> Result<GuardedTable> {
        let table = self.source.table(spec)?;
        if table.spec() != spec {
            return Err(Refusal::new(
                "guard",
                "this plan was made under another policy, snapshot or key than the server's",
                "plan the query again",
            )
            .into());
        }
        Ok(table)
    }
}

fn body(bytes: &[u8]) -> Result<&[u8]> {
    bytes
        .strip_prefix(TAG)
        .ok_or_else(|| DataFusionError::Internal("these bytes are no guard's".to_owned()))
}

fn failed(error: &serde_json::Error) -> DataFusionError {
    DataFusionError::Internal(format!("a guard on the wire: {error}"))
}
