//! What is computed of one text of a row, and of nothing else of it: of texts that come again and again, once of each.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use crate::functions::scalar::different_texts;

/// Texts whose answers are remembered, and the bytes of them and of the answers.
const TEXTS: usize = 64 * 1024;
const BYTES: usize = 16 * 1024 * 1024;
/// Rows of which each is computed, whatever the others are.
const FEW_ROWS: usize = 256;

/// An expression of one column of texts.
#[derive(Debug)]
pub(super) struct OfText {
    column: usize,
    /// The same of a batch of this schema, which has nothing but the text.
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

impl OfText {
    pub(super) fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Self>> {
        let mut columns = collect_columns(expr).into_iter();
        let (Some(text), None) = (columns.next(), columns.next()) else {
            return Ok(None);
        };
        let field = schema.field(text.index());
        if expr.is::<Column>() || is_volatile(expr) || *field.data_type() != DataType::Utf8View {
            return Ok(None);
        }
        let alone = Arc::clone(expr).transform_down(|expr| {
            Ok(match expr.downcast_ref::<Column>() {
                Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), 0)) as _),
                None => Transformed::no(expr),
            })
        })?;
        let field = field.clone().with_nullable(true);
        Ok(Some(Self {
            column: text.index(),
            expr: alone.data,
            schema: Arc::new(Schema::new(vec![field])),
        }))
    }

    /// What the different texts of a batch give, and which of it each row has; none where they are many.
    pub(super) fn answers(&self, batch: &RecordBatch) -> Result<Option<(ArrayRef, ArrayRef)>> {
        let Some((texts, places)) = different(batch.column(self.column))? else {
            return Ok(None);
        };
        Ok(Some((self.answers_of(texts)?, places)))
    }

    /// What each row of a batch gives, with the help of what rows before gave; none where that does not help.
    pub(super) fn remembered(
        &self,
        batch: &RecordBatch,
        known: &mut Known,
    ) -> Result<Option<ArrayRef>> {
        // The engine asks of a batch without columns whether an expression needs one.
        let Some(column) = batch.columns().get(self.column) else {
            return Ok(None);
        };
        if column.len() < FEW_ROWS {
            return Ok(None);
        }
        let different = different(column)?;
        if known.useless() {
            let Some((texts, places)) = different else {
                return Ok(None);
            };
            return Ok(Some(take(&self.answers_of(texts)?, &places, None)?));
        }
        let (texts, places) = match &different {
            Some((texts, places)) => (texts, Some(places.as_primitive::<UInt32Type>())),
            None => (column, None),
        };
        let numbers = known.look_up(texts, |texts| self.answers_of(texts))?;
        let numbers: UInt32Array = match places {
            Some(places) => {
                let places = places.values().iter();
                places.map(|place| numbers[*place as usize]).collect()
            }
            None => numbers.into(),
        };
        let answers = known.answers.as_ref();
        let answers = answers.ok_or_else(|| exec_datafusion_err!("no text has an answer"))?;
        Ok(Some(take(answers, &numbers, None)?))
    }

    fn answers_of(&self, texts: ArrayRef) -> Result<ArrayRef> {
        let texts = RecordBatch::try_new(Arc::clone(&self.schema), vec![texts])?;
        self.expr.evaluate(&texts)?.into_array(texts.num_rows())
    }
}

/// The different texts of a column, to which no text belongs if a row has none, and which of them each row has.
fn different(column: &ArrayRef) -> Result<Option<(ArrayRef, ArrayRef)>> {
    let Some((mut texts, mut places)) = different_texts(column)? else {
        return Ok(None);
    };
    if column.null_count() > 0 {
        let last = u32::try_from(texts.len()).map_err(|error| exec_datafusion_err!("{error}"))?;
        let none = new_null_array(texts.data_type(), 1);
        texts = concat(&[texts.as_ref(), none.as_ref()])?;
        let of_rows = places.as_primitive::<UInt32Type>().iter();
        let of_rows = of_rows.map(|place| place.unwrap_or(last));
        places = Arc::new(UInt32Array::from_iter_values(of_rows));
    }
    Ok(Some((texts, places)))
}

/// Texts that were asked before, and their answers.
pub(super) struct Known {
    texts: Box<dyn GroupValues>,
    answers: Option<ArrayRef>,
    /// The numbers of the last texts looked up.
    numbers: Vec<usize>,
    asked: usize,
}

impl Known {
    pub(super) fn new() -> Result<Self> {
        let text = Field::new("text", DataType::Utf8View, true);
        let schema = Arc::new(Schema::new(vec![text]));
        Ok(Self {
            texts: new_group_values(schema, &GroupOrdering::None)?,
            answers: None,
            numbers: Vec::new(),
            asked: 0,
        })
    }

    /// How many texts.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether texts seldom come again, or are too many to remember.
    fn useless(&mut self) -> bool {
        let texts = self.len();
        let bytes = self
            .answers
            .as_ref()
            .map_or(0, Array::get_array_memory_size);
        texts > TEXTS
            || self.texts.size() + bytes > BYTES
            || (self.asked > TEXTS && texts > self.asked / 2)
    }

    /// The place of each text's answer.
    fn look_up(
        &mut self,
        texts: &ArrayRef,
        answers_of: impl Fn(ArrayRef) -> Result<ArrayRef>,
    ) -> Result<Vec<u32>> {
        let before = self.len();
        self.texts.intern(&[Arc::clone(texts)], &mut self.numbers)?;
        self.asked += texts.len();
        let (mut numbers, mut first) = (Vec::with_capacity(texts.len()), Vec::new());
        for (row, number) in (0_u32..).zip(&self.numbers) {
            if *number == before + first.len() {
                first.push(row);
            }
            let number = u32::try_from(*number);
            numbers.push(number.map_err(|error| exec_datafusion_err!("{error}"))?);
        }
        if !first.is_empty() {
            let mut new = answers_of(take(texts, &UInt32Array::from(first), None)?)?;
            // Parts of texts would keep the files' pages.
            if let Some(parts) = new.as_string_view_opt() {
                new = Arc::new(parts.gc());
            }
            self.answers = Some(match &self.answers {
                Some(old) => concat(&[old.as_ref(), new.as_ref()])?,
                None => new,
            });
        }
        Ok(numbers)
    }
}
