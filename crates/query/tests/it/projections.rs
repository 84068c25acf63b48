//! Copies in the order of another column: whoever asks, and whatever stands above the scan, the answers are those of the
//! stock engine over the rows themselves.

use datafusion::prelude::SessionContext;

use crate::by_person::{both_as, sorted};
use crate::fixture;
use crate::{behind_pseudonyms, by_person};

/// An odd seed makes the copies.
const SEED: u64 = 77;

/// Filters by the kind below everything that is done by person.
const QUESTIONS: [&str; 18] = [
    "SELECT * FROM a WHERE kind = 1",
    "SELECT count(*), count(value), min(day), max(day) FROM a WHERE kind = 1",
    "SELECT count(*) FROM a WHERE kind = 1 AND value > 0",
    "SELECT id, day FROM a WHERE kind IN (0, 2) AND day > DATE '1970-01-03'",
    "SELECT id, day FROM a WHERE kind >= 1 AND kind < 2",
    "SELECT id FROM a WHERE kind = 7 OR kind = 8",
    "SELECT id, row_number() OVER w, lag(day) OVER w, sum(value) OVER w FROM a WHERE kind = 2
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id)",
    "SELECT id, row_number() OVER w, lag(day) OVER w FROM a WHERE kind IN (1, 7, 8, 9, 10)
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id)",
    "SELECT person_id, count(*), min(day), max(value) FROM a WHERE kind = 0 GROUP BY person_id",
    "SELECT person_id, kind, count(*) FROM a WHERE kind IN (0, 7, 8, 9) GROUP BY person_id, kind",
    "SELECT count(DISTINCT person_id) FROM a WHERE kind = 0",
    "SELECT a.id, b.id FROM a JOIN b ON a.person_id = b.person_id AND b.day <= a.day WHERE a.kind = 1 AND b.kind = 2",
    "SELECT a.id, b.id FROM a LEFT JOIN (SELECT * FROM b WHERE kind = 1) b ON a.person_id = b.person_id AND a.day = b.day",
    "SELECT a.id FROM a WHERE kind = 2 AND NOT EXISTS (SELECT 1 FROM b WHERE b.person_id = a.person_id AND b.kind = 0)",
    "WITH f AS (SELECT person_id, min(day) AS day FROM a WHERE kind = 1 GROUP BY person_id)
     SELECT f.person_id, f.day, count(b.id) FROM f LEFT JOIN b ON b.person_id = f.person_id AND b.day >= f.day
     AND b.kind IN (2, 7) GROUP BY f.person_id, f.day",
    "SELECT x.id, y.id FROM a x JOIN a y ON x.person_id = y.person_id AND y.kind = 2 WHERE x.kind = 0 AND y.day > x.day",
    "SELECT person_id, count(*) FROM (SELECT person_id FROM a WHERE kind = 1 UNION ALL SELECT person_id FROM b WHERE kind = 2) x
     GROUP BY person_id",
    "SELECT kind, median(value), count(*) FROM a WHERE kind = 1 GROUP BY kind",
];

