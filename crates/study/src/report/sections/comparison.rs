//! Comparisons of the two groups.

use super::lower;
use crate::findings::{Coefficient, Controls, Cox, Grid, Logistic, Subgroups};
use crate::report::Section;
use crate::report::figures::{self, Line};
use crate::report::html::{Table, escape};
use crate::report::number::{fixed, p, p_words, ratio_interval, whole};
use crate::spec::Model;

pub(super) fn cox(part: &mut Section, id: &str, one: &Cox) {
    let lines: Vec<Line> = one
        .models
        .iter()
        .map(|model| Line {
            label: model_name(model.model).to_owned(),
            ratio: Some(model.ratio),
            main: model.model == one.main,
        })
        .collect();
    let favours = one
        .groups
        .first()
        .zip(one.groups.get(1))
        .map(|(a, b)| (a.as_str(), b.as_str()));
    part.figure(
        id,
        figures::forest("Hazard ratios", "Hazard ratio", &lines, favours),
        &format!(
            "Hazard ratio of {} against {}; the main model in bold.",
            one.groups.first().map_or("", String::as_str),
            one.groups.get(1).map_or("", String::as_str)
        ),
    );
    let mut table = Table::new(
        "Cox models",
        &[
            ("Model", false),
            ("Persons", true),
            ("Events", true),
            ("Hazard ratio", true),
            ("p", true),
            ("p, proportional hazards", true),
        ],
    );
    for model in &one.models {
        table.main_row(
            vec![
                model_name(model.model).to_owned(),
                whole(model.persons),
                whole(model.events),
                ratio_interval(model.ratio),
                p(model.p_value),
                p(model.ph_p_value),
            ],
            model.model == one.main,
        );
    }
    part.table(&table);
    let list: String = one
        .models
        .iter()
        .map(|model| {
            format!(
                "<dt>{}</dt><dd>{}</dd>",
                model_name(model.model),
                escape(&model.label)
            )
        })
        .collect();
    part.html.push_str(&format!("<dl>{list}</dl>"));
    if let Some(main) = one.models.iter().find(|model| model.model == one.main) {
        if main.ph_p_value.get() < 0.05 {
            part.note("The hazards may not be proportional (test of Grambsch and Therneau): the hazard ratio is then an average over the follow-up.");
        }
        periods(part, id, one);
        part.p(&format!(
            "An unmeasured confounder would have to be associated with both group and outcome by a ratio of {} each to explain the main result away, and of {} to move its interval to 1 (E-values).",
            fixed(one.e_value.0.get(), 2),
            fixed(one.e_value.1.get(), 2)
        ));
    }
    for model in &one.models {
        if let Some(why) = &model.note {
            part.note(&format!(
                "These data do not allow the model \"{}\": {why}.",
                model_name(model.model)
            ));
        }
        if !model.infinite.is_empty() || !model.dropped.is_empty() {
            part.note(&format!(
                "In the model \"{}\", terms without a finite estimate: {}; dropped as combinations of others: {}.",
                model_name(model.model),
                crate::steps::cox::list(&model.infinite),
                crate::steps::cox::list(&model.dropped)
            ));
        }
        all_terms(part, model.model, "Hazard ratio", &model.terms);
    }
}

/// All terms of a model, folded away.
fn all_terms(part: &mut Section, model: Model, ratio: &str, terms: &[Coefficient]) {
    let name = model_name(model);
    let mut table = Table::new(
        &format!("Terms: {name}"),
        &[("Term", false), (ratio, true), ("p", true)],
    );
    for term in terms {
        table.row(vec![
            term.label.clone(),
            ratio_interval(term.ratio),
            p(term.p_value),
        ]);
    }
    part.folded(&format!("All terms of the model \"{name}\""), &table);
}

/// Whether the ratio changes over time can be seen where the test of proportional hazards only says so.
fn periods(part: &mut Section, id: &str, one: &Cox) {
    if one.periods.is_empty() {
        return;
    }
    let mut table = Table::new(
        "Hazard ratio by time since the index date",
        &[
            ("Period", false),
            ("Persons", true),
            ("Events", true),
            ("Hazard ratio", true),
        ],
    );
    let mut lines = Vec::new();
    for period in &one.periods {
        let day = |day: i32| whole(u64::try_from(day).unwrap_or(0));
        let name = format!("Day {} to {}", day(period.from), day(period.to));
        lines.push(Line {
            label: name.clone(),
            ratio: Some(period.ratio),
            main: false,
        });
        table.row(vec![
            name,
            whole(period.persons),
            whole(period.events),
            ratio_interval(period.ratio),
        ]);
    }
    part.figure(
        &format!("{id}_periods"),
        figures::forest("Hazard ratios by period", "Hazard ratio", &lines, None),
        "The main model within periods of the follow-up with about as many events each: where the hazards are proportional, the ratios are alike.",
    );
    part.folded("The same as a table", &table);
}

/// A model's name for readers.
pub(super) fn model_name(model: Model) -> &'static str {
    match model {
        Model::Crude => "Unadjusted",
        Model::Covariates => "Covariates",
        Model::Propensity => "Propensity score",
        Model::DoublyRobust => "Score and covariates",
    }
}

