//! Batch studies and their schedule.
