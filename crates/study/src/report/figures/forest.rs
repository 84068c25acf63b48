//! A forest plot: estimates with intervals, on a logarithmic scale.

use super::svg::{Canvas, WIDTH, label, short, wrap};
use crate::findings::Interval;
use crate::report::number::ratio_interval;

/// A row: an estimate, or a heading without one.
#[derive(Debug, Clone)]
pub(in crate::report) struct Line {
    /// What it is.
    pub(in crate::report) label: String,
    /// The ratio.
    pub(in crate::report) ratio: Option<Interval>,
    /// Whether it is the main one.
    pub(in crate::report) main: bool,
}

const LEFT: f64 = 225.0;
const RIGHT: f64 = 150.0;
const ROW: f64 = 28.0;
/// What a further line of a label adds to a row, and the characters that stand on one.
const MORE: f64 = 17.0;
const LABEL: usize = 30;

/// Draws it; `favours` is what the two sides of 1 say.
pub(in crate::report) fn forest(
    name: &str,
    measure: &str,
    lines: &[Line],
    favours: Option<(&str, &str)>,
) -> String {
    let bounds = lines.iter().filter_map(|line| line.ratio);
    let (mut low, mut high) = (0.8_f64, 1.25_f64);
    for one in bounds {
        for number in [one.value, one.lower, one.upper]
            .into_iter()
            .filter_map(crate::findings::Num::finite)
        {
            if number > 0.0 {
                low = low.min(number);
                high = high.max(number);
            }
        }
    }
    let (low, high) = (low.max(0.05) / 1.05, high.min(20.0) * 1.05);
    let labels: Vec<Vec<String>> = lines.iter().map(|line| wrapped(&line.label)).collect();
    let tall = |label: &[String]| ROW + MORE * crate::steps::length(label.len().saturating_sub(1));
    let bottom = 30.0 + labels.iter().map(|label| tall(label)).sum::<f64>();
    let mut canvas = Canvas::new(
        bottom + if favours.is_some() { 62.0 } else { 44.0 },
        name,
        &words(measure, lines),
    );
    let x = |ratio: f64| {
        LEFT + (WIDTH - LEFT - RIGHT) * (ratio.clamp(low, high).ln() - low.ln())
            / (high.ln() - low.ln())
    };
    canvas.text(
        "end strong",
        (WIDTH - 2.0, 16.0),
        &format!("{measure} (interval)"),
    );
    // Numbers stand apart; the first of those too near to each other stays.
    let mut last = f64::NEG_INFINITY;
    for tick in [
        0.1, 0.2, 0.25, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0,
    ]
    .into_iter()
    .filter(|tick| (low..=high).contains(tick))
    {
        if tick != 1.0 && ((x(tick) - x(1.0)).abs() < 24.0 || x(tick) - last < 30.0) {
            continue;
        }
        last = x(tick);
        canvas.line("grid", (x(tick), 24.0), (x(tick), bottom));
        canvas.text("middle axis", (x(tick), bottom + 18.0), &label(tick));
    }
    canvas.line("unity", (x(1.0), 24.0), (x(1.0), bottom));
    canvas.text(
        "middle axis",
        (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, bottom + 38.0),
        &format!("{measure} (logarithmic scale)"),
    );
    if let Some((left, right)) = favours {
        canvas.text(
            "start axis",
            (2.0, bottom + 57.0),
            &format!("← favours {}", short(left, 30)),
        );
        canvas.text(
            "end axis",
            (WIDTH - 2.0, bottom + 57.0),
            &format!("favours {} →", short(right, 30)),
        );
    }
    let mut top = 30.0;
    for (line, label) in lines.iter().zip(&labels) {
        let height = tall(label);
        let y = top + height / 2.0;
        top += height;
        let class = if line.ratio.is_none() || line.main {
            "start strong"
        } else {
            "start"
        };
        let first = y + 5.0 - (height - ROW) / 2.0;
        for (row, text) in label.iter().enumerate() {
            let below = MORE * crate::steps::length(row);
            canvas.text(class, (2.0, first + below), &short(text, LABEL));
        }
        let Some(ratio) = line.ratio else { continue };
        canvas.text(
            if line.main { "end strong" } else { "end" },
            (WIDTH - 2.0, y + 5.0),
            &ratio_interval(ratio),
        );
        if ratio.value.finite().is_none() {
            continue;
        }
        canvas.line(
            "whisker",
            (x(ratio.lower.get()), y),
            (x(ratio.upper.get()), y),
        );
        for bound in [ratio.lower.get(), ratio.upper.get()] {
            canvas.line("whisker", (x(bound), y - 4.0), (x(bound), y + 4.0));
        }
        let tip = format!("{}: {}", line.label, ratio_interval(ratio));
        let (size, class) = if line.main {
            (6.0, "dot c0")
        } else {
            (4.5, "dot c2")
        };
        canvas.circle(class, (x(ratio.value.get()), y), size, Some(&tip));
    }
    canvas.finish()
}

/// A label in lines; what indents it, as rows of a subgroup are, stays.
fn wrapped(label: &str) -> Vec<String> {
    let indent = &label[..label.len() - label.trim_start().len()];
    let lines = wrap(label, LABEL - indent.len());
    lines.iter().map(|line| format!("{indent}{line}")).collect()
}

fn words(measure: &str, lines: &[Line]) -> String {
    let parts: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            line.ratio
                .map(|ratio| format!("{}: {}", line.label, ratio_interval(ratio)))
        })
        .collect();
    format!("{measure} with intervals. {}", parts.join("; "))
}
