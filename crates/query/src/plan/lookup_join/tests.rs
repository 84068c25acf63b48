#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, lit};
use datafusion::physical_plan::collect;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::*;

type Keys = Vec<Option<i64>>;

/// Rows with a number that is looked up, and a text that tells them apart, in batches of seven.
fn rows(name: &str, keys: &Keys, kind: &DataType) -> Arc<dyn ExecutionPlan> {
    let schema = Arc::new(Schema::new(vec![
        Field::new(format!("{name}_key"), kind.clone(), true),
        Field::new(name, DataType::Utf8, false),
    ]));
    let texts: StringArray = (0..keys.len())
        .map(|row| Some(format!("{name} {row}")))
        .collect();
    let numbers: Int64Array = keys.iter().copied().collect();
    let numbers = arrow::compute::cast(&numbers, kind).unwrap();
    let all = RecordBatch::try_new(Arc::clone(&schema), vec![numbers, Arc::new(texts)]);
    let all = all.unwrap();
    let batches = (0..all.num_rows()).step_by(7);
    let batches = batches.map(|from| all.slice(from, 7.min(all.num_rows() - from)));
    let batches = vec![batches.collect()];
    MemorySourceConfig::try_new_exec(&batches, schema, None).unwrap()
}

fn joined(
    sides: [&Arc<dyn ExecutionPlan>; 2],
    (join_type, projection): (JoinType, Option<Vec<usize>>),
    mode: PartitionMode,
    condition: Option<JoinFilter>,
) -> Arc<dyn ExecutionPlan> {
    let key = |side: usize| {
        let schema = sides[side].schema();
        datafusion::physical_expr::expressions::col(schema.field(0).name(), &schema).unwrap()
    };
    let join = HashJoinExec::try_new(
        Arc::clone(sides[0]),
        Arc::clone(sides[1]),
        vec![(key(0), key(1))],
        condition,
        &join_type,
        projection,
        mode,
        NullEquality::NullEqualsNothing,
        false,
    );
    Arc::new(join.unwrap())
}

fn answer(plan: Arc<dyn ExecutionPlan>) -> Vec<String> {
    let config = SessionConfig::new().with_batch_size(5);
    let context = SessionContext::new_with_config(config).task_ctx();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let batches = runtime.block_on(collect(plan, context)).unwrap();
    let format = arrow::util::display::FormatOptions::new().with_null("NULL");
    let mut lines = Vec::new();
    for batch in &batches {
        let columns = batch.columns().iter();
        let columns =
            columns.map(|column| arrow::util::display::ArrayFormatter::try_new(column, &format));
        let columns: Vec<_> = columns.collect::<Result<_, _>>().unwrap();
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(row).to_string());
            lines.push(values.collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// Whether the text of the left row is the smaller one.
fn smaller() -> JoinFilter {
    let index = |side| ColumnIndex { index: 1, side };
    let field = |name| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![field("r"), field("l")]));
    let column = |name| datafusion::physical_expr::expressions::col(name, &schema).unwrap();
    let rest = |name| -> Key {
        // Behind the first letter, which tells the sides apart.
        let (from, of) = (lit(3_i64), column(name));
        let function = datafusion::functions::unicode::substr();
        let field = Arc::new(Field::new("rest", DataType::Utf8, true));
        let options = Arc::new(ConfigOptions::default());
        Arc::new(datafusion::physical_expr::ScalarFunctionExpr::new(
            "substr",
            function,
            vec![of, from],
            field,
            options,
        ))
    };
    let smaller = BinaryExpr::new(rest("l"), Operator::Lt, rest("r"));
    let indices = vec![index(JoinSide::Right), index(JoinSide::Left)];
    JoinFilter::new(Arc::new(smaller), indices, schema)
}

