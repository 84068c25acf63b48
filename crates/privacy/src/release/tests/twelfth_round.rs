//! A twelfth round of attacks that are in no list: what is withheld for its margins, and persons who have margins of their own.

use super::desk::{Desk, emr};
use super::eighth_round::both;
use super::fifth_round::TARGET;

/// A cell that was empty in a table without somebody stays so in one with that one, whoever is in it.
#[tokio::test]
async fn what_margins_hide_stays_hidden() {
    let mut hidden = 0;
    for rules in ["cms", "sacro"] {
        for first in (22..69).step_by(9) {
            let rows = format!("age BETWEEN {first} AND 70");
            let questions = [
                format!(
                    "SELECT age % 9, sex, count(*) FROM emr WHERE {rows} AND name <> 'name 7' GROUP BY CUBE (age % 9, sex) ORDER BY 1, 2"
                ),
                format!(
                    "SELECT age % 9, sex, count(*) FROM emr WHERE {rows} AND (name <> 'name 7' OR {TARGET}) GROUP BY age % 9, sex ORDER BY 1, 2"
                ),
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
    assert!(hidden > 20, "{hidden}");
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
