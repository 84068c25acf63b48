//! A second round of attacks that are in no list, each with the honest question beside it.

use super::desk::Desk;

#[tokio::test]
async fn tables_without_persons_are_seen_where_rows_refer_to_them() {
    let desk = Desk::new("cms");
    for sql in [
        "SELECT p.city, count(*) FROM emr e CROSS JOIN place p GROUP BY p.city",
        "SELECT p.city, count(DISTINCT e.pid) FROM emr e JOIN place p ON p.city > 'city 2' GROUP BY p.city",
        "SELECT p.city, count(DISTINCT e.pid) FROM emr e JOIN place p ON p.place_id = e.concept_id GROUP BY p.city",
        "SELECT p.city, count(DISTINCT e.pid) FROM (SELECT pid, 3 AS place_id FROM emr) e JOIN place p ON p.place_id = e.place_id GROUP BY p.city",
        "SELECT p.city, count(DISTINCT e.pid) FROM emr e JOIN place p ON p.place_id + 0 = e.place_id GROUP BY p.city",
        "SELECT count(DISTINCT e.pid) FROM emr e LEFT SEMI JOIN place p ON p.city = 'city 3'",
        "SELECT count(DISTINCT e.pid) FROM place p RIGHT JOIN emr e ON p.city = e.hosp",
        "SELECT b.bill_id, count(DISTINCT e.pid) FROM emr e CROSS JOIN bill b GROUP BY b.bill_id",
        "SELECT count(DISTINCT l.pid) FROM lab l JOIN bill b ON b.amount = l.value",
        "SELECT count(*) FROM lab l JOIN bill b ON b.bill_id = l.lab_id",
        "SELECT count(DISTINCT l.pid) FROM (SELECT pid, 7 AS lab_id FROM lab) l JOIN bill b ON b.lab_id = l.lab_id",
    ] {
        assert_eq!(desk.refused(sql).await, "join", "{sql}");
    }
    for sql in [
        "SELECT p.city, count(*) FROM emr e JOIN place p ON p.place_id = e.place_id GROUP BY p.city",
        "SELECT q.city, count(*) FROM emr e JOIN (SELECT place_id AS id, city FROM place WHERE city <> '') q ON q.id = e.place_id GROUP BY q.city",
        "SELECT p.city, count(*) FROM place p RIGHT JOIN emr e USING (place_id) GROUP BY p.city",
    ] {
        assert_eq!(desk.ask(sql).await.len(), 4, "{sql}");
    }
    // Rows that refer to a person's row are that person's, and so are their numbers. 20 to 32 each, 26 in the middle.
    for sql in [
        "SELECT count(*), avg(b.amount) FROM lab l JOIN bill b ON b.lab_id = l.lab_id",
        "SELECT count(*), avg(b.amount) FROM emr e JOIN lab l ON l.pid = e.pid JOIN bill b ON b.lab_id = l.lab_id",
    ] {
        let row = desk.ask(sql).await.remove(0);
        let (count, mean) = row.split_once('|').unwrap();
        let mean: f64 = mean.parse().unwrap();
        assert!(
            count == "2400" && (mean - 25.995).abs() < 0.1,
            "{sql}: {row}"
        );
    }
    // Each is counted as one of its person's, so that a single bill is nobody's number.
    let single = "SELECT count(*), avg(b.amount) FROM lab l JOIN bill b ON b.lab_id = l.lab_id WHERE b.bill_id = 7";
    assert_eq!(desk.ask(single).await, ["|"]);
}

#[tokio::test]
async fn a_subquery_fails_for_nobody_around_it() {
    let desk = Desk::new("cms");
    for sql in [
        "SELECT count(*) FROM emr e WHERE e.pid IN (SELECT v.pid FROM visit v JOIN (SELECT concept_id FROM concept
           WHERE CASE WHEN e.age = 57 THEN 1 / (e.age - e.age) ELSE 1 END > -5) c ON c.concept_id = v.days)",
        "SELECT count(*) FROM emr e WHERE e.pid NOT IN (SELECT v.pid FROM visit v, (SELECT 1 FROM concept WHERE e.age > 50) c)",
        "SELECT count(*) FROM emr a WHERE EXISTS (SELECT 1 FROM visit b WHERE b.pid = a.pid
           AND EXISTS (SELECT 1 FROM visit c WHERE c.pid = b.pid AND a.age > 50))",
        "SELECT count(*) FROM emr a WHERE EXISTS (SELECT 1 FROM visit b WHERE b.pid = a.pid
           AND EXISTS (SELECT 1 FROM visit c WHERE c.pid = b.pid AND 300 > a.pid))",
    ] {
        assert_eq!(desk.refused(sql).await, "subquery", "{sql}");
    }
    let sql = "SELECT count(*) FROM emr a WHERE EXISTS (SELECT 1 FROM visit b WHERE b.pid = a.pid AND b.days * 10 > a.age
           AND EXISTS (SELECT 1 FROM visit c WHERE c.pid = b.pid AND c.days <= b.days))";
    assert_ne!(desk.ask(sql).await, [""]);
}

