//! Reference values: small textbook tables in the repository, and the oracle next to it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]
#![expect(
    clippy::print_stdout,
    reason = "what was compared is part of the test's answer"
)]

mod book;
mod cox_penalised;
mod freireich;
mod models_edge_cases;
mod models_penalised;
mod models_properties;
mod models_published;
mod oracle;
mod oracle_competing;
mod oracle_conformance;
mod oracle_cox;
mod oracle_logrank;
mod oracle_models;
mod oracle_survival;
mod oracle_tables;
mod tables_textbook;
