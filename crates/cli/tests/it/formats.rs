//! Every format, as it is printed.

use crate::support::{columna, folder, sql, text};

const ROWS: &str = "SELECT * FROM (VALUES (1, 'Kim, \"A\"', 61.5, DATE '2020-02-29'), (2, '', NULL, NULL)) AS t(id, name, weight, since)";
const NESTED: &str = "SELECT 'A' AS g, [named_struct('time', 5, 'survival', 0.5), named_struct('time', 10, 'survival', NULL)] AS curve";

#[test]
fn table() {
    assert_eq!(
        sql(ROWS, "table").ok(),
        concat!(
            " id | name     | weight | since\n",
            "----+----------+--------+------------\n",
            "  1 | Kim, \"A\" |   61.5 | 2020-02-29\n",
            "  2 |          |   NULL | NULL\n",
        )
    );
    assert_eq!(
        sql(NESTED, "table").ok(),
        " g | curve\n---+----------------\n A | time  survival\n   |    5       0.5\n   |   10      NULL\n"
    );
}

#[test]
fn csv_and_tsv() {
    assert_eq!(
        sql(ROWS, "csv").ok(),
        "id,name,weight,since\n1,\"Kim, \"\"A\"\"\",61.5,2020-02-29\n2,\"\",,\n"
    );
    assert_eq!(
        sql(ROWS, "tsv").ok(),
        "id\tname\tweight\tsince\n1\t\"Kim, \"\"A\"\"\"\t61.5\t2020-02-29\n2\t\"\"\t\t\n"
    );
    assert_eq!(
        sql(NESTED, "csv").ok(),
        "g,curve\nA,\"[{\"\"time\"\":5,\"\"survival\"\":0.5},{\"\"time\"\":10,\"\"survival\"\":null}]\"\n"
    );
}

#[test]
fn json_and_ndjson() {
    assert_eq!(
        sql(ROWS, "json").ok(),
        "[\n{\"id\":1,\"name\":\"Kim, \\\"A\\\"\",\"weight\":61.5,\"since\":\"2020-02-29\"},\n\
         {\"id\":2,\"name\":\"\",\"weight\":null,\"since\":null}\n]\n"
    );
    assert_eq!(
        sql(NESTED, "ndjson").ok(),
        "{\"g\":\"A\",\"curve\":[{\"time\":5,\"survival\":0.5},{\"time\":10,\"survival\":null}]}\n"
    );
    assert_eq!(sql("SELECT 1 AS a WHERE false", "json").ok(), "[]\n");
    sql(
        "SELECT a.x, b.x FROM (SELECT 1 x) a CROSS JOIN (SELECT 2 x) b",
        "json",
    )
    .fails(1, "two columns of this result are named `x`");
}

#[test]
fn markdown() {
    assert_eq!(
        sql("SELECT 1 AS n, 'a|b' AS t", "markdown").ok(),
        "| n | t |\n| ---: | --- |\n| 1 | a\\|b |\n"
    );
}

#[test]
fn parquet_and_arrow_go_to_files_and_come_back() {
    let folder = folder();
    let parquet = text(&folder.path().join("t.parquet"));
    columna(&["sql", "-c", NESTED, "--format", "parquet", "-o", &parquet]).ok();
    let back = format!("SELECT g, curve[1]['time'] AS first FROM '{parquet}'");
    let script = format!(
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{parquet}'; {}",
        back.replace(&format!("'{parquet}'"), "t")
    );
    assert_eq!(sql(&script, "csv").ok(), "g,first\nA,5\n");
    let arrow = text(&folder.path().join("t.arrow"));
    columna(&["sql", "-c", ROWS, "--format", "arrow", "-o", &arrow]).ok();
    assert_eq!(&std::fs::read(&arrow).expect("written")[..6], b"ARROW1");
}

#[test]
fn a_file_is_what_its_name_says() {
    let folder = folder();
    for (name, begins) in [
        ("t.csv", "x\n1\n"),
        ("t.JSONL", "{\"x\":1}\n"),
        ("t.parquet", "PAR1"),
        ("t.txt", " x\n"),
        ("t", " x\n"),
    ] {
        let path = text(&folder.path().join(name));
        columna(&["sql", "-c", "SELECT 1 AS x", "-o", &path]).ok();
        let written = std::fs::read(&path).expect("written");
        assert!(
            written.starts_with(begins.as_bytes()),
            "{name}: {written:?}"
        );
    }
    // What is asked for goes before.
    let path = text(&folder.path().join("other.csv"));
    columna(&["sql", "-c", "SELECT 1 AS x", "--format", "tsv", "-o", &path]).ok();
    assert_eq!(std::fs::read(&path).expect("written"), b"x\n1\n");
}

#[test]
fn a_failed_query_leaves_no_file_behind() {
    let folder = folder();
    let path = text(&folder.path().join("out.csv"));
    let statement = "SELECT CAST(CASE WHEN value = 90000 THEN 'x' ELSE '1' END AS INT) FROM generate_series(1, 100000)";
    columna(&["sql", "-c", statement, "--format", "csv", "-o", &path]).fails(1, "error: ");
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("readable").count(),
        0
    );
}

#[test]
fn one_file_holds_one_result_where_the_format_has_room_for_one() {
    let folder = folder();
    let path = text(&folder.path().join("out.csv"));
    columna(&[
        "sql",
        "-c",
        "SELECT 1 AS a; SELECT 2 AS b",
        "--format",
        "csv",
        "-o",
        &path,
    ])
    .fails(1, "holds a result already");
    assert_eq!(std::fs::read_to_string(&path).expect("the first"), "a\n1\n");
    let path = text(&folder.path().join("out.ndjson"));
    columna(&[
        "sql",
        "-c",
        "SELECT 1 AS a; SELECT 2 AS a",
        "--format",
        "ndjson",
        "-o",
        &path,
    ])
    .ok();
    assert_eq!(
        std::fs::read_to_string(&path).expect("both"),
        "{\"a\":1}\n{\"a\":2}\n"
    );
}
