//! Survival statistics: all of them read one summary, [`EventTimes`].

mod columns;
mod comparison;
pub mod concordance;
pub mod cox;
pub mod cumulative_incidence;
mod event_times;
pub mod fine_gray;
pub mod gray;
mod hazard_ratio;
mod histogram;
mod interval;
mod jackknife;
pub mod kaplan_meier;
pub mod logrank;
pub mod nelson_aalen;
mod newton;
mod quantile;
mod risk_table;
pub mod rmst;

pub use event_times::{EventTimes, EventTimesParts, MAX_STATUS};
pub use hazard_ratio::{HazardRatio, Test};
pub use interval::ConfType;
pub use quantile::Quantile;
pub use risk_table::RiskTable;

pub(crate) use histogram::check_time;
pub(crate) use risk_table::{TimeFix, distinct_times, is_whole};
