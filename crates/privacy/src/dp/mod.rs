//! Differential privacy: exact noise, what it costs, and the role that answers with it.
//!
//! The samplers are our own, and small: exact rejection samplers on whole numbers after Canonne, Kamath and Steinke
//! (2020), fed by the operating system's generator. `opendp` was tried and not taken: its cryptographic source builds
//! a vendored OpenSSL, which needs Perl and Make at build time, and it brings older copies of the random and
//! statistics crates. No floating-point number is ever part of a draw; it only sets the variance, rounded up.

pub mod accounting;
mod error;
pub mod gaussian;
pub mod laplace;
pub mod random;
#[cfg(test)]
mod tests;

pub use error::Error;
