//! Procedures: SNOMED concepts with a hospital's own order code.

use super::{Concept, concepts};

concepts! {
    procedure;
    ELECTROCARDIOGRAPHY: 4163951, "Electrocardiographic procedure", "29303009", "E6541", [], None;
    ECHOCARDIOGRAPHY: 4230911, "Echocardiography", "40701008", "EB432", [], None;
    CHEST_RADIOGRAPHY: 4163872, "Plain chest X-ray", "399208008", "HA101", [], None;
    CT_CHEST_ABDOMEN: 4302356, "CT of chest and abdomen", "418891003", "HA434", [], None;
    CT_HEAD: 4125350, "CT of head", "303653007", "HA441", [], None;
    COLONOSCOPY: 4249893, "Colonoscopy", "73761001", "E7660", [], None;
    MAMMOGRAPHY: 4324693, "Mammography", "71651007", "HA201", [], None;
    SPIROMETRY: 4133840, "Spirometry", "127783003", "F6001", [], None;
    HEMODIALYSIS: 4120120, "Hemodialysis", "302497006", "O7020", [], None;
    PERCUTANEOUS_CORONARY_INTERVENTION: 4216130, "Percutaneous coronary intervention", "415070008", "M6552", [], None;
    APPENDECTOMY: 4198190, "Appendectomy", "80146002", "Q2861", [], None;
    CHOLECYSTECTOMY: 4242997, "Cholecystectomy", "38102005", "Q7380", [], None;
    COLON_RESECTION: 4181781, "Partial resection of colon", "43075005", "Q2671", [], None;
    GASTRECTOMY: 4203442, "Gastrectomy", "53442002", "Q2533", [], None;
    BREAST_LUMPECTOMY: 4213045, "Lumpectomy of breast", "392021009", "N7135", [], None;
    PROSTATECTOMY: 4235738, "Prostatectomy", "90470006", "R3950", [], None;
    SURGICAL_PROCEDURE: 4301351, "Surgical procedure", "387713003", "OP", [], None;
    TOTAL_KNEE_REPLACEMENT: 43531648, "Total knee replacement", "609588000", "N2077", [], None;
    TOTAL_HIP_REPLACEMENT: 4203771, "Total replacement of hip", "52734007", "N0711", [], None;
    TELERADIOTHERAPY: 4141448, "Teleradiotherapy procedure", "33195004", "HD051", [], None;
    CHEMOTHERAPY: 4273629, "Chemotherapy", "367336001", "KK152", [], None;
    BREAST_BIOPSY: 4047494, "Biopsy of breast", "122548005", "C8591", [], None;
    COLON_BIOPSY: 4294513, "Biopsy of colon", "76164006", "C8552", [], None;
    PROSTATE_BIOPSY: 4278515, "Biopsy of prostate", "65575008", "C8573", [], None;
    LUNG_ASPIRATION: 4331248, "Fine needle aspiration biopsy of lung", "432231006", "C8594", [], None;
    BLOOD_TRANSFUSION: 4108705, "Intravenous blood transfusion of packed cells", "180207008", "X2022", [], None;
    PHYSICAL_EXAMINATION: 4240345, "Physical examination", "5880005", "AA222", [], None;
}
