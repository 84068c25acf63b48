//! Cohorts over stores.

mod fixture;
mod oracle;
