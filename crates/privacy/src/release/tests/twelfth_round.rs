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
    // Of the band 3 each sex has fewer than ten; of the smallest band, which follows from the others, there is one sex.
    let sql = "SELECT age % 7, sex, count(*) FROM emr
               WHERE age % 7 NOT IN (3, 5) OR age % 7 = 3 AND age < CASE sex WHEN 'F' THEN 37 ELSE 50 END OR age % 7 = 5 AND age < 41 AND sex = 'F'
               GROUP BY CUBE (age % 7, sex) ORDER BY 1, 2";
    let shown = desk.ask(sql).await;
    let listed = |key: &str| shown.iter().any(|row| row.starts_with(key));
    assert!(
        listed("3||") && !listed("3|F|") && !listed("3|M|"),
        "{shown:?}"
    );
    let filled = shown.iter().filter(|row| !row.ends_with('|')).count();
    assert!(filled > 5, "{shown:?}");
}

/// Persons of small groups lie anywhere below the threshold by what is shown of persons, however their rows are spread.
#[tokio::test]
async fn persons_have_margins_of_their_own() {
    let mut narrow = 0;
    for (rules, k) in [("cms", 11), ("sacro", 10)] {
        for (table, least) in ["lab", "visit"]
            .into_iter()
            .flat_map(|table| (20..60).step_by(4).map(move |least| (table, least)))
        {
            let desk = Desk::over(rules, emr());
            let sql = format!(
                "SELECT age % 5, zip, count(DISTINCT emr.pid) FROM emr JOIN {table} ON {table}.pid = emr.pid WHERE age > {least}
                 GROUP BY ROLLUP (age % 5, zip) ORDER BY 1, 2"
            );
            let shown = desk.ask(&sql).await;
            for band in 0..5 {
                let of = |key: &str| {
                    shown
                        .iter()
                        .find_map(|row| row.strip_prefix(&format!("{band}|{key}|")))
                };
                let number = |text: &str| text.parse::<i64>().ok();
                let Some(total) = of("").and_then(number) else {
                    continue;
                };
                let zips: Vec<Option<&str>> = (0..7).map(|zip| of(&format!("{zip:05}"))).collect();
                let listed: Option<i64> = zips.iter().flatten().map(|text| number(text)).sum();
                let unlisted = zips.iter().filter(|zip| zip.is_none()).count() as i64;
                // Where all others have the most that they can, the last one has somebody still.
                if let (Some(listed), true) = (listed, unlisted > 0)
                    && total - listed > (k - 1) * (unlisted - 1)
                {
                    narrow += 1;
                }
            }
        }
    }
    assert_eq!(narrow, 0);
}
