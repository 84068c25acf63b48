//! OHDSI cohort definitions over the patient-clustered store: a thousand in one pass.
//!
//! [`definition::parse`] reads Circe's JSON and names what is wrong in it; [`plan::compile`] turns many definitions
//! into one plan in which equal criteria stand once; [`exec::run`] streams over the store's buckets, keeps one
//! person's records in small sorted arrays, and works out every definition's periods of membership.
//!
//! The semantics are those of Circe's SQL (circe-be 1.11.3), down to its peculiarities, which
//! [`definition::Problem`]s name as warnings; what cannot be answered as Circe would answer it is refused.

mod domain;
mod domain_table;
mod error;
mod read;

pub mod definition;
pub mod exec;
pub mod explain;
pub mod library;
pub mod plan;
pub mod report;
pub mod sql;

pub use domain::{Attribute, Domain, DomainDef, End, Field, Kind, Operand};
pub use error::{Error, Result};
