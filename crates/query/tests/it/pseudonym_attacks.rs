//! Attacks 44 to 46 on pseudonyms and dates, and attacks on guards that are in no list.

use std::collections::BTreeSet;
use std::sync::Arc;

use columna_privacy::pseudonym::ProjectKeys;

use crate::hospital::{Hidden, Hospital, Neighbours, answer};
use crate::row_attacks::{MASKED, ROWS_OF_A};

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_a_dictionary_of_hashes() {
    let them = Neighbours::of(MASKED).await;
    for sql in [
        "SELECT count(*) FROM emr JOIN generate_series(1, 5000) AS g(v) ON emr.pid = g.v",
        "SELECT count(*) FROM emr, (VALUES ('11'), ('12')) AS known(v)
         WHERE dx IN (v, md5(v), substr(encode(sha256(v), 'hex'), 1, 32), encode(digest(v, 'blake3'), 'hex'))",
        "SELECT count(*) FROM emr WHERE dx IN (md5('text11'), left(encode(sha224('11'), 'hex'), 32))",
    ] {
        assert_eq!(them.ask(sql).await.unwrap(), ["0"], "{sql}");
    }
    // The sibling: a code is counted by its pseudonym.
    let found = them
        .ask("SELECT count(*) FROM emr GROUP BY dx ORDER BY 1")
        .await;
    assert_eq!(found.unwrap(), ["10", "20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_45_two_projects_share_no_pseudonym_and_no_shift() {
    let hospital = Hospital::new(Hidden::AsTheyAre).await;
    let mut seen = Vec::new();
    for key in [7, 8] {
        let mut access = hospital.access(MASKED, "analyst", "research");
        access.keys = Some(Arc::new(
            ProjectKeys::from_key(&[key; 32], 365, false).unwrap(),
        ));
        let session = hospital.session(Some(access)).await.unwrap();
        let of = async |column: &str| -> BTreeSet<String> {
            let rows = answer(&session, &format!("SELECT {column} FROM emr")).await;
            rows.unwrap().into_iter().collect()
        };
        seen.push((of("pid").await, of("dx").await, of("cost, seen").await));
        // The sibling: within a project, rows of a person join.
        let joined = answer(
            &session,
            "SELECT count(*) FROM emr a JOIN emr b USING (pid)",
        );
        assert_eq!(joined.await.unwrap(), ["30"]);
    }
    let [(pids, codes, dates), (other_pids, other_codes, other_dates)] = &seen[..] else {
        panic!("two projects")
    };
    assert!(pids.len() == 30 && pids.is_disjoint(other_pids));
    assert!(codes.len() == 2 && codes.is_disjoint(other_codes));
    // A cost names a few persons; that several of them were moved alike is chance at its most.
    assert!(dates.intersection(other_dates).count() < 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_46_dates_do_not_give_an_age_above_89_away() {
    // `seen` stands for a date of birth. On the policy's day, whoever was born before 15 May 2019 is above 89.
    let policy = MASKED.replace(
        "version = 1",
        "version = 1\n[ages]\nover = 89\non = 2109-05-14",
    );
    let them = Neighbours::of(&policy).await;
    // Shifted by up to 365 days, and never before the first day that anybody of 89 can have, shifted the farthest.
    let first = them.ask("SELECT min(seen) FROM emr").await;
    assert_eq!(first.unwrap(), ["2020-05-14"]);
    let alike = them
        .ask("SELECT count(*) > 20 FROM emr WHERE seen = DATE '2020-05-14'")
        .await;
    assert_eq!(alike.unwrap(), ["true"]);
    let cut = policy.replace("\"shift_date\"", "{ generalize_date = \"month\" }");
    let them = Neighbours::of(&cut).await;
    let months = them.ask("SELECT DISTINCT seen FROM emr").await.unwrap();
    assert_eq!(months, ["2019-05-01", "2019-06-01"]);
    let years = policy.replace("age = { bin = 10 }", "age = \"birth_year\"");
    let them = Neighbours::of(&years).await;
    let years = them.ask("SELECT DISTINCT age FROM emr").await.unwrap();
    assert_eq!(years, ["2019"]);
    // The sibling: without an age limit dates are shifted only.
    let them = Neighbours::of(MASKED).await;
    let days = them.ask("SELECT count(DISTINCT seen) > 20 FROM emr").await;
    assert_eq!(days.unwrap(), ["true"]);
}

/// Each must be answered alike whatever the hidden rows are: with an answer, or with the same refusal.
const UNLISTED: &[&str] = &[
    // Numbers at the edge.
    "SELECT count(*) FROM emr WHERE cost / 0 > 1",
    "SELECT count(*) FROM emr WHERE 0.0 / (cost - 1e9) = 0",
    // In which order fractions are added follows from how rows lie in files: the last digit is not promised.
    "SELECT round(sum(ln(1e9 - cost)), 6), count(*) FROM emr",
    "SELECT count(*) FROM emr WHERE sqrt(1000 - cost) IS NOT NULL AND NOT isnan(sqrt(1000 - cost))",
    "SELECT CAST(cost AS TINYINT) FROM emr",
    "SELECT count(*) FROM emr WHERE CAST(cost AS SMALLINT) > 0",
    "SELECT sum(age * 9223372036854775807) FROM emr",
    "SELECT sum(CAST(power(10, los) AS BIGINT)) FROM emr",
    "SELECT count(*) FROM emr WHERE factorial(age - 22) > 0",
    "SELECT CAST(cost AS DECIMAL(5, 1)) FROM emr ORDER BY 1",
    "SELECT min(cost), max(cost), avg(cost), round(stddev(cost), 6), median(cost) FROM emr",
    "SELECT approx_distinct(dx), round(corr(age, cost), 6) FROM emr",
    // Times.
    "SELECT count(*) FROM emr WHERE CAST(dx AS TIMESTAMP) > now() - INTERVAL '9' YEAR",
    "SELECT count(*) FROM emr WHERE to_date(dx) IS NOT NULL",
    "SELECT count(*) FROM emr WHERE date_trunc('month', seen) > CAST('2019-05-01' AS TIMESTAMP)",
    "SELECT max(seen + CAST(los || ' days' AS INTERVAL)) FROM emr",
    "SELECT make_date(2019, 4, age % 40) FROM emr",
    "SELECT to_timestamp(cost) FROM emr ORDER BY 1 LIMIT 3",
    // Texts and patterns.
    "SELECT count(*) FROM emr WHERE dx LIKE 'rare%'",
    "SELECT count(*) FROM emr WHERE dx SIMILAR TO '(rare|9).*'",
    "SELECT count(*) FROM emr WHERE regexp_like(dx, '^r')",
    "SELECT count(*) FROM emr WHERE regexp_like('x', concat('(', dx))",
    "SELECT count(*) FROM emr WHERE regexp_like('x', CASE WHEN dx = '99' THEN '(' ELSE 'x' END)",
    "SELECT string_agg(dx, ',' ORDER BY dx) FROM emr",
    "SELECT repeat(dx, CAST(cost AS BIGINT)) FROM emr ORDER BY 1 LIMIT 1",
    "SELECT count(*) FROM emr WHERE arrow_cast(dx, 'Int8') > 0",
    "SELECT DISTINCT arrow_typeof(dx), arrow_metadata(dx) FROM emr",
    "SELECT to_hex(ascii(dx)), chr(CAST(cost AS BIGINT) - 5) FROM emr ORDER BY 1 LIMIT 2",
    // Lists and rows made of rows.
    "SELECT unnest(array_agg(dx ORDER BY dx)) FROM emr",
    "SELECT unnest(range(0, age)) FROM emr ORDER BY 1 DESC LIMIT 3",
    "SELECT array_agg(age ORDER BY age)[1] FROM emr",
    "SELECT count(*) FROM emr, generate_series(20, 30) AS g(v) WHERE 1 // (age - v) > -9",
    "SELECT (SELECT count(*) FROM generate_series(1, max(age))) FROM emr",
    "SELECT g.v, (SELECT count(*) FROM emr WHERE age = g.v) FROM generate_series(20, 35) AS g(v) ORDER BY 1",
    // Sub-queries, sets and recursion.
    "WITH RECURSIVE r(n) AS (SELECT min(age) FROM emr UNION ALL SELECT n + 1 FROM r WHERE n < 40) SELECT count(*) FROM r",
    "WITH RECURSIVE r(p) AS (SELECT 1 UNION ALL SELECT e.pid FROM emr e JOIN r ON e.pid = r.p + 1) SELECT count(*) FROM r",
    "SELECT count(*) FROM emr a, LATERAL (SELECT count(*) AS n FROM emr b WHERE b.los = a.los) c WHERE c.n > 3",
    "SELECT a.pid FROM emr a LEFT JOIN LATERAL (SELECT b.pid FROM emr b WHERE b.pid > a.pid ORDER BY b.pid LIMIT 1) c ON true ORDER BY 1 LIMIT 3",
    "SELECT count(*) FROM emr WHERE age > ALL (SELECT age FROM emr WHERE hosp = 'B')",
    "SELECT count(*) FROM emr WHERE age NOT IN (SELECT age FROM emr WHERE hosp <> 'A')",
    "(SELECT dx FROM emr EXCEPT SELECT '12') INTERSECT SELECT dx FROM emr",
    "SELECT dx FROM emr UNION SELECT '99' ORDER BY 1",
    "TABLE emr",
    "FROM emr",
    // Windows, filters and grouping sets.
    "SELECT lag(pid) OVER (ORDER BY pid), row_number() OVER (ORDER BY cost DESC, pid) FROM emr ORDER BY 2 LIMIT 5",
    "SELECT sum(cost) OVER (ORDER BY pid ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM emr ORDER BY 1 DESC LIMIT 2",
    "SELECT count(*) OVER (ORDER BY seen RANGE BETWEEN INTERVAL '2' DAY PRECEDING AND CURRENT ROW) FROM emr ORDER BY 1 DESC LIMIT 2",
    "SELECT nth_value(age, 2) OVER (PARTITION BY sex ORDER BY pid), ntile(3) OVER (ORDER BY pid) FROM emr ORDER BY 1, 2 LIMIT 4",
    "SELECT count(*) FILTER (WHERE hosp = 'B'), sum(1 // (age - 22)) FILTER (WHERE dx <> '99') FROM emr",
    "SELECT hosp, sex, grouping(hosp), count(*) FROM emr GROUP BY GROUPING SETS ((hosp), (sex), ())",
    "SELECT hosp, dx, count(*) FROM emr GROUP BY CUBE (hosp, dx)",
    "SELECT sex FROM emr QUALIFY row_number() OVER (PARTITION BY hosp ORDER BY pid) = 1",
    // What an optimiser might answer from files, or push to them.
    "SELECT count(*) FROM emr",
    "SELECT count(dx), min(pid), max(pid), min(dx), max(seen) FROM emr",
    "SELECT * FROM emr ORDER BY cost DESC LIMIT 1",
    // Without an order, which rows a LIMIT takes is chance, here and in docs/privacy.md.
    "SELECT count(*) FROM (SELECT pid FROM emr LIMIT 3)",
    "SELECT pid FROM emr ORDER BY pid LIMIT 3 OFFSET 28",
    "SELECT max(cost) FROM (SELECT cost FROM emr ORDER BY cost DESC LIMIT 5)",
    "SELECT count(*) FROM emr a JOIN (SELECT max(cost) AS m FROM emr) b ON a.cost = b.m",
    "SELECT count(*) FROM emr a JOIN (SELECT pid FROM emr ORDER BY cost DESC LIMIT 4) b ON a.pid = b.pid WHERE 1 // (a.age - 22) < 9",
    "SELECT count(*) FROM emr WHERE pid = 2 OR 1 // (age - 23) > 5",
    "SELECT count(*) FROM emr WHERE pid BETWEEN 2 AND 2",
    "SELECT DISTINCT hosp FROM emr",
    "SELECT CASE WHEN (SELECT count(*) FROM emr WHERE hosp = 'B') > 0 THEN 1 // 0 ELSE 1 END",
    "SELECT coalesce((SELECT max(1 // (age - 22)) FROM emr), 0)",
    // Names of what lies below.
    "SELECT table_name, column_name FROM information_schema.columns ORDER BY 1, 2",
    "SELECT * FROM information_schema.tables ORDER BY table_name",
    "SELECT * FROM information_schema.views",
    "SELECT count(*) FROM information_schema.df_settings WHERE value LIKE '%store%'",
    "SELECT input_file_name() FROM emr",
    "SELECT \"__columna_row\" FROM emr",
    "SELECT emr.* EXCLUDE (pid) FROM emr ORDER BY 1, 2, 3, 4, 5, 6, 7, 8 LIMIT 1",
    "SELECT e FROM emr e ORDER BY e LIMIT 1",
    "SELECT * FROM \"columna\".\"public\".\"emr.parquet\"",
    "SELECT * FROM cohort('emr')",
    "SELECT * FROM list_files_cache()",
    "SHOW TABLES",
    // The rest of the settings hold a folder that is another one in each session.
    "SELECT value FROM information_schema.df_settings WHERE name NOT LIKE 'datafusion.runtime.temp%'",
    "DESCRIBE emr",
    "EXECUTE p(1)",
    "EXPLAIN SELECT count(*) FROM emr WHERE pid = 2",
    "EXPLAIN SELECT a.pid FROM emr a JOIN emr b ON a.pid = b.pid ORDER BY a.cost LIMIT 1",
    // Our own statistics.
    "SELECT kaplan_meier(time => los, event => 1 // (age - 22)) FROM emr",
    "SELECT kaplan_meier(time => los, event => CASE WHEN hosp = 'B' THEN 1 ELSE 0 END) FROM emr",
    "SELECT age_band(age), count(*) FROM emr GROUP BY 1 ORDER BY 1",
];

#[tokio::test(flavor = "multi_thread")]
async fn unlisted_attacks_see_no_hidden_row() {
    for policy in [ROWS_OF_A, MASKED] {
        let them = Neighbours::of(policy).await;
        let mut answered = 0;
        for sql in UNLISTED {
            match them.ask(sql).await {
                Ok(rows) => {
                    answered += 1;
                    let rows = rows.join("\n");
                    for secret in ["rare", "name 2", "1000000", ".parquet", "store/"] {
                        assert!(!rows.contains(secret), "{sql}: {rows}");
                    }
                }
                Err(said) => {
                    for secret in ["rare", "name 2", "'99'", ".parquet\"", "/tables/"] {
                        let asked = sql.contains(secret);
                        assert!(asked || !said.contains(secret), "{sql}: {said}");
                    }
                }
            }
        }
        assert!(answered > UNLISTED.len() / 3, "{answered} were answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masks_are_below_every_expression() {
    let them = Neighbours::of(MASKED).await;
    // What is stored is ten different ages in each band, zip codes by their digits, and days in a row.
    for (sql, found) in [
        ("SELECT count(*) FROM emr WHERE age % 10 <> 0", "0"),
        (
            "SELECT count(*) FROM emr WHERE NOT (age <= 30 OR age > 39)",
            "0",
        ),
        ("SELECT count(*) FROM emr WHERE age BETWEEN 31 AND 39", "0"),
        ("SELECT count(*) FROM emr WHERE age IN (31, 33, 35)", "0"),
        ("SELECT count(*) FROM emr WHERE zip ~ '[0-9]{3}'", "0"),
        (
            "SELECT count(*) FROM emr WHERE character_length(zip) <> 5",
            "0",
        ),
        (
            "SELECT count(*) FROM emr WHERE zip > '01***' AND zip < '02***'",
            "0",
        ),
        (
            "SELECT count(*) FROM emr WHERE dx < '2'  AND character_length(dx) < 32",
            "0",
        ),
        (
            "SELECT count(*) FROM (SELECT pid, lag(pid) OVER (ORDER BY pid) AS before FROM emr) WHERE pid - before = 2",
            "0",
        ),
        (
            "SELECT count(*) FROM emr a JOIN emr b ON a.age = b.age + 2",
            "0",
        ),
    ] {
        let expected: Vec<&str> = if found.is_empty() {
            vec![]
        } else {
            vec![found]
        };
        assert_eq!(them.ask(sql).await.unwrap(), expected, "{sql}");
    }
    // A sort by the person is a sort by the pseudonym: not the stored order, which would give ranks away.
    let hospital = Hospital::new(Hidden::AsTheyAre).await;
    let session = hospital
        .session(Some(hospital.access(MASKED, "analyst", "research")))
        .await
        .unwrap();
    let sorted = session
        .sql("SELECT cost FROM emr ORDER BY pid")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    let sorted: Vec<String> = crate::fixture::text(&sorted)
        .into_iter()
        .map(|row| row.join(""))
        .collect();
    let stored: Vec<String> = (1..=59)
        .step_by(2)
        .map(|pid: i64| format!("{:.1}", (pid % 17) as f64 * 10.0))
        .collect();
    assert_eq!(sorted.len(), stored.len());
    assert_ne!(sorted, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_come_in_the_order_of_persons_that_pseudonyms_hide() {
    // Where a store lies in order of persons, rows as they come tell ranks of hidden numbers, and with them who was
    // admitted before whom: known, and said in docs/privacy.md. What must not show are the numbers.
    let them = Neighbours::of(MASKED).await;
    let rows = them.ask("SELECT pid FROM emr").await.unwrap();
    let small = rows.iter().filter(|pid| pid.len() < 10).count();
    assert_eq!((rows.len(), small), (30, 0));
}