/// Three values of the same persons, one row each: no one stands for another, and none gives a person away.
#[tokio::test]
async fn means_of_other_values_of_the_same_persons_are_their_own() {
    let of = |rows: &[String]| -> Vec<f64> {
        let mean = |row: &String| row.rsplit('|').next().unwrap().parse().unwrap();
        rows.iter().map(mean).collect()
    };
    let near = |found: &[f64], wanted: &[f64]| {
        found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 2.0)
    };
    let truth = [13.0, 108.0, 162.0];
    for rules in ["cms", "opensafely", "sacro"] {
        let desk = Desk::new(rules);
        let grouped = of(&desk
            .ask("SELECT kind, avg(value) FROM lab GROUP BY kind")
            .await);
        assert!(near(&grouped, &truth), "{rules}: {grouped:?}");
        let desk = Desk::new(rules);
        for (kind, wanted) in ["a", "b", "c"].into_iter().zip(truth) {
            for value in ["value", "value * 2 / 2", "value + 1000 - 1000"] {
                let sql = format!("SELECT avg({value}) FROM lab WHERE kind = '{kind}'");
                let found = of(&desk.ask(&sql).await);
                assert!(near(&found, &[wanted]), "{rules}: {sql}: {found:?}");
            }
        }
        // Without one person, by the same values in whatever words: the answer of before.
        let all = desk
            .ask("SELECT avg(value) FROM lab WHERE kind = 'b'")
            .await;
        for value in [
            "value",
            "value + 100000000000 - 100000000000",
            "value * 3 / 3",
        ] {
            let sql = format!(
                "SELECT avg(v) FROM (SELECT l.pid, {value} AS v FROM lab l JOIN emr e ON e.pid = l.pid
                   WHERE kind = 'b' AND name <> 'name 7')"
            );
            assert_eq!(desk.ask(&sql).await, all, "{rules}: {sql}");
        }
        // Of 32 bits a value keeps too little beside what is added to it.
        let real =
            "SELECT avg(CAST(value AS REAL) + CAST(134217728 AS REAL)) FROM lab WHERE kind = 'b'";
        assert_eq!(desk.refused(real).await, "measure");
        // Of one person's rows, of shifted values.
        let inner = "SELECT kind, avg(v) FROM (SELECT pid, kind, max((value - 32) * 5 / 9) AS v FROM lab GROUP BY pid, kind) GROUP BY kind";
        let shown = of(&Desk::new(rules).ask(inner).await);
        let wanted: Vec<f64> = truth.iter().map(|mean| (mean - 32.0) * 5.0 / 9.0).collect();
        assert!(near(&shown, &wanted), "{rules}: {shown:?}");
    }
}

/// A second column, so small that it changes nothing, makes no other measure of the same persons less one.
#[tokio::test]
async fn a_grain_of_another_column_is_no_way_around() {
    for rules in ["cms", "opensafely"] {
        let desk = Desk::new(rules);
        assert_ne!(desk.ask("SELECT avg(cost) FROM emr").await, [""]);
        // Of the very same persons it says nothing new.
        assert_eq!(
            desk.ask("SELECT avg(cost + 0.0000000001 * age) FROM emr")
                .await,
            [""]
        );
        for sql in [
            "SELECT avg(cost + 0.0000000001 * los) FROM emr WHERE name <> 'name 7'",
            "SELECT avg(cost + 0.0000000001 * los + 0.0000000001 * age) FROM emr WHERE name <> 'name 7'",
            "SELECT stddev(cost + 0.0000000001 * los) FROM emr WHERE name <> 'name 7'",
        ] {
            assert_eq!(desk.ask(sql).await, [""], "{rules}: {sql}");
        }
        // Enough persons less are another group.
        assert_ne!(
            desk.ask("SELECT avg(cost + 0.0000000001 * los) FROM emr WHERE age > 40")
                .await,
            [""]
        );
    }
}

