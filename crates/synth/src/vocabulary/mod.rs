//! The small vocabulary that the synthetic hospital codes with: real OMOP concepts and a hierarchy over them.
//!
//! Concept ids, names and codes were checked against the concept tables of OHDSI's Eunomia data sets (GiBleed and
//! Synthea27Nj) and OHDSI's PhenotypeLibrary definitions. These were not found there and are the well-known ones:
//! the race, the type concepts, the ingredients metformin, losartan, furosemide, spironolactone and omeprazole, and
//! the upper levels of the condition hierarchy. The hierarchy keeps only the levels named here, so numbers of levels
//! are smaller than in the full vocabulary. Vocabularies, domains, classes and relationships have no concept of their own.

pub(crate) mod conditions;
pub(crate) mod drugs;
pub(crate) mod hierarchy;
pub(crate) mod measurements;
pub(crate) mod metadata;
pub(crate) mod observations;
pub(crate) mod procedures;

/// A concept as the generator uses it.
#[derive(Debug, PartialEq)]
pub(crate) struct Concept {
    /// The OMOP concept id.
    pub(crate) id: i64,
    /// The concept's name.
    pub(crate) name: &'static str,
    /// The code in its own vocabulary.
    pub(crate) code: &'static str,
    /// The code that the hospital's own system writes; empty where it writes none.
    pub(crate) source: &'static str,
    /// The concepts directly above it.
    pub(crate) parents: &'static [i64],
    /// The unit of its values: concept and UCUM code.
    pub(crate) unit: Option<(i64, &'static str)>,
    /// What kind of concept it is.
    pub(crate) kind: Kind,
}

/// What a concept stands for; decides domain, vocabulary and class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A SNOMED disorder or finding.
    Condition,
    /// An RxNorm ingredient or clinical drug.
    Drug,
    /// A LOINC test, or a cancer stage.
    Measurement,
    /// A SNOMED procedure.
    Procedure,
    /// A LOINC or SNOMED observation.
    Observation,
    /// Anything about the records themselves: domain, vocabulary and class.
    Metadata(&'static str, &'static str, &'static str),
}

impl Concept {
    /// Domain, vocabulary and concept class.
    pub(crate) fn classification(&self) -> (&'static str, &'static str, &'static str) {
        match self.kind {
            Kind::Condition => ("Condition", "SNOMED", "Clinical Finding"),
            Kind::Drug => ("Drug", "RxNorm", self.drug_class()),
            Kind::Measurement if self.code.starts_with("Stage") => {
                ("Measurement", "Cancer Modifier", "Staging/Grading")
            }
            Kind::Measurement
                if self
                    .unit
                    .is_some_and(|(_, code)| VITAL_UNITS.contains(&code)) =>
            {
                ("Measurement", "LOINC", "Clinical Observation")
            }
            Kind::Measurement => ("Measurement", "LOINC", "Lab Test"),
            Kind::Procedure => ("Procedure", "SNOMED", "Procedure"),
            Kind::Observation if self.code.contains('-') => {
                ("Observation", "LOINC", "Clinical Observation")
            }
            Kind::Observation => ("Observation", "SNOMED", "Context-dependent"),
            Kind::Metadata(domain, vocabulary, class) => (domain, vocabulary, class),
        }
    }

    fn drug_class(&self) -> &'static str {
        if self.parents.is_empty() {
            "Ingredient"
        } else if self.name.starts_with(|first: char| first.is_ascii_digit()) {
            "Quant Clinical Drug"
        } else {
            "Clinical Drug"
        }
    }
}

const VITAL_UNITS: [&str; 6] = ["mm[Hg]", "{counts}/min", "Cel", "kg", "cm", "kg/m2"];

/// Defines one static concept per line and `ALL` over them.
macro_rules! concepts {
    ($kind:ident; $($name:ident: $id:literal, $text:literal, $code:literal, $source:literal, [$($parent:literal),*], $unit:expr;)*) => {
        $(
            #[doc = $text]
            pub(crate) static $name: Concept = Concept {
                id: $id,
                name: $text,
                code: $code,
                source: $source,
                parents: &[$($parent),*],
                unit: $unit,
                kind: concepts!(@kind $kind),
            };
        )*
        /// Every concept of this file.
        pub(crate) static ALL: &[&Concept] = &[$(&$name),*];
    };
    (@kind condition) => { super::Kind::Condition };
    (@kind drug) => { super::Kind::Drug };
    (@kind measurement) => { super::Kind::Measurement };
    (@kind procedure) => { super::Kind::Procedure };
    (@kind observation) => { super::Kind::Observation };
}
pub(crate) use concepts;

/// Every concept that the generator can write.
pub(crate) fn all() -> impl Iterator<Item = &'static Concept> {
    [
        conditions::ALL,
        drugs::ALL,
        measurements::ALL,
        procedures::ALL,
        observations::ALL,
        metadata::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::all;

    #[test]
    fn ids_are_unique_and_parents_exist() {
        let ids: HashSet<i64> = all().map(|concept| concept.id).collect();
        assert_eq!(ids.len(), all().count());
        for concept in all() {
            for parent in concept.parents {
                assert!(
                    ids.contains(parent),
                    "{} has no parent {parent}",
                    concept.name
                );
            }
            if let Some((unit, _)) = concept.unit {
                assert!(ids.contains(&unit), "{} has no unit {unit}", concept.name);
            }
        }
    }
}
