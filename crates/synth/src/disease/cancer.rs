//! Cancer: site, stage, surgery, chemotherapy with its complications, recurrence and death.

use super::History;
use crate::admissions::{Admission, Content};
use crate::chart::{Chart, department};
use crate::hazard::{Band, Change, DAYS_PER_YEAR, onset};
use crate::labs::{self, Panel};
use crate::population::{Person, Smoking};
use crate::records::Code;
use crate::rng::{Rng, whole};
use crate::vocabulary::{conditions as c, drugs as d, measurements as m, procedures as p};

/// How a cancer of a site behaves.
#[derive(Debug)]
pub(crate) struct Site {
    /// The diagnosis.
    pub(crate) what: Code,
    /// Onsets per 1,000 person-years.
    incidence: &'static [Band],
    /// How many times more in current smokers.
    smoking: f64,
    /// Chances of stages 1 to 4 at diagnosis.
    stages: [f64; 4],
    /// Deaths per year by stage at diagnosis, before recurrence.
    deaths: [f64; 4],
    /// Recurrences per year by stage at diagnosis.
    recurrences: [f64; 4],
    biopsy: Code,
    surgery: Code,
    chemotherapy: &'static [&'static crate::vocabulary::Concept],
}

static SITES: [Site; 6] = [
    Site {
        what: &c::LUNG_CANCER,
        incidence: &[
            (0, [0.0, 0.0]),
            (45, [0.25, 0.2]),
            (60, [1.6, 0.7]),
            (70, [4.0, 1.4]),
        ],
        smoking: 6.0,
        stages: [0.28, 0.12, 0.22, 0.38],
        deaths: [0.03, 0.08, 0.25, 0.70],
        recurrences: [0.06, 0.15, 0.25, 0.0],
        biopsy: &p::LUNG_ASPIRATION,
        surgery: &p::SURGICAL_PROCEDURE,
        chemotherapy: &[&d::CISPLATIN_INJECTION, &d::PACLITAXEL_INJECTION],
    },
    Site {
        what: &c::BREAST_CANCER,
        incidence: &[
            (0, [0.0, 0.0]),
            (30, [0.0, 0.6]),
            (40, [0.0, 2.0]),
            (50, [0.0, 1.9]),
            (70, [0.0, 0.9]),
        ],
        smoking: 1.0,
        stages: [0.48, 0.34, 0.13, 0.05],
        deaths: [0.005, 0.015, 0.05, 0.25],
        recurrences: [0.01, 0.03, 0.08, 0.0],
        biopsy: &p::BREAST_BIOPSY,
        surgery: &p::BREAST_LUMPECTOMY,
        chemotherapy: &[&d::PACLITAXEL_INJECTION, &d::CARBOPLATIN_INJECTION],
    },
    Site {
        what: &c::COLON_CANCER,
        incidence: &[
            (0, [0.0, 0.0]),
            (40, [0.3, 0.25]),
            (55, [1.2, 0.7]),
            (65, [2.2, 1.3]),
            (75, [3.0, 2.2]),
        ],
        smoking: 1.2,
        stages: [0.25, 0.27, 0.30, 0.18],
        deaths: [0.01, 0.03, 0.08, 0.40],
        recurrences: [0.02, 0.05, 0.11, 0.0],
        biopsy: &p::COLON_BIOPSY,
        surgery: &p::COLON_RESECTION,
        chemotherapy: &[&d::OXALIPLATIN_INJECTION, &d::FLUOROURACIL_INJECTION],
    },
    Site {
        what: &c::STOMACH_CANCER,
        incidence: &[
            (0, [0.0, 0.0]),
            (40, [0.4, 0.35]),
            (55, [1.6, 0.7]),
            (65, [2.7, 1.1]),
            (75, [3.2, 1.5]),
        ],
        smoking: 1.5,
        stages: [0.62, 0.12, 0.14, 0.12],
        deaths: [0.01, 0.05, 0.14, 0.65],
        recurrences: [0.01, 0.07, 0.16, 0.0],
        biopsy: &p::SURGICAL_PROCEDURE,
        surgery: &p::GASTRECTOMY,
        chemotherapy: &[&d::CAPECITABINE, &d::OXALIPLATIN_INJECTION],
    },
    Site {
        what: &c::PROSTATE_CANCER,
        incidence: &[
            (0, [0.0, 0.0]),
            (55, [0.8, 0.0]),
            (65, [3.0, 0.0]),
            (75, [4.5, 0.0]),
        ],
        smoking: 1.0,
        stages: [0.35, 0.35, 0.18, 0.12],
        deaths: [0.005, 0.01, 0.03, 0.20],
        recurrences: [0.01, 0.03, 0.06, 0.0],
        biopsy: &p::PROSTATE_BIOPSY,
        surgery: &p::PROSTATECTOMY,
        chemotherapy: &[&d::PACLITAXEL_INJECTION],
    },
    Site {
        what: &c::THYROID_CANCER,
        incidence: &[
            (0, [0.0, 0.0]),
            (20, [0.15, 0.6]),
            (40, [0.3, 1.0]),
            (60, [0.25, 0.7]),
        ],
        smoking: 1.0,
        stages: [0.80, 0.12, 0.06, 0.02],
        deaths: [0.0005, 0.002, 0.01, 0.10],
        recurrences: [0.005, 0.01, 0.03, 0.0],
        biopsy: &p::SURGICAL_PROCEDURE,
        surgery: &p::SURGICAL_PROCEDURE,
        chemotherapy: &[],
    },
];

