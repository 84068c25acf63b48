//! A fourth round of attacks that are in no list: whether one person belongs to a group, by what is shown beside its number.

use super::desk::Desk;

/// Persons of the group `age > 30`, and one who is not: what leaves one out is the same for all.
const IN: &str = "name 7";
const OUT: &str = "name 2";

/// What is shown after `first` for `second`, with `PERSON` in it for each of the two.
async fn alike(rules: &str, first: &[&str], second: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for person in [IN, OUT] {
        let desk = Desk::new(rules);
        for sql in first {
            assert_ne!(desk.ask(sql).await, [""], "{rules}: {sql}");
        }
        seen.push(desk.ask(&second.replace("PERSON", person)).await);
    }
    assert_eq!(seen[0], seen[1], "{rules}: {second}");
    seen.remove(0)
}

/// A mean of other columns of nearly the same persons is shown for nobody, be it for the very same ones.
#[tokio::test]
async fn a_mean_of_other_columns_does_not_tell_who_belongs() {
    let first = "SELECT avg(cost) FROM emr WHERE age > 30";
    for rules in ["cms", "opensafely", "sacro", "datashield"] {
        for second in [
            "SELECT avg(cost + age) FROM emr WHERE age > 30 AND name <> 'PERSON'",
            "SELECT avg(cost / los) FROM emr WHERE age > 30 AND name <> 'PERSON'",
            "SELECT avg(cost + n) FROM emr e JOIN (SELECT pid, count(*) AS n FROM lab GROUP BY pid) l ON l.pid = e.pid
               WHERE age > 30 AND name <> 'PERSON'",
        ] {
            assert_eq!(alike(rules, &[first], second).await, [""], "{rules}: {second}");
        }
        // In groups that leave one out, of the same rows.
        let second = "SELECT avg(cost + age) FROM emr WHERE age > 30 GROUP BY name = 'PERSON'";
        assert_eq!(alike(rules, &[first], second).await, [""], "{rules}");
        // Without the one, the first again is what it was, whatever is known of the others.
        let both = "SELECT avg(cost + age) FROM emr WHERE age > 30";
        let again = "SELECT avg(cost) FROM emr WHERE age > 30 AND name <> 'PERSON'";
        let shown = alike(rules, &[first, both], again).await;
        assert_eq!(shown, Desk::new(rules).ask(first).await, "{rules}");
        // Siblings: the same question of another column, in groups too, and of other persons.
        let desk = Desk::new(rules);
        for sql in [
            first,
            both,
            "SELECT avg(cost * age) FROM emr WHERE age > 60",
            "SELECT avg(los), avg(los + cost), avg(los + age) FROM emr WHERE sex = 'F' AND age > 30",
        ] {
            let rows = desk.ask(sql).await;
            assert!(
                !rows[0].split('|').any(str::is_empty),
                "{rules}: {sql}: {rows:?}"
            );
        }
        let desk = Desk::new(rules);
        for measure in ["cost", "cost + age"] {
            let sql = format!("SELECT sex, avg({measure}) FROM emr GROUP BY sex");
            let rows = desk.ask(&sql).await;
            assert!(
                rows.iter().all(|row| !row.ends_with('|')),
                "{rules}: {rows:?}"
            );
        }
    }
}