/// What goes by person and kind, and then by anything but the person: each goes through the copy.
const BY_KIND: [&str; 9] = [
    "WITH reached AS (SELECT person_id, kind, day, id, max(day) OVER (PARTITION BY person_id, kind ORDER BY day, id
       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach FROM a),
     numbered AS (SELECT *, sum(CASE WHEN reach IS NULL OR day - reach > 3 THEN 1 ELSE 0 END)
       OVER (PARTITION BY person_id, kind ORDER BY day, id ROWS UNBOUNDED PRECEDING) AS era FROM reached),
     eras AS (SELECT person_id, kind, era, min(day) AS f, max(day) AS l, count(*) AS n FROM numbered GROUP BY 1, 2, 3)
     SELECT kind, count(*), count(DISTINCT person_id), sum(l - f + 1), sum(n) FROM eras GROUP BY kind",
    "SELECT kind, gap, count(*) FROM (SELECT kind, day - lag(day) OVER (PARTITION BY kind, person_id ORDER BY day) AS gap FROM a) x
     GROUP BY kind, gap",
    "SELECT day, count(*) FROM (SELECT day, row_number() OVER (PARTITION BY person_id, kind ORDER BY day DESC, id) AS n FROM a) x
     WHERE n = 1 GROUP BY day",
    "SELECT sum(n), count(*), max(n) FROM (SELECT person_id, kind, count(value) AS n FROM a GROUP BY person_id, kind) x",
    "SELECT kind, max(l - f), min(n) FROM (SELECT kind, person_id AS p, min(day) AS f, max(day) AS l, count(*) AS n
       FROM a WHERE kind IN (0, 2) AND value > -3 GROUP BY person_id, kind) x GROUP BY kind",
    "SELECT count(*) FROM (SELECT kind, person_id, value, max(value) OVER (PARTITION BY kind, person_id) AS m FROM a) x WHERE m = value",
    "SELECT kind, count(*) FROM (SELECT kind, sum(value) OVER (PARTITION BY person_id, kind ORDER BY value, id) AS s FROM a) x
     WHERE s > 3 GROUP BY kind",
    "SELECT day, kind, count(*) FROM (SELECT DISTINCT ON (person_id, kind) * FROM a ORDER BY person_id, kind, day, id) x GROUP BY 1, 2",
    "SELECT n, count(*) FROM (SELECT kind, person_id, day, count(*) AS n FROM a GROUP BY 1, 2, 3) x GROUP BY n",
];

/// What goes by the person as well, or by rows that are read twice.
const BY_PERSON: [&str; 4] = [
    "SELECT person_id, max(n) FROM (SELECT person_id, kind, count(*) AS n FROM a GROUP BY person_id, kind) x GROUP BY person_id",
    "SELECT day, count(DISTINCT person_id) FROM (SELECT person_id, day, row_number() OVER (PARTITION BY person_id, kind ORDER BY day, id) AS n
       FROM a) x GROUP BY day",
    "SELECT sum(n) FROM (SELECT kind, row_number() OVER (PARTITION BY person_id, kind, visit_id ORDER BY day) AS n FROM a WHERE person_id = 3) x",
    "WITH n AS (SELECT person_id, kind, count(*) AS n FROM a GROUP BY person_id, kind)
     SELECT max(n) FROM n UNION ALL SELECT count(*) FROM n JOIN n m ON n.person_id = m.person_id",
];

const RAW: &str = r#"
[[rules]]
tables = ["a", "b"]
filter = "value > -2.5"
columns = { id = "raw", person_id = "raw", day = "raw", kind = "raw", value = "raw" }
"#;

const PSEUDONYMS: &str = r#"
[[rules]]
tables = ["a", "b"]
filter = "kind < 2"
columns = { id = "raw", person_id = "pseudonym", day = "shift_date", kind = "raw", value = "raw" }
"#;

/// Kinds that are shown in coarse, so that no question of theirs is one about what is stored.
const COARSE: &str = r#"
[[rules]]
tables = ["a", "b"]
columns = { id = "raw", person_id = "raw", day = "raw", kind = { bin = 2 }, value = "raw" }
"#;

async fn same(both: &by_person::Both, what: &str) {
    for question in QUESTIONS {
        let expected = sorted(&both.stock, question).await;
        for (session, ctx) in both.ours.iter().enumerate() {
            let found = sorted(ctx, question).await;
            assert!(
                found == expected,
                "{what}, session {session}: {question}\n{} rows instead of {}\n{}",
                found.len(),
                expected.len(),
                behind_pseudonyms::plan(ctx, question).await
            );
        }
    }
}

