//! `comorbidity_concepts('charlson')` in a FROM clause: the OMOP concepts of each condition of a comorbidity index.

use std::sync::{Arc, LazyLock};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use columna_stats::description::comorbidity::{CHARLSON, Index};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Documentation, Expr};

use crate::functions::docs::DESCRIPTION;
use crate::vocabulary::Vocabulary;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "The conditions of Charlson's index as OMOP concepts: a row for each condition, each of the concepts that stand for it \
         and each concept below those by `concept_ancestor`. Columns: `condition`, the name that `charlson_index` knows; \
         `ancestor_concept_id`, a concept of the list; and `concept_id`, that concept or one below it. The list is that of \
         OHDSI's FeatureExtraction, version 2, by which studies go as well; it is made of SNOMED groups, so that an index by \
         concepts can differ from one by ICD-10 codes. Persons without any of them are not in the join: count them as 0. For \
         Elixhauser's score no such list is published: give `elixhauser_index` the ICD-10 codes of \
         `condition_source_concept_id`.",
        "SELECT * FROM comorbidity_concepts('charlson')",
    )
    .with_argument("index", "'charlson'")
    .with_sql_example(
        "> SELECT person_id, charlson_index(condition) AS charlson
  FROM condition_occurrence c JOIN comorbidity_concepts('charlson') k ON k.concept_id = c.condition_concept_id
  GROUP BY person_id;
+-----------+----------+
| person_id | charlson |
+-----------+----------+
| 1         | 1        |
+-----------+----------+",
    )
    .build()
});

#[derive(Debug)]
pub(super) struct ComorbidityConcepts {
    vocabulary: Vocabulary,
}

impl ComorbidityConcepts {
    pub(super) const NAME: &'static str = "comorbidity_concepts";

    pub(super) fn new(vocabulary: &Vocabulary) -> Self {
        Self {
            vocabulary: vocabulary.clone(),
        }
    }

    pub(super) fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    /// Condition, concept of the list, and it or a concept below it.
    fn rows(&self, index: &Index) -> Result<RecordBatch> {
        let listed = || {
            let conditions = index.conditions.iter();
            conditions.flat_map(|one| one.concepts.iter().map(|id| (one.name, i64::from(*id))))
        };
        let ancestors: Vec<i64> = listed().map(|(_, concept)| concept).collect();
        let pairs = self.vocabulary.pairs(&ancestors)?;
        let (mut names, mut above, mut below) = (Vec::new(), Vec::new(), Vec::new());
        for (name, ancestor) in listed() {
            for (_, concept) in pairs.range((ancestor, i64::MIN)..=(ancestor, i64::MAX)) {
                names.push(name);
                above.push(ancestor);
                below.push(*concept);
            }
        }
        let schema = Schema::new(vec![
            Field::new("condition", DataType::Utf8, false),
            Field::new("ancestor_concept_id", DataType::Int64, false),
            Field::new("concept_id", DataType::Int64, false),
        ]);
        Ok(RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(StringArray::from(names)),
                Arc::new(Int64Array::from(above)),
                Arc::new(Int64Array::from(below)),
            ],
        )?)
    }
}

impl TableFunctionImpl for ComorbidityConcepts {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let name = match args.exprs() {
            [Expr::Literal(value, _)] => value.try_as_str().flatten(),
            _ => None,
        };
        let index = match name.map(str::to_ascii_lowercase).as_deref() {
            Some("charlson") => &CHARLSON,
            Some("elixhauser") => {
                return plan_err!(
                    "no list of OMOP concepts is published for Elixhauser's conditions; give `elixhauser_index` the ICD-10 \
                     codes of `condition_source_concept_id`"
                );
            }
            _ => {
                return plan_err!(
                    "`{}` takes the name of an index, which is 'charlson'",
                    Self::NAME
                );
            }
        };
        let rows = self.rows(index)?;
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        Ok(Arc::new(table))
    }
}
