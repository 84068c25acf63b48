//! Joins with few rows of a table without persons become conditions on the records: the answers are those of the stock
//! engine, which joins.

use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::behind_pseudonyms::plan;
use crate::by_person::{both_as, sorted};

/// Whether the join is gone, and the question.
const QUESTIONS: [(bool, &str); 19] = [
    (true, "SELECT a.id, a.kind FROM a JOIN h ON h.below = a.kind WHERE h.above = 1"),
    (true, "SELECT a.id, h.below FROM a JOIN h ON h.below = a.kind WHERE h.above = 1"),
    (true, "SELECT h.below, a.id FROM h JOIN a ON h.below = a.kind AND h.above = 3 AND a.value > 0"),
    (true, "SELECT h.below, count(*), count(DISTINCT a.person_id) FROM h JOIN a ON h.below = a.kind WHERE h.above = 0 GROUP BY h.below"),
    (true, "SELECT a.id FROM a JOIN h ON h.below = a.kind WHERE h.above = 4"),
    (true, "SELECT a.id FROM a JOIN h ON h.below = a.kind WHERE h.above = 99"),
    (true, "SELECT a.id FROM a WHERE kind IN (SELECT below FROM h WHERE above = 2)"),
    (true, "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM h WHERE h.below = a.kind AND h.above = 3)"),
    (true, "SELECT a.id FROM a JOIN (SELECT DISTINCT below FROM h WHERE above > 1) d ON d.below = a.kind"),
    (true, "SELECT a.id FROM a JOIN (SELECT x.below FROM h x JOIN h y ON x.above = y.below WHERE y.above = 0) d ON d.below = a.kind"),
    (true, "WITH f AS (SELECT a.person_id, min(a.day) AS day FROM a JOIN h ON h.below = a.kind WHERE h.above = 1 GROUP BY a.person_id)
     SELECT f.person_id, f.day, count(b.id) FROM f LEFT JOIN b ON b.person_id = f.person_id AND b.day >= f.day GROUP BY f.person_id, f.day"),
    (true, "SELECT a.id, b.id FROM a JOIN b ON a.person_id = b.person_id AND a.day = b.day JOIN h ON h.below = b.kind WHERE h.above = 1"),
    // Each record comes twice.
    (false, "SELECT a.id FROM a JOIN h ON h.below = a.kind WHERE h.above = 2"),
    (false, "SELECT a.id, h.name FROM a JOIN h ON h.below = a.kind WHERE h.above IN (1, 2)"),
    (false, "SELECT a.id, h.above FROM a JOIN h ON h.below = a.kind AND h.above < a.kind"),
    (false, "SELECT a.id, h.below FROM a LEFT JOIN h ON h.below = a.kind AND h.above = 1"),
    (false, "SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM h WHERE h.below = a.kind AND h.above = 1)"),
    (false, "SELECT a.id FROM a WHERE kind NOT IN (SELECT below FROM h WHERE above = 3)"),
    (false, "SELECT a.id FROM a JOIN h ON h.below = a.kind"),
];

async fn compare(people: i64, most: u64, seed: u64, persons_per_bucket: u64) {
    let both = both_as(people, most, seed, persons_per_bucket, |_| None).await;
    for (gone, question) in QUESTIONS {
        let expected = sorted(&both.stock, question).await;
        for ctx in &both.ours {
            // A second time, when the list is known.
            for _ in 0..2 {
                let found = sorted(ctx, question).await;
                assert!(
                    found == expected,
                    "seed {seed}, {people} people, {persons_per_bucket} in a bucket: {question}\n{}",
                    plan(ctx, question).await
                );
            }
            let plan = plan(ctx, question).await;
            assert_eq!(gone, !reads_h(ctx, question).await, "{question}\n{plan}");
        }
    }
}

/// Whether the table is read when the question runs.
async fn reads_h(ctx: &SessionContext, question: &str) -> bool {
    plan(ctx, question).await.contains("tables/h/")
}

#[test]
fn answers_are_those_of_a_join() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(4));
    runner
        .run(
            &(
                1i64..40,
                1u64..30,
                any::<u64>(),
                prop_oneof![Just(5), Just(1000)],
            ),
            |(people, most, seed, persons_per_bucket)| {
                runtime.block_on(compare(people, most, seed, persons_per_bucket));
                Ok(())
            },
        )
        .unwrap();
}

/// Its concepts lie together in the copy, which is read for them.
#[tokio::test(flavor = "multi_thread")]
async fn copies_are_read_for_them() {
    let both = both_as(90, 12, 77, 1000, |_| None).await;
    let question = "SELECT a.id FROM a JOIN h ON h.below = a.kind WHERE h.above = 0";
    let plan = plan(&both.ours[1], question).await;
    assert!(plan.contains("projections/a/by_kind/"), "{plan}");
}
