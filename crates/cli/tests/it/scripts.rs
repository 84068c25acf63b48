//! Scripts: where they stop, what they say, and the backslash commands in them.

use crate::support::{columna, folder, piped, store, text};

#[test]
fn a_script_stops_at_the_first_error_and_says_where() {
    let folder = folder();
    let path = folder.path().join("report.sql");
    std::fs::write(
        &path,
        "SELECT 1 AS a;\n\nSELECT a,\n       nonsense\nFROM (SELECT 1 AS a) t;\nSELECT 3 AS c;\n",
    )
    .expect("written");
    let ran = columna(&["sql", "-f", &text(&path), "--format", "csv"])
        .fails(1, "no column named `nonsense`");
    assert_eq!(ran.out, "a\n1\n");
    let place = format!(
        "--> {}:4:8 (its statement starts at {}:3:1)",
        path.display(),
        path.display()
    );
    assert!(ran.err.contains(&place), "{}", ran.err);
    assert!(
        ran.err
            .contains("4 |        nonsense\n  |        ^^^^^^^^\n"),
        "{}",
        ran.err
    );
}

#[test]
fn a_statement_may_begin_with_a_comment() {
    let said = columna(&["sql", "--format", "csv", "-c", "-- one\nSELECT 1 AS a"]).ok();
    assert_eq!(said, "a\n1\n");
}

#[test]
fn positions_of_syntax_errors_and_of_repeated_commands() {
    let ran = columna(&[
        "sql",
        "-c",
        "SELECT 1",
        "-c",
        "SELECT 2;\nSELECT * FORM person",
    ]);
    let ran = ran.fails(1, "syntax error");
    assert!(ran.err.contains("--> -c[2]:2:10"), "{}", ran.err);
    columna(&["sql", "-c", "SELEC 1"]).fails(1, "--> -c:1:1");
    columna(&["sql", "-c", "SELECT * FROM persn", "--store", &store()])
        .fails(1, "hint: did you mean `person`?");
    columna(&["sql", "-c", "SELECT agee_at(1)", "--store", &store()])
        .fails(1, "no function named `agee_at`");
    // As in R.
    let fit = "cox_ph(t, e, named_struct('x', t), ties = 'breslow')";
    columna(&[
        "sql",
        "-c",
        &format!("SELECT {fit} FROM (VALUES (1, 1)) AS d(t, e)"),
    ])
    .fails(1, "write `ties => …`");
    let curve = "SELECT kaplan_meier(t, e)['survival'] FROM (VALUES (1, 1)) AS d(t, e)";
    columna(&["sql", "-c", curve]).fails(1, "a list has no fields");
    columna(&["sql", "-f", "no-such-file.sql"]).fails(1, "cannot read `no-such-file.sql`");
}

#[test]
fn values_in_the_data_do_not_appear_in_errors() {
    let folder = folder();
    let path = folder.path().join("secret.csv");
    std::fs::write(&path, "name\nHong Gil-dong\n").expect("written");
    let script = format!(
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true');\nSELECT CAST(name AS INT) FROM t;",
        path.display()
    );
    let ran = columna(&["sql", "-c", &script]).fails(1, "error: ");
    assert!(
        !ran.err.contains("Hong") && !ran.err.contains("Gil"),
        "{}",
        ran.err
    );
}

/// As R's `write.csv(d)` writes them.
const FROM_R: &str = "\"\",\"Solar.R\",\"day\",\"ok\",\"country\",\"note\"
\"1\",190,2020-01-01,TRUE,\"NA\",\"\"
\"2\",NA,NA,NA,\"DE\",NA
\"3\",7.5,2020-01-03,FALSE,\"FR\",\"x\"
";

