//! Attacks 17 to 24 and their like, each beside a legitimate query that must still work.

use super::desk::Desk;

#[tokio::test]
async fn honest_questions_are_answered() {
    let desk = Desk::new("cms");
    assert_eq!(desk.ask("SELECT count(*) FROM emr").await, ["400"]);
    let by_sex = desk
        .ask("SELECT sex, count(*) AS n, count(DISTINCT pid) FROM emr GROUP BY sex ORDER BY n DESC")
        .await;
    assert_eq!(by_sex, ["F|267|267", "M|133|133"]);
    let mean = desk
        .ask("SELECT sex, avg(age), sum(cost), stddev(los) FROM emr GROUP BY sex ORDER BY sex")
        .await;
    assert_eq!(mean, ["F|54.0|160200.0|8.6", "M|55.0|79800.0|8.7"]);
    // A join by the person, a look-up, a condition, a quotient, an order and a limit.
    let joined = desk
        .ask(
            "WITH stays AS (SELECT pid, count(*) AS n FROM visit GROUP BY pid)
             SELECT c.concept_name, count(*) AS persons, 100.0 * count(*) / (SELECT count(*) FROM emr) AS percent
             FROM emr e JOIN stays s ON s.pid = e.pid JOIN concept c ON c.concept_id = e.concept_id
             WHERE s.n >= 2 AND e.age BETWEEN 30 AND 80 AND e.los / 2 > 3
             GROUP BY c.concept_name HAVING count(*) > 20 ORDER BY persons DESC, c.concept_name LIMIT 2",
        )
        .await;
    assert_eq!(joined.len(), 2, "{joined:?}");
    // Cohorts by IN and EXISTS.
    let cohort = desk
        .ask(
            "SELECT sex, count(DISTINCT pid) FROM emr e
             WHERE pid IN (SELECT pid FROM visit WHERE days > 2)
               AND EXISTS (SELECT 1 FROM visit v WHERE v.pid = e.pid AND v.days < e.los)
             GROUP BY sex ORDER BY sex",
        )
        .await;
    assert_eq!(cohort.len(), 2, "{cohort:?}");
    // The person need not be selected on the way.
    let bands = desk
        .ask("SELECT band, count(*) FROM (SELECT age / 20 * 20 AS band FROM emr WHERE sex = 'F') GROUP BY band ORDER BY band")
        .await;
    assert_eq!(bands.len(), 4, "{bands:?}");
    // Vocabularies are public.
    assert_eq!(
        desk.ask("SELECT concept_name FROM concept WHERE concept_id = 3")
            .await,
        ["concept 3"]
    );
    assert_eq!(desk.ask("SELECT 1 + 1").await, ["2"]);
    assert!(desk.notes.take()[0].contains("fewer than 11 persons"));
}

#[tokio::test]
async fn rows_are_refused() {
    let desk = Desk::new("cms");
    for (sql, rule) in [
        ("SELECT * FROM emr", "rows"),
        (
            "SELECT name FROM emr WHERE sex = 'F' ORDER BY age LIMIT 1",
            "shape",
        ),
        ("SELECT DISTINCT dx FROM emr", "distinct"),
        ("SELECT * FROM place", "rows"),
        ("SELECT count(*) FROM place", "rows"),
        ("SELECT count(*) FROM hidden", "table"),
        ("EXPLAIN ANALYZE SELECT count(*) FROM emr", "statement"),
        ("SELECT count(*) FROM (SELECT * FROM emr LIMIT 20)", "shape"),
        (
            "SELECT count(*) FROM (SELECT pid FROM emr UNION ALL SELECT pid FROM emr)",
            "shape",
        ),
        ("SELECT count(*) FROM emr, visit", "join"),
        (
            "SELECT count(*) FROM emr a JOIN visit b ON a.age = b.days",
            "join",
        ),
    ] {
        assert_eq!(desk.refused(sql).await, rule, "{sql}");
    }
}

