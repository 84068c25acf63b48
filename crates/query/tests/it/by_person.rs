//! Joins, windows and aggregates by person: what runs bucket by bucket over sorted rows answers as the stock
//! engine does, which repartitions and sorts the same rows in memory.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use columna_privacy::Access;
use columna_query::SessionOptions;
use columna_store::{Layout, Operation, Store, TableSpec};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::questions::{BY_VISIT, QUESTIONS};
use crate::{behind_pseudonyms, fixture};

/// Rows of every person: many for some, none for others; nulls among the values, days that come twice. Visits of a person lie
/// far apart, and some rows are of none, where there may be such.
fn rows(
    schema: &SchemaRef,
    people: i64,
    most: u64,
    seed: u64,
    of_visits: bool,
) -> Vec<RecordBatch> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut id = 0;
    (0..people)
        .map(|person| {
            let count = next(most + 1);
            let mut days: Vec<i32> = (0..count)
                .map(|_| i32::try_from(next(most / 2 + 2)).unwrap())
                .collect();
            days.sort_unstable();
            let rows = days.len();
            let ids: Vec<i64> = (0..rows)
                .map(|_| {
                    id += 1;
                    id
                })
                .collect();
            let kinds: Vec<i64> = (0..rows).map(|_| i64::try_from(next(3)).unwrap()).collect();
            let values: Vec<Option<f64>> = (0..rows)
                .map(|_| Some(next(9)).filter(|v| *v > 1).map(|v| v as f64 - 5.0))
                .collect();
            // In one hospital of three, some are of no visit that is known, and of one that was mistaken.
            let visits: Vec<Option<i64>> = (0..rows)
                .map(|_| (i64::try_from(next(6)).unwrap(), next(9)))
                .map(|(visit, mistaken)| match (seed % 3, mistaken) {
                    (0, 0) => Some(-1),
                    (0, 1) => Some(1000),
                    _ => (of_visits || visit > 0).then_some(visit * 1000 - person),
                })
                .collect();
            let orders = ids.iter().map(|id| person * 1000 + id % 4);
            let orders = Int64Array::from_iter_values(orders);
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from(ids)),
                Arc::new(Int64Array::from(vec![person; rows])),
                Arc::new(Date32Array::from(days)),
                Arc::new(Int64Array::from(kinds)),
                Arc::new(Float64Array::from(values)),
                Arc::new(Int64Array::from(visits)),
                Arc::new(orders),
            ];
            RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
        })
        .collect()
}

/// Kinds below others, some twice, some NULL.
fn hierarchy(seed: u64) -> (TableSpec, RecordBatch) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("above", DataType::Int64, true),
        Field::new("below", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]));
    let twice = if seed.is_multiple_of(2) { 0 } else { 2 };
    let pairs = [
        (Some(0), Some(0), "one"),
        (Some(1), Some(1), "one"),
        (Some(1), Some(2), "one"),
        (Some(2), Some(0), "two"),
        (Some(2), Some(twice), "two"),
        (Some(2), Some(2), "two"),
        (Some(3), Some(1), "three"),
        (Some(3), None, "three"),
        (Some(4), Some(77), "none"),
        (None, Some(1), "one"),
    ];
    let above: Int64Array = pairs.iter().map(|pair| pair.0).collect();
    let below: Int64Array = pairs.iter().map(|pair| pair.1).collect();
    let names: StringArray = pairs.iter().map(|pair| Some(pair.2)).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(above), Arc::new(below), Arc::new(names)];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let spec = TableSpec {
        name: "h".to_owned(),
        schema,
        person_key: None,
        sort: vec![],
        bloom: vec![],
    };
    (spec, batch)
}

pub(crate) struct Both {
    pub(crate) ours: Vec<SessionContext>,
    pub(crate) stock: SessionContext,
    _folder: tempfile::TempDir,
}

async fn both(people: i64, most: u64, seed: u64, persons_per_bucket: u64) -> Both {
    both_as(people, most, seed, persons_per_bucket, |_| None).await
}

