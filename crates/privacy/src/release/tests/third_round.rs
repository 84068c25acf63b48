//! A third round of attacks that are in no list, each with the honest question beside it.

use super::desk::Desk;

/// A count of each person's rows on a condition is a count of those rows, whoever else is asked about with none.
#[tokio::test]
async fn counts_of_each_person_s_rows_are_counts_of_rows() {
    for rules in ["cms", "opensafely", "sacro", "ohdsi", "datashield"] {
        let desk = Desk::new(rules);
        let of = |asked: &str, condition: &str| {
            format!(
                "SELECT {asked} FROM (SELECT e.pid, count(DISTINCT v.kind) AS n FROM emr e
                   LEFT JOIN visit v ON v.pid = e.pid AND {condition} GROUP BY e.pid)"
            )
        };
        // The others have none.
        let few = desk
            .ask(&of("sum(n), avg(n)", "e.dx = 'rare' AND e.died"))
            .await;
        let none = if rules == "ohdsi" { "-5|" } else { "|" };
        assert_eq!(few, [none], "{rules}");
        // Without one person: the same, whoever else is among them.
        let shown = desk.ask(&of("sum(n)", "e.dx = 'diabetes'")).await;
        assert_ne!(shown, [""], "{rules}");
        for (one, padded) in [
            ("name 10", "true"),
            ("name 20", "e.age > 40 OR e.dx = 'diabetes'"),
        ] {
            let sql = format!(
                "SELECT sum(n) FROM (SELECT e.pid, count(DISTINCT v.kind) AS n FROM emr e LEFT JOIN visit v
                   ON v.pid = e.pid AND e.dx = 'diabetes' AND e.name <> '{one}' WHERE {padded} GROUP BY e.pid)"
            );
            assert_eq!(desk.ask(&sql).await, shown, "{rules}: {sql}");
        }
        for asked in [
            "stddev(n)",
            "var(n)",
            "avg(n * 2)",
            "sum(n / 1)",
            "avg(n + 1)",
        ] {
            let sql = of(asked, "e.dx = 'diabetes'");
            assert_eq!(desk.refused(&sql).await, "measure", "{sql}");
        }
    }
    // The same by whatever makes 0 of nothing, or chooses among groups.
    let desk = Desk::new("cms");
    let rare = "(SELECT pid, count(*) AS n FROM emr WHERE dx = 'rare' GROUP BY pid) r";
    for sql in [
        format!("SELECT sum(coalesce(r.n, 0)) FROM emr e LEFT JOIN {rare} ON r.pid = e.pid"),
        format!("SELECT avg(least(coalesce(r.n, 0), 1)) FROM emr e LEFT JOIN {rare} ON r.pid = e.pid"),
        "SELECT sum(n) FROM (SELECT pid, sum(n) FILTER (WHERE dx = 'rare') AS n FROM (SELECT pid, dx, count(*) AS n FROM emr GROUP BY pid, dx) GROUP BY pid)".to_owned(),
    ] {
        assert_eq!(desk.ask(&sql).await, [""], "{sql}");
    }
    for sql in [
        format!("SELECT avg(coalesce(r.n, 2)) FROM emr e LEFT JOIN {rare} ON r.pid = e.pid"),
        "SELECT stddev(n) FROM (SELECT pid, count(*) AS n FROM (SELECT DISTINCT pid, CASE WHEN days = 3 THEN kind END FROM visit) GROUP BY pid)".to_owned(),
    ] {
        assert_eq!(desk.refused(&sql).await, "measure", "{sql}");
    }
    // Siblings: how many there are, and of each person; of all rows as before.
    let sql = "SELECT sum(n), avg(n), count(*) FROM (SELECT e.pid, count(v.pid) FILTER (WHERE v.kind = 'in') AS n
                 FROM emr e LEFT JOIN visit v ON v.pid = e.pid WHERE e.name <> 'name 5' GROUP BY e.pid)";
    assert_eq!(Desk::new("cms").ask(sql).await, ["398|0.997|399"]);
    let sql =
        "SELECT avg(n), stddev(n) FROM (SELECT pid, count(*) AS n FROM lab GROUP BY pid, kind)";
    assert!(Desk::new("cms").try_ask(sql).await.is_ok());
    let sql = "SELECT n, count(*) FROM (SELECT pid, count(*) FILTER (WHERE days > 3) AS n FROM visit GROUP BY pid) GROUP BY n";
    assert_eq!(Desk::new("cms").ask(sql).await.len(), 2);
}

/// Persons of one value that is known make another set of any, and tell nothing themselves.
#[tokio::test]
async fn persons_of_one_value_make_up_for_nobody() {
    let of = |group: &str, padded: u32| {
        format!("SELECT avg(los), stddev(los) FROM emr WHERE {group} OR los = {padded}")
    };
    for rules in ["cms", "opensafely", "sacro"] {
        let desk = Desk::new(rules);
        let first = desk.ask(&of("age < 26", 5)).await;
        assert_ne!(first, ["|"], "{rules}");
        // Twenty-six others, and one person less.
        let one = "age < 26 AND name <> 'name 70'";
        for padded in [7, 8, 9] {
            let sql = of(one, padded);
            assert_eq!(desk.ask(&sql).await, ["|"], "{rules}: {sql}");
        }
        let other =
            "SELECT avg(los * los) FROM emr WHERE age < 26 AND name <> 'name 70' OR los = 11";
        assert_eq!(desk.ask(other).await, [""], "{rules}");
        // Siblings: other groups; a value in place of none, and without it.
        for sql in [
            "SELECT avg(los) FROM emr WHERE age > 60 OR los = 7",
            "SELECT avg(los) FROM emr WHERE sex = 'F'",
            "SELECT avg(coalesce(m.cost, 0)) FROM emr e LEFT JOIN (SELECT pid, cost FROM emr WHERE sex = 'M') m ON m.pid = e.pid",
            "SELECT avg(cost) FROM emr WHERE sex = 'M'",
        ] {
            assert_ne!(desk.ask(sql).await, [""], "{rules}: {sql}");
        }
    }
}

#[tokio::test]
async fn sums_of_whole_numbers_are_rounded() {
    let mut up = 0;
    for age in 50..70 {
        let sql = format!("SELECT sum(los), avg(los), count(*) FROM emr WHERE age < {age}");
        let row = Desk::new("cms").ask(&sql).await.remove(0);
        let numbers: Vec<f64> = row.split('|').map(|n| n.parse().unwrap()).collect();
        let exact = numbers[1] * numbers[2];
        assert!((numbers[0] - exact).abs() < 0.500_001, "{row}");
        up += usize::from(exact.fract() > 0.500_001);
    }
    assert!(up > 0);
}
