//! What a session sets up, and what it leaves behind.

use std::path::Path;

use columna_query::script::{self, Parameter, Parameters};
use columna_query::{SessionOptions, names};
use futures::StreamExt;

use crate::fixture::{self, rows};

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[tokio::test]
async fn the_spill_folder_is_private_and_goes_with_the_session() {
    let parent = tempfile::tempdir().unwrap();
    let options = SessionOptions {
        temp_dir: Some(parent.path().to_path_buf()),
        memory_limit: Some(24 << 20),
        threads: Some(1),
        ..SessionOptions::default()
    };
    let ctx = columna_query::session(options).await.unwrap();
    let folders = entries(parent.path());
    assert_eq!(folders.len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&folders[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    // More than fits: the sort spills, and into that folder.
    let query = "EXPLAIN ANALYZE SELECT value, lpad(CAST(value AS TEXT), 40, 'x') AS text \
                 FROM generate_series(1, 800000) ORDER BY text DESC";
    let analysed = rows(&ctx, query).await;
    let spilled = analysed[0][1].split("spill_count=").nth(1).unwrap();
    assert!(!spilled.starts_with('0'), "nothing was spilled");
    drop(ctx);
    assert!(
        entries(parent.path()).is_empty(),
        "the session left something behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_memory_is_in_order_and_counted_all_the_same() {
    let options = SessionOptions {
        memory_limit: Some(24 << 20),
        threads: Some(2),
        ..SessionOptions::default()
    };
    let ctx = columna_query::session(options).await.unwrap();
    let numbers =
        "(SELECT value AS i, value * 7919 % 1000003 AS v FROM generate_series(1, 2000000)) s";
    let in_order = format!(
        "SELECT count(*), count(*) FILTER (WHERE before > v) FROM
         (SELECT v, lag(v) OVER (ORDER BY v, i) AS before FROM {numbers}) t"
    );
    assert_eq!(rows(&ctx, &in_order).await, [["2000000", "0"]]);
    let counted = format!(
        "SELECT sum(n), max(n), min(n) FROM (SELECT i, v, count(*) OVER (PARTITION BY i % 7) AS n FROM {numbers}) t"
    );
    let sum = 2 * 285_715_i64.pow(2) + 5 * 285_714_i64.pow(2);
    assert_eq!(
        rows(&ctx, &counted).await,
        [[sum.to_string().as_str(), "285715", "285714"]]
    );
    for (query, operator) in [
        (in_order, "NumberSortExec"),
        (counted, "WholePartitionsExec"),
    ] {
        let plan = rows(&ctx, &format!("EXPLAIN {query}")).await;
        assert!(format!("{plan:?}").contains(operator), "{plan:?}");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let options = SessionOptions {
        temp_dir: Some("/nonexistent/folder".into()),
        ..SessionOptions::default()
    };
    let error = columna_query::session(options).await.err().unwrap();
    assert!(error.to_string().contains("/nonexistent/folder"), "{error}");
}

#[tokio::test]
async fn without_a_store_it_is_a_plain_session() {
    let ctx = columna_query::session(SessionOptions::default())
        .await
        .unwrap();
    assert_eq!(
        rows(&ctx, "SELECT age_at(DATE '1980-01-01', DATE '2020-01-01')").await,
        [["40"]]
    );
    let error = ctx
        .sql("SELECT is_descendant(1, 2)")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no table `concept_ancestor`"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_snapshots_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(folder.path()).await;
    let newest = store.snapshot(None).await.unwrap().version();
    for (version, tables) in [(Some(newest), 6), (Some(0), 0)] {
        let options = SessionOptions {
            store: Some(store.clone()),
            snapshot: version,
            ..SessionOptions::default()
        };
        let ctx = columna_query::session(options).await.unwrap();
        assert_eq!(names::names(&ctx).await.tables.len(), tables, "{version:?}");
    }
    let options = SessionOptions {
        store: Some(store),
        snapshot: Some(newest + 1),
        ..SessionOptions::default()
    };
    assert!(columna_query::session(options).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_those_a_person_may_type() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = fixture::session(&fixture::clinic(folder.path()).await).await;
    let names = names::names(&ctx).await;
    let leukaemia = names
        .tables
        .iter()
        .find(|(name, _)| name == "leukaemia")
        .unwrap();
    assert_eq!(leukaemia.1, ["subject_id", "arm", "weeks", "relapse"]);
    for function in [
        "kaplan_meier",
        "age_at",
        "is_descendant",
        "count",
        "lag",
        "concept_set",
    ] {
        assert!(
            names.functions.iter().any(|name| name == function),
            "{function}"
        );
    }
    assert!(names.functions.iter().all(|name| !name.starts_with("__")));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_typed_and_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = fixture::session(&fixture::clinic(folder.path()).await).await;
    let parameters: Parameters = [
        ("arm", "6-MP"),
        ("day", "2020-06-01"),
        ("n", "3"),
        ("level", "0.9"),
        ("quote", "it's; DROP TABLE person"),
    ]
    .map(|(name, value)| (name.to_owned(), Parameter::infer(value)))
    .into();
    for (query, expected) in [
        ("SELECT count(*) FROM leukaemia WHERE arm = $arm", "21"),
        (
            "SELECT count(*) > 0 FROM condition_occurrence WHERE condition_start_date >= $day",
            "true",
        ),
        ("SELECT count(*) FROM (SELECT 1 FROM person LIMIT $n)", "3"),
        ("SELECT $quote", "it's; DROP TABLE person"),
        (
            "SELECT cardinality(kaplan_meier(weeks, relapse, conf_level => $level)) > 0 FROM leukaemia",
            "true",
        ),
        ("SELECT -$n", "-3"),
    ] {
        let frame = script::sql_with(&ctx, query, &parameters).await.unwrap();
        assert_eq!(
            fixture::text(&frame.collect().await.unwrap()),
            [[expected]],
            "{query}"
        );
    }
    let error = script::sql_with(&ctx, "SELECT $missing", &parameters)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the parameter `$missing` has no value"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_is_a_cancelled_query() {
    let ctx = columna_query::session(SessionOptions::default())
        .await
        .unwrap();
    let query = "SELECT value FROM generate_series(1, 100000000000)";
    let mut stream = script::stream(&ctx, query, &Parameters::new())
        .await
        .unwrap();
    assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_over_the_vocabulary_are_read_too() {
    let ctx = columna_query::session(SessionOptions::default())
        .await
        .unwrap();
    for statement in [
        "CREATE TABLE pairs AS SELECT 1 AS a, 2 AS d",
        "CREATE VIEW concept_ancestor AS SELECT a AS ancestor_concept_id, d AS descendant_concept_id FROM pairs",
    ] {
        ctx.sql(statement).await.unwrap().collect().await.unwrap();
    }
    assert_eq!(rows(&ctx, "SELECT concept_set(1)").await, [["[1, 2]"]]);
    // Another hierarchy is another answer: nothing is kept of the old one.
    for statement in [
        "DROP VIEW concept_ancestor",
        "CREATE TABLE concept_ancestor AS SELECT 1 AS ancestor_concept_id, 7 AS descendant_concept_id",
    ] {
        ctx.sql(statement).await.unwrap().collect().await.unwrap();
    }
    assert_eq!(rows(&ctx, "SELECT concept_set(1)").await, [["[1, 7]"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_policy() {
    use crate::hospital::{Hidden, Hospital, answer};
    const RULES: &str = r#"
version = 1
[roles.analyst]
kind = "analyst"
purposes = ["research"]
[[rules]]
tables = ["emr"]
columns = { pid = "raw", age = "raw" }
"#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, RULES).unwrap();
    let hospital = Hospital::new(Hidden::AsTheyAre).await;
    let mut access = hospital.access(RULES, "analyst", "research");
    access.policy = std::sync::Arc::new(columna_privacy::Policy::load(&file).unwrap());
    let session = hospital.session(Some(access)).await.unwrap();
    let ask = || answer(&session, "SELECT count(age) FROM emr");
    let before = ask().await.unwrap();
    // Somebody takes a column away while the session is open.
    std::fs::write(&file, RULES.replace(", age = \"raw\"", "")).unwrap();
    let refused = ask().await.unwrap_err();
    assert!(refused.contains("the policy was changed"), "{refused}");
    std::fs::remove_file(&file).unwrap();
    assert!(ask().await.is_err());
    std::fs::write(&file, RULES).unwrap();
    assert_eq!(ask().await.unwrap(), before);
    let log = hospital.audit();
    assert_eq!(log.matches("{\"refused\":\"policy\"}").count(), 2, "{log}");
}

/// By the least and the greatest time of a row group, none of them would be after ten in the evening.
#[tokio::test]
async fn times_of_day_are_looked_for_in_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.parquet");
    let file = file.to_str().unwrap();
    let ctx = columna_query::session(SessionOptions::default())
        .await
        .unwrap();
    for statement in [
        format!(
            "COPY (SELECT TIMESTAMP '2020-01-01 08:00:00' + value * INTERVAL '1 hour' AS t, value - 24 AS n
             FROM generate_series(0, 48)) TO '{file}'"
        ),
        format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{file}'"),
    ] {
        ctx.sql(&statement).await.unwrap().collect().await.unwrap();
    }
    for (condition, expected) in [
        ("t::TIME > TIME '22:00:00'", "2"),
        ("try_cast(t AS TIME) < TIME '02:00:00'", "4"),
        ("n::BOOLEAN", "48"),
        ("NOT n::BOOLEAN", "1"),
    ] {
        let query = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(rows(&ctx, &query).await, [[expected]], "{condition}");
    }
}