#[tokio::test]
async fn attack_17_a_single_person() {
    let desk = Desk::new("cms");
    assert_eq!(
        desk.refused("SELECT count(*) FROM emr WHERE pid = 7").await,
        "person-key"
    );
    // By another name, by a cast, in an expression, in a join.
    for sql in [
        "SELECT count(*) FROM (SELECT pid AS x FROM emr) WHERE x = 7",
        "SELECT count(*) FROM emr WHERE CAST(pid AS VARCHAR) = '7'",
        "SELECT count(*) FROM emr WHERE pid + 0 = 7",
        "SELECT count(*) FROM emr WHERE pid IN (7, 8)",
        "SELECT count(*) FROM emr a JOIN visit b ON a.pid = b.pid AND a.pid = 7",
        "SELECT count(*) FROM emr WHERE coalesce(pid, 0) = 7",
        "SELECT pid / 1000, count(*) FROM emr GROUP BY 1",
    ] {
        assert_eq!(desk.refused(sql).await, "person-key", "{sql}");
    }
    // Somebody who can be told apart otherwise, or does not exist: the same answer.
    assert_eq!(
        desk.ask("SELECT count(*) FROM emr WHERE name = 'name 7'")
            .await,
        [""]
    );
    assert_eq!(
        desk.ask("SELECT count(*) FROM emr WHERE name = 'nobody'")
            .await,
        [""]
    );
    // Sibling: a group.
    assert_eq!(
        desk.ask("SELECT count(*) FROM emr WHERE dx = 'diabetes'")
            .await,
        ["38"]
    );
}

#[tokio::test]
async fn attack_18_all_but_one() {
    let desk = Desk::new("cms");
    assert_eq!(
        desk.refused("SELECT count(*) FROM emr WHERE pid <> 7")
            .await,
        "person-key"
    );
    assert_eq!(desk.ask("SELECT count(*) FROM emr").await, ["400"]);
    // The answer is the same whether somebody is left out or not.
    assert_eq!(
        desk.ask("SELECT count(*) FROM emr WHERE name <> 'name 7'")
            .await,
        ["400"]
    );
    assert_eq!(
        desk.ask("SELECT count(*) FROM emr WHERE name <> 'nobody'")
            .await,
        ["400"]
    );
    assert_eq!(
        desk.ask("SELECT count(DISTINCT pid) FROM emr WHERE NOT (name = 'name 7' AND dx = 'rare')")
            .await,
        ["400"]
    );
    // So is a mean.
    let all = desk.ask("SELECT avg(cost) FROM emr").await;
    assert_eq!(
        desk.ask("SELECT avg(cost) FROM emr WHERE name <> 'name 7'")
            .await,
        all
    );
    // In one query.
    assert_eq!(
        desk.ask("SELECT count(*) - count(*) FILTER (WHERE name <> 'name 7') FROM emr")
            .await,
        ["0"]
    );
    // Sibling: leaving out a group.
    assert_eq!(
        desk.ask("SELECT count(*) FROM emr WHERE dx <> 'diabetes'")
            .await,
        ["362"]
    );
}

#[tokio::test]
async fn attack_19_conditions_within_aggregates() {
    let desk = Desk::new("cms");
    for sql in [
        "SELECT sum(CASE WHEN pid = 7 THEN 1 ELSE 0 END) FROM emr",
        "SELECT count(*) FILTER (WHERE pid = 7) FROM emr",
    ] {
        assert_eq!(desk.refused(sql).await, "person-key", "{sql}");
    }
    assert_eq!(
        desk.refused("SELECT sum(CASE WHEN name = 'name 7' THEN cost ELSE 0 END) FROM emr")
            .await,
        "measure"
    );
    assert_eq!(
        desk.refused("SELECT sum(CAST(name = 'name 7' AS INT)) FROM emr")
            .await,
        "measure"
    );
    assert_eq!(
        desk.ask("SELECT count(*) FILTER (WHERE name = 'name 7') FROM emr")
            .await,
        [""]
    );
    assert_eq!(
        desk.ask("SELECT sum(CASE WHEN name = 'name 7' THEN 1 ELSE 0 END) FROM emr")
            .await,
        [""]
    );
    assert_eq!(
        desk.ask("SELECT sum(cost) FILTER (WHERE name = 'name 7') FROM emr")
            .await,
        [""]
    );
    // Sibling: groups.
    let shares = desk
        .ask("SELECT count(*) FILTER (WHERE died), sum(CASE WHEN died THEN 1 ELSE 0 END), avg(CASE WHEN died THEN 1.0 ELSE 0.0 END) FROM emr")
        .await;
    assert_eq!(shares, ["100|100|0.25"]);
}

