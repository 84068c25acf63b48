//! Costs as whole numbers, so that sums are exact.

use crate::dp::accounting::Cost;

use super::Error;

/// Parts of one ρ, and of one δ.
const RHO_PARTS: f64 = 1e12;
const DELTA_PARTS: f64 = 1e18;

/// Above this no budget means anything, and sums stay far from the end of 64 bits.
const LARGEST_RHO: f64 = 1e6;

/// ρ in units of 10⁻¹² and δ in units of 10⁻¹⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Amount {
    pub(super) rho: i64,
    pub(super) delta: i64,
}

impl Amount {
    /// A cost, rounded up.
    pub(super) fn cost(cost: Cost) -> Result<Self, Error> {
        if cost.rho <= 0.0 {
            return Err(Error::Amount);
        }
        Self::new(cost, f64::ceil)
    }

    /// A budget, rounded down.
    pub(super) fn budget(cost: Cost) -> Result<Self, Error> {
        Self::new(cost, f64::floor)
    }

    fn new(cost: Cost, round: fn(f64) -> f64) -> Result<Self, Error> {
        let valid = (0.0..=LARGEST_RHO).contains(&cost.rho) && (0.0..1.0).contains(&cost.delta);
        if !valid {
            return Err(Error::Amount);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "not negative and at most 10^18, as checked above"
        )]
        let whole = |number: f64| round(number) as i64;
        Ok(Self {
            rho: whole(cost.rho * RHO_PARTS),
            delta: whole(cost.delta * DELTA_PARTS),
        })
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            rho: self.rho.saturating_add(other.rho),
            delta: self.delta.saturating_add(other.delta),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            rho: self.rho.saturating_sub(other.rho),
            delta: self.delta.saturating_sub(other.delta),
        }
    }

    pub(super) fn covers(self, price: Self) -> bool {
        self.rho >= price.rho && self.delta >= price.delta
    }

    pub(super) fn as_cost(self) -> Cost {
        Cost {
            rho: self.rho as f64 / RHO_PARTS,
            delta: self.delta as f64 / DELTA_PARTS,
        }
    }
}
