//! Concepts about the records themselves: sex, race, visits, types, specialties and units.

use super::{Concept, Kind};

/// Defines one static concept per line and `ALL` over them.
macro_rules! metadata {
    ($($name:ident: $id:literal, $text:literal, $code:literal, $source:literal, $domain:literal, $vocabulary:literal, $class:literal;)*) => {
        $(
            #[doc = $text]
            pub(crate) static $name: Concept = Concept {
                id: $id, name: $text, code: $code, source: $source, parents: &[], unit: None,
                kind: Kind::Metadata($domain, $vocabulary, $class),
            };
        )*
        /// Every concept of this file.
        pub(crate) static ALL: &[&Concept] = &[$(&$name),*];
    };
}

metadata! {
    NO_MATCHING_CONCEPT: 0, "No matching concept", "No matching concept", "", "Metadata", "None", "Undefined";
    MALE: 8507, "MALE", "M", "M", "Gender", "Gender", "Gender";
    FEMALE: 8532, "FEMALE", "F", "F", "Gender", "Gender", "Gender";
    ASIAN: 8515, "Asian", "2", "", "Race", "Race", "Race";
    NOT_HISPANIC: 38003564, "Not Hispanic or Latino", "Not Hispanic", "", "Ethnicity", "Ethnicity", "Ethnicity";
    INPATIENT: 9201, "Inpatient Visit", "IP", "I", "Visit", "Visit", "Visit";
    OUTPATIENT: 9202, "Outpatient Visit", "OP", "O", "Visit", "Visit", "Visit";
    EMERGENCY: 9203, "Emergency Room Visit", "ER", "E", "Visit", "Visit", "Visit";
    EMERGENCY_INPATIENT: 262, "Emergency Room and Inpatient Visit", "ERIP", "EI", "Visit", "Visit", "Visit";
    EHR: 32817, "EHR", "OMOP4976890", "", "Type Concept", "Type Concept", "Type Concept";
    INTERNAL_MEDICINE: 38004456, "Internal Medicine", "11", "IM", "Provider", "Medicare Specialty", "Physician Specialty";
    FAMILY_MEDICINE: 38004459, "Family Practice", "08", "FM", "Provider", "Medicare Specialty", "Physician Specialty";
    GENERAL_PRACTICE: 38004446, "General Practice", "01", "GP", "Provider", "Medicare Specialty", "Physician Specialty";
    EMERGENCY_MEDICINE: 38004510, "Emergency Medicine", "93", "EM", "Provider", "Medicare Specialty", "Physician Specialty";
    UNIT_MILLIMETER_MERCURY_COLUMN: 8876, "millimeter mercury column", "mm[Hg]", "mm[Hg]", "Unit", "UCUM", "Unit";
    UNIT_COUNTS_PER_MINUTE: 8483, "counts per minute", "{counts}/min", "{counts}/min", "Unit", "UCUM", "Unit";
    UNIT_DEGREE_CELSIUS: 586323, "degree Celsius", "Cel", "Cel", "Unit", "UCUM", "Unit";
    UNIT_PERCENT: 8554, "percent", "%", "%", "Unit", "UCUM", "Unit";
    UNIT_KILOGRAM: 9529, "kilogram", "kg", "kg", "Unit", "UCUM", "Unit";
    UNIT_CENTIMETER: 8582, "centimeter", "cm", "cm", "Unit", "UCUM", "Unit";
    UNIT_KILOGRAM_PER_SQUARE_METER: 9531, "kilogram per square meter", "kg/m2", "kg/m2", "Unit", "UCUM", "Unit";
    UNIT_MILLIGRAM_PER_DECILITER: 8840, "milligram per deciliter", "mg/dL", "mg/dL", "Unit", "UCUM", "Unit";
    UNIT_MILLIMOLE_PER_LITER: 8753, "millimole per liter", "mmol/L", "mmol/L", "Unit", "UCUM", "Unit";
    UNIT_GRAM_PER_DECILITER: 8713, "gram per deciliter", "g/dL", "g/dL", "Unit", "UCUM", "Unit";
    UNIT_THOUSAND_PER_MICROLITER: 8848, "thousand per microliter", "10*3/uL", "10*3/uL", "Unit", "UCUM", "Unit";
    UNIT_UNIT_PER_LITER: 8645, "unit per liter", "[U]/L", "[U]/L", "Unit", "UCUM", "Unit";
    UNIT_MILLIGRAM_PER_LITER: 8751, "milligram per liter", "mg/L", "mg/L", "Unit", "UCUM", "Unit";
    UNIT_PICOGRAM_PER_MILLILITER: 8845, "picogram per milliliter", "pg/mL", "pg/mL", "Unit", "UCUM", "Unit";
    UNIT_NANOGRAM_PER_LITER: 8725, "nanogram per liter", "ng/L", "ng/L", "Unit", "UCUM", "Unit";
    UNIT_MILLIGRAM_PER_GRAM_OF_CREATININE: 9017, "milligram per gram of creatinine", "mg/g{creat}", "mg/g{creat}", "Unit", "UCUM", "Unit";
    UNIT_NANOGRAM_PER_MILLILITER: 8842, "nanogram per milliliter", "ng/mL", "ng/mL", "Unit", "UCUM", "Unit";
}