#[tokio::test]
async fn attack_20_digits_packed_into_a_sum() {
    let desk = Desk::new("cms");
    assert_eq!(
        desk.refused("SELECT sum(power(1000, pid)) FROM emr").await,
        "measure"
    );
    assert_eq!(
        desk.refused("SELECT sum(power(1000, age)) FROM emr").await,
        "measure"
    );
    assert_eq!(
        desk.refused("SELECT sum(exp(age)) FROM emr").await,
        "measure"
    );
    // Polynomials pack digits as well.
    assert_eq!(
        desk.refused("SELECT sum(los * los * los * los * los * los) FROM emr")
            .await,
        "measure"
    );
    // Sibling: arithmetic on columns.
    assert_eq!(
        desk.ask("SELECT avg(cost / los * 2) FROM emr").await.len(),
        1
    );
}

#[tokio::test]
async fn attack_21_values_of_single_persons() {
    let desk = Desk::new("cms");
    for function in [
        "min(age)",
        "max(age)",
        "approx_percentile_cont(age, 0.999)",
        "median(age)",
        "array_agg(age)",
        "string_agg(name, ',')",
        "first_value(age)",
        "last_value(age ORDER BY cost)",
        "bool_or(died)",
        "bit_xor(age)",
        "nth_value(age, 1)",
    ] {
        let sql = format!("SELECT {function} FROM emr GROUP BY sex");
        assert_eq!(desk.refused(&sql).await, "function", "{sql}");
    }
    // Within a person they are fine.
    let longest = desk
        .ask("SELECT avg(longest) FROM (SELECT pid, max(days) AS longest FROM visit GROUP BY pid)")
        .await;
    assert_eq!(longest.len(), 1);
}

#[tokio::test]
async fn attack_22_windows() {
    let desk = Desk::new("cms");
    for sql in [
        "SELECT row_number() OVER (ORDER BY age) FROM emr",
        "SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY age) AS r FROM emr) WHERE r <= 20",
        "SELECT sum(x) FROM (SELECT lag(cost) OVER (ORDER BY pid) AS x FROM emr)",
    ] {
        assert_eq!(desk.refused(sql).await, "shape", "{sql}");
    }
    // Sibling: over released numbers they are the query's own affair.
    let ranked = desk
        .ask("SELECT dx, rank() OVER (ORDER BY n DESC) FROM (SELECT dx, count(*) AS n FROM emr GROUP BY dx) ORDER BY 2")
        .await;
    assert_eq!(ranked[0], "flu|1");
}

#[tokio::test]
async fn attack_23_rows_fanned_out() {
    let desk = Desk::new("cms");
    for from in [
        "emr CROSS JOIN (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11)) AS v(x)",
        "emr JOIN (VALUES (1, 'A'), (2, 'A')) AS v(x, h) ON v.h = emr.hosp",
    ] {
        let sql = format!("SELECT count(*) FROM {from} WHERE name = 'name 7'");
        assert_eq!(desk.refused(&sql).await, "count", "{sql}");
        let sql = format!("SELECT count(DISTINCT pid) FROM {from} WHERE name = 'name 7'");
        assert_eq!(desk.ask(&sql).await, [""], "{sql}");
        // Sibling: persons are counted once.
        let sql = format!("SELECT count(DISTINCT pid) FROM {from} WHERE hosp = 'A'");
        assert_eq!(desk.ask(&sql).await, ["200"], "{sql}");
    }
    assert_eq!(
        desk.refused("SELECT count(DISTINCT pid) FROM emr CROSS JOIN generate_series(1, 1000)")
            .await,
        "table"
    );
    // One person has a thousand visits, and counts as if it had two, like everybody: that there is no number would tell of it.
    assert_eq!(
        desk.ask("SELECT count(*), count(DISTINCT pid) FROM visit WHERE days = 6")
            .await,
        ["88|44"]
    );
}

#[tokio::test]
async fn attack_24_groups_padded_from_a_public_table() {
    let desk = Desk::new("cms");
    let padded = "concept c LEFT JOIN emr e ON e.concept_id = c.concept_id";
    assert_eq!(
        desk.refused(&format!(
            "SELECT c.concept_name, count(*) FROM {padded} GROUP BY 1"
        ))
        .await,
        "join"
    );
    let sql = "SELECT c.concept_id, count(DISTINCT e.pid) FROM emr e LEFT JOIN concept c ON c.concept_id < e.concept_id
               WHERE e.dx = 'rare' GROUP BY c.concept_id";
    assert_eq!(desk.ask(sql).await, [""; 0]);
    // Sibling: a look-up.
    let sql = "SELECT c.concept_name, count(*) FROM emr e LEFT JOIN concept c ON c.concept_id = e.concept_id
               GROUP BY 1 ORDER BY 1";
    assert_eq!(desk.ask(sql).await.len(), 5);
}
