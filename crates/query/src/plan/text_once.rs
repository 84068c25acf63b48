//! Patterns over texts that come again and again: each different text of a batch is matched once.
//!
//! Source values, units and directions for use are few, and a pattern takes many times what it takes to see that a text is the one
//! that a row before had.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, LikeExpr, Literal, NotExpr};

use crate::functions::scalar::different_texts;

/// A condition with its patterns over one text matched once for each.
pub(super) fn once_per_text(
    condition: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    condition.transform_down(|expr| {
        let matched = OncePerText::of(&expr, schema)?;
        Ok(match matched {
            Some(once) => Transformed::new(Arc::new(once) as _, true, TreeNodeRecursion::Jump),
            None => Transformed::no(expr),
        })
    })
}

#[derive(Debug)]
struct OncePerText {
    expr: Arc<dyn PhysicalExpr>,
    column: usize,
    /// The same of a batch of this schema, which has nothing but the column.
    of_texts: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

impl OncePerText {
    fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Self>> {
        let mut columns = Vec::new();
        if !matches_texts(expr, &mut columns) {
            return Ok(None);
        }
        let [first, others @ ..] = columns.as_slice() else {
            return Ok(None);
        };
        let field = schema.field(*first);
        if others.iter().any(|other| other != first) || *field.data_type() != DataType::Utf8View {
            return Ok(None);
        }
        let of_texts = Arc::clone(expr).transform_down(|expr| {
            Ok(match expr.downcast_ref::<Column>() {
                Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), 0)) as _),
                None => Transformed::no(expr),
            })
        })?;
        Ok(Some(Self {
            expr: Arc::clone(expr),
            column: *first,
            of_texts: of_texts.data,
            schema: Arc::new(Schema::new(vec![field.clone()])),
        }))
    }
}

/// Whether an expression is of nothing but patterns and columns, and so NULL for NULL; and the columns.
fn matches_texts(expr: &Arc<dyn PhysicalExpr>, columns: &mut Vec<usize>) -> bool {
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        let column = like.expr().downcast_ref::<Column>();
        columns.extend(column.map(Column::index));
        return column.is_some() && like.pattern().is::<Literal>();
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return matches_texts(not.arg(), columns);
    }
    expr.downcast_ref::<BinaryExpr>().is_some_and(|binary| {
        matches!(binary.op(), Operator::And | Operator::Or)
            && matches_texts(binary.left(), columns)
            && matches_texts(binary.right(), columns)
    })
}

impl PartialEq for OncePerText {
    fn eq(&self, other: &Self) -> bool {
        self.expr.eq(&other.expr)
    }
}

impl Eq for OncePerText {}

impl Hash for OncePerText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expr.hash(state);
    }
}

impl fmt::Display for OncePerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl PhysicalExpr for OncePerText {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.expr.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.expr.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let Some((texts, rows)) = different_texts(batch.column(self.column))? else {
            return self.expr.evaluate(batch);
        };
        let texts = RecordBatch::try_new(Arc::clone(&self.schema), vec![texts])?;
        let answers = self.of_texts.evaluate(&texts)?;
        let answers = answers.into_array(texts.num_rows())?;
        Ok(ColumnarValue::Array(take(&answers, &rows, None)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.expr]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        // It is made when plans no longer change.
        Ok(children
            .into_iter()
            .next()
            .unwrap_or_else(|| Arc::clone(&self.expr)))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, UInt32Array};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{col, lit};

    use super::*;

    /// Texts as a file's dictionary gives them: the same text is the same place.
    fn texts(rows: u32, different: u32) -> RecordBatch {
        let words = (0..different).map(|word| format!("{word} tablets of something"));
        let words: ArrayRef = Arc::new(words.map(Some).collect::<StringViewArray>());
        let places = (0..rows).map(|row| (row % 7 != 0).then_some(row * 31 % different));
        let column = take(&words, &places.collect::<UInt32Array>(), None).unwrap();
        let schema = Schema::new(vec![Field::new("sig", DataType::Utf8View, true)]);
        RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
    }

    #[test]
    fn each_row_has_the_answer_of_its_text() {
        for (rows, different) in [(8192, 300), (8192, 8000), (5000, 1), (100, 3)] {
            let batch = texts(rows, different);
            let schema = batch.schema();
            let pattern = |negated, ignores_case, text: &str| -> Arc<dyn PhysicalExpr> {
                let sig = col("sig", &schema).unwrap();
                let text = lit(datafusion::common::ScalarValue::Utf8View(Some(
                    text.to_owned(),
                )));
                Arc::new(LikeExpr::new(negated, ignores_case, sig, text))
            };
            let either: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(
                pattern(false, true, "1%TABLETS%"),
                Operator::Or,
                pattern(true, false, "%of some%"),
            ));
            let once = once_per_text(Arc::clone(&either), &schema).unwrap();
            assert!(once.transformed && once.data.is::<OncePerText>());
            let rows = batch.num_rows();
            let expected = either.evaluate(&batch).unwrap().into_array(rows).unwrap();
            let found = once
                .data
                .evaluate(&batch)
                .unwrap()
                .into_array(rows)
                .unwrap();
            assert_eq!(found.as_boolean(), expected.as_boolean());
            let reads = different_texts(batch.column(0)).unwrap();
            let read = reads.map(|(texts, _)| texts.len());
            let few = rows >= 256 && different < 4096;
            assert_eq!(read, few.then_some(different as usize));
        }
    }

    #[test]
    fn what_is_of_two_texts_is_left_alone() {
        let field = |name| Field::new(name, DataType::Utf8View, true);
        let schema = Schema::new(vec![field("a"), field("b")]);
        let of = |name| -> Arc<dyn PhysicalExpr> {
            let text = lit(datafusion::common::ScalarValue::Utf8View(Some(
                "x%".to_owned(),
            )));
            Arc::new(LikeExpr::new(
                false,
                false,
                col(name, &schema).unwrap(),
                text,
            ))
        };
        let both: Arc<dyn PhysicalExpr> =
            Arc::new(BinaryExpr::new(of("a"), Operator::And, of("b")));
        let once = once_per_text(both, &schema).unwrap();
        assert!(once.transformed && once.data.is::<BinaryExpr>());
    }
}
