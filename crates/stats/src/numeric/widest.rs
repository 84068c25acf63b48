//! Loops in the widest vector instructions that the machine has, found out when the program runs.
//!
//! The loops are plain Rust over lanes of a fixed number, without fused multiply-adds: whatever the width, the same
//! additions are done in the same order, so that every machine comes to the same bits. What is called inside has to be
//! `#[inline(always)]`: a function of its own would be compiled for the oldest machines.

/// Evaluates an expression with the widest vector instructions. Not for expressions with `return` or `?`.
macro_rules! widest {
    ($work:expr) => {
        fearless_simd::dispatch!(fearless_simd::Level::new(), _simd => $work)
    };
}

pub(crate) use widest;
