//! What turns a statistic of `columna-stats` into a SQL aggregate: arguments, rows, partial states, groups.
//!
//! A new statistic names its parameters, its summary and its output, and how the one becomes the other
//! ([`Statistic`]). Everything else is the same for all: which arguments are columns and which are options,
//! NULLs, FILTER, grouping, partial states between threads and machines, and windows.

mod by_group;
mod groups;
pub(crate) mod output;
mod parameters;
mod rows;
mod single;
mod state;
mod udaf;

pub(crate) use by_group::{GroupedTimes, Label};
pub(crate) use parameters::{Options, Parameter, Role};
pub(crate) use rows::refused;

pub(crate) use udaf::{Statistic, udaf};
