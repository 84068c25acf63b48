//! Synthea's own CSV export as a reader.
