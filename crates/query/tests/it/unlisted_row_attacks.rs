//! Attacks on roles that see rows that are in no list: each is asked before the data and before their neighbours, whose
//! hidden rows and values differ, and everything that comes back must be the same.

use crate::hospital::Neighbours;
use crate::row_attacks::{MASKED, ROWS_OF_A};

/// What must be answered, to an honest analyst as to anybody.
const ANSWERED: &[&str] = &[
    // Set operations, recursion, lateral joins, unnesting.
    "SELECT pid FROM emr EXCEPT SELECT pid FROM emr WHERE age < 40",
    "SELECT count(*) FROM (SELECT pid FROM emr UNION SELECT value FROM generate_series(1, 200) s(value))",
    "SELECT value FROM generate_series(1, 60) s(value) WHERE value NOT IN (SELECT pid FROM emr)",
    "WITH RECURSIVE r(n) AS (SELECT min(age) FROM emr UNION ALL SELECT n + 1 FROM r WHERE n < 40) SELECT count(*) FROM r",
    "SELECT unnest(array_agg(dx ORDER BY dx, pid)) FROM emr",
    "SELECT e.pid, f.pid FROM emr e FULL JOIN (SELECT value AS pid FROM generate_series(1, 60) s(value)) f ON e.pid = f.pid",
    "SELECT count(*) FROM emr e LEFT ANTI JOIN emr f ON e.pid = f.pid + 1",
    "SELECT v.x, e.pid FROM (VALUES (1), (2), (3), (4)) v(x) LEFT JOIN emr e ON e.pid = v.x ORDER BY 1",
    // Windows and their ends.
    "SELECT pid, lag(pid) OVER (ORDER BY pid), ntile(4) OVER (ORDER BY pid), percent_rank() OVER (ORDER BY age, pid) FROM emr",
    "SELECT pid, first_value(dx) OVER (PARTITION BY sex ORDER BY pid), sum(los) OVER (ORDER BY pid ROWS 2 PRECEDING) FROM emr",
    "SELECT pid FROM emr QUALIFY row_number() OVER (ORDER BY cost DESC, pid) = 1",
    "SELECT DISTINCT ON (sex) sex, pid FROM emr ORDER BY sex, cost DESC, pid",
    // Statistics, approximate ones among them, and digests of everything.
    "SELECT approx_distinct(pid), approx_distinct(dx), approx_median(age), approx_percentile_cont(los, 0.99) FROM emr",
    "SELECT min(cost), max(cost), median(los), any_value(hosp) FROM (SELECT * FROM emr ORDER BY pid)",
    "SELECT bit_xor(pid), bit_or(age), round(stddev(age), 9), round(corr(age, los), 9), round(regr_slope(age, los), 9) FROM emr",
    "SELECT string_agg(dx, ',' ORDER BY pid), array_agg(age ORDER BY pid DESC) FROM emr",
    "SELECT sha256(string_agg(CAST(pid AS TEXT), '' ORDER BY pid)) FROM emr",
    "SELECT grouping(sex), sex, dx, count(*) FROM emr GROUP BY CUBE (sex, dx)",
    // Minima and maxima by order and limit, and what lies beyond them.
    "SELECT cost FROM emr ORDER BY cost DESC NULLS LAST, pid LIMIT 1",
    "SELECT seen FROM emr ORDER BY seen DESC, pid OFFSET 29",
    "SELECT count(*) FROM emr OFFSET 1",
    "SELECT pid FROM emr WHERE pid >= ALL (SELECT pid FROM emr)",
    "SELECT pid FROM emr WHERE cost > ANY (SELECT cost FROM emr WHERE age = 31) ORDER BY 1",
    // Values that fail on hidden rows only: overflow, dates, patterns, arrays, numbers without a value.
    "SELECT count(*) FROM emr WHERE los * 92233720368547758 > 0",
    "SELECT count(*) FROM emr WHERE CAST(age - 30 AS TINYINT UNSIGNED) >= 0",
    "SELECT count(*) FROM emr WHERE CAST(cost AS SMALLINT) >= 0",
    "SELECT count(*) FROM emr WHERE arrow_cast(age, 'Int8') > 0",
    "SELECT count(*) FROM emr WHERE CAST(dx AS DECIMAL(2, 0)) > 0",
    "SELECT count(*) FROM emr WHERE regexp_like(dx, CASE WHEN dx = '99' THEN '(' ELSE '1' END)",
    "SELECT count(*) FROM emr WHERE make_date(2000, age - 29, 1) IS NOT NULL OR true",
    "SELECT count(*) FROM emr WHERE sqrt(age - 30) >= 0 AND ln(age - 29) >= 0",
    "SELECT count(*) FROM emr WHERE (SELECT count(*) FROM emr f WHERE f.age = 22) = 0",
    "SELECT count(*) FROM emr WHERE NOT EXISTS (SELECT 1 FROM emr f WHERE f.dx = '99')",
    "SELECT coalesce(max(CASE WHEN age < 30 THEN 1 // 0 END), 0) FROM emr",
    "SELECT concat(pid, ':', dx) FROM emr WHERE hosp <> 'A'",
    "SELECT count(*) FROM emr WHERE hosp = 'B' OR hosp IS NULL OR cost > 1000000",
    // Plans, names and settings.
    "EXPLAIN SELECT * FROM emr WHERE pid = 2 AND cost > 1000",
    "EXPLAIN SELECT count(*) FROM emr e JOIN emr f ON e.pid = f.pid WHERE e.dx = '99'",
    "SHOW COLUMNS FROM emr",
    "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'emr'",
    "DESCRIBE emr",
    "SELECT * FROM information_schema.views",
    "SELECT * FROM information_schema.schemata",
];

