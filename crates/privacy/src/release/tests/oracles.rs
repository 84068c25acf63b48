//! Attacks 25 to 32 and their like: margins, orders, rare keys and refusals as oracles, each beside a legitimate query.

use super::desk::Desk;

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
