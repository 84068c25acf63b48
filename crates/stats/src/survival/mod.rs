//! Survival statistics: all of them read one summary, [`EventTimes`].

pub mod concordance;
pub mod cox;
mod event_times;
mod histogram;
mod interval;
mod jackknife;
pub mod kaplan_meier;
pub mod logrank;
pub mod nelson_aalen;
mod quantile;
mod risk_table;
pub mod rmst;

pub use event_times::{EventTimes, EventTimesParts, MAX_STATUS};
pub use interval::ConfType;
pub use quantile::Quantile;
pub use risk_table::RiskTable;

pub(crate) use histogram::check_time;
pub(crate) use risk_table::TimeFix;
