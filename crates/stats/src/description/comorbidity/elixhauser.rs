//! The Elixhauser comorbidities: 31 conditions.
//!
//! Conditions: Elixhauser, Steiner, Harris and Coffey, Medical Care 36 (1998). ICD-10 codes: Quan et al., Medical Care 43
//! (2005), table 2. Weights: van Walraven et al., Medical Care 47 (2009), for death in hospital; and one for each
//! condition, which counts them. No list of OMOP concepts has been published for these groups in a form that could be
//! cited here: take the ICD-10 codes that the source recorded.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Condition, Index, table};

/// Elixhauser's conditions with Quan's codes; weightings `van-walraven` and `count`.
pub static ELIXHAUSER: Index = Index {
    name: "elixhauser",
    weightings: &["van-walraven", "count"],
    conditions: &CONDITIONS,
    codes: &CODES,
};

static CODES: LazyLock<HashMap<[u8; 4], u64>> = LazyLock::new(|| table(&CONDITIONS));

const fn condition(name: &'static str, codes: &'static str, weights: &'static [i32]) -> Condition {
    Condition {
        name,
        codes,
        concepts: &[],
        weights,
        unless: &[],
    }
}

static CONDITIONS: [Condition; 31] = [
    condition(
        "congestive heart failure",
        "I099 I110 I130 I132 I255 I420 I425-I429 I43 I50 P290",
        &[7, 1],
    ),
    condition(
        "cardiac arrhythmias",
        "I441-I443 I456 I459 I47-I49 R000 R001 R008 T821 Z450 Z950",
        &[5, 1],
    ),
    condition(
        "valvular disease",
        "A520 I05-I08 I091 I098 I34-I39 Q230-Q233 Z952-Z954",
        &[-1, 1],
    ),
    condition(
        "pulmonary circulation disorders",
        "I26 I27 I280 I288 I289",
        &[4, 1],
    ),
    condition(
        "peripheral vascular disorders",
        "I70 I71 I731 I738 I739 I771 I790 I792 K551 K558 K559 Z958 Z959",
        &[2, 1],
    ),
    Condition {
        unless: &["hypertension, complicated"],
        ..condition("hypertension, uncomplicated", "I10", &[0, 1])
    },
    condition("hypertension, complicated", "I11-I13 I15", &[0, 1]),
    condition(
        "paralysis",
        "G041 G114 G801 G802 G81 G82 G830-G834 G839",
        &[7, 1],
    ),
    condition(
        "other neurological disorders",
        "G10-G13 G20-G22 G254 G255 G312 G318 G319 G32 G35-G37 G40 G41 G931 G934 R470 R56",
        &[6, 1],
    ),
    condition(
        "chronic pulmonary disease",
        "I278 I279 J40-J47 J60-J67 J684 J701 J703",
        &[3, 1],
    ),
    Condition {
        unless: &["diabetes, complicated"],
        ..condition(
            "diabetes, uncomplicated",
            "E100 E101 E109 E110 E111 E119 E120 E121 E129 E130 E131 E139 E140 E141 E149",
            &[0, 1],
        )
    },
    condition(
        "diabetes, complicated",
        "E102-E108 E112-E118 E122-E128 E132-E138 E142-E148",
        &[0, 1],
    ),
    condition("hypothyroidism", "E00-E03 E890", &[0, 1]),
    condition(
        "renal failure",
        "I120 I131 N18 N19 N250 Z490-Z492 Z940 Z992",
        &[5, 1],
    ),
    condition(
        "liver disease",
        "B18 I85 I864 I982 K70 K711 K713-K715 K717 K72-K74 K760 K762-K769 Z944",
        &[11, 1],
    ),
    condition(
        "peptic ulcer disease without bleeding",
        "K257 K259 K267 K269 K277 K279 K287 K289",
        &[0, 1],
    ),
    condition("aids or hiv", "B20-B22 B24", &[0, 1]),
    condition("lymphoma", "C81-C85 C88 C96 C900 C902", &[9, 1]),
    condition("metastatic cancer", "C77-C80", &[12, 1]),
    Condition {
        unless: &["metastatic cancer"],
        ..condition(
            "solid tumour without metastasis",
            "C00-C26 C30-C34 C37-C41 C43 C45-C58 C60-C76 C97",
            &[4, 1],
        )
    },
    condition(
        "rheumatoid arthritis or collagen disease",
        "L940 L941 L943 M05 M06 M08 M120 M123 M30 M310-M313 M32-M35 M45 M461 M468 M469",
        &[0, 1],
    ),
    condition("coagulopathy", "D65-D68 D691 D693-D696", &[3, 1]),
    condition("obesity", "E66", &[-4, 1]),
    condition("weight loss", "E40-E46 R634 R64", &[6, 1]),
    condition("fluid and electrolyte disorders", "E222 E86 E87", &[5, 1]),
    condition("blood loss anaemia", "D500", &[-2, 1]),
    condition("deficiency anaemia", "D508 D509 D51-D53", &[-2, 1]),
    condition(
        "alcohol abuse",
        "F10 E52 G621 I426 K292 K700 K703 K709 T51 Z502 Z714 Z721",
        &[0, 1],
    ),
    condition("drug abuse", "F11-F16 F18 F19 Z715 Z722", &[-7, 1]),
    condition("psychoses", "F20 F22-F25 F28 F29 F302 F312 F315", &[0, 1]),
    condition(
        "depression",
        "F204 F313-F315 F32 F33 F341 F412 F432",
        &[-3, 1],
    ),
];
