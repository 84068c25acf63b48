//! A copy in the order of the concept gives the rows of the table itself, keeps what a scan promises, and is read for
//! few concepts only.

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use object_store::memory::InMemory;
use proptest::prelude::*;

use super::clinic::{Settings, Shape, plan, rows};
use crate::scan::SnapshotTable;
use crate::{Snapshot, Store};

/// Questions over filters about the concept, alone and below joins, windows and aggregates by person.
const QUERIES: &[&str] = &[
    "SELECT * FROM cond c WHERE {c}",
    "SELECT cond_id, note FROM cond c WHERE {c} AND cond_date > DATE '1970-02-01'",
    "SELECT count(*) FROM cond c WHERE {c}",
    "SELECT count(*), min(person_id), max(person_id), min(cond_date) FROM cond c WHERE {c}",
    "SELECT person_id, count(*), min(cond_date), max(note) FROM cond c WHERE {c} GROUP BY person_id",
    "SELECT person_id, cond_id, row_number() OVER (PARTITION BY person_id ORDER BY cond_date, cond_id) FROM cond c WHERE {c}",
    "SELECT person_id, cond_id, sum(cond_concept) OVER (ORDER BY person_id, cond_date, cond_id) FROM cond c WHERE {c}",
    "SELECT p.person_id, p.sex, c.cond_id FROM person p JOIN cond c ON p.person_id = c.person_id WHERE {c}",
    "SELECT p.person_id, c.cond_id FROM person p LEFT JOIN (SELECT * FROM cond c WHERE {c}) c ON p.person_id = c.person_id",
    "SELECT c.cond_id, d.drug_id FROM cond c JOIN drug d ON c.person_id = d.person_id WHERE {c} AND {d}",
    "SELECT p.person_id FROM person p WHERE NOT EXISTS (SELECT 1 FROM cond c WHERE c.person_id = p.person_id AND {c})",
    "SELECT c.person_id, n.name FROM cond c JOIN concept n ON c.cond_concept = n.concept_id WHERE {c}",
    "SELECT x.cond_id, y.cond_id FROM cond x JOIN cond y ON x.person_id = y.person_id AND y.cond_concept = 3 WHERE x.cond_concept = 5",
    "SELECT person_id, count(*) FROM (SELECT person_id FROM cond c WHERE {c} UNION ALL SELECT person_id FROM drug d WHERE {d}) GROUP BY person_id",
    "SELECT cond_id FROM cond c WHERE {c} ORDER BY person_id, cond_date, cond_id LIMIT 7",
    "SELECT cond_id FROM cond c WHERE {c} ORDER BY cond_concept DESC, person_id DESC, cond_id DESC LIMIT 7",
    "SELECT cond_id FROM cond c WHERE {c} OR person_id = 3",
];

/// A filter about one column.
#[derive(Debug, Clone)]
enum Filter {
    One(i64),
    Some(Vec<i64>),
    Or(i64, i64),
    Between(i64, i64),
    Below(i64),
    Not(i64),
    Both(i64, Vec<i64>),
}

impl Filter {
    fn sql(&self, column: &str) -> String {
        let list = |l: &[i64]| {
            let l: Vec<String> = l.iter().map(i64::to_string).collect();
            l.join(", ")
        };
        match self {
            Self::One(v) => format!("{column} = {v}"),
            Self::Some(l) => format!("{column} IN ({})", list(l)),
            Self::Or(a, b) => format!("({column} = {a} OR {b} = {column})"),
            Self::Between(a, b) => format!("{column} BETWEEN {a} AND {b}"),
            Self::Below(v) => format!("{v} > {column}"),
            Self::Not(v) => format!("{column} <> {v}"),
            Self::Both(v, l) => format!("({column} = {v} AND {column} IN ({}))", list(l)),
        }
    }
}

fn filters() -> impl Strategy<Value = Filter> {
    let value = || -1i64..11;
    let list = || proptest::collection::vec(value(), 1..7);
    prop_oneof![
        3 => value().prop_map(Filter::One),
        2 => list().prop_map(Filter::Some),
        1 => (value(), value()).prop_map(|(a, b)| Filter::Or(a, b)),
        1 => (value(), value()).prop_map(|(a, b)| Filter::Between(a, b)),
        1 => value().prop_map(Filter::Below),
        1 => value().prop_map(Filter::Not),
        1 => (value(), list()).prop_map(|(v, l)| Filter::Both(v, l)),
    ]
}

fn with_filters(query: &str, about: &Filter, drugs: &Filter) -> String {
    query
        .replace("{c}", &about.sql("c.cond_concept"))
        .replace("{d}", &drugs.sql("d.drug_concept"))
}

/// A session in which nothing is known of how many rows have a value, as below a guard.
fn unknowing(settings: Settings, store: &Store, snapshot: &Snapshot) -> SessionContext {
    let ctx = SessionContext::new_with_config(settings.config());
    for (name, table) in SnapshotTable::all(store, snapshot) {
        let table = table.with_statistics(false);
        ctx.register_table(name.as_str(), Arc::new(table)).unwrap();
    }
    ctx
}

async fn projected(shape: &Shape, memory: Option<usize>) -> (Store, Snapshot) {
    let (store, _) = shape.store(Arc::new(InMemory::new())).await;
    for (table, column) in [("cond", "cond_concept"), ("drug", "drug_concept")] {
        store.project(table, column, memory).await.unwrap();
    }
    let snapshot = store.snapshot(None).await.unwrap();
    (store, snapshot)
}

const SETTINGS: Settings = Settings {
    target_partitions: 2,
    pushdown_filters: false,
    collect_small: false,
    prefer_hash_join: true,
};

