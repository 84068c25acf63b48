//! An eighth round of attacks that are in no list: a group that is not listed, and others of the same rows.

use std::collections::BTreeSet;

use super::desk::Desk;
use super::fifth_round::{TARGET, hospital};

pub(super) const PROFILES: [&str; 5] = ["cms", "opensafely", "ohdsi", "sacro", "datashield"];

/// Person 7 is a group of its own, and so are women and men.
const GROUP: &str = "CASE WHEN name = 'name 7' THEN 'x' ELSE sex END";

/// What is shown where person 7 has the disease, and where it has not, question by question.
pub(super) async fn both(rules: &str, questions: &[String]) -> [Vec<Vec<String>>; 2] {
    let mut seen = [Vec::new(), Vec::new()];
    for (dx, seen) in ["dx", "CASE WHEN pid = 7 THEN 'flu' ELSE dx END"]
        .into_iter()
        .zip(&mut seen)
    {
        let desk = Desk::over(rules, hospital("los", dx).await);
        for sql in questions {
            seen.push(desk.ask(sql).await);
        }
    }
    seen
}

/// Groups and their total, in any order: neither says whether there is a third group, of one person or of a few more.
#[tokio::test]
async fn a_total_says_nothing_of_a_group_that_is_not_listed() {
    let asked = "avg(los), stddev(los), avg(cost)";
    for rules in PROFILES {
        // Others of no group: nobody, or somebody whom the asker knows.
        let known = match rules {
            "sacro" | "opensafely" => "name IN ('name 9', 'name 11')",
            "datashield" => "name = 'name 9'",
            _ => "false",
        };
        for others in BTreeSet::from(["false", known]) {
            let group = format!("CASE WHEN {others} THEN 'x' ELSE {GROUP} END");
            let rows =
                format!("FROM emr WHERE age < 70 AND name <> 'name 7' OR {TARGET} OR {others}");
            let of = |groups: &str| {
                format!("SELECT {groups}, {asked} {rows} GROUP BY {groups} ORDER BY 1")
            };
            let several = |how: &str| {
                format!("SELECT {group} AS g, died, {asked} {rows} GROUP BY {how} ORDER BY 1, 2")
            };
            let total = format!("SELECT {asked} {rows}");
            for (questions, withheld) in [
                (
                    vec![format!(
                        "SELECT {group} AS g, {asked} {rows} GROUP BY ROLLUP ({group}) ORDER BY 1"
                    )],
                    0,
                ),
                (vec![of(&group), total.clone()], 0),
                // The total, less the other group, has in it who is in none that is listed.
                (vec![total.clone(), of(&group)], 3),
                // Other groupings of the same rows.
                (vec![of(&group), of("died"), total], 3),
                (
                    vec![several(&format!("GROUPING SETS (({group}), (died), ())"))],
                    3,
                ),
                (vec![several(&format!("CUBE ({group}, died)"))], 0),
            ] {
                let [with, without] = both(rules, &questions).await;
                assert_eq!(empty(&with), empty(&without), "{rules}: {questions:?}");
                // A total by itself has everybody; beside groups that are known it has those of the groups.
                if questions.len() < 3
                    && questions[0].contains("ORDER BY 1")
                    && !questions[0].contains("died")
                {
                    assert_eq!(with, without, "{rules}: {questions:?}");
                }
                let empty = empty(&with).into_iter().filter(|empty| *empty);
                assert_eq!(empty.count(), withheld, "{rules}: {questions:?} {with:?}");
            }
        }
    }
}

/// Which numbers are withheld, question by question.
pub(super) fn empty(seen: &[Vec<String>]) -> Vec<bool> {
    let numbers = seen
        .iter()
        .flatten()
        .flat_map(|row| row.split('|').rev().take(3));
    numbers.map(str::is_empty).collect()
}

/// A group of other ages than the rest, whose number is known from the total but for this person, or but for nobody: it is empty, and
/// never a number in which somebody of another age is counted.
#[tokio::test]
async fn what_a_total_leaves_is_no_groups_number() {
    for rules in PROFILES {
        let group = "CASE WHEN name = 'name 7' THEN 'x' WHEN age < 40 THEN 'young' ELSE 'old' END";
        let rows =
            format!("FROM emr WHERE (age < 40 OR age > 60) AND name <> 'name 7' OR {TARGET}");
        let total = format!("SELECT avg(age), stddev(age) {rows}");
        let groups =
            format!("SELECT {group} AS g, avg(age), stddev(age) {rows} GROUP BY 1 ORDER BY 1");
        let [with, without] = both(rules, &[total, groups.clone()]).await;
        assert_eq!(with[1], without[1], "{rules}");
        let alone = Desk::new(rules).ask(&groups).await;
        let left: Vec<&String> = with[1].iter().filter(|row| !row.ends_with('|')).collect();
        assert_eq!(left.len(), alone.len() - 1, "{rules}: {with:?}");
        assert!(
            left.iter().all(|row| alone.contains(row)),
            "{rules}: {with:?} {alone:?}"
        );
    }
}

/// Without such a group everything is answered where totals come after their groups, or with them.
#[tokio::test]
async fn a_total_is_shown_beside_its_groups() {
    for rules in PROFILES {
        for questions in [
            vec![
                "SELECT sex, avg(los), stddev(los), sum(cost) FROM emr GROUP BY ROLLUP (sex) ORDER BY 1",
            ],
            vec![
                "SELECT sex, avg(los) FROM emr GROUP BY 1",
                "SELECT avg(los) FROM emr",
            ],
            vec!["SELECT sex, died, avg(los) FROM emr GROUP BY CUBE (sex, died) ORDER BY 1, 2"],
        ] {
            let desk = Desk::new(rules);
            for sql in questions {
                let rows = desk.ask(sql).await;
                assert!(
                    rows.iter()
                        .all(|row| !row.ends_with('|') && !row.is_empty()),
                    "{rules}: {sql}: {rows:?}"
                );
            }
        }
    }
    // It is what it is, to its digits.
    let desk = Desk::new("sacro");
    let total = desk.ask("SELECT avg(cost) FROM emr").await;
    let desk = Desk::new("sacro");
    let rows = desk
        .ask("SELECT sex, avg(cost) FROM emr GROUP BY ROLLUP (sex) ORDER BY 1")
        .await;
    assert!(
        rows.contains(&format!("|{}", total[0])),
        "{rows:?} {total:?}"
    );
}
