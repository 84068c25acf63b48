//! Survival curves in characters: braille dots where the terminal has them, plain ASCII where not.

use super::scale::{label, ticks};
use super::{Chart, Series};

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Columns.
    pub(crate) width: usize,
    /// Rows of the plot itself.
    pub(crate) height: usize,
    /// Braille and box drawing, else ASCII.
    pub(crate) utf8: bool,
    /// Colour.
    pub(crate) colour: bool,
}

/// Colours that colour-blind people tell apart, as terminals number them: blue, orange (yellow), magenta.
const COLOURS: [&str; 3] = ["\x1b[94m", "\x1b[33m", "\x1b[95m"];
const OFF: &str = "\x1b[0m";
/// Columns for the labels of the upright axis.
const MARGIN: usize = 7;

/// Draws a chart: title, curves, axes, legend, numbers at risk, note.
pub(crate) fn draw(chart: &Chart, screen: Screen) -> String {
    let columns = screen.width.clamp(40, 100) - MARGIN - 2;
    let y_min = chart.lowest_curve();
    // As many rows as put every label of the axis at the same distance.
    let gaps = ticks(0.0, 1.0 - y_min, 6).len().saturating_sub(1).max(1);
    let rows = (screen.height.clamp(6, 40) / gaps).max(1) * gaps + 1;
    let mut text = format!("{}\n\n", chart.title);
    let canvas = Canvas::paint(chart, columns, rows, y_min, screen.utf8);
    let (corner, line, bar, tee) = if screen.utf8 {
        ('└', '─', '│', '┤')
    } else {
        ('+', '-', '|', '+')
    };

    let labels = labelled_rows(y_min, rows);
    for row in 0..rows {
        let named = labels.iter().find(|(at, _)| *at == row);
        let name = named.map_or(String::new(), |(_, value)| percent(*value));
        let edge = if named.is_some() { tee } else { bar };
        text.push_str(&format!("{name:>width$} {edge}", width = MARGIN - 1));
        text.push_str(canvas.row(row, screen.colour).trim_end());
        text.push('\n');
    }
    text.push_str(&format!("{:>width$} {corner}", "", width = MARGIN - 1));
    text.extend(std::iter::repeat_n(line, columns));
    text.push('\n');
    let times = Chart::ticks(chart.x_max);
    let names: Vec<String> = times.iter().map(|&time| label(time)).collect();
    let places: Vec<usize> = times
        .iter()
        .map(|&time| column_of(time, chart.x_max, columns))
        .collect();
    text.push_str(&placed(&names, &places, "", MARGIN + 1));
    text.push_str(&format!(
        "{:>width$}\n\n",
        chart.x_label,
        width = MARGIN + 1 + columns
    ));

    let widest = chart
        .series
        .iter()
        .map(|series| series.name.chars().count())
        .max()
        .unwrap_or(0);
    for (index, series) in chart.series.iter().enumerate() {
        let (colour, off) = ink(index, screen.colour);
        let mark = mark(index, screen.utf8);
        text.push_str(&format!(
            "  {colour}{mark}{off} {:widest$}  {}\n",
            series.name,
            ending(series, chart)
        ));
    }
    text.push_str("\nNumbers at risk\n");
    let indent = (MARGIN + 1).max(widest + 4);
    let shift = indent - (MARGIN + 1);
    let places: Vec<usize> = places
        .iter()
        .map(|place| place.saturating_sub(shift))
        .collect();
    for series in &chart.series {
        let numbers: Vec<String> = series.at_risk.iter().map(u64::to_string).collect();
        text.push_str(&placed(
            &numbers,
            &places,
            &format!("  {:widest$}", series.name),
            indent,
        ));
    }
    if !chart.note.is_empty() {
        text.push_str(&format!("\n{}\n", chart.note));
    }
    text
}

/// What a curve comes to at the end of the axis.
fn ending(series: &Series, chart: &Chart) -> String {
    let step = series.at(chart.x_max);
    format!(
        "{} at {} {}",
        percent(step.survival),
        label(chart.x_max),
        chart.x_label
    )
}

fn percent(value: f64) -> String {
    format!("{}%", label((value * 1_000.0).round() / 10.0))
}

/// Rows of the plot with the survival that they name.
fn labelled_rows(y_min: f64, rows: usize) -> Vec<(usize, f64)> {
    ticks(0.0, 1.0 - y_min, 6)
        .into_iter()
        .map(|below| (row_of(1.0 - below, y_min, rows), 1.0 - below))
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both ends are clamped to the canvas"
)]
fn dot(part: f64, dots: usize) -> usize {
    let last = dots.saturating_sub(1);
    ((part * last as f64).round().max(0.0) as usize).min(last)
}

