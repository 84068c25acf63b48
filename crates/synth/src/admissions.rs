//! Stays in hospital, and readmission within 30 days with exactly stated probabilities.
//!
//! Planned admissions that would fall into the 30 days after a discharge do not take place: within these days there
//! is a readmission with the stated probability and nothing else. What must be recorded on its day (infarction,
//! stroke) is then recorded in the emergency room, or in the stay under way.

use crate::chart::{Chart, VisitRef, department};
use crate::disease::History;
use crate::labs::{self, Panel};
use crate::records::Code;
use crate::rng::{Rng, whole};
use crate::vocabulary::{conditions as c, drugs as d, metadata, procedures as p};

/// Probability of a readmission within 30 days of a discharge alive, after a stay for heart failure.
pub(crate) const READMISSION_HEART_FAILURE: f64 = 0.24;
/// Probability after any other stay.
pub(crate) const READMISSION_OTHER: f64 = 0.10;
/// Days after a discharge within which a stay counts as a readmission.
pub(crate) const READMISSION_DAYS: i32 = 30;

/// What happens during a stay.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    HeartFailure,
    Infarction,
    Stroke,
    Infection,
    Lung,
    Neutropenia,
    Surgery(Code),
}

impl Content {
    /// Median nights of a stay, and the department.
    fn usual(self) -> (f64, usize) {
        match self {
            Self::HeartFailure => (7.0, department::CARDIOLOGY),
            Self::Infarction => (5.0, department::CARDIOLOGY),
            Self::Stroke => (9.0, department::NEUROLOGY),
            Self::Infection => (7.0, department::INTERNAL),
            Self::Lung => (6.0, department::PULMONOLOGY),
            Self::Neutropenia => (6.0, department::ONCOLOGY),
            Self::Surgery(_) => (6.0, department::SURGERY),
        }
    }
}

/// A planned stay.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    day: i32,
    reason: Code,
    content: Content,
    /// Whether it comes through the emergency room.
    pub(crate) emergency: bool,
    must_be_recorded: bool,
    /// The last day, where it is not drawn.
    until: Option<i32>,
}

impl Admission {
    /// A stay that comes through the emergency room.
    pub(crate) fn emergency(day: i32, reason: Code, content: Content) -> Self {
        Self {
            day,
            reason,
            content,
            emergency: true,
            must_be_recorded: false,
            until: None,
        }
    }

    /// A stay that was planned.
    pub(crate) fn elective(day: i32, reason: Code, content: Content) -> Self {
        Self {
            emergency: false,
            ..Self::emergency(day, reason, content)
        }
    }

    /// The diagnosis is recorded on its day whatever happens.
    pub(crate) fn must_be_recorded(self) -> Self {
        Self {
            must_be_recorded: true,
            ..self
        }
    }

    /// The stay ends on a day.
    pub(crate) fn until(self, day: i32) -> Self {
        Self {
            until: Some(day),
            ..self
        }
    }
}

/// Whether a diagnosis makes a stay one for heart failure.
pub(crate) fn is_heart_failure(what: Code) -> bool {
    [
        c::HEART_FAILURE.id,
        c::CONGESTIVE_HEART_FAILURE.id,
        c::ACUTE_HEART_FAILURE.id,
    ]
    .contains(&what.id)
}

/// Lets the planned admissions take place.
pub(crate) fn record(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    mut planned: Vec<Admission>,
) {
    planned.sort_by_key(|admission| admission.day);
    let entry = chart.person.entry();
    let mut quiet_until = entry;
    for admission in planned {
        if admission.day <= quiet_until {
            if admission.must_be_recorded && admission.day > entry {
                record_without_stay(chart, rng, history, &admission);
            }
            continue;
        }
        let mut day = admission.day;
        let mut until = admission.until;
        let mut emergency = admission.emergency;
        loop {
            let (median, place) = admission.content.usual();
            let nights = whole(median * (0.6 * rng.noise()).exp() + 0.5).clamp(1, 120);
            let end = until.take().unwrap_or(day + nights);
            let kind = if emergency {
                &metadata::EMERGENCY_INPATIENT
            } else {
                &metadata::INPATIENT
            };
            let Some(visit) = chart.visit(rng, kind, day, end, place) else {
                break;
            };
            let (_, discharge) = chart.span(visit);
            write_stay(chart, rng, history, &admission, visit, day);
            quiet_until = discharge + READMISSION_DAYS;
            let probability = if is_heart_failure(admission.reason) {
                READMISSION_HEART_FAILURE
            } else {
                READMISSION_OTHER
            };
            if !rng.chance(probability) {
                break;
            }
            // Readmissions crowd into the first days.
            day = discharge + 1 + whole(f64::from(READMISSION_DAYS) * rng.uniform().powf(1.4));
            emergency = true;
        }
    }
}

fn record_without_stay(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    admission: &Admission,
) {
    let day = admission.day;
    let visit = chart
        .stay(day)
        .or_else(|| chart.visit(rng, &metadata::EMERGENCY, day, day, department::EMERGENCY));
    if let Some(visit) = visit {
        chart.diagnose(visit, day, admission.reason);
        labs::panel(chart, rng, history, visit, day, Panel::Inflammation);
    }
}

fn write_stay(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    admission: &Admission,
    visit: VisitRef,
    day: i32,
) {
    let (_, discharge) = chart.span(visit);
    chart.diagnose(visit, day, admission.reason);
    labs::panel(chart, rng, history, visit, day, Panel::Inflammation);
    match admission.content {
        Content::HeartFailure => {
            chart.perform(visit, day, &p::ECHOCARDIOGRAPHY);
            labs::panel(chart, rng, history, visit, day, Panel::Heart);
            chart.prescribe(visit, day, &d::FUROSEMIDE_40, (discharge - day).max(1), 2.0);
        }
        Content::Infarction => {
            chart.perform(visit, day, &p::ELECTROCARDIOGRAPHY);
            labs::troponin(chart, rng, visit, day);
            if rng.chance(0.75) {
                chart.perform(visit, day, &p::PERCUTANEOUS_CORONARY_INTERVENTION);
            }
        }
        Content::Stroke => chart.perform(visit, day, &p::CT_HEAD),
        Content::Infection => {
            chart.perform(visit, day, &p::CHEST_RADIOGRAPHY);
            labs::temperature(chart, rng, visit, day);
            chart.prescribe(
                visit,
                day,
                &d::CEFTRIAXONE,
                (discharge - day).clamp(1, 14),
                2.0,
            );
        }
        Content::Lung => {
            chart.perform(visit, day, &p::CHEST_RADIOGRAPHY);
            labs::saturation(chart, rng, visit, day);
            chart.prescribe(
                visit,
                day,
                &d::PREDNISONE_20,
                (discharge - day).clamp(1, 7),
                2.0,
            );
        }
        Content::Neutropenia => {
            labs::temperature(chart, rng, visit, day);
            labs::panel(chart, rng, history, visit, day, Panel::Neutropenia);
            chart.prescribe(
                visit,
                day,
                &d::LEVOFLOXACIN,
                (discharge - day).clamp(1, 10),
                1.0,
            );
        }
        Content::Surgery(operation) => {
            let on = (day + 1).min(discharge);
            chart.perform(visit, on, operation);
            chart.prescribe(
                visit,
                on,
                &d::TRAMADOL_50,
                (discharge - on).clamp(1, 7),
                2.0,
            );
        }
    }
    // Controls during the stay, every three days.
    let mut control = day + 3;
    while control < discharge.min(day + 15) {
        labs::panel(chart, rng, history, visit, control, Panel::Control);
        control += 3;
    }
}