/// The engine's own hash join is the reference.
#[test]
fn looks_up_what_the_hash_join_finds() {
    let keys = |most: usize| prop::collection::vec(prop::option::weighted(0.9, -6_i64..6), 0..most);
    let shapes = (keys(30), keys(60), any::<bool>(), any::<bool>());
    let checked = std::cell::RefCell::new(BTreeSet::new());
    proptest!(ProptestConfig::with_cases(60), |((mut left, right, unique, small) in shapes)| {
        if unique {
            let mut seen = BTreeSet::new();
            left.retain(|key| key.is_none_or(|key| seen.insert(key)));
        }
        let kind = if small { DataType::Int32 } else { DataType::Int64 };
        let (left, right) = (rows("l", &left, &kind), rows("r", &right, &kind));
        for mode in [PartitionMode::CollectLeft, PartitionMode::Partitioned] {
            for (join_type, projection) in [
                (JoinType::Inner, None),
                (JoinType::Inner, Some(vec![3, 1])),
                (JoinType::Inner, Some(vec![2])),
                (JoinType::Right, None),
                (JoinType::Right, Some(vec![1, 0, 3])),
                (JoinType::RightSemi, None),
                (JoinType::RightSemi, Some(vec![1])),
                (JoinType::RightAnti, None),
                (JoinType::Left, None),
                (JoinType::Left, Some(vec![3, 1])),
                (JoinType::LeftSemi, None),
                (JoinType::LeftAnti, Some(vec![1])),
            ] {
                for condition in [None, Some(smaller())] {
                    let join = joined([&left, &right], (join_type, projection.clone()), mode, condition);
                    let Some(own) = LookupJoinExec::of(&join).unwrap() else {
                        continue;
                    };
                    checked.borrow_mut().insert((join_type.to_string(), own.probe.condition.is_some()));
                    let (mut expected, mut found) = (answer(join), answer(Arc::new(own)));
                    expected.sort();
                    found.sort();
                    prop_assert_eq!(found, expected, "{:?} {}", mode, join_type);
                }
            }
        }
    });
    let checked = checked.into_inner();
    assert_eq!(checked.len(), 11, "{checked:?}");
}

/// Rows are counted where no column is asked for.
#[test]
fn rows_without_columns_are_counted() {
    let left = rows("l", &vec![Some(1), Some(1), None], &DataType::Int64);
    let right = rows(
        "r",
        &vec![Some(1), None, Some(2), Some(1)],
        &DataType::Int64,
    );
    let join = joined(
        [&left, &right],
        (JoinType::Inner, Some(vec![])),
        PartitionMode::CollectLeft,
        None,
    );
    let own = LookupJoinExec::of(&join).unwrap().unwrap();
    assert_eq!(answer(Arc::new(own)).len(), 4);
}

#[test]
fn the_other_side_learns_what_is_looked_for() {
    let learned = |keys: &Keys| {
        let left = rows("l", keys, &DataType::Int64);
        let right = rows("r", &vec![Some(1)], &DataType::Int64);
        let key = datafusion::physical_expr::expressions::col("r_key", &right.schema());
        let filter = Arc::new(DynamicFilterPhysicalExpr::new(
            vec![key.unwrap()],
            lit(true),
        ));
        let join = joined(
            [&left, &right],
            (JoinType::Inner, None),
            PartitionMode::CollectLeft,
            None,
        );
        let join = join.downcast_ref::<HashJoinExec>().unwrap();
        let join = join.builder().build().unwrap();
        let join = join.with_dynamic_filter_expr(Arc::clone(&filter)).unwrap();
        let own = LookupJoinExec::of(&(Arc::new(join) as _)).unwrap().unwrap();
        answer(Arc::new(own));
        filter.current().unwrap().to_string()
    };
    let few = learned(&vec![Some(7), None, Some(-3), Some(7)]);
    assert!(
        few.starts_with("r_key@0 >= -3 AND r_key@0 <= 7 AND "),
        "{few}"
    );
    assert!(few.contains("IN (SET) ([-3, 7])"), "{few}");
    let many = learned(&(0..400).map(Some).collect());
    assert_eq!(many, "r_key@0 >= 0 AND r_key@0 <= 399");
    assert_eq!(learned(&vec![None]), "false");
}
