//! Patient-clustered Parquet tables; snapshots as a Merkle tree.
