//! The known truth: the parameters behind the data, and what they made of this very data set.
//!
//! A [`Tally`] counts, from the simulation itself and not from the tables, what a right query over the tables finds.

use serde::Serialize;
use serde_json::{Value, json};

use crate::admissions::{
    READMISSION_DAYS, READMISSION_HEART_FAILURE, READMISSION_OTHER, is_heart_failure,
};
use crate::chart::Chart;
use crate::comparison::{ASSIGNMENT, Arm, FRACTURE, LOG_HAZARD_RATIO, NewUse, STROKE};
use crate::disease::{History, diabetes};
use crate::hazard::DAYS_PER_YEAR;
use crate::mortality::gompertz;
use crate::population::{Period, Person, Sex, WINDOW_END, WINDOW_START, birthday};
use crate::vocabulary::{conditions as c, drugs as d, measurements as m, metadata};

/// The new users with follow-up and confounders, for an outcome.
const NEW_USERS: &str = include_str!("../queries/new_users.sql");
/// Days of prior observation that a new user needs.
pub(crate) const WASHOUT: i32 = 365;
/// Years at which the risks of both arms are stated.
const YEARS: [i32; 2] = [1, 3];

/// Persons, events and person-days of one arm.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct ArmCounts {
    /// New users without the outcome before.
    pub(crate) persons: u64,
    /// First outcomes in the first observation period.
    pub(crate) events: u64,
    /// Deaths without the outcome.
    pub(crate) deaths: u64,
    /// Days from the first prescription to outcome, death or the end of the period.
    pub(crate) person_days: i64,
}

/// Cases and person-days of an age band.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct RateCounts {
    /// First diagnoses.
    pub(crate) cases: u64,
    /// Days at risk.
    pub(crate) person_days: i64,
}

/// Discharges and readmissions of a group.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct ReadmissionCounts {
    /// Discharges followed for 30 days.
    pub(crate) discharges: u64,
    /// Those with another stay within the 30 days.
    pub(crate) readmissions: u64,
}

/// What the parameters made of one data set. Counts merge by addition, in the order of the parts of the data.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Tally {
    /// Stroke by arm: lisinopril, amlodipine.
    pub(crate) stroke: [ArmCounts; 2],
    /// Forearm fracture by arm.
    pub(crate) fracture: [ArmCounts; 2],
    /// Sums of the risks of stroke over all new users, by year in [`YEARS`] and arm that all of them get.
    risk: [[f64; 2]; 2],
    /// New users in `risk`.
    risk_persons: u64,
    /// Type 2 diabetes by band of [`diabetes::INCIDENCE`] and sex.
    pub(crate) diabetes: Vec<[RateCounts; 2]>,
    /// Readmission after heart failure, and after other stays.
    pub(crate) readmission: [ReadmissionCounts; 2],
}

impl Tally {
    /// Counts a person.
    pub(crate) fn add(
        &mut self,
        person: &Person,
        history: &History,
        periods: &[Period],
        chart: &Chart<'_>,
    ) {
        let Some(first) = periods.first() else { return };
        let died = history.death.map(|(day, _)| day);
        if let Some(new_use) = &history.new_use {
            self.add_new_use(new_use, history, *first, died);
        }
        self.add_diabetes(person, history, *first);
        for (visit, _, discharge) in chart.stays() {
            if chart
                .period(discharge)
                .is_none_or(|period| period.end < discharge + READMISSION_DAYS)
            {
                continue;
            }
            let group = usize::from(!chart.diagnoses_of(visit).any(is_heart_failure));
            let again = chart
                .stays()
                .any(|(_, start, _)| start > discharge && start <= discharge + READMISSION_DAYS);
            self.readmission[group].discharges += 1;
            self.readmission[group].readmissions += u64::from(again);
        }
    }

