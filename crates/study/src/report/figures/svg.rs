//! Pieces of a figure.

use std::fmt::Write;

/// Width of every figure in its own units; text is 14 of them high, so that a phone can show it.
pub(super) const WIDTH: f64 = 600.0;

/// Text for HTML and SVG.
pub(in crate::report) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A coordinate: a tenth is enough.
pub(super) fn at(number: f64) -> String {
    let text = format!("{number:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

/// A figure under way.
#[derive(Debug)]
pub(super) struct Canvas {
    body: String,
    height: f64,
    name: String,
    description: String,
}

impl Canvas {
    pub(super) fn new(height: f64, name: &str, description: &str) -> Self {
        Self {
            body: String::new(),
            height,
            name: name.to_owned(),
            description: description.to_owned(),
        }
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            at(from.0),
            at(from.1),
            at(to.0),
            at(to.1)
        );
    }

    pub(super) fn rect(
        &mut self,
        class: &str,
        corner: (f64, f64),
        size: (f64, f64),
        tip: Option<&str>,
    ) {
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
            at(corner.0),
            at(corner.1),
            at(size.0.max(0.0)),
            at(size.1.max(0.0))
        );
        self.close("rect", tip);
    }

    pub(super) fn circle(
        &mut self,
        class: &str,
        center: (f64, f64),
        radius: f64,
        tip: Option<&str>,
    ) {
        let _ = write!(
            self.body,
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"",
            at(center.0),
            at(center.1),
            at(radius)
        );
        self.close("circle", tip);
    }

    fn close(&mut self, tag: &str, tip: Option<&str>) {
        match tip {
            // Without script the title shows; with it the page's own box does.
            Some(tip) => {
                let _ = write!(
                    self.body,
                    " data-tip><title>{}</title></{tag}>",
                    escape(tip)
                );
            }
            None => self.body.push_str("/>"),
        }
    }

    pub(super) fn path(&mut self, class: &str, data: &str) {
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{data}\"/>");
    }

    /// Text; the class says where it is anchored (`start`, `middle`, `end`).
    pub(super) fn text(&mut self, class: &str, place: (f64, f64), text: &str) {
        let _ = write!(
            self.body,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
            at(place.0),
            at(place.1),
            escape(text)
        );
    }

    pub(super) fn upright(&mut self, place: (f64, f64), text: &str) {
        let (x, y) = (at(place.0), at(place.1));
        let _ = write!(
            self.body,
            "<text class=\"middle axis\" x=\"{x}\" y=\"{y}\" transform=\"rotate(-90 {x} {y})\">{}</text>",
            escape(text)
        );
    }

    pub(super) fn finish(self) -> String {
        format!(
            "<svg class=\"figure\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"><desc>{}</desc>{}</svg>",
            at(WIDTH),
            at(self.height),
            escape(&self.name),
            escape(&self.description),
            self.body
        )
    }
}

/// Round steps that divide a range into four to eight parts.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) {
        return vec![low];
    }
    let rough = span / 5.0;
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let mut ticks = Vec::new();
    let mut number = (low / step).ceil();
    while number * step <= high + step * 1e-9 {
        ticks.push(number * step);
        number += 1.0;
    }
    ticks
}

/// A label without needless zeros.
pub(super) fn label(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.replace('-', "−")
    }
}

/// The text cut to a number of characters.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

/// The text in lines of at most so many characters.
pub(super) fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length > 0 && length + 1 + word.chars().count() > most {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