async fn reads_copies(ctx: &SessionContext, question: &str) -> bool {
    let plan = behind_pseudonyms::plan(ctx, question).await;
    assert!(plan.contains("DataSourceExec"), "{plan}");
    plan.contains("projections/a/by_kind/")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_stock_engine() {
    for (people, most, persons_per_bucket) in [(40, 30, 5), (90, 12, 1000), (1, 3, 5)] {
        let both = both_as(people, most, SEED, persons_per_bucket, |_| None).await;
        same(&both, "steward").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restricted_roles_see_the_same_rows_as_without() {
    for policy in [RAW, PSEUDONYMS, COARSE] {
        let both = behind_pseudonyms::both(policy, 40, 25, SEED, 5).await;
        same(&both, policy).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_by_person_and_kind_reads_the_copy_without_a_sort() {
    for (people, most, persons_per_bucket) in [(60, 30, 2), (1, 3, 5), (4, 5000, 2)] {
        let both = both_as(people, most, SEED, persons_per_bucket, |_| None).await;
        for question in BY_KIND.into_iter().chain(BY_PERSON) {
            let expected = sorted(&both.stock, question).await;
            for ctx in &both.ours {
                assert_eq!(sorted(ctx, question).await, expected, "{question}");
            }
        }
    }
    let both = both_as(40, 30, SEED, 2, |_| None).await;
    let ctx = &both.ours[1];
    for question in BY_KIND {
        let plan = behind_pseudonyms::plan(ctx, question).await;
        assert!(plan.contains("projections/a/by_kind/"), "{plan}");
        assert!(plan.contains("InTurnExec: 20 partitions as 8"), "{plan}");
        // Each person's rows of a kind may be sorted further, and the groups of some partitions.
        let rows = plan.split("InTurnExec").last().unwrap_or_default();
        assert!(!rows.contains(" SortExec"), "{plan}");
    }
    let eras = behind_pseudonyms::plan(ctx, BY_KIND[0]).await;
    assert!(!eras.contains("SegmentSortExec"), "{eras}");
    assert!(eras.contains("count_runs"), "{eras}");
    assert!(eras.contains("SegmentAggregateExec"), "{eras}");
    for question in BY_PERSON {
        assert!(!reads_copies(ctx, question).await, "{question}");
    }
    // How rows lie is not told to restricted roles.
    let raw = behind_pseudonyms::both(RAW, 40, 25, SEED, 5).await;
    assert!(!reads_copies(&raw.ours[1], BY_KIND[0]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_kind_is_read_from_its_copy_and_in_the_order_of_persons() {
    let both = both_as(40, 30, SEED, 5, |_| None).await;
    let ctx = &both.ours[1];
    for (question, expected) in [(0, true), (1, true), (3, false), (5, true), (8, true)] {
        let question = QUESTIONS[question];
        assert_eq!(reads_copies(ctx, question).await, expected, "{question}");
    }
    let plan = behind_pseudonyms::plan(ctx, QUESTIONS[6]).await;
    assert!(plan.contains("SegmentWindowExec"), "{plan}");
    let plan = behind_pseudonyms::plan(ctx, QUESTIONS[15]).await;
    assert!(plan.contains("SegmentJoinExec"), "{plan}");
    for question in [6, 8, 11, 15] {
        let plan = behind_pseudonyms::plan(ctx, QUESTIONS[question]).await;
        assert!(plan.contains("projections/a/by_kind/"), "{plan}");
        for operator in ["RepartitionExec", " SortExec", "nSortExec"] {
            assert!(!plan.contains(operator), "{operator}: {plan}");
        }
    }
    // Several kinds lie one after the other: their order is not claimed, and made where it is needed.
    let plan = behind_pseudonyms::plan(ctx, QUESTIONS[7]).await;
    assert!(
        plan.contains("SortExec") || !plan.contains("projections/"),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_masked_chooses_no_copy() {
    let raw = behind_pseudonyms::both(RAW, 40, 25, SEED, 5).await;
    assert!(reads_copies(&raw.ours[1], QUESTIONS[0]).await);
    // How many rows there are must not show in the plan: as few values choose the copy, however many rows have them.
    assert!(reads_copies(&raw.ours[1], QUESTIONS[3]).await);
    let coarse = behind_pseudonyms::both(COARSE, 40, 25, SEED, 5).await;
    for question in [
        "SELECT * FROM a WHERE kind = 0",
        "SELECT id FROM a WHERE kind IN (0, 2)",
    ] {
        assert!(!reads_copies(&coarse.ours[1], question).await, "{question}");
    }
    // What a restricted role is shown of its plan names no file at all.
    let explained = coarse.ours[1]
        .sql("EXPLAIN SELECT * FROM a WHERE kind = 1")
        .await
        .unwrap();
    let explained = format!("{:?}", fixture::text(&explained.collect().await.unwrap()));
    assert!(!explained.contains("projections"), "{explained}");
}
