//! Natural histories: what happens to a person's body, before anybody writes it down.
//!
//! Each file draws the onsets of its diseases given those drawn before it, so that risks add up along the known
//! ways: diabetes and hypertension lead to kidney disease and infarction, infarction to heart failure, all of them
//! to death. Rates are ours: plausible for Korea, not taken from a table, and stated where they stand.

pub(crate) mod background;
pub(crate) mod cancer;
pub(crate) mod diabetes;
pub(crate) mod heart_failure;
pub(crate) mod hypertension;
pub(crate) mod infection;

use crate::comparison::NewUse;
use crate::hazard::{Change, DAYS_PER_YEAR};
use crate::mortality;
use crate::population::{Person, WINDOW_END};
use crate::records::Code;
use crate::rng::{Rng, whole};
use crate::vocabulary::conditions::{PNEUMONIA, SEPSIS};

/// The first day after the window: nothing is simulated from here on.
pub(crate) const HORIZON: i32 = WINDOW_END + 1;

/// A person's life with illness. Onsets are days; `None` is not within the window.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Type 2 diabetes and its complications.
    pub(crate) diabetes: Option<i32>,
    pub(crate) retinopathy: Option<i32>,
    pub(crate) neuropathy: Option<i32>,
    pub(crate) microalbuminuria: Option<i32>,
    /// Hypertension and the first drug against it.
    pub(crate) hypertension: Option<i32>,
    pub(crate) new_use: Option<NewUse>,
    /// Chronic kidney disease stages 3, 4 and dialysis.
    pub(crate) kidney_3: Option<i32>,
    pub(crate) kidney_4: Option<i32>,
    pub(crate) dialysis: Option<i32>,
    /// Heart and brain.
    pub(crate) infarction: Option<i32>,
    pub(crate) fibrillation: Option<i32>,
    pub(crate) heart_failure: Option<i32>,
    pub(crate) stroke: Option<i32>,
    /// Fracture of the forearm, the negative control.
    pub(crate) forearm_fracture: Option<i32>,
    /// Background diseases: position in [`background::CHRONIC`] and onset.
    pub(crate) chronic: Vec<(usize, i32)>,
    /// The first cancer.
    pub(crate) cancer: Option<cancer::Cancer>,
    /// Death and its cause.
    pub(crate) death: Option<(i32, Option<Code>)>,
}

impl History {
    /// Draws a life.
    pub(crate) fn draw(rng: &mut Rng, person: &Person) -> Self {
        let mut history = Self::default();
        diabetes::draw(rng, person, &mut history);
        hypertension::draw(rng, person, &mut history);
        crate::comparison::draw(rng, person, &mut history);
        heart_failure::draw(rng, person, &mut history);
        background::draw(rng, person, &mut history);
        history.cancer = cancer::draw(rng, person);
        history.death = history.draw_death(rng, person);
        history
    }

    /// Whether an onset is on or before a day.
    pub(crate) fn has(onset: Option<i32>, day: i32) -> bool {
        onset.is_some_and(|onset| onset <= day)
    }

    /// The onset of a background disease.
    pub(crate) fn background(&self, what: Code) -> Option<i32> {
        self.chronic
            .iter()
            .find(|(index, _)| background::CHRONIC[*index].what.id == what.id)
            .map(|(_, onset)| *onset)
    }

    /// The earliest of death by age and of the deaths that each disease brings by itself.
    ///
    /// None of the risks depends on the drug of the new-user comparison: given age, blood pressure, sex and diabetes,
    /// death is independent of the choice of drug.
    fn draw_death(&self, rng: &mut Rng, person: &Person) -> Option<(i32, Option<Code>)> {
        use crate::vocabulary::conditions as c;
        let entry = person.entry();
        let mut changes: Vec<Change> = Vec::new();
        let mut risk =
            |onset: Option<i32>, factor: f64| changes.extend(onset.map(|day| (day, factor)));
        risk(self.diabetes, 1.4);
        risk(self.hypertension, 1.15);
        risk(self.kidney_3, 1.4);
        risk(self.fibrillation, 1.3);
        risk(self.stroke, 1.8);
        risk(self.infarction, 1.4);
        risk(self.background(&c::DEMENTIA), 2.0);
        if person.smoking == crate::population::Smoking::Current {
            changes.push((person.birth, 1.7));
        }
        let old_age = mortality::death(rng, person.birth, person.sex, &mut changes, entry, HORIZON);
        let unnamed: [Option<Code>; 4] = [None, None, Some(&PNEUMONIA), Some(&SEPSIS)];
        let cause = rng.pick(&unnamed);
        let mut first = old_age.map(|day| (day, cause));

        let mut also = |onset: Option<i32>, per_year: f64, cause: Code| {
            let wait = rng.exponential() / per_year * DAYS_PER_YEAR;
            let Some(onset) = onset else { return };
            let day = whole(f64::from(onset.max(entry)) + wait);
            if day < HORIZON && first.is_none_or(|(earliest, _)| day < earliest) {
                first = Some((day, Some(cause)));
            }
        };
        also(self.heart_failure, 0.09, &c::HEART_FAILURE);
        also(self.dialysis, 0.10, &c::END_STAGE_RENAL_DISEASE);
        also(self.background(&c::COPD), 0.025, &c::COPD);
        for (day, per_year, cause) in self.cancer.iter().flat_map(cancer::Cancer::mortality) {
            also(Some(day), per_year, cause);
        }
        // One infarction in twelve and one stroke in fifteen is fatal within a month.
        for (onset, fatal, cause) in [
            (self.infarction, 0.08, &c::ACUTE_MYOCARDIAL_INFARCTION),
            (self.stroke, 0.065, &c::CEREBRAL_INFARCTION),
        ] {
            let dies = rng.chance(fatal);
            let after = rng.between(1, 28);
            if let Some(day) = onset
                .filter(|day| *day > entry && dies)
                .map(|day| day + after)
                && day < HORIZON
                && first.is_none_or(|(earliest, _)| day < earliest)
            {
                first = Some((day, Some(cause)));
            }
        }
        first
    }
}
