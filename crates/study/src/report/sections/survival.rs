//! Curves: survival and cumulative incidence.

use super::lower;
use crate::findings::{Competing, KaplanMeier, Point};
use crate::report::Section;
use crate::report::figures::{self, Band, Plot};
use crate::report::html::Table;
use crate::report::number::{
    days, fixed, interval, p, p_words, percent_interval, ratio_interval, whole,
};
use crate::spec::Spec;

pub(super) fn kaplan_meier(part: &mut Section, id: &str, spec: &Spec, one: &KaplanMeier) {
    let level = fixed(spec.confidence * 100.0, 0);
    let band = |curves: &[crate::findings::Curve]| -> String {
        curves
            .iter()
            .map(|curve| {
                format!(
                    "{}: {} events in {} persons",
                    curve.group,
                    whole(curve.events),
                    whole(curve.persons)
                )
            })
            .collect::<Vec<_>>()
            .join("; ")
    };
    let plot = |curves: &[crate::findings::Curve], name: &str| {
        figures::curves(&Plot {
            name,
            description: band(curves),
            y_label: "Without the outcome",
            start: 1.0,
            bands: bands(curves.iter().map(|curve| (&curve.group, &curve.points))),
            at_risk: curves.len(),
        })
    };
    if let Some((statistic, df, value)) = one.logrank {
        part.p(&format!(
            "Log-rank test, unadjusted: χ² = {} on {df} degree of freedom, {}.",
            fixed(statistic.get(), 2),
            p_words(value)
        ));
    }
    let caption = format!(
        "Kaplan-Meier curves with {level}% confidence bands (log-log), unadjusted, and persons at risk."
    );
    part.figure(
        id,
        plot(&one.curves, "Kaplan-Meier curves, unadjusted"),
        &caption,
    );
    if let Some(by) = &one.adjusted_by {
        part.figure(
            &format!("{id}_adjusted"),
            plot(&one.adjusted, "Kaplan-Meier curves, adjusted"),
            &format!(
                "The same adjusted by {by}; the numbers at risk are weighted, the bands robust."
            ),
        );
    }
    let mut table = Table::new(
        "Persons without the outcome",
        &[
            ("Curve", false),
            ("Time", false),
            ("At risk", true),
            (&format!("Survival ({level}% interval)"), true),
        ],
    );
    for (kind, curves, differences) in [
        ("unadjusted", &one.curves, &one.differences),
        ("adjusted", &one.adjusted, &one.adjusted_differences),
    ] {
        let name = |group: &str| {
            if one.adjusted.is_empty() {
                group.to_owned()
            } else {
                format!("{group}, {kind}")
            }
        };
        for curve in curves {
            for mark in &curve.landmarks {
                table.row(vec![
                    name(&curve.group),
                    days(mark.day),
                    fixed(mark.n_risk.get(), 0),
                    percent_interval(mark.estimate),
                ]);
            }
        }
        for apart in differences {
            table.row(vec![
                name("Difference"),
                days(apart.day),
                String::new(),
                percent_interval(apart.estimate),
            ]);
        }
    }
    part.table(&table);
    if let Some(rmst) = &one.rmst {
        let mut table = Table::new(
            &format!(
                "Mean time without the outcome, restricted to {} (days)",
                days(rmst.tau)
            ),
            &[("Group", false), ("Mean", true)],
        );
        for (curve, mean) in one.curves.iter().zip(&rmst.means) {
            table.row(vec![curve.group.clone(), interval(*mean, 1)]);
        }
        if let Some(difference) = rmst.difference {
            table.row(vec!["Difference".to_owned(), interval(difference, 1)]);
        }
        part.table(&table);
    }
    let follow: Vec<String> = one
        .curves
        .iter()
        .zip(&one.follow_up)
        .map(|(curve, days)| format!("{} {} days", curve.group, fixed(days.get(), 0)))
        .collect();
    part.p(&format!(
        "Median follow-up (reverse Kaplan-Meier): {}.",
        follow.join(", ")
    ));
}

/// A curve with its band for each group; the second is dashed, for those who do not see colours.
fn bands<'a>(curves: impl Iterator<Item = (&'a String, &'a Vec<Point>)>) -> Vec<Band<'a>> {
    let curves = curves.enumerate();
    curves
        .map(|(number, (group, points))| Band {
            name: group.clone(),
            colour: number,
            dashed: number == 1,
            points,
        })
        .collect()
}

pub(super) fn competing(part: &mut Section, id: &str, one: &Competing) {
    let groups: Vec<&String> = one
        .curves
        .iter()
        .filter(|curve| curve.code == 1)
        .map(|curve| &curve.group)
        .collect();
    for (code, cause) in [(1, &one.outcome), (2, &one.competing)] {
        let curves: Vec<_> = one
            .curves
            .iter()
            .filter(|curve| curve.code == code)
            .collect();
        let description = curves
            .iter()
            .map(|curve| format!("{}: {} events", curve.group, whole(curve.events)))
            .collect::<Vec<_>>()
            .join("; ");
        let svg = figures::curves(&Plot {
            name: &format!("Cumulative incidence of {}", lower(cause)),
            description,
            y_label: "Cumulative incidence",
            start: 0.0,
            bands: bands(curves.iter().map(|curve| (&curve.group, &curve.points))),
            at_risk: if code == 1 { groups.len() } else { 0 },
        });
        let name = if code == 1 {
            id.to_owned()
        } else {
            format!("{id}_competing")
        };
        part.figure(
            &name,
            svg,
            &format!(
                "Cumulative incidence (Aalen-Johansen) of {}, unadjusted.",
                lower(cause)
            ),
        );
    }
    let mut tests = Table::new(
        "Gray's test",
        &[
            ("Event", false),
            ("χ²", true),
            ("Degrees of freedom", true),
            ("p", true),
        ],
    );
    one.gray.iter().for_each(|(cause, statistic, df, value)| {
        tests.row(vec![
            cause.clone(),
            fixed(statistic.get(), 2),
            df.to_string(),
            p(*value),
        ]);
    });
    part.table(&tests);
    let mut models = Table::new(
        &format!(
            "Subdistribution hazard ratios (Fine and Gray): {}",
            lower(&one.outcome)
        ),
        &[("Model", false), ("Ratio", true), ("p", true)],
    );
    one.fine_gray.iter().for_each(|model| {
        models.row(vec![
            model.adjusted_for.clone(),
            ratio_interval(model.ratio),
            p(model.p_value),
        ])
    });
    part.table(&models);
    let mut marks = Table::new(
        "Cumulative incidence",
        &[
            ("Event", false),
            ("Group", false),
            ("Time", false),
            ("Incidence", true),
        ],
    );
    for curve in &one.curves {
        for mark in &curve.landmarks {
            marks.row(vec![
                curve.cause.clone(),
                curve.group.clone(),
                days(mark.day),
                percent_interval(mark.estimate),
            ]);
        }
    }
    for (cause, apart) in &one.differences {
        marks.row(vec![
            cause.clone(),
            "Difference".to_owned(),
            days(apart.day),
            percent_interval(apart.estimate),
        ]);
    }
    part.table(&marks);
}
