//! Synthetic hospitals with known truth.
