//! Common chronic diseases beside the main histories, check-ups, complaints and injuries.

use super::{HORIZON, History};
use crate::admissions::{Admission, Content};
use crate::chart::{Chart, department};
use crate::hazard::{Band, Change, onset, poisson};
use crate::labs::{self, Panel};
use crate::population::{Person, Smoking};
use crate::records::Code;
use crate::rng::Rng;
use crate::vocabulary::{
    conditions as c, drugs as d, metadata, observations as o, procedures as p,
};

/// A chronic disease with its onsets per 1,000 person-years and its drug.
pub(crate) struct Chronic {
    pub(crate) what: Code,
    incidence: &'static [Band],
    /// How many times more in current smokers.
    smoking: f64,
    /// The drug, units a day, the chance of taking it, and years on it (for good where none).
    pub(crate) drug: Option<(Code, f64, f64, Option<i32>)>,
    pub(crate) department: usize,
}

/// Background diseases.
pub(crate) static CHRONIC: [Chronic; 14] = [
    Chronic {
        what: &c::HYPERLIPIDEMIA,
        incidence: &[
            (0, [0.0, 0.0]),
            (30, [7.0, 3.0]),
            (40, [13.0, 9.0]),
            (50, [17.0, 24.0]),
            (65, [14.0, 24.0]),
        ],
        smoking: 1.0,
        drug: Some((&d::ATORVASTATIN, 1.0, 0.7, None)),
        department: department::ENDOCRINOLOGY,
    },
    Chronic {
        what: &c::COPD,
        incidence: &[
            (0, [0.0, 0.0]),
            (45, [0.8, 0.3]),
            (60, [3.0, 1.0]),
            (70, [6.0, 2.0]),
        ],
        smoking: 4.0,
        drug: Some((&d::FLUTICASONE_SALMETEROL, 2.0, 0.8, None)),
        department: department::PULMONOLOGY,
    },
    Chronic {
        what: &c::ASTHMA,
        incidence: &[(0, [6.0, 4.0]), (10, [1.5, 1.5]), (40, [1.5, 2.5])],
        smoking: 1.2,
        drug: Some((&d::ALBUTEROL_INHALER, 0.05, 0.8, Some(4))),
        department: department::PULMONOLOGY,
    },
    Chronic {
        what: &c::OSTEOARTHRITIS_OF_KNEE,
        incidence: &[
            (0, [0.0, 0.0]),
            (45, [3.0, 7.0]),
            (55, [7.0, 18.0]),
            (65, [12.0, 28.0]),
        ],
        smoking: 1.0,
        drug: Some((&d::CELECOXIB, 1.0, 0.5, Some(3))),
        department: department::ORTHOPEDICS,
    },
    Chronic {
        what: &c::DEPRESSIVE_DISORDER,
        incidence: &[
            (0, [0.2, 0.2]),
            (15, [3.0, 5.0]),
            (40, [3.0, 6.0]),
            (65, [6.0, 10.0]),
        ],
        smoking: 1.2,
        drug: Some((&d::SERTRALINE_100, 1.0, 0.75, Some(2))),
        department: department::NEUROLOGY,
    },
    Chronic {
        what: &c::ANXIETY_DISORDER,
        incidence: &[(0, [0.1, 0.1]), (20, [3.0, 4.5])],
        smoking: 1.0,
        drug: None,
        department: department::NEUROLOGY,
    },
    Chronic {
        what: &c::REFLUX_DISEASE,
        incidence: &[(0, [0.2, 0.2]), (20, [8.0, 9.0]), (50, [13.0, 16.0])],
        smoking: 1.2,
        drug: Some((&d::OMEPRAZOLE, 1.0, 0.8, Some(1))),
        department: department::GASTROENTEROLOGY,
    },
    Chronic {
        what: &c::HYPOTHYROIDISM,
        incidence: &[(0, [0.1, 0.2]), (20, [0.4, 2.4]), (50, [0.7, 3.0])],
        smoking: 1.0,
        drug: Some((&d::LEVOTHYROXINE_75, 1.0, 0.95, None)),
        department: department::ENDOCRINOLOGY,
    },
    Chronic {
        what: &c::OSTEOPOROSIS,
        incidence: &[(0, [0.0, 0.0]), (50, [0.8, 12.0]), (65, [3.0, 32.0])],
        smoking: 1.2,
        drug: Some((&d::ALENDRONATE, 0.14, 0.5, Some(4))),
        department: department::ORTHOPEDICS,
    },
    Chronic {
        what: &c::DEMENTIA,
        incidence: &[
            (0, [0.0, 0.0]),
            (60, [2.0, 2.5]),
            (70, [9.0, 11.0]),
            (80, [30.0, 38.0]),
        ],
        smoking: 1.0,
        drug: Some((&d::DONEPEZIL_10, 1.0, 0.7, None)),
        department: department::NEUROLOGY,
    },
    Chronic {
        what: &c::GOUT,
        incidence: &[(0, [0.0, 0.0]), (30, [3.0, 0.2]), (50, [4.0, 0.7])],
        smoking: 1.0,
        drug: None,
        department: department::INTERNAL,
    },
    Chronic {
        what: &c::ALLERGIC_RHINITIS,
        incidence: &[(0, [15.0, 12.0]), (20, [6.0, 7.0])],
        smoking: 1.0,
        drug: Some((&d::LORATADINE_10, 1.0, 0.5, Some(1))),
        department: department::FAMILY,
    },
    Chronic {
        what: &c::MIGRAINE,
        incidence: &[(0, [0.5, 0.7]), (15, [1.5, 4.5]), (50, [0.6, 1.5])],
        smoking: 1.0,
        drug: None,
        department: department::NEUROLOGY,
    },
    Chronic {
        what: &c::INSOMNIA,
        incidence: &[(0, [0.1, 0.1]), (30, [4.0, 6.0]), (60, [9.0, 13.0])],
        smoking: 1.0,
        drug: None,
        department: department::NEUROLOGY,
    },
];