pub(super) fn logistic(part: &mut Section, one: &Logistic) {
    part.p(&format!(
        "Left out because their follow-up ended before without the outcome: {} persons.",
        whole(one.unknown)
    ));
    let mut table = Table::new(
        "Odds ratios",
        &[
            ("Model", false),
            ("Term", false),
            ("Persons", true),
            ("Events", true),
            ("Odds ratio", true),
            ("p", true),
            ("c-statistic", true),
        ],
    );
    for model in &one.models {
        for term in model
            .terms
            .iter()
            .take(if one.compares { 1 } else { usize::MAX })
        {
            table.row(vec![
                model_name(model.model).to_owned(),
                term.label.clone(),
                whole(model.persons),
                whole(model.events),
                ratio_interval(term.ratio),
                p(term.p_value),
                fixed(model.c_statistic.get(), 2),
            ]);
        }
        for note in &model.notes {
            part.note(&format!("{}: {note}.", model_name(model.model)));
        }
    }
    part.table(&table);
    for model in one
        .models
        .iter()
        .filter(|model| one.compares && model.terms.len() > 1)
    {
        all_terms(part, model.model, "Odds ratio", &model.terms);
    }
}

pub(super) fn controls(part: &mut Section, id: &str, one: &Controls) {
    part.p(&format!("Outcomes that the exposure cannot change: a hazard ratio away from 1 shows bias that is left. Model: {}.", one.model));
    let mut lines = Vec::new();
    let mut table = Table::new(
        "Negative controls",
        &[
            ("Outcome", false),
            ("Events, target", true),
            ("Events, comparator", true),
            ("Unadjusted", true),
            ("Hazard ratio", true),
        ],
    );
    for control in &one.controls {
        lines.push(Line {
            label: format!("{} (crude)", control.label),
            ratio: Some(control.crude),
            main: false,
        });
        lines.push(Line {
            label: control.label.clone(),
            ratio: Some(control.ratio),
            main: true,
        });
        let events = |group: usize| {
            control
                .events
                .get(group)
                .map_or_else(String::new, |events| whole(*events))
        };
        table.row(vec![
            control.label.clone(),
            events(0),
            events(1),
            ratio_interval(control.crude),
            ratio_interval(control.ratio),
        ]);
        if let Some(note) = &control.note {
            part.note(&format!("{}: {note}.", control.label));
        }
    }
    part.figure(
        id,
        figures::forest("Negative controls", "Hazard ratio", &lines, None),
        "Negative controls before and, in bold, after adjustment.",
    );
    part.table(&table);
    for one in &one.calibration {
        part.p(&format!(
            "Calibrated by these controls (systematic error {} ± {} on the log scale), the hazard ratio of {} is {} ({}), uncalibrated {} ({}).",
            fixed(one.mean.get(), 3),
            fixed(one.sd.get(), 3),
            lower(&one.outcome),
            ratio_interval(one.after),
            p_words(one.p_after),
            ratio_interval(one.before),
            p_words(one.p_before)
        ));
    }
    if one.calibration.is_empty() {
        part.p("With fewer than three usable controls the main result is not calibrated.");
    }
}

pub(super) fn subgroups(part: &mut Section, id: &str, one: &Subgroups) {
    part.p(&format!(
        "Hazard ratio of {} within subgroups; {}.",
        lower(&one.outcome),
        one.model
    ));
    let mut lines = vec![Line {
        label: "All".to_owned(),
        ratio: Some(one.overall),
        main: true,
    }];
    let mut table = Table::new(
        "Subgroups",
        &[
            ("Subgroup", false),
            ("Persons", true),
            ("Events", true),
            ("Hazard ratio", true),
        ],
    );
    let pair = |counts: &[u64]| {
        counts
            .iter()
            .map(|count| whole(*count))
            .collect::<Vec<_>>()
            .join(" / ")
    };
    let mut last = "";
    for row in &one.rows {
        if row.variable != last {
            last = &row.variable;
            lines.push(Line {
                label: row.variable.clone(),
                ratio: None,
                main: false,
            });
        }
        lines.push(Line {
            label: format!("  {}", row.label),
            ratio: Some(row.ratio),
            main: false,
        });
        table.row(vec![
            format!("{}: {}", row.variable, lower(&row.label)),
            pair(&row.persons),
            pair(&row.events),
            ratio_interval(row.ratio),
        ]);
        if let Some(note) = &row.note {
            part.note(&format!("{}, {}: {note}.", row.variable, lower(&row.label)));
        }
    }
    part.figure(
        id,
        figures::forest("Subgroups", "Hazard ratio", &lines, None),
        "Hazard ratios within subgroups.",
    );
    part.table(&table);
    for (variable, value) in &one.heterogeneity {
        part.p(&format!(
            "Difference between subgroups of {}: {}.",
            lower(variable),
            p_words(*value)
        ));
    }
}

pub(super) fn grid(part: &mut Section, id: &str, one: &Grid) {
    part.p(&format!(
        "The model for {} under every combination of the alternatives; {}.",
        lower(&one.outcome),
        one.model
    ));
    let lines: Vec<Line> = one
        .rows
        .iter()
        .enumerate()
        .map(|(row, one)| Line {
            label: one.label.clone(),
            ratio: Some(one.ratio),
            main: row == 0,
        })
        .collect();
    part.figure(
        id,
        figures::forest("Sensitivity analyses", "Hazard ratio", &lines, None),
        "The analysis as specified in bold, then the alternatives.",
    );
    let mut table = Table::new(
        "Sensitivity analyses",
        &[
            ("Analysis", false),
            ("Persons", true),
            ("Events", true),
            ("Hazard ratio", true),
            ("p", true),
            ("Largest SMD", true),
        ],
    );
    for (row, one) in one.rows.iter().enumerate() {
        table.main_row(
            vec![
                one.label.clone(),
                whole(one.persons),
                whole(one.events),
                ratio_interval(one.ratio),
                p(one.p_value),
                fixed(one.balance.get(), 2),
            ],
            row == 0,
        );
        if let Some(note) = &one.note {
            part.note(&format!("{}: {note}.", one.label));
        }
    }
    part.table(&table);
}
