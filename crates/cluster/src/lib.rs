//! Ballista roles.
