//! Patient-clustered Parquet tables; snapshots as a Merkle tree.

mod backend;
mod bridge;
mod buckets;
mod commit;
mod error;
mod file_id;
mod layout;
mod manifest;
mod merge;
mod operation;
mod parquet_options;
mod run_reader;
mod run_writer;
mod snapshot;
mod staging;
mod store;
mod table_spec;
mod transaction;

pub use buckets::{BucketRange, Buckets};
pub use columna_model::BucketId;
pub use error::{Error, Result};
pub use layout::Layout;
pub use manifest::{FileEntry, TableVersion};
pub use operation::{DeliveredFile, Delivery, Operation};
pub use snapshot::{ParentRef, Snapshot, SnapshotSummary};
pub use staging::RunSummary;
pub use store::Store;
pub use table_spec::TableSpec;
pub use transaction::Transaction;
