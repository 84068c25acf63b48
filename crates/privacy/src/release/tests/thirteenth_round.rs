//! A thirteenth round of attacks that are in no list: what a number says of how many persons there are, and not of who.

use super::fifth_round::{TARGET, both};

/// The mean of two values says how many persons have each; with two counts of these and of others, it would say whether one person
/// more is in one of them. Asked for in any order, and of three values.
#[tokio::test]
async fn means_of_two_values_are_counts() {
    let los = |between: &str| {
        format!(
            "CASE WHEN pid BETWEEN 100 AND 169 THEN CASE WHEN pid % 2 = 0 THEN 1028 {between} ELSE 1012 END
                  WHEN pid BETWEEN 200 AND 271 THEN CASE WHEN pid % 3 > 0 THEN 2027 ELSE 2011 END ELSE los END"
        )
    };
    let two = los("");
    // Values of few, and a third one that is counted.
    let others = los("WHEN pid < 105 THEN 1013 WHEN pid % 3 = 0 THEN 1016");
    for (rules, los) in [
        ("sacro", &two),
        ("cms", &two),
        ("datashield", &two),
        ("sacro", &others),
    ] {
        let ask = |what: &str, of: &str| format!("SELECT {what} FROM emr WHERE {of}");
        let questions = [
            ask("count(*)", "los BETWEEN 1000 AND 1999"),
            ask("count(*)", "los BETWEEN 2000 AND 2999"),
            ask("count(*)", "los = 1016"),
            ask("avg(los)", "los BETWEEN 1000 AND 1999"),
            ask("avg(los)", "los BETWEEN 2000 AND 2999"),
            ask("count(*)", "los < 1000 OR los = 1028"),
            ask(
                "count(*)",
                &format!("los < 1000 AND NOT {TARGET} OR los = 2027"),
            ),
        ];
        let of_values = [ask("count(*)", "los = 1028"), ask("count(*)", "los = 2027")];
        for order in [
            [0, 1, 2, 3, 4, 5, 6],
            [5, 6, 0, 1, 2, 3, 4],
            [3, 5, 0, 2, 6, 4, 1],
        ] {
            let asked = order.map(|at| questions[at].clone());
            let asked = [&asked[..], &of_values].concat();
            let told = both(rules, los, &asked).await.map(|seen| {
                let of = |question: usize| {
                    let place = order.iter().position(|at| *at == question).unwrap();
                    seen[place][0]
                };
                // How many have the upper value, less the third one's.
                let third = if *los == others { of(2)? } else { 0.0 };
                let first = (of(3)? - 1_012.0) * of(0)? - 4.0 * third;
                let second = (of(4)? - 2_011.0) * of(1)?;
                let upper = |sum: f64| (sum / 16.0).round();
                // By the means, and by the counts of values after them.
                let apart = of(5)? - of(6)?;
                let by_counts = seen[7][0].zip(seen[8][0]).map(|(a, b)| apart - a + b);
                Some((apart - upper(first) + upper(second), by_counts))
            });
            assert_eq!(told[0], told[1], "{rules}: {asked:?}");
            assert!(told[0].is_some() || *los == others, "{rules}: {asked:?}");
        }
        // Siblings: the numbers of each value, and their mean, are what they are.
        let numbers = [
            (ask("avg(los)", "los BETWEEN 2000 AND 2999"), 2_021.7),
            (ask("count(*)", "los = 2027"), 48.0),
            (ask("count(*)", "los = 2011"), 24.0),
        ];
        // Of two persons of 1013 nothing follows.
        let of_three = [
            (ask("avg(los)", "los BETWEEN 1000 AND 1999"), 1_020.7),
            (ask("count(*)", "los = 1012"), 22.0),
            (ask("count(*)", "los = 1016"), 11.0),
            (ask("count(*)", "los = 1028"), 35.0),
        ];
        let several = if *los == others {
            &of_three[..]
        } else {
            &numbers
        };
        for first in 0..several.len() {
            let mut asked = several.to_vec();
            asked.rotate_left(first);
            let questions: Vec<String> = asked.iter().map(|(sql, _)| sql.clone()).collect();
            let [_, without] = both(rules, los, &questions).await;
            for ((sql, expected), row) in asked.iter().zip(without) {
                let number = row[0].unwrap_or(f64::NAN);
                assert!(
                    (number - expected).abs() < 0.1,
                    "{rules}: {questions:?}: {sql} {number}"
                );
            }
        }
    }
}