/// Complaints that bring people to a clinic.
const COMPLAINTS: [Code; 6] = [
    &c::LOW_BACK_PAIN,
    &c::HEADACHE,
    &c::COUGH,
    &c::CHEST_PAIN,
    &c::DYSPNEA,
    &c::FEVER,
];

/// Draws the onset of each background disease.
pub(crate) fn draw(rng: &mut Rng, person: &Person, history: &mut History) {
    for (index, chronic) in CHRONIC.iter().enumerate() {
        let smoker: Option<Change> = (person.smoking == Smoking::Current && chronic.smoking > 1.0)
            .then_some((person.birth, chronic.smoking));
        if let Some(day) = onset(
            rng,
            person.birth,
            person.sex,
            chronic.incidence,
            smoker.as_slice(),
            person.birth,
            HORIZON,
        ) {
            history.chronic.push((index, day));
        }
    }
}

/// Causes of death whose stays are made where the disease is.
const ELSEWHERE: [i64; 3] = [
    c::HEART_FAILURE.id,
    c::ACUTE_MYOCARDIAL_INFARCTION.id,
    c::CEREBRAL_INFARCTION.id,
];

/// Exacerbations of COPD, joint replacement, appendicitis, hip fracture, and the last stay before a death.
pub(crate) fn admissions(
    rng: &mut Rng,
    person: &Person,
    history: &History,
    exit: i32,
) -> Vec<Admission> {
    let entry = person.entry();
    let mut planned = Vec::new();
    if let Some(from) = history.background(&c::COPD) {
        poisson(rng, 0.16, from.max(entry), exit, |_, day| {
            planned.push(Admission::emergency(day, &c::COPD, Content::Lung));
        });
    }
    if let Some(from) = history.background(&c::OSTEOARTHRITIS_OF_KNEE)
        && person.age(entry) > 55.0
    {
        poisson(rng, 0.02, from.max(entry), exit, |_, day| {
            planned.push(Admission::elective(
                day,
                &c::OSTEOARTHRITIS_OF_KNEE,
                Content::Surgery(&p::TOTAL_KNEE_REPLACEMENT),
            ));
        });
        // Each person gets one.
        planned.truncate(planned.len().min(1));
    }
    poisson(rng, 0.0012, entry, exit, |_, day| {
        planned.push(Admission::emergency(
            day,
            &c::APPENDICITIS,
            Content::Surgery(&p::APPENDECTOMY),
        ));
    });
    let falls = 0.0001 * (0.075 * person.age(entry)).exp();
    poisson(rng, falls, entry, exit, |rng, day| {
        let operation = rng.chance(0.4);
        let content = if operation {
            Content::Surgery(&p::TOTAL_HIP_REPLACEMENT)
        } else {
            Content::Surgery(&p::SURGICAL_PROCEDURE)
        };
        planned.push(Admission::emergency(day, &c::HIP_FRACTURE, content));
    });
    if let Some((day, cause)) = history.death
        && rng.chance(0.6)
        && cause.is_none_or(|cause| !ELSEWHERE.contains(&cause.id))
    {
        let cause = cause.unwrap_or(&c::PNEUMONIA);
        planned.push(
            Admission::emergency(day - rng.between(1, 14), cause, Content::Infection).until(day),
        );
    }
    planned
}

