//! `drug_era()`, `condition_era()` and `eras(…)` in a FROM clause: the aggregate `eras` over tables, as rows.
//!
//! A call becomes a plan over the session's own tables: what guards a table, and whatever uses its order and its
//! division by person, sees what it would see of the same query written out.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{
    Column, Result, ScalarValue, TableReference, plan_datafusion_err, plan_err,
};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::functions::core::expr_fn::{coalesce, get_field};
use datafusion::logical_expr::{
    Documentation, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, cast, lit,
};
use futures::FutureExt;

use crate::functions::docs::CLINICAL_TIME;

/// The days between records of one era, as in the OMOP Common Data Model.
const GAP: i64 = 30;

fn col(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The tables and functions of the session in which a table function is called.
struct Caller<'a> {
    function: &'static str,
    state: &'a SessionState,
}

impl<'a> Caller<'a> {
    fn new(function: &'static str, args: &TableFunctionArgs<'_, 'a>) -> Result<Self> {
        match args.session().as_any().downcast_ref::<SessionState>() {
            Some(state) => Ok(Self { function, state }),
            None => plan_err!("`{function}` cannot find the tables of this kind of session"),
        }
    }

    fn table(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        let schema = self.state.schema_for_ref(TableReference::bare(name)).ok()?;
        schema.table(name).now_or_never()?.ok()?
    }

    fn scan(&self, name: &str) -> Result<LogicalPlanBuilder> {
        let table = self.table(name).ok_or_else(|| {
            plan_datafusion_err!(
                "`{}` reads the table `{name}`, which is not there",
                self.function
            )
        })?;
        LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(table), None)
    }

    /// Rows of the keys, the first and the last day, as rows of the keys, the era and what is known of it.
    fn eras(
        &self,
        records: LogicalPlanBuilder,
        keys: &[&str],
        gap: i64,
        names: &[(&str, &str)],
    ) -> Result<Arc<dyn TableProvider>> {
        let eras = self.state.aggregate_functions().get("eras");
        let eras = eras.ok_or_else(|| {
            plan_datafusion_err!("`{}` needs the aggregate function `eras`", self.function)
        })?;
        let keys = || keys.iter().map(|key| col(key));
        let era = eras.call(vec![col(START), col(END), lit(gap)]).alias(ERA);
        let fields = names
            .iter()
            .map(|(field, name)| get_field(col(ERA), *field).alias(*name));
        let plan = records
            .aggregate(keys(), [era])?
            .unnest_column(ERA)?
            .project(keys().chain(fields))?
            .build()?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }

    fn gap(&self, argument: Option<&Expr>) -> Result<i64> {
        let Some(argument) = argument else {
            return Ok(GAP);
        };
        let days = match argument {
            Expr::Literal(value, _) => value.cast_to(&DataType::Int64).ok(),
            _ => None,
        };
        match days {
            Some(ScalarValue::Int64(Some(days))) if days >= 0 => Ok(days),
            _ => plan_err!(
                "the gap of `{}` is a whole number of days, for example 30",
                self.function
            ),
        }
    }
}

/// Names that no table has.
const START: &str = "__start";
const END: &str = "__end";
const ERA: &str = "__era";

static DRUG_ERA: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CLINICAL_TIME,
        "Each person's eras of each drug, by the rules of the OMOP Common Data Model: exposures as spans of days, one span \
         for all that have at most `gap` days between them. Drugs count as their RxNorm ingredients where `concept` and \
         `concept_ancestor` know some, and as themselves otherwise; an exposure without a last day lasts `days_supply` \
         days, or to the day after. Columns: `person_id`, `drug_concept_id`, `drug_era_start_date`, `drug_era_end_date`, \
         `drug_exposure_count`, and `gap_days`, the days of the era between exposures.",
        "SELECT * FROM drug_era([gap])",
    )
    .with_argument("gap", "The days that may lie between two exposures of an era, 30 by default")
    .with_sql_example(
        "> SELECT person_id, drug_era_start_date AS start, drug_era_end_date AS end, drug_exposure_count AS n, gap_days FROM drug_era();
+-----------+------------+------------+---+----------+
| person_id | start      | end        | n | gap_days |
+-----------+------------+------------+---+----------+
| 1         | 2024-01-01 | 2024-03-20 | 2 | 21       |
+-----------+------------+------------+---+----------+",
    )
    .build()
});

