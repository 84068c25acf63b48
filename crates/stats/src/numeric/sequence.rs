//! Numbers one after another: how the parts of a fit travel.

use crate::{Error, Result};

/// Reads numbers off the front of a slice.
#[derive(Debug)]
pub(crate) struct Sequence<'a> {
    rest: &'a [f64],
}

impl<'a> Sequence<'a> {
    pub(crate) fn new(numbers: &'a [f64]) -> Self {
        Self { rest: numbers }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [f64]> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(Error::CorruptState)?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn number(&mut self) -> Result<f64> {
        let (first, rest) = self.rest.split_first().ok_or(Error::CorruptState)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A number of things.
    pub(crate) fn count(&mut self) -> Result<usize> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let number = self.number()?;
        if !((0.0..EXACT).contains(&number) && number.fract() == 0.0) {
            return Err(Error::CorruptState);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and in range"
        )]
        Ok(number as usize)
    }

    /// What [`put`] wrote.
    pub(crate) fn list(&mut self) -> Result<&'a [f64]> {
        let count = self.count()?;
        self.take(count)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::CorruptState)
        }
    }
}

/// Writes a list with its length before it.
pub(crate) fn put(into: &mut Vec<f64>, list: &[f64]) {
    into.push(whole(list.len()));
    into.extend_from_slice(list);
}

/// A number of things.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) fn whole(count: usize) -> f64 {
    count as f64
}
