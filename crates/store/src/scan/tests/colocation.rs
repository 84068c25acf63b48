//! Co-located plans give the rows of the plain plan, whatever the layout and the settings.

use std::sync::Arc;

use object_store::memory::InMemory;
use proptest::prelude::*;

use super::clinic::{Settings, Shape, plan, rows};

/// Every kind of join, aggregate, window and union, by person and by other keys.
const QUERIES: &[&str] = &[
    "SELECT p.person_id, p.sex, c.cond_id FROM person p JOIN cond c ON p.person_id = c.person_id",
    "SELECT p.person_id, c.cond_id FROM person p LEFT JOIN cond c ON p.person_id = c.person_id",
    "SELECT c.person_id, d.drug_id, c.cond_id FROM cond c FULL JOIN drug d ON c.person_id = d.person_id",
    "SELECT person_id, sex FROM person p WHERE EXISTS (SELECT 1 FROM cond c WHERE c.person_id = p.person_id)",
    "SELECT person_id, sex FROM person p WHERE NOT EXISTS (SELECT 1 FROM drug c WHERE c.person_id = p.person_id)",
    "SELECT person_id FROM cond WHERE person_id NOT IN (SELECT subject_id FROM cohort)",
    "SELECT person_id, count(*), min(cond_date), max(cond_concept) FROM cond GROUP BY person_id",
    "SELECT person_id, cond_concept, count(*) FROM cond GROUP BY person_id, cond_concept",
    "SELECT cond_concept, count(*), count(DISTINCT person_id) FROM cond GROUP BY cond_concept",
    "SELECT p.sex, count(*), count(DISTINCT c.person_id) FROM person p JOIN cond c USING (person_id) GROUP BY p.sex",
    "SELECT person_id, cond_id, lag(cond_date) OVER (PARTITION BY person_id ORDER BY cond_date, cond_id) FROM cond",
    "SELECT person_id, cond_id, row_number() OVER (ORDER BY person_id, cond_date, cond_id) FROM cond",
    "SELECT person_id, count(*) FROM (SELECT person_id FROM cond UNION ALL SELECT person_id FROM drug) GROUP BY person_id",
    "SELECT person_id FROM cond UNION SELECT subject_id FROM cohort",
    "SELECT c.person_id, n.name, count(*) FROM cond c JOIN concept n ON c.cond_concept = n.concept_id GROUP BY c.person_id, n.name",
    "SELECT l.other_id, p.sex FROM link l JOIN person p ON l.person_id = p.person_id",
    "SELECT p.person_id, c.cond_id FROM person p JOIN cond c ON c.cond_concept = p.person_id",
    "SELECT c.person_id, d.drug_id FROM cond c JOIN drug d ON c.person_id = d.person_id AND c.cond_concept = d.drug_concept",
    "SELECT h.subject_id, c.cond_id FROM cohort h JOIN cond c ON h.subject_id = c.person_id JOIN person p ON p.person_id = h.subject_id WHERE p.sex = 1",
    "SELECT person_id, cond_id FROM cond WHERE person_id IN (3, 8, 21) OR cond_concept = 4",
    "SELECT p.person_id, c.n, d.n FROM person p LEFT JOIN (SELECT person_id, count(*) AS n FROM cond GROUP BY 1) c USING (person_id) LEFT JOIN (SELECT person_id, count(*) AS n FROM drug GROUP BY 1) d USING (person_id)",
    "SELECT c.person_id + 1, count(*) FROM cond c JOIN link l ON c.person_id + 1 = l.other_id GROUP BY 1",
    "SELECT sex, person_id, count(*) FROM person GROUP BY ROLLUP (sex, person_id)",
    "SELECT count(*), min(person_id), max(person_id), count(note) FROM cond",
    "SELECT person_id, cond_id FROM cond ORDER BY person_id DESC, cond_date DESC, cond_id DESC LIMIT 5",
    "SELECT person_id, note FROM cond WHERE note LIKE 'v1%' AND cond_date > DATE '1970-02-01'",
];

async fn check(shape: &Shape, settings: &[Settings]) {
    let (store, snapshot) = shape.store(Arc::new(InMemory::new())).await;
    let plain = shape.plain();
    for query in QUERIES {
        let expected = rows(&plain, query).await;
        for settings in settings {
            let ctx = settings.session(&store, &snapshot);
            let found = rows(&ctx, query).await;
            assert!(
                found == expected,
                "{query}\n{settings:?}\n{shape:?}\n{} rows instead of {}\n{}",
                found.len(),
                expected.len(),
                plan(&ctx, query).await
            );
        }
    }
}

