//! Groups that are compared within strata: what tests of survival and of incidence start from.

use super::{EventTimes, RiskTable};
use crate::{Error, Grouped, Result};

/// The groups' names in order, and by stratum the groups that have rows in it, at the same times.
#[derive(Debug)]
pub(crate) struct Comparison<'a, G> {
    pub(crate) names: Vec<&'a G>,
    /// Places in `names`, ascending, and their tables.
    pub(crate) strata: Vec<(Vec<usize>, Vec<RiskTable>)>,
}

impl<'a, G: Ord> Comparison<'a, G> {
    pub(crate) fn new<S: Ord>(summary: &'a Grouped<(S, G), EventTimes>) -> Result<Self> {
        let mut names: Vec<&G> = summary.keys().map(|(_, group)| group).collect();
        names.sort();
        names.dedup();
        let mut members: Vec<(&S, Vec<usize>, Vec<&EventTimes>)> = Vec::new();
        for ((stratum, group), times) in summary.iter() {
            let place = names
                .binary_search(&group)
                .map_err(|_| Error::CorruptState)?;
            match members.last_mut().filter(|(last, _, _)| *last == stratum) {
                Some((_, places, groups)) => {
                    places.push(place);
                    groups.push(times);
                }
                None => members.push((stratum, vec![place], vec![times])),
            }
        }
        let (places, groups): (Vec<_>, Vec<_>) = members
            .into_iter()
            .map(|(_, places, groups)| (places, groups))
            .unzip();
        let tables = EventTimes::aligned_risk_tables(&groups)?;
        Ok(Self {
            names,
            strata: places.into_iter().zip(tables).collect(),
        })
    }
}
