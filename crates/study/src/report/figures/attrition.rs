//! The attrition diagram: who was left after each rule, and who was taken out.

use super::svg::{Canvas, wrap};
use crate::findings::Attrition;
use crate::report::number::whole;

const BOX: f64 = 330.0;

/// Draws it.
pub(in crate::report) fn attrition(found: &Attrition) -> String {
    let numbers = |counts: &[u64]| -> Vec<String> {
        found
            .groups
            .iter()
            .zip(counts)
            .map(|(group, count)| format!("{group}: {}", whole(*count)))
            .collect()
    };
    let described: Vec<String> = found
        .steps
        .iter()
        .map(|step| format!("{}: {}", step.rule, numbers(&step.left).join(", ")))
        .collect();
    let tall = |step: &crate::findings::AttritionStep| {
        20.0 + 19.0 * crate::steps::length(wrap(&step.rule, 36).len() + step.left.len())
    };
    let gap = 34.0;
    let height: f64 = found.steps.iter().map(|step| tall(step) + gap).sum::<f64>() - gap + 4.0;
    let mut canvas = Canvas::new(height, "Attrition diagram", &described.join("; "));
    let mut y = 2.0;
    for (at, step) in found.steps.iter().enumerate() {
        let high = tall(step);
        let last = at + 1 == found.steps.len();
        if at > 0 {
            canvas.line("flow", (BOX / 2.0, y - gap), (BOX / 2.0, y));
            canvas.path(
                "arrow",
                &format!(
                    "M{} {}l-5 -8h10z",
                    super::svg::at(BOX / 2.0),
                    super::svg::at(y)
                ),
            );
            if step.out.iter().any(|count| *count > 0) {
                let middle = y - gap / 2.0;
                canvas.line("flow", (BOX / 2.0, middle), (BOX + 22.0, middle));
                canvas.text("start small", (BOX + 28.0, middle + 5.0), "left out");
                for (row, text) in numbers(&step.out).iter().enumerate() {
                    canvas.text(
                        "start small",
                        (BOX + 28.0, middle + 23.0 + 18.0 * crate::steps::length(row)),
                        &super::svg::short(text, 32),
                    );
                }
            }
        }
        canvas.rect(
            if last { "box final" } else { "box" },
            (2.0, y),
            (BOX - 4.0, high),
            None,
        );
        let mut line = y + 23.0;
        for text in wrap(&step.rule, 36) {
            canvas.text("start strong", (14.0, line), &text);
            line += 19.0;
        }
        for text in numbers(&step.left) {
            canvas.text("start", (14.0, line), &text);
            line += 19.0;
        }
        y += high + gap;
    }
    canvas.finish()
}