/// Both engines; ours for a principal, who is found in the folder.
pub(crate) async fn both_as(
    people: i64,
    most: u64,
    seed: u64,
    persons_per_bucket: u64,
    access: impl Fn(&Path) -> Option<Access>,
) -> Both {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("person_id", DataType::Int64, false),
        Field::new("day", DataType::Date32, false),
        Field::new("kind", DataType::Int64, false),
        Field::new("value", DataType::Float64, true),
        Field::new("visit_id", DataType::Int64, true),
        Field::new("order_id", DataType::Int64, false),
    ]));
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout {
        persons_per_bucket,
        ..Layout::default()
    };
    let store = Store::create(folder.path().join("store").to_str().unwrap(), layout)
        .await
        .unwrap();
    let mut config = SessionConfig::new().with_target_partitions(3);
    // NULL is the last everywhere here.
    config.options_mut().sql_parser.default_null_ordering = "nulls_last".to_owned();
    let stock = SessionContext::new_with_config(config);
    let mut tx = store.begin().await.unwrap();
    tx.open_buckets(&mut (0..people)).unwrap();
    for (name, seed) in [("a", seed), ("b", seed ^ 0xb)] {
        let batches = rows(&schema, people, most, seed, name == "b");
        let all = concat_batches(&schema, &batches).unwrap();
        let table = MemTable::try_new(Arc::clone(&schema), vec![vec![all]]).unwrap();
        stock.register_table(name, Arc::new(table)).unwrap();
        tx.declare_table(TableSpec {
            name: name.to_owned(),
            schema: Arc::clone(&schema),
            person_key: Some("person_id".to_owned()),
            sort: ["person_id", "day", "id"].map(str::to_owned).to_vec(),
            bloom: vec![],
        })
        .unwrap();
        // Half of the stores have their rows in the order of the kind as well, which no answer may show.
        if seed % 2 == 1 {
            tx.project(name, &["kind".to_owned()]).unwrap();
        }
        tokio::task::block_in_place(|| {
            for bucket in tx.buckets().iter().map(|b| b.id).collect::<Vec<_>>() {
                let of_bucket: Vec<RecordBatch> = (0i64..)
                    .zip(&batches)
                    .filter(|(person, _)| tx.buckets().bucket_of(*person) == bucket)
                    .map(|(_, batch)| batch.clone())
                    .collect();
                tx.append_run(name, Some(bucket), &mut of_bucket.into_iter().map(Ok))
                    .unwrap();
            }
        });
    }
    let (spec, batch) = hierarchy(seed);
    let table = MemTable::try_new(Arc::clone(&spec.schema), vec![vec![batch.clone()]]).unwrap();
    stock.register_table("h", Arc::new(table)).unwrap();
    tx.declare_table(spec).unwrap();
    tokio::task::block_in_place(|| {
        tx.append_run("h", None, &mut std::iter::once(Ok(batch)))
            .unwrap();
    });
    let operation = Operation::Ingest {
        read: 0,
        stored: 0,
        rejected: 0,
    };
    tx.commit(operation).await.unwrap();
    let mut ours = Vec::new();
    // Small tables would be sent to all partitions instead. The last session keeps nothing divided as files are.
    let by_key = [
        "hash_join_single_partition_threshold = 0",
        "hash_join_single_partition_threshold_rows = 0",
    ];
    let divided_anew = [by_key[0], by_key[1], "preserve_file_partitions = 0"];
    for (threads, settings) in [
        (1, &by_key[..]),
        (2, &by_key),
        (16, &by_key),
        (2, &[]),
        (16, &divided_anew),
    ] {
        let options = SessionOptions {
            store: Some(store.clone()),
            threads: Some(threads),
            access: access(folder.path()),
            ..SessionOptions::default()
        };
        let ctx = columna_query::session(options).await.unwrap();
        for (name, value) in settings
            .iter()
            .filter_map(|setting| setting.split_once(" = "))
        {
            let state = ctx.state_ref();
            let mut state = state.write();
            let options = state.config_mut().options_mut();
            options
                .set(&format!("datafusion.optimizer.{name}"), value)
                .unwrap();
        }
        ours.push(ctx);
    }
    Both {
        ours,
        stock,
        _folder: folder,
    }
}

pub(crate) async fn sorted(ctx: &SessionContext, question: &str) -> Vec<Vec<String>> {
    let frame = ctx.sql(question).await;
    let batches = async { frame?.collect().await }.await;
    let batches = batches.unwrap_or_else(|error| panic!("{error}: {question}"));
    let mut rows = fixture::text(&batches);
    rows.sort_unstable();
    rows
}

async fn compare(people: i64, most: u64, seed: u64, persons_per_bucket: u64) {
    let both = both(people, most, seed, persons_per_bucket).await;
    for question in QUESTIONS.into_iter().chain(BY_VISIT) {
        let expected = sorted(&both.stock, question).await;
        for ctx in &both.ours {
            let found = sorted(ctx, question).await;
            assert!(
                found == expected,
                "seed {seed}, {people} people, {persons_per_bucket} in a bucket: {question}"
            );
        }
    }
}

