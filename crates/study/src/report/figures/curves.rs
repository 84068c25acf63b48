//! Curves over time with bands and the numbers at risk below.

use std::fmt::Write;

use super::svg::{Canvas, WIDTH, at, label, short, ticks};
use crate::findings::Point;
use crate::report::number::{fixed, whole};

/// One curve.
#[derive(Debug, Clone)]
pub(in crate::report) struct Band<'a> {
    /// Its name.
    pub(in crate::report) name: String,
    /// 0 for the target group's colour, 1 for the comparator's.
    pub(in crate::report) colour: usize,
    /// A dashed line.
    pub(in crate::report) dashed: bool,
    /// Its points.
    pub(in crate::report) points: &'a [Point],
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(in crate::report) struct Plot<'a> {
    /// The figure's name for readers who do not see it.
    pub(in crate::report) name: &'a str,
    /// What it shows, in words.
    pub(in crate::report) description: String,
    /// The axis.
    pub(in crate::report) y_label: &'a str,
    /// Where curves start: 1 for survival, 0 for incidence.
    pub(in crate::report) start: f64,
    /// Curves.
    pub(in crate::report) bands: Vec<Band<'a>>,
    /// Curves whose numbers at risk are shown.
    pub(in crate::report) at_risk: usize,
}

const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 34.0;
const PLOT: f64 = 260.0;
const YEAR: f64 = 365.25;

/// Value and band at a time.
fn value(points: &[Point], time: f64, start: f64) -> (f64, f64, f64) {
    match points
        .partition_point(|point| point.time.get() <= time)
        .checked_sub(1)
    {
        Some(at) => {
            let estimate = points[at].estimate;
            (
                estimate.value.get(),
                estimate.lower.get(),
                estimate.upper.get(),
            )
        }
        None => (start, start, start),
    }
}

fn at_risk(points: &[Point], time: f64) -> u64 {
    let n = points
        .iter()
        .find(|point| point.time.get() >= time)
        .map_or(0.0, |point| point.n_risk.get());
    // Weighted numbers are shown whole.
    format!("{n:.0}").parse().unwrap_or(0)
}

/// Draws it.
pub(in crate::report) fn curves(plot: &Plot<'_>) -> String {
    let last = plot
        .bands
        .iter()
        .filter_map(|band| band.points.last())
        .map(|point| point.time.get())
        .fold(1.0, f64::max);
    let years = last > 2.0 * YEAR;
    let unit = if years { YEAR } else { 1.0 };
    let edge = extreme(plot);
    let (low, high) = if plot.start > 0.5 {
        // The axis starts where the curves do not go, and says so.
        (
            if edge > 0.5 {
                (edge * 20.0).floor() / 20.0
            } else {
                0.0
            }
            .min(0.95),
            1.0,
        )
    } else {
        let top = ticks(0.0, edge.max(1e-6)).get(1).copied().unwrap_or(1.0);
        (0.0, ((edge / top).ceil() * top).clamp(1e-6, 1.0))
    };
    let rows = plot.at_risk.min(plot.bands.len());
    let height = TOP
        + PLOT
        + 48.0
        + if rows > 0 {
            26.0 + 20.0 * crate::steps::length(rows)
        } else {
            0.0
        };
    let mut canvas = Canvas::new(height, plot.name, &plot.description);
    let x = |time: f64| LEFT + (WIDTH - LEFT - RIGHT) * time / last;
    let y = |share: f64| TOP + PLOT * (1.0 - (share.clamp(low, high) - low) / (high - low));
    let mut from = LEFT;
    for band in &plot.bands {
        let class = format!(
            "curve c{}{}",
            band.colour,
            if band.dashed { " dashed" } else { "" }
        );
        canvas.line(&class, (from, 14.0), (from + 26.0, 14.0));
        let name = short(&band.name, 34);
        canvas.text("start", (from + 32.0, 19.0), &name);
        from += 48.0 + 7.6 * crate::steps::length(name.chars().count());
    }
    for tick in ticks(low, high) {
        canvas.line("grid", (LEFT, y(tick)), (WIDTH - RIGHT, y(tick)));
        canvas.text(
            "end axis",
            (LEFT - 8.0, y(tick) + 5.0),
            &format!("{}%", label(tick * 100.0)),
        );
    }
    let times = ticks(0.0, last / unit);
    for tick in &times {
        canvas.line(
            "tick",
            (x(tick * unit), TOP + PLOT),
            (x(tick * unit), TOP + PLOT + 5.0),
        );
        canvas.text(
            "middle axis",
            (x(tick * unit), TOP + PLOT + 20.0),
            &label(*tick),
        );
    }
    canvas.line("frame", (LEFT, TOP + PLOT), (WIDTH - RIGHT, TOP + PLOT));
    canvas.upright((16.0, TOP + PLOT / 2.0), plot.y_label);
    let axis = if years {
        "Years since the index date"
    } else {
        "Days since the index date"
    };
    canvas.text(
        "middle axis",
        (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, TOP + PLOT + 40.0),
        axis,
    );
    for band in &plot.bands {
        canvas.path(
            &format!("band f{}", band.colour),
            &area(band.points, plot.start, &x, &y),
        );
    }
    for band in &plot.bands {
        let class = format!(
            "curve c{}{}",
            band.colour,
            if band.dashed { " dashed" } else { "" }
        );
        canvas.path(&class, &steps(band.points, plot.start, &x, &y));
    }
    // Columns that say their values.
    let columns = 48_u32;
    let width = last / f64::from(columns);
    for column in 0..columns {
        let time = width * (f64::from(column) + 0.5);
        let mut tip = if years {
            format!("{} years", fixed(time / YEAR, 1))
        } else {
            format!("day {}", fixed(time, 0))
        };
        for band in &plot.bands {
            let (estimate, lower, upper) = value(band.points, time, plot.start);
            let _ = write!(
                tip,
                "\n{}: {}% ({} to {}), {} at risk",
                band.name,
                fixed(estimate * 100.0, 1),
                fixed(lower * 100.0, 1),
                fixed(upper * 100.0, 1),
                whole(at_risk(band.points, time))
            );
        }
        canvas.rect(
            "hit",
            (x(width * f64::from(column)), TOP),
            (x(width) - x(0.0), PLOT),
            Some(&tip),
        );
    }
    if rows > 0 {
        let top = TOP + PLOT + 62.0;
        canvas.text("start strong", (4.0, top), "At risk");
        for (row, band) in plot.bands.iter().take(rows).enumerate() {
            let line = top + 20.0 * crate::steps::length(row + 1);
            canvas.line(
                &format!(
                    "curve c{}{}",
                    band.colour,
                    if band.dashed { " dashed" } else { "" }
                ),
                (4.0, line - 5.0),
                (20.0, line - 5.0),
            );
            for tick in &times {
                let place = x(tick * unit);
                canvas.text(
                    "middle",
                    (place, line),
                    &whole(at_risk(band.points, tick * unit)),
                );
            }
        }
    }
    canvas.finish()
}

