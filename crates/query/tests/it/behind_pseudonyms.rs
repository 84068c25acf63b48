//! Work by person behind pseudonyms, where rows lie person by person and no column shows it: what runs over them as they
//! lie answers as the stock engine does over a copy of what the principal sees.

use std::path::Path;
use std::sync::Arc;

use columna_privacy::pseudonym::ProjectKeys;
use columna_privacy::{Access, Policy, Principal, State};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::by_person::{Both, both_as, sorted};
use crate::fixture;
use crate::questions::QUESTIONS;

const HEAD: &str = r#"
version = 1
[projects.study]
[roles.analyst]
kind = "analyst"
purposes = ["research"]
projects = ["study"]
"#;

const MASKED: &str = r#"
[[rules]]
tables = ["a", "b"]
columns = { id = "pseudonym", person_id = "pseudonym", day = "shift_date", kind = "raw", value = "raw" }
"#;

/// One table's persons are pseudonyms and the other's are not: their parts are the same, and their numbers are not.
const HALF_MASKED: &str = r#"
[[rules]]
tables = ["a"]
columns = { id = "raw", person_id = "pseudonym", day = "shift_date", kind = "raw", value = "raw" }
[[rules]]
tables = ["b"]
columns = { id = "raw", person_id = "raw", day = "raw", kind = "raw", value = "raw" }
"#;

/// Where something besides a window goes by an order that a window was planned on.
const ORDERED: [&str; 12] = [
    "SELECT person_id, day, id, row_number() OVER w FROM a WINDOW w AS (PARTITION BY person_id ORDER BY day, id)
     ORDER BY person_id, day, id LIMIT 7 OFFSET 3",
    "SELECT count(*), sum(id % 1000), sum(n) FROM (SELECT id, row_number() OVER w AS n FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id) ORDER BY person_id, day, id LIMIT 1000 OFFSET 5) x",
    "SELECT sum(n), sum(id % 1000) FROM (SELECT id, row_number() OVER w AS n FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id) ORDER BY person_id, day, id LIMIT 5) x",
    "SELECT id, row_number() OVER (ORDER BY person_id, day, id), lag(day) OVER (PARTITION BY person_id ORDER BY day, id) FROM a",
    "SELECT id, sum(kind) OVER (ORDER BY person_id, day, id), lead(day) OVER (PARTITION BY person_id ORDER BY day, id) FROM a",
    "SELECT kind, array_agg(id ORDER BY person_id, day, id), first_value(n ORDER BY person_id, day, id) FROM (SELECT *,
     row_number() OVER (PARTITION BY person_id ORDER BY day, id) AS n FROM a) x GROUP BY kind",
    "SELECT person_id, array_agg(id ORDER BY day, id), max(n) FROM (SELECT *,
     row_number() OVER (PARTITION BY person_id ORDER BY day, id) AS n FROM a) x GROUP BY person_id",
    "SELECT id, day, row_number() OVER w, lag(day) OVER w FROM a WHERE person_id = (SELECT min(person_id) FROM a)
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id) ORDER BY day, id",
    "SELECT x.id, y.id, x.n FROM (SELECT *, row_number() OVER (PARTITION BY person_id ORDER BY day, id) AS n FROM a) x
     JOIN (SELECT *, row_number() OVER (PARTITION BY person_id ORDER BY day DESC, id) AS n FROM b) y
     ON x.person_id = y.person_id AND x.n = y.n",
    "SELECT count(DISTINCT person_id), count(*) FROM (SELECT person_id, row_number() OVER (PARTITION BY person_id ORDER BY day, id)
     AS n FROM a UNION ALL SELECT person_id, row_number() OVER (PARTITION BY person_id ORDER BY day, id) AS n FROM b) x WHERE n = 1",
    "SELECT max(person_id), min(person_id), count(DISTINCT id) FROM a WHERE person_id > 4611686018427387904",
    "SELECT a.kind, count(DISTINCT a.person_id), count(DISTINCT b.person_id) FROM a LEFT JOIN b ON a.person_id = b.id GROUP BY a.kind",
];

fn access(policy: &str, folder: &Path) -> Access {
    let policy = Policy::parse("policy.toml", &format!("{HEAD}{policy}")).unwrap();
    let key = ProjectKeys::from_key(&[7; 32], 365, false).unwrap();
    Access {
        policy: Arc::new(policy),
        principal: Principal::new("kim", "analyst", "research"),
        keys: Some(Arc::new(key)),
        epsilon: None,
        state: State::of("", Some(&folder.join("privacy"))).unwrap(),
    }
}