/// A person's first cancer.
#[derive(Debug)]
pub(crate) struct Cancer {
    site: &'static Site,
    /// Day of diagnosis.
    pub(crate) onset: i32,
    /// Stage at diagnosis, from 0 for stage 1.
    pub(crate) stage: usize,
    /// Day of recurrence.
    pub(crate) recurrence: Option<i32>,
}

impl Cancer {
    /// Additional deaths per year from a day on.
    pub(crate) fn mortality(&self) -> impl Iterator<Item = (i32, f64, Code)> {
        let first = (self.onset, self.site.deaths[self.stage], self.site.what);
        // A recurrence kills like stage 4 of its site.
        let again = self
            .recurrence
            .map(|day| (day, self.site.deaths[3], &c::SECONDARY_MALIGNANCY as Code));
        std::iter::once(first).chain(again)
    }
}

/// Draws the first cancer.
pub(crate) fn draw(rng: &mut Rng, person: &Person) -> Option<Cancer> {
    let Person { birth, sex, .. } = *person;
    let mut first: Option<(i32, &'static Site)> = None;
    for site in &SITES {
        let smoker: Option<Change> =
            (person.smoking == Smoking::Current).then_some((birth, site.smoking));
        let changes: &[Change] = smoker.as_slice();
        let day = onset(
            rng,
            birth,
            sex,
            site.incidence,
            changes,
            birth,
            super::HORIZON,
        );
        if let Some(day) = day.filter(|day| first.is_none_or(|(earliest, _)| *day < earliest)) {
            first = Some((day, site));
        }
    }
    let (onset, site) = first?;
    let stage = rng.weighted(&site.stages);
    let wait = rng.exponential() / site.recurrences[stage] * DAYS_PER_YEAR;
    let recurrence =
        Some(whole(f64::from(onset) + 120.0 + wait)).filter(|day| *day < super::HORIZON);
    Some(Cancer {
        site,
        onset,
        stage,
        recurrence,
    })
}

/// Surgery two to five weeks after a diagnosis in stages 1 to 3, and neutropenic fever after chemotherapy.
pub(crate) fn admissions(rng: &mut Rng, person: &Person, history: &History) -> Vec<Admission> {
    let Some(cancer) = &history.cancer else {
        return Vec::new();
    };
    let mut planned = Vec::new();
    if cancer.onset > person.entry() && cancer.stage < 3 {
        let day = cancer.onset + rng.between(14, 35);
        planned.push(Admission::elective(
            day,
            cancer.site.what,
            Content::Surgery(cancer.site.surgery),
        ));
    }
    for start in cycles_start(cancer, person.entry()).into_iter().flatten() {
        for cycle in 0..6 {
            if rng.chance(0.07) {
                let day = start + 21 * cycle + rng.between(8, 13);
                planned.push(Admission::emergency(
                    day,
                    &c::FEBRILE_NEUTROPENIA,
                    Content::Neutropenia,
                ));
            }
        }
    }
    planned
}

/// First days of chemotherapy: after surgery for stages 2 to 4, and after a recurrence.
fn cycles_start(cancer: &Cancer, entry: i32) -> [Option<i32>; 2] {
    if cancer.site.chemotherapy.is_empty() {
        return [None, None];
    }
    let first = (cancer.stage > 0 && cancer.onset > entry).then_some(cancer.onset + 60);
    [
        first,
        cancer
            .recurrence
            .filter(|day| *day > entry)
            .map(|day| day + 14),
    ]
}

/// Diagnosis with biopsy, imaging and stage; chemotherapy every three weeks; controls; recurrence.
pub(crate) fn record(chart: &mut Chart<'_>, rng: &mut Rng, history: &History, exit: i32) {
    let Some(cancer) = &history.cancer else {
        return;
    };
    let entry = chart.person.entry();
    if cancer.onset > entry
        && let Some(visit) = chart.contact(rng, cancer.onset, department::ONCOLOGY)
    {
        let day = cancer.onset;
        chart.diagnose(visit, day, cancer.site.what);
        chart.stage(
            visit,
            day,
            [&m::STAGE_1, &m::STAGE_2, &m::STAGE_3, &m::STAGE_4][cancer.stage],
        );
        chart.perform(visit, day, cancer.site.biopsy);
        chart.perform(visit, day, &p::CT_CHEST_ABDOMEN);
        labs::panel(chart, rng, history, visit, day, Panel::Blood);
    }
    for start in cycles_start(cancer, entry).into_iter().flatten() {
        for cycle in 0..6 {
            chemotherapy(chart, rng, history, cancer, start + 21 * cycle);
        }
    }
    if let Some(day) = cancer.recurrence.filter(|day| *day > entry)
        && let Some(visit) = chart.contact(rng, day, department::ONCOLOGY)
    {
        chart.diagnose(visit, day, &c::SECONDARY_MALIGNANCY);
        chart.perform(visit, day, &p::CT_CHEST_ABDOMEN);
        if rng.chance(0.4) {
            chart.perform(visit, day, &p::TELERADIOTHERAPY);
        }
        chart.prescribe(visit, day, &d::MORPHINE, 28, 2.0);
    }
    // Controls every half year for five years.
    let mut day = cancer.onset.max(entry) + 180;
    while day <= exit.min(cancer.onset + 1900) {
        if chart.stay(day).is_none()
            && let Some(visit) = chart.contact(rng, day, department::ONCOLOGY)
        {
            chart.diagnose(visit, day, cancer.site.what);
            labs::panel(chart, rng, history, visit, day, Panel::Blood);
            if rng.chance(0.6) {
                chart.perform(visit, day, &p::CT_CHEST_ABDOMEN);
            }
        }
        day += rng.between(160, 200);
    }
}

fn chemotherapy(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    cancer: &Cancer,
    day: i32,
) {
    // One cycle in ten is left out.
    if chart.stay(day).is_some() || rng.chance(0.1) {
        return;
    }
    let Some(visit) = chart.contact(rng, day, department::ONCOLOGY) else {
        return;
    };
    chart.perform(visit, day, &p::CHEMOTHERAPY);
    for drug in cancer.site.chemotherapy {
        chart.prescribe(visit, day, drug, 1, 1.0);
    }
    chart.prescribe(visit, day, &d::ONDANSETRON_INJECTION, 1, 1.0);
    labs::panel(chart, rng, history, visit, day, Panel::Chemotherapy);
    if rng.chance(0.35) {
        chart.diagnose_acute(visit, day, &c::NAUSEA, 4);
    }
}

/// The diagnosis as history at the first contact.
pub(crate) fn prevalent(history: &History, day: i32) -> Option<Code> {
    history
        .cancer
        .as_ref()
        .filter(|cancer| cancer.onset <= day)
        .map(|cancer| cancer.site.what)
}