fn hospital() -> Shape {
    Shape {
        persons: (0..60).collect(),
        rows: (0..60).map(|p: usize| [1 + p % 4, p % 3, p % 2]).collect(),
        persons_per_bucket: 7,
        row_group_rows: 4,
    }
}

async fn check(shape: &Shape, settings: Settings, memory: usize, filters: &(Filter, Filter)) {
    let (store, snapshot) = projected(shape, Some(memory)).await;
    assert_eq!(store.verify().await.unwrap().problems, []);
    let plain = shape.plain();
    for query in QUERIES {
        let query = with_filters(query, &filters.0, &filters.1);
        let expected = rows(&plain, &query).await;
        for ctx in [
            settings.session(&store, &snapshot),
            unknowing(settings, &store, &snapshot),
        ] {
            let found = rows(&ctx, &query).await;
            assert!(
                found == expected,
                "{query}\n{settings:?}\n{shape:?}\n{} rows instead of {}\n{}",
                found.len(),
                expected.len(),
                plan(&ctx, &query).await
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn rows_are_those_of_the_table(
        people in proptest::collection::btree_map(-40i64..120, [0usize..5, 0usize..4, 0usize..3], 1..60),
        persons_per_bucket in 1u64..20,
        row_group_rows in 1usize..40,
        filters in (filters(), filters()),
        target_partitions in prop_oneof![Just(1usize), Just(2), Just(8)],
        (pushdown_filters, collect_small, prefer_hash_join) in (any::<bool>(), any::<bool>(), any::<bool>()),
        memory in prop_oneof![Just(1usize), Just(400), Just(1 << 20)],
    ) {
        let (persons, rows) = people.into_iter().unzip();
        let shape = Shape { persons, rows, persons_per_bucket, row_group_rows };
        let settings = Settings { target_partitions, pushdown_filters, collect_small, prefer_hash_join };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(check(&shape, settings, memory, &filters));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_values_are_read_from_the_copy() {
    let (store, snapshot) = projected(&hospital(), None).await;
    let (ctx, unknowing) = (
        SETTINGS.session(&store, &snapshot),
        unknowing(SETTINGS, &store, &snapshot),
    );
    // Of nine concepts, each has about a ninth of the rows.
    for (condition, known, unknown) in [
        ("cond_concept = 3", true, true),
        ("3 = cond_concept AND cond_date IS NOT NULL", true, true),
        ("cond_concept = 77", true, true),
        ("cond_concept IN (3, 4, 5, 6, 7, 8)", false, true),
        ("cond_concept IN (71, 72, 73, 74, 75, 76)", true, true),
        ("cond_concept BETWEEN 1 AND 6", false, false),
        ("cond_concept > 70", true, false),
        ("cond_concept <> 3", false, false),
        ("cond_concept = 3 OR note = 'v1'", false, false),
        ("cond_concept IS NULL", false, false),
        ("cond_concept = drug_concept", false, false),
        // Who asks for a person reads the few pages that hold them.
        ("cond_concept = 3 AND c.person_id = 12", false, false),
    ] {
        let tables = if condition.contains("drug") {
            "cond c, drug d"
        } else {
            "cond c"
        };
        let query = format!("SELECT c.person_id, cond_id FROM {tables} WHERE {condition}");
        for (ctx, expected) in [(&ctx, known), (&unknowing, unknown)] {
            let plan = plan(ctx, &query).await;
            let copies = plan.matches("projections/cond/by_cond_concept/").count();
            assert_eq!(copies > 0, expected, "{condition}\n{plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_value_stays_in_order_and_in_its_bucket() {
    let (store, snapshot) = projected(&hospital(), None).await;
    let ctx = unknowing(SETTINGS, &store, &snapshot);
    let window = |values: &str| {
        format!(
            "SELECT c.person_id, c.cond_id, lag(c.cond_date) OVER (PARTITION BY c.person_id ORDER BY c.cond_date, c.cond_id)
             FROM cond c JOIN person p ON p.person_id = c.person_id WHERE c.cond_concept IN ({values})"
        )
    };
    let one = plan(&ctx, &window("3")).await;
    assert!(one.contains("projections/"), "{one}");
    for operator in ["RepartitionExec", "SortExec", "CoalescePartitionsExec"] {
        assert!(!one.contains(operator), "{operator} in\n{one}");
    }
    // Rows of several values lie one value after the other: they are sorted, but stay in their buckets.
    let several = plan(&ctx, &window("3, 4, 5, 6, 7")).await;
    assert!(several.contains("projections/"), "{several}");
    assert!(several.contains("SortExec"), "{several}");
    for operator in ["RepartitionExec", "CoalescePartitionsExec"] {
        assert!(!several.contains(operator), "{operator} in\n{several}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_a_file_that_has_no_copy_is_read_itself() {
    let (_, snapshot) = projected(&hospital(), None).await;
    let mut without = snapshot.table("cond").unwrap().clone();
    without.files[2].projections.clear();
    let filter =
        datafusion::logical_expr::col("cond_concept").eq(datafusion::logical_expr::lit(3i64));
    let chosen = |table: &crate::TableVersion, files: std::ops::Range<usize>| {
        let files: Vec<_> = table.files[files].iter().collect();
        super::super::copies::choose(table, &files, std::slice::from_ref(&filter), true).is_some()
    };
    assert!(chosen(snapshot.table("cond").unwrap(), 0..3));
    assert!(!chosen(&without, 0..3));
    assert!(chosen(&without, 0..2));
    without.projections.clear();
    assert!(!chosen(&without, 0..2));
}
