//! Attacks that are in no list: by other words, by other scales, by parts of the language that few use.

use super::desk::Desk;

#[tokio::test]
async fn a_mean_at_many_scales_is_one_mean() {
    let desk = Desk::new("cms");
    let all = desk.ask("SELECT avg(cost) FROM emr").await[0]
        .parse::<f64>()
        .unwrap();
    for scale in ["1.1", "0.37", "13.0", "1.000001", "-2.5"] {
        let factor: f64 = scale.parse().unwrap();
        for (sql, shift) in [
            (format!("SELECT avg(cost * {scale}) FROM emr"), 0.0),
            (format!("SELECT avg(cost * {scale} + 7) FROM emr"), 7.0),
            (
                format!("SELECT avg(x) FROM (SELECT cost * {scale} AS x FROM emr)"),
                0.0,
            ),
            (
                format!("SELECT avg(cost * {scale}) FROM emr WHERE name <> 'name 7'"),
                0.0,
            ),
        ] {
            let shown = desk.ask(&sql).await[0].parse::<f64>().unwrap();
            let wanted = all * factor + shift;
            assert!(
                (shown - wanted).abs() <= 1e-9 * wanted.abs(),
                "{sql}: {shown} is not {wanted}"
            );
        }
    }
    // Another function of the same column is another number: it would say more of the same persons.
    assert_eq!(desk.ask("SELECT avg(cost * cost) FROM emr").await, [""]);
    assert_eq!(
        desk.ask("SELECT avg(cost * cost) FROM emr WHERE name <> 'name 7'")
            .await,
        [""]
    );
    // Its spread came with the mean.
    assert_ne!(desk.ask("SELECT stddev(cost) FROM emr").await, [""]);
}