/// What may be refused or fail, alike before all neighbours.
const OTHERS: &[&str] = &[
    "SELECT age FROM emr INTERSECT ALL SELECT age FROM emr WHERE sex = 'F'",
    "SELECT count(*) FROM emr TABLESAMPLE SYSTEM (100)",
    "SELECT e.pid, x.n FROM emr e, LATERAL (SELECT count(*) AS n FROM emr f WHERE f.age < e.age) x ORDER BY 1",
    "SELECT count(*) FROM emr WHERE CAST(dx AS DATE) IS NULL OR TRY_CAST(dx AS INT) > 0",
    "SELECT count(*) FROM emr WHERE 1 // (age - 22) + 1 // (age - 31) > 0",
    "SELECT CAST(concat('x', max(dx)) AS INT) FROM emr",
    "SELECT arrow_cast(max(cost), 'Int8') FROM emr",
    "SELECT (SELECT dx FROM emr WHERE age < 33)",
    "SELECT repeat(dx, 9223372036854775807) FROM emr",
    "SELECT range(pid, 9223372036854775807) FROM emr",
    "SELECT count(*) FROM emr, generate_series(1, age)",
    "SELECT name FROM emr",
    "SELECT emr.name FROM emr e",
    "SELECT count(*) FROM emr ORDER BY name",
    "SELECT count(name) FROM emr",
    "SELECT * EXCLUDE (name) FROM emr",
    "SELECT * FROM emr NATURAL JOIN (SELECT 'name 2' AS name)",
    "SELECT \"Name\" FROM columna.public.emr",
    "SELECT * FROM other.public.emr",
    "SELECT * FROM emr FOR SYSTEM_TIME AS OF '2020-01-01'",
    "EXPLAIN ANALYZE SELECT count(*) FROM emr",
    "EXPLAIN VERBOSE SELECT count(*) FROM emr",
    "EXPLAIN FORMAT JSON SELECT count(*) FROM emr",
    "EXPLAIN EXPLAIN SELECT 1",
    "COPY emr TO 'x.parquet'",
    "COPY (SELECT 1) TO 'x.csv' STORED AS CSV",
    "INSERT INTO emr SELECT * FROM emr",
    "DELETE FROM emr",
    "UPDATE emr SET age = 1",
    "TRUNCATE emr",
    "DROP TABLE emr",
    "CREATE TABLE emr AS SELECT 1",
    "CREATE VIEW emr AS SELECT 1",
    "CREATE SCHEMA s",
    "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'store'",
    "CREATE FUNCTION f(BIGINT) RETURNS BIGINT RETURN 1",
    "CREATE INDEX i ON emr (pid)",
    "PREPARE p AS SELECT count(*) FROM emr",
    "EXECUTE p",
    "DEALLOCATE p",
    "SET datafusion.explain.show_statistics = true",
    "RESET datafusion.explain.show_statistics",
    "BEGIN",
    "ANALYZE emr",
    "SHOW CREATE TABLE emr",
    "SELECT * FROM parquet_metadata('store')",
    "SELECT * FROM statistics_cache()",
    "SELECT * FROM list_files_cache()",
    "SELECT * FROM 'store'",
    "SELECT * FROM read_parquet('store')",
    "SELECT * FROM eras('emr', 'dx', 'seen', 'seen')",
    "SELECT * FROM drug_era()",
];

