//! Table functions: rows, in a FROM clause.

mod comorbidity_concepts;
mod concept_set;
mod eras;

use std::sync::Arc;

use datafusion::catalog::TableFunctionImpl;
use datafusion::logical_expr::Documentation;

use crate::vocabulary::Vocabulary;
use comorbidity_concepts::ComorbidityConcepts;
use eras::{ConditionEra, DrugEra, ErasOf};

/// A table function with its name and documentation, which DataFusion does not keep for it.
#[derive(Debug)]
pub struct NamedTableFunction {
    /// The name, as it is called.
    pub name: &'static str,
    /// What it does.
    pub documentation: &'static Documentation,
    /// The function.
    pub function: Arc<dyn TableFunctionImpl>,
}

/// The table functions; those of the vocabulary look concepts up in the one given.
#[must_use]
pub fn functions(vocabulary: &Vocabulary) -> Vec<NamedTableFunction> {
    vec![
        NamedTableFunction {
            name: ComorbidityConcepts::NAME,
            documentation: ComorbidityConcepts::documentation(),
            function: Arc::new(ComorbidityConcepts::new(vocabulary)),
        },
        NamedTableFunction {
            name: "concept_set",
            documentation: concept_set::documentation(),
            function: Arc::new(concept_set::ConceptSet::new(vocabulary)),
        },
        NamedTableFunction {
            name: ConditionEra::NAME,
            documentation: ConditionEra::documentation(),
            function: Arc::new(ConditionEra),
        },
        NamedTableFunction {
            name: DrugEra::NAME,
            documentation: DrugEra::documentation(),
            function: Arc::new(DrugEra),
        },
        NamedTableFunction {
            name: ErasOf::NAME,
            documentation: ErasOf::documentation(),
            function: Arc::new(ErasOf),
        },
    ]
}
