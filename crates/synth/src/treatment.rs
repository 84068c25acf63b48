//! Chronic care: clinic visits with refills, their days of supply and their gaps, and the tests that go with them.

use crate::chart::{Chart, VisitRef, department};
use crate::disease::{History, background::CHRONIC};
use crate::labs::{self, Panel};
use crate::records::Code;
use crate::rng::Rng;
use crate::vocabulary::{conditions as c, drugs as d, measurements as m};

/// A drug that is taken over a stretch of time.
#[derive(Debug)]
struct Regimen {
    drug: Code,
    from: i32,
    until: i32,
    per_day: f64,
}

/// The first prescription against hypertension, with the blood pressure that it was chosen by.
pub(crate) fn first_prescription(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    supply: i32,
) {
    let Some(new_use) = &history.new_use else {
        return;
    };
    let day = new_use.index;
    if let Some(visit) = chart.contact(rng, day, department::CARDIOLOGY) {
        // Before any other value of the day, so that there is one systolic pressure and it is this.
        chart.measure(
            visit,
            day,
            &m::SYSTOLIC_PRESSURE,
            new_use.covariates.systolic,
        );
        chart.prescribe(visit, day, new_use.drug, supply, 1.0);
    }
}

/// Visits for chronic disease from the first regimen to the exit.
pub(crate) fn record(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    supply: i32,
    exit: i32,
) {
    let regimens = regimens(rng, history);
    let entry = chart.person.entry();
    let first = |day: i32| {
        regimens
            .iter()
            .filter(|regimen| regimen.until > day)
            .map(|regimen| regimen.from.max(day))
            .min()
    };
    let Some(mut day) = first(entry) else { return };
    while day <= exit {
        let active = regimens
            .iter()
            .any(|regimen| regimen.from <= day && day < regimen.until);
        if !active {
            match first(day) {
                Some(next) => day = next,
                None => return,
            }
            continue;
        }
        if let Some(stay) = chart.stay(day) {
            day = chart.span(stay).1 + rng.between(5, 14);
            continue;
        }
        if let Some(visit) = chart.contact(rng, day, department::INTERNAL) {
            clinic(chart, rng, history, &regimens, visit, day, supply);
        }
        day += supply + rng.between(-7, 7);
        // Not everybody comes when the supply ends; a few stay away for most of a year.
        if rng.chance(0.10) {
            day += rng.between(14, 90);
        } else if rng.chance(0.015) {
            day += rng.between(180, 420);
        }
    }
}

fn clinic(
    chart: &mut Chart<'_>,
    rng: &mut Rng,
    history: &History,
    regimens: &[Regimen],
    visit: VisitRef,
    day: i32,
    supply: i32,
) {
    let active = |regimen: &Regimen| regimen.from <= day && day < regimen.until;
    for (at, regimen) in regimens.iter().enumerate() {
        // A drug with two reasons is prescribed once.
        let stands = |other: &Regimen| active(other) && other.drug.id == regimen.drug.id;
        if !active(regimen) || regimens[..at].iter().any(stands) {
            continue;
        }
        // The first prescription of the comparison stands on its day already.
        let is_index = history
            .new_use
            .as_ref()
            .is_some_and(|new_use| new_use.index == day && new_use.drug.id == regimen.drug.id);
        if !is_index && rng.chance(0.95) {
            chart.prescribe(visit, day, regimen.drug, supply, regimen.per_day);
        }
    }
    let has = |onset: Option<i32>| History::has(onset, day);
    let diagnoses: [(Option<i32>, Code); 5] = [
        (history.diabetes, &c::TYPE_2_DIABETES),
        (history.hypertension, &c::ESSENTIAL_HYPERTENSION),
        (history.background(&c::HYPERLIPIDEMIA), &c::HYPERLIPIDEMIA),
        (history.fibrillation, &c::ATRIAL_FIBRILLATION),
        (history.heart_failure, &c::HEART_FAILURE),
    ];
    for (onset, what) in diagnoses {
        if has(onset) && rng.chance(0.4) {
            chart.diagnose(visit, day, what);
        }
    }
    if (has(history.hypertension) || has(history.heart_failure)) && rng.chance(0.5) {
        labs::panel(chart, rng, history, visit, day, Panel::Pressure);
    }
    let yearly = f64::from(supply) / 365.0;
    if has(history.diabetes) && rng.chance(2.0 * yearly) {
        labs::panel(chart, rng, history, visit, day, Panel::Glucose);
    }
    if has(history.background(&c::HYPERLIPIDEMIA)) && rng.chance(yearly) {
        labs::panel(chart, rng, history, visit, day, Panel::Lipids);
    }
    if (has(history.diabetes) || has(history.hypertension) || has(history.kidney_3))
        && rng.chance(yearly)
    {
        labs::panel(chart, rng, history, visit, day, Panel::Metabolic);
    }
    if has(history.heart_failure) && rng.chance(yearly) {
        labs::panel(chart, rng, history, visit, day, Panel::Heart);
    }
}

