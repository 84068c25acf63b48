//! The known truth can be recovered from the tables, and a naive comparison does not recover it.
//!
//! Intervals are of 99.9 %: with a new seed each of the comparisons below would fail once in a thousand runs although
//! nothing is wrong. Seeds are fixed, so that these tests fail only after a change of the generator.

use std::collections::HashMap;
use std::path::Path;

use columna_synth::SynthFormat;
use serde_json::Value;

use crate::read::{column, make, options, whole};

/// The quantile of the standard normal for intervals of 99.9 %.
const Z: f64 = 3.291;
const LISINOPRIL: [i64; 3] = [1_308_216, 19_080_128, 19_080_129];
const AMLODIPINE: [i64; 3] = [1_332_418, 19_073_094, 1_332_419];

/// What the tests need of a person, gathered from the tables.
#[derive(Debug, Default, Clone)]
struct Person {
    male: bool,
    birth: i64,
    /// First observation period.
    start: i64,
    end: i64,
    periods: Vec<(i64, i64)>,
    lisinopril: Option<i64>,
    amlodipine: Option<i64>,
    diabetes: Option<i64>,
    strokes: Vec<i64>,
    fractures: Vec<i64>,
    pressures: Vec<(i64, f64)>,
    death: Option<i64>,
}

fn earliest(slot: &mut Option<i64>, day: i64) {
    *slot = Some(slot.map_or(day, |known| known.min(day)));
}

fn people(out: &Path) -> HashMap<i64, Person> {
    let mut people: HashMap<i64, Person> = HashMap::new();
    let ids = whole(out, "person", "person_id");
    let part = |name: &str| whole(out, "person", name);
    let born = part("year_of_birth")
        .into_iter()
        .zip(part("month_of_birth"))
        .zip(part("day_of_birth"));
    let births = born.map(|((year, month), day)| {
        let narrow = |value: i64| u8::try_from(value).unwrap();
        let day = columna_model::Day::from_civil(
            i32::try_from(year).unwrap(),
            narrow(month),
            narrow(day),
        )
        .unwrap();
        i64::from(day.0)
    });
    for ((id, sex), birth) in ids
        .into_iter()
        .zip(whole(out, "person", "gender_concept_id"))
        .zip(births)
    {
        people.insert(
            id,
            Person {
                male: sex == 8507,
                birth,
                ..Person::default()
            },
        );
    }
    let ends = whole(out, "observation_period", "observation_period_end_date");
    let starts = whole(out, "observation_period", "observation_period_start_date");
    for ((id, start), end) in whole(out, "observation_period", "person_id")
        .into_iter()
        .zip(starts)
        .zip(ends)
    {
        people.get_mut(&id).unwrap().periods.push((start, end));
    }
    for person in people.values_mut() {
        person.periods.sort_unstable();
        (person.start, person.end) = person.periods[0];
    }
    let days = whole(out, "drug_exposure", "drug_exposure_start_date");
    for ((id, drug), day) in whole(out, "drug_exposure", "person_id")
        .into_iter()
        .zip(whole(out, "drug_exposure", "drug_concept_id"))
        .zip(days)
    {
        let person = people.get_mut(&id).unwrap();
        if LISINOPRIL.contains(&drug) {
            earliest(&mut person.lisinopril, day);
        } else if AMLODIPINE.contains(&drug) {
            earliest(&mut person.amlodipine, day);
        }
    }
    let days = whole(out, "condition_occurrence", "condition_start_date");
    let concepts = whole(out, "condition_occurrence", "condition_concept_id");
    for ((id, concept), day) in whole(out, "condition_occurrence", "person_id")
        .into_iter()
        .zip(concepts)
        .zip(days)
    {
        let person = people.get_mut(&id).unwrap();
        match concept {
            // Type 2 diabetes and what the hierarchy has below it.
            201_826 | 4_226_121 | 37_016_354 | 45_769_905 => earliest(&mut person.diabetes, day),
            443_454 => person.strokes.push(day),
            4_278_672 => person.fractures.push(day),
            _ => {}
        }
    }
    let concepts = whole(out, "measurement", "measurement_concept_id");
    let days = whole(out, "measurement", "measurement_date");
    let values = column(out, "measurement", "value_as_number");
    for (((id, concept), day), value) in whole(out, "measurement", "person_id")
        .into_iter()
        .zip(concepts)
        .zip(days)
        .zip(values)
    {
        if concept == 3_004_249 {
            people.get_mut(&id).unwrap().pressures.push((day, value));
        }
    }
    for (id, day) in
        whole(out, "death", "person_id")
            .into_iter()
            .zip(whole(out, "death", "death_date"))
    {
        people.get_mut(&id).unwrap().death = Some(day);
    }
    people
}

