//! Outcome statistics as mergeable summaries.
