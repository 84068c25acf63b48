//! A third round of attacks that are in no list, each with the honest question beside it.

use arrow::array::RecordBatch;

use super::desk::Desk;
use crate::compact::tests::holds;

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
        // Siblings: other groups; a value in place of none.
        for sql in [
            "SELECT avg(los) FROM emr WHERE age > 60 OR los = 7",
            "SELECT avg(los) FROM emr WHERE sex = 'F'",
            "SELECT avg(coalesce(m.cost, 0)) FROM emr e LEFT JOIN (SELECT pid, cost FROM emr WHERE sex = 'M') m ON m.pid = e.pid",
        ] {
            assert_ne!(desk.ask(sql).await, [""], "{rules}: {sql}");
        }
        // Without it, it says nothing else.
        assert_eq!(
            desk.ask("SELECT avg(cost) FROM emr WHERE sex = 'M'").await,
            [""],
            "{rules}"
        );
    }
}

/// A code is no quantity: its deviation among persons of one code would count those of the other.
#[tokio::test]
async fn codes_and_numbers_of_records_are_no_measures() {
    let desk = Desk::new("cms");
    for sql in [
        "SELECT stddev(concept_id) FROM emr",
        "SELECT avg(place_id) FROM emr",
        "SELECT sum(concept_id + age) FROM emr",
        "SELECT avg(visit_occurrence_id) FROM visit_occurrence",
        "SELECT avg(c) FROM (SELECT pid, max(visit_concept_id) AS c FROM visit_occurrence GROUP BY pid)",
        "SELECT avg(b.bill_id) FROM lab l JOIN bill b ON b.lab_id = l.lab_id",
    ] {
        assert_eq!(desk.refused(sql).await, "measure", "{sql}");
    }
    for (sql, rows) in [
        (
            "SELECT concept_id, count(*), avg(age) FROM emr GROUP BY 1",
            5,
        ),
        (
            "SELECT avg(CASE WHEN concept_id = 3 THEN 1 ELSE 0 END) FROM emr",
            1,
        ),
        (
            "SELECT c, count(*) FROM (SELECT pid, max(visit_concept_id) AS c FROM visit_occurrence GROUP BY pid) GROUP BY c",
            3,
        ),
    ] {
        assert_eq!(desk.ask(sql).await.len(), rows, "{sql}");
    }
}