#[tokio::test(flavor = "multi_thread")]
async fn hidden_rows_show_in_nothing_else_either() {
    let them = Neighbours::of(ROWS_OF_A).await;
    let mut failed = Vec::new();
    for sql in ANSWERED {
        if let Err(said) = them.ask(sql).await {
            failed.push(format!("{sql}: {said}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for sql in OTHERS {
        let said = them.ask(sql).await;
        if let Err(said) = said {
            for hidden in ["rare", "name 2", "1000000000", "'B'"] {
                assert!(
                    !said.contains(hidden) || sql.contains(hidden),
                    "{sql}: {said}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_do_rows_behind_masks() {
    let them = Neighbours::of(MASKED).await;
    for sql in ANSWERED.iter().chain(OTHERS) {
        // All that counts is that the neighbours say the same.
        let _ = them.ask(sql).await;
    }
    assert_eq!(them.ask("SELECT count(*) FROM emr").await.unwrap(), ["30"]);
}

/// Whether an analyst's query fits into its memory depends on the rows that it sees, in one thread: hidden rows leave nothing
/// behind that counts.
#[tokio::test(flavor = "multi_thread")]
async fn memory_holds_no_hidden_rows() {
    let mut them = Neighbours::of(ROWS_OF_A).await;
    let queries = [
        "SELECT * FROM emr ORDER BY dx, pid",
        "SELECT count(*) FROM (SELECT dx, pid, count(*) FROM emr GROUP BY dx, pid)",
        "SELECT count(*) FROM emr e JOIN emr f ON e.dx = f.dx",
        "SELECT pid, sum(cost) OVER (PARTITION BY sex ORDER BY pid) FROM emr",
    ];
    let (mut fitted, mut refused) = (0, 0);
    let mut limit = 1000;
    for _ in 0..24 {
        limit = limit * 7 / 5;
        them = them.within(ROWS_OF_A, limit).await;
        for sql in queries {
            match them.ask(sql).await {
                Ok(_) => fitted += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        fitted > 10 && refused > 10,
        "{fitted} fitted, {refused} did not"
    );
}

/// Texts that an expression makes are nobody's memory: none of these may take as much as it says.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_grows_beyond_all_memory() {
    let them = Neighbours::of(ROWS_OF_A).await;
    for sql in [
        "SELECT repeat(dx, 200000000) FROM emr",
        "SELECT repeat('x', 200000000)",
        "SELECT repeat(dx, pid * 1000000) FROM emr",
        "SELECT lpad(dx, 2147483647, 'x') FROM emr",
        "SELECT length(rpad(dx, CAST(pid AS BIGINT) * 100000000)) FROM emr",
        "SELECT replace(repeat(dx, 1000), left(dx, 1), repeat(sex, 4000)) FROM emr",
        "SELECT count(*) FROM emr WHERE lpad('a', 2147483647) = dx",
        "SELECT length(regexp_replace(repeat('a', 4000), 'a', repeat('b', 4000), 'g'))",
        "SELECT length(regexp_replace(dx, '(.)', repeat('\\1', 4000), 'g')) FROM emr",
        "SELECT length(concat_ws(repeat('x', 4000), dx, dx, sex)) FROM emr",
        "WITH RECURSIVE r(s, n) AS (SELECT dx, 0 FROM emr WHERE pid = 1 UNION ALL SELECT s || s, n + 1 FROM r WHERE n < 40) \
         SELECT max(length(s)) FROM r",
        "WITH RECURSIVE r(s, n) AS (SELECT dx, 0 FROM emr WHERE pid = 1 UNION ALL SELECT concat(s, s), n + 1 FROM r WHERE n < 40) \
         SELECT max(length(s)) FROM r",
        "WITH RECURSIVE r(s, n) AS (SELECT dx, 0 FROM emr WHERE pid = 1 \
         UNION ALL SELECT replace(s, '1', '11'), n + 1 FROM r WHERE n < 40) SELECT max(length(s)) FROM r",
    ] {
        let said = them.ask(sql).await.unwrap_err();
        assert!(said.contains("no text of more than"), "{sql}: {said}");
    }
    for sql in [
        "SELECT array_length(array_repeat(1, 3000000000))",
        "SELECT array_length(array_repeat(repeat(dx, 1000), 1000)) FROM emr",
        "SELECT array_length(range(1, 300000000))",
        "SELECT array_length(range(pid, 300000000)) FROM emr",
        "SELECT array_length(generate_series(DATE '0001-01-01', DATE '9000-01-01', INTERVAL '1 day'))",
        "SELECT array_length(array_resize([1], 300000000, 1))",
        "SELECT length(array_to_string(range(1, 10000), repeat('x', 4000)))",
        "WITH RECURSIVE r(l, n) AS (SELECT [1], 0 UNION ALL SELECT l || l, n + 1 FROM r WHERE n < 40) \
         SELECT max(array_length(l)) FROM r",
    ] {
        let said = them.ask(sql).await.unwrap_err();
        assert!(said.contains("no list of more than"), "{sql}: {said}");
    }
    for (sql, first) in [
        ("SELECT length(repeat('ab', 2000))", "4000"),
        ("SELECT lpad('7', 3, '0')", "007"),
        ("SELECT repeat('ab', -1) || rpad('x', 3, '-')", "x--"),
        ("SELECT replace('abcabc', 'bc', 'x')", "axax"),
        ("SELECT 'a' || dx || pid FROM emr WHERE pid = 1", "a121"),
        (
            "SELECT count(*) FROM emr WHERE dx || NULL IS NULL AND sex || '' = sex",
            "30",
        ),
        (
            "SELECT concat_ws('-', dx, sex) || concat(dx, NULL) FROM emr WHERE pid = 1",
            "12-F12",
        ),
        (
            "SELECT regexp_replace(dx, '(1)', '<\\1>') FROM emr WHERE pid = 1",
            "<1>2",
        ),
        (
            "SELECT array_length(range(1, 10000)) + array_length([1] || [2, 3])",
            "10002",
        ),
        (
            "SELECT array_length(generate_series(DATE '2000-01-01', DATE '2025-12-31', INTERVAL '1 day'))",
            "9497",
        ),
        (
            "SELECT array_to_string(array_repeat(sex, 3), ', ') FROM emr WHERE pid = 1",
            "F, F, F",
        ),
        (
            "SELECT count(*) FROM emr WHERE lpad(sex, 4096) IS NULL OR repeat(sex, NULL) IS NOT NULL",
            "0",
        ),
        (
            "SELECT length(replace(repeat(lpad('', 4096, 'a b'), 2), ' ', '--'))",
            "10922",
        ),
    ] {
        assert_eq!(them.ask(sql).await.unwrap(), [first], "{sql}");
    }
}

/// An honest author is told what is wrong with the query itself, of which no row has a say; of values nobody is.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_with_any_data_is_said() {
    let them = Neighbours::of(ROWS_OF_A).await;
    for (sql, told) in [
        ("SELECT 1 // 0", "ivide by zero"),
        ("SELECT make_date(2020, 13, 1)", "onth"),
        ("SELECT date_trunc('fortnight', seen) FROM emr", "fortnight"),
        (
            "SELECT count(*) FROM emr WHERE date_part('fortnight', seen) = 1",
            "fortnight",
        ),
        ("SELECT approx_distinct(cost) FROM emr", "approx_distinct"),
    ] {
        let said = them.ask(sql).await.unwrap_err();
        assert!(
            said.contains("with any data") && said.contains(told),
            "{sql}: {said}"
        );
    }
    for sql in [
        "SELECT 1 // (age - 31) FROM emr",
        "SELECT CAST(sex AS INT) FROM emr",
        "SELECT pid FROM emr WHERE CAST(dx AS TINYINT) // (los - los) > 0",
    ] {
        let said = them.ask(sql).await.unwrap_err();
        assert!(
            said.contains("on a value") && !said.contains("any data"),
            "{sql}: {said}"
        );
    }
}