#[test]
fn the_na_of_r_is_null() {
    let folder = folder();
    let path = folder.path().join("r.csv");
    std::fs::write(&path, FROM_R).expect("written");
    let ask = |columns: &str, options: &str| {
        let script = format!(
            "CREATE EXTERNAL TABLE t{columns} STORED AS CSV LOCATION '{}'{options};
             SELECT sum(\"Solar.R\") AS sum, count(\"Solar.R\") AS n, max(day) - min(day) AS days, count(*) FILTER (WHERE ok) AS ok,
             count(country) AS countries, count(note) AS notes FROM t;",
            path.display()
        );
        columna(&["sql", "--format", "csv", "-c", &script])
    };
    let header = "sum,n,days,ok,countries,notes\n";
    // Columns of numbers, days and booleans have it; words stay what they are.
    let guessed = ask("", "").ok();
    assert_eq!(guessed, format!("{header}197.5,2,2,1,3,2\n"));
    let told = ask("", " OPTIONS ('format.null_regex' '^NA$')").ok();
    assert_eq!(told, format!("{header}197.5,2,2,1,2,1\n"));
    let columns = "(i BIGINT, \"Solar.R\" DOUBLE, day DATE, ok BOOLEAN, country TEXT, note TEXT)";
    let declared = ask(columns, " OPTIONS (null_regex 'NA|FR')").ok();
    assert_eq!(declared, format!("{header}197.5,2,2,1,1,1\n"));
    ask(columns, "").fails(1, "OPTIONS ('format.null_regex' '^NA$')");
    ask("", " OPTIONS ('format.null_regex' '(')").fails(1, "is no regular expression");
    // It is a table like others.
    let create = format!(
        "EXTERNAL TABLE t STORED AS CSV LOCATION '{}'",
        path.display()
    );
    let script =
        format!("CREATE {create}; CREATE OR REPLACE {create}; DROP TABLE t; CREATE {create}");
    columna(&["sql", "-c", &script]).ok();
}

/// What comes late in a file counts: values of a column that begins empty, and fractions of one that begins whole.
#[test]
fn types_are_guessed_by_what_comes_late_as_well() {
    let folder = folder();
    let path = folder.path().join("late.csv");
    let mut csv = "id,late,some,never\n".to_owned();
    for id in 1..=3_000 {
        let late = if id > 2_500 { "7" } else { "NA" };
        let some = if id == 2_900 { "6.31" } else { "6" };
        csv.push_str(&format!("{id},{late},{some},\n"));
    }
    std::fs::write(&path, csv).expect("a file");
    let ask = |sql: &str| {
        let path = text(&path);
        let sql = format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{path}'; {sql}");
        columna(&["sql", "--format", "csv", "-c", &sql]).ok()
    };
    let told = ask("SELECT count(late), sum(late), max(some), count(never), count(*) FROM t");
    assert!(told.ends_with("500,3500,6.31,0,3000\n"), "{told}");
    let told =
        ask("SELECT arrow_typeof(late), arrow_typeof(some), arrow_typeof(never) FROM t LIMIT 1");
    assert!(told.ends_with("Int64,Float64,Utf8\n"), "{told}");
}

#[test]
fn numbers_that_r_writes_as_not_finite_are_numbers() {
    let folder = folder();
    let path = folder.path().join("r.csv");
    let rows = "\"x\",\"n\",\"word\"\n1.5,1,\"Inf\"\nInf,-Inf,\"a\"\nNA,NA,NA\n2,3,\"b\"\n";
    std::fs::write(&path, rows).expect("written");
    let script = format!(
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{}';
         SELECT max(x) AS x, min(n) AS n, count(x) AS some, count(word) AS words, arrow_typeof(min(n)) AS kind FROM t;",
        path.display()
    );
    let answer = columna(&["sql", "--format", "csv", "-c", &script]).ok();
    assert_eq!(answer, "x,n,some,words,kind\ninf,-inf,3,4,Float64\n");
}

#[test]
fn parameters_are_values_and_never_sql() {
    let statement = "SELECT $n + 1 AS n, $s AS s, $d < DATE '2020-06-01' AS d, $c AS c";
    let arguments = [
        "sql",
        "--format",
        "csv",
        "-c",
        statement,
        "--param",
        "n=41",
        "--param",
        "s=x' OR '1'='1",
        "--param",
        "d=2020-01-01",
        "--param",
        "c=0123",
    ];
    assert_eq!(
        columna(&arguments).ok(),
        "n,s,d,c\n42,x' OR '1'='1,true,0123\n"
    );
    let ran = columna(&["sql", "-c", "SELECT 1,\n $since"]).fails(1, "`$since` has no value");
    assert!(
        ran.err.contains("--> -c:2:2") && ran.err.contains("--param since=VALUE"),
        "{}",
        ran.err
    );
}

#[test]
fn a_script_on_standard_input_uses_backslash_commands() {
    let folder = folder();
    let (included, out) = (
        folder.path().join("inner.sql"),
        folder.path().join("out.csv"),
    );
    std::fs::write(&included, "SELECT $who AS who;\n").expect("written");
    let script = format!(
        "\\format csv\n\\set who 'me'\n\\i {}\n\\o {}\nSELECT 2 AS two;\n\\o\nSELECT 3 AS three;\n\\q\nSELECT 4;\n",
        included.display(),
        out.display()
    );
    assert_eq!(piped(&["sql"], &script).ok(), "who\nme\nthree\n3\n");
    assert_eq!(std::fs::read_to_string(&out).expect("written"), "two\n2\n");
    piped(&["sql"], "SELECT 1;\n\\nonsense\n")
        .fails(1, "no command `\\nonsense`")
        .fails(1, "--> stdin:2:1");
    let included = text(&included);
    std::fs::write(&included, format!("\\i {included}\n")).expect("written");
    piped(&["sql"], &format!("\\i {included}\n")).fails(1, "levels deep");
}

#[test]
fn timing_goes_to_standard_error() {
    let ran = piped(&["sql", "--format", "csv"], "\\timing on\nSELECT 1 AS a;\n");
    assert_eq!(ran.out, "a\n1\n");
    assert!(
        ran.err.contains("(1 row, ") && ran.err.contains("ms)"),
        "{}",
        ran.err
    );
}

#[test]
fn tables_columns_and_functions_are_described() {
    let ran = piped(
        &["sql", "--store", &store(), "--format", "csv"],
        "\\d\n\\d person\n\\df kaplan_meier\n\\df\n",
    )
    .ok();
    assert!(ran.starts_with("table,rows,bytes\n"), "{ran}");
    assert!(
        ran.contains(&format!("\nperson,{},", crate::support::PATIENTS)),
        "{ran}"
    );
    assert!(
        ran.contains("\nperson_id,BIGINT,false,primary key,"),
        "{ran}"
    );
    assert!(ran.contains("kaplan_meier(time, event"), "{ran}");
    piped(&["sql"], "\\d nowhere\n").fails(1, "no table named `nowhere`");
}

#[test]
fn explain_shows_a_plan_and_finds_mistakes_at_their_place() {
    let ran = piped(
        &["sql"],
        "\\explain SELECT value FROM generate_series(1, 3) WHERE value > 1\n",
    )
    .ok();
    assert!(
        ran.contains("logical plan\n") && ran.contains("physical plan\n"),
        "{ran}"
    );
    piped(&["sql"], "\\explain SELECT oops\n").fails(1, "--> stdin:1:17");
}

#[test]
fn memory_is_limited() {
    let statement = "SELECT count(*) FROM (SELECT DISTINCT value, cast(value AS VARCHAR) || 'padding for the sake of size' FROM generate_series(1, 3000000))";
    let ran = columna(&[
        "sql",
        "-c",
        statement,
        "--format",
        "csv",
        "--memory-limit",
        "60MB",
        "--threads",
        "2",
    ]);
    // It spills where it can; where it cannot, it says what to do.
    if ran.code == 0 {
        assert_eq!(ran.out, "count(*)\n3000000\n");
    } else {
        ran.fails(1, "raise `--memory-limit`");
    }
}
