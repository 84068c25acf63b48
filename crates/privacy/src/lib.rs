//! Policies, guarded tables, disclosure control, budget, pseudonyms and audit.
