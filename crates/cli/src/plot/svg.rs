//! Survival curves as SVG: one file, no script, no font of its own, the same bytes for the same numbers.

use std::fmt::Write as _;

use super::scale::{label, ticks};
use super::{Chart, Series};

const WIDTH: f64 = 820.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 84.0;
const PLOT_HEIGHT: f64 = 320.0;
const FONT: &str =
    "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', Arial, sans-serif";
/// Okabe and Ito's colours, which people with any kind of colour vision tell apart, with a dash for print.
const INK: [(&str, &str); 4] = [
    ("#0072B2", ""),
    ("#D55E00", "7 3"),
    ("#009E73", "2 3"),
    ("#CC79A7", "9 3 2 3"),
];

/// Writes a chart: title, bands, curves, axes, legend, numbers at risk, note.
pub(crate) fn write(chart: &Chart) -> String {
    let y_min = chart.y_min();
    let frame = Frame {
        x_max: chart.x_max,
        y_min,
    };
    let table_top = TOP + PLOT_HEIGHT + 78.0;
    let height = table_top + 22.0 * count(chart.series.len()) + 44.0;
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
         role=\"img\" aria-labelledby=\"title note\" font-family=\"{FONT}\" font-size=\"13\" fill=\"#1f2933\">\n\
         <title id=\"title\">{title}</title>\n<desc id=\"note\">{note}</desc>\n\
         <rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"34\" font-size=\"19\" font-weight=\"600\">{title}</text>\n",
        w = number(WIDTH),
        h = number(height),
        title = escaped(&chart.title),
        note = escaped(&chart.note),
    );
    legend(&mut svg, chart);
    grid(&mut svg, chart, &frame);
    for (index, series) in chart.series.iter().enumerate() {
        let (colour, _) = INK[index % INK.len()];
        let _ = writeln!(
            svg,
            "<path d=\"{}\" fill=\"{colour}\" fill-opacity=\"0.16\"/>",
            frame.band(series)
        );
    }
    for (index, series) in chart.series.iter().enumerate() {
        let (colour, dash) = INK[index % INK.len()];
        let dash = if dash.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{dash}\"")
        };
        let _ = writeln!(
            svg,
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\"{dash}/>",
            frame.curve(series)
        );
    }
    at_risk(&mut svg, chart, &frame, table_top);
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" font-size=\"12\" fill=\"#52606d\">{}</text>\n</svg>\n",
        LEFT,
        number(height - 16.0),
        escaped(&chart.note)
    );
    svg
}

fn legend(svg: &mut String, chart: &Chart) {
    let mut x = LEFT;
    for (index, series) in chart.series.iter().enumerate() {
        let (colour, dash) = INK[index % INK.len()];
        let _ = writeln!(
            svg,
            "<line x1=\"{}\" y1=\"58\" x2=\"{}\" y2=\"58\" stroke=\"{colour}\" stroke-width=\"2.5\" \
             stroke-dasharray=\"{dash}\"/><text x=\"{}\" y=\"62.5\">{}</text>",
            number(x),
            number(x + 26.0),
            number(x + 34.0),
            escaped(&series.name)
        );
        x += 34.0 + 7.6 * count(series.name.chars().count()) + 28.0;
    }
}

fn grid(svg: &mut String, chart: &Chart, frame: &Frame) {
    let bottom = TOP + PLOT_HEIGHT;
    let step = if 1.0 - frame.y_min > 0.55 { 5 } else { 6 };
    for value in ticks(frame.y_min, 1.0, step) {
        let y = number(frame.y(value));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"#e4e7eb\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}%</text>",
            number(WIDTH - RIGHT),
            number(LEFT - 10.0),
            number(frame.y(value) + 4.5),
            label(value * 100.0)
        );
    }
    for time in Chart::ticks(frame.x_max) {
        let x = number(frame.x(time));
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\" stroke=\"#52606d\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            number(bottom),
            number(bottom + 6.0),
            number(bottom + 22.0),
            label(time)
        );
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {TOP}V{b}H{r}\" fill=\"none\" stroke=\"#52606d\"/>\
         <text x=\"{m}\" y=\"{l}\" text-anchor=\"middle\">{x_label}</text>\
         <text transform=\"translate(24 {c}) rotate(-90)\" text-anchor=\"middle\">{y_label}</text>",
        b = number(bottom),
        r = number(WIDTH - RIGHT),
        m = number((LEFT + WIDTH - RIGHT) / 2.0),
        l = number(bottom + 44.0),
        c = number(TOP + PLOT_HEIGHT / 2.0),
        x_label = escaped(&chart.x_label),
        y_label = escaped(&chart.y_label),
    );
    if frame.y_min > 0.0 {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"11\" fill=\"#52606d\">axis starts at {}%</text>",
            number(WIDTH - RIGHT),
            number(bottom - 8.0),
            label(frame.y_min * 100.0)
        );
    }
}

