//! A love plot: standardised differences before and after adjustment.

use super::svg::{Canvas, WIDTH, label, short, ticks};
use crate::findings::BalanceRow;
use crate::report::number::fixed;

const LEFT: f64 = 270.0;
const RIGHT: f64 = 14.0;
const ROW: f64 = 22.0;
const TOP: f64 = 34.0;

/// Draws the rows that are given.
pub(in crate::report) fn love(name: &str, rows: &[&BalanceRow], description: &str) -> String {
    let size = rows
        .iter()
        .flat_map(|row| [row.before.get().abs(), row.after.get().abs()])
        .filter(|value| value.is_finite())
        .fold(0.15, f64::max)
        * 1.05;
    let bottom = TOP + ROW * crate::steps::length(rows.len());
    let mut canvas = Canvas::new(bottom + 46.0, name, description);
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * value.clamp(0.0, size) / size;
    canvas.circle("ring c1", (LEFT + 8.0, 14.0), 5.0, None);
    canvas.text("start", (LEFT + 20.0, 19.0), "before adjustment");
    canvas.circle("dot c0", (LEFT + 170.0, 14.0), 5.0, None);
    canvas.text("start", (LEFT + 182.0, 19.0), "after");
    for tick in ticks(0.0, size) {
        canvas.line("grid", (x(tick), TOP), (x(tick), bottom));
        canvas.text("middle axis", (x(tick), bottom + 18.0), &label(tick));
    }
    canvas.line("threshold", (x(0.1), TOP), (x(0.1), bottom));
    canvas.text(
        "middle axis",
        (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, bottom + 38.0),
        "Absolute standardised difference",
    );
    for (row, one) in rows.iter().enumerate() {
        let y = TOP + ROW * (crate::steps::length(row) + 0.5);
        canvas.text(
            if one.named { "end strong" } else { "end" },
            (LEFT - 10.0, y + 5.0),
            &short(&one.label, 34),
        );
        canvas.line(
            "link",
            (x(one.before.get().abs()), y),
            (x(one.after.get().abs()), y),
        );
        let tip = |when: &str, value: f64| format!("{}, {when}: {}", one.label, fixed(value, 3));
        canvas.circle(
            "ring c1",
            (x(one.before.get().abs()), y),
            5.0,
            Some(&tip("before", one.before.get())),
        );
        canvas.circle(
            "dot c0",
            (x(one.after.get().abs()), y),
            5.0,
            Some(&tip("after", one.after.get())),
        );
    }
    canvas.finish()
}
