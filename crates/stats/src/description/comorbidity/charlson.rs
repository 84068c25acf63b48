//! The Charlson comorbidity index: 17 conditions.
//!
//! Conditions and their original weights: Charlson, Pompei, Ales and MacKenzie, Journal of Chronic Diseases 40 (1987), in
//! the 17 groups of Deyo. ICD-10 codes: Quan et al., Medical Care 43 (2005), table 1. Weights of 2011: Quan et al.,
//! American Journal of Epidemiology 173 (2011). OMOP concepts: the ancestors by which OHDSI's FeatureExtraction (Apache-2.0,
//! version 2) finds the conditions for its Charlson covariate; they follow Romano's adaptation and are SNOMED groups, so
//! that a person's index by concepts can differ from that by codes.

use std::sync::LazyLock;

use super::{Condition, Index, table};

/// Charlson's index with Quan's codes; weightings `charlson` (1987) and `quan` (2011).
pub static CHARLSON: Index = Index {
    name: "charlson",
    weightings: &["charlson", "quan"],
    conditions: &CONDITIONS,
    codes: &CODES,
};

static CODES: LazyLock<std::collections::HashMap<[u8; 4], u64>> =
    LazyLock::new(|| table(&CONDITIONS));

const fn condition(
    name: &'static str,
    codes: &'static str,
    concepts: &'static [u32],
    weights: &'static [i32],
) -> Condition {
    Condition {
        name,
        codes,
        concepts,
        weights,
        unless: &[],
    }
}

static CONDITIONS: [Condition; 17] = [
    condition(
        "myocardial infarction",
        "I21 I22 I252",
        &[4_329_847],
        &[1, 0],
    ),
    condition(
        "congestive heart failure",
        "I099 I110 I130 I132 I255 I420 I425-I429 I43 I50 P290",
        &[316_139],
        &[1, 2],
    ),
    condition(
        "peripheral vascular disease",
        "I70 I71 I731 I738 I739 I771 I790 I792 K551 K558 K559 Z958 Z959",
        &[321_052],
        &[1, 0],
    ),
    condition(
        "cerebrovascular disease",
        "G45 G46 H340 I60-I69",
        &[381_591, 434_056],
        &[1, 0],
    ),
    condition("dementia", "F00-F03 F051 G30 G311", &[4_182_210], &[1, 2]),
    condition(
        "chronic pulmonary disease",
        "I278 I279 J40-J47 J60-J67 J684 J701 J703",
        &[4_063_381],
        &[1, 1],
    ),
    condition(
        "rheumatic disease",
        "M05 M06 M315 M32-M34 M351 M353 M360",
        &[257_628, 134_442, 80_800, 80_809, 256_197, 255_348],
        &[1, 1],
    ),
    condition("peptic ulcer disease", "K25-K28", &[4_247_120], &[1, 0]),
    Condition {
        unless: &["moderate or severe liver disease"],
        ..condition(
            "mild liver disease",
            "B18 K700-K703 K709 K713-K715 K717 K73 K74 K760 K762-K764 K768 K769 Z944",
            &[4_064_161, 4_212_540],
            &[1, 2],
        )
    },
    Condition {
        unless: &["diabetes with chronic complications"],
        ..condition(
            "diabetes without chronic complications",
            "E100 E101 E106 E108 E109 E110 E111 E116 E118 E119 E120 E121 E126 E128 E129 \
             E130 E131 E136 E138 E139 E140 E141 E146 E148 E149",
            &[201_820],
            &[1, 0],
        )
    },
    condition(
        "diabetes with chronic complications",
        "E102-E105 E107 E112-E115 E117 E122-E125 E127 E132-E135 E137 E142-E145 E147",
        &[443_767, 442_793],
        &[2, 1],
    ),
    condition(
        "hemiplegia or paraplegia",
        "G041 G114 G801 G802 G81 G82 G830-G834 G839",
        &[192_606, 374_022],
        &[2, 2],
    ),
    condition(
        "renal disease",
        "I120 I131 N032-N037 N052-N057 N18 N19 N250 Z490-Z492 Z940 Z992",
        &[4_030_518],
        &[2, 1],
    ),
    Condition {
        unless: &["metastatic solid tumour"],
        ..condition(
            "any malignancy",
            "C00-C26 C30-C34 C37-C41 C43 C45-C58 C60-C76 C81-C85 C88 C90-C97",
            &[443_392],
            &[2, 2],
        )
    },
    condition(
        "moderate or severe liver disease",
        "I850 I859 I864 I982 K704 K711 K721 K729 K765-K767",
        &[4_245_975, 4_029_488, 192_680, 24_966],
        &[3, 4],
    ),
    condition("metastatic solid tumour", "C77-C80", &[432_851], &[6, 6]),
    condition("aids or hiv", "B20-B22 B24", &[439_727], &[6, 4]),
];