fn regimens(rng: &mut Rng, history: &History) -> Vec<Regimen> {
    const ALWAYS: i32 = i32::MAX;
    let mut regimens: Vec<Regimen> = Vec::new();
    let mut add = |drug: Code, from: Option<i32>, until: i32, per_day: f64| {
        if let Some(from) = from {
            regimens.push(Regimen {
                drug,
                from,
                until,
                per_day,
            });
        }
    };
    if let Some(new_use) = &history.new_use {
        add(new_use.drug, Some(new_use.index), ALWAYS, 1.0);
    }
    // Metformin until stage 4 kidney disease; a second drug after some years.
    add(
        &d::METFORMIN_XR_500,
        history.diabetes,
        history.kidney_4.unwrap_or(ALWAYS),
        2.0,
    );
    let second: Code = if rng.chance(0.6) {
        &d::SITAGLIPTIN
    } else {
        &d::EMPAGLIFLOZIN
    };
    let later = rng.between(400, 2600);
    if rng.chance(0.55) {
        add(second, history.diabetes.map(|day| day + later), ALWAYS, 1.0);
    }
    let (anticoagulated, advanced) = (rng.chance(0.6), rng.chance(0.5));
    // Each reason stands for itself: what is prescribed on a day must not depend on a disease of a later day.
    add(&d::ASPIRIN_81, history.infarction, ALWAYS, 1.0);
    let year_after_infarction = history.infarction.map_or(0, |day| day + 365);
    add(
        &d::CLOPIDOGREL_75,
        history.infarction,
        year_after_infarction,
        1.0,
    );
    add(&d::CLOPIDOGREL_75, history.stroke, ALWAYS, 1.0);
    add(&d::ATORVASTATIN, history.infarction, ALWAYS, 1.0);
    add(&d::ATORVASTATIN, history.stroke, ALWAYS, 1.0);
    add(
        &d::WARFARIN_5,
        history.fibrillation.filter(|_| anticoagulated),
        ALWAYS,
        1.0,
    );
    add(&d::FUROSEMIDE_40, history.heart_failure, ALWAYS, 1.0);
    add(&d::CARVEDILOL_25, history.heart_failure, ALWAYS, 2.0);
    add(
        &d::SPIRONOLACTONE_25,
        history.heart_failure.filter(|_| advanced),
        ALWAYS,
        1.0,
    );
    for &(index, onset) in &history.chronic {
        let Some((drug, per_day, chance, years)) = CHRONIC[index].drug else {
            continue;
        };
        if rng.chance(chance) {
            add(
                drug,
                Some(onset),
                years.map_or(ALWAYS, |years| onset + 365 * years),
                per_day,
            );
        }
    }
    regimens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::Person;

    /// A person's drugs on a day, drawn with or without what comes later.
    fn active(seed: u64, later: bool) -> Option<(Vec<i64>, bool)> {
        let mut rng = Rng::new(&[seed]);
        let person = Person::draw(&mut rng);
        let mut history = History::draw(&mut rng, &person);
        let day = history.new_use.as_ref()?.index;
        let mut removed = false;
        for onset in [
            &mut history.diabetes,
            &mut history.kidney_4,
            &mut history.infarction,
            &mut history.fibrillation,
            &mut history.heart_failure,
            &mut history.stroke,
        ] {
            if !later && onset.is_some_and(|onset| onset > day) {
                *onset = None;
                removed = true;
            }
        }
        let mut drugs: Vec<i64> = regimens(&mut rng, &history)
            .iter()
            .filter(|regimen| regimen.from <= day && day < regimen.until)
            .map(|regimen| regimen.drug.id)
            .collect();
        drugs.sort_unstable();
        Some((drugs, removed))
    }

    /// Otherwise a drug at the first prescription would foretell the outcome, and adjusting for it would bias.
    #[test]
    fn drugs_of_a_day_do_not_depend_on_later_disease() {
        let mut compared = 0;
        for seed in 0..20_000 {
            let (Some((with, _)), Some((without, removed))) =
                (active(seed, true), active(seed, false))
            else {
                continue;
            };
            assert_eq!(with, without, "seed {seed}");
            compared += usize::from(removed);
        }
        assert!(compared > 300, "{compared}");
    }
}
