//! Measurements: LOINC tests with their UCUM unit and a laboratory's own short code, and cancer stages.

use super::{Concept, concepts};

concepts! {
    measurement;
    SYSTOLIC_PRESSURE: 3004249, "Systolic blood pressure", "8480-6", "SBP", [], Some((8876, "mm[Hg]"));
    DIASTOLIC_PRESSURE: 3012888, "Diastolic blood pressure", "8462-4", "DBP", [], Some((8876, "mm[Hg]"));
    HEART_RATE: 3027018, "Heart rate", "8867-4", "HR", [], Some((8483, "{counts}/min"));
    BODY_TEMPERATURE: 3020891, "Body temperature", "8310-5", "BT", [], Some((586323, "Cel"));
    OXYGEN_SATURATION: 40762499, "Oxygen saturation in Arterial blood by Pulse oximetry", "59408-5", "SPO2", [], Some((8554, "%"));
    BODY_WEIGHT: 3025315, "Body weight", "29463-7", "WT", [], Some((9529, "kg"));
    BODY_HEIGHT: 3036277, "Body height", "8302-2", "HT", [], Some((8582, "cm"));
    BODY_MASS_INDEX: 3038553, "Body mass index (BMI) [Ratio]", "39156-5", "BMI", [], Some((9531, "kg/m2"));
    HBA1C: 3004410, "Hemoglobin A1c/Hemoglobin.total in Blood", "4548-4", "HBA1C", [], Some((8554, "%"));
    GLUCOSE: 3004501, "Glucose [Mass/volume] in Serum or Plasma", "2345-7", "GLU", [], Some((8840, "mg/dL"));
    CREATININE: 3016723, "Creatinine [Mass/volume] in Serum or Plasma", "2160-0", "CREA", [], Some((8840, "mg/dL"));
    UREA_NITROGEN: 3013682, "Urea nitrogen [Mass/volume] in Serum or Plasma", "3094-0", "BUN", [], Some((8840, "mg/dL"));
    POTASSIUM: 3023103, "Potassium [Moles/volume] in Serum or Plasma", "2823-3", "K", [], Some((8753, "mmol/L"));
    SODIUM: 3019550, "Sodium [Moles/volume] in Serum or Plasma", "2951-2", "NA", [], Some((8753, "mmol/L"));
    LDL_CHOLESTEROL: 3009966, "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay", "18262-6", "LDL", [], Some((8840, "mg/dL"));
    HDL_CHOLESTEROL: 3007070, "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "2085-9", "HDL", [], Some((8840, "mg/dL"));
    TOTAL_CHOLESTEROL: 3027114, "Cholesterol [Mass/volume] in Serum or Plasma", "2093-3", "CHOL", [], Some((8840, "mg/dL"));
    TRIGLYCERIDE: 3022192, "Triglyceride [Mass/volume] in Serum or Plasma", "2571-8", "TG", [], Some((8840, "mg/dL"));
    HEMOGLOBIN: 3000963, "Hemoglobin [Mass/volume] in Blood", "718-7", "HB", [], Some((8713, "g/dL"));
    LEUKOCYTES: 3000905, "Leukocytes [#/volume] in Blood by Automated count", "6690-2", "WBC", [], Some((8848, "10*3/uL"));
    PLATELETS: 3024929, "Platelets [#/volume] in Blood by Automated count", "777-3", "PLT", [], Some((8848, "10*3/uL"));
    ALT: 3006923, "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "1742-6", "ALT", [], Some((8645, "[U]/L"));
    AST: 3013721, "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "1920-8", "AST", [], Some((8645, "[U]/L"));
    ALBUMIN: 3024561, "Albumin [Mass/volume] in Serum or Plasma", "1751-7", "ALB", [], Some((8713, "g/dL"));
    CRP: 3020460, "C reactive protein [Mass/volume] in Serum or Plasma", "1988-5", "CRP", [], Some((8751, "mg/L"));
    NT_PROBNP: 3029187, "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma", "33762-6", "NTPROBNP", [], Some((8845, "pg/mL"));
    TROPONIN_I: 36306105, "Troponin I.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method", "89579-7", "HSTNI", [], Some((8725, "ng/L"));
    URINE_ALBUMIN_CREATININE: 3001802, "Microalbumin/Creatinine [Mass Ratio] in Urine", "14959-1", "UACR", [], Some((9017, "mg/g{creat}"));
    PSA: 3013603, "Prostate specific Ag [Mass/volume] in Serum or Plasma", "2857-1", "PSA", [], Some((8842, "ng/mL"));
    STAGE_1: 1635838, "Stage 1", "Stage-1", "STAGE1", [], None;
    STAGE_2: 1635131, "Stage 2", "Stage-2", "STAGE2", [], None;
    STAGE_3: 1634191, "Stage 3", "Stage-3", "STAGE3", [], None;
    STAGE_4: 1633987, "Stage 4", "Stage-4", "STAGE4", [], None;
}