/// What earlier numbers say together but for one person, or for nobody, is shown as they say it.
#[tokio::test]
async fn a_sum_of_earlier_numbers_does_not_tell_who_belongs() {
    let women = "SELECT count(*) FROM emr WHERE sex = 'F' AND age > 30";
    let men = "SELECT count(*) FROM emr WHERE sex = 'M'";
    for rules in ["cms", "sacro", "ohdsi", "datashield"] {
        let desk = Desk::new(rules);
        let mut sum = 0;
        for sql in [women, men] {
            sum += desk.ask(sql).await[0].parse::<i32>().unwrap();
        }
        for asked in ["count(*)", "count(DISTINCT pid)"] {
            let either = format!(
                "SELECT {asked} FROM emr WHERE sex = 'M' OR (sex = 'F' AND age > 30 AND name <> 'PERSON')"
            );
            let shown = alike(rules, &[women, men], &either).await;
            assert_eq!(shown, [sum.to_string()], "{rules}");
        }
        // A mean does not follow from means as they are shown.
        let of = |sql: &str| sql.replace("count(*)", "avg(cost)");
        let (women, men) = (of(women), of(men));
        let either = "SELECT avg(cost) FROM emr WHERE sex = 'M' OR (sex = 'F' AND age > 30 AND name <> 'PERSON')";
        let shown = alike(rules, &[&women, &men], either).await;
        assert_eq!(shown, [""], "{rules}");
        // Siblings: parts first and then their total, and the same questions again; groups of the same rows and their total.
        let desk = Desk::new(rules);
        let by_sex = "SELECT sex, count(*), count(DISTINCT pid) FROM emr GROUP BY sex ORDER BY sex";
        for _ in 0..2 {
            assert_eq!(
                desk.ask(by_sex).await,
                ["F|267|267", "M|133|133"],
                "{rules}"
            );
            assert_eq!(
                desk.ask("SELECT count(*) FROM emr").await,
                ["400"],
                "{rules}"
            );
        }
        for sql in [
            "SELECT sex, avg(age) FROM emr GROUP BY sex",
            "SELECT avg(age) FROM emr",
            "SELECT sex, died, avg(los) FROM emr GROUP BY CUBE (sex, died)",
            "SELECT avg(cost) FROM emr WHERE sex = 'F'",
            "SELECT avg(cost) FROM emr WHERE age < 40",
        ] {
            let rows = desk.ask(sql).await;
            assert!(
                rows.iter()
                    .all(|row| !row.is_empty() && !row.ends_with('|')),
                "{rules}: {rows:?}"
            );
        }
    }
}

/// The same persons are the same persons, with however many rows.
#[tokio::test]
async fn more_rows_of_the_same_persons_are_no_other_persons() {
    let first = "SELECT count(DISTINCT pid) FROM emr WHERE age > 30";
    for rules in ["cms", "opensafely", "sacro", "ohdsi", "datashield"] {
        let shown = Desk::new(rules).ask(first).await;
        for from in [
            "emr e CROSS JOIN (VALUES (1), (2)) AS t(x)",
            "emr e JOIN visit v ON v.pid = e.pid",
            "emr e LEFT JOIN (SELECT pid FROM lab WHERE kind <> 'a') l ON l.pid = e.pid AND e.sex = 'F'",
        ] {
            let again = format!(
                "SELECT count(DISTINCT e.pid) FROM {from} WHERE age > 30 AND name <> 'PERSON'"
            );
            assert_eq!(
                alike(rules, &[first], &again).await,
                shown,
                "{rules}: {again}"
            );
        }
        // Siblings: rows are counted as they are, and so are other persons.
        let desk = Desk::new(rules);
        let rows = "SELECT count(DISTINCT e.pid), count(*) FROM emr e JOIN visit v ON v.pid = e.pid WHERE age > 30 AND name <> 'name 5'";
        assert_eq!(desk.ask(first).await, shown);
        let counted = desk.ask(rows).await;
        let (persons, rows) = counted[0].split_once('|').unwrap();
        assert_eq!(persons, shown[0], "{rules}");
        assert!(rows.parse::<u32>().unwrap() > 600, "{rules}: {counted:?}");
        let fewer =
            "SELECT count(DISTINCT e.pid) FROM emr e JOIN visit v ON v.pid = e.pid WHERE age > 60";
        let fewer = desk.ask(fewer).await[0].parse::<u32>().unwrap();
        assert!((100..200).contains(&fewer), "{rules}: {fewer}");
    }
}
