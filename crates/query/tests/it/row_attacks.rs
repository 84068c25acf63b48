//! Attacks on roles that see rows, by their numbers in the project's list, each with a question beside it that must
//! still work.

use crate::hospital::{Hidden, Hospital, Neighbours, answer};

/// Rows of hospital A, without names.
pub(crate) const ROWS_OF_A: &str = r#"
version = 1
[roles.analyst]
kind = "analyst"
purposes = ["research", "quality"]
[[rules]]
name = "hospital A"
tables = ["emr"]
filter = "hosp = 'A'"
columns = { pid = "raw", age = "raw", sex = "raw", zip = { mask = 2 }, dx = "raw", hosp = "raw", los = "raw", cost = "raw", seen = "raw" }
"#;

/// The same rows, with pseudonyms and coarse values.
pub(crate) const MASKED: &str = r#"
version = 1
[projects.study]
[roles.analyst]
kind = "analyst"
purposes = ["research"]
projects = ["study"]
[[rules]]
name = "hospital A"
tables = ["emr"]
filter = "hosp = 'A'"
columns = { pid = "pseudonym", age = { bin = 10 }, sex = "raw", zip = { mask = 2 }, dx = "pseudonym", seen = "shift_date", cost = "raw" }
"#;

async fn neighbours() -> Neighbours {
    Neighbours::of(ROWS_OF_A).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_01_a_division_that_only_a_hidden_row_fails() {
    let them = neighbours().await;
    let found = them
        .ask("SELECT count(*) FROM emr WHERE 1//(age-22) > -5")
        .await;
    assert_eq!(found.unwrap(), ["30"]);
    // A row that it sees may fail, and does so alike.
    let said = them
        .ask("SELECT count(*) FROM emr WHERE 1//(age-31) > -5")
        .await;
    assert!(said.unwrap_err().contains("failed on a value"));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_02_a_cast_that_would_carry_a_hidden_value() {
    let them = neighbours().await;
    let sql = "SELECT count(*) FROM emr WHERE CASE WHEN cost > 1000 THEN CAST(concat('x:', dx) AS INT) ELSE 1 END = 1";
    assert_eq!(them.ask(sql).await.unwrap(), ["30"]);
    let sum = them.ask("SELECT sum(CAST(dx AS INT)) FROM emr").await;
    assert_eq!(sum.unwrap(), ["350"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_03_a_cheap_cast_before_a_costly_policy() {
    let policy = ROWS_OF_A.replace("hosp = 'A'", "hosp LIKE 'A%' AND lower(hosp) = 'a'");
    let them = Neighbours::of(&policy).await;
    let found = them
        .ask("SELECT count(*) FROM emr WHERE CAST(dx AS INT) > 0")
        .await;
    assert_eq!(found.unwrap(), ["30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_04_explain_answers_nothing() {
    let them = neighbours().await;
    let plan = them
        .ask("EXPLAIN SELECT count(*), min(cost), max(cost), min(dx) FROM emr")
        .await
        .unwrap()
        .join("\n");
    assert!(plan.contains("TableScan"), "{plan}");
    for secret in ["parquet", "file", "statistics", "hosp = "] {
        assert!(!plan.to_lowercase().contains(secret), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_05_and_06_metrics_and_statistics_are_refused() {
    let them = neighbours().await;
    for sql in [
        "EXPLAIN ANALYZE SELECT count(*) FROM emr",
        "EXPLAIN VERBOSE SELECT count(*) FROM emr",
        "EXPLAIN FORMAT TREE SELECT count(*) FROM emr",
        "SET datafusion.explain.show_statistics = true",
        "SET datafusion.explain.logical_plan_only = false",
        "RESET datafusion.explain.logical_plan_only",
    ] {
        them.ask(sql).await.unwrap_err();
    }
    them.ask("EXPLAIN SELECT sex FROM emr").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_07_statements_that_make_or_write() {
    let them = neighbours().await;
    for sql in [
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/'",
        "COPY emr TO 'stolen.csv'",
        "COPY (SELECT * FROM emr) TO 'stolen.parquet'",
        "CREATE TABLE t AS SELECT * FROM emr",
        "CREATE VIEW v AS SELECT * FROM emr",
        "CREATE SCHEMA s",
        "DROP TABLE emr",
        "INSERT INTO emr SELECT * FROM emr",
        "DELETE FROM emr",
        "PREPARE p AS SELECT * FROM emr",
        "EXPLAIN COPY emr TO 'stolen.csv'",
        "EXPLAIN CREATE TABLE t AS SELECT 1",
        "CREATE FUNCTION f(INT) RETURNS INT RETURN $1",
    ] {
        them.ask(sql).await.unwrap_err();
    }
    let found = them
        .ask("WITH t AS (SELECT * FROM emr) SELECT count(*) FROM t")
        .await;
    assert_eq!(found.unwrap(), ["30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_08_the_catalogue_knows_nothing_hidden() {
    let policy = ROWS_OF_A.replace("cost = \"raw\"", "cost = \"absent\"");
    let them = Neighbours::of(&policy).await;
    for sql in [
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.views",
        "DESCRIBE emr",
        "SHOW COLUMNS FROM emr",
        "SHOW TABLES",
    ] {
        for row in them.ask(sql).await.unwrap() {
            assert!(
                !row.contains("cost") && !row.contains("| name |"),
                "{sql}: {row}"
            );
        }
    }
    for column in ["cost", "name"] {
        let said = them
            .ask(&format!("SELECT {column} FROM emr"))
            .await
            .unwrap_err();
        let unknown = them.ask("SELECT nowhere FROM emr").await.unwrap_err();
        // What lies near is said of columns that it sees, whatever is hidden.
        let plain = |said: &str| {
            let lines = said.lines().map(|line| line.split(" Did you").next());
            lines.map(Option::unwrap).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            plain(&said.replace(&format!("named {column}"), "named nowhere")),
            plain(&unknown)
        );
    }
    let found = them
        .ask("SELECT count(*) FROM information_schema.columns WHERE table_name = 'emr'")
        .await;
    assert_eq!(found.unwrap(), ["8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_09_files_and_their_metadata() {
    let them = neighbours().await;
    for sql in [
        "SELECT * FROM parquet_metadata('emr')",
        "SELECT * FROM read_parquet('store')",
        "SELECT * FROM 'store/tables/emr'",
        "SELECT * FROM \"store/tables/emr\"",
        "SELECT * FROM metadata_cache()",
        "SELECT * FROM statistics_cache()",
    ] {
        them.ask(sql).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_10_joins_to_hidden_rows() {
    let them = neighbours().await;
    for (sql, found) in [
        (
            "SELECT count(*) FROM emr a JOIN emr b ON a.los = b.los AND b.hosp = 'B'",
            "0",
        ),
        (
            "SELECT count(*) FROM emr a WHERE EXISTS (SELECT 1 FROM emr b WHERE b.hosp <> 'A')",
            "0",
        ),
        (
            "SELECT count(*) FROM emr a WHERE NOT EXISTS (SELECT 1 FROM emr b WHERE b.age = 22)",
            "30",
        ),
        (
            "SELECT count(*) FROM emr a LEFT ANTI JOIN emr b ON a.pid + 1 = b.pid",
            "30",
        ),
        (
            "SELECT count(*) FROM emr a FULL JOIN emr b ON a.pid = b.pid",
            "30",
        ),
    ] {
        assert_eq!(them.ask(sql).await.unwrap(), [found], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_11_other_names_for_the_table() {
    let them = neighbours().await;
    for sql in [
        "SELECT count(*) FROM EMR",
        "SELECT count(*) FROM columna.public.emr",
        "SELECT count(*) FROM public.emr AS hidden",
        "WITH emr AS (SELECT * FROM public.emr) SELECT count(*) FROM emr",
    ] {
        assert_eq!(them.ask(sql).await.unwrap(), ["30"], "{sql}");
    }
    for sql in [
        "SELECT count(*) FROM \"EMR\"",
        "SELECT count(*) FROM datafusion.public.emr",
        "SELECT count(*) FROM main.emr",
    ] {
        them.ask(sql).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_and_13_values_behind_a_mask() {
    let them = Neighbours::of(MASKED).await;
    // The stored values decide nothing: each comparison is with what is shown.
    for (sql, found) in [
        ("SELECT count(*) FROM emr WHERE pid = 7", "0"),
        ("SELECT count(*) FROM emr WHERE age = 37", "0"),
        (
            "SELECT count(*) FROM emr WHERE zip LIKE '01%' AND zip <> '01***'",
            "0",
        ),
        ("SELECT count(*) FROM emr WHERE dx = '11'", "0"),
        (
            "SELECT count(*) FROM emr WHERE seen = DATE '2019-04-21'",
            "0",
        ),
        ("SELECT count(DISTINCT age) FROM emr", "4"),
        ("SELECT count(DISTINCT dx) FROM emr", "2"),
        ("SELECT count(DISTINCT pid) FROM emr", "30"),
    ] {
        assert_eq!(them.ask(sql).await.unwrap(), [found], "{sql}");
    }
    let by_pseudonym = them
        .ask("SELECT pid FROM emr ORDER BY pid LIMIT 1")
        .await
        .unwrap();
    let least = them.ask("SELECT min(pid) FROM emr").await.unwrap();
    assert_eq!(by_pseudonym, least);
    // The sibling: intervals between a person's dates are those of the stored dates.
    let joined = them
        .ask("SELECT count(*) FROM emr a JOIN emr b ON a.pid = b.pid AND a.seen = b.seen")
        .await;
    assert_eq!(joined.unwrap(), ["30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_14_a_scalar_subquery_of_too_many_rows() {
    let them = neighbours().await;
    let none = them
        .ask("SELECT (SELECT age FROM emr WHERE hosp = 'B')")
        .await;
    assert_eq!(none.unwrap(), ["NULL"]);
    them.ask("SELECT (SELECT age FROM emr WHERE hosp = 'A')")
        .await
        .unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_15_two_rules_never_widen_each_other() {
    let wider = format!(
        "{ROWS_OF_A}\n[[rules]]\nname = \"women\"\ntables = [\"emr\"]\nfilter = \"sex = 'F'\"\n\
         columns = {{ name = \"absent\", age = {{ bin = 5 }} }}\n"
    );
    let them = Neighbours::of(&wider).await;
    let found = them
        .ask("SELECT count(*), count(DISTINCT sex) FROM emr")
        .await;
    assert_eq!(found.unwrap(), ["15 | 1"]);
    them.ask("SELECT name FROM emr").await.unwrap_err();
    let ages = them
        .ask("SELECT count(*) FROM emr WHERE age % 5 <> 0")
        .await;
    assert_eq!(ages.unwrap(), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_16_another_purpose_is_another_session() {
    let policy = format!(
        "{ROWS_OF_A}\n[[rules]]\nname = \"quality\"\npurposes = [\"quality\"]\ntables = [\"emr\"]\nfilter = \"age > 50\"\n"
    );
    let hospital = Hospital::new(Hidden::AsTheyAre).await;
    let ask = async |purpose: &str| {
        let access = hospital.access(&policy, "analyst", purpose);
        let session = hospital.session(Some(access)).await.unwrap();
        // Nothing that a session prepared or named outlives it.
        answer(&session, "PREPARE p AS SELECT count(*) FROM emr")
            .await
            .unwrap_err();
        answer(&session, "EXECUTE p").await.unwrap_err();
        answer(&session, "SELECT count(*) FROM emr").await.unwrap()
    };
    assert_eq!(ask("research").await, ["30"]);
    assert_eq!(ask("quality").await, ["10"]);
    let access = hospital.access(&policy, "analyst", "curiosity");
    assert!(hospital.session(Some(access)).await.is_err());
    let access = hospital.access(&policy, "steward", "research");
    assert!(hospital.session(Some(access)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_47_and_48_keys_and_values_show_nowhere() {
    let hospital = Hospital::new(Hidden::AsTheyAre).await;
    let access = hospital.access(MASKED, "analyst", "research");
    let shown = format!("{access:?}");
    let session = hospital.session(Some(access)).await.unwrap();
    for function in ["pseudonym", "shift_date", "mask"] {
        let said = answer(&session, &format!("SELECT {function}('known')")).await;
        assert!(said.unwrap_err().contains(function));
    }
    answer(
        &session,
        "SELECT count(*) FROM emr WHERE zip = '900101-1234567' -- 900101-7654321",
    )
    .await
    .unwrap();
    let plan = answer(&session, "EXPLAIN SELECT pid FROM emr")
        .await
        .unwrap()
        .join("\n");
    let audit = hospital.audit();
    for secret in ["900101", "07070707", "[7, 7", "known"] {
        for text in [&shown, &plan, &audit] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert!(
        audit.contains("SELECT count(*) FROM emr WHERE zip = ?"),
        "{audit}"
    );
}

/// A number generator for tests: the same questions on every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn number(&mut self) -> String {
        let column = self.pick(&[
            "age",
            "los",
            "pid",
            "CAST(dx AS INT)",
            "length(zip)",
            "CAST(cost AS BIGINT)",
        ]);
        match self.below(6) {
            0 => format!("1/({column} - {})", self.below(70)),
            1 => format!("{column} * {}", 1 + self.below(9)),
            2 => format!("{column} % nullif({}, 0)", self.below(5)),
            3 => format!("CASE WHEN {} THEN {column} ELSE 0 END", self.condition(1)),
            _ => column.to_owned(),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        if depth < 2 && self.below(3) == 0 {
            let operator = self.pick(&["AND", "OR", "AND NOT"]);
            return format!(
                "({} {operator} {})",
                self.condition(depth + 1),
                self.condition(depth + 1)
            );
        }
        match self.below(7) {
            0 => format!("hosp = '{}'", self.pick(&["A", "B", "a"])),
            1 => format!("dx LIKE '{}%'", self.pick(&["1", "rare", "9"])),
            2 => format!("cost > {}", [10, 100, 1_000_000][self.below(3)]),
            3 => format!("seen < DATE '2019-0{}-15'", 4 + self.below(4)),
            4 => format!(
                "pid IN (SELECT {} FROM emr)",
                self.pick(&["pid + 1", "los", "age"])
            ),
            5 if depth < 2 => format!("{} > {}", self.number(), self.below(60)),
            _ => format!("age BETWEEN {} AND {}", self.below(40), 30 + self.below(40)),
        }
    }

    fn question(&mut self) -> String {
        let condition = self.condition(0);
        let number = self.number();
        match self.below(7) {
            0 => format!("SELECT count(*), sum({number}) FROM emr WHERE {condition}"),
            1 => format!(
                "SELECT sex, min({number}), max(cost) FROM emr WHERE {condition} GROUP BY sex"
            ),
            2 => format!("SELECT {number} AS x FROM emr WHERE {condition} ORDER BY x, pid LIMIT 5"),
            3 => format!(
                "SELECT count(*) FROM emr a JOIN emr b ON a.los = b.los AND a.{} = b.pid",
                self.pick(&["age", "pid", "los"])
            ),
            4 => format!("SELECT dx, count(*) FROM emr GROUP BY dx HAVING max({number}) > 3"),
            5 => format!("SELECT (SELECT {number} FROM emr WHERE {condition}) AS one"),
            _ => format!(
                "SELECT pid, rank() OVER (ORDER BY {number}, pid) FROM emr WHERE {condition}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_questions_do_not_see_hidden_rows() {
    let them = neighbours().await;
    let mut draw = Draw(20_251_126);
    let (mut answered, mut failed) = (0, 0);
    for _ in 0..200 {
        match them.ask(&draw.question()).await {
            Ok(_) => answered += 1,
            Err(_) => failed += 1,
        }
    }
    // Both kinds were tried in numbers.
    assert!(
        answered > 60 && failed > 5,
        "{answered} answered, {failed} failed"
    );
}
