//! The functions' own documentation: for `\df`, completion and the generated SQL reference.

use std::fmt::Write as _;

use datafusion::logical_expr::{DocSection, Documentation};

use super::{aggregate, scalar, table};
use crate::vocabulary::Vocabulary;

/// Ages, durations and calendar arithmetic.
pub(crate) const CLINICAL_TIME: DocSection = DocSection {
    include: true,
    label: "Clinical time",
    description: Some(
        "Dates are calendar days without a time zone; a TIMESTAMP counts as the day it falls on. \
         NULL in, NULL out.",
    ),
};

/// Concepts and their hierarchy.
pub(crate) const VOCABULARY: DocSection = DocSection {
    include: true,
    label: "Vocabulary",
    description: Some(
        "These read the tables `concept_ancestor` and `concept_sets` of the session, whether they come \
         from the store or were registered in the session.",
    ),
};

/// Time-to-event statistics.
pub(crate) const SURVIVAL: DocSection = DocSection {
    include: true,
    label: "Survival",
    description: Some(
        "Aggregates with the conventions of R's package survival. `time` is whole days (or any \
         non-negative number), `event` is 0 or false for censored and 1 or true for the event. Rows in \
         which an argument is NULL are ignored, as R's `na.omit` does. A time that is negative or not a \
         finite number is an error. Options may be given by name, in any order: \
         `conf_type => 'log-log'`.",
    ),
};

/// Regressions.
pub(crate) const MODELS: DocSection = DocSection {
    include: true,
    label: "Models",
    description: Some(
        "Aggregates with the conventions of R's `glm`. `covariates` is a struct whose fields are the terms: \
         `named_struct('age', age, 'sex', sex)`. Words are factors whose first level in sort order is the reference. \
         Rows in which an argument or a covariate is NULL are ignored, as R's `na.omit` does. `unnest` turns the list \
         into rows.",
    ),
};

/// Rates in person-time.
pub(crate) const RATES: DocSection = DocSection {
    include: true,
    label: "Rates",
    description: Some(
        "Aggregates of events and person-time, with the conventions of R's `poisson.test` and of epitools. Rows in which \
         an argument is NULL are ignored.",
    ),
};

/// Persons by exposure and outcome.
pub(crate) const TABLES: DocSection = DocSection {
    include: true,
    label: "Tables",
    description: Some(
        "Aggregates of persons by exposure and outcome, one row for each person. Rows in which an argument is NULL are \
         ignored. A number that does not exist is NULL; one without bound is infinite.",
    ),
};

/// Descriptions of a column.
pub(crate) const DESCRIPTION: DocSection = DocSection {
    include: true,
    label: "Description",
    description: Some("Aggregates that describe a column. NULLs are ignored."),
};

/// Comparisons of treatments.
pub(crate) const CAUSAL: DocSection = DocSection {
    include: true,
    label: "Causal",
    description: Some(
        "Aggregates for comparisons of treatments that nobody assigned at random: scores, weights, pairs, and whether \
         they balance. Lists come in order of the ids; `unnest` turns them into rows.",
    ),
};

/// What a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FunctionKind {
    /// One value for each row.
    Scalar,
    /// One value for each group of rows.
    Aggregate,
    /// Rows, in a FROM clause.
    Table,
}

impl std::fmt::Display for FunctionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Aggregate => "aggregate",
            Self::Table => "table",
        })
    }
}

/// What is known of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDoc {
    /// The name, as it is called.
    pub name: String,
    /// What it is.
    pub kind: FunctionKind,
    /// The heading it is listed under.
    pub section: &'static str,
    /// What holds for all functions of the section.
    pub section_description: Option<&'static str>,
    /// What it does, in Markdown.
    pub description: String,
    /// How it is called.
    pub syntax: String,
    /// Its arguments, each with its meaning.
    pub arguments: Vec<(String, String)>,
    /// A query and what it answers.
    pub example: Option<String>,
}

impl FunctionDoc {
    pub(crate) fn new(name: &str, kind: FunctionKind, documentation: &Documentation) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            section: documentation.doc_section.label,
            section_description: documentation.doc_section.description,
            description: documentation.description.clone(),
            syntax: documentation.syntax_example.clone(),
            arguments: documentation.arguments.clone().unwrap_or_default(),
            example: documentation.sql_example.clone(),
        }
    }

    /// The first sentence of the description.
    #[must_use]
    pub fn summary(&self) -> &str {
        let line = self.description.lines().next().unwrap_or_default();
        line.split_once(". ")
            .map_or(line, |(first, _)| first)
            .trim_end_matches('.')
    }
}

