//! A sixth round of attacks that are in no list: two numbers that would agree but for one person.

use super::desk::Desk;
use super::fifth_round::{TARGET, both, hospital};

const PROFILES: [&str; 5] = ["cms", "opensafely", "ohdsi", "sacro", "datashield"];

/// A group, and the same with many others of one value, and perhaps with one person more.
#[tokio::test]
async fn others_of_one_value_say_nothing_of_who_else_is_there() {
    for rules in PROFILES {
        for group in [
            "age < 40 AND los <> 5",
            // The group has a common value of its own, of as many persons as the others are.
            "(age < 40 AND los <> 5 OR los = 9)",
        ] {
            let first = format!("SELECT avg(los), stddev(los) FROM emr WHERE {group}");
            for asked in ["avg(los), stddev(los)", "avg(los * los)"] {
                let last = format!("SELECT {asked} FROM emr WHERE {group} OR los = 5 OR {TARGET}");
                for questions in [[&first, &last], [&last, &first]] {
                    let questions = questions.map(Clone::clone);
                    let [with, without] = both(rules, "los", &questions).await;
                    assert_eq!(with[1], without[1], "{rules}: {questions:?}");
                    assert_eq!(with[1], vec![None; with[1].len()], "{rules}: {questions:?}");
                    assert!(with[0][0].is_some(), "{rules}: {questions:?}");
                }
            }
        }
    }
    // Siblings: others of several values, and another number of the same persons.
    let desk = Desk::new("sacro");
    for sql in [
        "SELECT avg(los) FROM emr WHERE age < 40 AND los <> 5",
        "SELECT avg(los) FROM emr WHERE age < 40 AND los <> 5 OR los BETWEEN 5 AND 9",
        "SELECT avg(cost) FROM emr WHERE age < 40 AND los <> 5",
    ] {
        assert_ne!(desk.ask(sql).await, [""], "{sql}");
    }
}

/// Two measures that are the same for everybody of a group but for one person, of whom the second is also asked with many others of
/// one value.
#[tokio::test]
async fn others_of_one_value_do_not_hide_that_numbers_agree() {
    // Twenty-five days more for person 7 only; for others all the same, or two measures.
    let los = "CASE WHEN pid = 7 THEN age + 25 WHEN pid % 2 = 0 THEN age WHEN pid % 5 = 0 THEN 45 ELSE 400 + los END";
    for rules in PROFILES {
        for asked in ["avg(los)", "avg(los), stddev(los)", "avg(los * los)"] {
            let first = "SELECT avg(age), avg(age * age) FROM emr WHERE los = age";
            let last = format!("SELECT {asked} FROM emr WHERE los = age OR los = 45 OR {TARGET}");
            let [with, without] = both(rules, los, &[first.to_owned(), last]).await;
            assert_eq!(with, without, "{rules}: {asked}");
            assert!(with[0][0].is_some(), "{rules}: {with:?}");
            assert_eq!(with[1][0], None, "{rules}: {asked}");
        }
        // Siblings: those others have other numbers.
        let desk = Desk::over(rules, hospital(los, "dx").await);
        for sql in [
            "SELECT avg(age) FROM emr WHERE los = age",
            "SELECT avg(cost) FROM emr WHERE los = age OR los = 45",
            "SELECT avg(los) FROM emr WHERE los > 100 OR los = 45",
        ] {
            assert_ne!(desk.ask(sql).await, [""], "{rules}: {sql}");
        }
    }
}

/// A mean of all beside those of its parts.
#[tokio::test]
async fn means_of_parts_say_nothing_of_one_person_more_in_the_whole() {
    for rules in PROFILES {
        let part = |sex: &str| format!("SELECT avg(los) FROM emr WHERE age < 45 AND sex = '{sex}'");
        let whole = format!("SELECT avg(los) FROM emr WHERE age < 45 OR {TARGET}");
        let [with, without] = both(rules, "los", &[part("F"), part("M"), whole.clone()]).await;
        assert_eq!(with, without, "{rules}");
        assert_eq!(with[2], [None], "{rules}");
        // Siblings: the whole by itself, first, and with its parts.
        let desk = Desk::new(rules);
        for sql in [
            "SELECT avg(los) FROM emr WHERE age < 45",
            "SELECT avg(los) FROM emr WHERE age < 45 AND sex = 'F'",
        ] {
            assert_ne!(desk.ask(sql).await, [""], "{rules}: {sql}");
        }
        let desk = Desk::new(rules);
        let sql = "SELECT sex, avg(los) FROM emr WHERE age < 45 GROUP BY ROLLUP (sex)";
        let rows = desk.ask(sql).await;
        assert!(
            rows.iter().all(|row| !row.ends_with('|')),
            "{rules}: {rows:?}"
        );
    }
}
