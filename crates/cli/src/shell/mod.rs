//! The SQL shell: one session for `-c`, `-f`, piped scripts and the prompt.

pub(crate) mod backslash;
pub(crate) mod complete;
pub(crate) mod describe;
pub(crate) mod editor;
pub(crate) mod history;
pub(crate) mod interactive;
pub(crate) mod keywords;
mod policed;
pub(crate) mod results;
pub(crate) mod session;
