//! Times a logistic regression of a million rows and ten terms over resident columns.
//!
//! `cargo run --release -p columna-stats --example regression_speed`

#![expect(clippy::print_stdout, reason = "the timing is the point")]

use std::time::Instant;

use columna_stats::models::{Family, Frame, Options, Variance, fit};

fn main() -> columna_stats::Result<()> {
    let rows = 1_000_000;
    let mut state = 1_u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 33).unwrap_or(0)) / f64::from(1_u32 << 31)
    };
    let columns: Vec<Vec<f64>> = (0..10)
        .map(|term| {
            (0..rows)
                .map(|_| {
                    if term % 2 == 0 {
                        f64::from(u8::from(uniform() < 0.3))
                    } else {
                        uniform() * 4.0 - 2.0
                    }
                })
                .collect()
        })
        .collect();
    let outcome: Vec<f64> = (0..rows)
        .map(|row| {
            let eta = -2.0 + 0.3 * columns[0][row] + 0.2 * columns[1][row] - 0.4 * columns[3][row];
            f64::from(u8::from(uniform() < 1.0 / (1.0 + (-eta).exp())))
        })
        .collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let frame = Frame::new(&outcome, &columns);
    for (name, family, variance) in [
        ("logistic", Family::Binomial, Variance::Model),
        ("logistic, HC0", Family::Binomial, Variance::Robust),
        ("poisson", Family::Poisson, Variance::Model),
    ] {
        let options = Options {
            variance,
            ..Options::default()
        };
        let mut best = f64::INFINITY;
        let mut iterations = 0;
        for _ in 0..5 {
            let begin = Instant::now();
            iterations = fit(family, &frame, &options)?.iterations;
            best = best.min(begin.elapsed().as_secs_f64());
        }
        println!(
            "{name}: {rows} rows, 10 terms, {iterations} iterations: best of five {best:.3} s"
        );
    }
    Ok(())
}
