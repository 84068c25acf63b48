//! The new-user comparison whose truth is known: lisinopril or amlodipine as first drug against hypertension.
//!
//! After the first prescription, the hazards of ischaemic stroke and of forearm fracture are constant in time and
//! proportional in the covariates exactly as recorded on that day. The drug is chosen by the same covariates, the
//! sicker getting lisinopril, so that a comparison without adjustment is confounded.

use crate::disease::{HORIZON, History};
use crate::hazard::{Band, Change, DAYS_PER_YEAR, onset};
use crate::population::{Person, Sex};
use crate::records::Code;
use crate::rng::{Rng, rounded, whole};
use crate::vocabulary::drugs as d;

/// A log-linear function of the covariates at the first prescription.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Linear {
    /// Value at age 60, systolic pressure 155, female, without diabetes.
    pub(crate) intercept: f64,
    /// Per ten completed years of age.
    pub(crate) age_per_10_years: f64,
    /// Per 10 mm Hg of systolic pressure.
    pub(crate) systolic_per_10_mmhg: f64,
    /// Of men.
    pub(crate) male: f64,
    /// Of type 2 diabetes.
    pub(crate) diabetes: f64,
}

impl Linear {
    /// The value for a person.
    pub(crate) fn at(&self, x: &Covariates) -> f64 {
        self.intercept
            + self.age_per_10_years * (f64::from(x.age) - 60.0) / 10.0
            + self.systolic_per_10_mmhg * (x.systolic - 155.0) / 10.0
            + self.male * x.sex.male()
            + self.diabetes * f64::from(u8::from(x.diabetes))
    }
}

/// Log odds of lisinopril against amlodipine.
pub(crate) const ASSIGNMENT: Linear = Linear {
    intercept: -0.15,
    age_per_10_years: 0.5,
    systolic_per_10_mmhg: 0.8,
    male: 0.3,
    diabetes: 0.6,
};
/// Log hazard per year of ischaemic stroke on amlodipine: higher than in life, so that 40,000 patients suffice.
pub(crate) const STROKE: Linear = Linear {
    intercept: -2.9,
    age_per_10_years: 0.5,
    systolic_per_10_mmhg: 0.4,
    male: 0.3,
    diabetes: 0.5,
};
/// Log hazard ratio of stroke, lisinopril against amlodipine: ln 0.7.
pub(crate) const LOG_HAZARD_RATIO: f64 = -0.356_674_943_938_732_4;
/// Log hazard per year of forearm fracture, whichever the drug.
pub(crate) const FRACTURE: Linear = Linear {
    intercept: -3.2,
    age_per_10_years: 0.35,
    systolic_per_10_mmhg: 0.25,
    male: -0.4,
    diabetes: 0.2,
};
/// Chance that a person with hypertension is treated, and that the first drug is another one.
const TREATED: f64 = 0.85;
const OTHER_DRUG: f64 = 0.18;
/// Chance that treatment does not begin within four weeks, and the mean wait then.
const LATE: f64 = 0.55;
const LATE_YEARS: f64 = 2.5;

/// Strokes and fractures per 1,000 person-years in everybody else; strokes three times as many with untreated hypertension.
const STROKE_ELSE: &[Band] = &[
    (0, [0.0, 0.0]),
    (40, [0.8, 0.4]),
    (55, [2.0, 1.2]),
    (65, [4.5, 3.2]),
    (75, [9.0, 8.5]),
];
const FRACTURE_ELSE: &[Band] = &[
    (0, [4.0, 3.0]),
    (15, [2.0, 1.0]),
    (45, [1.5, 3.0]),
    (60, [2.0, 7.0]),
];

/// The first drug against hypertension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arm {
    /// Lisinopril, the drug of interest.
    Lisinopril,
    /// Amlodipine, the comparator.
    Amlodipine,
    /// Neither: losartan or hydrochlorothiazide, which act like amlodipine.
    Other,
}

/// What is known of a person on the day of the first prescription, exactly as recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Covariates {
    /// Completed years.
    pub(crate) age: i32,
    /// Systolic pressure in whole mm Hg.
    pub(crate) systolic: f64,
    /// Sex.
    pub(crate) sex: Sex,
    /// Diagnosis of type 2 diabetes on or before the day.
    pub(crate) diabetes: bool,
}

