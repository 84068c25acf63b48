//! The one operation that every scale relies on: merging two summaries.

/// What a statistic keeps of the rows it has seen.
///
/// `Default` is the summary of no rows. `merge` is associative and commutative, with the empty summary as its
/// identity: exactly for everything that is a count, and to rounding for sums of floating-point numbers. The
/// summary of a whole therefore equals the merged summaries of its parts, however the rows were split.
pub trait Summary: Default {
    /// Takes in what `other` has seen.
    fn merge(&mut self, other: Self);

    /// Whether no row has been seen.
    fn is_empty(&self) -> bool;
}