#[test]
fn answers_are_those_of_the_stock_engine() {
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

/// The stock engine's plan as a cluster's executor runs it: node for node, with the same rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_clusters_task_has_the_same_rows_and_as_many_nodes() {
    fn nodes(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
        let below = plan.children().into_iter().flat_map(nodes);
        std::iter::once(plan.name().to_owned())
            .chain(below)
            .collect()
    }
    let both = both(30, 20, 7, 5).await;
    let mut replaced = 0;
    for question in QUESTIONS {
        let query = both.stock.sql(question).await.unwrap();
        let stock = query.create_physical_plan().await.unwrap();
        let task = columna_query::in_a_task(Arc::clone(&stock)).unwrap();
        let (before, after) = (nodes(&stock), nodes(&task));
        assert_eq!(before.len(), after.len(), "{question}");
        for (before, after) in before.iter().zip(&after) {
            if before != after {
                assert_eq!(after, "SegmentWindowExec", "{question}");
                replaced += 1;
            }
        }
        let found = collect(task, both.stock.task_ctx()).await.unwrap();
        let mut found = fixture::text(&found);
        found.sort_unstable();
        assert!(found == sorted(&both.stock, question).await, "{question}");
    }
    assert!(replaced > 10, "{replaced}");
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_with_more_rows_than_a_chunk_stay_whole() {
    let both = both(3, 90_000, 4, 5).await;
    for question in &QUESTIONS[6..8] {
        let ours = sorted(&both.ours[1], question).await;
        assert!(ours == sorted(&both.stock, question).await, "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_neither_move_nor_sort_all_rows() {
    let both = both(30, 9, 1, 5).await;
    for (question, operators) in [
        (11, &["SegmentJoinExec"][..]),
        (12, &["SegmentJoinExec"]),
        (13, &["ColocatedJoinExec"]),
        (17, &["SegmentJoinExec"]),
        (22, &["SegmentJoinExec"]),
        (28, &["SegmentJoinExec"]),
        (30, &["SegmentJoinExec"]),
        (34, &["SegmentJoinExec"]),
        (1, &["SegmentWindowExec"]),
        (6, &["SegmentWindowExec", "SegmentSortExec"]),
        (9, &["SegmentWindowExec"]),
        (17, &["SegmentAggregateExec"]),
        (
            19,
            &[
                "SegmentWindowExec",
                "SegmentSortExec",
                "SegmentAggregateExec",
            ],
        ),
        (59, &["SegmentWindowExec"]),
        (60, &["SegmentWindowExec", "SegmentSortExec"]),
        (65, &["SegmentWindowExec"]),
        (67, &["SegmentWindowExec"]),
        (69, &["SegmentAggregateExec"]),
        (70, &["SegmentAggregateExec"]),
        (84, &["AlignedUnionExec", "SegmentAggregateExec"]),
        (85, &["AlignedUnionExec", "SegmentWindowExec"]),
        (87, &["AlignedUnionExec", "SegmentJoinExec"]),
        (89, &["WholePartitionsExec"]),
        (108, &["SegmentJoinExec"]),
        (90, &["WholePartitionsExec"]),
    ] {
        let question = QUESTIONS[question];
        let explain = format!("EXPLAIN {question}");
        let plan = format!("{:?}", sorted(&both.ours[1], &explain).await);
        for operator in operators {
            assert!(plan.contains(operator), "no {operator}: {plan}");
        }
        for operator in [
            "RepartitionExec",
            " SortExec",
            "nSortExec",
            "NumberSortExec",
        ] {
            assert!(!plan.contains(operator), "{operator}: {plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_are_counted_by_runs_and_what_is_planned_twice_runs_once() {
    let both = both(30, 9, 1, 5).await;
    for (question, operator) in [
        (37, "count_runs"),
        (38, "count_runs"),
        (40, "count_runs"),
        (42, "count_runs"),
        (165, "count_runs"),
        (165, "count_seen"),
        (166, "count_runs"),
        (45, "SharedExec"),
        (46, "SharedExec"),
        (48, "SharedExec"),
        (49, "SharedExec"),
    ] {
        let question = QUESTIONS[question];
        let explain = format!("EXPLAIN {question}");
        let plan = format!("{:?}", sorted(&both.ours[1], &explain).await);
        // In both stages, or in two places.
        assert!(plan.matches(operator).count() >= 2, "{operator} in {plan}");
    }
}

/// One side's persons are few by its condition, and none of some ranges; the scan of the other is told.
#[tokio::test(flavor = "multi_thread")]
async fn scans_are_told_of_few_persons() {
    let both = both(300, 9, 1, 5).await;
    for question in [
        "SELECT b.id, b.value FROM a JOIN b ON a.person_id = b.person_id WHERE a.value = 3",
        "SELECT b.id, b.day FROM b WHERE person_id IN (SELECT person_id FROM a WHERE a.kind = 1 AND a.person_id % 40 < 3)",
        "SELECT x.id, b.id FROM (SELECT * FROM a WHERE value = 2) x LEFT JOIN b ON x.person_id = b.person_id AND x.day <= b.day",
        "SELECT x.id, b.id FROM (SELECT * FROM a WHERE person_id < 0) x JOIN b ON x.person_id = b.person_id",
        // By a name that another column has in the files.
        "SELECT x.day, y.day FROM (SELECT * FROM a WHERE value = 3) x JOIN (SELECT person_id AS id, day FROM b WHERE kind <> 2) y ON x.person_id = y.id",
    ] {
        let expected = sorted(&both.stock, question).await;
        for ctx in &both.ours {
            assert!(sorted(ctx, question).await == expected, "{question}");
        }
        let plan = behind_pseudonyms::plan(&both.ours[1], question).await;
        assert!(plan.contains("those of the other side"), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_rows_pairs_the_nearest_is_found() {
    let both = both(30, 9, 1, 5).await;
    for (at, nearest) in (142..151).zip([true, true, true, true, true, true, false, false, false]) {
        let plan = behind_pseudonyms::plan(&both.ours[1], QUESTIONS[at]).await;
        assert_eq!(plan.contains(", nearest"), nearest, "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_without_a_visit_are_not_made_for_a_join_by_visit() {
    let both = both(30, 9, 1, 5).await;
    let plan = behind_pseudonyms::plan(&both.ours[1], BY_VISIT[20]).await;
    assert!(
        !plan.contains("UnionExec") && !plan.contains("RepartitionExec"),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_two_tables_have_their_own_persons() {
    let both = both(30, 9, 1, 5).await;
    for question in &BY_VISIT[26..] {
        let expected = sorted(&both.stock, question).await;
        assert_eq!(
            sorted(&both.ours[1], question).await,
            expected,
            "{question}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_searched_in() {
    let both = both(30, 9, 1, 5).await;
    for question in &QUESTIONS[79..84] {
        let plan = format!(
            "{:?}",
            sorted(&both.ours[1], &format!("EXPLAIN {question}")).await
        );
        assert!(plan.contains("RangeJoinExec: key="), "{plan}");
    }
    // The few are kept, and the rows stay with their persons.
    for question in &QUESTIONS[127..129] {
        let plan = behind_pseudonyms::plan(&both.ours[1], question).await;
        assert!(plan.contains("RangeJoinExec: key=y@"), "{plan}");
        assert!(!plan.contains("CoalescePartitionsExec\n"), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_null_is_a_key_and_what_is_asked_a_column() {
    let both = both(30, 9, 1, 5).await;
    let plan = async |sql: &str| {
        let plan = sorted(&both.ours[1], &format!("EXPLAIN {sql}")).await;
        format!("{plan:?}")
    };
    let join = "SELECT a.id FROM a JOIN b ON a.day = b.day AND nullif(a.kind, 1) IS NOT DISTINCT FROM nullif(b.kind, 1)";
    let joined = plan(join).await;
    let (_, physical) = joined.split_once("\"physical_plan\"").unwrap();
    assert!(physical.contains("JoinExec"), "{joined}");
    assert!(!physical.contains("IS NOT DISTINCT FROM"), "{joined}");
    let asked = "SELECT id FROM a WHERE value >= (SELECT avg(b.value) FROM b
                 WHERE b.kind = a.kind AND date_part('month', b.day) = date_part('month', a.day))";
    let asked = plan(asked).await;
    let (_, physical) = asked.split_once("\"physical_plan\"").unwrap();
    assert!(physical.contains("__asked"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_up_in_is_joined_first() {
    let both = both(30, 9, 1, 5).await;
    for question in [56, 57] {
        let explain = format!("EXPLAIN {}", QUESTIONS[question]);
        let plan = format!("{:?}", sorted(&both.ours[1], &explain).await);
        // The join of the records is the first in the plan, and so the last to be done.
        let (_, join) = plan.split_once("Inner Join: ").unwrap();
        let of_records = ["a.kind = v.k", "v.k = a.kind"];
        assert!(of_records.iter().any(|on| join.starts_with(on)), "{plan}");
    }
    for (question, semi) in [(111, "Semi Join: "), (112, "Anti Join: ")] {
        let explain = format!("EXPLAIN {}", QUESTIONS[question]);
        let plan = format!("{:?}", sorted(&both.ours[1], &explain).await);
        let place = |of: &str| plan.find(of).unwrap_or(usize::MAX);
        assert!(place("Inner Join: ") < place(semi), "{plan}");
        assert!(plan.contains(semi), "{plan}");
    }
}

/// The engine expects as many rows of the condition as there are, and keeps the other table where that has fewer.
#[tokio::test(flavor = "multi_thread")]
async fn semi_joins_keep_the_side_with_a_condition() {
    let both = both(30, 9, 1, 5).await;
    for (of, within) in [("a", "b"), ("b", "a")] {
        let question = format!(
            "SELECT count(*) FROM {of} WHERE EXISTS (SELECT 1 FROM {within} WHERE {within}.id = {of}.id AND {within}.kind >= 0)"
        );
        let plan = format!(
            "{:?}",
            sorted(&both.ours[1], &format!("EXPLAIN {question}")).await
        );
        assert!(plan.contains("RightSemi"), "{plan}");
        let found = sorted(&both.ours[1], &question).await;
        assert_eq!(found, sorted(&both.stock, &question).await);
    }
}

/// Both sides have columns of the same names, and the engine exchanges sides by how many rows it expects of them.
#[tokio::test(flavor = "multi_thread")]
async fn conditions_after_a_join_are_of_their_own_side() {
    let both = both(400, 9, 3, 100).await;
    let few = "o.kind = 2 AND o.value = 3";
    for (many, one) in [("a", "b"), ("b", "a")] {
        let firsts = format!(
            "(SELECT person_id, min(day) AS day FROM {many} WHERE kind = 1 GROUP BY person_id) AS m"
        );
        for (from, on, condition) in [
            (firsts.as_str(), "person_id", "o.person_id IS NULL"),
            (
                firsts.as_str(),
                "person_id",
                "o.day IS NULL OR m.day < o.day",
            ),
            (many, "id", "o.id IS NULL"),
            (many, "id", "m.kind = 1 OR o.kind = 2"),
            (many, "person_id", "m.kind = 1 OR o.kind = 2"),
        ] {
            let m = if from == many { "m" } else { "" };
            for (join, on_also) in [
                ("LEFT", few),
                ("LEFT", "o.kind = 2"),
                ("INNER", few),
                ("INNER", "true"),
            ] {
                let question = format!(
                    "SELECT count(*) FROM {from} {m} {join} JOIN {one} o ON o.{on} = m.{on} AND {on_also} WHERE {condition}"
                );
                let expected = sorted(&both.stock, &question).await;
                for ours in &both.ours {
                    assert_eq!(sorted(ours, &question).await, expected, "{question}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eras_are_the_islands_of_gaps_and_islands() {
    let both = both(60, 25, 7, 5).await;
    let islands = "WITH spans AS (SELECT person_id, kind, id, day, day + kind AS last FROM a),
      reached AS (SELECT *, max(last) OVER (PARTITION BY person_id, kind ORDER BY day, id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach FROM spans),
      numbered AS (SELECT *, sum(CASE WHEN reach IS NULL OR day - reach > 1 THEN 1 ELSE 0 END)
        OVER (PARTITION BY person_id, kind ORDER BY day, id ROWS UNBOUNDED PRECEDING) AS era FROM reached)
      SELECT person_id, kind, min(day), max(last), count(*) FROM numbered GROUP BY person_id, kind, era";
    let expected = sorted(&both.stock, islands).await;
    assert!(expected.len() > 100);
    for ctx in &both.ours {
        let view =
            "CREATE VIEW spans AS SELECT person_id, kind, id, day, day + kind AS last FROM a";
        ctx.sql(view).await.unwrap().collect().await.unwrap();
        let eras = "SELECT person_id, kind, era_start, era_end, records FROM eras('spans', 'person_id, kind', 'day', 'last', 1)";
        assert!(sorted(ctx, eras).await == expected);
        let by_person = "SELECT person_id, kind, e['start'], e['end'], e['records'] FROM (
          SELECT person_id, kind, unnest(eras(day, last, gap => 1)) AS e FROM spans GROUP BY person_id, kind) x";
        assert!(sorted(ctx, by_person).await == expected);
    }
}
