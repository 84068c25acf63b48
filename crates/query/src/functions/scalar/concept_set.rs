//! `concept_set('name')` and `concept_set(concept_id…)`: concepts as a list.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::functions::docs::VOCABULARY;
use crate::vocabulary::{Concepts, Vocabulary};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        VOCABULARY,
        "The concepts of a set, ascending, as a list. A set is named in the table `concept_sets`, with \
         the columns `name`, `concept_id` and, where wanted, `include_descendants` and `is_excluded` as \
         in OHDSI's concept sets; or it is given by concepts, whose descendants all belong to it. In a \
         filter, `concept_id = ANY(concept_set('name'))` becomes an IN list before the query runs. As a \
         table function it gives rows.",
        "concept_set(name)\nconcept_set(concept_id[, ...])",
    )
    .with_argument("name", "The name of a set in the table `concept_sets`")
    .with_argument("concept_id", "A concept that belongs to the set with all its descendants")
    .with_sql_example(
        "> SELECT concept_set('diabetes') AS named, concept_set(201826) AS by_concept;
+-----------------------------------+------------+
| named                             | by_concept |
+-----------------------------------+------------+
| [201254, 201820, 201826, 4058243] | [201826]   |
+-----------------------------------+------------+",
    )
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConceptSet {
    signature: Signature,
    vocabulary: Vocabulary,
}

impl ConceptSet {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        let signature = Signature::user_defined(Volatility::Stable);
        Self {
            signature,
            vocabulary: vocabulary.clone(),
        }
    }
}

/// The concepts that constant arguments mean.
pub(crate) fn look_up(vocabulary: &Vocabulary, arguments: &[ScalarValue]) -> Result<Concepts> {
    if let [only] = arguments
        && let Some(Some(name)) = only.try_as_str()
    {
        return vocabulary.concept_set(name);
    }
    let concepts = arguments
        .iter()
        .map(|argument| match argument.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(concept))) => Ok(concept),
            _ => plan_err!("`concept_set` takes the name of a set, or concept ids"),
        })
        .collect::<Result<Vec<_>>>()?;
    if concepts.is_empty() {
        return plan_err!("`concept_set` takes the name of a set, or concept ids");
    }
    vocabulary.descendants(&concepts)
}

impl ScalarUDFImpl for ConceptSet {
    fn name(&self) -> &'static str {
        "concept_set"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8] => Ok(arguments.to_vec()),
            [_, ..] if arguments.iter().all(DataType::is_integer) => {
                Ok(vec![DataType::Int64; arguments.len()])
            }
            _ => plan_err!("`concept_set` takes the name of a set, or concept ids"),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(
            DataType::Int64,
            true,
        ))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constants = args
            .args
            .iter()
            .map(|argument| match argument {
                ColumnarValue::Scalar(value) => Ok(value.clone()),
                ColumnarValue::Array(_) => plan_err!(
                    "`concept_set` takes constants; for concepts of each row see `is_descendant`"
                ),
            })
            .collect::<Result<Vec<_>>>()?;
        let concepts = look_up(&self.vocabulary, &constants)?;
        let values: Vec<ScalarValue> = concepts
            .iter()
            .map(|concept| ScalarValue::from(*concept))
            .collect();
        let list = ScalarValue::new_list_nullable(&values, &DataType::Int64);
        Ok(ColumnarValue::Scalar(ScalarValue::List(list)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
