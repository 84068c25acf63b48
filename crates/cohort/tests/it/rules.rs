//! One rule after the other, on four persons whose rows are worked out by hand.
//!
//! Person 1 (woman, born 1960) is observed 2010-01-01 to 2012-12-31. Conditions of concept 10 (visit 100) on 2010-03-01
//! to 2010-03-10, of 11 on 2010-06-01, of 10 on 2011-03-01. Drug 20 from 2010-03-05 for 30 days of supply, and from
//! 2010-04-20 to 2010-05-20.
//! Person 2 (man, born 1990) is observed 2010-01-01 to 2010-12-31. A condition of 11 on 2010-02-01 (visit 200), and a
//! measurement of 30 in the same visit on 2010-02-02: 7.5, range 1 to 5.
//! Person 3 (woman, born 1980) is observed 2010-01-01 to 2010-06-30 and 2011-01-01 to 2011-12-31. Conditions of 10 on
//! 2010-06-01 and 2011-02-01. She dies on 2011-08-01.
//! Person 4 (man, born 1950) is observed in 2010, and has a condition of 10 in 2009 alone: he is never in a cohort.
//! Concept 12 is a descendant of 10; 90 maps to 11.

use columna_model::Day;
use columna_store::Store;
use serde_json::{Value, json};

use crate::fixture::{definition, ingested, rows, source};

pub(crate) async fn store() -> (tempfile::TempDir, Store) {
    let concept = "concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code,\
                   valid_start_date,valid_end_date,invalid_reason\n";
    let concepts = [10, 11, 12, 20, 30, 90, 9201, 8507, 8532];
    let concepts = concepts.map(|c| format!("{c},c,d,v,c,S,{c},1970-01-01,2099-12-31,\n"));
    let source = source(&[
        ("concept", format!("{concept}{}", concepts.concat())),
        (
            "concept_ancestor",
            "ancestor_concept_id,descendant_concept_id,min_levels_of_separation,max_levels_of_separation\n\
             10,12,1,1\n10,10,0,0\n11,11,0,0\n"
                .to_owned(),
        ),
        (
            "concept_relationship",
            "concept_id_1,concept_id_2,relationship_id,valid_start_date,valid_end_date,invalid_reason\n\
             90,11,Maps to,1970-01-01,2099-12-31,\n"
                .to_owned(),
        ),
        (
            "person",
            "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n\
             1,8532,1960,0,0\n2,8507,1990,0,0\n3,8532,1980,0,0\n4,8507,1950,0,0\n"
                .to_owned(),
        ),
        (
            "observation_period",
            "observation_period_id,person_id,observation_period_start_date,observation_period_end_date,\
             period_type_concept_id\n\
             1,1,2010-01-01,2012-12-31,1\n2,2,2010-01-01,2010-12-31,1\n3,3,2010-01-01,2010-06-30,1\n\
             4,3,2011-01-01,2011-12-31,1\n5,4,2010-01-01,2010-12-31,1\n"
                .to_owned(),
        ),
        (
            "visit_occurrence",
            "visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_end_date,visit_type_concept_id\n\
             100,1,9201,2010-03-01,2010-03-10,1\n200,2,9201,2010-02-01,2010-02-03,1\n"
                .to_owned(),
        ),
        (
            "condition_occurrence",
            "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_end_date,\
             condition_type_concept_id,stop_reason,visit_occurrence_id,condition_source_concept_id\n\
             1,1,10,2010-03-01,2010-03-10,1,better,100,90\n2,1,11,2010-06-01,,1,,,\n3,1,10,2011-03-01,,2,,,\n\
             4,2,11,2010-02-01,,1,,200,\n5,3,10,2010-06-01,,1,,,\n6,3,12,2011-02-01,,1,,,\n\
             7,4,10,2009-05-01,,1,,,\n"
                .to_owned(),
        ),
        (
            "drug_exposure",
            "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_end_date,\
             drug_type_concept_id,days_supply\n\
             1,1,20,2010-03-05,2010-04-04,1,30\n2,1,20,2010-04-20,2010-05-20,1,\n"
                .to_owned(),
        ),
        (
            "measurement",
            "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_type_concept_id,\
             value_as_number,range_low,range_high,visit_occurrence_id\n\
             1,2,30,2010-02-02,1,7.5,1,5,200\n"
                .to_owned(),
        ),
        (
            "death",
            "person_id,death_date,death_type_concept_id\n3,2011-08-01,1\n".to_owned(),
        ),
    ]);
    ingested(source.path(), 32_768).await
}