    fn add_new_use(
        &mut self,
        new_use: &NewUse,
        history: &History,
        first: Period,
        died: Option<i32>,
    ) {
        let arm = match new_use.arm {
            Arm::Lisinopril => 0,
            Arm::Amlodipine => 1,
            Arm::Other => return,
        };
        let index = new_use.index;
        if index < first.start + WASHOUT || index >= first.end {
            return;
        }
        let count = |counts: &mut [ArmCounts; 2], event: Option<i32>| {
            if History::has(event, index) {
                return;
            }
            let event = event.filter(|day| *day <= first.end);
            let end = event.unwrap_or(first.end);
            counts[arm].persons += 1;
            counts[arm].person_days += i64::from(end - index);
            counts[arm].events += u64::from(event.is_some());
            counts[arm].deaths += u64::from(event.is_none() && died == Some(first.end));
        };
        count(&mut self.stroke, history.stroke);
        count(&mut self.fracture, history.forearm_fracture);
        // Risks need the day of death for three years, and deaths are drawn to the end of the window only.
        if History::has(history.stroke, index) || index + 3 * 366 > WINDOW_END {
            return;
        }
        self.risk_persons += 1;
        for (row, years) in self.risk.iter_mut().zip(YEARS) {
            let until = (f64::from(years) * DAYS_PER_YEAR)
                .min(died.map_or(f64::INFINITY, |day| f64::from(day - index)));
            for (sum, arm) in row.iter_mut().zip([Arm::Lisinopril, Arm::Amlodipine]) {
                *sum += 1.0 - (-new_use.stroke_per_day(arm) * until).exp();
            }
        }
    }

    fn add_diabetes(&mut self, person: &Person, history: &History, first: Period) {
        if History::has(history.diabetes, first.start) {
            return;
        }
        let case = history.diabetes.filter(|day| *day <= first.end);
        let end = case.unwrap_or(first.end);
        let bands = diabetes::INCIDENCE;
        self.diabetes
            .resize(bands.len(), [RateCounts::default(); 2]);
        for (band, &(age, _)) in bands.iter().enumerate() {
            let from = birthday(person.birth, age).max(first.start);
            let next = bands
                .get(band + 1)
                .map_or(i32::MAX, |(age, _)| birthday(person.birth, *age));
            let counts = &mut self.diabetes[band][person.sex.index()];
            counts.person_days += i64::from((end.min(next) - from).max(0));
            counts.cases += u64::from(case.is_some_and(|day| day >= from && day < next));
        }
    }

