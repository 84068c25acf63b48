//! What is Columna's on its way between processes: tables, guards, and the functions of releases.
//!
//! A table is the store's address, the snapshot and its name; a guarded one also says for whom, and each role that
//! finds it in a plan puts its own guard there, made from the policy and the keys that it was started with.

use std::sync::Arc;

use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use columna_privacy::guard::{GuardCodec, GuardedTable};
use columna_privacy::release;
use columna_store::scan::SnapshotTable;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{Result, TableReference, plan_err};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::logical_expr::{AggregateUDF, Extension, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::{Deserialize, Serialize};

use crate::Stores;
use crate::scheduler::MESSAGE_BYTES;

/// Before a table's description, so that Ballista's own bytes are never taken for one.
const TAG: &[u8] = b"columna table 1\n";
/// Before the rows of a table that a session made for itself.
const ROWS: &[u8] = b"columna rows 1\n";

#[derive(Debug, Serialize, Deserialize)]
struct Named<'a> {
    store: &'a str,
    snapshot: u64,
    table: &'a str,
}

/// What plans are read with: the functions by their names, and where guards come from.
#[derive(Clone)]
struct Known {
    functions: Arc<dyn FunctionRegistry + Send + Sync>,
    guards: GuardCodec,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Known {
    fn new(stores: &Stores, functions: Arc<dyn FunctionRegistry + Send + Sync>) -> Self {
        Self {
            functions,
            guards: GuardCodec::new(Arc::new(stores.clone())),
        }
    }
}

/// Ballista's codec of logical plans, and ours.
#[derive(Debug)]
pub(crate) struct Codec {
    ballista: BallistaLogicalExtensionCodec,
    known: Known,
    /// What tables are looked up in.
    stores: Stores,
    /// The snapshot of a client's session.
    snapshot: u64,
}

impl Codec {
    /// For a scheduler, which looks tables up.
    pub(crate) fn serving(
        stores: Stores,
        functions: Arc<dyn FunctionRegistry + Send + Sync>,
    ) -> Self {
        Self {
            ballista: BallistaLogicalExtensionCodec::default(),
            known: Known::new(&stores, functions),
            stores,
            snapshot: 0,
        }
    }

    /// For a client whose tables are of this snapshot.
    pub(crate) fn of_snapshot(
        snapshot: u64,
        functions: Arc<dyn FunctionRegistry + Send + Sync>,
    ) -> Self {
        Self {
            snapshot,
            ..Self::serving(Stores::default(), functions)
        }
    }
}

impl LogicalExtensionCodec for Codec {
    fn try_encode_table_provider(
        &self,
        name: &TableReference,
        provider: Arc<dyn TableProvider>,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        if let Some(rows) = provider.downcast_ref::<MemTable>() {
            bytes.extend_from_slice(ROWS);
            return write_rows(name, rows, bytes);
        }
        if let Some(table) = provider.downcast_ref::<GuardedTable>() {
            return self.known.guards.encode_table(table, bytes);
        }
        let Some(table) = provider.downcast_ref::<SnapshotTable>() else {
            return plan_err!(
                "`{name}` exists in this session only and cannot go to the cluster: write its query where it is used, or leave out `--cluster`"
            );
        };
        if table.is_encrypted() {
            return plan_err!(
                "table `{name}` is encrypted, and Ballista's plans carry no keys to its executors: leave out `--cluster`"
            );
        }
        let named = Named {
            store: table.store().url(),
            snapshot: self.snapshot,
            table: &table.version().spec.name,
        };
        bytes.extend_from_slice(TAG);
        serde_json::to_writer(bytes, &named)
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn try_decode_table_provider(
        &self,
        bytes: &[u8],
        _name: &TableReference,
        _schema: SchemaRef,
        _ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        if let Some(rows) = bytes.strip_prefix(ROWS) {
            return read_rows(rows);
        }
        if GuardCodec::is_guard(bytes) {
            return Ok(Arc::new(self.known.guards.decode_table(bytes)?));
        }
        let Some(named) = bytes.strip_prefix(TAG) else {
            return plan_err!("the plan has a table that is not of a store");
        };
        let named: Named<'_> = serde_json::from_slice(named)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let table = self
            .stores
            .table(named.store, named.snapshot, named.table)?;
        Ok(Arc::new(table))
    }

    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[LogicalPlan],
        ctx: &TaskContext,
    ) -> Result<Extension> {
        self.ballista.try_decode(bytes, inputs, ctx)
    }

