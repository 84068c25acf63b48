//! The standardized vocabulary.

use super::define::{code, concept, date, float, integer, key, text};
use crate::table::IdentifierClass::Value;
use crate::table::{ColumnDef, TableDef, TableKind::Vocabulary};

const VALID_START: ColumnDef = date("valid_start_date").is(Value).required();
const VALID_END: ColumnDef = date("valid_end_date").is(Value).required();
const INVALID_REASON: ColumnDef = code("invalid_reason");

/// Every concept.
pub(super) const CONCEPT: TableDef = TableDef::new("concept", Vocabulary).columns(&[
    key("concept_id"),
    text("concept_name").required(),
    code("domain_id")
        .references("domain", "domain_id")
        .required(),
    code("vocabulary_id")
        .references("vocabulary", "vocabulary_id")
        .required(),
    code("concept_class_id")
        .references("concept_class", "concept_class_id")
        .required(),
    code("standard_concept"),
    code("concept_code").required(),
    VALID_START,
    VALID_END,
    INVALID_REASON,
]);

/// The vocabularies concepts come from.
pub(super) const VOCABULARY: TableDef = TableDef::new("vocabulary", Vocabulary).columns(&[
    code("vocabulary_id").primary(),
    text("vocabulary_name").required(),
    text("vocabulary_reference"),
    text("vocabulary_version"),
    concept("vocabulary_concept_id").required(),
]);

/// The domains concepts belong to.
pub(super) const DOMAIN: TableDef = TableDef::new("domain", Vocabulary).columns(&[
    code("domain_id").primary(),
    text("domain_name").required(),
    concept("domain_concept_id").required(),
]);

/// The classes concepts belong to.
pub(super) const CONCEPT_CLASS: TableDef = TableDef::new("concept_class", Vocabulary).columns(&[
    code("concept_class_id").primary(),
    text("concept_class_name").required(),
    concept("concept_class_concept_id").required(),
]);

/// Direct relationships of two concepts.
pub(super) const CONCEPT_RELATIONSHIP: TableDef = TableDef::new("concept_relationship", Vocabulary)
    .looked_up_by(&["concept_id_1", "concept_id_2", "relationship_id"])
    .columns(&[
        concept("concept_id_1").required(),
        concept("concept_id_2").required(),
        code("relationship_id")
            .references("relationship", "relationship_id")
            .required(),
        VALID_START,
        VALID_END,
        INVALID_REASON,
    ]);

/// The kinds of relationship.
pub(super) const RELATIONSHIP: TableDef = TableDef::new("relationship", Vocabulary).columns(&[
    code("relationship_id").primary(),
    text("relationship_name").required(),
    text("is_hierarchical").required(),
    text("defines_ancestry").required(),
    code("reverse_relationship_id")
        .references("relationship", "relationship_id")
        .required(),
    concept("relationship_concept_id").required(),
]);

/// Other names of a concept.
pub(super) const CONCEPT_SYNONYM: TableDef = TableDef::new("concept_synonym", Vocabulary)
    .looked_up_by(&["concept_id"])
    .columns(&[
        concept("concept_id").required(),
        text("concept_synonym_name").required(),
        concept("language_concept_id").required(),
    ]);

/// The hierarchy: every ancestor of every concept, itself included.
pub(super) const CONCEPT_ANCESTOR: TableDef = TableDef::new("concept_ancestor", Vocabulary)
    .looked_up_by(&["ancestor_concept_id", "descendant_concept_id"])
    .columns(&[
        concept("ancestor_concept_id").required(),
        concept("descendant_concept_id").required(),
        integer("min_levels_of_separation").required(),
        integer("max_levels_of_separation").required(),
    ]);

/// Local codes and the concepts they map to.
pub(super) const SOURCE_TO_CONCEPT_MAP: TableDef =
    TableDef::new("source_to_concept_map", Vocabulary)
        .looked_up_by(&["source_vocabulary_id", "source_code", "target_concept_id"])
        .columns(&[
            code("source_code").required(),
            concept("source_concept_id").required(),
            code("source_vocabulary_id")
                .references("vocabulary", "vocabulary_id")
                .required(),
            text("source_code_description"),
            concept("target_concept_id").required(),
            code("target_vocabulary_id")
                .references("vocabulary", "vocabulary_id")
                .required(),
            VALID_START,
            VALID_END,
            INVALID_REASON,
        ]);

/// Ingredients of a drug and their amounts.
pub(super) const DRUG_STRENGTH: TableDef = TableDef::new("drug_strength", Vocabulary)
    .looked_up_by(&["drug_concept_id", "ingredient_concept_id"])
    .columns(&[
        concept("drug_concept_id").required(),
        concept("ingredient_concept_id").required(),
        float("amount_value"),
        concept("amount_unit_concept_id"),
        float("numerator_value"),
        concept("numerator_unit_concept_id"),
        float("denominator_value"),
        concept("denominator_unit_concept_id"),
        integer("box_size"),
        VALID_START,
        VALID_END,
        INVALID_REASON,
    ]);