#[tokio::test]
async fn the_person_stays_hidden_in_every_clause() {
    let desk = Desk::new("cms");
    for (sql, rule) in [
        (
            "SELECT count(*) FROM emr e JOIN (VALUES (7)) AS v(x) ON v.x = e.pid",
            "person-key",
        ),
        (
            "SELECT count(*) FROM emr e JOIN concept c ON c.concept_id = e.pid",
            "person-key",
        ),
        (
            "SELECT count(*) FROM emr WHERE pid IN (SELECT concept_id FROM concept)",
            "subquery",
        ),
        (
            "SELECT count(*) FROM emr GROUP BY CASE WHEN pid = 7 THEN 1 END",
            "person-key",
        ),
        ("SELECT avg(x) FROM (SELECT pid AS x FROM emr)", "measure"),
        ("SELECT avg(pid) FROM emr", "measure"),
        ("SELECT count(*) FROM emr ORDER BY max(pid)", "function"),
        ("SELECT count(*) FROM emr HAVING min(pid) = 1", "function"),
        ("SELECT count(DISTINCT pid + 1) FROM emr", "distinct"),
        (
            "SELECT sex, count(*) FROM emr GROUP BY ROLLUP (sex, pid)",
            "person-key",
        ),
        ("SELECT unnest(make_array(pid)) FROM emr", "function"),
        (
            "SELECT count(*) FROM emr a, LATERAL (SELECT 1 FROM visit b WHERE b.days = a.age) t",
            "subquery",
        ),
        (
            "WITH RECURSIVE r AS (SELECT pid FROM emr UNION ALL SELECT pid FROM r) SELECT count(*) FROM r",
            "statement",
        ),
        (
            "SELECT pid FROM emr INTERSECT SELECT pid FROM visit",
            "rows",
        ),
        (
            "SELECT pid FROM emr EXCEPT SELECT pid FROM visit WHERE days > 3",
            "rows",
        ),
        (
            "SELECT min(pid) FROM (SELECT pid, count(*) AS n FROM visit GROUP BY pid) WHERE n > 100",
            "function",
        ),
        (
            "SELECT n FROM (SELECT pid, count(*) AS n FROM visit GROUP BY pid) ORDER BY n DESC LIMIT 1",
            "shape",
        ),
        (
            "SELECT count(*) FROM (SELECT DISTINCT ON (sex) sex, pid FROM emr ORDER BY sex, age)",
            "shape",
        ),
        (
            "COPY (SELECT count(*) FROM emr) TO '/tmp/x.csv'",
            "statement",
        ),
        ("INSERT INTO emr SELECT * FROM emr", "statement"),
    ] {
        assert_eq!(desk.refused(sql).await, rule, "{sql}");
    }
    // The alternatives that the refusals name.
    for sql in [
        "SELECT count(*) FROM emr JOIN visit USING (pid) WHERE days = 2",
        "SELECT count(DISTINCT emr.pid) FROM emr NATURAL JOIN (SELECT pid FROM visit WHERE days > 3)",
        "SELECT avg(n) FROM (SELECT pid, count(*) AS n FROM visit WHERE days <> 6 GROUP BY pid)",
        "SELECT sex, count(*) FROM emr GROUP BY sex UNION ALL SELECT dx, count(*) FROM emr GROUP BY dx",
        "SELECT count(*) FROM (SELECT DISTINCT pid, kind FROM visit)",
        "DESCRIBE emr",
    ] {
        assert!(!desk.ask(sql).await.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn a_person_among_others_by_subqueries() {
    let desk = Desk::new("cms");
    assert_eq!(desk.ask("SELECT count(*) FROM emr").await, ["400"]);
    for sql in [
        "SELECT count(*) FROM emr WHERE pid NOT IN (SELECT pid FROM emr WHERE name = 'name 7')",
        // A NULL in the list would make the condition unknown for everybody.
        "SELECT count(*) FROM emr WHERE pid NOT IN (SELECT v.pid FROM emr e LEFT JOIN visit v ON v.pid = e.pid AND v.days > 100000 WHERE e.name = 'name 7')",
        "SELECT count(*) FROM emr a WHERE NOT EXISTS (SELECT 1 FROM emr b WHERE b.pid = a.pid AND b.name = 'name 7')",
        "SELECT count(*) FROM emr a LEFT JOIN (SELECT pid FROM emr WHERE name = 'name 7') b ON a.pid = b.pid WHERE b.pid IS NULL",
        "SELECT count(a.pid) FROM emr a WHERE a.name <> 'name 7'",
    ] {
        assert_eq!(desk.ask(sql).await, ["400"], "{sql}");
    }
    assert_eq!(
        desk.ask(
            "SELECT count(*) FROM emr WHERE pid IN (SELECT pid FROM emr WHERE name = 'name 7')"
        )
        .await,
        [""]
    );
    let joined = "SELECT count(b.pid) FROM emr a LEFT JOIN (SELECT pid FROM emr WHERE name = 'name 7') b ON a.pid = b.pid";
    assert_eq!(desk.ask(joined).await, [""]);
}

#[tokio::test]
async fn a_chain_of_small_steps_leads_nowhere() {
    // Each question leaves out one person more than the one before: no step is seen until enough are left out, and
    // then the number is that of a set that is far enough from every other.
    let desk = Desk::new("cms");
    let mut shown = Vec::new();
    for left_out in 0..60 {
        let sql = format!(
            "SELECT count(*) FROM emr WHERE cost > {} OR age > 200",
            100 + left_out * 10
        );
        let rows = desk.ask(&sql).await;
        if let Ok(number) = rows[0].parse::<i64>() {
            shown.push(number);
        }
    }
    shown.dedup();
    assert!(shown.len() > 3, "{shown:?}");
    for pair in shown.windows(2) {
        assert!(pair[0] - pair[1] >= 11, "{shown:?}");
    }
}

#[tokio::test]
async fn grouping_sets_of_all_kinds_are_audited_together() {
    for groups in [
        "GROUPING SETS ((hosp), ())",
        "GROUPING SETS ((hosp, sex), (sex), ())",
        "ROLLUP (sex, hosp)",
        "CUBE (hosp, died)",
        "GROUPING SETS ((CASE WHEN hosp = 'C' THEN 'C' ELSE 'other' END), ())",
    ] {
        let desk = Desk::new("cms");
        let rows = desk
            .ask(&format!("SELECT count(*) FROM emr GROUP BY {groups}"))
            .await;
        let numbers: Vec<i64> = rows.iter().filter_map(|row| row.parse().ok()).collect();
        // No total beside all of its parts but those of hospital C.
        for total in [400, 267, 133] {
            let mut parts: Vec<i64> = numbers.iter().copied().filter(|n| *n < total).collect();
            // All men are no part of the women.
            if let Some(men) = parts.iter().position(|n| total == 267 && *n == 133) {
                parts.remove(men);
            }
            for (i, a) in parts.iter().enumerate() {
                for b in &parts[..i] {
                    let rest = total - a - b;
                    assert!(
                        !(numbers.contains(&total) && (1..11).contains(&rest)),
                        "{groups}: {rows:?}"
                    );
                }
            }
        }
        // A group of all but three is shown as the total is, or not at all.
        assert!(!numbers.contains(&397), "{groups}: {rows:?}");
    }
}

#[tokio::test]
async fn times_between_days_are_measured() {
    for measure in [
        "coalesce(los, 3)",
        "least(los, 20) * 2",
        "greatest(cost, 200.0)",
        "date_part('year', admitted) - 2000",
        "date_part('day', CAST(admitted AS TIMESTAMP))",
    ] {
        let desk = Desk::new("cms");
        assert_ne!(
            desk.ask(&format!("SELECT count(*), avg({measure}) FROM emr"))
                .await,
            ["400|"],
            "{measure}"
        );
    }
}

#[tokio::test]
async fn refusals_are_the_same_on_any_data() {
    let queries = [
        "SELECT * FROM emr",
        "SELECT count(*) FROM emr WHERE pid = 7",
        "SELECT max(age) FROM emr",
        "SELECT sum(CASE WHEN name = 'name 7' THEN cost END) FROM emr",
        "SELECT count(*) FROM emr WHERE power(age, 40) > 1",
    ];
    let full = Desk::new("cms");
    let empty = Desk::over("cms", super::desk::emr().slice(0, 0));
    for sql in queries {
        let of = |error: datafusion::error::DataFusionError| error.to_string();
        let a = full.try_ask(sql).await.map(|_| ()).map_err(of);
        let b = empty.try_ask(sql).await.map(|_| ()).map_err(of);
        assert!(a.is_err() && a == b, "{sql}: {a:?} and {b:?}");
    }
}

/// What fails where anybody meets a condition tells that somebody does: each of these is refused or answered alike with
/// and without the person that it is about.
#[tokio::test]
async fn nothing_fails_where_a_person_meets_a_condition() {
    const PERSON: &str = "name = 'name 7'";
    let with = Desk::new("cms");
    let without = Desk::over("cms", super::desk::emr().slice(7, 390));
    for failing in [
        // Literals that are wrong in themselves.
        "date_part('no such part', admitted)",
        "date_trunc('no such unit', admitted)",
        "substr(name, 1, -1)",
        "regexp_like(name, '(')",
        "regexp_like(name, '(((x{1,500}){1,500}){1,500})')",
        "regexp_like(name, 'x', 'no such flag')",
        // Days outside of the calendar, texts that are no times.
        "CAST(CAST(age * 1000000000000000 AS TIMESTAMP) AS VARCHAR)",
        "CAST(CAST(age * 100000000000000000 AS TIMESTAMP) AS DATE)",
        "CAST(CAST(CAST(age * 1000000 AS INT) AS DATE) AS VARCHAR)",
        "date_part('year', CAST(CAST(age * 10000000 AS INT) AS DATE))",
        "date_trunc('month', CAST(CAST(age * 10000000 AS INT) AS DATE))",
        "CAST(CAST(age * 10000000 AS INT) AS DATE) + INTERVAL '200' YEAR",
        "CAST(CAST(age * 10000000 AS INT) AS DATE) - admitted",
        "CAST(name AS INTERVAL)",
        "CAST(name AS TIME)",
        "arrow_cast(name, 'Decimal128(2, 2)')",
        "CAST(cost * 1e300 AS DECIMAL(38, 10))",
        // Numbers at the edge.
        "(age - age) % (age - age)",
        "(age * 0 - 9223372036854775807 - 1) / -1",
        "abs(age * 0 - 9223372036854775807 - 1)",
        "- (age * 0 - 9223372036854775807 - 1)",
        "CAST(1e308 * cost AS INT)",
        "round(cost, 400)",
        "trunc(cost, -400)",
        // Functions that are on no list, some of which fail.
        "chr(age * 100000000)",
        "factorial(age)",
        "to_timestamp(name)",
        "repeat(name, 1000000000)",
        "lpad(name, 1000000000)",
        "make_date(2000, age, age)",
        "decode(name, 'hex')",
        "gcd(age * 0 - 9223372036854775807 - 1, 0)",
        "power(age, 100)",
        "range(0, age)[1000]",
        "named_struct('a', name)['b']",
    ] {
        let sql = format!(
            "SELECT count(*) FROM emr WHERE CASE WHEN {PERSON} THEN ({failing}) IS NOT NULL ELSE age > 0 END"
        );
        let of = |error: datafusion::error::DataFusionError| error.to_string();
        let a = with.try_ask(&sql).await.map(|_| ()).map_err(of);
        let b = without.try_ask(&sql).await.map(|_| ()).map_err(of);
        assert_eq!(a, b, "{failing}");
    }
    // Texts that grow sixteenfold until no memory holds them. A text too long is none: a group of its own.
    let mut grown = format!("SELECT CASE WHEN {PERSON} THEN 'xxxxxxxx' ELSE '' END AS x FROM emr");
    for at in 0..8 {
        let parts = vec!["x"; 16];
        let more = if at % 2 == 0 {
            format!("concat({})", parts.join(", "))
        } else {
            parts.join(" || ")
        };
        grown = format!("SELECT {more} AS x FROM ({grown})");
    }
    let sql = format!("SELECT count(*) FROM ({grown}) GROUP BY x");
    assert_eq!(with.ask(&sql).await, ["399"]);
    // The siblings: the same functions, used rightly.
    for sql in [
        "SELECT count(*) FROM emr WHERE date_part('month', admitted) > 3 AND date_trunc('year', admitted) > '2000-01-01'",
        "SELECT count(*) FROM emr WHERE substr(name, 1, 4) = 'name' AND regexp_like(name, '^name [0-9]+$')",
        "SELECT count(*) FROM emr WHERE CAST(age AS VARCHAR) || sex <> concat(sex, '-', age)",
        "SELECT count(*) FROM emr WHERE admitted + INTERVAL '1' YEAR > DATE '2020-01-01' OR CAST(admitted AS VARCHAR) LIKE '2019-%'",
        "SELECT count(*) FROM emr WHERE admitted - DATE '2019-01-01' > 100",
        "SELECT count(*) FROM emr WHERE CAST(admitted AS TIMESTAMP) < TIMESTAMP '2026-01-01 00:00:00'",
    ] {
        let shown = with.ask(sql).await;
        assert!(shown[0].parse::<i64>().unwrap() > 100, "{sql}: {shown:?}");
    }
}

#[tokio::test]
async fn public_tables_are_not_looked_through_by_persons_rows() {
    let desk = Desk::new("cms");
    // Each of these has a condition of the query's own that fails at a chosen person.
    for sql in [
        "SELECT count(*) FROM emr e WHERE e.concept_id IN (SELECT c.concept_id FROM concept c WHERE 1 / (e.age - 22) > 0)",
        "SELECT count(*) FROM emr e WHERE e.concept_id IN (SELECT 1 / (e.age - 22))",
        "SELECT count(*) FROM emr e WHERE e.concept_id IN (SELECT v FROM (VALUES (1), (2)) AS t(v) WHERE CAST(e.name AS INT) = v)",
        "SELECT count(*) FROM emr e, LATERAL (SELECT 1 / (e.age - 22) AS x) t WHERE x > 0",
        "SELECT count(*) FROM emr e JOIN LATERAL (SELECT c.concept_id FROM concept c WHERE c.concept_id = e.concept_id AND 1 / (e.age - 22) > 0) t ON true",
        "SELECT count(*) FROM emr e WHERE EXISTS (SELECT 1 FROM visit v JOIN concept c ON 1 / (e.age - 22) = c.concept_id WHERE v.pid = e.pid)",
        "SELECT count(*) FROM emr e WHERE EXISTS (SELECT 1 FROM visit v JOIN (SELECT concept_id, 1 / (e.age - 22) AS x FROM concept) c ON c.concept_id = v.days WHERE v.pid = e.pid)",
        "SELECT count(*) FROM emr e WHERE EXISTS (SELECT 1 FROM visit v JOIN (SELECT concept_id FROM concept WHERE concept_id = (SELECT max(1 / (e.age - 22)) FROM concept)) c ON c.concept_id = v.days WHERE v.pid = e.pid)",
    ] {
        let refused = match desk.try_ask(sql).await {
            Ok(_) => panic!("{sql} was answered"),
            Err(error) => crate::Refusal::within(&error).map(|refusal| refusal.code),
        };
        // What the planner itself cannot plan is no refusal of ours, and depends on the query alone.
        assert!(
            matches!(refused, Some("subquery" | "join") | None),
            "{sql}: {refused:?}"
        );
    }
    // The siblings: a table looked up by its key, a list of values, a condition of the person's own.
    for sql in [
        "SELECT count(*) FROM emr e WHERE e.concept_id IN (SELECT c.concept_id FROM concept c WHERE c.concept_name <> 'concept 3')",
        "SELECT count(*) FROM emr e JOIN concept c ON c.concept_id = e.concept_id WHERE c.concept_name LIKE 'concept%' AND e.age > 22",
        "SELECT count(*) FROM emr e WHERE EXISTS (SELECT 1 FROM visit v JOIN concept c ON c.concept_id = v.days WHERE v.pid = e.pid AND v.days < e.age)",
    ] {
        let shown = desk.ask(sql).await;
        assert!(shown[0].parse::<i64>().unwrap() > 100, "{sql}: {shown:?}");
    }
}

/// Two desks of which one has a person whom the asker can name and the other has not.
fn with_and_without_person_7() -> (Desk, Desk) {
    let without: Vec<_> = [
        super::desk::emr().slice(0, 6),
        super::desk::emr().slice(7, 393),
    ]
    .into();
    let schema = without[0].schema();
    let without = arrow::compute::concat_batches(&schema, &without).unwrap();
    (Desk::new("cms"), Desk::over("cms", without))
}

#[tokio::test]
async fn arithmetic_is_no_condition_on_a_single_person() {
    let (with, without) = with_and_without_person_7();
    // Person 7 is the only one of these numbers.
    let alone = "(los * 1000 + age)";
    let at = (1 + 7 * 13 % 30) * 1000 + (20 + 7 * 37 % 70);
    for (sql, rule) in [
        (format!("SELECT avg(1.0 / ({alone} - {at}.0001)) FROM emr"), "measure"),
        (format!("SELECT sum(cost / ({alone} - {at}.0001)) FROM emr"), "measure"),
        (format!("SELECT stddev(1.0 / ({alone} - {at}.0001)) FROM emr"), "measure"),
        (
            format!("SELECT avg(x) FROM (SELECT 1.0 / y AS x FROM (SELECT {alone} - {at}.0001 AS y FROM emr))"),
            "measure",
        ),
        (
            format!("SELECT avg(cost + 1e9 * (least(greatest({alone} - {at} + 1, 0), 1) - least(greatest({alone} - {at}, 0), 1))) FROM emr"),
            "measure",
        ),
        (
            format!("SELECT avg(greatest(cost, 1e9 * least({alone} - {at} + 1, {at} + 1 - {alone}))) FROM emr"),
            "measure",
        ),
        (
            "SELECT avg(n * 1e9 + c) FROM (SELECT pid, count(*) FILTER (WHERE name = 'name 7') AS n, max(cost) AS c FROM emr GROUP BY pid)".to_owned(),
            "measure",
        ),
        (
            "SELECT avg(c * (1 + 1e9 * n)) FROM (SELECT pid, count(CASE WHEN name = 'name 7' THEN 1 END) AS n, max(cost) AS c FROM emr GROUP BY pid)".to_owned(),
            "measure",
        ),
        (format!("SELECT avg(({alone} - {at}) * (los - 2) * (age - 3)) FROM emr"), "measure"),
        ("SELECT avg(cost * cost * cost) FROM emr".to_owned(), "measure"),
        (
            "SELECT avg(1e9 * (age_at(admitted, DATE '2020-01-05') - age_at(admitted, DATE '2020-01-06')) + cost) FROM emr".to_owned(),
            "measure",
        ),
    ] {
        for desk in [&with, &without] {
            match desk.try_ask(&sql).await {
                // Not all of these functions are in every session.
                Err(error) if sql.contains("age_at") => {
                    assert!(crate::Refusal::within(&error).is_none_or(|r| r.code == rule), "{sql}");
                }
                Err(error) => assert_eq!(
                    crate::Refusal::within(&error).map(|refusal| refusal.code),
                    Some(rule),
                    "{sql}: {error}"
                ),
                Ok(_) => panic!("{sql} was answered"),
            }
        }
    }
    // What is left is shown, or not, with the person and without.
    for sql in [
        "SELECT avg(n) FROM (SELECT pid, count(*) FILTER (WHERE name = 'name 7') AS n FROM emr GROUP BY pid)".to_owned(),
        format!("SELECT avg(least({at}, los)) FROM emr"),
    ] {
        let shown = |rows: Vec<String>| rows == [""];
        assert_eq!(shown(with.ask(&sql).await), shown(without.ask(&sql).await), "{sql}");
    }
    // The siblings: honest arithmetic.
    for sql in [
        "SELECT avg(cost / los) FROM emr",
        "SELECT avg(cost / (los * los)) FROM emr",
        "SELECT avg((cost - los) / 365.25) FROM emr",
        "SELECT avg(60.0 / los) FROM emr",
        "SELECT avg(least(los, 20) * 2) FROM emr",
        "SELECT avg(n) FROM (SELECT pid, count(*) FILTER (WHERE days > 3) AS n FROM visit GROUP BY pid)",
        "SELECT avg(c / n) FROM (SELECT pid, count(*) AS n, sum(days) AS c FROM visit GROUP BY pid)",
        "SELECT avg(l - f) FROM (SELECT pid, max(los) AS l, min(cost) AS f FROM emr GROUP BY pid)",
    ] {
        let desk = Desk::new("cms");
        assert!(desk.try_ask(sql).await.is_ok(), "{sql}");
    }
}

#[tokio::test]
async fn rows_repeated_by_the_query_weigh_nothing() {
    let desk = Desk::new("cms");
    let many = "(SELECT unnest([1, 2, 3]) AS v)";
    for sql in [
        format!("SELECT avg(cost) FROM emr LEFT JOIN {many} g ON name = 'name 7'"),
        format!("SELECT sum(cost) FROM emr LEFT JOIN {many} g ON name = 'name 7'"),
        format!("SELECT stddev(cost) FROM emr LEFT JOIN {many} g ON name = 'name 7'"),
        format!("SELECT avg(cost) FROM emr JOIN {many} g ON v = 1 OR name = 'name 7'"),
        "SELECT avg(cost) FROM emr LEFT JOIN concept c ON name = 'name 7'".to_owned(),
        format!("SELECT count(*) FROM (SELECT DISTINCT pid, v FROM emr LEFT JOIN {many} g ON name = 'name 7')"),
        format!("SELECT count(*) FROM (SELECT pid, v FROM emr LEFT JOIN {many} g ON name = 'name 7' GROUP BY pid, v)"),
        // By records of the person's own: each join squares their number.
        "SELECT avg(a.days) FROM visit a JOIN visit b ON a.pid = b.pid AND b.days > 0".to_owned(),
        "SELECT avg(e.cost) FROM emr e LEFT JOIN visit a ON a.pid = e.pid AND e.name = 'name 7' LEFT JOIN visit b ON b.pid = e.pid AND e.name = 'name 7'".to_owned(),
    ] {
        assert_eq!(desk.refused(&sql).await, "count", "{sql}");
    }
    for sql in [
        format!(
            "SELECT avg(n + c) FROM (SELECT pid, count(*) AS n, max(cost) AS c FROM emr LEFT JOIN {many} g ON name = 'name 7' GROUP BY pid)"
        ),
        format!(
            "SELECT avg(c) FROM (SELECT pid, sum(cost) AS c FROM emr LEFT JOIN {many} g ON name = 'name 7' GROUP BY pid)"
        ),
    ] {
        assert_eq!(desk.refused(&sql).await, "measure", "{sql}");
    }
    // The siblings: one row for each person on a side, a look-up by key, a condition in EXISTS; persons counted anyway.
    for sql in [
        "SELECT avg(v.days) FROM emr e JOIN visit v ON v.pid = e.pid WHERE e.sex = 'F'",
        "SELECT avg(cost) FROM emr e JOIN (SELECT pid, count(*) AS n FROM visit GROUP BY pid) v USING (pid) WHERE n > 1",
        "SELECT avg(cost) FROM emr e JOIN concept c ON c.concept_id = e.concept_id",
        "SELECT avg(days) FROM visit a WHERE EXISTS (SELECT 1 FROM visit b WHERE b.pid = a.pid AND b.days > 2)",
        "SELECT count(DISTINCT a.pid) FROM visit a JOIN visit b ON a.pid = b.pid WHERE a.days < b.days OR a.days > 2",
        "SELECT avg(a.days) FROM visit a JOIN (SELECT DISTINCT pid FROM visit WHERE kind = 'in') b USING (pid)",
    ] {
        assert!(!desk.ask(sql).await.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn released_numbers_that_stand_below_each_other_go_on() {
    let desk = Desk::new("cms");
    let both = "SELECT count(*) AS n FROM emr UNION ALL SELECT count(*) FROM emr";
    for (sql, shown) in [
        (format!("SELECT max(n) FROM ({both})"), "400"),
        (format!("SELECT n FROM ({both}) WHERE n > 0 LIMIT 1"), "400"),
        (format!("SELECT sum(n) FROM ({both}) AS t"), "800"),
    ] {
        assert_eq!(desk.ask(&sql).await, [shown], "{sql}");
    }
}
