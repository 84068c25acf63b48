//! Why there is no differentially private answer.

/// Why a differentially private answer was not given. None of these depends on a row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Noise without randomness is none.
    #[error(
        "the operating system gives no random numbers, and without noise there is no answer; try again"
    )]
    NoRandomness,
    /// Numbers left the 128 bits in which noise is computed.
    #[error(
        "a number left the range in which exact noise is computed; narrow the declared bounds of the columns"
    )]
    Overflow,
    /// A parameter makes no sense.
    #[error("{0}")]
    Parameter(&'static str),
    /// An ε that is none.
    #[error("epsilon must be a plain number above 0 and at most {largest}, as the policy says")]
    Epsilon {
        /// The policy's largest ε of one query.
        largest: f64,
    },
}
