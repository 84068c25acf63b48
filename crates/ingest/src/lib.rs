//! Readers, validation and quarantine.
