//! Running SQL: splitting scripts, parameters, execution with progress and cancelling.

pub(crate) mod catalogue;
pub(crate) mod engine;
pub(crate) mod lexer;
pub(crate) mod message;
pub(crate) mod parameters;
pub(crate) mod script;
pub(crate) mod spinner;
