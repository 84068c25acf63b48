//! Events, person-time and rates by group.

use columna_stats::rates::{PersonTime, RateInterval, rate_difference, rate_ratio};

use super::cox::per_thousand_years;
use super::data::{Data, groups};
use super::float;
use super::follow_up::{FollowUp, Status};
use crate::error::Result;
use crate::findings::{Arm, Incidence, Interval, Num};
use crate::spec::Spec;

/// Counts them.
pub(crate) fn build(
    spec: &Spec,
    data: &Data,
    follow: &[FollowUp],
    outcome: &str,
) -> Result<Incidence> {
    let groups = groups(spec);
    let mut arms: Vec<Arm> = groups
        .iter()
        .map(|group| Arm {
            group: group.clone(),
            persons: 0,
            prior: 0,
            no_time: 0,
            events: 0,
            competing: 0,
            person_days: 0,
            rate: Interval::unknown(),
        })
        .collect();
    for (person, one) in data.people.iter().zip(follow) {
        let arm = &mut arms[usize::from(!person.target)];
        match one.status {
            Status::Prior => arm.prior += 1,
            Status::NoTime => arm.no_time += 1,
            Status::AtRisk => {
                arm.persons += 1;
                arm.events += u64::from(one.event == 1);
                arm.competing += u64::from(one.event == 2);
                arm.person_days += u64::try_from(one.days).unwrap_or(0);
            }
        }
    }
    let scaled = |interval: Interval| {
        Interval::new(
            per_thousand_years(interval.value.get()),
            per_thousand_years(interval.lower.get()),
            per_thousand_years(interval.upper.get()),
        )
    };
    let time = |arm: &Arm| PersonTime {
        events: arm.events,
        time: float(arm.person_days),
    };
    for arm in &mut arms {
        arm.rate = scaled(time(arm).rate(RateInterval::Exact, spec.confidence)?.into());
    }
    let (mut ratio, mut ratio_p, mut difference) = (None, None, None);
    if let [target, comparator] = arms.as_slice() {
        let found = rate_ratio(time(target), time(comparator), spec.confidence)?;
        ratio = Some(found.ratio.into());
        ratio_p = Some(Num(found.p_value));
        difference = Some(scaled(
            rate_difference(time(target), time(comparator), spec.confidence)?.into(),
        ));
    }
    Ok(Incidence {
        outcome: outcome.to_owned(),
        arms,
        ratio,
        ratio_p,
        difference,
    })
}