/// A list of records by their numbers is a list of persons, in whatever type and from wherever the list is.
#[tokio::test]
async fn numbers_of_records_are_compared_with_each_other_only() {
    let desk = Desk::new("cms");
    for sql in [
        "SELECT count(*) FROM visit_occurrence WHERE visit_occurrence_id < 1300",
        "SELECT count(*) FROM (SELECT pid, CAST(visit_occurrence_id AS DOUBLE) AS v FROM visit_occurrence) WHERE v < 1300",
        "SELECT count(*) FROM (SELECT pid, min(visit_occurrence_id) AS v FROM visit_occurrence GROUP BY pid) WHERE v < 1300",
        "SELECT count(*) FROM (SELECT pid, avg(visit_occurrence_id) AS v FROM visit_occurrence GROUP BY pid) WHERE v < 1300",
        "SELECT count(DISTINCT v.pid) FROM visit_occurrence v JOIN (VALUES (1007), (1008)) AS x(c) ON v.visit_occurrence_id = x.c",
        "SELECT count(DISTINCT v.pid) FROM visit_occurrence v JOIN concept c ON c.concept_id = v.visit_occurrence_id",
        "SELECT count(*) FROM (SELECT pid, visit_occurrence_id AS v, visit_concept_id * 0 + 1007 AS c FROM visit_occurrence) WHERE v = c",
        "SELECT count(*) FROM visit_occurrence WHERE visit_occurrence_id IN (SELECT concept_id FROM concept)",
        "SELECT count(*) FROM visit_occurrence WHERE CAST(visit_occurrence_id AS VARCHAR) IN (SELECT concept_name FROM concept)",
        "SELECT count(*) FROM visit_occurrence WHERE CAST(visit_occurrence_id AS TINYINT) IS NULL",
        "SELECT count(*) FROM visit_occurrence v WHERE EXISTS (SELECT 1 FROM emr e WHERE e.pid = v.pid AND v.visit_occurrence_id > e.age)",
    ] {
        assert_eq!(desk.refused(sql).await, "record-key", "{sql}");
    }
    // Siblings: records by each other, and counted.
    for sql in [
        "SELECT count(DISTINCT a.pid) FROM visit_occurrence a JOIN visit_occurrence b ON b.pid = a.pid AND b.visit_occurrence_id = a.visit_occurrence_id",
        "SELECT count(*) FROM visit_occurrence WHERE preceding_visit_occurrence_id IS NOT NULL",
        "SELECT count(*) FROM visit_occurrence v WHERE EXISTS (SELECT 1 FROM visit_occurrence w WHERE w.pid = v.pid AND w.visit_occurrence_id = v.visit_occurrence_id)",
        "SELECT avg(n) FROM (SELECT pid, count(visit_occurrence_id) AS n FROM visit_occurrence GROUP BY pid)",
        "SELECT count(*) FROM (SELECT pid, visit_occurrence_id, count(*) AS n FROM visit_occurrence GROUP BY 1, 2) WHERE n > 0",
    ] {
        assert!(desk.try_ask(sql).await.is_ok(), "{sql}");
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

/// Of a join's side that may be missing, a link to the person says nothing of the row.
#[tokio::test]
async fn a_subquery_is_linked_where_the_link_decides() {
    let desk = Desk::new("cms");
    let link = "(SELECT pid FROM visit v WHERE v.pid = a.pid)";
    for join in [
        format!("emr b LEFT JOIN {link} x ON x.pid = b.pid"),
        format!("{link} x RIGHT JOIN emr b ON x.pid = b.pid"),
        format!("emr b LEFT ANTI JOIN {link} x ON x.pid = b.pid"),
    ] {
        let sql = format!(
            "SELECT count(*) FROM emr a WHERE EXISTS (SELECT 1 FROM {join} WHERE b.name = 'name 7')"
        );
        assert_eq!(desk.refused(&sql).await, "subquery", "{sql}");
    }
    let sql = "SELECT count(*) FROM emr a WHERE EXISTS (SELECT 1 FROM emr b LEFT JOIN visit x ON x.pid = b.pid WHERE b.pid = a.pid AND b.age > 40)";
    assert_ne!(desk.ask(sql).await, [""]);
}

#[tokio::test]
async fn either_sides_person_names_the_rows_of_a_join() {
    let desk = Desk::new("cms");
    let visits = |join: &str, by: &str| {
        format!(
            "SELECT count(*) FROM (SELECT {by}, count(*) AS n FROM emr e {join} visit v ON v.pid = e.pid GROUP BY {by}) WHERE n > 0"
        )
    };
    let counted = desk.ask(&visits("JOIN", "e.pid")).await;
    assert_ne!(counted, [""]);
    assert_eq!(desk.ask(&visits("JOIN", "v.pid")).await, counted);
    // NULL stands for many who have no visit.
    assert_eq!(
        desk.refused(&visits("LEFT JOIN", "v.pid")).await,
        "person-key"
    );
}

/// An aggregate of one person's rows that fails would say who has which.
#[tokio::test]
async fn no_person_s_decimals_fail_a_question() {
    let of = |function: &str, whom: &str, kind: &str, value: &str| {
        format!(
            "SELECT count(*) FROM (SELECT pid, {function}(CAST(CASE WHEN name = '{whom}' THEN '{value}' ELSE '1' END AS {kind})) AS a
               FROM emr GROUP BY pid) WHERE a IS NOT NULL"
        )
    };
    let (whole, broken) = ("9".repeat(38), "9".repeat(28));
    for rules in ["cms", "opensafely", "sacro", "ohdsi", "datashield"] {
        let desk = Desk::new(rules);
        for function in ["avg", "sum"] {
            for (kind, value) in [("DECIMAL(38,0)", &whole), ("DECIMAL(38,10)", &broken)] {
                for whom in ["nobody", "name 7"] {
                    let sql = of(function, whom, kind, value);
                    assert_eq!(desk.ask(&sql).await.len(), 1, "{rules}: {sql}");
                }
            }
        }
        // Siblings: decimals are what they were.
        let sql = "SELECT count(*) FROM (SELECT pid, avg(CAST(days AS DECIMAL(10,2))) AS a FROM visit GROUP BY pid) WHERE a < 4.5";
        let same = "SELECT count(*) FROM (SELECT pid, avg(days) AS a FROM visit GROUP BY pid) WHERE a < 4.5";
        assert_eq!(desk.ask(sql).await, desk.ask(same).await, "{rules}");
    }
}

/// The number of a visit names a person in a hospital's own table too.
#[tokio::test]
async fn records_have_numbers_in_tables_of_the_hospital_s_own() {
    let desk = Desk::new("cms");
    for condition in [
        "visit_occurrence_id BETWEEN 1 AND 1040",
        "visit_occurrence_id < 1100",
        "CAST(visit_occurrence_id AS VARCHAR) IN ('1001', '1002')",
    ] {
        let sql = format!("SELECT count(*) FROM stay WHERE {condition}");
        assert_eq!(desk.refused(&sql).await, "record-key", "{sql}");
    }
    // Siblings: it joins by them, and has other columns.
    for sql in [
        "SELECT count(*) FROM stay s JOIN visit_occurrence v ON v.visit_occurrence_id = s.visit_occurrence_id AND v.pid = s.pid",
        "SELECT count(*) FROM stay WHERE visit_occurrence_id IS NOT NULL",
        "SELECT count(*) FROM stay WHERE ward < 4",
    ] {
        assert_eq!(desk.ask(sql).await, ["400"], "{sql}");
    }
    let sql = "SELECT count(*) FROM visit_occurrence v JOIN fee f ON f.visit_occurrence_id = v.visit_occurrence_id";
    assert_eq!(desk.ask(sql).await, ["400"]);
}

/// Nothing of a group that is not listed is in the memory of those that are.
#[tokio::test]
async fn keys_that_are_not_listed_are_in_no_buffer() {
    let sql = "SELECT make_array(k) AS k, n FROM (SELECT CAST(CASE WHEN name = 'name 7' THEN 'a single person with ' || dx
                 ELSE 'all others of the hospital ' || hosp END AS VARCHAR) AS k, count(*) AS n FROM emr GROUP BY 1)";
    let batches = Desk::new("cms").try_ask(sql).await.unwrap();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 2);
    for batch in batches {
        assert!(!holds(batch.column(0), "a single person"));
    }
}