/// Concept sets 0 to 4: 10 alone, 10 with descendants, 11 with what maps to it, the drug 20, the measurement 30.
fn sets() -> Value {
    let set = |id: i32, concept: i64, descendants: bool, mapped: bool| {
        json!({"id": id, "name": "s", "expression": {"items": [{
            "concept": {"CONCEPT_ID": concept, "CONCEPT_NAME": "c"},
            "includeDescendants": descendants, "includeMapped": mapped,
        }]}})
    };
    json!([
        set(0, 10, false, false),
        set(1, 10, true, false),
        set(2, 11, false, true),
        set(3, 20, false, false),
        set(4, 30, false, false),
    ])
}

/// A definition whose every event of `criteria` counts until the observation period ends, changed by `change`.
pub(crate) fn with(criteria: &Value, change: &Value) -> Value {
    let mut json = json!({
        "ConceptSets": sets(),
        "PrimaryCriteria": {
            "CriteriaList": [criteria],
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
            "PrimaryCriteriaLimit": {"Type": "All"},
        },
        "QualifiedLimit": {"Type": "All"},
        "ExpressionLimit": {"Type": "All"},
        "InclusionRules": [],
        "CensoringCriteria": [],
        // One day for each event, so that every event is a row of its own.
        "EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 0}},
    });
    for (key, value) in change.as_object().into_iter().flatten() {
        json[key] = value.clone();
    }
    json
}

pub(crate) fn condition(codeset: i32) -> Value {
    json!({"ConditionOccurrence": {"CodesetId": codeset}})
}