    /// Adds another part of the data.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self
            .stroke
            .iter_mut()
            .chain(&mut self.fracture)
            .zip(other.stroke.iter().chain(&other.fracture))
        {
            mine.persons += theirs.persons;
            mine.events += theirs.events;
            mine.deaths += theirs.deaths;
            mine.person_days += theirs.person_days;
        }
        for (mine, theirs) in self
            .risk
            .iter_mut()
            .flatten()
            .zip(other.risk.iter().flatten())
        {
            *mine += theirs;
        }
        self.risk_persons += other.risk_persons;
        self.diabetes
            .resize(diabetes::INCIDENCE.len(), [RateCounts::default(); 2]);
        for (mine, theirs) in self
            .diabetes
            .iter_mut()
            .flatten()
            .zip(other.diabetes.iter().flatten())
        {
            mine.cases += theirs.cases;
            mine.person_days += theirs.person_days;
        }
        for (mine, theirs) in self.readmission.iter_mut().zip(&other.readmission) {
            mine.discharges += theirs.discharges;
            mine.readmissions += theirs.readmissions;
        }
    }

    /// `truth.json`: how the data were made, and what a right analysis finds.
    pub(crate) fn document(&self, patients: u64, seed: u64, hospitals: u8) -> Value {
        json!({
            "about": "Synthetic data: nobody in it exists. Parameters are exact; counts are those of this data set, taken from the simulation and not from its tables.",
            "sql_dialect": "Columna; days_between(a, b) is b - a in days, the rest is standard. Run each query alone.",
            "patients": patients,
            "seed": seed,
            "hospitals": hospitals,
            "shared_patients": if hospitals > 1 {
                "One patient in five of each hospital is a patient of both (linkage_truth.csv), and each holds a part of their visits. The counts here leave these patients out."
            } else { "none" },
            "window": { "first_day": "2015-01-01", "last_day": "2024-12-31", "days": WINDOW_END - WINDOW_START + 1 },
            "new_user_comparison": self.comparison(),
            "negative_control": self.negative_control(),
            "readmission": self.readmission_document(),
            "incidence": self.incidence(),
            "mortality": mortality_document(),
        })
    }

    fn comparison(&self) -> Value {
        let share = |sum: f64| {
            if self.risk_persons == 0 {
                Value::Null
            } else {
                json!(sum / self.risk_persons as f64)
            }
        };
        let risks: Vec<Value> = YEARS
            .iter()
            .zip(&self.risk)
            .map(|(years, [lisinopril, amlodipine])| {
                json!({
                    "years": years,
                    "if_all_took_lisinopril": share(*lisinopril),
                    "if_all_took_amlodipine": share(*amlodipine),
                    "difference": share(lisinopril - amlodipine),
                })
            })
            .collect();
        json!({
            "sql": NEW_USERS.replace("{outcome}", &c::CEREBRAL_INFARCTION.id.to_string()),
            "question": "Does lisinopril, against amlodipine, as first drug against hypertension prevent ischaemic stroke?",
            "treatment": { "name": "lisinopril", "concept_id": d::LISINOPRIL.id },
            "comparator": { "name": "amlodipine", "concept_id": d::AMLODIPINE.id },
            "exposure_table": "drug_exposure, concepts below the ingredient in concept_ancestor",
            "outcome": { "name": "Cerebral infarction", "concept_id": c::CEREBRAL_INFARCTION.id, "table": "condition_occurrence" },
            "competing_event": { "name": "death", "table": "death" },
            "new_users": "The person's first record of either drug, in the first observation period, at least 365 days after its start and before its last day; no outcome on or before that day. Nobody takes both.",
            "follow_up": "From the day after the first prescription to the first outcome, death, or the end of the first observation period. Whoever stops or skips keeps the hazard of the first drug.",
            "hazard_ratio": LOG_HAZARD_RATIO.exp(),
            "log_hazard_ratio": LOG_HAZARD_RATIO,
            "meaning": "Conditional on the four confounders: the cause-specific hazard is constant after the first prescription and proportional, so a Cox model with these four (linear as recorded) and the drug is exactly right. Death does not depend on the drug, given them.",
            "confounders": [
                { "name": "age", "unit": "completed years on the first prescription", "columns": ["person.year_of_birth", "person.month_of_birth", "person.day_of_birth"] },
                { "name": "sex", "columns": ["person.gender_concept_id"], "male": metadata::MALE.id, "female": metadata::FEMALE.id },
                { "name": "systolic pressure (severity)", "unit": "mm Hg", "concept_id": m::SYSTOLIC_PRESSURE.id, "columns": ["measurement.value_as_number"], "when": "the one value on the day of the first prescription" },
                { "name": "type 2 diabetes", "concept_id": c::TYPE_2_DIABETES.id, "columns": ["condition_occurrence.condition_concept_id"], "when": "any record, descendants included, on or before the day of the first prescription" },
            ],
            "covariate_scale": "Intercept: age 60, systolic 155, female, no diabetes. Coefficients: per 10 years, per 10 mm Hg, men, diabetes.",
            "log_odds_of_lisinopril": ASSIGNMENT,
            "log_hazard_per_year_of_outcome_on_amlodipine": STROKE,
            "risk_with_competing_death": risks,
            "risk_with_competing_death_persons": self.risk_persons,
            "risk_with_competing_death_method": "Mean over the new users whose first prescription is at least three years before the end of the window of 1 - exp(-hazard * min(years, own time to death)): exact for these persons, whatever the drug they took.",
            "counts": { "lisinopril": self.stroke[0], "amlodipine": self.stroke[1] },
            "naive_rate_ratio": rate_ratio(&self.stroke),
        })
    }

    fn negative_control(&self) -> Value {
        json!({
            "sql": NEW_USERS.replace("{outcome}", &c::FOREARM_FRACTURE.id.to_string()),
            "question": "The same new users; an outcome that neither drug changes, confounded in the same way.",
            "outcome": { "name": "Fracture of forearm", "concept_id": c::FOREARM_FRACTURE.id, "table": "condition_occurrence" },
            "hazard_ratio": 1.0,
            "log_hazard_ratio": 0.0,
            "log_hazard_per_year_of_outcome": FRACTURE,
            "counts": { "lisinopril": self.fracture[0], "amlodipine": self.fracture[1] },
            "naive_rate_ratio": rate_ratio(&self.fracture),
        })
    }

    fn readmission_document(&self) -> Value {
        let group = |name: &str, definition: &str, probability: f64, counts: ReadmissionCounts| json!({ "group": name, "definition": definition, "probability": probability, "counts": counts });
        json!({
            "sql": include_str!("../queries/readmission.sql"),
            "question": "Of discharges alive that were followed for 30 days, how many are followed by another stay within these days?",
            "stay": { "table": "visit_occurrence", "visit_concept_id": [metadata::INPATIENT.id, metadata::EMERGENCY_INPATIENT.id] },
            "discharge": "Every stay counts, readmissions too, if visit_end_date + 30 days is not after the end of the observation period that contains visit_end_date.",
            "readmission": "A stay that starts 1 to 30 days after visit_end_date.",
            "days": READMISSION_DAYS,
            "groups": [
                group("heart failure", "A record of heart failure (316139 or below) with the stay's visit_occurrence_id.", READMISSION_HEART_FAILURE, self.readmission[0]),
                group("other", "Every other stay.", READMISSION_OTHER, self.readmission[1]),
            ],
        })
    }

    fn incidence(&self) -> Value {
        let mut rates = Vec::new();
        for (band, &(age, per_thousand)) in diabetes::INCIDENCE.iter().enumerate() {
            let below = diabetes::INCIDENCE.get(band + 1).map(|(age, _)| *age);
            for sex in [Sex::Male, Sex::Female] {
                let counts = self
                    .diabetes
                    .get(band)
                    .map(|counts| counts[sex.index()])
                    .unwrap_or_default();
                rates.push(json!({
                    "sex": match sex { Sex::Male => "male", Sex::Female => "female" },
                    "gender_concept_id": match sex { Sex::Male => metadata::MALE.id, Sex::Female => metadata::FEMALE.id },
                    "age_from": age,
                    "age_below": below,
                    "per_1000_person_years": per_thousand[sex.index()],
                    "counts": counts,
                }));
            }
        }
        json!({
            "sql": include_str!("../queries/incidence.sql"),
            "condition": { "name": "Type 2 diabetes mellitus", "concept_id": c::TYPE_2_DIABETES.id, "table": "condition_occurrence" },
            "at_risk": "From the start of the first observation period, without any record of the condition on its first day (what was known before is recorded then), to the first record or the end of the period. Age changes on birthdays; a year has 365.25 days.",
            "rates": rates,
        })
    }
}