    fn try_encode(&self, node: &Extension, bytes: &mut Vec<u8>) -> Result<()> {
        self.ballista.try_encode(node, bytes)
    }

    fn try_decode_file_format(
        &self,
        bytes: &[u8],
        ctx: &TaskContext,
    ) -> Result<Arc<dyn FileFormatFactory>> {
        self.ballista.try_decode_file_format(bytes, ctx)
    }

    fn try_encode_file_format(
        &self,
        bytes: &mut Vec<u8>,
        node: Arc<dyn FileFormatFactory>,
    ) -> Result<()> {
        self.ballista.try_encode_file_format(bytes, node)
    }

    fn try_encode_udf(&self, function: &ScalarUDF, bytes: &mut Vec<u8>) -> Result<()> {
        release::encode_scalar(function, bytes)
    }

    fn try_decode_udf(&self, _name: &str, bytes: &[u8]) -> Result<Arc<ScalarUDF>> {
        release::decode_scalar(self.known.functions.as_ref(), bytes)
    }

    fn try_encode_udaf(&self, function: &AggregateUDF, bytes: &mut Vec<u8>) -> Result<()> {
        release::encode_aggregate(function, bytes)
    }

    fn try_decode_udaf(&self, _name: &str, bytes: &[u8]) -> Result<Arc<AggregateUDF>> {
        release::decode_aggregate(self.known.functions.as_ref(), bytes)
    }
}

/// Ballista's codec of physical plans, and ours: between the scheduler and its executors.
#[derive(Debug)]
pub(crate) struct PlanCodec {
    ballista: BallistaPhysicalExtensionCodec,
    known: Known,
}

impl PlanCodec {
    pub(crate) fn new(stores: &Stores, functions: Arc<dyn FunctionRegistry + Send + Sync>) -> Self {
        Self {
            ballista: BallistaPhysicalExtensionCodec::default(),
            known: Known::new(stores, functions),
        }
    }
}

impl PhysicalExtensionCodec for PlanCodec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if self.known.guards.encode_exec(node.as_ref(), bytes)? {
            return Ok(());
        }
        self.ballista.try_encode(node, bytes, converter)
    }

    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if GuardCodec::is_guard(bytes) {
            return self.known.guards.decode_exec(bytes, inputs);
        }
        self.ballista.try_decode(bytes, inputs, context, converter)
    }

    fn try_encode_udf(&self, function: &ScalarUDF, bytes: &mut Vec<u8>) -> Result<()> {
        release::encode_scalar(function, bytes)
    }

    fn try_decode_udf(&self, _name: &str, bytes: &[u8]) -> Result<Arc<ScalarUDF>> {
        release::decode_scalar(self.known.functions.as_ref(), bytes)
    }

    fn try_encode_udaf(&self, function: &AggregateUDF, bytes: &mut Vec<u8>) -> Result<()> {
        release::encode_aggregate(function, bytes)
    }

    fn try_decode_udaf(&self, _name: &str, bytes: &[u8]) -> Result<Arc<AggregateUDF>> {
        release::decode_aggregate(self.known.functions.as_ref(), bytes)
    }
}

/// The rows of a small table, such as those of a table function, as an Arrow stream.
fn write_rows(name: &TableReference, table: &MemTable, bytes: &mut Vec<u8>) -> Result<()> {
    let mut writer = StreamWriter::try_new(bytes, &table.schema())?;
    let mut size = 0;
    for partition in &table.batches {
        let Ok(batches) = partition.try_read() else {
            return plan_err!("`{name}` is being written to");
        };
        for batch in batches.iter() {
            size += batch.get_array_memory_size();
            if size > MESSAGE_BYTES as usize / 2 {
                return plan_err!(
                    "`{name}` exists in this session only and is too large to go to the cluster with a query: \
                     write its query where it is used, or leave out `--cluster`"
                );
            }
            writer.write(batch)?;
        }
    }
    Ok(writer.finish()?)
}

fn read_rows(bytes: &[u8]) -> Result<Arc<dyn TableProvider>> {
    let reader = StreamReader::try_new(bytes, None)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
}
