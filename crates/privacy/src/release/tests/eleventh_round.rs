//! An eleventh round of attacks that are in no list: what is left of whole numbers, and numbers that are not what they seem.

use super::desk::{Desk, emr};
use super::eighth_round::{PROFILES, both};
use super::fifth_round::TARGET;

/// Those that show counts as they are.
const EXACT: [&str; 4] = ["cms", "sacro", "ohdsi", "datashield"];

/// |A| + |B| − |A xor B| is twice |A and B|: it is odd where one more is in the last.
#[tokio::test]
async fn the_parity_of_counts_tells_of_nobody() {
    let others = "name <> 'name 7'";
    let (a, b) = ("sex = 'F'", "age < 55");
    let count = |rows: &str| format!("SELECT count(*) FROM emr WHERE {rows}");
    let questions = [
        count(&format!("{a} AND {others}")),
        count(&format!("{b} AND {others}")),
        count(&format!("({a}) <> ({b}) AND {others} OR {TARGET}")),
    ];
    for rules in EXACT {
        let [with, without] = both(rules, &questions).await;
        assert_eq!(with, without, "{rules}");
        assert_ne!(with[1], [""], "{rules}");
    }
    // Those of both are another number, which says how many are in one of them.
    let questions = [
        count(a),
        count(b),
        count(&format!("{a} AND {b}")),
        count(&format!("({a}) <> ({b})")),
    ];
    let [shown, _] = both("sacro", &questions).await;
    assert!(shown.iter().all(|rows| rows[0] != *""), "{shown:?}");
}

/// A cell that was asked for alone, without somebody, is shown in its table whether that one is in it or not.
#[tokio::test]
async fn a_cell_that_is_known_is_shown_in_its_table() {
    let table = "SELECT sex, hosp, dx, count(*) FROM emr WHERE name <> 'name 7' OR {TARGET} GROUP BY CUBE (sex, hosp, dx) ORDER BY 1, 2, 3"
        .replace("{TARGET}", TARGET);
    for (cell, row) in [
        ("sex = 'F' AND hosp = 'A'", "F|A||"),
        ("hosp = 'A'", "|A||"),
        ("dx = 'flu'", "||flu|"),
    ] {
        let alone = format!("SELECT count(*) FROM emr WHERE {cell} AND name <> 'name 7'");
        for rules in EXACT {
            for seen in both(rules, &[alone.clone(), table.clone()]).await {
                let found = seen[1].iter().find_map(|of| of.strip_prefix(row));
                assert_eq!(found, Some(seen[0][0].as_str()), "{rules}: {cell}");
            }
        }
    }
}

/// The mean of all lies among those of its groups, however many rows each person has and whatever was asked before.
#[tokio::test]
async fn the_mean_of_all_is_among_those_of_its_groups() {
    let rows = "FROM emr JOIN lab ON lab.pid = emr.pid";
    for rules in PROFILES {
        let desk = Desk::over(rules, emr());
        desk.ask("SELECT sex, avg(age) FROM emr GROUP BY ROLLUP (sex) ORDER BY 1")
            .await;
        let asked = format!("SELECT sex, avg(los) {rows} GROUP BY ROLLUP (sex) ORDER BY 1");
        let shown = desk.ask(&asked).await;
        let means: Vec<f64> = shown
            .iter()
            .filter_map(|row| row.rsplit('|').next()?.parse().ok())
            .collect();
        assert!(means.len() > 1, "{rules}: {shown:?}");
        assert!(
            means.iter().all(|mean| (10.0..22.0).contains(mean)),
            "{rules}: {shown:?}"
        );
    }
}

/// How many persons there are is no news of rows: rows of both kinds are those of one and of the other, persons are not.
#[tokio::test]
async fn persons_are_counted_where_their_rows_follow() {
    let (a, b) = ("kind = 'b' AND value > 90", "kind = 'a' AND value > 12");
    let count = |rows: &str| format!("SELECT count(DISTINCT pid) FROM lab WHERE {rows}");
    let questions = [count(&format!("{a} OR {b}")), count(a), count(b)];
    for rules in EXACT {
        let desk = Desk::over(rules, emr());
        for question in &questions {
            assert_ne!(desk.ask(question).await, [""], "{rules}: {question}");
        }
    }
}

/// Rows of groups are what they are by themselves, also where their total is known.
#[tokio::test]
async fn no_group_makes_up_for_how_others_are_counted() {
    for rules in ["cms", "sacro"] {
        let of = async |before: &[&str]| {
            let desk = Desk::over(rules, emr());
            for sql in before {
                desk.ask(sql).await;
            }
            desk.ask("SELECT days % 3, count(*) FROM visit GROUP BY 1 ORDER BY 1")
                .await
        };
        let alone = of(&[]).await;
        let beside = of(&["SELECT count(*) FROM visit"]).await;
        for (alone, beside) in alone.iter().zip(&beside) {
            assert!(
                alone == beside || beside.ends_with('|'),
                "{rules}: {alone} {beside}"
            );
        }
    }
}