fn civil(day: i64) -> (i32, u8, u8) {
    let civil = columna_model::Day(i32::try_from(day).unwrap()).civil();
    (civil.year, civil.month, civil.day)
}

fn age(birth: i64, day: i64) -> i32 {
    let (birth, day) = (civil(birth), civil(day));
    day.0 - birth.0 - i32::from((day.1, day.2) < (birth.1, birth.2))
}

/// One new user: covariates (drug first), follow-up in days, and whether the event came.
struct NewUser {
    covariates: [f64; 5],
    days: f64,
    event: bool,
    died: bool,
}

fn new_users(people: &HashMap<i64, Person>, events: impl Fn(&Person) -> &Vec<i64>) -> Vec<NewUser> {
    let mut ids: Vec<&i64> = people.keys().collect();
    ids.sort_unstable();
    let mut users = Vec::new();
    for person in ids.into_iter().map(|id| &people[id]) {
        let (index, drug) = match (person.lisinopril, person.amlodipine) {
            (Some(day), None) => (day, 1.0),
            (None, Some(day)) => (day, 0.0),
            (None, None) => continue,
            (Some(_), Some(_)) => panic!("somebody takes both"),
        };
        if index < person.start + 365
            || index >= person.end
            || events(person).iter().any(|day| *day <= index)
        {
            continue;
        }
        let pressures: Vec<f64> = person
            .pressures
            .iter()
            .filter(|(day, _)| *day == index)
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(
            pressures.len(),
            1,
            "one systolic pressure on the day of the first prescription"
        );
        let event = events(person)
            .iter()
            .filter(|day| **day <= person.end)
            .min();
        let end = *event.unwrap_or(&person.end);
        users.push(NewUser {
            covariates: [
                drug,
                (f64::from(age(person.birth, index)) - 60.0) / 10.0,
                (pressures[0] - 155.0) / 10.0,
                f64::from(u8::from(person.male)),
                f64::from(u8::from(person.diabetes.is_some_and(|day| day <= index))),
            ],
            days: (end - index) as f64,
            event: event.is_some(),
            died: event.is_none() && person.death == Some(person.end),
        });
    }
    users
}

/// Log hazard ratio of the first covariate and its standard error from exponential regression, by Newton's method.
fn exponential_regression(users: &[NewUser], covariates: usize) -> (f64, f64) {
    let p = covariates + 1;
    let row = |user: &NewUser| -> Vec<f64> {
        std::iter::once(1.0)
            .chain(user.covariates[..covariates].iter().copied())
            .collect()
    };
    let events = users.iter().filter(|user| user.event).count() as f64;
    let days: f64 = users.iter().map(|user| user.days).sum();
    let mut beta = vec![0.0; p];
    beta[0] = (events / days).ln();
    let mut variance = f64::NAN;
    for _ in 0..30 {
        let mut score = vec![0.0; p];
        let mut information = vec![vec![0.0; p]; p];
        for user in users {
            let x = row(user);
            let expected = user.days * x.iter().zip(&beta).map(|(x, b)| x * b).sum::<f64>().exp();
            for i in 0..p {
                score[i] += x[i] * (f64::from(u8::from(user.event)) - expected);
                for j in 0..p {
                    information[i][j] += x[i] * x[j] * expected;
                }
            }
        }
        let step = solve(&information, &score);
        let unit: Vec<f64> = (0..p).map(|i| f64::from(u8::from(i == 1))).collect();
        variance = solve(&information, &unit)[1];
        for (b, s) in beta.iter_mut().zip(&step) {
            *b += s;
        }
        if step.iter().all(|s| s.abs() < 1e-10) {
            break;
        }
    }
    (beta[1], variance.sqrt())
}

