//! Tables of counts: two by two, stratified, paired, and single proportions.

pub mod exact;
pub mod mantel_haenszel;
pub mod paired;
pub mod proportion;
mod score;
mod two_by_two;

pub(crate) use two_by_two::number;
pub use two_by_two::{ChiSquared, TwoByTwo, e_value};
