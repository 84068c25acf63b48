//! The attrition diagram: a box for each step with the persons left, and beside it those who leave.

use std::fmt::Write as _;

use crate::exec::Attrition;

const WIDTH: usize = 760;
const BOX: usize = 420;
const ROW: usize = 92;
const HEIGHT: usize = 56;
/// Characters of a name that fit into a box.
const FITTING: usize = 58;

/// Attrition of one definition as an SVG file, the same for the same counts.
#[must_use]
pub fn diagram(attrition: &Attrition) -> String {
    let mut steps = vec![("Persons with entry events".to_owned(), attrition.persons)];
    for rule in &attrition.rules {
        let name = if rule.name.is_empty() {
            "no name"
        } else {
            &rule.name
        };
        steps.push((format!("{}. {name}", rule.rule), rule.left_persons));
    }
    steps.push(("Persons in the cohort".to_owned(), attrition.members));
    let height = 60 + steps.len() * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" role=\"img\">\n<rect width=\"{WIDTH}\" height=\"{height}\" \
         fill=\"#fff\"/>\n<text x=\"20\" y=\"32\" font-size=\"18\" font-weight=\"bold\">{}</text>\n",
        escaped(&shortened(&attrition.name, 70))
    );
    let mut before = None;
    for (at, (name, persons)) in steps.iter().enumerate() {
        step(&mut svg, 52 + at * ROW, name, *persons, before);
        before = Some(*persons);
    }
    svg.push_str("</svg>\n");
    svg
}

/// One box; with the arrow from the one before, and the persons lost between them.
fn step(svg: &mut String, y: usize, name: &str, persons: u64, before: Option<u64>) {
    let middle = 20 + BOX / 2;
    if let Some(before) = before {
        let (top, tip) = (y + HEIGHT - ROW, y - 1);
        let half = y.saturating_sub((ROW - HEIGHT) / 2);
        let lost = before.saturating_sub(persons);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<path d=\"M{middle} {top}V{tip}m-5 -7l5 7l5 -7\" fill=\"none\" stroke=\"#555\"/>\n\
             <path d=\"M{middle} {half}H{}m-7 -5l7 5l-7 5\" fill=\"none\" stroke=\"#999\"/>\n\
             <text x=\"{}\" y=\"{}\" font-size=\"14\" fill=\"#555\">{lost} leave ({})</text>",
            BOX + 60,
            BOX + 70,
            half + 5,
            share(lost, before)
        );
    }
    let _ = writeln!(
        svg,
        "<rect x=\"20\" y=\"{y}\" width=\"{BOX}\" height=\"{HEIGHT}\" rx=\"4\" fill=\"#eef4fb\" stroke=\"#36648b\"/>\n\
         <text x=\"{middle}\" y=\"{}\" font-size=\"13\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"{middle}\" y=\"{}\" font-size=\"16\" font-weight=\"bold\" text-anchor=\"middle\">{persons}</text>",
        y + 22,
        escaped(&shortened(name, FITTING)),
        y + 44
    );
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0.0%".to_owned();
    }
    // Tenths of a percent, rounded.
    let tenths = (u128::from(part) * 2000 / u128::from(whole)).div_ceil(2);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('\u{2026}');
    short
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Control characters are no part of XML.
            other if other.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::RuleCount;

    #[test]
    fn names_cannot_leave_their_place() {
        let attrition = Attrition {
            cohort_definition_id: 1,
            name: "a<script>&\u{1}".to_owned(),
            events: 10,
            persons: 8,
            rules: vec![RuleCount {
                rule: 1,
                name: "\"age\" < 50".to_owned(),
                events: 5,
                persons: 4,
                gain_events: 0,
                gain_persons: 0,
                left_events: 5,
                left_persons: 4,
            }],
            final_events: 5,
            final_persons: 4,
            members: 3,
            rows: 3,
            masks: Vec::new(),
        };
        let svg = diagram(&attrition);
        assert!(svg.contains("a&lt;script&gt;&amp; </text>"), "{svg}");
        assert!(svg.contains("&quot;age&quot; &lt; 50"), "{svg}");
        // 8 persons enter, 4 of them leave by the rule; 1 of the 4 has no day of membership.
        assert!(
            svg.contains("4 leave (50.0%)") && svg.contains("1 leave (25.0%)"),
            "{svg}"
        );
    }
}
