//! A ninth round of attacks that are in no list: groups of the same size, and what was asked before a delivery.

use super::desk::{Desk, emr};
use super::eighth_round::{PROFILES, both, empty};
use super::fifth_round::{TARGET, hospital};

/// Two groups of one size, or of one as it is rounded, and their total: which of them is empty does not say that one has a person more.
#[tokio::test]
async fn one_person_more_does_not_say_which_group_is_empty() {
    for rules in PROFILES {
        for left_out in ["5", "5, 9, 11, 13, 15"] {
            let names = left_out.split(", ").map(|of| format!(", 'name {of}'"));
            let names = names.collect::<String>();
            let rows = format!(
                "FROM emr WHERE place_id IN (1, 3) AND name NOT IN ('name 7'{names}) OR {TARGET}"
            );
            let asked = "avg(age), stddev(age), avg(cost)";
            let total = format!("SELECT {asked} {rows}");
            let groups = format!("SELECT place_id, {asked} {rows} GROUP BY 1 ORDER BY 1");
            let [with, without] = both(rules, &[total, groups]).await;
            assert_eq!(empty(&with), empty(&without), "{rules}: {left_out}");
            let shown = empty(&with).into_iter().filter(|empty| !empty).count();
            assert!(shown >= 6, "{rules}: {with:?}");
        }
    }
}

/// What a principal knows of persons it knows after a delivery, too; of enough others there are numbers of their own.
#[tokio::test]
async fn a_delivery_is_no_new_start() {
    let count = |rows: &str| format!("SELECT count(*), avg(cost) FROM emr WHERE {rows}");
    let without = "sex = 'F' AND name <> 'name 7'";
    for rules in PROFILES {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("releases.sqlite");
        let desk = |snapshot: &str, emr| Desk::of_snapshot(snapshot, rules, emr, &record);
        let before = desk("store/1", emr()).ask(&count(without)).await;
        for (snapshot, dx) in [
            ("store/2", "dx"),
            ("store/3", "CASE WHEN pid = 7 THEN 'flu' ELSE dx END"),
        ] {
            let later = desk(snapshot, hospital("los", dx).await);
            let with = later.ask(&count(&format!("{without} OR {TARGET}"))).await;
            assert_eq!(with, before, "{rules}: {snapshot}");
        }
        // So many more persons are others, and so are those of another store.
        let more = count("sex = 'F' OR dx = 'diabetes'");
        let with = count("sex = 'F'");
        for (snapshot, question) in [("store/4", more), ("other/1", with)] {
            let later = desk(snapshot, emr()).ask(&question).await;
            assert_eq!(later, Desk::new(rules).ask(&question).await, "{rules}");
        }
    }
}
