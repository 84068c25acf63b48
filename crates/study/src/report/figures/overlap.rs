//! Overlap of the propensity score: one group above the axis, the other below.

use super::svg::{Canvas, WIDTH, label, short};
use crate::findings::Num;
use crate::report::number::fixed;

const LEFT: f64 = 16.0;
const HALF: f64 = 105.0;

/// Draws the shares of each group by score.
pub(in crate::report) fn overlap(
    name: &str,
    groups: &[String],
    shares: &[Vec<Num>],
    description: &str,
) -> String {
    let most = shares
        .iter()
        .flatten()
        .map(|share| share.get())
        .filter(|share| share.is_finite())
        .fold(1e-9, f64::max);
    let middle = 30.0 + HALF;
    let mut canvas = Canvas::new(middle + HALF + 62.0, name, description);
    let span = WIDTH - 2.0 * LEFT;
    for (group, bins) in shares.iter().enumerate().take(2) {
        let width = span / crate::steps::length(bins.len());
        for (bin, share) in bins.iter().enumerate() {
            let tall = HALF * share.get() / most;
            if tall.is_nan() || tall <= 0.0 {
                continue;
            }
            let left = crate::steps::length(bin) / crate::steps::length(bins.len());
            let tip = format!(
                "{}: {}% have a score from {} to {}",
                groups.get(group).map_or("", String::as_str),
                fixed(share.get() * 100.0, 1),
                label(left),
                label(left + 1.0 / crate::steps::length(bins.len()))
            );
            let top = if group == 0 { middle - tall } else { middle };
            canvas.rect(
                &format!("bar b{group}"),
                (LEFT + width * crate::steps::length(bin), top),
                (width - 1.0, tall),
                Some(&tip),
            );
        }
    }
    canvas.line("frame", (LEFT, middle), (WIDTH - LEFT, middle));
    for tick in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        canvas.text(
            "middle axis",
            (LEFT + span * tick, middle + HALF + 32.0),
            &label(tick),
        );
    }
    canvas.text(
        "start strong",
        (LEFT, 18.0),
        &format!("▲ {}", short(groups.first().map_or("", String::as_str), 34)),
    );
    canvas.text(
        "end strong",
        (WIDTH - LEFT, 18.0),
        &format!("▼ {}", short(groups.get(1).map_or("", String::as_str), 34)),
    );
    canvas.text(
        "middle axis",
        (WIDTH / 2.0, middle + HALF + 52.0),
        "Propensity score",
    );
    canvas.finish()
}
