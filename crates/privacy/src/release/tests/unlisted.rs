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
            let parts: Vec<i64> = numbers.iter().copied().filter(|n| *n < total).collect();
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
