//! From a code of the source to its concepts: CONCEPT, and CONCEPT_RELATIONSHIP's `Maps to`.

use std::collections::HashMap;

use super::ids::{Key, KeyMap};
use super::mapping::Terms;

/// Domains that decide where a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Domain {
    /// `Condition`.
    Condition,
    /// `Procedure`.
    Procedure,
    /// `Measurement`.
    Measurement,
    /// `Observation`.
    Observation,
    /// Any other one.
    Other,
}

impl Domain {
    fn parse(name: &[u8]) -> Self {
        match name {
            b"Condition" => Self::Condition,
            b"Procedure" => Self::Procedure,
            b"Measurement" => Self::Measurement,
            b"Observation" => Self::Observation,
            _ => Self::Other,
        }
    }

    /// Its name in the vocabulary.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Condition => "Condition",
            Self::Procedure => "Procedure",
            Self::Measurement => "Measurement",
            Self::Observation => "Observation",
            Self::Other => "",
        }
    }
}

/// What the vocabulary knows of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Concepts {
    /// The concept of the code itself; 0 where it is unknown.
    pub(super) source: i64,
    /// The standard concept; 0 where there is none.
    pub(super) standard: i64,
    /// The standard concept's domain.
    pub(super) domain: Option<Domain>,
}

impl Terms {
    /// The vocabulary by its identifier in CONCEPT, or by the name or address that Synthea writes in `SYSTEM`.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?.trim().to_ascii_lowercase();
        match name.as_str() {
            "snomed" | "snomed-ct" | "http://snomed.info/sct" => Some(Self::Snomed),
            "rxnorm" | "http://www.nlm.nih.gov/research/umls/rxnorm" => Some(Self::RxNorm),
            "loinc" | "http://loinc.org" => Some(Self::Loinc),
            "cvx" | "http://hl7.org/fhir/sid/cvx" => Some(Self::Cvx),
            "ucum" | "http://unitsofmeasure.org" => Some(Self::Ucum),
            "icd10cm" | "icd10-cm" | "http://hl7.org/fhir/sid/icd-10-cm" => Some(Self::Icd10Cm),
            _ => None,
        }
    }
}

/// Codes of the vocabularies that Synthea writes, with their concepts.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    codes: HashMap<Terms, KeyMap<i64>>,
    /// Domains of standard concepts, of whichever vocabulary.
    standard: HashMap<i64, Domain>,
    /// Concepts that are not standard, with the standard one they map to.
    maps_to: HashMap<i64, i64>,
}

/// A row of CONCEPT, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConceptRow<'a> {
    pub(super) id: i64,
    pub(super) domain: &'a [u8],
    pub(super) vocabulary: &'a [u8],
    pub(super) standard: &'a [u8],
    pub(super) code: &'a [u8],
    pub(super) invalid: &'a [u8],
}

impl Vocabulary {
    /// Takes a row of CONCEPT.
    pub(super) fn concept(&mut self, row: ConceptRow<'_>) {
        let valid = row.invalid.is_empty();
        if row.standard == b"S" && valid {
            self.standard.insert(row.id, Domain::parse(row.domain));
        }
        let terms = Terms::parse(row.vocabulary);
        if let (Some(terms), Some(key)) = (terms, Key::of(row.code)) {
            let concept = self
                .codes
                .entry(terms)
                .or_default()
                .entry(key)
                .or_insert(row.id);
            // A code that was given anew has a retired concept beside the valid one.
            if valid {
                *concept = row.id;
            }
        }
    }

    /// Takes a valid `Maps to` of CONCEPT_RELATIONSHIP. Of several, the lowest concept is kept.
    pub(super) fn maps(&mut self, from: i64, to: i64) {
        if from != to && self.standard.contains_key(&to) {
            let kept = self.maps_to.entry(from).or_insert(to);
            *kept = to.min(*kept);
        }
    }

