//! Acute infections with their seasons.

use columna_model::Day;

use crate::admissions::{Admission, Content};
use crate::chart::{Chart, department};
use crate::hazard::poisson;
use crate::labs::{self, Panel};
use crate::records::Code;
use crate::rng::Rng;
use crate::vocabulary::{conditions as c, drugs as d, metadata, procedures as p};

use super::History;

/// An infection: cases per year at three ages (under 10, 10 to 64, 65 and over), and how it is treated.
struct Infection {
    what: Code,
    per_year: [f64; 3],
    /// Weight of each month, the largest 1.
    season: [f64; 12],
    /// The first day on which it existed.
    since: i32,
    /// Chance of being seen in the emergency room.
    emergency: f64,
    /// Chance of admission at the three ages.
    admission: [f64; 3],
    /// Drugs with days of supply.
    drugs: &'static [(Code, i32)],
}

const WINTER: [f64; 12] = [
    1.0, 0.9, 0.6, 0.35, 0.2, 0.12, 0.1, 0.1, 0.15, 0.3, 0.5, 0.85,
];
const INFLUENZA: [f64; 12] = [
    1.0, 0.8, 0.4, 0.25, 0.06, 0.02, 0.01, 0.01, 0.02, 0.05, 0.2, 0.8,
];
const SUMMER: [f64; 12] = [
    0.7, 0.7, 0.7, 0.75, 0.85, 0.95, 1.0, 1.0, 0.95, 0.85, 0.75, 0.7,
];
/// 2020-02-20.
const PANDEMIC: i32 = 18_312;

static INFECTIONS: [Infection; 8] = [
    Infection {
        what: &c::ACUTE_BRONCHITIS,
        per_year: [0.55, 0.12, 0.14],
        season: WINTER,
        since: 0,
        emergency: 0.05,
        admission: [0.02, 0.0, 0.02],
        drugs: &[(&d::ACETAMINOPHEN_325, 5), (&d::AMOXICILLIN_500, 5)],
    },
    Infection {
        what: &c::ACUTE_VIRAL_PHARYNGITIS,
        per_year: [0.60, 0.12, 0.06],
        season: WINTER,
        since: 0,
        emergency: 0.06,
        admission: [0.0, 0.0, 0.0],
        drugs: &[(&d::IBUPROFEN_200, 3)],
    },
    Infection {
        what: &c::VIRAL_SINUSITIS,
        per_year: [0.15, 0.07, 0.04],
        season: WINTER,
        since: 0,
        emergency: 0.02,
        admission: [0.0, 0.0, 0.0],
        drugs: &[(&d::LORATADINE_10, 7)],
    },
    Infection {
        what: &c::INFLUENZA,
        per_year: [0.20, 0.05, 0.04],
        season: INFLUENZA,
        since: 0,
        emergency: 0.25,
        admission: [0.02, 0.005, 0.08],
        drugs: &[(&d::ACETAMINOPHEN_500, 5)],
    },
    Infection {
        what: &c::COVID_19,
        per_year: [0.05, 0.07, 0.06],
        season: WINTER,
        since: PANDEMIC,
        emergency: 0.15,
        admission: [0.005, 0.01, 0.12],
        drugs: &[(&d::ACETAMINOPHEN_500, 5)],
    },
    Infection {
        what: &c::PNEUMONIA,
        per_year: [0.03, 0.006, 0.035],
        season: WINTER,
        since: 0,
        emergency: 0.45,
        admission: [0.35, 0.35, 0.65],
        drugs: &[(&d::LEVOFLOXACIN, 7)],
    },
    Infection {
        what: &c::CYSTITIS,
        per_year: [0.01, 0.04, 0.06],
        season: SUMMER,
        since: 0,
        emergency: 0.05,
        admission: [0.0, 0.0, 0.0],
        drugs: &[(&d::CIPROFLOXACIN, 3)],
    },
    Infection {
        what: &c::PYELONEPHRITIS,
        per_year: [0.002, 0.004, 0.008],
        season: SUMMER,
        since: 0,
        emergency: 0.6,
        admission: [0.3, 0.25, 0.5],
        drugs: &[(&d::CIPROFLOXACIN, 10)],
    },
];

/// The days of infections up to the exit from observation: position in the table and day.
pub(crate) fn draw(
    rng: &mut Rng,
    person: &crate::population::Person,
    exit: i32,
) -> Vec<(usize, i32)> {
    let entry = person.entry();
    let mut cases = Vec::new();
    for (index, infection) in INFECTIONS.iter().enumerate() {
        let most = infection.per_year.iter().copied().fold(0.0, f64::max);
        let mean = infection.season.iter().sum::<f64>() / 12.0;
        poisson(
            rng,
            most / mean,
            entry.max(infection.since),
            exit,
            |rng, day| {
                let rate = infection.per_year[age_group(person.age(day))] / most;
                let month = usize::from(Day(day).civil().month - 1);
                if rng.chance(rate * infection.season[month]) {
                    cases.push((index, day));
                }
            },
        );
    }
    cases
}

fn age_group(age: f64) -> usize {
    if age < 10.0 {
        0
    } else if age < 65.0 {
        1
    } else {
        2
    }
}

/// Splits cases into admissions and those treated outside.
pub(crate) fn admissions(
    rng: &mut Rng,
    person: &crate::population::Person,
    cases: &mut Vec<(usize, i32)>,
) -> Vec<Admission> {
    let mut planned = Vec::new();
    cases.retain(|&(index, day)| {
        let infection = &INFECTIONS[index];
        let admitted = rng.chance(infection.admission[age_group(person.age(day))]);
        if admitted {
            planned.push(Admission::emergency(
                day,
                infection.what,
                Content::Infection,
            ));
        }
        !admitted
    });
    planned
}

/// Cases treated in the clinic or the emergency room.
pub(crate) fn record(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    cases: &[(usize, i32)],
) {
    for &(index, day) in cases {
        let infection = &INFECTIONS[index];
        if chart.stay(day).is_some() {
            continue;
        }
        let visit = if rng.chance(infection.emergency) {
            chart.visit(rng, &metadata::EMERGENCY, day, day, department::EMERGENCY)
        } else {
            chart.contact(rng, day, department::FAMILY)
        };
        let Some(visit) = visit else { continue };
        chart.diagnose_acute(visit, day, infection.what, 10);
        for &(drug, days) in infection.drugs {
            if rng.chance(0.8) {
                chart.prescribe(visit, day, drug, days, 3.0);
            }
        }
        if rng.chance(0.3) {
            labs::temperature(chart, rng, visit, day);
        }
        if infection.what.id == c::PNEUMONIA.id {
            chart.perform(visit, day, &p::CHEST_RADIOGRAPHY);
            labs::panel(chart, rng, history, visit, day, Panel::Inflammation);
        }
    }
}
