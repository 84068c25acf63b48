//! `charlson_index(diagnosis)` and `elixhauser_index(diagnosis)`: how ill a person is, from its diagnoses.

use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use columna_stats::Summary;
use columna_stats::description::comorbidity::{CHARLSON, Conditions, ELIXHAUSER, Index};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::{
    ModelBatch, Options, Parameter, Role, RowSummary, State, StateBuilder, Statistic, refused,
};
use crate::functions::docs::DESCRIPTION;

static CHARLSON_DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "Charlson's comorbidity index of one person, from ICD-10 codes by Quan's lists (2005), with the weights of 1987 or \
         Quan's of 2011; a milder form of a condition does not count beside its more severe one. Group by person. A \
         diagnosis may also be the name of a condition, such as 'dementia', for codes that you map yourself. OMOP \
         concepts are neither: join `condition_concept_id` to `comorbidity_concepts`, which has the names, or \
         `condition_source_concept_id` to `concept` for its `concept_code`. What is no ICD-10 code by its shape and no name \
         is an error. NULL without a diagnosis.",
        "charlson_index(diagnosis[, weighting => 'charlson'])",
    )
    .with_argument("diagnosis", "An ICD-10 code, with or without its point, or a condition's name")
    .with_argument("weighting", "'charlson' or 'quan'")
    .with_sql_example(
        "> SELECT person, charlson_index(code) AS charlson
  FROM (VALUES (1, 'E11.9'), (1, 'E11.2'), (1, 'I21.4'), (2, 'C78.0'), (2, 'C34.1'), (3, 'J06.9')) AS d(person, code)
  GROUP BY person ORDER BY person;
+--------+----------+
| person | charlson |
+--------+----------+
| 1      | 3        |
| 2      | 6        |
| 3      | 0        |
+--------+----------+",
    )
    .build()
});

static ELIXHAUSER_DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "Elixhauser's comorbidity score of one person, from ICD-10 codes by Quan's lists (2005), with van Walraven's \
         weights (2009) or as the number of conditions. Group by person. Diagnoses are those of `charlson_index`. NULL without \
         one.",
        "elixhauser_index(diagnosis[, weighting => 'van-walraven'])",
    )
    .with_argument("diagnosis", "An ICD-10 code, with or without its point, or a condition's name")
    .with_argument("weighting", "'van-walraven' or 'count'")
    .with_sql_example(
        "> SELECT elixhauser_index(code, weighting => 'count') AS conditions
  FROM (VALUES ('I50.0'), ('I48'), ('N18.5'), ('J06.9')) AS d(code);
+------------+
| conditions |
+------------+
| 3          |
+------------+",
    )
    .build()
});

/// Which index.
pub(crate) trait Which:
    std::fmt::Debug + Clone + Copy + Default + Send + Sync + 'static
{
    fn index() -> &'static Index;
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Charlson;

impl Which for Charlson {
    fn index() -> &'static Index {
        &CHARLSON
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Elixhauser;

impl Which for Elixhauser {
    fn index() -> &'static Index {
        &ELIXHAUSER
    }
}

/// The conditions of a person.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Present<I> {
    conditions: Conditions,
    index: PhantomData<I>,
}

impl<I: Which> Summary for Present<I> {
    fn merge(&mut self, other: Self) {
        self.conditions.merge(other.conditions);
    }

    fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }
}

impl<I: Which> RowSummary for Present<I> {
    type Rows = ModelBatch;

    fn add_row(&mut self, rows: &ModelBatch, row: usize) -> Result<()> {
        let diagnosis = rows.word(0, row).unwrap_or_default();
        let added = self.conditions.add(I::index(), diagnosis);
        added.map_err(|error| refused(&error))
    }

    fn write(&self, state: &mut StateBuilder) {
        state.append(&[self.conditions.bits()], &[], &[]);
    }

    fn read(&mut self, state: &State<'_>) -> Result<()> {
        for bits in state.ints {
            self.conditions.merge(Conditions::from_bits(*bits));
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

macro_rules! score {
    ($name:ident, $function:literal, $index:ty, $documentation:ident) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub(crate) struct $name;

        impl Statistic for $name {
            type Summary = Present<$index>;
            type Options = usize;

            const NAME: &'static str = $function;
            const PARAMETERS: &'static [Parameter] = &[
                Parameter::required("diagnosis", Role::Group),
                Parameter::optional("weighting", Role::Word),
            ];

            fn documentation() -> &'static Documentation {
                &$documentation
            }

            fn output(_arguments: &[DataType]) -> DataType {
                DataType::Int64
            }

            fn options(given: &Options) -> Result<usize> {
                let known = <$index>::index().weightings;
                let Some(word) = given.word("weighting") else {
                    return Ok(0);
                };
                match known
                    .iter()
                    .position(|name| name.eq_ignore_ascii_case(&word))
                {
                    Some(place) => Ok(place),
                    None => plan_err!("`weighting` can be '{}'", known.join("' or '")),
                }
            }

            fn evaluate(
                summaries: &[Option<&Present<$index>>],
                weighting: &usize,
                _output: &DataType,
            ) -> Result<ArrayRef> {
                let scores: Int64Array = summaries
                    .iter()
                    .map(|person| {
                        let present = (*person)?.conditions;
                        Some(i64::from(<$index>::index().score(present, *weighting)))
                    })
                    .collect();
                Ok(Arc::new(scores))
            }
        }
    };
}

score!(
    CharlsonIndex,
    "charlson_index",
    Charlson,
    CHARLSON_DOCUMENTATION
);
score!(
    ElixhauserIndex,
    "elixhauser_index",
    Elixhauser,
    ELIXHAUSER_DOCUMENTATION
);