/// Diagnoses on their day, check-ups, complaints, gastrointestinal bleeding and fractures.
pub(crate) fn record(chart: &mut Chart<'_>, rng: &mut Rng, history: &History, exit: i32) {
    let entry = chart.person.entry();
    for &(index, day) in &history.chronic {
        let chronic = &CHRONIC[index];
        if day > entry
            && let Some(visit) = chart.contact(rng, day, chronic.department)
        {
            chart.diagnose(visit, day, chronic.what);
            if chronic.what.id == c::DEPRESSIVE_DISORDER.id {
                chart.observe(
                    visit,
                    day,
                    &o::PHQ_9,
                    Some(f64::from(rng.between(10, 24))),
                    None,
                );
            } else if chronic.what.id == c::COPD.id {
                chart.perform(visit, day, &p::SPIROMETRY);
            }
        }
    }
    if let Some(day) = history.forearm_fracture.filter(|day| *day > entry) {
        let visit = chart
            .stay(day)
            .or_else(|| chart.visit(rng, &metadata::EMERGENCY, day, day, department::EMERGENCY));
        if let Some(visit) = visit {
            chart.diagnose_acute(visit, day, &c::FOREARM_FRACTURE, 42);
            chart.prescribe(visit, day, &d::TRAMADOL_50, 7, 2.0);
        }
    }
    checkups(chart, rng, history, exit);
    poisson(rng, 0.35, entry, exit, |rng, day| {
        if chart.stay(day).is_none()
            && let Some(visit) = chart.contact(rng, day, department::INTERNAL)
        {
            let what = rng.pick(&COMPLAINTS);
            chart.diagnose_acute(visit, day, what, 14);
            if rng.chance(0.5) {
                chart.prescribe(visit, day, &d::ACETAMINOPHEN_500, 5, 3.0);
            }
            if what.id == c::CHEST_PAIN.id || what.id == c::DYSPNEA.id {
                chart.perform(visit, day, &p::ELECTROCARDIOGRAPHY);
                chart.perform(visit, day, &p::CHEST_RADIOGRAPHY);
            }
        }
    });
}

/// Health check-ups: every third year below 40, about every second year above.
fn checkups(chart: &mut Chart<'_>, rng: &mut Rng, history: &History, exit: i32) {
    let person = chart.person;
    let entry = person.entry();
    let age = person.age(entry);
    let per_year = if age < 20.0 {
        0.0
    } else if age < 40.0 {
        0.12
    } else {
        0.20
    };
    poisson(rng, per_year, entry, exit, |rng, day| {
        if chart.stay(day).is_some() {
            return;
        }
        let Some(visit) = chart.contact(rng, day, department::FAMILY) else {
            return;
        };
        chart.perform(visit, day, &p::PHYSICAL_EXAMINATION);
        labs::body(chart, rng, visit, day);
        labs::panel(chart, rng, history, visit, day, Panel::Pressure);
        labs::panel(chart, rng, history, visit, day, Panel::Checkup);
        if age > 50.0 && rng.chance(0.15) {
            chart.perform(visit, day, &p::COLONOSCOPY);
        }
        if age > 40.0 && person.sex == crate::population::Sex::Female && rng.chance(0.4) {
            chart.perform(visit, day, &p::MAMMOGRAPHY);
        }
    });
}

/// The first contact: what was known before, smoking, and often a complaint.
pub(crate) fn first_contact(chart: &mut Chart<'_>, rng: &mut Rng, history: &History) {
    let person = chart.person;
    let entry = person.entry();
    let Some(visit) = chart.contact(rng, entry, department::FAMILY) else {
        return;
    };
    let known = [
        (history.diabetes, &c::TYPE_2_DIABETES as Code),
        (history.retinopathy, &c::DIABETIC_RETINOPATHY),
        (history.neuropathy, &c::DIABETIC_NEUROPATHY),
        (history.microalbuminuria, &c::DIABETIC_MICROALBUMINURIA),
        (history.hypertension, &c::ESSENTIAL_HYPERTENSION),
        (
            history
                .kidney_3
                .filter(|_| !History::has(history.kidney_4, entry)),
            &c::CKD_STAGE_3,
        ),
        (
            history
                .kidney_4
                .filter(|_| !History::has(history.dialysis, entry)),
            &c::CKD_STAGE_4,
        ),
        (history.dialysis, &c::END_STAGE_RENAL_DISEASE),
        (history.infarction, &c::OLD_MYOCARDIAL_INFARCTION),
        (history.fibrillation, &c::ATRIAL_FIBRILLATION),
        (history.heart_failure, &c::HEART_FAILURE),
        (history.stroke, &c::CEREBRAL_INFARCTION),
        (history.forearm_fracture, &c::FOREARM_FRACTURE),
    ];
    for (onset, what) in known {
        if History::has(onset, entry) {
            chart.diagnose(visit, entry, what);
        }
    }
    for &(index, day) in &history.chronic {
        if day <= entry {
            chart.diagnose(visit, entry, CHRONIC[index].what);
        }
    }
    if let Some(what) = super::cancer::prevalent(history, entry) {
        chart.diagnose(visit, entry, what);
    }
    if person.age(entry) >= 19.0 && rng.chance(0.7) {
        let answer = match person.smoking {
            Smoking::Never => "never",
            Smoking::Former => "former",
            Smoking::Current => "current",
        };
        chart.observe(visit, entry, &o::TOBACCO_STATUS, None, Some(answer));
    }
    if rng.chance(0.6) {
        chart.diagnose_acute(visit, entry, rng.pick(&COMPLAINTS), 14);
    }
    if person.age(entry) >= 19.0 && rng.chance(0.6) {
        labs::panel(chart, rng, history, visit, entry, Panel::Pressure);
    }
}
