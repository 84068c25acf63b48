//! A twelfth round of attacks that are in no list: what is withheld for its margins, and persons who have margins of their own.

use super::desk::{Desk, emr};
use super::eighth_round::both;
use super::fifth_round::TARGET;

/// What is empty beside an earlier table without somebody is so whether that one is in it or not: cells after margins, margins after
/// cells, and cells that margins hid.
#[tokio::test]
async fn what_an_earlier_table_empties_tells_of_nobody() {
    let levels = ["CUBE (age % 9, sex)", "age % 9, sex", "age % 9"];
    for (first, then, least) in [(0, 1, 20), (2, 1, 10), (1, 2, 0)] {
        let mut hidden = 0;
        for rules in ["cms", "sacro"] {
            for youngest in (22..69).step_by(9) {
                let ask = |level: usize, who: &str| {
                    let shown = if level == 2 { "" } else { ", sex" };
                    format!(
                        "SELECT age % 9{shown}, count(*) FROM emr WHERE age BETWEEN {youngest} AND 70 AND ({who})
                         GROUP BY {} ORDER BY 1, 2",
                        levels[level]
                    )
                };
                let questions = [
                    ask(first, "name <> 'name 7'"),
                    ask(then, &format!("name <> 'name 7' OR {TARGET}")),
                ];
                let [with, without] = both(rules, &questions).await;
                let empty = |seen: &[Vec<String>]| -> Vec<bool> {
                    seen[1].iter().map(|row| row.ends_with('|')).collect()
                };
                assert_eq!(
                    empty(&with),
                    empty(&without),
                    "{rules}: {with:?} {without:?}"
                );
                hidden += empty(&with).into_iter().filter(|empty| *empty).count();
            }
        }
        assert!(hidden >= least, "{hidden}");
    }
}

/// Two groups that are not listed, of a margin that is, have somebody each by that alone. No other number is withheld for it.
#[tokio::test]
async fn what_is_listed_empties_nothing() {
    let desk = Desk::over("sacro", emr());
    let sql = "SELECT age % 7, sex, count(*) FROM emr WHERE age % 7 <> 3 OR age < 37 GROUP BY CUBE (age % 7, sex) ORDER BY 1, 2";
    let shown = desk.ask(sql).await;
    let empty = shown.iter().filter(|row| row.ends_with('|')).count();
    assert!(empty < shown.len() / 2, "{shown:?}");
}

/// Persons of small groups lie anywhere below the threshold by what is shown of persons, however their rows are spread.
#[tokio::test]
async fn persons_have_margins_of_their_own() {
    for rules in ["cms", "sacro"] {
        for least in [30, 40, 50, 60, 70, 80] {
            let desk = Desk::over(rules, emr());
            let sql = format!(
                "SELECT age % 5, sex, count(DISTINCT emr.pid) FROM emr JOIN lab ON lab.pid = emr.pid WHERE age > {least}
                 GROUP BY ROLLUP (age % 5, sex) ORDER BY 1, 2"
            );
            let shown = desk.ask(&sql).await;
            for band in 0..5 {
                // Of a band and of both sexes in it: listed or not, and with a number or not.
                let of = |key: &str| {
                    let key = format!("{band}|{key}|");
                    let found = shown.iter().find_map(|row| row.strip_prefix(&key));
                    found.map(|number| !number.is_empty())
                };
                let parts = [of("F"), of("M")];
                let known = parts.iter().filter(|part| **part == Some(true)).count();
                assert!(
                    of("") != Some(true) || !parts.contains(&None) || known == 0,
                    "{rules} {least} {band}: {shown:?}"
                );
            }
        }
    }
}