/// Gaussian elimination; the matrices here are positive definite.
fn solve(matrix: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let n = right.len();
    let mut rows: Vec<Vec<f64>> = matrix
        .iter()
        .zip(right)
        .map(|(row, value)| row.iter().copied().chain([*value]).collect())
        .collect();
    for at in 0..n {
        let pivot = rows[at].clone();
        for row in rows.iter_mut().skip(at + 1) {
            let factor = row[at] / pivot[at];
            for (value, above) in row.iter_mut().zip(&pivot) {
                *value -= factor * above;
            }
        }
    }
    let mut x = vec![0.0; n];
    for at in (0..n).rev() {
        let known: f64 = (at + 1..n).map(|column| rows[at][column] * x[column]).sum();
        x[at] = (rows[at][n] - known) / rows[at][at];
    }
    x
}

fn assert_counts(users: &[NewUser], counts: &Value) {
    for (arm, drug) in [("lisinopril", 1.0), ("amlodipine", 0.0)] {
        let of: Vec<&NewUser> = users
            .iter()
            .filter(|user| user.covariates[0] == drug)
            .collect();
        let counts = &counts[arm];
        assert_eq!(of.len() as u64, counts["persons"].as_u64().unwrap());
        assert_eq!(
            of.iter().filter(|user| user.event).count() as u64,
            counts["events"].as_u64().unwrap()
        );
        assert_eq!(
            of.iter().filter(|user| user.died).count() as u64,
            counts["deaths"].as_u64().unwrap()
        );
        assert_eq!(
            of.iter().map(|user| user.days).sum::<f64>(),
            counts["person_days"].as_f64().unwrap()
        );
    }
}

#[test]
fn the_truth_is_recovered_from_the_tables() {
    let (folder, _) = make(&options(SynthFormat::OmopParquet, 40_000, 2024));
    let out = folder.path().join("out");
    let truth: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("truth.json")).unwrap()).unwrap();
    let people = people(&out);
    comparison(&people, &truth);
    negative_control(&people, &truth);
    incidence(&people, &truth);
    readmission(&out, &people, &truth);
}

fn comparison(people: &HashMap<i64, Person>, truth: &Value) {
    let truth = &truth["new_user_comparison"];
    let users = new_users(people, |person| &person.strokes);
    assert_counts(&users, &truth["counts"]);
    let log_hazard_ratio = truth["log_hazard_ratio"].as_f64().unwrap();
    let (adjusted, error) = exponential_regression(&users, 5);
    assert!(
        (adjusted - log_hazard_ratio).abs() < Z * error,
        "adjusted {adjusted} ± {error}"
    );
    // The interval would also exclude no effect at 95 %.
    assert!(
        adjusted + 1.96 * error < 0.0,
        "adjusted {adjusted} ± {error} shows nothing"
    );
    let (naive, error) = exponential_regression(&users, 1);
    assert!(
        naive > 0.0 && naive - Z * error > log_hazard_ratio,
        "naive {naive} ± {error}"
    );
}

fn negative_control(people: &HashMap<i64, Person>, truth: &Value) {
    let users = new_users(people, |person| &person.fractures);
    assert_counts(&users, &truth["negative_control"]["counts"]);
    let (adjusted, error) = exponential_regression(&users, 5);
    assert!(adjusted.abs() < Z * error, "adjusted {adjusted} ± {error}");
}

