//! An attacker with a seed, who asks for many counts and tries to subtract its way to a few persons.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::desk::{Desk, emr, tables};

/// Numbers that look random and are the same in each run: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn condition(&mut self) -> String {
        match self.below(9) {
            0 => format!("age < {}", 20 + self.below(70)),
            1 => format!(
                "age BETWEEN {a} AND {b}",
                a = 20 + self.below(40),
                b = 50 + self.below(40)
            ),
            2 => ["sex = 'F'", "sex = 'M'"][usize::try_from(self.below(2)).unwrap()].to_owned(),
            3 => format!("zip <> '{:05}'", self.below(7)),
            4 => format!("los <= {}", 1 + self.below(30)),
            5 => [
                "dx = 'flu'",
                "dx <> 'rare'",
                "dx = 'diabetes'",
                "hosp <> 'C'",
            ][usize::try_from(self.below(4)).unwrap()]
            .to_owned(),
            6 => format!("name <> 'name {}'", 1 + self.below(400)),
            7 => format!("NOT (age = {} AND sex = 'M')", 20 + self.below(70)),
            _ => format!("cost > {}", 100 + self.below(900)),
        }
    }

    fn conditions(&mut self) -> String {
        let first = self.condition();
        match self.below(4) {
            0 => first,
            1 => format!("{first} AND {}", self.condition()),
            2 => format!("({first} OR {})", self.condition()),
            _ => format!("{first} AND {} AND {}", self.condition(), self.condition()),
        }
    }
}

/// The persons that a condition selects, as the attacker must not know them.
async fn truth(ctx: &datafusion::prelude::SessionContext, condition: &str) -> BTreeSet<i64> {
    let batches: Vec<RecordBatch> = ctx
        .sql(&format!("SELECT pid FROM emr WHERE {condition}"))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect()
}

type Known = Vec<(BTreeSet<i64>, f64)>;

async fn attack(rules: &str, seed: u64, questions: usize) -> (Known, usize) {
    let desk = Desk::new(rules);
    let ctx = tables(emr());
    let mut dice = Dice(seed);
    let mut known: Known = Vec::new();
    let mut asked = 0;
    for _ in 0..questions {
        // Pairs and trackers around the same conditions are what subtracts best.
        let (a, b) = (dice.conditions(), dice.conditions());
        for condition in [
            a.clone(),
            b.clone(),
            format!("({a} OR {b})"),
            format!("({a}) AND NOT ({b})"),
        ] {
            asked += 1;
            let rows = desk
                .ask(&format!("SELECT count(*) FROM emr WHERE {condition}"))
                .await;
            if let Ok(number) = rows[0].parse::<f64>() {
                known.push((truth(&ctx, &condition).await, number));
            }
        }
    }
    (known, asked)
}

#[tokio::test]
async fn exact_counts_never_subtract_to_a_few_persons() {
    const K: usize = 11;
    let mut answered = 0;
    for seed in [1, 42, 20_261_126] {
        let (known, asked) = attack("cms", seed, 22).await;
        assert!(
            known.len() * 3 > asked,
            "an attacker who gets no answer proves nothing: {} of {asked}",
            known.len()
        );
        answered += known.len();
        for (i, (a, of_a)) in known.iter().enumerate() {
            for (b, of_b) in &known[..i] {
                let few = a.symmetric_difference(b).count();
                let nested = a.is_subset(b) || b.is_subset(a);
                if (1..K).contains(&few) && nested {
                    assert_ne!(
                        (of_a - of_b).abs(),
                        few as f64,
                        "a pair tells of {few} persons"
                    );
                }
            }
        }
        // A + B − (A or B) for all triples that are one.
        for (i, (a, of_a)) in known.iter().enumerate() {
            for (b, of_b) in &known[..i] {
                let either: BTreeSet<i64> = a.union(b).copied().collect();
                let both = a.intersection(b).count();
                if !(1..K).contains(&both) {
                    continue;
                }
                for (c, of_c) in &known {
                    if *c == either && *c != *a && *c != *b {
                        assert_ne!(
                            of_a + of_b - of_c,
                            both as f64,
                            "a tracker tells of {both} persons"
                        );
                    }
                }
            }
        }
        // A − B − (A and not B): what is left of a whole without its parts.
        for (a, of_a) in &known {
            for (b, of_b) in &known {
                let left: BTreeSet<i64> = a.difference(b).copied().collect();
                for (c, of_c) in &known {
                    let rest: BTreeSet<i64> = left.difference(c).copied().collect();
                    if b.is_subset(a) && c.is_subset(&left) && (1..K).contains(&rest.len()) {
                        assert_ne!(
                            of_a - of_b - of_c,
                            rest.len() as f64,
                            "parts tell of {} persons",
                            rest.len()
                        );
                    }
                }
            }
        }
    }
    assert!(answered > 100, "{answered}");
}

#[tokio::test]
async fn answers_are_near_the_truth() {
    // What protects must not make answers useless: shown numbers are within the noise that is stated.
    for (rules, step) in [("cms", 0.0), ("opensafely", 2.5)] {
        let (known, _) = attack(rules, 7, 20).await;
        for (persons, shown) in known {
            let size = persons.len() as f64;
            let stated = step + 5.0_f64.max(2.0).max(size / 50.0);
            assert!(
                (shown - size).abs() <= stated,
                "{shown} for {size} ({rules})"
            );
        }
    }
}

#[tokio::test]
async fn one_persons_disease_cannot_be_asked_for() {
    // The attacker knows everything of a person but the diagnosis, and tries each question that would differ by it.
    for (rules, diagnosis) in [("cms", "rare"), ("opensafely", "rare")] {
        let mut answers: Vec<Vec<String>> = Vec::new();
        for has in [true, false] {
            let mut batch = emr();
            if !has {
                // The same hospital in which person 7 has the flu.
                let ctx = tables(emr());
                let sql = "SELECT pid, name, age, sex, zip, CASE WHEN pid = 7 THEN 'flu' ELSE dx END AS dx, hosp,
                           place_id, concept_id, los, cost, died, admitted FROM emr";
                let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
                batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
            }
            let desk = Desk::over(rules, batch);
            let mut seen = Vec::new();
            for condition in [
                "TRUE".to_owned(),
                format!("NOT (name = 'name 7' AND dx = '{diagnosis}')"),
                format!("name = 'name 7' AND dx = '{diagnosis}'"),
                format!("name <> 'name 7' OR dx = '{diagnosis}'"),
                "hosp = 'A'".to_owned(),
                format!("hosp = 'A' AND NOT (name = 'name 7' AND dx = '{diagnosis}')"),
            ] {
                for number in ["count(*)", "avg(cost)", "count(DISTINCT pid)"] {
                    let rows = desk
                        .ask(&format!("SELECT {number} FROM emr WHERE {condition}"))
                        .await;
                    seen.push(format!("{number} {condition}: {rows:?}"));
                }
            }
            answers.push(seen);
        }
        assert_eq!(answers[0], answers[1], "{rules}");
    }
}
