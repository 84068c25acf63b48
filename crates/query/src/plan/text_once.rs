//! What is computed of texts that come again and again: once of each different text, which is remembered from batch to batch.
//!
//! Source values, units and directions for use are few, and a pattern takes many times what it takes to see that a text is the one
//! that a row before had. Where texts seldom come again, each is looked at as it comes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr,
    Literal, NotExpr, TryCastExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

use super::all_of::{asked, by_parts};
use super::grouping_sets::changed;
use super::keys;
use super::of_text::{Known, OfText};

/// Functions that are as quick as it is to look up a text.
const QUICK: [&str; 6] = [
    "ascii",
    "bit_length",
    "left",
    "octet_length",
    "starts_with",
    "substr",
];

/// An expression with what it asks of one text asked once of each.
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
            let asked = asked(aggregate, |arg| once_per_text(arg, &schema))?;
            let aggregate = asked.as_ref().unwrap_or(aggregate);
            if found {
                Arc::new(changed(aggregate, aggregate.group_expr().clone(), filters)?)
            } else if let Some(asked) = asked {
                Arc::new(asked)
            } else {
                return Ok(None);
            }
        } else {
            return Ok(None);
        };
    let (before, after) = (plan.properties(), made.properties());
    let divided = match (&before.partitioning, &after.partitioning) {
        // Never the same to the engine (DataFusion 55).
        (Partitioning::UnknownPartitioning(before), Partitioning::UnknownPartitioning(after)) => {
            before == after
        }
        (before, after) => before == after,
    };
    let same = divided && keys::keeps_orders(&before.eq_properties, &after.eq_properties)?;
    Ok(same.then_some(made))
}

struct OncePerText {
    expr: Arc<dyn PhysicalExpr>,
    of_text: OfText,
    /// What is known of the texts that were asked before: of each thread that asks its own.
    known: Mutex<Vec<Known>>,
}

impl OncePerText {
    fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Self>> {
        if !is_known(expr) || !is_costly(expr) {
            return Ok(None);
        }
        Ok(OfText::of(expr, schema)?.map(|of_text| Self {
            expr: Arc::clone(expr),
            of_text,
            known: Mutex::default(),
        }))
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an expression says nothing but what it says of its row.
fn is_known(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let known = expr.is::<Column>()
        || expr.is::<Literal>()
        || expr.is::<BinaryExpr>()
        || expr.is::<CaseExpr>()
        || expr.is::<CastExpr>()
        || expr.is::<InListExpr>()
        || expr.is::<IsNotNullExpr>()
        || expr.is::<IsNullExpr>()
        || expr.is::<LikeExpr>()
        || expr.is::<NotExpr>()
        || expr.is::<ScalarFunctionExpr>()
        || expr.is::<TryCastExpr>();
    known && expr.children().into_iter().all(is_known)
}

/// Whether an expression takes longer than to see that a text is the one that a row before had.
fn is_costly(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let costly = if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
        !QUICK.contains(&call.fun().name())
    } else if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        matches!(
            binary.op(),
            Operator::RegexMatch
                | Operator::RegexIMatch
                | Operator::RegexNotMatch
                | Operator::RegexNotIMatch
        )
    } else {
        let kind = expr.downcast_ref::<CastExpr>().map(CastExpr::cast_type);
        let or_none = expr.downcast_ref::<TryCastExpr>();
        let kind = kind.or(or_none.map(TryCastExpr::cast_type));
        kind.is_some_and(|kind| !kind.is_string()) || expr.is::<CaseExpr>() || expr.is::<LikeExpr>()
    };
    costly || expr.children().into_iter().any(is_costly)
}

impl fmt::Debug for OncePerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OncePerText").field(&self.expr).finish()
    }
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
        let mut known = match self.known().pop() {
            Some(known) => known,
            None => Known::new()?,
        };
        let answers = self.of_text.remembered(batch, &mut known)?;
        // After an error it would have texts without an answer.
        self.known().push(known);
        match answers {
            Some(answers) => Ok(ColumnarValue::Array(answers)),
            None => self.expr.evaluate(batch),
        }
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

    use std::collections::HashSet;

    use arrow::array::{ArrayRef, AsArray, StringViewArray, UInt32Array};
    use arrow::compute::take;
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
            assert_same(&once.data, &either, &batch);
        }
    }

    #[test]
    fn answers_are_remembered_from_batch_to_batch() {
        let batches: Vec<_> = (0..30).map(|seed| texts(8192, 4000 + seed * 50)).collect();
        let schema = batches[0].schema();
        let number =
            |text| -> Arc<dyn PhysicalExpr> { Arc::new(TryCastExpr::new(text, DataType::Float64)) };
        let first_word = ScalarFunctionExpr::try_new(
            datafusion::functions::string::split_part(),
            vec![col("sig", &schema).unwrap(), lit(" "), lit(1_i64)],
            &schema,
            Arc::default(),
        );
        let first_word: Arc<dyn PhysicalExpr> = Arc::new(first_word.unwrap());
        let cases = CaseExpr::try_new(
            None,
            vec![
                (
                    Arc::new(IsNullExpr::new(col("sig", &schema).unwrap())) as _,
                    lit(-1.0),
                ),
                (
                    Arc::new(BinaryExpr::new(
                        number(Arc::clone(&first_word)),
                        Operator::Gt,
                        lit(2000.0),
                    )) as _,
                    lit(2000.0),
                ),
            ],
            Some(number(Arc::clone(&first_word))),
        );
        let cases: Arc<dyn PhysicalExpr> = Arc::new(cases.unwrap());
        let columns = batches.iter().map(|batch| batch.column(0).as_string_view());
        // No text is one of them.
        let different: HashSet<Option<&str>> = columns.flatten().collect();
        for expr in [first_word, cases] {
            let once = once_per_text(Arc::clone(&expr), &schema).unwrap().data;
            for batch in &batches {
                assert_same(&once, &expr, batch);
            }
            let once = once.downcast_ref::<OncePerText>().unwrap();
            let known = once.known();
            let found: Vec<_> = known.iter().map(Known::len).collect();
            assert_eq!(found, [different.len()]);
        }
    }

    fn assert_same(
        once: &Arc<dyn PhysicalExpr>,
        each: &Arc<dyn PhysicalExpr>,
        batch: &RecordBatch,
    ) {
        let of_rows = |expr: &Arc<dyn PhysicalExpr>| {
            let answers = expr.evaluate(batch).unwrap();
            answers.into_array(batch.num_rows()).unwrap()
        };
        assert_eq!(&of_rows(once), &of_rows(each));
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
