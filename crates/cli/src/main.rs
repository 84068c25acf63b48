//! The `columna` command.
fn main() {}
