//! Type 2 diabetes, with exactly stated incidence, and its complications.

use super::{HORIZON, History};
use crate::chart::{Chart, department};
use crate::hazard::{Band, onset};
use crate::labs::{self, Panel};
use crate::population::Person;
use crate::rng::Rng;
use crate::vocabulary::conditions::{
    DIABETIC_MICROALBUMINURIA, DIABETIC_NEUROPATHY, DIABETIC_RETINOPATHY, HYPOGLYCEMIA,
    TYPE_2_DIABETES,
};
use crate::vocabulary::metadata;

/// Onsets of type 2 diabetes per 1,000 person-years by age and sex. Nothing else changes this hazard: it is part of
/// the known truth.
pub(crate) const INCIDENCE: &[Band] = &[
    (0, [0.0, 0.0]),
    (20, [2.0, 1.2]),
    (40, [7.0, 4.0]),
    (50, [12.0, 8.0]),
    (60, [15.0, 12.0]),
    (70, [14.0, 13.0]),
];

/// Complications per 1,000 person-years of diabetes.
const RETINOPATHY: &[Band] = &[(0, [35.0, 35.0])];
const NEUROPATHY: &[Band] = &[(0, [25.0, 25.0]), (60, [40.0, 40.0])];
const MICROALBUMINURIA: &[Band] = &[(0, [40.0, 32.0])];

/// Draws diabetes and its complications.
pub(crate) fn draw(rng: &mut Rng, person: &Person, history: &mut History) {
    let Person { birth, sex, .. } = *person;
    history.diabetes = onset(rng, birth, sex, INCIDENCE, &[], birth, HORIZON);
    if let Some(from) = history.diabetes {
        history.retinopathy = onset(rng, birth, sex, RETINOPATHY, &[], from, HORIZON);
        history.neuropathy = onset(rng, birth, sex, NEUROPATHY, &[], from, HORIZON);
        history.microalbuminuria = onset(rng, birth, sex, MICROALBUMINURIA, &[], from, HORIZON);
    }
}

/// Complications found at a contact of their own, and hypoglycaemia in the emergency room.
pub(crate) fn record(chart: &mut Chart<'_>, rng: &mut Rng, history: &History, exit: i32) {
    let entry = chart.person.entry();
    if let Some(day) = history.diabetes.filter(|day| *day > entry)
        && let Some(visit) = chart.contact(rng, day, department::ENDOCRINOLOGY)
    {
        chart.diagnose(visit, day, &TYPE_2_DIABETES);
        labs::panel(chart, rng, history, visit, day, Panel::Glucose);
        labs::body(chart, rng, visit, day);
    }
    for (found, what) in [
        (history.retinopathy, &DIABETIC_RETINOPATHY),
        (history.neuropathy, &DIABETIC_NEUROPATHY),
        (history.microalbuminuria, &DIABETIC_MICROALBUMINURIA),
    ] {
        if let Some(day) = found.filter(|day| *day > entry)
            && let Some(visit) = chart.contact(rng, day, department::ENDOCRINOLOGY)
        {
            chart.diagnose(visit, day, what);
        }
    }
    if let Some(from) = history.diabetes {
        crate::hazard::poisson(rng, 0.02, from.max(entry), exit, |rng, day| {
            if chart.stay(day).is_none()
                && let Some(visit) =
                    chart.visit(rng, &metadata::EMERGENCY, day, day, department::EMERGENCY)
            {
                chart.diagnose_acute(visit, day, &HYPOGLYCEMIA, 1);
            }
        });
    }
}
