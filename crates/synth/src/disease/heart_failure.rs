//! Infarction, atrial fibrillation and heart failure with its admissions.

use super::{HORIZON, History};
use crate::admissions::{Admission, Content};
use crate::chart::{Chart, department};
use crate::hazard::{Band, Change, onset, poisson};
use crate::labs::{self, Panel};
use crate::population::Person;
use crate::rng::Rng;
use crate::vocabulary::conditions::{
    ACUTE_MYOCARDIAL_INFARCTION, ATRIAL_FIBRILLATION, CEREBRAL_INFARCTION, HEART_FAILURE,
};
use crate::vocabulary::procedures::{ECHOCARDIOGRAPHY, ELECTROCARDIOGRAPHY};

/// Per 1,000 person-years; twice after diabetes, 1.5 times after hypertension and in smokers.
const INFARCTION: &[Band] = &[
    (0, [0.0, 0.0]),
    (35, [0.6, 0.05]),
    (45, [1.6, 0.3]),
    (55, [3.0, 0.9]),
    (65, [4.5, 2.5]),
    (75, [8.0, 6.5]),
];
/// 1.4 times after hypertension.
const FIBRILLATION: &[Band] = &[
    (0, [0.02, 0.01]),
    (50, [1.5, 0.6]),
    (65, [5.0, 3.0]),
    (75, [12.0, 9.0]),
];
/// 1.5 times after hypertension, six times after infarction, three times after fibrillation.
const FAILURE: &[Band] = &[
    (0, [0.05, 0.03]),
    (50, [1.0, 0.6]),
    (65, [3.5, 2.8]),
    (75, [11.0, 11.0]),
];

/// Draws infarction, fibrillation and failure.
pub(crate) fn draw(rng: &mut Rng, person: &Person, history: &mut History) {
    let Person { birth, sex, .. } = *person;
    let after = |onset: Option<i32>, factor: f64| onset.map(|day| -> Change { (day, factor) });
    let smoker = (person.smoking == crate::population::Smoking::Current).then_some((birth, 1.5));
    let risks: Vec<Change> = [
        after(history.diabetes, 2.0),
        after(history.hypertension, 1.5),
        smoker,
    ]
    .into_iter()
    .flatten()
    .collect();
    history.infarction = onset(rng, birth, sex, INFARCTION, &risks, birth, HORIZON);
    let risks: Vec<Change> = after(history.hypertension, 1.4).into_iter().collect();
    history.fibrillation = onset(rng, birth, sex, FIBRILLATION, &risks, birth, HORIZON);
    let risks: Vec<Change> = [
        after(history.hypertension, 1.5),
        after(history.infarction, 6.0),
        after(history.fibrillation, 3.0),
    ]
    .into_iter()
    .flatten()
    .collect();
    history.heart_failure = onset(rng, birth, sex, FAILURE, &risks, birth, HORIZON);
}

/// Admissions for infarction, stroke and failure: half of failures begin with one, then 0.30 a year.
pub(crate) fn admissions(
    rng: &mut Rng,
    person: &Person,
    history: &History,
    exit: i32,
) -> Vec<Admission> {
    let entry = person.entry();
    let mut planned = Vec::new();
    if let Some(day) = history.infarction.filter(|day| *day > entry) {
        planned.push(
            Admission::emergency(day, &ACUTE_MYOCARDIAL_INFARCTION, Content::Infarction)
                .must_be_recorded(),
        );
    }
    if let Some(day) = history.stroke.filter(|day| *day > entry) {
        planned.push(
            Admission::emergency(day, &CEREBRAL_INFARCTION, Content::Stroke).must_be_recorded(),
        );
    }
    if let Some(from) = history.heart_failure {
        if from > entry && rng.chance(0.5) {
            planned.push(Admission::emergency(
                from,
                &HEART_FAILURE,
                Content::HeartFailure,
            ));
        }
        poisson(rng, 0.30, from.max(entry) + 31, exit, |rng, day| {
            // One in three comes planned through the outpatient clinic.
            let mut admission = Admission::emergency(day, &HEART_FAILURE, Content::HeartFailure);
            admission.emergency = rng.chance(0.67);
            planned.push(admission);
        });
    }
    planned
}

/// Fibrillation, and failure outside of hospital.
///
/// Failure is never written into a stay for something else, so that a stay with the diagnosis is one for failure.
pub(crate) fn record(chart: &mut Chart<'_>, rng: &mut Rng, history: &History) {
    let entry = chart.person.entry();
    if let Some(day) = history.fibrillation.filter(|day| *day > entry)
        && let Some(visit) = chart.contact(rng, day, department::CARDIOLOGY)
    {
        chart.diagnose(visit, day, &ATRIAL_FIBRILLATION);
        chart.perform(visit, day, &ELECTROCARDIOGRAPHY);
    }
    if let Some(day) = history.heart_failure.filter(|day| *day > entry)
        && chart.stay(day).is_none()
        && let Some(visit) = chart.contact(rng, day, department::CARDIOLOGY)
    {
        chart.diagnose(visit, day, &HEART_FAILURE);
        chart.perform(visit, day, &ECHOCARDIOGRAPHY);
        labs::panel(chart, rng, history, visit, day, Panel::Heart);
    }
}