fn every_setting() -> Vec<Settings> {
    let mut all = Vec::new();
    for target_partitions in [1, 2, 3, 8] {
        for (pushdown_filters, collect_small, prefer_hash_join) in [
            (false, false, true),
            (true, false, true),
            (true, false, false),
            (false, true, true),
        ] {
            all.push(Settings {
                target_partitions,
                pushdown_filters,
                collect_small,
                prefer_hash_join,
            });
        }
    }
    all
}

/// Forty persons in buckets of five, with a hole: nobody of the third bucket has a condition.
fn with_a_hole() -> Shape {
    Shape {
        persons: (0..40).collect(),
        rows: (0..40)
            .map(|p: usize| {
                if (10..15).contains(&p) {
                    [0, 1, 0]
                } else {
                    [p % 5, p % 3, p % 2]
                }
            })
            .collect(),
        persons_per_bucket: 5,
        row_group_rows: 16,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_those_of_the_plain_plan_under_every_setting() {
    check(&with_a_hole(), &every_setting()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_buckets_in_a_partition() {
    // 25 buckets, of which two threads read eight groups.
    let shape = Shape {
        persons: (0..100).map(|p| p * 3 - 50).collect(),
        rows: (0..100)
            .map(|p: usize| [p % 4, (p / 7) % 3, usize::from(p.is_multiple_of(9))])
            .collect(),
        persons_per_bucket: 4,
        row_group_rows: 8,
    };
    let settings = every_setting();
    check(&shape, &settings[4..8]).await;
}

fn shapes() -> impl Strategy<Value = Shape> {
    let person = (-40i64..120, [0usize..5, 0usize..4, 0usize..3]);
    (
        proptest::collection::vec(person, 1..60),
        1u64..20,
        1usize..40,
    )
        .prop_map(|(people, persons_per_bucket, row_group_rows)| {
            let people: std::collections::BTreeMap<i64, [usize; 3]> = people.into_iter().collect();
            let (persons, rows) = people.into_iter().unzip();
            Shape {
                persons,
                rows,
                persons_per_bucket,
                row_group_rows,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]
    #[test]
    fn rows_are_those_of_the_plain_plan(shape in shapes(), setting in 0usize..16) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(check(&shape, &every_setting()[setting..=setting]));
    }
}

const HASH: Settings = Settings {
    target_partitions: 2,
    pushdown_filters: false,
    collect_small: false,
    prefer_hash_join: true,
};

async fn plans(shape: &Shape, settings: Settings, query: &str) -> String {
    let (store, snapshot) = shape.store(Arc::new(InMemory::new())).await;
    plan(&settings.session(&store, &snapshot), query).await
}

/// What may not be in the plan of work that is done person by person.
fn assert_stays_in_place(plan: &str) {
    for operator in ["RepartitionExec", "SortExec", "CoalescePartitionsExec"] {
        assert!(!plan.contains(operator), "{operator} in\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_by_person_moves_and_sorts_nothing() {
    for settings in [2, 3, 16].map(|target_partitions| Settings {
        target_partitions,
        ..HASH
    }) {
        for query in [
            QUERIES[0],
            QUERIES[1],
            QUERIES[3],
            QUERIES[6],
            QUERIES[7],
            QUERIES[10],
            QUERIES[20],
        ] {
            let plan = plans(&with_a_hole(), settings, query).await;
            assert_stays_in_place(&plan);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_survives_several_files_in_a_partition() {
    let shape = Shape {
        persons_per_bucket: 1,
        ..with_a_hole()
    };
    let plan = plans(&shape, HASH, QUERIES[10]).await;
    assert_stays_in_place(&plan);
    assert!(plan.contains("file_groups={8 groups"), "{plan}");
    assert!(plan.contains("BoundedWindowAggExec"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_with_unbucketed_tables_move_both_sides() {
    let plan = plans(&with_a_hole(), HASH, QUERIES[15]).await;
    assert_eq!(
        plan.matches("RepartitionExec: partitioning=Hash").count(),
        2,
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_join_needs_no_sort() {
    let settings = Settings {
        prefer_hash_join: false,
        ..HASH
    };
    let plan = plans(&with_a_hole(), settings, QUERIES[0]).await;
    assert!(plan.contains("SortMergeJoinExec"), "{plan}");
    assert_stays_in_place(&plan);
}
