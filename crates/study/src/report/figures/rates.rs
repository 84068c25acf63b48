//! Rates over calendar time.

use std::fmt::Write;

use super::svg::{Canvas, WIDTH, at, label, short, ticks};
use crate::findings::Rate;
use crate::report::number::fixed;

const LEFT: f64 = 64.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const PLOT: f64 = 230.0;

/// Draws one line for each series of rates by year.
pub(in crate::report) fn rates(
    name: &str,
    y_label: &str,
    series: &[(String, Vec<&Rate>)],
    description: &str,
) -> String {
    let years: Vec<f64> = series
        .iter()
        .flat_map(|(_, rates)| rates)
        .filter_map(|rate| rate.year)
        .map(|year| f64::from(i32::try_from(year).unwrap_or(0)))
        .collect();
    let (first, last) = years
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), year| {
            (low.min(*year), high.max(*year))
        });
    let most = series
        .iter()
        .flat_map(|(_, rates)| rates)
        .map(|rate| {
            rate.standardized
                .upper
                .finite()
                .unwrap_or(rate.standardized.value.get())
        })
        .filter(|value| value.is_finite())
        .fold(1e-9, f64::max);
    let mut canvas = Canvas::new(TOP + PLOT + 50.0, name, description);
    let x = |year: f64| {
        LEFT + 14.0 + (WIDTH - LEFT - RIGHT - 28.0) * (year - first) / (last - first).max(1.0)
    };
    let y = |rate: f64| TOP + PLOT * (1.0 - rate.clamp(0.0, most) / most);
    for tick in ticks(0.0, most) {
        canvas.line("grid", (LEFT, y(tick)), (WIDTH - RIGHT, y(tick)));
        canvas.text("end axis", (LEFT - 8.0, y(tick) + 5.0), &label(tick));
    }
    canvas.line("frame", (LEFT, TOP + PLOT), (WIDTH - RIGHT, TOP + PLOT));
    canvas.upright((16.0, TOP + PLOT / 2.0), y_label);
    let mut year = first;
    while year <= last {
        canvas.text("middle axis", (x(year), TOP + PLOT + 20.0), &label(year));
        year += ((last - first) / 10.0).ceil().max(1.0);
    }
    canvas.text(
        "middle axis",
        (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, TOP + PLOT + 42.0),
        "Calendar year",
    );
    let mut from = LEFT;
    for (number, (title, rates)) in series.iter().enumerate() {
        let colour = if series.len() == 1 { 2 } else { number };
        let class = format!(
            "curve c{colour}{}",
            if number == 1 { " dashed" } else { "" }
        );
        canvas.line(&class, (from, 14.0), (from + 26.0, 14.0));
        canvas.text("start", (from + 32.0, 19.0), &short(title, 30));
        from += 60.0 + 7.6 * crate::steps::length(title.chars().count());
        let mut data = String::new();
        for rate in rates {
            let place = x(f64::from(
                i32::try_from(rate.year.unwrap_or(0)).unwrap_or(0),
            ));
            let _ = write!(
                data,
                "{}{} {}",
                if data.is_empty() { 'M' } else { 'L' },
                at(place),
                at(y(rate.standardized.value.get()))
            );
            canvas.line(
                &format!("whisker w{colour}"),
                (place, y(rate.standardized.lower.get())),
                (place, y(rate.standardized.upper.get())),
            );
        }
        canvas.path(&class, &data);
        for rate in rates {
            let place = x(f64::from(
                i32::try_from(rate.year.unwrap_or(0)).unwrap_or(0),
            ));
            let tip = format!(
                "{}: {} ({} to {}), crude {}",
                rate.label,
                fixed(rate.standardized.value.get(), 2),
                fixed(rate.standardized.lower.get(), 2),
                fixed(rate.standardized.upper.get(), 2),
                fixed(rate.crude.value.get(), 2)
            );
            canvas.circle(
                &format!("dot c{colour}"),
                (place, y(rate.standardized.value.get())),
                5.0,
                Some(&tip),
            );
        }
    }
    canvas.finish()
}
