//! Patient-clustered Parquet tables; snapshots as a Merkle tree.

mod backend;
mod bridge;
mod buckets;
mod commit;
mod compact;
mod erase;
mod error;
mod file_id;
mod layout;
mod leaving;
mod manifest;
mod merge;
mod operation;
mod parquet_options;
#[cfg(feature = "delta")]
mod publish;
mod run_reader;
mod run_writer;
pub mod scan;
mod snapshot;
mod staging;
mod store;
mod table_spec;
mod transaction;
mod vacuum;
mod verify;
mod verify_file;

pub use buckets::{BucketRange, Buckets};
pub use columna_model::BucketId;
pub use compact::CompactReport;
pub use erase::{EraseReport, ErasedTable};
pub use error::{Error, Result};
pub use layout::Layout;
pub use manifest::{FileEntry, TableVersion};
pub use operation::{DeliveredFile, Delivery, Operation};
#[cfg(feature = "delta")]
pub use publish::{PublishReport, PublishedTable};
pub use snapshot::{ParentRef, Snapshot, SnapshotSummary};
pub use staging::RunSummary;
pub use store::Store;
pub use table_spec::TableSpec;
pub use transaction::Transaction;
pub use vacuum::{VacuumOptions, VacuumReport};
pub use verify::{Problem, VerifyReport};
