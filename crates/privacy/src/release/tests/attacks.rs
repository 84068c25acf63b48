//! Attacks 17 to 32 and their like, each beside a legitimate query that must still work.

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
    assert_eq!(mean, ["F|54.0|160200.0|8.64", "M|55.0|79800.0|8.65"]);
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
    // One person has a thousand visits: the number of rows tells of it.
    assert_eq!(
        desk.ask("SELECT count(*), count(DISTINCT pid) FROM visit WHERE days = 6")
            .await,
        ["|44"]
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

#[tokio::test]
async fn attack_25_margins_of_a_cube() {
    let desk = Desk::new("cms");
    let cube = desk
        .ask("SELECT hosp, sex, count(*) FROM emr GROUP BY CUBE (hosp, sex) ORDER BY 1 NULLS LAST, 2 NULLS LAST")
        .await;
    // Hospital C has three persons: they are in no row, and no margin gives them away.
    assert!(cube.iter().all(|row| !row.starts_with("C|")), "{cube:?}");
    let number = |key: &str| -> Option<i64> {
        cube.iter()
            .find_map(|row| row.strip_prefix(key)?.strip_prefix('|')?.parse().ok())
    };
    let known = [number("|"), number("A|"), number("B|")];
    let fixed = known.iter().all(Option::is_some);
    assert!(
        !fixed || known[0].unwrap() == known[1].unwrap() + known[2].unwrap(),
        "{cube:?}"
    );
    for sex in ["F", "M"] {
        let known = [
            number(&format!("|{sex}")),
            number(&format!("A|{sex}")),
            number(&format!("B|{sex}")),
        ];
        let fixed = known.iter().all(Option::is_some);
        assert!(
            !fixed || known[0].unwrap() == known[1].unwrap() + known[2].unwrap(),
            "{cube:?}"
        );
    }
    // What is shown beyond that is right, and there is something.
    assert!(
        cube.iter().filter(|row| !row.ends_with('|')).count() >= 4,
        "{cube:?}"
    );
    // Sibling: a cube without small cells is complete.
    let desk = Desk::new("cms");
    let cube = desk
        .ask("SELECT sex, died, count(*) FROM emr GROUP BY CUBE (sex, died)")
        .await;
    assert_eq!(cube.len(), 9);
    assert!(cube.iter().all(|row| !row.ends_with('|')), "{cube:?}");
}

#[tokio::test]
async fn attack_26_nested_bands() {
    let desk = Desk::new("cms");
    // Ages 20 to 49 and 20 to 50: the difference is a few persons of one age.
    let below = desk.ask("SELECT count(*) FROM emr WHERE age < 50").await;
    assert_ne!(below, [""]);
    let nested = desk.ask("SELECT count(*) FROM emr WHERE age <= 50").await;
    assert!(nested == [""] || nested == below, "{below:?} {nested:?}");
    // Sibling: bands apart.
    let desk = Desk::new("cms");
    let bands = desk
        .ask("SELECT age / 10, count(*) FROM emr GROUP BY 1 ORDER BY 1")
        .await;
    assert_eq!(bands.len(), 7);
    assert!(bands.iter().all(|row| !row.ends_with('|')), "{bands:?}");
}

#[tokio::test]
async fn attack_27_quotients_that_give_counts_back() {
    let desk = Desk::new("opensafely");
    // Percentages are quotients of rounded counts.
    let percent = desk
        .ask("SELECT 100.0 * count(*) FILTER (WHERE dx = 'diabetes') / count(*) FROM emr")
        .await;
    assert_eq!(percent, ["10.0"], "40 of 400, for 38");
    let share = desk
        .ask("SELECT avg(CASE WHEN dx = 'diabetes' THEN 1.0 ELSE 0.0 END) FROM emr")
        .await;
    // Midpoints 39 and 399.
    assert_eq!(share, ["0.0977"]);
    // The share of a few, and of all but a few; that of all but one is that of all.
    let sql = "SELECT avg(CASE WHEN name <> 'name 7' THEN 1.0 ELSE 0.0 END) FROM emr";
    assert_eq!(desk.ask(sql).await, ["1.0"]);
    let sql = "SELECT avg(CASE WHEN name <> 'nobody' THEN 1.0 ELSE 0.0 END) FROM emr";
    assert_eq!(desk.ask(sql).await, ["1.0"]);
    assert_eq!(
        desk.ask("SELECT avg(CASE WHEN dx = 'rare' THEN 1.0 ELSE 0.0 END) FROM emr")
            .await,
        [""]
    );
    assert_eq!(
        desk.ask("SELECT avg(CASE WHEN dx <> 'rare' THEN 1.0 ELSE 0.0 END) FROM emr")
            .await,
        ["1.0"]
    );
    // A sum over a mean is no exact count either.
    let quotient = desk
        .ask("SELECT sum(age) / avg(age) FROM emr WHERE dx = 'diabetes'")
        .await;
    assert_eq!(quotient, ["40.0"]);
}

#[tokio::test]
async fn attack_28_having_as_an_oracle() {
    let desk = Desk::new("cms");
    assert_eq!(
        desk.ask("SELECT dx FROM emr GROUP BY dx HAVING count(*) = 3")
            .await,
        [""; 0]
    );
    assert_eq!(
        desk.ask("SELECT dx FROM emr GROUP BY dx HAVING count(*) < 11")
            .await,
        [""; 0]
    );
    assert_eq!(
        desk.ask(
            "SELECT count(*) FROM (SELECT hosp, count(*) AS n FROM emr GROUP BY hosp) WHERE n < 11"
        )
        .await,
        ["0"]
    );
    // Sibling.
    assert_eq!(
        desk.ask("SELECT dx FROM emr GROUP BY dx HAVING count(*) > 150 ORDER BY 1")
            .await,
        ["asthma", "flu"]
    );
}

#[tokio::test]
async fn attack_29_order_and_offset() {
    let desk = Desk::new("cms");
    let order = "SELECT dx, count(*) AS n FROM emr GROUP BY dx ORDER BY n";
    assert_eq!(desk.ask(&format!("{order} LIMIT 1")).await, ["diabetes|38"]);
    assert_eq!(
        desk.ask(&format!("{order} LIMIT 1 OFFSET 3")).await,
        [""; 0]
    );
    assert_eq!(
        desk.ask("SELECT dx FROM emr GROUP BY dx ORDER BY avg(cost) LIMIT 10")
            .await
            .len(),
        3
    );
}

#[tokio::test]
async fn attack_30_a_rare_key_beside_its_suppressed_count() {
    let desk = Desk::new("cms");
    for sql in [
        "SELECT dx FROM emr GROUP BY dx",
        "SELECT dx, count(*) FROM emr GROUP BY dx",
        "SELECT dx, avg(cost) FROM emr GROUP BY ROLLUP (dx)",
    ] {
        let rows = desk.ask(sql).await;
        assert!(
            rows.iter().all(|row| !row.contains("rare")),
            "{sql}: {rows:?}"
        );
        assert!(
            rows.iter().any(|row| row.contains("asthma")),
            "{sql}: {rows:?}"
        );
    }
}

#[tokio::test]
async fn attack_31_keys_made_unique() {
    let desk = Desk::new("cms");
    for key in ["name", "concat(name, sex)", "cost", "age * 1000 + los"] {
        let rows = desk
            .ask(&format!("SELECT {key}, count(*) FROM emr GROUP BY 1"))
            .await;
        assert_eq!(rows, [""; 0], "{key}");
    }
    assert_eq!(
        desk.refused("SELECT random(), count(*) FROM emr GROUP BY 1")
            .await,
        "function"
    );
    assert_eq!(
        desk.refused("SELECT uuid(), count(*) FROM emr GROUP BY 1")
            .await,
        "function"
    );
    // Sibling.
    assert_eq!(
        desk.ask("SELECT upper(sex), count(*) FROM emr GROUP BY 1")
            .await
            .len(),
        2
    );
}

#[tokio::test]
async fn attack_32_statistics_on_few_points() {
    let desk = Desk::new("cms");
    assert_eq!(
        desk.refused("SELECT corr(age, cost) FROM emr").await,
        "function"
    );
    for function in ["stddev(cost)", "var_pop(cost)", "avg(cost)", "sum(cost)"] {
        let sql = format!("SELECT {function} FROM emr WHERE dx = 'rare'");
        assert_eq!(desk.ask(&sql).await, [""], "{sql}");
    }
    assert_eq!(
        desk.ask("SELECT stddev(cost) FROM emr WHERE dx = 'flu'")
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn subqueries_do_not_tell_of_others() {
    let desk = Desk::new("cms");
    for (sql, rule) in [
        (
            "SELECT count(*) FROM emr WHERE (SELECT count(*) FROM emr WHERE dx = 'rare') = 4",
            "subquery",
        ),
        (
            "SELECT count(*) FROM emr WHERE age > (SELECT avg(age) FROM emr)",
            "subquery",
        ),
        (
            "SELECT count(*) FROM emr WHERE EXISTS (SELECT 1 FROM emr WHERE name = 'name 7' AND dx = 'rare')",
            "subquery",
        ),
        (
            "SELECT count(*) FROM emr WHERE dx IN (SELECT dx FROM emr WHERE name = 'name 7')",
            "subquery",
        ),
        (
            "SELECT count(*) FROM emr a WHERE EXISTS (SELECT 1 FROM visit b WHERE b.pid < a.pid)",
            "person-key",
        ),
        (
            "SELECT count(*) FROM emr a WHERE EXISTS (SELECT 1 FROM visit b WHERE b.days = a.age)",
            "subquery",
        ),
        (
            "SELECT count(*) FROM concept WHERE EXISTS (SELECT 1 FROM emr WHERE name = 'name 7')",
            "rows",
        ),
        (
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM emr WHERE name = 'name 7') THEN 1 END",
            "rows",
        ),
    ] {
        assert_eq!(desk.refused(sql).await, rule, "{sql}");
    }
    // Sibling: a released number may be compared.
    assert_eq!(
        desk.ask("SELECT CASE WHEN (SELECT count(*) FROM emr) > 100 THEN 'large' END")
            .await,
        ["large"]
    );
}

#[tokio::test]
async fn errors_do_not_depend_on_values() {
    let desk = Desk::new("cms");
    for condition in [
        "1 / (age - 22) > -5",
        "CAST(concat('x', dx) AS INT) = 1",
        "age % (los - 1) = 0",
        "-9223372036854775807 - age / -1 < 0",
        "abs(age - 9223372036854775807) > 0",
        "admitted + INTERVAL '10 years' > DATE '2020-01-01'",
        "CAST(name AS DATE) IS NULL",
        "age * 9223372036854775807 > 0",
    ] {
        let rows = desk
            .ask(&format!("SELECT count(*) FROM emr WHERE {condition}"))
            .await;
        assert_eq!(rows.len(), 1, "{condition}");
    }
    for condition in [
        "admitted + INTERVAL '200000 years' > DATE '2020-01-01'",
        "name LIKE dx",
        "regexp_like(name, dx)",
        "to_date(name) IS NULL",
        "left(name, age) = 'n'",
        "power(age, 40) > 1",
        "CAST(age AS DECIMAL(20, 2)) * CAST(age AS DECIMAL(20, 2)) > 1",
        "age << 3 > 1",
    ] {
        let rule = desk
            .refused(&format!("SELECT count(*) FROM emr WHERE {condition}"))
            .await;
        assert!(
            matches!(rule, "expression" | "function"),
            "{condition}: {rule}"
        );
    }
}

#[tokio::test]
async fn ohdsi_stores_minus_the_minimum() {
    let desk = Desk::new("ohdsi");
    assert_eq!(
        desk.ask("SELECT count(*) FROM emr WHERE dx = 'rare'").await,
        ["-5"]
    );
    assert_eq!(
        desk.ask(
            "SELECT sex, count(*) FILTER (WHERE dx = 'rare') FROM emr GROUP BY sex ORDER BY sex"
        )
        .await,
        ["F|-5", "M|-5"]
    );
}

#[tokio::test]
async fn opensafely_rounds() {
    let desk = Desk::new("opensafely");
    assert_eq!(
        desk.ask("SELECT hosp, count(*) FROM emr GROUP BY ROLLUP (hosp) ORDER BY hosp")
            .await,
        ["A|200", "B|195", "|395"]
    );
}