    /// The concepts of a code.
    pub(super) fn find(&self, terms: Terms, code: &[u8]) -> Concepts {
        let key = Key::of(code);
        let found = key.and_then(|key| self.codes.get(&terms)?.get(&key));
        let Some(&source) = found else {
            return Concepts::default();
        };
        let standard = if self.standard.contains_key(&source) {
            Some(source)
        } else {
            self.maps_to.get(&source).copied()
        };
        Concepts {
            source,
            standard: standard.unwrap_or(0),
            domain: standard.and_then(|standard| self.standard.get(&standard).copied()),
        }
    }

    /// Whether CONCEPT had no code of any of the vocabularies.
    pub(super) fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn row<'a>(
        id: i64,
        domain: &'a str,
        vocabulary: &'a str,
        standard: &'a str,
        code: &'a str,
    ) -> ConceptRow<'a> {
        ConceptRow {
            id,
            domain: domain.as_bytes(),
            vocabulary: vocabulary.as_bytes(),
            standard: standard.as_bytes(),
            code: code.as_bytes(),
            invalid: b"",
        }
    }

    /// A few concepts, numbered as in OMOP.
    pub(in super::super) fn sample() -> Vocabulary {
        let mut vocabulary = Vocabulary::default();
        vocabulary.concept(row(4_112_343, "Condition", "SNOMED", "S", "195662009"));
        vocabulary.concept(row(4_187_096, "Observation", "SNOMED", "S", "160903007"));
        vocabulary.concept(row(3_036_277, "Measurement", "LOINC", "S", "8302-2"));
        vocabulary.concept(row(3_046_853, "Observation", "LOINC", "S", "72514-3"));
        vocabulary.concept(row(8582, "Unit", "UCUM", "S", "cm"));
        vocabulary.concept(row(40_213_154, "Drug", "CVX", "S", "140"));
        vocabulary.concept(row(44_000_001, "Condition", "SNOMED", "", "111"));
        vocabulary.maps(44_000_001, 4_187_096);
        vocabulary.maps(44_000_001, 4_112_343);
        vocabulary.maps(44_000_001, 99);
        vocabulary
    }

    #[test]
    fn a_standard_concept_stands_for_itself() {
        let found = sample().find(Terms::Snomed, b"195662009");
        let expected = Concepts {
            source: 4_112_343,
            standard: 4_112_343,
            domain: Some(Domain::Condition),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn others_map_to_the_lowest_standard_one() {
        let found = sample().find(Terms::Snomed, b"111");
        assert_eq!((found.source, found.standard), (44_000_001, 4_112_343));
    }

    #[test]
    fn codes_belong_to_their_vocabulary() {
        assert_eq!(
            sample().find(Terms::RxNorm, b"195662009"),
            Concepts::default()
        );
        assert_eq!(sample().find(Terms::Snomed, b"1"), Concepts::default());
        assert_eq!(sample().find(Terms::Snomed, b""), Concepts::default());
        // 08 is a vaccine of CVX, and 8 is none.
        let mut vocabulary = sample();
        vocabulary.concept(row(1, "Drug", "CVX", "S", "08"));
        assert_eq!(vocabulary.find(Terms::Cvx, b"8"), Concepts::default());
    }

    #[test]
    fn a_retired_concept_gives_way_to_the_valid_one() {
        let mut vocabulary = Vocabulary::default();
        let retired = ConceptRow {
            invalid: b"D",
            ..row(5, "Drug", "RxNorm", "S", "7")
        };
        vocabulary.concept(retired);
        assert_eq!(vocabulary.find(Terms::RxNorm, b"7").standard, 0);
        vocabulary.concept(row(6, "Drug", "RxNorm", "S", "7"));
        vocabulary.concept(retired);
        assert_eq!(vocabulary.find(Terms::RxNorm, b"7").standard, 6);
    }

    #[test]
    fn systems_by_name_and_address() {
        assert_eq!(Terms::parse(b"SNOMED-CT"), Some(Terms::Snomed));
        assert_eq!(Terms::parse(b"http://snomed.info/sct"), Some(Terms::Snomed));
        assert_eq!(Terms::parse(b"RxNorm"), Some(Terms::RxNorm));
        assert_eq!(Terms::parse(b"NDC"), None);
    }
}
