//! `concept_set('name')` in a FROM clause: concepts as rows.

use std::sync::{Arc, LazyLock};

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Documentation, Expr};

use crate::functions::docs::VOCABULARY;
use crate::functions::scalar::concepts_of;
use crate::vocabulary::Vocabulary;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        VOCABULARY,
        "The concepts of a set as rows with one column, `concept_id`. The arguments are those of the \
         scalar function of this name.",
        "SELECT concept_id FROM concept_set(name)\nSELECT concept_id FROM concept_set(concept_id[, ...])",
    )
    .with_argument("name", "The name of a set in the table `concept_sets`")
    .with_argument("concept_id", "A concept that belongs to the set with all its descendants")
    .with_sql_example(
        "> SELECT concept_id FROM concept_set('diabetes') ORDER BY concept_id;
+------------+
| concept_id |
+------------+
| 201254     |
| 201820     |
| 201826     |
| 4058243    |
+------------+",
    )
    .build()
});

pub(super) fn documentation() -> &'static Documentation {
    &DOCUMENTATION
}

#[derive(Debug)]
pub(super) struct ConceptSet {
    vocabulary: Vocabulary,
}

impl ConceptSet {
    pub(super) fn new(vocabulary: &Vocabulary) -> Self {
        Self {
            vocabulary: vocabulary.clone(),
        }
    }
}

impl TableFunctionImpl for ConceptSet {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let constants = args
            .exprs()
            .iter()
            .map(|argument| match argument {
                Expr::Literal(value, _) => Ok(value.clone()),
                _ => plan_err!("`concept_set` takes the name of a set, or concept ids"),
            })
            .collect::<Result<Vec<_>>>()?;
        let concepts = concepts_of(&self.vocabulary, &constants)?;
        let schema = Arc::new(Schema::new(vec![Field::new(
            "concept_id",
            DataType::Int64,
            false,
        )]));
        let column = Arc::new(Int64Array::from(concepts.to_vec()));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column])?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}