/// Our sessions for a principal, and the stock engine over what it sees.
pub(crate) async fn both(
    policy: &str,
    people: i64,
    most: u64,
    seed: u64,
    persons_per_bucket: u64,
) -> Both {
    let find = |folder: &Path| Some(access(policy, folder));
    let both = both_as(people, most, seed, persons_per_bucket, find).await;
    for table in ["a", "b"] {
        let frame = both.ours[0]
            .sql(&format!("SELECT * FROM {table}"))
            .await
            .unwrap();
        let schema = Arc::clone(frame.schema().inner());
        let seen = MemTable::try_new(schema, vec![frame.collect().await.unwrap()]).unwrap();
        both.stock.deregister_table(table).unwrap();
        both.stock.register_table(table, Arc::new(seen)).unwrap();
    }
    both
}

async fn compare(policy: &str, people: i64, most: u64, seed: u64, persons_per_bucket: u64) {
    let both = both(policy, people, most, seed, persons_per_bucket).await;
    // The first question numbers rows of a day as they come.
    for question in QUESTIONS.iter().skip(1).chain(&ORDERED) {
        let expected = sorted(&both.stock, question).await;
        for (session, ctx) in both.ours.iter().enumerate() {
            let found = sorted(ctx, question).await;
            if found != expected {
                eprintln!("{found:?}\n{expected:?}\n{}", plan(ctx, question).await);
                eprintln!("{}", plan(&both.stock, question).await);
            }
            assert!(
                found == expected,
                "session {session}, seed {seed}, {people} people of {most}, {persons_per_bucket} in a bucket: {question}"
            );
        }
    }
    // In order, and not only the same rows.
    let in_order = "SELECT person_id, day, id, row_number() OVER (PARTITION BY person_id ORDER BY day, id) FROM a
                    ORDER BY person_id, day, id";
    let rows = async |ctx: &SessionContext| {
        let frame = ctx.sql(in_order).await.unwrap();
        fixture::text(&frame.collect().await.unwrap())
    };
    let expected = rows(&both.stock).await;
    for ctx in &both.ours {
        assert!(rows(ctx).await == expected, "seed {seed}");
    }
}

#[test]
fn answers_are_those_of_the_stock_engine_over_what_is_seen() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(2));
    let cases = (
        prop_oneof![Just(MASKED), Just(MASKED), Just(HALF_MASKED)],
        1i64..40,
        1u64..30,
        any::<u64>(),
        prop_oneof![Just(5), Just(1000)],
    );
    runner
        .run(
            &cases,
            |(policy, people, most, seed, persons_per_bucket)| {
                runtime.block_on(compare(policy, people, most, seed, persons_per_bucket));
                Ok(())
            },
        )
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_policies_over_many_buckets() {
    for policy in [MASKED, HALF_MASKED] {
        compare(policy, 37, 23, 11, 5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_with_more_rows_than_a_chunk_stay_whole() {
    let both = both(MASKED, 3, 90_000, 4, 5).await;
    for question in &QUESTIONS[6..8] {
        let ours = sorted(&both.ours[1], question).await;
        assert!(ours == sorted(&both.stock, question).await, "{question}");
    }
}

/// The physical plan, which a principal is not shown.
pub(crate) async fn plan(ctx: &SessionContext, question: &str) -> String {
    let frame = ctx.state().create_logical_plan(question).await.unwrap();
    let plan = ctx.state().create_physical_plan(&frame).await.unwrap();
    displayable(plan.as_ref()).indent(true).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_neither_move_nor_sort_all_rows() {
    let both = both(MASKED, 30, 9, 1, 5).await;
    for (question, operators) in [
        (QUESTIONS[1], &["SegmentWindowExec", "ClusterSortExec"][..]),
        (QUESTIONS[6], &["SegmentWindowExec", "ClusterSortExec"]),
        (QUESTIONS[19], &["SegmentWindowExec", "ClusterSortExec"]),
        (QUESTIONS[11], &["ColocatedJoinExec"]),
        (QUESTIONS[22], &["ColocatedJoinExec"]),
    ] {
        let plan = plan(&both.ours[1], question).await;
        for operator in operators {
            assert!(plan.contains(operator), "no {operator}: {plan}");
        }
        for operator in ["RepartitionExec", " SortExec", "NumberSortExec"] {
            assert!(!plan.contains(operator), "{operator}: {plan}");
        }
    }
    for question in [37, 38, 40] {
        let plan = plan(&both.ours[1], QUESTIONS[question]).await;
        assert!(plan.contains("count_runs"), "{plan}");
    }
    // What is in order by pseudonym is sorted by it.
    let sorted = plan(&both.ours[1], ORDERED[0]).await;
    assert!(sorted.contains(" NumberSortExec"), "{sorted}");
}
