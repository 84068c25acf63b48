//! `is_descendant(concept_id, ancestor_id…)`: the concept hierarchy as a filter that prunes.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, in_list, lit,
};

use crate::functions::docs::VOCABULARY;
use crate::vocabulary::{MAX_IN_LIST, Vocabulary};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        VOCABULARY,
        "Whether a concept is one of the ancestors or below one of them in the table \
         `concept_ancestor`. A concept is its own descendant, and an ancestor that the hierarchy does \
         not know has no other. With constant ancestors it becomes an IN list before the query runs, so \
         that files, row groups and pages without such a concept are not read.",
        "is_descendant(concept_id, ancestor_id[, ...])",
    )
    .with_argument("concept_id", "The concept in question")
    .with_argument("ancestor_id", "One or more ancestors")
    .with_sql_example(
        "> SELECT concept_id, is_descendant(concept_id, 201820) AS diabetes
  FROM (VALUES (201826), (316139)) AS t(concept_id);
+------------+----------+
| concept_id | diabetes |
+------------+----------+
| 201826     | true     |
| 316139     | false    |
+------------+----------+",
    )
    .build()
});

/// The function, and the form of it that a plan holds once the ancestors are looked up.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct IsDescendant {
    signature: Signature,
    vocabulary: Vocabulary,
    prepared: bool,
}

impl IsDescendant {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Stable),
            vocabulary: vocabulary.clone(),
            prepared: false,
        }
    }

    /// The same under another name: what remains of a call whose set is too large for an IN list.
    pub(crate) fn prepared(vocabulary: &Vocabulary) -> Self {
        Self {
            prepared: true,
            ..Self::new(vocabulary)
        }
    }

    /// The condition that a call with constant ancestors comes down to.
    fn condition(&self, concept: Expr, ancestors: Vec<Expr>, constants: &[i64]) -> Result<Expr> {
        let concepts = self.vocabulary.descendants(constants)?;
        if concepts.len() <= MAX_IN_LIST {
            let list = concepts.iter().map(|concept| lit(*concept)).collect();
            return Ok(in_list(concept, list, false));
        }
        let prepared = ScalarUDF::new_from_impl(Self::prepared(&self.vocabulary));
        let arguments = std::iter::once(concept.clone()).chain(ancestors).collect();
        let exact = Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(prepared), arguments));
        let (Some(first), Some(last)) = (concepts.first(), concepts.last()) else {
            return Ok(exact);
        };
        // Bounds that min/max statistics understand, in front of what only the set can tell.
        Ok(concept
            .clone()
            .gt_eq(lit(*first))
            .and(concept.lt_eq(lit(*last)))
            .and(exact))
    }
}

impl ScalarUDFImpl for IsDescendant {
    fn name(&self) -> &'static str {
        if self.prepared {
            "__is_descendant"
        } else {
            "is_descendant"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        if arguments.len() < 2 {
            return plan_err!("`is_descendant` takes a concept and at least one ancestor");
        }
        if let Some(other) = arguments.iter().find(|t| !(t.is_integer() || t.is_null())) {
            return plan_err!(
                "`is_descendant` takes concept ids, which are whole numbers, not {other}"
            );
        }
        Ok(vec![DataType::Int64; arguments.len()])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn simplify(&self, mut args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let constants: Option<Vec<i64>> = args[1..]
            .iter()
            .map(|ancestor| match ancestor {
                Expr::Literal(ScalarValue::Int64(value), _) => *value,
                _ => None,
            })
            .collect();
        match constants {
            Some(constants) if !self.prepared => {
                let ancestors = args.split_off(1);
                let Some(concept) = args.pop() else {
                    return Ok(ExprSimplifyResult::Original(args));
                };
                let condition = self.condition(concept, ancestors, &constants)?;
                Ok(ExprSimplifyResult::Simplified(condition))
            }
            _ => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((concept, ancestors)) = args.args.split_first() else {
            return plan_err!("`is_descendant` takes a concept and at least one ancestor");
        };
        let concepts = concept.to_array(args.number_rows)?;
        let concepts = concepts.as_primitive::<Int64Type>();
        let constants: Option<Vec<i64>> = ancestors
            .iter()
            .map(|ancestor| match ancestor {
                ColumnarValue::Scalar(ScalarValue::Int64(value)) => *value,
                _ => None,
            })
            .collect();
        let found: BooleanArray = if let Some(constants) = constants {
            let set = self.vocabulary.descendants(&constants)?;
            concepts
                .iter()
                .map(|concept| Some(set.binary_search(&concept?).is_ok()))
                .collect()
        } else {
            let ancestors = ancestors
                .iter()
                .map(|ancestor| ancestor.to_array(args.number_rows))
                .collect::<Result<Vec<_>>>()?;
            self.row_by_row(concepts, &ancestors)?
        };
        Ok(ColumnarValue::Array(Arc::new(found)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        (!self.prepared).then_some(&*DOCUMENTATION)
    }
}

impl IsDescendant {
    /// Ancestors that differ from row to row; a NULL among them makes a "no" unknown, as in `IN`.
    fn row_by_row(&self, concepts: &Int64Array, ancestors: &[ArrayRef]) -> Result<BooleanArray> {
        let hierarchy = self.vocabulary.hierarchy()?;
        let ancestors: Vec<&Int64Array> = ancestors
            .iter()
            .map(|ancestor| ancestor.as_primitive::<Int64Type>())
            .collect();
        let below = |row: usize, concept: i64| {
            let mut unknown = false;
            for ancestor in &ancestors {
                if ancestor.is_null(row) {
                    unknown = true;
                } else if hierarchy.is_descendant(concept, ancestor.value(row)) {
                    return Some(true);
                }
            }
            (!unknown).then_some(false)
        };
        Ok(concepts
            .iter()
            .enumerate()
            .map(|(row, concept)| below(row, concept?))
            .collect())
    }
}
