//! CSV files with a word for what is missing, such as R's `NA`.
//!
//! The engine guesses types by `format.null_regex` and then does not read by it. Here the columns that may hold such a word
//! are read as text, and a view over them makes it NULL and gives them their types. Where nothing is said, `NA` is NULL
//! in columns that are else of numbers, days or booleans: they would be text, and a factor of a model, without a word. So
//! would numbers be that have R's `Inf`, `-Inf` and `NaN` among them.
//!
//! The engine guesses by the first 1,000 rows: a column that is empty there would be of NULLs for good, whatever comes after,
//! and one of whole numbers could not have a fraction later. Here it guesses by a million, and what is empty in all of
//! those is text.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::compute::regexp_is_match_scalar;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{Session, TableProvider, TableProviderFactory};
use datafusion::common::{Column, Result, ScalarValue, ToDFSchema, plan_datafusion_err};
use datafusion::datasource::provider::DefaultTableFactory;
use datafusion::datasource::provider_as_source;
use datafusion::functions::regex::expr_fn::regexp_like;
use datafusion::logical_expr::{
    CreateExternalTable, Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown,
    TableType, cast, lit, when,
};
use datafusion::physical_plan::ExecutionPlan;

/// The option that says which words are NULL.
const NULL_REGEX: &str = "format.null_regex";
/// The option that says how many rows types are guessed by, and how many they are by default.
const GUESSED_BY: (&str, &str) = ("format.schema_infer_max_rec", "1000000");
/// What R writes.
const NA: &str = "^NA$";
/// What R writes of numbers that are not finite.
const NOT_FINITE: &str = "^-?Inf$|^NaN$";

/// Makes tables of CSV files.
#[derive(Debug, Default)]
pub(crate) struct CsvTables {
    tables: DefaultTableFactory,
}

#[async_trait]
impl TableProviderFactory for CsvTables {
    async fn create(
        &self,
        state: &dyn Session,
        asked: &CreateExternalTable,
    ) -> Result<Arc<dyn TableProvider>> {
        let mut asked = asked.clone();
        let (option, rows) = GUESSED_BY;
        let by = asked.options.entry(option.to_owned());
        by.or_insert_with(|| rows.to_owned());
        let asked = &asked;
        let word = asked.options.get(NULL_REGEX).map(String::as_str);
        if let Some(word) = word {
            // The engine takes any for granted.
            regexp_is_match_scalar(&StringArray::from(vec![""]), word, None).map_err(|_| {
                plan_datafusion_err!("`{NULL_REGEX}` is no regular expression, such as '^NA$'")
            })?;
        }
        let table = self.tables.create(state, asked).await?;
        let plain = table.schema();
        let is_empty = |field: &FieldRef| field.data_type().is_null();
        let empty = plain.fields().iter().any(is_empty);
        let may_hold =
            |field: &FieldRef| word.is_some() || is_text(field.data_type()) || is_empty(field);
        let declared = !asked.schema.fields().is_empty();
        if asked.unbounded || word.is_none() && declared || !plain.fields().iter().any(may_hold) {
            return Ok(table);
        }
        let unsaid = word.is_none();
        let word = word.unwrap_or(NA).to_owned();
        // What is empty is NULL whatever the word.
        let mut typed = self.types(state, asked, &format!("^$|(?:{word})")).await?;
        if unsaid
            && typed
                .fields()
                .iter()
                .any(|field| is_text(field.data_type()))
        {
            let finite = format!("^$|(?:{word})|{NOT_FINITE}");
            let finite = self.types(state, asked, &finite).await?;
            typed = with_infinite(&typed, &finite);
        }
        let held = |(field, typed): (&FieldRef, &FieldRef)| {
            let given = asked.options.contains_key(NULL_REGEX);
            let to = typed.data_type();
            let partition = matches!(to, DataType::Dictionary(..));
            let guessed = is_text(field.data_type()) && !is_text(to);
            !partition && (given || guessed)
        };
        let held: Vec<bool> = plain
            .fields()
            .iter()
            .zip(typed.fields())
            .map(held)
            .collect();
        if !held.contains(&true) && !empty {
            return Ok(table);
        }
        // What is empty as far as anybody looked may hold anything.
        let typed = Schema::new(Vec::from_iter(typed.fields().iter().map(
            |field| match is_empty(field) {
                true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
                false => FieldRef::clone(field),
            },
        )));
        let fields = typed.fields().iter().zip(&held).map(|(field, held)| {
            let text = *held && !is_text(field.data_type());
            let kind = if text || is_empty(field) {
                DataType::Utf8
            } else {
                field.data_type().clone()
            };
            field
                .as_ref()
                .clone()
                .with_data_type(kind)
                .with_nullable(true)
        });
        let read = Schema::new(fields.collect::<Vec<_>>());
        let partitions = typed.fields().iter();
        let partitions = partitions.filter(|f| matches!(f.data_type(), DataType::Dictionary(..)));
        let mut texts = asked.clone();
        texts.table_partition_cols = partitions.map(|field| field.name().clone()).collect();
        texts.schema = Arc::new(read.clone().to_dfschema()?);
        texts.options.remove(NULL_REGEX);
        // Numbers in order are not so as texts.
        texts.order_exprs.clear();
        let texts = self.tables.create(state, &texts).await?;
        let columns = read.fields().iter().zip(typed.fields()).zip(held);
        let columns = columns.map(|((read, typed), held)| {
            let column = Expr::Column(Column::new(Some(asked.name.clone()), read.name()));
            let value = match held {
                true => known(column, &word, read.data_type(), typed.data_type())?,
                false => column,
            };
            Ok(value.alias(typed.name()))
        });
        let plan = LogicalPlanBuilder::scan(asked.name.clone(), provider_as_source(texts), None)?
            .project(columns.collect::<Result<Vec<_>>>()?)?
            .build()?;
        let view = ViewTable::new(plan, asked.definition.clone());
        Ok(Arc::new(CsvTable { view }))
    }
}

impl CsvTables {
    /// The table's types, with what is NULL by this regular expression.
    async fn types(
        &self,
        state: &dyn Session,
        asked: &CreateExternalTable,
        null: &str,
    ) -> Result<SchemaRef> {
        let mut typed = asked.clone();
        typed.options.insert(NULL_REGEX.to_owned(), null.to_owned());
        Ok(self.tables.create(state, &typed).await?.schema())
    }
}

/// The types with numbers where a column would be of numbers but for what is not finite.
fn with_infinite(typed: &SchemaRef, finite: &Schema) -> SchemaRef {
    let fields = typed.fields().iter().zip(finite.fields());
    let fields = fields.map(|(typed, finite)| {
        match is_text(typed.data_type()) && finite.data_type().is_numeric() {
            true => Arc::new(typed.as_ref().clone().with_data_type(DataType::Float64)),
            false => FieldRef::clone(typed),
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A view that is a table to whoever drops it.
#[derive(Debug)]
struct CsvTable {
    view: ViewTable,
}

#[async_trait]
impl TableProvider for CsvTable {
    fn schema(&self) -> SchemaRef {
        self.view.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.view.get_table_definition()
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        self.view.get_logical_plan()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.view.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.view.scan(state, projection, filters, limit).await
    }
}

/// A column of texts as values of a type, NULL where it is the word.
fn known(column: Expr, word: &str, read: &DataType, typed: &DataType) -> Result<Expr> {
    let missing = regexp_like(column.clone(), lit(word), None);
    let null = lit(ScalarValue::try_from(read)?);
    let value = when(missing, null).otherwise(column)?;
    Ok(if read == typed {
        value
    } else {
        cast(value, typed.clone())
    })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}
