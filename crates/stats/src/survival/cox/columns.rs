//! The rows of a Cox model as whole columns: what a query engine has, checked at once and taken without a copy.

use rayon::prelude::*;

use super::Rows;
use crate::survival::check_time;
use crate::{Error, Numbers, Result, Values};

/// The columns of a Cox model. `start`, `stratum`, `weight`, `cluster` and `offset` are empty if no row has one.
#[derive(Debug, Clone, Default)]
pub struct RowColumns {
    /// End of follow-up.
    pub time: Vec<f64>,
    /// Whether the event happened then.
    pub event: Vec<bool>,
    /// A column per term.
    pub covariates: Vec<Numbers>,
    /// Start of the interval `(start, time]`.
    pub start: Vec<f64>,
    /// Codes of strata.
    pub stratum: Vec<u64>,
    /// Case weights; rows of weight 0 are left out.
    pub weight: Vec<f64>,
    /// Codes of clusters.
    pub cluster: Vec<u64>,
    /// A term whose coefficient is 1.
    pub offset: Vec<f64>,
}

/// Values that are checked together.
const BLOCK: usize = 65_536;

fn all(values: &[f64], check: impl Fn(f64) -> bool + Sync) -> bool {
    // A whole block without a way out in its middle: the compiler then uses vector instructions.
    values
        .par_chunks(BLOCK)
        .all(|block| block.iter().fold(true, |so_far, x| so_far & check(*x)))
}

impl Rows {
    /// Takes whole columns.
    ///
    /// # Errors
    ///
    /// What [`Rows::push`] refuses of a row; [`Error::UnequalColumns`] if columns have different lengths.
    pub fn from_columns(columns: RowColumns) -> Result<Self> {
        columns.check()?;
        let RowColumns {
            time,
            event,
            covariates,
            start,
            stratum,
            weight,
            cluster,
            offset,
        } = columns.without_weightless();
        let unless = |column: Vec<f64>, default: f64| {
            let plain = all(&column, |x| x == default);
            if plain { Vec::new() } else { column }
        };
        Ok(Self {
            time,
            event,
            covariates,
            start,
            weight: unless(weight, 1.0),
            offset: unless(offset, 0.0),
            stratum,
            cluster,
        })
    }
}

impl RowColumns {
    fn check(&self) -> Result<()> {
        let rows = self.time.len();
        let optional = |length: usize| length == 0 || length == rows;
        let equal = self.event.len() == rows
            && self.covariates.iter().all(|column| column.len() == rows)
            && [self.start.len(), self.weight.len(), self.offset.len()]
                .into_iter()
                .all(optional)
            && optional(self.stratum.len())
            && optional(self.cluster.len());
        if !equal {
            return Err(Error::UnequalColumns);
        }
        for times in [&self.time, &self.start] {
            // `inf < inf` is false, as is every comparison with NaN.
            if !all(times, |time| (0.0..f64::INFINITY).contains(&time)) {
                times.iter().try_for_each(|time| check_time(*time))?;
            }
        }
        if self
            .start
            .iter()
            .zip(&self.time)
            .any(|(start, time)| start >= time)
        {
            return Err(Error::EmptyInterval);
        }
        if !all(&self.weight, |weight| {
            (0.0..f64::INFINITY).contains(&weight)
        }) {
            return Err(Error::InvalidWeight);
        }
        let covariates = self.covariates.iter();
        if !(covariates.map(Numbers::values).all(Values::is_finite)
            && all(&self.offset, f64::is_finite))
        {
            return Err(Error::NonFiniteCovariate);
        }
        Ok(())
    }

    /// Rows of weight 0 count for nothing, not even as rows.
    fn without_weightless(mut self) -> Self {
        if all(&self.weight, |weight| weight != 0.0) {
            return self;
        }
        let keep: Vec<bool> = self.weight.iter().map(|weight| *weight != 0.0).collect();
        retain(&mut self.time, &keep);
        retain(&mut self.event, &keep);
        let kept: Vec<usize> = (0..keep.len()).filter(|row| keep[*row]).collect();
        self.covariates
            .iter_mut()
            .for_each(|column| *column = column.those(&kept));
        for column in [&mut self.start, &mut self.weight, &mut self.offset] {
            retain(column, &keep);
        }
        retain(&mut self.stratum, &keep);
        retain(&mut self.cluster, &keep);
        self
    }
}

fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    column.retain(|_| keep.next().is_some_and(|keep| *keep));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::survival::cox::Row;

    fn two() -> RowColumns {
        RowColumns {
            time: vec![3.0, 5.0],
            event: vec![true, false],
            covariates: vec![vec![1.0, 2.0].into()],
            ..RowColumns::default()
        }
    }

    fn refused(change: impl FnOnce(&mut RowColumns)) -> Error {
        let mut columns = two();
        change(&mut columns);
        Rows::from_columns(columns).unwrap_err()
    }

    #[test]
    fn columns_are_rows() {
        let mut rows = Rows::new();
        rows.push(&Row::new(3.0, true, &[1.0])).unwrap();
        rows.push(&Row::new(5.0, false, &[2.0])).unwrap();
        let columns = Rows::from_columns(RowColumns {
            weight: vec![1.0; 2],
            ..two()
        })
        .unwrap();
        assert_eq!(format!("{columns:?}"), format!("{rows:?}"));
    }

    #[test]
    fn what_rows_refuse_columns_refuse() {
        assert_eq!(refused(|c| c.time[1] = f64::NAN), Error::NonFiniteTime);
        assert_eq!(refused(|c| c.time[1] = f64::INFINITY), Error::NonFiniteTime);
        assert_eq!(refused(|c| c.time[1] = -1.0), Error::NegativeTime);
        assert_eq!(refused(|c| c.start = vec![3.0, 1.0]), Error::EmptyInterval);
        assert_eq!(
            refused(|c| c.weight = vec![1.0, -1.0]),
            Error::InvalidWeight
        );
        assert_eq!(
            refused(|c| c.covariates[0] = vec![1.0, f64::NAN].into()),
            Error::NonFiniteCovariate
        );
        assert_eq!(refused(|c| c.event.truncate(1)), Error::UnequalColumns);
    }

    #[test]
    fn rows_without_weight_are_left_out() {
        let rows = Rows::from_columns(RowColumns {
            weight: vec![0.0, 2.0],
            cluster: vec![4, 5],
            ..two()
        })
        .unwrap();
        assert_eq!((rows.len(), rows.cluster.as_slice()), (1, &[5_u64][..]));
    }
}