static CONDITION_ERA: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CLINICAL_TIME,
        "Each person's eras of each condition, by the rules of the OMOP Common Data Model: diagnoses as spans of days, one \
         span for all that have at most `gap` days between them; a diagnosis without a last day lasts to the day after. \
         Columns: `person_id`, `condition_concept_id`, `condition_era_start_date`, `condition_era_end_date` and \
         `condition_occurrence_count`.",
        "SELECT * FROM condition_era([gap])",
    )
    .with_argument("gap", "The days that may lie between two diagnoses of an era, 30 by default")
    .with_sql_example(
        "> SELECT person_id, condition_era_start_date AS start, condition_era_end_date AS end, condition_occurrence_count AS n
  FROM condition_era();
+-----------+------------+------------+---+
| person_id | start      | end        | n |
+-----------+------------+------------+---+
| 1         | 2024-01-01 | 2024-01-21 | 2 |
+-----------+------------+------------+---+",
    )
    .build()
});

static ERAS: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CLINICAL_TIME,
        "Eras of the records of any table or view: spans of days, one span for all records of the same keys that have at \
         most `gap` days between them. A record without a last day is of one day. Columns: the keys, `era_start`, \
         `era_end`, `records`, and `gap_days`, the days of the era between records. Over a query, use the aggregate \
         function of this name.",
        "SELECT * FROM eras(table, keys, start, end[, gap])",
    )
    .with_argument("table", "The name of the table, in quotes")
    .with_argument("keys", "The columns whose records belong together, in quotes: `'person_id, visit_concept_id'`")
    .with_argument("start", "The column of the first day, in quotes")
    .with_argument("end", "The column of the last day, in quotes")
    .with_argument("gap", "The days that may lie between two records of an era, 30 by default")
    .with_sql_example(
        "> SELECT person_id, era_start, era_end, records
  FROM eras('drug_exposure', 'person_id', 'drug_exposure_start_date', 'drug_exposure_end_date', 20) ORDER BY era_start;
+-----------+------------+------------+---------+
| person_id | era_start  | era_end    | records |
+-----------+------------+------------+---------+
| 1         | 2024-01-01 | 2024-01-30 | 1       |
| 1         | 2024-02-20 | 2024-03-20 | 1       |
+-----------+------------+------------+---------+",
    )
    .build()
});

/// `drug_era()`.
#[derive(Debug)]
pub(super) struct DrugEra;

impl DrugEra {
    pub(super) const NAME: &'static str = "drug_era";

    pub(super) fn documentation() -> &'static Documentation {
        &DRUG_ERA
    }
}

impl TableFunctionImpl for DrugEra {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let caller = Caller::new(Self::NAME, &args)?;
        let gap = caller.gap(only(Self::NAME, args.exprs())?)?;
        let start = col("drug_exposure_start_date");
        // Days as numbers: the engine adds an INTERVAL by way of the calendar.
        let day = cast(start.clone(), DataType::Int32);
        let supplied = day.clone() + cast(col("days_supply"), DataType::Int32);
        let end = coalesce(vec![
            col("drug_exposure_end_date"),
            cast(supplied, DataType::Date32),
            cast(day + lit(1i32), DataType::Date32),
        ]);
        let mut records = caller
            .scan("drug_exposure")?
            .filter(col("drug_concept_id").not_eq(lit(0i64)))?
            .project([
                col("person_id"),
                col("drug_concept_id").alias("__drug"),
                start.alias(START),
                end.alias(END),
            ])?;
        let mut drug = col("__drug");
        if let Some(ingredients) = ingredients(&caller)? {
            let on = (vec!["__drug"], vec!["descendant_concept_id"]);
            records = records.join(ingredients, JoinType::Left, on, None)?;
            drug = coalesce(vec![col("ancestor_concept_id"), drug]);
        }
        let records = records.project([
            col("person_id"),
            drug.alias("drug_concept_id"),
            col(START),
            col(END),
        ])?;
        let names = [
            ("start", "drug_era_start_date"),
            ("end", "drug_era_end_date"),
            ("records", "drug_exposure_count"),
            ("gap_days", "gap_days"),
        ];
        caller.eras(records, &["person_id", "drug_concept_id"], gap, &names)
    }
}

