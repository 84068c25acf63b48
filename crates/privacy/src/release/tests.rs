//! The aggregate role by SQL.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod attacker;
mod attacks;
mod budgets;
mod desk;
mod eighth_round;
mod eleventh_round;
mod fifth_round;
mod fourth_round;
mod ninth_round;
mod oracles;
mod second_round;
mod seventh_round;
mod sixth_round;
mod tenth_round;
mod third_round;
mod thirteenth_round;
mod twelfth_round;
mod unlisted;
