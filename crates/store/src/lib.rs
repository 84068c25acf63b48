//! Patient-clustered Parquet tables; snapshots as a Merkle tree.
//!
//! ```text
//! STORE/snapshots/000000012.json                 all tables at one moment: parent, buckets, manifests by hash
//! STORE/manifests/<hash>.json                    one version of one table: its files, with rows, persons and hash
//! STORE/tables/<table>/<bucket>/<id>.parquet     one sorted run, never changed once it is written
//! STORE/projections/<table>/by_<column>/<bucket>/<id>.parquet     the same rows in another order, where asked for
//! ```
//!
//! A [`Store`] is read through a [`Snapshot`] and changed through a [`Transaction`], which stages runs and then
//! puts one more snapshot, if nobody else did meanwhile. No reader sees a file before a
//! snapshot names it, so a writer that is killed leaves only files that [`Store::vacuum`] removes.
//!
//! Persons are divided into [`Buckets`], the same in every table, and each table has one file per bucket. Rows
//! are in order of (person, start date, primary key), so readers need neither a sort nor a merge.

mod backend;
mod bridge;
mod buckets;
mod commit;
mod compact;
mod encrypt;
mod encryption;
mod erase;
mod error;
mod file_id;
mod layout;
mod leaving;
#[cfg(target_os = "linux")]
mod local_files;
mod manifest;
mod merge;
mod operation;
mod owned;
mod parquet_options;
mod project;
mod projection;
mod pseudonymised;
#[cfg(feature = "delta")]
mod publish;
mod run_reader;
mod run_writer;
#[cfg(feature = "test-s3")]
mod s3_server;
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
pub use encrypt::EncryptReport;
pub use encryption::{Encryption, FileEncryption, FileKeys, KeyId, Secret};
pub use erase::{EraseReport, ErasedTable};
pub use error::{Error, Result};
pub use layout::Layout;
pub use manifest::{FileEntry, Projection, TableVersion};
pub use operation::{DeliveredFile, Delivery, Operation};
pub use owned::OwnedColumn;
pub use project::ProjectReport;
pub use pseudonymised::Pseudonymised;
#[cfg(feature = "delta")]
pub use publish::{PublishReport, PublishedTable};
#[cfg(feature = "test-s3")]
pub use s3_server::S3Server;
pub use snapshot::{ParentRef, Snapshot, SnapshotSummary};
pub use staging::RunSummary;
pub use store::Store;
pub use table_spec::TableSpec;
pub use transaction::Transaction;
pub use vacuum::{VacuumOptions, VacuumReport};
pub use verify::{Problem, VerifyReport};
