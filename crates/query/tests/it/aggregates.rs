//! A statistic is the same however its rows were divided: threads, partitions, partial states.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use columna_query::SessionOptions;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;

use crate::fixture::rows;

/// Rows (group, time, event, start) in as many partitions as asked.
async fn session(data: &[(i64, i64, i64)], partitions: usize, threads: usize) -> SessionContext {
    let options = SessionOptions {
        threads: Some(threads),
        ..SessionOptions::default()
    };
    let ctx = columna_query::session(options).await.unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("g", DataType::Int64, true),
        Field::new("t", DataType::Int64, true),
        Field::new("e", DataType::Int64, true),
        Field::new("arm", DataType::Utf8, true),
    ]));
    let parts = (0..partitions)
        .map(|part| {
            let rows = || data.iter().skip(part).step_by(partitions);
            let columns: Vec<ArrayRef> = vec![
                Arc::new(rows().map(|row| row.0).collect::<Int64Array>()),
                Arc::new(
                    rows()
                        .map(|row| (row.1 % 97 != 0).then_some(row.1))
                        .collect::<Int64Array>(),
                ),
                Arc::new(rows().map(|row| row.2).collect::<Int64Array>()),
                Arc::new(
                    rows()
                        .map(|row| Some(if row.1 % 2 == 0 { "a" } else { "b" }))
                        .collect::<StringArray>(),
                ),
            ];
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
            vec![batch]
        })
        .collect();
    ctx.register_table("data", Arc::new(MemTable::try_new(schema, parts).unwrap()))
        .unwrap();
    ctx
}

/// Every statistic, grouped.
const QUERY: &str = "SELECT g, kaplan_meier(t, e), kaplan_meier(t, e, weights => 1 + g % 3), \
    kaplan_meier(t + 1, e, start => t / 2), median_survival(t, e), survival_quantile(t, e, 0.25), \
    nelson_aalen(t, e), rmst(t, e, 0), logrank_test(t, e, arm), table_one(named_struct('t', t, 'arm', arm), group => e), \
    round(cox_elastic_net(t, e, named_struct('arm', arm, 't', t % 5), lambda => 0.01)[2]['coefficient'], 9) + 0.0, \
    length_of_stay(g, DATE '2024-01-01', CAST(CAST(DATE '2024-01-01' AS INT) + t AS INT)::DATE), count(*) FROM data GROUP BY g ORDER BY g";

async fn skip_partial(ctx: &SessionContext) {
    for option in [
        "SET datafusion.execution.skip_partial_aggregation_probe_rows_threshold = 1",
        "SET datafusion.execution.skip_partial_aggregation_probe_ratio_threshold = 0.0",
        "SET datafusion.execution.batch_size = 7",
    ] {
        ctx.sql(option).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skipping_partial_aggregation_changes_nothing() {
    let data: Vec<_> = (0..900)
        .map(|i: i64| (i % 300, (i * 7919) % 400, i % 2))
        .collect();
    let expected = rows(&session(&data, 1, 1).await, QUERY).await;
    let ctx = session(&data, 3, 2).await;
    skip_partial(&ctx).await;
    assert_eq!(rows(&ctx, QUERY).await, expected);
    // And it was really skipped.
    let analysed = rows(&ctx, &format!("EXPLAIN ANALYZE {QUERY}")).await;
    let skipped = analysed[0][1]
        .split("skipped_aggregation_rows=")
        .nth(1)
        .unwrap();
    assert!(!skipped.starts_with('0'), "{skipped:.40}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_survives_skipping() {
    let data: Vec<_> = (0..600)
        .map(|i: i64| (i % 200, (i * 31) % 400, i % 2))
        .collect();
    let query =
        "SELECT g, kaplan_meier(t, e) FILTER (WHERE arm = 'a') FROM data GROUP BY g ORDER BY g";
    let expected = rows(&session(&data, 1, 1).await, query).await;
    let ctx = session(&data, 2, 2).await;
    skip_partial(&ctx).await;
    assert_eq!(rows(&ctx, query).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_of_many_groups_spill() {
    let data: Vec<_> = (0..60_000)
        .map(|i: i64| (i % 20_000, (i * 7919) % 4000, i % 2))
        .collect();
    let query = "SELECT sum(cardinality(k)), count(*) FROM (SELECT g, kaplan_meier(t, e) AS k FROM data GROUP BY g)";
    let expected = rows(&session(&data, 2, 2).await, query).await;
    let options = SessionOptions {
        threads: Some(2),
        memory_limit: Some(12 << 20),
        ..SessionOptions::default()
    };
    let small = columna_query::session(options).await.unwrap();
    let table = session(&data, 2, 2)
        .await
        .table_provider("data")
        .await
        .unwrap();
    small.register_table("data", table).unwrap();
    assert_eq!(rows(&small, query).await, expected);
}

/// What comes in few different values takes little memory, however often it comes. Kept one by one, these 600,000 values
/// would take twice the limit in the first stage already, for three functions each.
#[tokio::test(flavor = "multi_thread")]
async fn percentiles_of_repeated_values_need_little_memory() {
    let options = SessionOptions {
        threads: Some(2),
        memory_limit: Some(6 << 20),
        ..SessionOptions::default()
    };
    let small = columna_query::session(options).await.unwrap();
    let query = "SELECT g, median(v), quantile_cont(v, 0.25), quantile_cont(v, 1) FROM (SELECT value % 3 AS g, value // 3 % 1001 AS v
       FROM generate_series(0, 600599)) GROUP BY g ORDER BY g";
    let expected = ["0", "1", "2"].map(|g| [g, "500.0", "250.0", "1000.0"]);
    assert_eq!(rows(&small, query).await, expected);
}

/// Where partial aggregation gives up, rows are states.
#[tokio::test(flavor = "multi_thread")]
async fn percentiles_of_many_small_groups() {
    let data: Vec<_> = (0..9000).map(|i: i64| (i / 3, 1 + i % 3, i % 2)).collect();
    let query = "SELECT sum(m), sum(q), count(*) FROM (SELECT g, median(t) AS m, quantile_cont(t, 0.75) AS q FROM data GROUP BY g)";
    let ctx = session(&data, 2, 2).await;
    skip_partial(&ctx).await;
    assert_eq!(rows(&ctx, query).await, [["6000.0", "7500.0", "3000"]]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_whole_is_the_sum_of_its_parts(
        data in proptest::collection::vec((0i64..4, 0i64..60, 0i64..2), 0..80),
        partitions in 1usize..5,
        threads in 1usize..4,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let expected = rows(&session(&data, 1, 1).await, QUERY).await;
            let mut shuffled = data.clone();
            shuffled.reverse();
            let found = rows(&session(&shuffled, partitions, threads).await, QUERY).await;
            assert_eq!(found, expected);
        });
    }
}