/// How far curves and bands go from the start, as far as half of the follow-up decides: tails are wide.
fn extreme(plot: &Plot<'_>) -> f64 {
    let survival = plot.start > 0.5;
    plot.bands
        .iter()
        .flat_map(|band| band.points)
        .map(|point| {
            let bound = if survival {
                point.estimate.lower
            } else {
                point.estimate.upper
            };
            bound.finite().unwrap_or(point.estimate.value.get())
        })
        .filter(|bound| bound.is_finite())
        .fold(if survival { 1.0 } else { 0.0 }, |a: f64, b| {
            if survival { a.min(b) } else { a.max(b) }
        })
}

fn steps(points: &[Point], start: f64, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) -> String {
    let mut data = format!("M{} {}", at(x(0.0)), at(y(start)));
    let mut now = at(y(start));
    for point in points {
        let next = at(y(point.estimate.value.get()));
        if next != now {
            let _ = write!(data, "H{}V{next}", at(x(point.time.get())));
            now = next;
        }
    }
    if let Some(last) = points.last() {
        let _ = write!(data, "H{}", at(x(last.time.get())));
    }
    data
}

fn area(points: &[Point], start: f64, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) -> String {
    let known: Vec<&Point> = points
        .iter()
        .filter(|point| {
            point.estimate.lower.finite().is_some() && point.estimate.upper.finite().is_some()
        })
        .collect();
    let mut data = format!("M{} {}", at(x(0.0)), at(y(start)));
    let mut now = (at(y(start)), at(y(start)));
    let mut corners: Vec<(f64, String)> = Vec::new();
    for point in &known {
        let (upper, lower) = (
            at(y(point.estimate.upper.get())),
            at(y(point.estimate.lower.get())),
        );
        if (&upper, &lower) != (&now.0, &now.1) {
            let _ = write!(data, "H{}V{upper}", at(x(point.time.get())));
            corners.push((x(point.time.get()), now.1.clone()));
            now = (upper, lower);
        }
    }
    if let Some(last) = known.last() {
        let _ = write!(data, "H{}V{}", at(x(last.time.get())), now.1);
    }
    for (place, before) in corners.iter().rev() {
        let _ = write!(data, "H{}V{before}", at(*place));
    }
    data.push('Z');
    data
}