fn row_of(survival: f64, y_min: f64, rows: usize) -> usize {
    dot((1.0 - survival) / (1.0 - y_min), rows)
}

fn column_of(time: f64, x_max: f64, columns: usize) -> usize {
    dot(time / x_max, columns)
}

/// Texts at columns, the first at the left edge of its place, the others centred, where they fit.
fn placed(texts: &[String], places: &[usize], head: &str, indent: usize) -> String {
    let mut line = format!("{head:indent$}");
    for (text, &place) in texts.iter().zip(places) {
        let start = (indent + place).saturating_sub(text.len() / 2);
        let used = line.chars().count();
        if start > used || used <= indent {
            line.push_str(&" ".repeat(start.saturating_sub(used)));
            line.push_str(text);
        }
    }
    line.push('\n');
    line
}

fn ink(index: usize, colour: bool) -> (&'static str, &'static str) {
    if colour {
        (COLOURS[index % COLOURS.len()], OFF)
    } else {
        ("", "")
    }
}

/// How the legend shows a curve; without colour, the line itself is drawn with this letter.
fn mark(index: usize, utf8: bool) -> &'static str {
    if utf8 {
        ["━━", "╌╌", "┄┄"][index % 3]
    } else {
        ["**", "oo", "++"][index % 3]
    }
}

/// Cells of the plot. In braille a cell is 2 × 4 dots; in ASCII it is one character.
struct Canvas {
    columns: usize,
    cells: Vec<(u8, usize)>,
    utf8: bool,
}

impl Canvas {
    fn paint(chart: &Chart, columns: usize, rows: usize, y_min: f64, utf8: bool) -> Self {
        let mut canvas = Self {
            columns,
            cells: vec![(0, 0); columns * rows],
            utf8,
        };
        let (across, down) = if utf8 {
            (columns * 2, rows * 4)
        } else {
            (columns, rows)
        };
        for (index, series) in chart.series.iter().enumerate() {
            let mut before: Option<usize> = None;
            for x in 0..across {
                let time = chart.x_max * (x as f64) / (across.saturating_sub(1).max(1) as f64);
                let y = row_of(series.at(time).survival.max(y_min), y_min, down);
                // The upright part of a step belongs to the curve; the second curve is dashed.
                let from = before.map_or(y, |before| before.min(y));
                let gap = utf8 && index % 3 == 1 && x % 6 >= 4 && from == y;
                for y in from..=y {
                    if !gap {
                        canvas.set(x, y, index);
                    }
                }
                before = Some(y);
            }
        }
        canvas
    }

    fn set(&mut self, x: usize, y: usize, series: usize) {
        let (column, row) = if self.utf8 { (x / 2, y / 4) } else { (x, y) };
        // Braille numbers its dots down the left side, down the right side, then the lowest row.
        const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let bit = if self.utf8 { DOTS[y % 4][x % 2] } else { 1 };
        if let Some(cell) = self.cells.get_mut(row * self.columns + column) {
            cell.0 |= bit;
            cell.1 = series;
        }
    }

    fn row(&self, row: usize, colour: bool) -> String {
        let mut text = String::new();
        let mut current = None;
        for &(dots, series) in self
            .cells
            .iter()
            .skip(row * self.columns)
            .take(self.columns)
        {
            let wanted = (dots != 0).then_some(series);
            if colour && wanted != current {
                text.push_str(wanted.map_or(OFF, |series| COLOURS[series % COLOURS.len()]));
                current = wanted;
            }
            text.push(match (dots, self.utf8) {
                (0, _) => ' ',
                (dots, true) => char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '),
                (_, false) => ['*', 'o', '+'][series % 3],
            });
        }
        if current.is_some() {
            text.push_str(OFF);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::sample;

    fn drawn(utf8: bool) -> String {
        draw(
            &sample(),
            Screen {
                width: 72,
                height: 12,
                utf8,
                colour: false,
            },
        )
    }

    #[test]
    fn plain_terminals_get_plain_ascii() {
        let text = drawn(false);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("** drug A") && text.contains("oo drug B"));
        assert!(
            text.lines().all(|line| line.chars().count() <= 72),
            "{text}"
        );
    }

    #[test]
    fn both_groups_axes_and_numbers_are_there() {
        let text = drawn(true);
        for part in [
            "100%",
            "days",
            "drug A",
            "drug B",
            "Numbers at risk",
            "500",
            "400",
            "not adjusted",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)));
    }
}
