//! Laboratory values and vital signs, depending on age, sex, illness and treatment.
//!
//! Means and spreads are ours, near reference ranges and usual clinical values. Units are those of the concept.

use crate::chart::{Chart, VisitRef};
use crate::disease::History;
use crate::population::Sex;
use crate::records::Code;
use crate::rng::{Rng, rounded};
use crate::vocabulary::{conditions as c, measurements as m};

/// Tests that are ordered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panel {
    /// Blood pressure.
    Pressure,
    /// Glucose and HbA1c.
    Glucose,
    /// Creatinine, potassium.
    Metabolic,
    /// Lipids.
    Lipids,
    /// Blood count.
    Blood,
    /// A health check-up.
    Checkup,
    /// Monthly control on dialysis.
    Dialysis,
    /// Before chemotherapy.
    Chemotherapy,
    /// NT-proBNP and kidney function.
    Heart,
    /// On admission: blood count, CRP, creatinine.
    Inflammation,
    /// During a stay.
    Control,
    /// Neutropenic fever.
    Neutropenia,
}

impl Panel {
    fn tests(self) -> &'static [Code] {
        match self {
            Self::Pressure => const { &[&m::SYSTOLIC_PRESSURE, &m::DIASTOLIC_PRESSURE] },
            Self::Glucose => const { &[&m::HBA1C, &m::GLUCOSE] },
            Self::Metabolic => const { &[&m::CREATININE, &m::POTASSIUM] },
            Self::Lipids => const { &[&m::LDL_CHOLESTEROL, &m::HDL_CHOLESTEROL, &m::TRIGLYCERIDE] },
            Self::Blood => const { &[&m::HEMOGLOBIN, &m::LEUKOCYTES, &m::PLATELETS] },
            Self::Checkup => {
                const {
                    &[
                        &m::GLUCOSE,
                        &m::LDL_CHOLESTEROL,
                        &m::HDL_CHOLESTEROL,
                        &m::HEMOGLOBIN,
                        &m::CREATININE,
                        &m::ALT,
                        &m::AST,
                    ]
                }
            }
            Self::Dialysis => const { &[&m::CREATININE, &m::POTASSIUM, &m::HEMOGLOBIN] },
            Self::Chemotherapy => {
                const {
                    &[
                        &m::HEMOGLOBIN,
                        &m::LEUKOCYTES,
                        &m::PLATELETS,
                        &m::CREATININE,
                    ]
                }
            }
            Self::Heart => const { &[&m::NT_PROBNP, &m::CREATININE, &m::SODIUM] },
            Self::Inflammation => const { &[&m::CRP, &m::LEUKOCYTES, &m::HEMOGLOBIN] },
            Self::Control => const { &[&m::CRP, &m::CREATININE] },
            Self::Neutropenia => const { &[&m::LEUKOCYTES, &m::CRP] },
        }
    }
}

/// Measures a panel; a test that was done on the day already is not repeated.
pub(crate) fn panel(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    visit: VisitRef,
    day: i32,
    panel: Panel,
) {
    for &test in panel.tests() {
        if !chart.has_value(day, test) {
            let value = value(chart, rng, history, day, panel, test);
            chart.measure(visit, day, test, value);
        }
    }
}

/// Weight, height and body mass index.
pub(crate) fn body(chart: &mut Chart<'_>, rng: &mut Rng, visit: VisitRef, day: i32) {
    if chart.has_value(day, &m::BODY_WEIGHT) {
        return;
    }
    let person = chart.person;
    let height = rounded(person.height, 1);
    let index = match person.sex {
        Sex::Male => 24.6,
        Sex::Female => 23.1,
    } + 3.2 * person.traits.weight
        + 0.4 * rng.noise();
    let weight = rounded(index.max(15.5) * (height / 100.0).powi(2), 1);
    chart.measure(visit, day, &m::BODY_WEIGHT, weight);
    chart.measure(visit, day, &m::BODY_HEIGHT, height);
    chart.measure(
        visit,
        day,
        &m::BODY_MASS_INDEX,
        rounded(weight / (height / 100.0).powi(2), 1),
    );
}