fn iso(day: i32) -> String {
    let civil = Day(day).civil();
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

/// A group of one: so many of some criteria, so many days around the index event.
fn around(criteria: &Value, from: i32, to: i32, kind: i32, count: i32, more: &Value) -> Value {
    let side = |days: i32| json!({"Days": days.abs(), "Coeff": days.signum()});
    let mut correlated = json!({
        "Criteria": criteria,
        "StartWindow": {"Start": side(from), "End": side(to), "UseEventEnd": false},
        "Occurrence": {"Type": kind, "Count": count},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        correlated[key] = value.clone();
    }
    json!({"Type": "ALL", "CriteriaList": [correlated], "DemographicCriteriaList": [], "Groups": []})
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_give_the_rows_that_they_say() {
    let (_folder, store) = store().await;
    let none = json!({});
    let any = |change: &Value| with(&condition(1), change);
    let attribute = |change: Value| {
        let mut criteria = json!({"CodesetId": 1});
        for (key, value) in change.as_object().into_iter().flatten() {
            criteria[key] = value.clone();
        }
        with(&json!({"ConditionOccurrence": criteria}), &json!({}))
    };
    // All events of 10 and 12: 1 has two, 3 has two, and 4's lies outside of every observation period.
    let all = "1 2010-03-01..2010-03-01, 1 2011-03-01..2011-03-01, 3 2010-06-01..2010-06-01, 3 2011-02-01..2011-02-01";
    let drug = json!({"DrugExposure": {"CodesetId": 3}});
    let cases: Vec<(&str, Value, &str)> = vec![
        ("descendants", any(&none), all),
        (
            "without descendants: 12 on 2011-02-01 is out",
            with(&condition(0), &none),
            "1 2010-03-01..2010-03-01, 1 2011-03-01..2011-03-01, 3 2010-06-01..2010-06-01",
        ),
        (
            "a source concept that maps to 11 is in set 2: the condition of 10 on 2010-03-01 has 90",
            with(
                &json!({"ConditionOccurrence": {"ConditionSourceConcept": 2}}),
                &none,
            ),
            "1 2010-03-01..2010-03-01",
        ),
        (
            "the first of these concepts by person, whatever else is asked: 1's first has type 1, not 2",
            attribute(json!({"First": true, "ConditionType": [{"CONCEPT_ID": 2}]})),
            "",
        ),
        (
            "a type that is excluded",
            attribute(json!({"ConditionType": [{"CONCEPT_ID": 1}], "ConditionTypeExclude": true})),
            "1 2011-03-01..2011-03-01",
        ),
        (
            "age is the difference of years: 1 is 50 in 2010 and 51 in 2011, 3 is 30 and 31",
            attribute(json!({"Age": {"Op": "bt", "Value": 31, "Extent": 50}})),
            "1 2010-03-01..2010-03-01, 3 2011-02-01..2011-02-01",
        ),
        (
            "gender",
            attribute(json!({"Gender": [{"CONCEPT_ID": 8507}]})),
            "",
        ),
        (
            "a missing end is the day after the start",
            attribute(json!({"OccurrenceEndDate": {"Op": "eq", "Value": "2010-06-02"}})),
            "3 2010-06-01..2010-06-01",
        ),
        (
            "texts that are missing are neither like nor unlike",
            attribute(json!({"StopReason": {"Op": "!contains", "Text": "x"}})),
            "1 2010-03-01..2010-03-01",
        ),
        (
            "the kind of the event's visit",
            attribute(json!({"VisitType": [{"CONCEPT_ID": 9201}]})),
            "1 2010-03-01..2010-03-01",
        ),
        (
            "dates moved by a date adjustment; 2010-03-10 is the end of 1's first event",
            with(
                &json!({"ConditionOccurrence": {"CodesetId": 1, "First": true, "DateAdjustment":
                    {"StartWith": "END_DATE", "StartOffset": 1, "EndWith": "END_DATE", "EndOffset": 5}}}),
                &none,
            ),
            "1 2010-03-11..2010-03-11, 3 2010-06-03..2010-06-03",
        ),
        (
            "31 days of observation must lie before the event: 3's second period began 31 days before 2011-02-01",
            any(&json!({"PrimaryCriteria": {"CriteriaList": [condition(1)],
                "ObservationWindow": {"PriorDays": 32, "PostDays": 0}, "PrimaryCriteriaLimit": {"Type": "All"}}})),
            "1 2010-03-01..2010-03-01, 1 2011-03-01..2011-03-01, 3 2010-06-01..2010-06-01",
        ),
        (
            "the last event of each person",
            any(&json!({"ExpressionLimit": {"Type": "Last"}})),
            "1 2011-03-01..2011-03-01, 3 2011-02-01..2011-02-01",
        ),
        (
            "no limit of qualified events without additional criteria",
            any(&json!({"QualifiedLimit": {"Type": "First"}})),
            all,
        ),
        (
            "a drug at most 4 days after: 2010-03-05 is 4 days after 2010-03-01",
            any(&json!({"AdditionalCriteria": around(&drug, 0, 4, 2, 1, &none)})),
            "1 2010-03-01..2010-03-01",
        ),
        (
            "no drug at most 4 days after",
            any(&json!({"AdditionalCriteria": around(&drug, 0, 4, 0, 0, &none)})),
            "1 2011-03-01..2011-03-01, 3 2010-06-01..2010-06-01, 3 2011-02-01..2011-02-01",
        ),
        (
            "two drugs, of one concept: two events, and one different concept",
            any(
                &json!({"InclusionRules": [{"name": "two", "expression": around(&drug, 0, 90, 2, 2, &none)}]}),
            ),
            "1 2010-03-01..2010-03-01",
        ),
        (
            "distinct concepts are fewer",
            any(
                &json!({"InclusionRules": [{"name": "two", "expression": around(&drug, 0, 90, 0, 2, &json!(
                {"Occurrence": {"Type": 2, "Count": 2, "IsDistinct": true, "CountColumn": "DOMAIN_CONCEPT"}}))}]}),
            ),
            "",
        ),
        (
            "events outside of the index event's observation period: 3's earlier one is 245 days before 2011-02-01",
            any(&json!({"InclusionRules": [{"name": "before", "expression":
                around(&condition(1), -300, -1, 2, 1, &json!({"IgnoreObservationPeriod": true}))}]})),
            "3 2011-02-01..2011-02-01",
        ),
        (
            "within it there is none",
            any(&json!({"InclusionRules": [{"name": "before", "expression":
                around(&condition(1), -300, -1, 2, 1, &none)}]})),
            "",
        ),
        (
            "the same visit: 2's measurement is of visit 200, as the condition of 11 is",
            with(
                &condition(2),
                &json!({"InclusionRules": [{"name": "visit", "expression": around(
                &json!({"Measurement": {"CodesetId": 4, "Abnormal": true}}), -9, 9, 2, 1, &json!({"RestrictVisit": true}))}]}),
            ),
            "2 2010-02-01..2010-02-01",
        ),
        (
            "nested: a drug that begins at most 4 days after a condition of 10, as an entry event",
            with(
                &json!({"DrugExposure": {"CodesetId": 3,
                    "CorrelatedCriteria": around(&condition(0), -4, 0, 2, 1, &none)}}),
                &none,
            ),
            "1 2010-03-05..2010-03-05",
        ),
        (
            "who is asked about at the index event: women over 40",
            any(
                &json!({"InclusionRules": [{"name": "women", "expression": {"Type": "ALL", "CriteriaList": [],
                "Groups": [], "DemographicCriteriaList": [
                    {"Age": {"Op": "gt", "Value": 40}, "Gender": [{"CONCEPT_ID": 8532}]}]}}]}),
            ),
            "1 2010-03-01..2010-03-01, 1 2011-03-01..2011-03-01",
        ),
        (
            "at most none of a group: the events without a drug around them",
            any(
                &json!({"InclusionRules": [{"name": "none", "expression": {"Type": "AT_MOST", "Count": 0,
                "DemographicCriteriaList": [], "CriteriaList": around(&drug, 0, 4, 2, 1, &none)["CriteriaList"], "Groups": []}}]}),
            ),
            "1 2011-03-01..2011-03-01, 3 2010-06-01..2010-06-01, 3 2011-02-01..2011-02-01",
        ),
        (
            "until the observation period ends, and both of 1's events in one",
            any(&json!({"EndStrategy": null})),
            "1 2010-03-01..2012-12-31, 3 2010-06-01..2010-06-30, 3 2011-02-01..2011-12-31",
        ),
        (
            "at most 29 days after the start, within observation: 3's first period ends 29 days after",
            any(&json!({"EndStrategy": {"DateOffset": {"DateField": "StartDate", "Offset": 60}}})),
            "1 2010-03-01..2010-04-30, 1 2011-03-01..2011-04-30, 3 2010-06-01..2010-06-30, 3 2011-02-01..2011-04-02",
        ),
        (
            "an era of drugs: 16 days between 2010-04-04 and 2010-04-20 are bridged, and 5 added at its end",
            with(
                &drug,
                &json!({"EndStrategy": {"CustomEra": {"DrugCodesetId": 3, "GapDays": 20, "Offset": 5}}}),
            ),
            "1 2010-03-05..2010-05-25",
        ),
        (
            "with 10 days between at most there are two eras",
            with(
                &drug,
                &json!({"EndStrategy": {"CustomEra": {"DrugCodesetId": 3, "GapDays": 10, "Offset": 0}}}),
            ),
            "1 2010-03-05..2010-04-04, 1 2010-04-20..2010-05-20",
        ),
        (
            "death ends membership",
            any(&json!({"EndStrategy": null, "CensoringCriteria": [{"Death": {}}]})),
            "1 2010-03-01..2012-12-31, 3 2010-06-01..2010-06-30, 3 2011-02-01..2011-08-01",
        ),
        (
            "periods 365 days apart become one with a gap of 365",
            any(&json!({"CollapseSettings": {"CollapseType": "ERA", "EraPad": 365}})),
            "1 2010-03-01..2011-03-01, 3 2010-06-01..2011-02-01",
        ),
        (
            "nobody is a member outside of the window",
            any(
                &json!({"EndStrategy": null, "CensorWindow": {"StartDate": "2010-06-15", "EndDate": "2010-12-31"}}),
            ),
            "1 2010-06-15..2010-12-31, 3 2010-06-15..2010-06-30",
        ),
    ];
    for (name, json, expected) in cases {
        let (members, _) = rows(&store, &[definition(&json, 1)], 1).await;
        let found: Vec<String> = members
            .iter()
            .map(|m| format!("{} {}..{}", m.subject_id, iso(m.start), iso(m.end)))
            .collect();
        assert_eq!(found.join(", "), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attrition_counts_persons_by_their_best_event() {
    let (_folder, store) = store().await;
    let drug = json!({"DrugExposure": {"CodesetId": 3}});
    let women = json!({"Type": "ALL", "CriteriaList": [], "Groups": [],
        "DemographicCriteriaList": [{"Gender": [{"CONCEPT_ID": 8532}]}]});
    let rule = around(&drug, 0, 4, 2, 1, &json!({}));
    // Four events of two women. Only 1's first has a drug: her best event meets both rules, 3's meet one.
    let json = with(
        &condition(1),
        &json!({"InclusionRules": [{"name": "women", "expression": women}, {"name": "drug", "expression": rule}]}),
    );
    let (_, outcome) = rows(&store, &[definition(&json, 7)], 2).await;
    let counts = &outcome.attrition[0];
    assert_eq!((counts.events, counts.persons), (4, 2));
    assert_eq!((counts.final_events, counts.final_persons), (1, 1));
    let rules: Vec<_> = counts
        .rules
        .iter()
        .map(|r| {
            (
                r.events,
                r.persons,
                r.left_persons,
                r.gain_events,
                r.gain_persons,
            )
        })
        .collect();
    // Without the second rule three more events and one more person would be in.
    assert_eq!(rules, [(4, 2, 2, 0, 0), (1, 1, 1, 3, 1)]);
    assert_eq!((counts.members, counts.rows), (1, 1));
}
