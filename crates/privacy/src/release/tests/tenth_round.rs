//! A tenth round of attacks that are in no list: what happens within a table of no person, beside persons.

use super::desk::{Desk, emr};
use super::eighth_round::{PROFILES, both};
use super::fifth_round::{self, TARGET};

/// A side of a join is not computed where the other has no rows: whatever happens in it would tell whether there is a person.
#[tokio::test]
async fn nothing_fails_changes_or_is_released_beside_persons() {
    let among = |rows: &str| format!("SELECT count(*) FROM emr WHERE place_id IN ({rows})");
    let joined = |rows: &str| {
        format!("SELECT count(*) FROM emr JOIN ({rows}) p ON p.concept_id = emr.place_id")
    };
    let asked = [
        (
            "SELECT concept_id FROM concept WHERE now() < TIMESTAMP '2030-01-01'",
            "function",
        ),
        (
            "SELECT concept_id FROM concept WHERE random() < 0.5",
            "function",
        ),
        (
            "SELECT concept_id FROM concept ORDER BY concept_name LIMIT 2",
            "shape",
        ),
        // What the session was started with is in no words of a query.
        (
            "SELECT CASE value WHEN '2' THEN 1 ELSE 9 END AS concept_id FROM information_schema.df_settings",
            "shape",
        ),
        (
            "SELECT concept_id FROM concept WHERE EXISTS (SELECT 1 FROM (SELECT count(*) AS n FROM emr) r WHERE r.n > 5)",
            "subquery",
        ),
        (
            "SELECT concept_id FROM concept WHERE 5 < (SELECT count(*) FROM emr)",
            "subquery",
        ),
        (
            "SELECT concept_id FROM concept WHERE 5 < (SELECT concept_id FROM concept)",
            "subquery",
        ),
        (
            "SELECT row_number() OVER (ORDER BY concept_name) AS concept_id FROM concept",
            "subquery",
        ),
        (
            "SELECT CAST(sum(concept_id) AS INT) AS concept_id FROM concept GROUP BY concept_name",
            "function",
        ),
    ];
    for rules in PROFILES {
        let desk = Desk::over(rules, emr());
        for (rows, rule) in asked {
            for question in [among(rows), joined(rows)] {
                assert_eq!(desk.refused(&question).await, rule, "{rules}: {question}");
            }
        }
    }
}

/// What could fail is NULL there, and the rest is asked as before.
#[tokio::test]
async fn tables_of_no_person_are_total_beside_persons() {
    let desk = Desk::over("opensafely", emr());
    let count = |rows: &str| format!("SELECT count(*) FROM emr WHERE place_id IN ({rows})");
    let all = desk.ask(&count("SELECT concept_id FROM concept")).await;
    for rows in [
        "SELECT concept_id FROM concept WHERE CAST(concept_name AS BIGINT) IS NULL",
        "SELECT concept_id FROM concept WHERE 1 / (concept_id - 1) IS NULL OR concept_id <> 1",
        "SELECT p.concept_id FROM concept p JOIN concept q ON p.concept_id = q.concept_id WHERE q.concept_name LIKE '%'",
        "SELECT max(concept_id) FROM concept GROUP BY concept_name HAVING count(*) > 0 UNION SELECT concept_id FROM concept",
        "SELECT concept_id FROM concept WHERE concept_id IN (SELECT concept_id FROM concept)",
        "SELECT x FROM (SELECT unnest([0, 1, 2, 3, 4]) AS x) t",
        "WITH known AS (SELECT concept_id AS x FROM concept WHERE concept_name <> 'nowhere' ORDER BY 1) SELECT DISTINCT x FROM known",
    ] {
        assert_eq!(desk.ask(&count(rows)).await, all, "{rows}");
    }
}

/// The order of groups is that of their keys, and not that in which their first rows lie in the store.
#[tokio::test]
async fn groups_are_in_the_order_of_lists_and_records_too() {
    let desk = Desk::over("opensafely", emr());
    let keys = |key: &str| {
        format!(
            "SELECT l.g FROM emr JOIN (SELECT concept_id, {key} AS g FROM concept) l ON l.concept_id = emr.place_id GROUP BY 1"
        )
    };
    let groups = desk.ask(&keys("[concept_id, concept_id]")).await;
    assert_eq!(groups, ["[0, 0]", "[1, 1]", "[2, 2]", "[3, 3]"]);
    let record = keys("named_struct('of', concept_id)");
    assert_eq!(desk.refused(&record).await, "function");
}

/// Persons who are counted by rows of any number, and rows of them and one more where each has as many: these say no more than those.
#[tokio::test]
async fn rows_that_each_has_as_often_say_what_persons_do() {
    let persons = "sex = 'F' AND name <> 'name 7'";
    let before = format!(
        "SELECT count(DISTINCT emr.pid) FROM emr JOIN lab ON lab.pid = emr.pid WHERE lab.value > 90 AND {persons}"
    );
    for from in ["emr", "emr JOIN lab ON lab.pid = emr.pid"] {
        for odd in ["", " OR name = 'name 9' AND 1 = 1"] {
            let after = format!("SELECT count(*) FROM {from} WHERE ({persons}{odd}) OR {TARGET}");
            for rules in PROFILES {
                let [with, without] = both(rules, &[before.clone(), after.clone()]).await;
                assert_eq!(with, without, "{rules}: {after}");
                assert_ne!(with[0], [""], "{rules}");
            }
        }
    }
}

/// Means of two columns that are the same but for one person, the second over rows of which each person has three.
#[tokio::test]
async fn a_mean_is_held_against_others_however_many_rows_each_person_has() {
    let los = "CASE WHEN pid = 7 THEN age + 25 WHEN pid % 2 = 0 THEN age ELSE los END";
    let first = "SELECT avg(age) FROM emr WHERE los = age".to_owned();
    let rows = "emr JOIN lab ON lab.pid = emr.pid";
    let second = format!("SELECT avg(los) FROM {rows} WHERE los = age OR {TARGET}");
    for rules in PROFILES {
        let questions = [first.clone(), second.clone()];
        for seen in fifth_round::both(rules, los, &questions).await {
            assert!(seen[0][0].is_some(), "{rules}: {seen:?}");
            assert_eq!(seen[1], [None], "{rules}");
        }
    }
}