#[tokio::test]
async fn two_ways_of_rounding_one_count_are_one() {
    let desk = Desk::new("opensafely");
    let mut shown = 0;
    for age in 20..90 {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE age < {age}), avg(CASE WHEN age < {age} THEN 1.0 ELSE 0 END), count(*) FROM emr"
        );
        let row = desk.ask(&sql).await.remove(0);
        let numbers: Vec<Option<f64>> = row.split('|').map(|n| n.parse().ok()).collect();
        let [Some(count), Some(share), Some(all)] = numbers[..] else {
            continue;
        };
        shown += 1;
        // The midpoint of six of a count that is rounded to five.
        let midpoint = |count: f64| ((count - 1.0) / 6.0).floor() * 6.0 + 3.0;
        let wanted = (midpoint(count) / midpoint(all)).min(1.0);
        assert!((share - wanted).abs() <= 0.0051 * wanted, "{row}");
    }
    assert!(shown > 10, "{shown}");
}

/// A join or a condition gives rows to whom it is made for: whether there is anybody, and how many rows, shows in nothing.
#[tokio::test]
async fn rows_that_are_made_for_few_are_not_counted() {
    for rules in ["cms", "opensafely", "sacro"] {
        let answers = |sql: String| async move { Desk::new(rules).ask(&sql).await };
        // Person 5 has a thousand visits; persons 8 and 9 have two, and nobody is 19.
        let mut seen = std::collections::HashSet::new();
        for name in ["name 8", "name 9", "nobody"] {
            seen.insert(
                answers(format!(
                    "SELECT count(DISTINCT e.pid), count(*), sum(e.age) FROM emr e LEFT JOIN
                       (SELECT v.pid FROM visit v JOIN emr w ON w.pid = v.pid WHERE w.name = '{name}') v ON v.pid = e.pid"
                ))
                .await,
            );
        }
        assert_eq!(seen.len(), 1, "{rules}: {seen:?}");
        let sql = "SELECT avg(s.age + 1000000 * s.n) FROM (SELECT e.pid, e.age, count(*) AS n FROM emr e LEFT JOIN
            (SELECT v.pid FROM visit v JOIN emr w ON w.pid = v.pid WHERE w.name = 'name 8') v ON v.pid = e.pid GROUP BY 1, 2) s";
        assert_eq!(Desk::new(rules).refused(sql).await, "measure");
    }
    // Nor where the rows of others are made more than one, so that most have not the same number.
    let mut seen = std::collections::HashSet::new();
    for name in ["name 8", "name 10", "nobody"] {
        let sql = format!(
            "SELECT count(DISTINCT pid), count(*) FROM (SELECT e.pid, CASE WHEN e.name = '{name}' THEN l.kind
               WHEN l.kind = 'a' OR e.sex = 'F' THEN 'x' ELSE 'y' END FROM emr e JOIN visit v ON v.pid = e.pid
               JOIN lab l ON l.pid = e.pid WHERE v.kind IS NOT NULL GROUP BY 1, 2)"
        );
        seen.insert(Desk::new("cms").ask(&sql).await);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [["400|533"]]);
    // Where many have more rows, they are counted.
    let sql = "SELECT count(DISTINCT v.pid), count(*) FROM visit v JOIN emr e ON e.pid = v.pid WHERE e.name <> 'name 5' AND (v.kind = 'in' OR e.los > 15)";
    let row = Desk::new("cms").ask(sql).await.remove(0);
    assert!(
        row.split('|')
            .all(|n| n.parse::<u32>().is_ok_and(|n| n > 200)),
        "{row}"
    );
}

/// A deviation of which one person is nearly all says how far that person is.
#[tokio::test]
async fn deviations_stand_on_no_single_person() {
    let desk = Desk::new("cms");
    let of = |cost: &str| {
        format!(
            "SELECT count(*), stddev(c), var(c) FROM (SELECT pid, max({cost}) AS c FROM visit GROUP BY pid) s"
        )
    };
    let row = desk.ask(&of("days * days")).await.remove(0);
    assert!(!row.ends_with('|'), "{row}");
    let alone = "SELECT count(*), stddev(n), var(n) FROM (SELECT pid, sum(days) AS n FROM visit GROUP BY pid) s";
    assert!(desk.ask(alone).await[0].ends_with("||"));
}

/// Several tables of a person, of which each is joined to any of the others.
#[tokio::test]
async fn joins_may_name_any_table_s_person() {
    let desk = Desk::new("cms");
    for sql in [
        "SELECT count(DISTINCT v.pid) FROM visit v JOIN emr e ON e.pid = v.pid LEFT JOIN lab l ON l.pid = e.pid",
        "SELECT count(DISTINCT e.pid) FROM emr e LEFT JOIN visit v ON v.pid = e.pid LEFT JOIN lab l ON l.pid = v.pid",
        "SELECT count(*) FROM emr e WHERE EXISTS (SELECT 1 FROM visit v WHERE v.pid = e.pid AND e.los BETWEEN v.days - 3 AND v.days + 30)",
    ] {
        assert_ne!(desk.ask(sql).await, [""], "{sql}");
    }
}
