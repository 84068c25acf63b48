//! Observations: social history and questionnaire scores.

use super::{Concept, concepts};

concepts! {
    observation;
    TOBACCO_STATUS: 43054909, "Tobacco smoking status", "72166-2", "SMOKE", [], None;
    PHQ_9: 3042932, "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]", "44261-6", "PHQ9", [], None;
    HISTORY_OF_MYOCARDIAL_INFARCTION: 4163874, "History of myocardial infarction", "399211009", "HX-MI", [], None;
}
