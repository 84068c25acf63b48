//! Patterns and functions of texts that come again and again, compared or matched: each different text of a batch is once.
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
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use super::all_of::by_parts;
use super::grouping_sets::changed;
use super::keys;
use crate::functions::scalar::different_texts;

/// Functions that make one text of another.
const OF_TEXTS: [&str; 7] = [
    "btrim", "lower", "ltrim", "replace", "reverse", "rtrim", "upper",
];

/// An expression with its patterns over one text matched once for each.
pub(super) fn once_per_text(
    expr: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    expr.transform_down(|expr| {
        let matched = OncePerText::of(&expr, schema)?;
        Ok(match matched {
            Some(once) => Transformed::new(Arc::new(once) as _, true, TreeNodeRecursion::Jump),
            None => Transformed::no(expr),
        })
    })
}

/// The same projection, or aggregate with conditions of its own, with each text matched once, and conditions of cheap parts in a
/// projection computed by these; none where there are neither, or where
/// rows are sorted or divided by what is matched. What aggregates by person ask is not looked into.
pub(super) fn with_texts_matched_once(
    plan: &dyn ExecutionPlan,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut found = false;
    let made: Arc<dyn ExecutionPlan> =
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let input = projection.input();
            let exprs = projection.expr().iter().map(|one| {
                let parts = by_parts(Arc::clone(&one.expr))?;
                let once = once_per_text(parts.data, &input.schema())?;
                found |= parts.transformed || once.transformed;
                Ok(ProjectionExpr {
                    expr: once.data,
                    alias: one.alias.clone(),
                })
            });
            let exprs = exprs.collect::<Result<Vec<_>>>()?;
            if !found {
                return Ok(None);
            }
            let (input, schema) = (Arc::clone(input), projection.schema());
            Arc::new(ProjectionExec::try_new_with_schema_metadata(
                exprs, input, &schema,
            )?)
        } else if let Some(aggregate) = plan.downcast_ref::<AggregateExec>()
            && aggregate.mode().input_mode() == AggregateInputMode::Raw
        {
            let schema = aggregate.input().schema();
            let filters = aggregate.filter_expr().iter().map(|filter| {
                let once = filter.clone().map(|filter| once_per_text(filter, &schema));
                let once = once.transpose()?;
                found |= once.as_ref().is_some_and(|once| once.transformed);
                Ok(once.map(|once| once.data))
            });
            let filters = filters.collect::<Result<Vec<_>>>()?;
            if !found {
                return Ok(None);
            }
            Arc::new(changed(aggregate, aggregate.group_expr().clone(), filters)?)
        } else {
            return Ok(None);
        };
    let (before, after) = (plan.properties(), made.properties());
    let same = before.partitioning == after.partitioning
        && keys::keeps_orders(&before.eq_properties, &after.eq_properties)?;
    Ok(same.then_some(made))
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

/// Whether an expression is of nothing but patterns, comparisons and lists of functions of columns, and so NULL for NULL; and the columns.
fn matches_texts(expr: &Arc<dyn PhysicalExpr>, columns: &mut Vec<usize>) -> bool {
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        return is_text(like.expr(), columns) && like.pattern().is::<Literal>();
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return matches_texts(not.arg(), columns);
    }
    if let Some(within) = expr.downcast_ref::<InListExpr>() {
        let text = within.expr();
        let listed = within.list().iter().all(|one| one.is::<Literal>());
        return listed && !text.is::<Column>() && is_text(text, columns);
    }
    expr.downcast_ref::<BinaryExpr>().is_some_and(|binary| {
        let (left, right) = (binary.left(), binary.right());
        match binary.op() {
            Operator::And | Operator::Or => {
                matches_texts(left, columns) && matches_texts(right, columns)
            }
            // A text itself is compared as quickly as it is looked up.
            Operator::Eq | Operator::NotEq => {
                !left.is::<Column>() && is_text(left, columns) && right.is::<Literal>()
            }
            Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch => is_text(left, columns) && right.is::<Literal>(),
            _ => false,
        }
    })
}

/// Whether an expression is a text, as a column has it or as functions make another of it that are NULL for NULL and never fail.
fn is_text(expr: &Arc<dyn PhysicalExpr>, columns: &mut Vec<usize>) -> bool {
    if let Some(column) = expr.downcast_ref::<Column>() {
        columns.push(column.index());
        return true;
    }
    let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() else {
        return false;
    };
    let [text, others @ ..] = call.args() else {
        return false;
    };
    let known = OF_TEXTS.contains(&call.fun().name());
    known && others.iter().all(|other| other.is::<Literal>()) && is_text(text, columns)
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
        // The engine asks of a batch without columns whether an expression needs one.
        let texts = batch.columns().get(self.column);
        let Some((texts, rows)) = texts.map(different_texts).transpose()?.flatten() else {
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
            let upper = ScalarFunctionExpr::try_new(
                datafusion::functions::string::upper(),
                vec![col("sig", &schema).unwrap()],
                &schema,
                Arc::default(),
            );
            let upper: Arc<dyn PhysicalExpr> = Arc::new(upper.unwrap());
            let text = datafusion::common::ScalarValue::from("7 TABLETS OF SOMETHING");
            let text = lit(text.cast_to(&upper.data_type(&schema).unwrap()).unwrap());
            let or = |one, other| Arc::new(BinaryExpr::new(one, Operator::Or, other)) as _;
            let either: Arc<dyn PhysicalExpr> = or(
                or(
                    pattern(false, true, "1%TABLETS%"),
                    Arc::new(BinaryExpr::new(upper, Operator::Eq, text)) as _,
                ),
                pattern(true, false, "%of some%"),
            );
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
