//! A fifth round of attacks that are in no list: one person in a group of the asker's making, by what its values do to a number.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::desk::{Desk, emr, tables};

/// Person 7 belongs to a group by this condition, or does not.
pub(super) const TARGET: &str = "(name = 'name 7' AND dx = 'rare')";

/// The hospital with `los` and `dx` as these expressions say.
pub(super) async fn hospital(los: &str, dx: &str) -> RecordBatch {
    let sql = format!(
        "SELECT pid, name, age, sex, zip, {dx} AS dx, hosp, place_id, concept_id, {los} AS los, cost, died, admitted FROM emr"
    );
    let batches = tables(emr()).sql(&sql).await.unwrap();
    let batches = batches.collect().await.unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// What is shown where person 7 has the disease, and where it has not, question by question.
pub(super) async fn both(
    rules: &str,
    los: &str,
    questions: &[String],
) -> [Vec<Vec<Option<f64>>>; 2] {
    let mut seen = [Vec::new(), Vec::new()];
    for (dx, seen) in ["dx", "CASE WHEN pid = 7 THEN 'flu' ELSE dx END"]
        .into_iter()
        .zip(&mut seen)
    {
        let desk = Desk::over(rules, hospital(los, dx).await);
        for sql in questions {
            let rows = desk.ask(sql).await;
            assert_eq!(rows.len(), 1, "{sql}");
            seen.push(rows[0].split('|').map(|n| n.parse().ok()).collect());
        }
    }
    seen
}

/// Two measures that are the same for everybody of a group but for one person.
#[tokio::test]
async fn numbers_that_agree_on_all_but_one_do_not_tell_of_that_one() {
    // Twenty-five days more for person 7 only.
    let los = "CASE WHEN pid = 7 THEN age + 25 WHEN pid % 2 = 0 THEN age ELSE los END";
    let group = format!("los = age OR {TARGET}");
    for rules in ["cms", "opensafely", "ohdsi", "sacro", "datashield"] {
        for asked in [
            "avg(los)",
            "sum(los)",
            "stddev(los)",
            "avg(los * los)",
            "avg(los + cost)",
        ] {
            let one = format!(
                "SELECT avg(age), avg(cost), avg(age * age), {asked} FROM emr WHERE {group}"
            );
            let two = ["age", "cost", "age * age"]
                .map(|of| format!("SELECT avg({of}) FROM emr WHERE {group}"));
            let last = format!("SELECT {asked} FROM emr WHERE {group}");
            for questions in [vec![one], two.into_iter().chain([last]).collect()] {
                for seen in both(rules, los, &questions).await {
                    let last = seen.last().unwrap().last().unwrap();
                    assert_eq!(*last, None, "{rules}: {asked}: {seen:?}");
                    assert!(seen[0][0].is_some(), "{rules}: {seen:?}");
                }
            }
        }
        // A few days apart for all, and many for one: that one is as far as others.
        let los = "CASE WHEN pid = 7 THEN age - 2000 WHEN pid % 2 = 0 THEN age + pid % 3 ELSE los + 100 END";
        let group = format!("los - age BETWEEN 0 AND 2 OR {TARGET}");
        let sql = format!("SELECT avg(age), avg(los), stddev(los) FROM emr WHERE {group}");
        let [with, without] = both(rules, los, &[sql]).await;
        for (a, b) in with[0].iter().zip(&without[0]) {
            let apart = a.unwrap() - b.unwrap();
            assert!(apart.abs() < 1.01, "{rules}: {with:?} {without:?}");
        }
    }
    // Siblings: numbers of the same persons that say something of their own are what they are.
    let desk = Desk::new("cms");
    let shown = desk
        .ask("SELECT avg(age), avg(los), avg(cost), stddev(los) FROM emr WHERE sex = 'F'")
        .await;
    assert_eq!(shown, ["54.0|15.9|600.0|8.6"]);
}

/// Somebody who is far from a narrow group, or beyond what anybody of it can have.
#[tokio::test]
async fn nobody_is_seen_by_being_far_from_a_group() {
    for rules in ["cms", "opensafely", "ohdsi", "sacro", "datashield"] {
        for (asked, group, within) in [
            ("avg(age), stddev(age)", "age BETWEEN 30 AND 35", 0.21),
            (
                "avg(age), stddev(age)",
                "age IN (30, 31, 40, 41, 42, 43)",
                1.01,
            ),
            (
                "avg(cost), stddev(cost)",
                "cost BETWEEN 990 AND 1100 AND name <> 'name 7'",
                20.0,
            ),
            ("avg(los * age)", "los = 1 AND age < 60 OR los = 2", 11.0),
        ] {
            // A stay of a million days, and an age far from that of the group.
            let los = "CASE WHEN pid = 7 THEN 1000000 ELSE los END";
            let sql = format!("SELECT {asked} FROM emr WHERE {group} OR {TARGET}");
            let [with, without] = both(rules, los, &[sql]).await;
            for (a, b) in with[0].iter().zip(&without[0]) {
                assert_eq!(
                    a.is_some(),
                    b.is_some(),
                    "{rules}: {asked}: {with:?} {without:?}"
                );
                let apart = a.zip(*b).map_or(0.0, |(a, b)| a - b);
                assert!(
                    apart.abs() < within,
                    "{rules}: {asked}: {with:?} {without:?}"
                );
            }
            assert!(with[0][0].is_some(), "{rules}: {asked}");
        }
        // A number in the place of one that only person 7 has not.
        let sql =
            "SELECT avg(coalesce(m.cost, 1000000)), stddev(coalesce(m.cost, 1000000)) FROM emr e
               LEFT JOIN (SELECT pid, cost FROM emr WHERE name <> 'name 7') m ON m.pid = e.pid
             WHERE m.cost IS NOT NULL OR (e.name = 'name 7' AND e.dx = 'rare')";
        let [with, without] = both(rules, "los", &[sql.to_owned()]).await;
        for (a, b) in with[0].iter().zip(&without[0]) {
            assert!(
                (a.unwrap() - b.unwrap()).abs() < 10.01,
                "{rules}: {with:?} {without:?}"
            );
        }
    }
}

/// Whole numbers that do not fit their type are another condition: what is added up does not wrap.
#[tokio::test]
async fn measures_do_not_wrap() {
    let desk = |sql: &'static str| async move {
        let rows = Desk::new("cms").ask(sql).await;
        rows[0].parse::<f64>().ok()
    };
    for (sql, expected) in [
        (
            "SELECT avg((los * 2147483648) * (age * 4294967296)) FROM emr",
            9.223_372_036_854_776e18 * 15.5 * 54.0,
        ),
        (
            "SELECT avg(CAST(age AS TINYINT) + CAST(100 AS TINYINT)) FROM emr",
            154.0,
        ),
        (
            "SELECT avg(CAST(age AS BIGINT UNSIGNED) - CAST(60 AS BIGINT UNSIGNED)) FROM emr",
            -5.5,
        ),
        (
            "SELECT avg(-(CAST(los AS TINYINT) * CAST(9 AS TINYINT))) FROM emr",
            -139.5,
        ),
        // Whole numbers are cut as ever.
        ("SELECT avg(age / 20) FROM emr", 2.25),
        (
            "SELECT avg(z) FROM (SELECT pid, los * 1000 + age AS z FROM emr)",
            15_554.0,
        ),
    ] {
        let shown = desk(sql).await.unwrap();
        assert!(
            (shown - expected).abs() < 0.1 * expected.abs(),
            "{sql}: {shown}"
        );
    }
    for sql in [
        "SELECT avg(z) FROM (SELECT pid, (los * 2147483648) * (age * 4294967296) AS z FROM emr)",
        "SELECT avg(z) FROM (SELECT pid, sum((days * 1000000000) * (days * 1000000000)) AS z FROM visit GROUP BY pid)",
        "SELECT avg(z) FROM (SELECT CAST(age AS TINYINT) + CAST(122 AS TINYINT) AS z FROM emr WHERE age > 40) WHERE z < 0",
    ] {
        assert_eq!(desk(sql).await, None, "{sql}");
    }
}
