//! Readmission after stays.

use std::collections::{BTreeMap, HashMap, HashSet};

use columna_stats::two_sided_z;
use datafusion::prelude::SessionContext;

use super::statements::{ask, in_set, need_table};
use super::{count, float};
use crate::error::Result;
use crate::findings::{Interval, Readmission, ReadmissionGroup};
use crate::frame;
use crate::spec::{self, Spec};

#[derive(Debug, Clone, Copy)]
struct Stay {
    id: i64,
    start: i32,
    end: i32,
}

/// Counts discharges, and those that another stay follows.
pub(crate) async fn build(
    ctx: &SessionContext,
    step: &str,
    spec: &Spec,
    wanted: &spec::Readmission,
) -> Result<Readmission> {
    need_table(ctx, step, "visit_occurrence").await?;
    need_table(ctx, step, "observation_period").await?;
    let visits = ask(
        ctx,
        &format!(
            "SELECT visit_occurrence_id AS id, person_id, visit_start_date AS first, visit_end_date AS last \
             FROM visit_occurrence WHERE {}",
            in_set("visit_concept_id", &wanted.visits)
        ),
    )
    .await?;
    let mut stays: BTreeMap<i64, Vec<Stay>> = BTreeMap::new();
    let (ids, persons) = (
        frame::integers(&visits, "id")?,
        frame::integers(&visits, "person_id")?,
    );
    let (starts, ends) = (
        frame::days(&visits, "first")?,
        frame::days(&visits, "last")?,
    );
    for row in 0..visits.num_rows() {
        if let (Some(id), Some(person), Some(start), Some(end)) =
            (ids[row], persons[row], starts[row], ends[row])
        {
            stays
                .entry(person)
                .or_default()
                .push(Stay { id, start, end });
        }
    }
    let periods = ask(
        ctx,
        "SELECT person_id, observation_period_start_date AS first, observation_period_end_date AS last FROM observation_period",
    )
    .await?;
    let mut observed: HashMap<i64, Vec<(i32, i32)>> = HashMap::new();
    for ((person, start), end) in frame::integers(&periods, "person_id")?
        .into_iter()
        .zip(frame::days(&periods, "first")?)
        .zip(frame::days(&periods, "last")?)
    {
        if let (Some(person), Some(start), Some(end)) = (person, start, end) {
            observed.entry(person).or_default().push((start, end));
        }
    }
    let mut groups: Vec<(String, HashSet<i64>)> = Vec::new();
    for (label, set) in &wanted.by {
        need_table(ctx, step, "condition_occurrence").await?;
        let answer = ask(
            ctx,
            &format!(
                "SELECT DISTINCT visit_occurrence_id AS id FROM condition_occurrence \
                 WHERE visit_occurrence_id IS NOT NULL AND {}",
                in_set("condition_concept_id", set)
            ),
        )
        .await?;
        groups.push((
            label.clone(),
            frame::integers(&answer, "id")?
                .into_iter()
                .flatten()
                .collect(),
        ));
    }
    let days = i32::try_from(wanted.days).unwrap_or(i32::MAX);
    let rest = groups.len();
    let mut counts: Vec<Vec<(u64, u64)>> = vec![Vec::new(); rest + 1];
    let mut not_followed = 0;
    for (person, stays) in &stays {
        let periods = observed.get(person).map(Vec::as_slice).unwrap_or_default();
        let mut own = vec![(0, 0); rest + 1];
        for stay in stays {
            if wanted
                .calendar
                .is_some_and(|(first, last)| !(first..=last).contains(&stay.end))
            {
                continue;
            }
            let until = stay.end.saturating_add(days);
            if !periods
                .iter()
                .any(|(start, end)| *start <= stay.end && until <= *end)
            {
                not_followed += 1;
                continue;
            }
            let again = stays
                .iter()
                .any(|other| other.start > stay.end && other.start <= until);
            // A stay that meets several groups counts in the first.
            let group = groups
                .iter()
                .position(|(_, members)| members.contains(&stay.id))
                .unwrap_or(rest);
            own[group].0 += 1;
            own[group].1 += u64::from(again);
        }
        for (group, own) in counts.iter_mut().zip(own) {
            if own.0 > 0 {
                group.push(own);
            }
        }
    }
    let z = two_sided_z(spec.confidence)?;
    let labels = groups
        .into_iter()
        .map(|(label, _)| label)
        .chain(std::iter::once(
            if rest == 0 {
                "all stays"
            } else {
                "other stays"
            }
            .to_owned(),
        ));
    let mut found: Vec<ReadmissionGroup> = labels
        .zip(&counts)
        .map(|(label, persons)| group(label, persons, z))
        .collect();
    found.retain(|group| group.discharges > 0);
    Ok(Readmission {
        days: wanted.days,
        not_followed,
        groups: found,
    })
}

/// The share with an interval that knows that a person's stays are not independent (a ratio estimator's).
fn group(label: String, persons: &[(u64, u64)], z: f64) -> ReadmissionGroup {
    let (discharges, readmissions) = persons
        .iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let share = float(readmissions) / float(discharges);
    let squares: f64 = persons
        .iter()
        .map(|(stays, again)| {
            let residual = float(*again) - share * float(*stays);
            residual * residual
        })
        .sum();
    let half = z * squares.sqrt() / float(discharges);
    ReadmissionGroup {
        label,
        discharges,
        persons: count(persons.len()),
        readmissions,
        share: Interval::new(share, (share - half).max(0.0), (share + half).min(1.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stay_per_person_has_the_usual_interval() {
        let persons: Vec<(u64, u64)> = (0..100).map(|person| (1, u64::from(person < 20))).collect();
        let found = group("all".into(), &persons, 1.96);
        let half = 1.96 * (0.2_f64 * 0.8 / 100.0).sqrt();
        assert!((found.share.upper.get() - (0.2 + half)).abs() < 1e-12);
        // The same stays of half as many persons, two each: the interval is wider by the square root of 2.
        let pairs: Vec<(u64, u64)> = (0..50)
            .map(|person| (2, if person < 10 { 2 } else { 0 }))
            .collect();
        let found = group("all".into(), &pairs, 1.96);
        assert!((found.share.upper.get() - (0.2 + half * 2.0_f64.sqrt())).abs() < 1e-12);
    }
}
