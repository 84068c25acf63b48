//! What turns a statistic of `columna-stats` into a SQL aggregate: arguments, rows, partial states, groups.
//!
//! A new statistic names its parameters, its summary and its output, and how the one becomes the other
//! ([`Statistic`]). Everything else is the same for all: which arguments are columns and which are options,
//! NULLs, FILTER, grouping, partial states between threads and machines, and windows.
//!
//! A new *shape of rows* (times and events, counts, covariates) says how it reads a batch ([`BatchRows`]) and how a
//! summary takes such rows and travels ([`RowSummary`]); statistics of the same shape share it.

#![expect(
    dead_code,
    unused_imports,
    reason = "roles and readers for the families that are being added"
)]

mod batch;
mod by_group;
mod event_rows;
mod groups;
mod ids;
mod model_rows;
pub(crate) mod output;
mod parameters;
pub(crate) mod passes;
mod rows;
mod single;
mod state;
mod udaf;
mod unsuitable;

pub(crate) use batch::{Batch, Counted, days, flags, labels, numbers, statuses};
pub(crate) use by_group::{GroupedTimes, Label};
pub(crate) use ids::Ids;
pub(crate) use model_rows::{Kind, Layout, ModelBatch, ModelRows, Slot, Words, members};
pub(crate) use parameters::{Options, Parameter, Role, TermKind, term_kind};
pub(crate) use rows::{BatchRows, RowSummary, refused};
pub(crate) use state::{State, StateBuilder};

pub(crate) use udaf::{Registered, Statistic};
pub(crate) use unsuitable::{refuse, unsuitable};
