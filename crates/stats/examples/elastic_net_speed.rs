//! Times the default path of a logistic lasso of a million rows and eleven terms.
//!
//! `cargo run --release -p columna-stats --example elastic_net_speed`

#![expect(clippy::print_stdout, reason = "the timing is the point")]

use std::time::Instant;

use columna_stats::models::{Family, PathOptions, SparseColumn, SparseFrame, path};

fn main() -> columna_stats::Result<()> {
    let rows = 1_000_000;
    let mut state = 1_u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 33).unwrap_or(0)) / f64::from(1_u32 << 31)
    };
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for term in 0..11 {
        let column = (0..rows).map(|row| match term {
            0 | 4 => f64::from(u8::from(uniform() < 0.3)),
            1 => 20.0 + (uniform() * 60.0).floor(),
            // Correlated with age.
            2 => columns[1][row] / 60.0 + uniform(),
            _ => uniform() * 4.0 - 2.0,
        });
        let column = column.collect();
        columns.push(column);
    }
    let eta = |row: usize| {
        -3.0 + 0.3 * columns[0][row] + 0.02 * columns[1][row] - 0.4 * columns[3][row]
            + 0.1 * columns[5][row]
            - 0.05 * columns[6][row]
    };
    let outcome: Vec<f64> = (0..rows)
        .map(|row| f64::from(u8::from(uniform() < 1.0 / (1.0 + (-eta(row)).exp()))))
        .collect();
    let columns = columns
        .iter()
        .map(|column| SparseColumn::from_dense(column))
        .collect::<columna_stats::Result<Vec<_>>>()?;
    let frame = SparseFrame::new(&outcome, &columns);
    for family in [Family::Binomial, Family::Poisson] {
        for alpha in [1.0, 0.5] {
            let options = PathOptions {
                alpha,
                ..PathOptions::default()
            };
            let begin = Instant::now();
            let found = path(family, &frame, &options)?;
            let seconds = begin.elapsed().as_secs_f64();
            let last = found.points.last();
            println!(
                "{family:?}, alpha {alpha}: {} penalties, {:.10} explained, {seconds:.2} s",
                found.points.len(),
                last.map_or(0.0, |point| point.deviance_ratio)
            );
        }
    }
    Ok(())
}
