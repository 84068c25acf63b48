//! Hypertension, and the way from it and from diabetes through chronic kidney disease to dialysis.

use super::{HORIZON, History};
use crate::chart::{Chart, department};
use crate::hazard::{Band, Change, onset};
use crate::labs::{self, Panel};
use crate::population::Person;
use crate::rng::Rng;
use crate::vocabulary::conditions::{
    ANEMIA_IN_CKD, CKD_STAGE_3, CKD_STAGE_4, END_STAGE_RENAL_DISEASE, ESSENTIAL_HYPERTENSION,
};
use crate::vocabulary::drugs::EPOETIN_ALFA;
use crate::vocabulary::procedures::HEMODIALYSIS;

/// Onsets of hypertension per 1,000 person-years; 1.5 times as many after diabetes.
const INCIDENCE: &[Band] = &[
    (0, [0.0, 0.0]),
    (20, [4.0, 1.5]),
    (30, [10.0, 4.0]),
    (40, [22.0, 12.0]),
    (50, [34.0, 27.0]),
    (60, [44.0, 42.0]),
    (70, [50.0, 55.0]),
];
/// Stage 3 kidney disease per 1,000 person-years; 1.8 times after hypertension, 2.2 times after diabetes.
const KIDNEY_3: &[Band] = &[
    (0, [0.05, 0.05]),
    (40, [0.8, 0.6]),
    (60, [4.0, 3.0]),
    (70, [10.0, 9.0]),
];
/// From stage 3 to 4, and from 4 to dialysis.
const KIDNEY_4: &[Band] = &[(0, [90.0, 80.0])];
const DIALYSIS: &[Band] = &[(0, [200.0, 180.0]), (75, [120.0, 110.0])];

/// Draws hypertension and kidney disease.
pub(crate) fn draw(rng: &mut Rng, person: &Person, history: &mut History) {
    let Person { birth, sex, .. } = *person;
    let after = |onset: Option<i32>, factor: f64| onset.map(|day| -> Change { (day, factor) });
    let risks: Vec<Change> = after(history.diabetes, 1.5).into_iter().collect();
    history.hypertension = onset(rng, birth, sex, INCIDENCE, &risks, birth, HORIZON);
    let risks: Vec<Change> = [
        after(history.hypertension, 1.8),
        after(history.diabetes, 2.2),
    ]
    .into_iter()
    .flatten()
    .collect();
    history.kidney_3 = onset(rng, birth, sex, KIDNEY_3, &risks, birth, HORIZON);
    history.kidney_4 = history
        .kidney_3
        .and_then(|from| onset(rng, birth, sex, KIDNEY_4, &[], from, HORIZON));
    history.dialysis = history
        .kidney_4
        .and_then(|from| onset(rng, birth, sex, DIALYSIS, &[], from, HORIZON));
}

/// The diagnosis of hypertension and of each stage on its day, and dialysis.
///
/// Dialysis is recorded as the monthly bill with its laboratory control, as claims do, not as twelve sessions.
pub(crate) fn record(chart: &mut Chart<'_>, rng: &mut Rng, history: &History, exit: i32) {
    let entry = chart.person.entry();
    for (found, what, place) in [
        (
            history.hypertension,
            &ESSENTIAL_HYPERTENSION,
            department::CARDIOLOGY,
        ),
        (history.kidney_3, &CKD_STAGE_3, department::NEPHROLOGY),
        (history.kidney_4, &CKD_STAGE_4, department::NEPHROLOGY),
        (
            history.dialysis,
            &END_STAGE_RENAL_DISEASE,
            department::NEPHROLOGY,
        ),
    ] {
        if let Some(day) = found.filter(|day| *day > entry)
            && let Some(visit) = chart.contact(rng, day, place)
        {
            chart.diagnose(visit, day, what);
            if place == department::NEPHROLOGY {
                labs::panel(chart, rng, history, visit, day, Panel::Metabolic);
            }
        }
    }
    let Some(from) = history.dialysis else { return };
    let mut day = from.max(entry) + 3;
    while day <= exit {
        if chart.stay(day).is_none()
            && let Some(visit) = chart.contact(rng, day, department::NEPHROLOGY)
        {
            chart.perform(visit, day, &HEMODIALYSIS);
            labs::panel(chart, rng, history, visit, day, Panel::Dialysis);
            chart.prescribe(visit, day, &EPOETIN_ALFA, 28, 0.43);
            if rng.chance(0.2) {
                chart.diagnose(visit, day, &ANEMIA_IN_CKD);
            }
        }
        day += 28;
    }
}
