//! Cumulative incidence in the presence of a competing event.

use columna_stats::Grouped;
use columna_stats::survival::{ConfType, EventTimes, cumulative_incidence as cif, fine_gray, gray};

use super::count;
use super::cox::list;
use super::data::{Data, at_risk, groups, terms};
use super::follow_up::FollowUp;
use super::kaplan_meier::{Step, differences, landmarks};
use crate::error::Result;
use crate::findings::{CauseCurve, Competing, FineGray, Interval, Num, Point};
use crate::spec::{self, Located, Spec};

/// The competing event's name for readers.
pub(crate) fn competing_label(spec: &Spec) -> String {
    match &spec.time_at_risk.competing {
        Some(spec::Competing::Cohort(name)) => spec.cohort_label(&name.value),
        _ => "Death".to_owned(),
    }
}

/// Curves, tests and models.
pub(crate) fn build(
    spec: &Spec,
    data: &Data,
    follow: &[FollowUp],
    outcome: &str,
    at: &[i64],
    with_fine_gray: bool,
    covariates: Option<&[Located<String>]>,
) -> Result<Competing> {
    let groups = groups(spec);
    let mut grouped = Grouped::<((), usize), EventTimes>::default();
    for row in at_risk(follow) {
        grouped
            .entry(((), usize::from(!data.people[row].target)))
            .add(f64::from(follow[row].days), follow[row].event)?;
    }
    let competing = competing_label(spec);
    let causes = [outcome.to_owned(), competing.clone()];
    let options = cif::Options {
        conf_type: ConfType::LogLog,
        conf_level: spec.confidence,
        ..cif::Options::default()
    };
    let mut curves = Vec::new();
    let mut steps: [Vec<Vec<Step>>; 2] = Default::default();
    for (group, name) in groups.iter().enumerate() {
        let Some(summary) = grouped.get(&((), group)) else {
            continue;
        };
        let found = cif::curves(summary, &options)?;
        let by_cause = causes.iter().zip(1_u32..).zip(&found.causes);
        for (((cause, code), rows), steps) in by_cause.zip(&mut steps) {
            steps.push(rows.iter().map(Step::from).collect());
            let points: Vec<Point> = rows
                .iter()
                .map(|row| Point {
                    time: Num(row.time),
                    n_risk: Num(row.n_risk),
                    n_event: Num(row.n_event),
                    n_censor: Num(row.n_censor),
                    estimate: Interval::new(row.estimate, row.lower, row.upper),
                })
                .collect();
            let events = at_risk(follow)
                .filter(|row| {
                    usize::from(!data.people[*row].target) == group && follow[*row].event == code
                })
                .count();
            curves.push(CauseCurve {
                group: name.clone(),
                cause: cause.clone(),
                code,
                events: count(events),
                landmarks: landmarks(&points, at, 0.0),
                points,
            });
        }
    }
    let mut apart = Vec::new();
    for (cause, steps) in causes.iter().zip(&steps) {
        let found = differences(steps, at, 0.0, spec.confidence)?;
        apart.extend(found.into_iter().map(|one| (cause.clone(), one)));
    }
    let mut tests = Vec::new();
    if groups.len() == 2 {
        for (cause, code) in causes.iter().zip(1_u32..) {
            if at_risk(follow).any(|row| follow[row].event == code) {
                let test = gray::test(&grouped, &gray::Options::new(code))?;
                tests.push((
                    cause.clone(),
                    Num(test.statistic),
                    count(test.df),
                    Num(test.p_value),
                ));
            }
        }
    }
    let mut models = Vec::new();
    if with_fine_gray && groups.len() == 2 && at_risk(follow).any(|row| follow[row].event == 1) {
        let terms = terms(&data.dense, covariates);
        for adjusted in [false, true] {
            if adjusted && terms.columns.is_empty() {
                continue;
            }
            let mut rows = fine_gray::CompetingRows::new();
            let mut x = vec![0.0; 1 + if adjusted { terms.columns.len() } else { 0 }];
            for row in at_risk(follow) {
                if adjusted && terms.incomplete[row] {
                    continue;
                }
                x[0] = f64::from(u8::from(data.people[row].target));
                for (into, column) in x[1..].iter_mut().zip(&terms.columns) {
                    *into = column[row];
                }
                rows.push(f64::from(follow[row].days), follow[row].event, 1, &x)?;
            }
            let fitted = fine_gray::fit(&rows, &fine_gray::Options::default())?;
            if let Some(ratio) = fitted.hazard_ratios(spec.confidence)?.first() {
                models.push(FineGray {
                    adjusted_for: if adjusted {
                        format!("adjusted for {}", list(&terms.labels))
                    } else {
                        "unadjusted".to_owned()
                    },
                    ratio: Interval::new(ratio.estimate, ratio.lower, ratio.upper),
                    p_value: Num(ratio.p_value),
                });
            }
        }
    }
    Ok(Competing {
        outcome: outcome.to_owned(),
        competing,
        curves,
        differences: apart,
        gray: tests,
        fine_gray: models,
    })
}

impl From<&cif::Row> for Step {
    fn from(row: &cif::Row) -> Self {
        Self {
            time: row.time,
            value: row.estimate,
            std_err: row.std_err,
        }
    }
}
