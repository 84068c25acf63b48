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