/// Observed against expected cases in every stratum: chi-square with ten degrees of freedom.
fn incidence(people: &HashMap<i64, Person>, truth: &Value) {
    let mut chi_square = 0.0;
    let mut strata = 0;
    for rate in truth["incidence"]["rates"].as_array().unwrap() {
        let (from, below) = (
            rate["age_from"].as_i64().unwrap(),
            rate["age_below"].as_i64().unwrap_or(200),
        );
        let male = rate["sex"] == "male";
        let (mut cases, mut days) = (0_u64, 0_i64);
        for person in people.values().filter(|person| person.male == male) {
            if person.diabetes.is_some_and(|day| day <= person.start) {
                continue;
            }
            let case = person.diabetes.filter(|day| *day <= person.end);
            let end = case.unwrap_or(person.end);
            let reach = |years: i64| birthday(person.birth, years);
            days += (end.min(reach(below)) - person.start.max(reach(from))).max(0);
            cases += u64::from(case.is_some_and(|day| reach(from) <= day && day < reach(below)));
        }
        assert_eq!(cases, rate["counts"]["cases"].as_u64().unwrap());
        assert_eq!(days, rate["counts"]["person_days"].as_i64().unwrap());
        let expected =
            rate["per_1000_person_years"].as_f64().unwrap() / 1000.0 * days as f64 / 365.25;
        if expected == 0.0 {
            assert_eq!(cases, 0);
        } else {
            chi_square += (cases as f64 - expected).powi(2) / expected;
            strata += 1;
        }
    }
    assert_eq!(strata, 10);
    // The 99.9 % quantile of chi-square with ten degrees of freedom.
    assert!(chi_square < 29.59, "chi-square {chi_square}");
}

fn birthday(birth: i64, years: i64) -> i64 {
    let (year, month, day) = civil(birth);
    let year = year + i32::try_from(years).unwrap();
    columna_model::Day::from_civil(year, month, day)
        .or_else(|| columna_model::Day::from_civil(year, 3, 1))
        .map(|day| i64::from(day.0))
        .unwrap()
}

fn readmission(out: &Path, people: &HashMap<i64, Person>, truth: &Value) {
    let concepts = whole(out, "condition_occurrence", "condition_concept_id");
    let failure: std::collections::HashSet<i64> =
        whole(out, "condition_occurrence", "visit_occurrence_id")
            .into_iter()
            .zip(concepts)
            .filter(|(_, concept)| [316_139, 319_835, 442_310].contains(concept))
            .map(|(visit, _)| visit)
            .collect();
    let mut stays: HashMap<i64, Vec<(i64, i64, i64)>> = HashMap::new();
    let ids = whole(out, "visit_occurrence", "visit_occurrence_id")
        .into_iter()
        .zip(whole(out, "visit_occurrence", "person_id"));
    let days = whole(out, "visit_occurrence", "visit_start_date")
        .into_iter()
        .zip(whole(out, "visit_occurrence", "visit_end_date"));
    for (((id, person), (start, end)), kind) in
        ids.zip(days)
            .zip(whole(out, "visit_occurrence", "visit_concept_id"))
    {
        if kind == 9201 || kind == 262 {
            stays.entry(person).or_default().push((start, end, id));
        }
    }
    let mut counts = [(0_u64, 0_u64); 2];
    for (person, stays) in &stays {
        for &(_, end, id) in stays {
            let followed = people[person]
                .periods
                .iter()
                .any(|(from, to)| *from <= end && end + 30 <= *to);
            if followed {
                let count = &mut counts[usize::from(!failure.contains(&id))];
                count.0 += 1;
                count.1 += u64::from(
                    stays
                        .iter()
                        .any(|(start, _, _)| *start > end && *start <= end + 30),
                );
            }
        }
    }
    for (group, (discharges, readmissions)) in truth["readmission"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .zip(counts)
    {
        assert_eq!(discharges, group["counts"]["discharges"].as_u64().unwrap());
        assert_eq!(
            readmissions,
            group["counts"]["readmissions"].as_u64().unwrap()
        );
        let probability = group["probability"].as_f64().unwrap();
        let observed = readmissions as f64 / discharges as f64;
        let error = (probability * (1.0 - probability) / discharges as f64).sqrt();
        assert!(
            (observed - probability).abs() < Z * error,
            "{}: {observed} of {discharges}",
            group["group"]
        );
    }
}
