//! What must not change a row: buckets, threads, other definitions, other persons, the order of the files' rows.

use std::fmt::Write as _;

use columna_cohort::definition::Definition;
use columna_cohort::exec::Member;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{definition, ingested, rows, source};

/// An event: person, day, concept, days that it lasts.
type Event = (i64, u32, i64, u32);

fn day(day: u32) -> String {
    let civil = columna_model::Day(14_610 + i32::try_from(day).unwrap()).civil();
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

fn tables(events: &[Event], persons: i64, extra: bool) -> Vec<(&'static str, String)> {
    let mut concepts =
        "concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,\
                        concept_code,valid_start_date,valid_end_date,invalid_reason\n"
            .to_owned();
    for concept in 1..=4 {
        writeln!(
            concepts,
            "{concept},c,d,v,c,S,{concept},1970-01-01,2099-12-31,"
        )
        .unwrap();
    }
    let mut person =
        "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n"
            .to_owned();
    let mut periods = "observation_period_id,person_id,observation_period_start_date,observation_period_end_date,\
                       period_type_concept_id\n"
        .to_owned();
    let mut conditions =
        "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,\
                          condition_end_date,condition_type_concept_id\n"
            .to_owned();
    let mut drugs = "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_end_date,\
                     drug_type_concept_id\n"
        .to_owned();
    let last = if extra { persons + 1 } else { persons };
    for id in 1..=last {
        writeln!(person, "{id},8507,{},0,0", 1950 + id % 40).unwrap();
        writeln!(periods, "{id},{id},{},{},1", day(10), day(400)).unwrap();
        writeln!(periods, "{},{id},{},{},1", id + 10_000, day(450), day(900)).unwrap();
    }
    let stranger: Vec<Event> = (0..30)
        .map(|at| (persons + 1, at * 31, i64::from(at % 4) + 1, 9))
        .collect();
    let all = events.iter().chain(stranger.iter().filter(|_| extra));
    for (at, (id, start, concept, length)) in all.enumerate() {
        let (start, end) = (day(*start), day(start + length));
        let table = if at % 2 == 0 {
            &mut conditions
        } else {
            &mut drugs
        };
        writeln!(table, "{},{id},{concept},{start},{end},1", at + 1).unwrap();
    }
    vec![
        ("concept", concepts),
        ("person", person),
        ("observation_period", periods),
        ("condition_occurrence", conditions),
        ("drug_exposure", drugs),
    ]
}

fn definitions() -> Vec<Definition> {
    let set = |id: i64| {
        json!({"id": id, "name": "s", "expression": {"items": [
            {"concept": {"CONCEPT_ID": id}}, {"concept": {"CONCEPT_ID": id + 1}}]}})
    };
    let side = |days: i32| json!({"Days": days.abs(), "Coeff": days.signum()});
    let near = |kind: i32, count: i32, nested: Value| {
        json!({"Type": "ALL", "CriteriaList": [{
            "Criteria": {"DrugExposure": {"CodesetId": 2, "CorrelatedCriteria": nested}},
            "StartWindow": {"Start": side(-60), "End": side(90)},
            "Occurrence": {"Type": kind, "Count": count}}], "DemographicCriteriaList": [], "Groups": []})
    };
    let young = json!({"Type": "ALL", "CriteriaList": [], "Groups": [],
        "DemographicCriteriaList": [{"Age": {"Op": "lt", "Value": 45}}]});
    let build = |id: i64, limit: &str, rule: Value, end: Value, pad: i32| {
        let json = json!({
            "ConceptSets": [set(1), set(2)],
            "PrimaryCriteria": {
                "CriteriaList": [{"ConditionOccurrence": {"CodesetId": 1}}, {"DrugExposure": {"CodesetId": 2, "First": true}}],
                "ObservationWindow": {"PriorDays": 20, "PostDays": 0},
                "PrimaryCriteriaLimit": {"Type": limit},
            },
            "ExpressionLimit": {"Type": "All"},
            "InclusionRules": [{"name": "r", "expression": rule}],
            "EndStrategy": end,
            "CensoringCriteria": [{"ConditionOccurrence": {"CodesetId": 2, "Age": {"Op": "gt", "Value": 60}}}],
            "CollapseSettings": {"CollapseType": "ERA", "EraPad": pad},
        });
        definition(&json, id)
    };
    vec![
        build(1, "All", near(2, 1, young.clone()), Value::Null, 0),
        build(
            2,
            "First",
            near(0, 0, Value::Null),
            json!({"DateOffset": {"DateField": "EndDate", "Offset": 30}}),
            60,
        ),
        build(
            3,
            "All",
            young,
            json!({"CustomEra": {"DrugCodesetId": 2, "GapDays": 30, "Offset": 0}}),
            10,
        ),
        build(4, "Last", near(1, 1, Value::Null), Value::Null, 0),
    ]
}

async fn found(
    tables: &[(&'static str, String)],
    persons_per_bucket: u64,
    definitions: &[Definition],
    threads: usize,
) -> Vec<Member> {
    let source = source(tables);
    let (_folder, store) = ingested(source.path(), persons_per_bucket).await;
    rows(&store, definitions, threads).await.0
}

proptest! {
    // Every case makes four stores.
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn rows_depend_on_the_person_and_the_definition_alone(
        events in prop::collection::vec((1_i64..=40, 0_u32..950, 1_i64..=4, 0_u32..60), 200..400),
        turn in 1_usize..150,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let all = definitions();
            let usual = tables(&events, 40, false);
            let expected = found(&usual, 32_768, &all, 1).await;
            prop_assert!(!expected.is_empty());
            // Many buckets and threads.
            prop_assert_eq!(&found(&usual, 7, &all, 3).await, &expected);
            // A person more.
            let more = found(&tables(&events, 40, true), 32_768, &all, 2).await;
            let mine: Vec<Member> = more.into_iter().filter(|m| m.subject_id <= 40).collect();
            prop_assert_eq!(&mine, &expected);
            // One definition at a time, and the files' rows in another order.
            let mut turned = usual.clone();
            for (_, text) in &mut turned {
                let (head, rows) = text.split_once('\n').unwrap();
                let mut rows: Vec<&str> = rows.lines().collect();
                let by = turn % rows.len();
                rows.rotate_left(by);
                *text = format!("{head}\n{}\n", rows.join("\n"));
            }
            let source = source(&turned);
            let (_folder, store) = ingested(source.path(), 32_768).await;
            let mut alone = Vec::new();
            for definition in &all {
                alone.extend(rows(&store, std::slice::from_ref(definition), 2).await.0);
            }
            alone.sort();
            let mut together = expected.clone();
            together.sort();
            prop_assert_eq!(alone, together);
            Ok(())
        })?;
    }
}