fn at_risk(svg: &mut String, chart: &Chart, frame: &Frame, top: f64) {
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"600\" font-size=\"12\">Numbers at risk</text>",
        number(top - 8.0)
    );
    for (index, series) in chart.series.iter().enumerate() {
        let y = number(top + 14.0 + 22.0 * count(index));
        let (colour, _) = INK[index % INK.len()];
        // The colour of the curve says whose row it is; names can be longer than the margin.
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"20\" height=\"3\" fill=\"{colour}\"><title>{}</title></rect>",
            number(LEFT - 52.0),
            number(top + 8.0 + 22.0 * count(index)),
            escaped(&series.name)
        );
        for (time, persons) in Chart::ticks(frame.x_max).iter().zip(&series.at_risk) {
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"12\" fill=\"{colour}\">{persons}</text>",
                number(frame.x(*time))
            );
        }
    }
}

/// From numbers to places.
struct Frame {
    x_max: f64,
    y_min: f64,
}

impl Frame {
    fn x(&self, time: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (time / self.x_max).clamp(0.0, 1.0)
    }

    fn y(&self, survival: f64) -> f64 {
        let part = ((survival - self.y_min) / (1.0 - self.y_min)).clamp(0.0, 1.0);
        TOP + PLOT_HEIGHT * (1.0 - part)
    }

    /// The steps of a curve; the end of the axis ends it.
    fn curve(&self, series: &Series) -> String {
        let mut path = format!("M{} {}", number(self.x(0.0)), number(self.y(1.0)));
        for step in series.steps.iter().filter(|step| step.time <= self.x_max) {
            let _ = write!(
                path,
                "H{}V{}",
                number(self.x(step.time)),
                number(self.y(step.survival))
            );
        }
        let _ = write!(path, "H{}", number(self.x(self.end(series))));
        path
    }

    /// The band between both ends of the intervals: forth along the upper, back along the lower.
    fn band(&self, series: &Series) -> String {
        let steps: Vec<_> = series
            .steps
            .iter()
            .filter(|step| {
                step.time <= self.x_max && step.lower.is_finite() && step.upper.is_finite()
            })
            .collect();
        let end = number(self.x(self.end(series)));
        let mut path = format!("M{} {}", number(self.x(0.0)), number(self.y(1.0)));
        for step in &steps {
            let _ = write!(
                path,
                "H{}V{}",
                number(self.x(step.time)),
                number(self.y(step.upper))
            );
        }
        let _ = write!(path, "H{end}");
        let mut back = steps.iter().rev().peekable();
        while let Some(step) = back.next() {
            let _ = write!(
                path,
                "V{}H{}",
                number(self.y(step.lower)),
                number(self.x(step.time))
            );
            if back.peek().is_none() {
                let _ = write!(path, "V{}", number(self.y(1.0)));
            }
        }
        path.push('Z');
        path
    }

    fn end(&self, series: &Series) -> f64 {
        series
            .steps
            .last()
            .map_or(self.x_max, |step| step.time.min(self.x_max))
    }
}

/// Two decimals at most: small files, and the same on every machine.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    format!("{rounded}")
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::sample;

    #[test]
    fn the_same_numbers_give_the_same_bytes() {
        assert_eq!(write(&sample()), write(&sample()));
    }

    #[test]
    fn text_is_escaped_and_tags_close() {
        let svg = write(&sample());
        assert!(svg.contains("Survival by &lt;group&gt; &amp; &quot;year&quot;"));
        let open = svg.matches('<').count() - svg.matches("</").count() - svg.matches("<?").count();
        let closed = svg.matches("/>").count() + svg.matches("</").count();
        assert_eq!(open, closed);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
