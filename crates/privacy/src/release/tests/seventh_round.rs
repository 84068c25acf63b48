//! A seventh round of attacks that are in no list: padding of whom something else is known.

use super::desk::Desk;
use super::fifth_round::{TARGET, both, hospital};

const PROFILES: [&str; 5] = ["cms", "opensafely", "ohdsi", "sacro", "datashield"];

/// Two measures that are the same for everybody of a group, and the second of others, of several values, and of all together and
/// perhaps of one person more: asked for in any order, and in one query.
#[tokio::test]
async fn means_of_several_groups_say_nothing_of_one_person_more() {
    // Twenty-five days more for person 7 only; for others all the same, or two measures.
    let los = "CASE WHEN pid = 7 THEN age + 25 WHEN pid % 2 = 0 THEN age ELSE 40 + los END";
    let others = "los <> age AND los BETWEEN 55 AND 70";
    for rules in PROFILES {
        let questions = [
            "SELECT avg(age), stddev(age) FROM emr WHERE los = age".to_owned(),
            format!("SELECT avg(los), stddev(los) FROM emr WHERE {others}"),
            format!("SELECT avg(los) FROM emr WHERE los = age OR {others} OR {TARGET}"),
        ];
        let orders = [
            [0, 1, 2],
            [1, 2, 0],
            [2, 0, 1],
            [1, 0, 2],
            [2, 1, 0],
            [0, 2, 1],
        ];
        let every = matches!(rules, "opensafely" | "sacro");
        for order in orders.into_iter().take(if every { 6 } else { 1 }) {
            let asked = order.map(|at| questions[at].clone());
            let [with, without] = both(rules, los, &asked).await;
            assert_eq!(with[2], without[2], "{rules}: {asked:?}");
            assert_eq!(with[2][0], None, "{rules}: {asked:?}");
            let first = with[0][0].is_some() && with[1][0].is_some();
            assert!(first, "{rules}: {asked:?}");
        }
        // Siblings: the same groups of numbers that say something of their own.
        let desk = Desk::over(rules, hospital(los, "dx").await);
        for sql in [
            "SELECT avg(age) FROM emr WHERE los = age",
            "SELECT avg(cost) FROM emr WHERE los <> age AND los BETWEEN 55 AND 70",
            "SELECT avg(cost) FROM emr WHERE los = age OR los BETWEEN 55 AND 70",
            "SELECT sex, avg(los) FROM emr WHERE los <> age GROUP BY sex",
            "SELECT avg(los) FROM emr WHERE los <> age",
        ] {
            let shown = desk.ask(sql).await;
            assert!(
                shown
                    .iter()
                    .all(|row| !row.is_empty() && !row.ends_with('|')),
                "{rules}: {sql}"
            );
        }
    }
}
