//! A table on its way to the scheduler: the store's address, the snapshot, the name.

use std::sync::Arc;

use ballista_core::serde::BallistaLogicalExtensionCodec;
use columna_store::scan::SnapshotTable;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{Result, TableReference, plan_err};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
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

/// Ballista's codec, and tables of snapshots.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    ballista: BallistaLogicalExtensionCodec,
    /// What tables are looked up in.
    stores: Stores,
    /// The snapshot of a client's session.
    snapshot: u64,
}

impl Codec {
    /// For a scheduler, which looks tables up.
    pub(crate) fn serving(stores: Stores) -> Self {
        Self {
            stores,
            ..Self::default()
        }
    }

    /// For a client whose tables are of this snapshot.
    pub(crate) fn of_snapshot(snapshot: u64) -> Self {
        Self {
            snapshot,
            ..Self::default()
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