/// The ingredients of drugs, where the session has the tables that know them.
fn ingredients(caller: &Caller) -> Result<Option<LogicalPlan>> {
    let knows = |table: &str, columns: &[&str]| {
        caller.table(table).is_some_and(|table| {
            let schema = table.schema();
            columns
                .iter()
                .all(|name| schema.column_with_name(name).is_some())
        })
    };
    let concepts = ["concept_id", "vocabulary_id", "concept_class_id"];
    let pairs = ["ancestor_concept_id", "descendant_concept_id"];
    if !knows("concept", &concepts) || !knows("concept_ancestor", &pairs) {
        return Ok(None);
    }
    let rxnorm = col("vocabulary_id").in_list(vec![lit("RxNorm"), lit("RxNorm Extension")], false);
    let concepts = caller
        .scan("concept")?
        .filter(col("concept_class_id").eq(lit("Ingredient")).and(rxnorm))?
        .project([col("concept_id")])?
        .build()?;
    let on = (vec!["ancestor_concept_id"], vec!["concept_id"]);
    let pairs = caller
        .scan("concept_ancestor")?
        .join(concepts, JoinType::Inner, on, None)?
        .project([col("ancestor_concept_id"), col("descendant_concept_id")])?;
    Ok(Some(pairs.build()?))
}

/// `condition_era()`.
#[derive(Debug)]
pub(super) struct ConditionEra;

impl ConditionEra {
    pub(super) const NAME: &'static str = "condition_era";

    pub(super) fn documentation() -> &'static Documentation {
        &CONDITION_ERA
    }
}

impl TableFunctionImpl for ConditionEra {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let caller = Caller::new(Self::NAME, &args)?;
        let gap = caller.gap(only(Self::NAME, args.exprs())?)?;
        let start = col("condition_start_date");
        let after = cast(start.clone(), DataType::Int32) + lit(1i32);
        let end = coalesce(vec![
            col("condition_end_date"),
            cast(after, DataType::Date32),
        ]);
        let keys = ["person_id", "condition_concept_id"];
        let records = caller
            .scan("condition_occurrence")?
            .filter(col(keys[1]).not_eq(lit(0i64)))?
            .project([
                col(keys[0]),
                col(keys[1]),
                start.alias(START),
                end.alias(END),
            ])?;
        let names = [
            ("start", "condition_era_start_date"),
            ("end", "condition_era_end_date"),
            ("records", "condition_occurrence_count"),
        ];
        caller.eras(records, &keys, gap, &names)
    }
}

/// `eras(…)`.
#[derive(Debug)]
pub(super) struct ErasOf;

impl ErasOf {
    pub(super) const NAME: &'static str = "eras";

    pub(super) fn documentation() -> &'static Documentation {
        &ERAS
    }
}

impl TableFunctionImpl for ErasOf {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let caller = Caller::new(Self::NAME, &args)?;
        let [table, keys, start, end, rest @ ..] = args.exprs() else {
            return plan_err!(
                "`eras` in a FROM clause takes a table, its keys, its first day and its last day, each in quotes: \
                 `eras('visit_occurrence', 'person_id', 'visit_start_date', 'visit_end_date', 14)`"
            );
        };
        let gap = caller.gap(only(Self::NAME, rest)?)?;
        let table = word(table)?;
        let source = caller.scan(&table)?;
        let column = |name: &str| -> Result<String> {
            let name = name.trim();
            if source.schema().has_column_with_unqualified_name(name) {
                return Ok(name.to_owned());
            }
            plan_err!("`eras`: the table `{table}` has no column `{name}`")
        };
        let keys = word(keys)?
            .split(',')
            .map(column)
            .collect::<Result<Vec<_>>>()?;
        let (start, end) = (column(&word(start)?)?, column(&word(end)?)?);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let days = [col(&start).alias(START), col(&end).alias(END)];
        let records = source.project(keys.iter().map(|key| col(key)).chain(days))?;
        let names = [
            ("start", "era_start"),
            ("end", "era_end"),
            ("records", "records"),
            ("gap_days", "gap_days"),
        ];
        caller.eras(records, &keys, gap, &names)
    }
}

fn word(argument: &Expr) -> Result<String> {
    let word = match argument {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    };
    match word {
        Some(word) => Ok(word.to_owned()),
        None => plan_err!("`eras` in a FROM clause takes names in quotes, such as 'person_id'"),
    }
}

/// The only argument, or none.
fn only<'e>(function: &str, arguments: &'e [Expr]) -> Result<Option<&'e Expr>> {
    match arguments {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => plan_err!("`{function}` takes too many arguments; the last one is the gap in days"),
    }
}