/// The functions that Columna adds, by section and name.
#[must_use]
pub fn functions() -> Vec<FunctionDoc> {
    let mut all = Vec::new();
    for function in scalar::functions(&Vocabulary::default()) {
        if let Some(documentation) = function.documentation() {
            all.push(FunctionDoc::new(
                function.name(),
                FunctionKind::Scalar,
                documentation,
            ));
        }
    }
    for function in aggregate::functions() {
        if let Some(documentation) = function.documentation() {
            all.push(FunctionDoc::new(
                function.name(),
                FunctionKind::Aggregate,
                documentation,
            ));
        }
    }
    all.extend(
        table::functions(&Vocabulary::default())
            .into_iter()
            .map(|function| {
                FunctionDoc::new(function.name, FunctionKind::Table, function.documentation)
            }),
    );
    all.sort_by(|a, b| (a.section, &a.name, a.kind).cmp(&(b.section, &b.name, b.kind)));
    all
}

/// The SQL reference, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# SQL reference\n\n\
         <!-- Generated from the functions' own documentation. To renew it:\n     \
         COLUMNA_UPDATE=1 cargo test -p columna-query reference -->\n\n\
         Columna speaks DataFusion's SQL, which follows PostgreSQL, and answers as DuckDB does. These are the functions that it adds.\n\n\
         Words that DuckDB and other engines have for the same are taken as well: `year`, `quarter`, `month`, `week`, `day`,\n\
         `decade`, `century`, `isoyear`, `yearweek`, `dayofyear`, `dayofweek`, `isodow`, `hour`, `minute`, `second`, `epoch`, `epoch_ms`, `epoch_us`, `last_day`, `monthname`, `dayname`, `strftime`, `strptime`;\n\
         `date_diff('day', from, to)`, also `datediff`, of any part from `microsecond` to `millennium`; every name of a part, `date_trunc('months', day)`; `date_add` and `date_sub` of an\n\
         interval; `arg_max`, `arg_min`, `max_by`, `min_by`, `count_if`, `sum(day > 9)`, `first`, `last`, `list`, `list_value`, `list_first`, `list_last`, `list_distinct`, `list_min`, `list_max`, `approx_count_distinct`, `approx_quantile` (the exact one), `skewness`, `kurtosis`, `variance`;\n\
         `regexp_matches`, `regexp_extract`, `string_split`, `struct_extract`, `group_concat`, `listagg`, `len`, `sign`, `if`, `mod`, `mode`, `SEMI JOIN`,\n\
         `ANTI JOIN` and `FETCH FIRST n ROWS ONLY`; `length` of a list counts its elements; `GROUP BY … WITH ROLLUP`. `a ^ b` and `a ** b` are powers,\n\
         `SIMILAR TO` a regular expression for the whole text, and rows are compared from left to right, `(year, month) < (1970, 6)`.\n\
         \n\
         Computed lengths of time are `INTERVAL (days_supply) DAY` or `to_days(days_supply)`, also of other units; a field of a result is\n\
         `logrank_test(…)['chisq']` or `(logrank_test(…)).chisq`, and `SELECT unnest(r)` has all of a struct `r`. Lists are unnested beside\n\
         their rows, values made columns, `(SELECT person_id, code, value FROM labs) PIVOT (avg(value) FOR code IN ('a', 'b'))`, and columns made rows, `labs UNPIVOT (value FOR name IN (a, b))`, `FROM t, unnest(t.list) AS u(x)`, `FROM t, (VALUES ('a', t.a), ('b', t.b)) AS u(what, x)` or `CROSS JOIN LATERAL (SELECT unnest(range(t.a, t.b)) AS x) u`.\n\
         \n\
         `visits AS v ASOF JOIN labs AS l ON v.person_id = l.person_id AND v.day >= l.day` has of the labs that match the nearest one,\n\
         and `ASOF LEFT JOIN` also visits without; of several on one day any. Names that a SELECT gives may be used further on in it\n\
         and in its WHERE, where no table has a column of the name: `SELECT days // 7 AS weeks, weeks > 4 AS long`.\n\
         \n\
         As in DuckDB, and other than in PostgreSQL, `7 / 2` is 3.5 and `7 // 2` is 3, and NULL comes last in both directions unless\n\
         `NULLS FIRST` is said. Other than in both, numbers with a point are doubles (`0.1 + 0.2 = 0.3` is\n\
         false), and whole numbers that do not fit into their type wrap, such as a sum of BIGINT (sum doubles). A second column of a name in a SELECT gets the name and\n\
         a number, as in `count(*)_1`. `TRY_CAST('16.0' AS INTEGER)` is NULL. A moment cast to text has a `T` between day and time. A frame `RANGE INTERVAL '1 month' PRECEDING` over moments may\n\
         leave rows at the ends of months out; over days it is DuckDB's. `\\w` in a regular expression is any letter, and not ASCII's alone.
