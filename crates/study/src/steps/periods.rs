//! The hazard ratio within periods of the follow-up.
//!
//! Periods end at quantiles of the days of events, so that each has about as many. A person is in every period that their
//! follow-up reaches, from its first day on: the model of `survSplit` and `coxph(Surv(tstart, tstop, event) ~ …)` on one period's rows.

use super::cox::{Fit, fit, rows_of};
use crate::error::{Error, Result};
use crate::findings::{Interval, Period};
use crate::spec::Model;

/// Fewer events say nothing about a period.
const EVENTS: usize = 20;
/// More periods than a reader compares.
const PERIODS: usize = 4;

/// Fits the model in each; none where there are too few events for two.
pub(crate) fn build(model: Model, of: &Fit<'_>) -> Result<Vec<Period>> {
    let rows = rows_of(model, of);
    let follow = || rows.iter().map(|row| of.follow[row.0]);
    let last = follow().map(|one| one.days).max().unwrap_or(0);
    let mut days: Vec<i32> = follow()
        .filter(|one| one.event == 1)
        .map(|one| one.days)
        .collect();
    days.sort_unstable();
    let mut found = Vec::new();
    let mut from = 0;
    for to in ends(&days, last) {
        let part = Fit {
            period: Some((from, to)),
            ..*of
        };
        let (persons, events, ratio) = match fit(model, &part, false) {
            Ok(one) => (one.persons, one.events, one.ratio),
            // One group without events, or a term without spread, in this period only.
            Err(Error::Statistic(_)) => {
                from = to;
                continue;
            }
            Err(other) => return Err(other),
        };
        found.push(Period {
            from: from + 1,
            to,
            persons,
            events,
            ratio: if ratio.value.finite().is_some() {
                ratio
            } else {
                Interval::unknown()
            },
        });
        from = to;
    }
    Ok(found)
}

/// The last days of the periods, from the sorted days of events; none if there would be one period only.
fn ends(days: &[i32], last: i32) -> Vec<i32> {
    let periods = (days.len() / EVENTS).min(PERIODS);
    let mut ends: Vec<i32> = (1..periods)
        .map(|part| days[days.len() * part / periods - 1])
        .chain([last])
        .collect();
    ends.dedup();
    if ends.len() < 2 {
        ends.clear();
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_as_many_events_each() {
        let days: Vec<i32> = (1..=80).collect();
        assert_eq!(ends(&days, 100), [20, 40, 60, 100]);
        assert_eq!(ends(&days[..45], 100), [22, 100]);
        assert_eq!(ends(&days[..39], 100), [0_i32; 0]);
        // Events of one day stay together.
        assert_eq!(ends(&[7; 90], 100), [7, 100]);
        assert_eq!(ends(&[100; 90], 100), [0_i32; 0]);
    }
}