/// A fever.
pub(crate) fn temperature(chart: &mut Chart<'_>, rng: &mut Rng, visit: VisitRef, day: i32) {
    chart.measure(
        visit,
        day,
        &m::BODY_TEMPERATURE,
        rounded(38.1 + 0.6 * rng.noise(), 1),
    );
    chart.measure(
        visit,
        day,
        &m::HEART_RATE,
        rounded(92.0 + 12.0 * rng.noise(), 0),
    );
}

/// A low oxygen saturation.
pub(crate) fn saturation(chart: &mut Chart<'_>, rng: &mut Rng, visit: VisitRef, day: i32) {
    chart.measure(
        visit,
        day,
        &m::OXYGEN_SATURATION,
        rounded((90.0 + 3.0 * rng.noise()).clamp(70.0, 100.0), 0),
    );
}

/// Troponin I of an infarction.
pub(crate) fn troponin(chart: &mut Chart<'_>, rng: &mut Rng, visit: VisitRef, day: i32) {
    chart.measure(
        visit,
        day,
        &m::TROPONIN_I,
        rounded((7.0 + 1.2 * rng.noise()).exp(), 0),
    );
}

fn value(
    chart: &Chart<'_>,
    rng: &mut Rng,
    history: &History,
    day: i32,
    panel: Panel,
    test: Code,
) -> f64 {
    let person = chart.person;
    let age = person.age(day);
    let female = person.sex == Sex::Female;
    let since = |onset: Option<i32>| {
        onset
            .filter(|onset| *onset <= day)
            .map(|onset| f64::from(day - onset) / 365.25)
    };
    let has = |onset: Option<i32>| History::has(onset, day);
    let noise = rng.noise();
    let (number, decimals) = match test.id {
        3_004_249 => {
            let treated = history
                .new_use
                .as_ref()
                .is_some_and(|use_| use_.index < day);
            let illness = match (has(history.hypertension), treated) {
                (true, true) => 10.0,
                (true, false) => 26.0,
                (false, _) => 0.0,
            };
            (
                (112.0 + 0.24 * age + 7.0 * person.traits.pressure + illness + 7.0 * noise)
                    .clamp(80.0, 230.0),
                0,
            )
        }
        3_012_888 => (
            (74.0
                + 5.0 * person.traits.pressure
                + 6.0 * f64::from(u8::from(has(history.hypertension)))
                + 6.0 * noise)
                .clamp(40.0, 130.0),
            0,
        ),
        3_004_410 => match since(history.diabetes) {
            // High at diagnosis, lower on treatment, rising again over the years.
            Some(years) if years < 0.2 => ((8.3 + 1.2 * noise).max(6.5), 1),
            Some(years) => (
                (7.0 + 0.05 * years + 0.4 * person.traits.weight + 0.8 * noise).clamp(5.0, 15.0),
                1,
            ),
            None => (
                (5.5 + 0.1 * person.traits.weight + 0.25 * noise).clamp(4.4, 6.4),
                1,
            ),
        },
        3_004_501 => match since(history.diabetes) {
            Some(_) => ((148.0 + 36.0 * noise).clamp(60.0, 480.0), 0),
            None => ((94.0 + 9.0 * noise).clamp(62.0, 125.0), 0),
        },
        3_016_723 => {
            let healthy = if female { 0.68 } else { 0.90 } + 0.002 * (age - 40.0).max(0.0);
            let factor = if has(history.dialysis) {
                9.0
            } else if has(history.kidney_4) {
                3.6
            } else if has(history.kidney_3) {
                1.9
            } else {
                1.0
            };
            (
                (healthy * factor * (0.12 * noise).exp()).clamp(0.3, 18.0),
                2,
            )
        }
        3_023_103 => (
            (4.2 + if has(history.kidney_4) { 0.6 } else { 0.0 } + 0.35 * noise).clamp(2.6, 7.2),
            1,
        ),
        3_019_550 => ((139.5 + 2.8 * noise).clamp(118.0, 152.0), 0),
        3_009_966 => {
            let treated =
                since(history.background(&c::HYPERLIPIDEMIA)).is_some_and(|years| years > 0.2);
            let high = has(history.background(&c::HYPERLIPIDEMIA));
            let shift = match (high, treated) {
                (true, true) => -22.0,
                (true, false) => 42.0,
                (false, _) => 0.0,
            };
            (
                (112.0 + 22.0 * person.traits.lipids + shift + 12.0 * noise).clamp(25.0, 320.0),
                0,
            )
        }
        3_007_070 => (
            (if female { 57.0 } else { 49.0 } + 11.0 * noise).clamp(18.0, 110.0),
            0,
        ),
        3_022_192 => (
            (4.7 + 0.15 * person.traits.weight + 0.45 * noise)
                .exp()
                .clamp(25.0, 1800.0),
            0,
        ),
        3_000_963 => {
            let healthy = if female { 13.2 } else { 15.0 } - 0.015 * (age - 50.0).max(0.0);
            let loss = match panel {
                Panel::Dialysis => 3.6,
                Panel::Chemotherapy | Panel::Neutropenia => 2.4,
                _ if has(history.dialysis) => 3.6,
                _ if has(history.kidney_4) => 2.0,
                _ => 0.0,
            };
            (
                (healthy - loss + 0.8 * person.traits.blood + 0.5 * noise).clamp(5.0, 19.0),
                1,
            )
        }
        3_000_905 => match panel {
            Panel::Neutropenia => ((0.8 * (0.5 * noise).exp()).clamp(0.1, 2.5), 2),
            Panel::Inflammation => ((11.0 * (0.35 * noise).exp()).clamp(1.5, 40.0), 2),
            Panel::Chemotherapy => ((4.6 * (0.35 * noise).exp()).clamp(1.0, 20.0), 2),
            _ => ((6.4 * (0.25 * noise).exp()).clamp(2.5, 20.0), 2),
        },
        3_024_929 => (
            (248.0
                - if panel == Panel::Chemotherapy {
                    60.0
                } else {
                    0.0
                }
                + 55.0 * noise)
                .clamp(15.0, 700.0),
            0,
        ),
        3_006_923 => (
            (3.1 + 0.15 * person.traits.weight + 0.4 * noise)
                .exp()
                .clamp(4.0, 900.0),
            0,
        ),
        3_013_721 => ((3.1 + 0.35 * noise).exp().clamp(6.0, 900.0), 0),
        3_020_460 => match panel {
            Panel::Inflammation | Panel::Neutropenia => {
                ((3.9 + 0.9 * noise).exp().clamp(0.3, 420.0), 1)
            }
            _ => ((3.0 + 0.9 * noise).exp().clamp(0.3, 300.0), 1),
        },
        3_029_187 => (
            (if has(history.heart_failure) { 7.6 } else { 4.6 } + 0.8 * noise)
                .exp()
                .clamp(10.0, 35_000.0),
            0,
        ),
        _ => (noise.abs(), 2),
    };
    rounded(number, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_panel_is_of_tests_with_a_formula() {
        // Ids in `value` are written out; this keeps them those of the panels.
        let known = [
            3_004_249, 3_012_888, 3_004_410, 3_004_501, 3_016_723, 3_023_103, 3_019_550, 3_009_966,
            3_007_070, 3_022_192, 3_000_963, 3_000_905, 3_024_929, 3_006_923, 3_013_721, 3_020_460,
            3_029_187,
        ];
        for panel in [
            Panel::Pressure,
            Panel::Glucose,
            Panel::Metabolic,
            Panel::Lipids,
            Panel::Blood,
            Panel::Checkup,
            Panel::Dialysis,
            Panel::Chemotherapy,
            Panel::Heart,
            Panel::Inflammation,
            Panel::Control,
            Panel::Neutropenia,
        ] {
            for test in panel.tests() {
                assert!(known.contains(&test.id), "{} has no formula", test.name);
            }
        }
    }
}