/// The first treatment of hypertension.
#[derive(Debug)]
pub(crate) struct NewUse {
    /// Day of the first prescription.
    pub(crate) index: i32,
    /// What was chosen.
    pub(crate) arm: Arm,
    /// The product.
    pub(crate) drug: Code,
    /// What it was chosen by.
    pub(crate) covariates: Covariates,
}

impl NewUse {
    /// The hazard of stroke per day after the first prescription, had the arm been another.
    pub(crate) fn stroke_per_day(&self, arm: Arm) -> f64 {
        let effect = if arm == Arm::Lisinopril {
            LOG_HAZARD_RATIO
        } else {
            0.0
        };
        (STROKE.at(&self.covariates) + effect).exp() / DAYS_PER_YEAR
    }
}

/// Draws the treatment of hypertension, stroke and forearm fracture.
pub(crate) fn draw(rng: &mut Rng, person: &Person, history: &mut History) {
    let Person { birth, sex, .. } = *person;
    history.new_use = history
        .hypertension
        .and_then(|from| first_drug(rng, person, history.diabetes, from));
    let risk: Option<Change> = history.hypertension.map(|day| (day, 3.0));
    let until = history
        .new_use
        .as_ref()
        .map_or(HORIZON, |new_use| new_use.index);
    history.stroke = onset(rng, birth, sex, STROKE_ELSE, risk.as_slice(), birth, until);
    history.forearm_fracture = onset(rng, birth, sex, FRACTURE_ELSE, &[], birth, until);
    let Some(new_use) = &history.new_use else {
        return;
    };
    let mut after = |per_day: f64| {
        // Time is continuous from the index day; an event in its first day after is on the next day.
        let day = f64::from(new_use.index) + 1.0 + rng.exponential() / per_day;
        Some(whole(day)).filter(|day| *day < HORIZON)
    };
    let stroke = after(new_use.stroke_per_day(new_use.arm));
    let fracture = after(FRACTURE.at(&new_use.covariates).exp() / DAYS_PER_YEAR);
    history.stroke = history.stroke.or(stroke);
    history.forearm_fracture = history.forearm_fracture.or(fracture);
}

fn first_drug(rng: &mut Rng, person: &Person, diabetes: Option<i32>, from: i32) -> Option<NewUse> {
    if !rng.chance(TREATED) {
        return None;
    }
    // Who had it before the first contact comes with a drug or, like others, goes without one for years.
    let known = from.max(person.entry());
    let late = rng.chance(LATE);
    let wait = rng.exponential() * LATE_YEARS * DAYS_PER_YEAR;
    let index = match (late, from > person.entry()) {
        (true, _) => known + 30 + whole(wait),
        (false, true) => known + rng.between(0, 28),
        (false, false) => known,
    };
    if index >= HORIZON {
        return None;
    }
    let covariates = Covariates {
        age: person.age_years(index),
        systolic: rounded(
            (155.0 + 6.0 * person.traits.pressure + 10.0 * rng.normal()).clamp(125.0, 215.0),
            0,
        ),
        sex: person.sex,
        diabetes: History::has(diabetes, index),
    };
    let lisinopril = 1.0 / (1.0 + (-ASSIGNMENT.at(&covariates)).exp());
    let (arm, drug): (Arm, Code) = match (
        rng.chance(OTHER_DRUG),
        rng.chance(lisinopril),
        rng.chance(0.5),
    ) {
        (true, _, true) => (Arm::Other, &d::LOSARTAN_50),
        (true, _, false) => (Arm::Other, &d::HYDROCHLOROTHIAZIDE_25),
        (false, true, true) => (Arm::Lisinopril, &d::LISINOPRIL_10),
        (false, true, false) => (Arm::Lisinopril, &d::LISINOPRIL_20),
        (false, false, true) => (Arm::Amlodipine, &d::AMLODIPINE_5),
        (false, false, false) => (Arm::Amlodipine, &d::AMLODIPINE_2_5),
    };
    Some(NewUse {
        index,
        arm,
        drug,
        covariates,
    })
}