fn mortality_document() -> Value {
    let parameters = |sex: Sex| {
        let (level, slope) = gompertz(sex);
        json!({ "hazard_per_year_at_age_0": level, "increase_per_year_of_age": slope })
    };
    json!({
        "law": "Gompertz: hazard per year at age x is level * exp(slope * x), times relative risks of disease, beside causes of death of their own.",
        "male": parameters(Sex::Male),
        "female": parameters(Sex::Female),
        "relative_risks": { "type 2 diabetes": 1.4, "hypertension": 1.15, "kidney disease from stage 3": 1.4, "atrial fibrillation": 1.3, "stroke": 1.8, "myocardial infarction": 1.4, "dementia": 2.0, "current smoking": 1.7 },
        "additional_deaths_per_year": { "heart failure": 0.09, "dialysis": 0.10, "COPD": 0.025 },
        "dead_within_28_days": { "myocardial infarction": 0.08, "ischaemic stroke": 0.065 },
    })
}

/// Rate among users of lisinopril over the rate among those of amlodipine.
fn rate_ratio(counts: &[ArmCounts; 2]) -> Value {
    let rate = |counts: &ArmCounts| counts.events as f64 / counts.person_days as f64;
    let ratio = rate(&counts[0]) / rate(&counts[1]);
    if ratio.is_finite() {
        json!(ratio)
    } else {
        Value::Null
    }
}
