//! OHDSI cohort definitions over the patient-clustered store.