`round`, `ceil` and `trunc` give 0 for -0.0, which `rank()` tells from 0.0, and 0.0 / 0.0 comes before all numbers, where `'nan'::DOUBLE` comes after them.\n\
         \n\
         What is not there, and what to write: `PIVOT` without a list of values, `EXCEPT ALL` and `INTERSECT ALL` (number equal rows on both sides), `(a, b) NOT IN (SELECT …)`\n\
         (`NOT EXISTS`), samples (a condition on `person_id`), a CTE with `random()` that is read more than once (`CREATE TABLE … AS`), `ORDER BY ALL` beside `*`, `typeof` (`arrow_typeof`),\n\
         `arg_max(…) OVER` (`last_value` with an order), subqueries that look out by two\n\
         levels for what the one between is not equal to, and in the condition of an outer join (join them), `sum` of a column of booleans (`count_if`), `SUMMARIZE`, lambdas, and numbers such as `1_000`.\n",
    );
    let mut section = "";
    for function in functions() {
        if function.section != section {
            section = function.section;
            let _ = write!(text, "\n## {section}\n");
            if let Some(description) = function.section_description {
                let _ = write!(text, "\n{description}\n");
            }
        }
        let _ = write!(
            text,
            "\n### `{}`{}\n\n{}\n\n```sql\n{}\n```\n",
            function.name,
            match function.kind {
                FunctionKind::Scalar => "",
                FunctionKind::Aggregate => " (aggregate)",
                FunctionKind::Table => " (table function)",
            },
            function.description,
            function.syntax
        );
        if !function.arguments.is_empty() {
            text.push('\n');
            for (name, meaning) in &function.arguments {
                let _ = writeln!(text, "- `{name}`: {meaning}");
            }
        }
        if let Some(example) = &function.example {
            let _ = write!(text, "\n```text\n{}\n```\n", example.trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::path::Path;

    use super::*;

    #[test]
    fn every_function_is_documented() {
        let vocabulary = Vocabulary::default();
        let documented = functions();
        let scalars = scalar::functions(&vocabulary)
            .into_iter()
            .map(|f| f.name().to_owned());
        let aggregates = aggregate::functions()
            .into_iter()
            .map(|f| f.name().to_owned());
        for name in scalars
            .chain(aggregates)
            .filter(|name| !name.starts_with("__"))
        {
            let doc = documented.iter().find(|doc| doc.name == name);
            assert!(
                doc.is_some_and(|doc| doc.example.is_some()),
                "{name} has no example"
            );
        }
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let path = Path::new("../../docs/sql-reference.md");
        if std::env::var_os("COLUMNA_UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, reference()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == reference(),
            "docs/sql-reference.md is out of date; run `COLUMNA_UPDATE=1 cargo test -p columna-query reference`"
        );
    }

    /// An example is a prompt with a query, then the table that it prints.
    #[tokio::test]
    async fn every_example_answers_what_it_says() {
        let ctx = crate::session(crate::SessionOptions::default())
            .await
            .unwrap();
        for table in [
            "CREATE TABLE concept_ancestor(ancestor_concept_id BIGINT, descendant_concept_id BIGINT) \
             AS VALUES (201820, 201820), (201820, 201826), (201820, 201254), (201826, 201826), (201254, 201254)",
            "CREATE TABLE concept_sets(name TEXT, concept_id BIGINT, include_descendants BOOLEAN) \
             AS VALUES ('diabetes', 201820, true), ('diabetes', 4058243, false)",
            "CREATE TABLE drug_exposure AS SELECT * FROM (VALUES (1, 1308216, DATE '2024-01-01', DATE '2024-01-30', 30), \
             (1, 1308216, DATE '2024-02-20', DATE '2024-03-20', 30)) AS d(person_id, drug_concept_id, \
             drug_exposure_start_date, drug_exposure_end_date, days_supply)",
            "CREATE TABLE condition_occurrence AS SELECT * FROM (VALUES (1, 201826, DATE '2024-01-01', CAST(NULL AS DATE)), \
             (1, 201826, DATE '2024-01-20', NULL)) AS c(person_id, condition_concept_id, condition_start_date, \
             condition_end_date)",
        ] {
            ctx.sql(table).await.unwrap().collect().await.unwrap();
        }
        for function in functions() {
            let Some(example) = &function.example else {
                continue;
            };
            let (query, expected) = example.split_once(";\n").unwrap();
            let query = query.strip_prefix("> ").unwrap();
            let rows = crate::script::sql(&ctx, query)
                .await
                .unwrap()
                .collect()
                .await
                .unwrap();
            let printed = arrow::util::pretty::pretty_format_batches(&rows)
                .unwrap()
                .to_string();
            assert_eq!(
                printed,
                expected.trim_end(),
                "the example of {}",
                function.name
            );
        }
    }
}
