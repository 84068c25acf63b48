//! The binary as people use it: real commands, real exit codes, real files.

#![expect(clippy::expect_used, reason = "a test may end at the first surprise")]

mod arguments;
mod bench;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "cluster")]
mod cluster_roles;
#[cfg(all(feature = "cluster", feature = "test-s3"))]
mod cluster_s3;
mod cohorts;
mod deliveries;
mod demo;
mod desk;
mod encryption;
mod formats;
mod hidden;
mod interrupts;
mod kill;
mod ledgers;
mod policies;
mod reach;
mod recomputed;
mod refused;
mod releases;
mod roles;
mod schedule;
mod scripts;
mod stores;
mod study;
mod support;
