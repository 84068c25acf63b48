//! The session factory, the SQL functions and the catalogue over a snapshot.
