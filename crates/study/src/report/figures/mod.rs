//! Figures as SVG: the same numbers give the same bytes.

mod attrition;
mod curves;
mod forest;
mod love;
mod overlap;
mod rates;
mod svg;

pub(super) use attrition::attrition;
pub(super) use curves::{Band, Plot, curves};
pub(super) use forest::{Line, forest};
pub(super) use love::love;
pub(super) use overlap::overlap;
pub(super) use rates::rates;
pub(super) use svg::escape;

/// What a figure file of its own needs: the page brings its own.
pub(super) const STYLE: &str = include_str!("../../../templates/figure.css");

/// A figure as a file of its own.
pub(super) fn alone(figure: &str) -> String {
    figure
        .replacen('>', &format!("><style>{STYLE}</style>"), 1)
        .replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
}
