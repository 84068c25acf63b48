//! One part of the page for each analysis, and what stands at its end.

use super::figures::{self, Band, Line, Plot};
use super::html::{Table, escape};
use super::number::{
    days, fixed, interval, p, p_words, percent_interval, plain, ratio_interval, whole,
};
use super::{Found, Section};
use crate::findings::{
    Attrition, BalanceRow, Competing, Controls, Cox, Distribution, Finding, Grid, Incidence,
    KaplanMeier, Logistic, NotEstimable, Num, Propensity, Rates, Readmission, Sql, Subgroups,
    TableOne,
};
use crate::run::{RunRecord, StepStatus};
use crate::spec::{Kind, Spec, Study, plain as plain_name};
use crate::steps::float;

/// The heading of an analysis.
pub(super) fn heading(found: &Found<'_>) -> String {
    if let Some(title) = &found.analysis.title {
        return title.clone();
    }
    match &found.finding {
        Finding::NotEstimable(one) => {
            let kind = plain_name(found.analysis.kind.name());
            match &one.outcome {
                Some(outcome) => format!("{kind}: {}", lower(outcome)),
                None => kind,
            }
        }
        Finding::Attrition(_) => "Who is in the study".to_owned(),
        Finding::TableOne(_) => "Characteristics at the index date".to_owned(),
        Finding::Propensity(_) => "Propensity score and balance".to_owned(),
        Finding::KaplanMeier(one) => format!("Time to {}", lower(&one.outcome)),
        Finding::Cox(one) => format!("Hazard ratios: {}", lower(&one.outcome)),
        Finding::Competing(one) => format!("Cumulative incidence: {}", lower(&one.outcome)),
        Finding::Incidence(one) => format!("Incidence: {}", lower(&one.outcome)),
        Finding::Rates(one) => format!("Rates in the population: {}", lower(&one.event)),
        Finding::Logistic(one) => format!(
            "Odds of {} within {}",
            lower(&one.outcome),
            days(one.within)
        ),
        Finding::Readmission(one) => format!("Readmission within {}", days(one.days)),
        Finding::Controls(_) => "Negative controls".to_owned(),
        Finding::Subgroups(_) => "Subgroups".to_owned(),
        Finding::Grid(_) => "Sensitivity analyses".to_owned(),
        Finding::Sql(_) => "Query".to_owned(),
    }
}

/// A label inside a sentence; abbreviations keep their capitals.
pub(super) fn lower(label: &str) -> String {
    let mut letters = label.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            format!(
                "{}{}",
                first.to_lowercase(),
                label.chars().skip(1).collect::<String>()
            )
        }
        _ => label.to_owned(),
    }
}

/// The part of one analysis.
pub(super) fn section(spec: &Spec, found: &Found<'_>) -> Section {
    let id = &found.analysis.id;
    let mut part = Section::new(id, &heading(found));
    match &found.finding {
        Finding::Attrition(one) => attrition(&mut part, id, one),
        Finding::TableOne(one) => table_one(&mut part, one),
        Finding::Propensity(one) => propensity(&mut part, id, one),
        Finding::KaplanMeier(one) => kaplan_meier(&mut part, id, spec, one),
        Finding::Cox(one) => cox(&mut part, id, one),
        Finding::Competing(one) => competing(&mut part, id, one),
        Finding::Incidence(one) => incidence(&mut part, one),
        Finding::Rates(one) => rates(&mut part, id, one),
        Finding::Logistic(one) => logistic(&mut part, one),
        Finding::Readmission(one) => readmission(&mut part, one),
        Finding::Controls(one) => controls(&mut part, id, one),
        Finding::Subgroups(one) => subgroups(&mut part, id, one),
        Finding::Grid(one) => grid(&mut part, id, one),
        Finding::Sql(one) => sql(&mut part, one),
        Finding::NotEstimable(one) => not_estimable(&mut part, one),
    }
    part
}

fn not_estimable(part: &mut Section, one: &NotEstimable) {
    part.note(&format!(
        "These data do not allow this analysis: {}.",
        one.reason
    ));
    let mut table = Table::new(
        "Events",
        &[("Group", false), ("Persons", true), ("Events", true)],
    );
    for (group, persons, events) in &one.counts {
        table.row(vec![group.clone(), whole(*persons), whole(*events)]);
    }
    part.table(&table);
}

fn attrition(part: &mut Section, id: &str, one: &Attrition) {
    if let (Some(first), Some(last)) = (one.steps.first(), one.steps.last()) {
        part.p(&format!(
            "Of {} persons in the cohorts, {} are analysed.",
            whole(first.left.iter().sum()),
            whole(last.left.iter().sum())
        ));
    }
    part.figure(
        id,
        figures::attrition(one),
        "Persons left after each rule, and persons left out by it.",
    );
    let mut table = Table::new("Attrition", &[("Rule", false)]);
    for group in &one.groups {
        table.head(&format!("{group}, left"), true);
        table.head("left out", true);
    }
    for step in &one.steps {
        let mut cells = vec![step.rule.clone()];
        for (left, out) in step.left.iter().zip(&step.out) {
            cells.extend([whole(*left), whole(*out)]);
        }
        table.row(cells);
    }
    part.folded("The same as a table", &table);
}

/// A value of a variable; years have no thousands.
fn shown(value: f64, year: bool) -> String {
    if year {
        plain(value).replace(',', "")
    } else {
        plain(value)
    }
}

fn cell(one: &Distribution, binary: bool, year: bool, persons: f64) -> String {
    if binary {
        format!(
            "{} ({}%)",
            whole(one.count),
            fixed(100.0 * float(one.count) / persons, 1)
        )
    } else {
        format!("{} ({})", shown(one.mean.get(), year), plain(one.sd.get()))
    }
}

fn weighted_cell(one: &Distribution, binary: bool, year: bool) -> String {
    if binary {
        format!("{}%", fixed(100.0 * one.mean.get(), 1))
    } else {
        format!("{} ({})", shown(one.mean.get(), year), plain(one.sd.get()))
    }
}

fn table_one(part: &mut Section, one: &TableOne) {
    part.p("Numbers are mean (standard deviation) or persons (%). SMD is the standardised mean difference; below 0.1 in size, groups count as balanced.");
    let mut table = Table::new("Before adjustment", &[("Characteristic", false)]);
    for (group, persons) in one.groups.iter().zip(&one.persons) {
        table.head(&format!("{group} (n = {})", whole(*persons)), true);
    }
    if one.groups.len() == 2 {
        table.head("SMD", true);
    }
    let mut quartiles = Table::new(
        "Medians (quartiles) and missing values",
        &[("Characteristic", false)],
    );
    for group in &one.groups {
        quartiles.head(group, true);
        quartiles.head("missing", true);
    }
    for row in &one.rows {
        let mut cells = vec![row.label.clone()];
        let mut more = vec![row.label.clone()];
        for (group, distribution) in row.before.iter().enumerate() {
            let persons = one.persons.get(group).copied().unwrap_or(0) - distribution.missing;
            cells.push(cell(
                distribution,
                row.binary,
                row.name == "index_year",
                float(persons),
            ));
            more.push(distribution.quartiles.map_or_else(
                || "–".to_owned(),
                |three| {
                    format!(
                        "{} ({} to {})",
                        shown(three[1].get(), row.name == "index_year"),
                        shown(three[0].get(), row.name == "index_year"),
                        shown(three[2].get(), row.name == "index_year")
                    )
                },
            ));
            more.push(whole(distribution.missing));
        }
        if one.groups.len() == 2 {
            cells.push(fixed(row.smd_before.get(), 2));
        }
        table.row(cells);
        quartiles.row(more);
    }
    part.table(&table);
    if let Some(adjusted) = &one.adjusted {
        let mut table = Table::new(
            &format!("After adjustment: {adjusted}"),
            &[("Characteristic", false)],
        );
        for (group, size) in one.groups.iter().zip(&one.effective) {
            table.head(
                &format!("{group} (effective n = {})", fixed(size.get(), 0)),
                true,
            );
        }
        table.head("SMD", true);
        for row in &one.rows {
            let mut cells = vec![row.label.clone()];
            cells.extend(
                row.after
                    .iter()
                    .map(|one| weighted_cell(one, row.binary, row.name == "index_year")),
            );
            cells.push(fixed(row.smd_after.get(), 2));
            table.row(cells);
        }
        part.table(&table);
    }
    part.folded("Medians, quartiles and missing values", &quartiles);
}

fn propensity(part: &mut Section, id: &str, one: &Propensity) {
    part.p(&format!(
        "The probability of being in the group \"{}\" was estimated by {}, from {} named and {} sparse covariates ({} of the latter selected). The c-statistic is {}. Adjustment: {}; it asks for {}.",
        one.groups.first().map_or("", String::as_str),
        one.model,
        whole(crate::steps::count(one.offered.0)),
        whole(crate::steps::count(one.offered.1)),
        whole(crate::steps::count(one.selected)),
        fixed(one.c_statistic.get(), 2),
        one.method,
        one.estimand,
    ));
    if one.penalised {
        part.note("The score comes from the penalised model: without a penalty it has no finite solution.");
    }
    let overlap = |shares: &[Vec<Num>], when: &str| {
        figures::overlap(
            &format!("Propensity score {when} adjustment"),
            &one.groups,
            shares,
            &format!(
                "Histograms of the score of both groups {when} adjustment; the c-statistic is {}.",
                fixed(one.c_statistic.get(), 2)
            ),
        )
    };
    part.h3("Overlap");
    part.figure(
        &format!("{id}_overlap"),
        overlap(&one.histogram, "before"),
        "Shares of each group by score, before adjustment.",
    );
    part.figure(
        &format!("{id}_overlap_adjusted"),
        overlap(&one.histogram_after, "after"),
        "The same after adjustment.",
    );
    let mut sizes = Table::new(
        "Persons and weights",
        &[
            ("Group", false),
            ("Persons", true),
            ("Kept", true),
            ("Effective n", true),
            ("Median weight", true),
            ("99th percentile", true),
            ("Largest", true),
        ],
    );
    for (group, name) in one.groups.iter().enumerate() {
        let weights = one
            .weights
            .get(group)
            .copied()
            .unwrap_or([Num(f64::NAN); 7]);
        sizes.row(vec![
            name.clone(),
            whole(one.persons[group]),
            whole(one.kept[group]),
            fixed(one.effective[group].get(), 0),
            plain(weights[3].get()),
            plain(weights[5].get()),
            plain(weights[6].get()),
        ]);
    }
    part.table(&sizes);
    if !one.strata.is_empty() {
        let mut strata = Table::new("Persons by stratum of the score", &[("Stratum", false)]);
        one.groups.iter().for_each(|group| strata.head(group, true));
        for (number, sizes) in one.strata.iter().enumerate() {
            let mut cells = vec![(number + 1).to_string()];
            cells.extend(sizes.iter().map(|size| whole(*size)));
            strata.row(cells);
        }
        part.table(&strata);
    }
    part.h3("Balance");
    let total = whole(crate::steps::count(one.balance.len()));
    let text = format!(
        "Of {total} covariates, {} had an absolute standardised difference above 0.1 before adjustment and {} after it; the largest was {} before and {} after.",
        one.unbalanced.0,
        one.unbalanced.1,
        fixed(one.largest.0.get(), 2),
        fixed(one.largest.1.get(), 2)
    );
    part.p(&text);
    if one.unbalanced.1 > 0 {
        part.note(
            "Not all covariates are balanced: the comparison may still be confounded by them.",
        );
    }
    let named: Vec<&BalanceRow> = one.balance.iter().filter(|row| row.named).collect();
    let room = 30_usize.saturating_sub(named.len()).max(10);
    let mut shown = named;
    shown.extend(one.balance.iter().filter(|row| !row.named).take(room));
    part.figure(
        &format!("{id}_love"),
        figures::love("Love plot of standardised differences", &shown, &text),
        "Named covariates in bold, then the sparse covariates that differed most before adjustment. The broken line is at 0.1.",
    );
    let mut terms = Table::new(
        "Terms of the score",
        &[("Covariate", false), ("Odds ratio", true)],
    );
    one.terms
        .iter()
        .for_each(|term| terms.row(vec![term.label.clone(), ratio_interval(term.odds_ratio)]));
    part.folded("The model of the score", &terms);
}

fn kaplan_meier(part: &mut Section, id: &str, spec: &Spec, one: &KaplanMeier) {
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
            bands: curves
                .iter()
                .enumerate()
                .map(|(number, curve)| Band {
                    name: curve.group.clone(),
                    colour: number,
                    dashed: number == 1,
                    points: &curve.points,
                })
                .collect(),
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
    for (kind, curves) in [("unadjusted", &one.curves), ("adjusted", &one.adjusted)] {
        for curve in curves {
            for mark in &curve.landmarks {
                table.row(vec![
                    format!("{}, {kind}", curve.group),
                    days(mark.day),
                    fixed(mark.n_risk.get(), 0),
                    percent_interval(mark.estimate),
                ]);
            }
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

fn cox(part: &mut Section, id: &str, one: &Cox) {
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
        let mut terms = Table::new(
            &format!("Terms: {}", model_name(model.model)),
            &[("Term", false), ("Hazard ratio", true), ("p", true)],
        );
        model.terms.iter().for_each(|term| {
            terms.row(vec![
                term.label.clone(),
                ratio_interval(term.ratio),
                p(term.p_value),
            ])
        });
        part.folded(
            &format!("All terms of the model \"{}\"", model_name(model.model)),
            &terms,
        );
    }
}

/// A model's name for readers.
pub(super) fn model_name(model: crate::spec::Model) -> &'static str {
    match model {
        crate::spec::Model::Crude => "Unadjusted",
        crate::spec::Model::Covariates => "Covariates",
        crate::spec::Model::Propensity => "Propensity score",
        crate::spec::Model::DoublyRobust => "Score and covariates",
    }
}

fn competing(part: &mut Section, id: &str, one: &Competing) {
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
            bands: curves
                .iter()
                .enumerate()
                .map(|(number, curve)| Band {
                    name: curve.group.clone(),
                    colour: number,
                    dashed: number == 1,
                    points: &curve.points,
                })
                .collect(),
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
    part.table(&marks);
}

fn incidence(part: &mut Section, one: &Incidence) {
    let mut table = Table::new(
        "Events and rates, unadjusted",
        &[
            ("Group", false),
            ("Persons", true),
            ("Events", true),
            ("Competing events", true),
            ("Person-years", true),
            ("Rate per 1,000 person-years", true),
        ],
    );
    for arm in &one.arms {
        table.row(vec![
            arm.group.clone(),
            whole(arm.persons),
            whole(arm.events),
            whole(arm.competing),
            fixed(float(arm.person_days) / 365.25, 0),
            interval(arm.rate, 2),
        ]);
    }
    part.table(&table);
    for arm in one.arms.iter().filter(|arm| arm.prior + arm.no_time > 0) {
        part.p(&format!(
            "{}: {} left out for an outcome before, {} without time at risk.",
            arm.group,
            whole(arm.prior),
            whole(arm.no_time)
        ));
    }
    if let (Some(ratio), Some(value)) = (one.ratio, one.ratio_p) {
        part.p(&format!(
            "Rate ratio {} (exact), {}.",
            ratio_interval(ratio),
            p_words(value)
        ));
    }
    if let Some(difference) = one.difference {
        part.p(&format!(
            "Rate difference {} per 1,000 person-years.",
            interval(difference, 2)
        ));
    }
}

fn rates(part: &mut Section, id: &str, one: &Rates) {
    let per = plain(one.per.get());
    part.p(&format!(
        "First records of {} among {}: {} persons at risk{}. Rates are per {per} person-years; standardised for age to {}.",
        lower(&one.event),
        one.among,
        whole(one.persons),
        if one.prior > 0 { format!(", {} left out for an event before", whole(one.prior)) } else { String::new() },
        one.standard
    ));
    let yearly = |sex: Option<&str>| {
        one.rates
            .iter()
            .filter(|rate| rate.year.is_some() && rate.sex.as_deref() == sex)
            .collect::<Vec<_>>()
    };
    let mut series: Vec<(String, Vec<_>)> = [("Women", "women"), ("Men", "men")]
        .into_iter()
        .map(|(title, sex)| (title.to_owned(), yearly(Some(sex))))
        .filter(|(_, rates)| rates.len() > 1)
        .collect();
    if series.is_empty() {
        series = vec![("All".to_owned(), yearly(None))];
    }
    if series.iter().all(|(_, rates)| rates.len() > 1) {
        let description = series
            .iter()
            .flat_map(|(_, rates)| rates)
            .map(|rate| {
                format!(
                    "{}: {}",
                    rate.label,
                    fixed(rate.standardized.value.get(), 2)
                )
            })
            .collect::<Vec<_>>()
            .join("; ");
        part.figure(
            id,
            figures::rates(
                "Rates over time",
                &format!("Per {per} person-years"),
                &series,
                &description,
            ),
            "Age-standardised rates by calendar year with intervals.",
        );
    }
    let mut all = Table::new(
        "Rates",
        &[
            ("Population", false),
            ("Events", true),
            ("Person-years", true),
            ("Crude", true),
            ("Standardised", true),
        ],
    );
    let mut by_year = Table::new(
        "Rates by year",
        &[
            ("Population", false),
            ("Events", true),
            ("Person-years", true),
            ("Crude", true),
            ("Standardised", true),
        ],
    );
    for rate in &one.rates {
        let cells = vec![
            rate.label.clone(),
            whole(rate.events),
            fixed(float(rate.person_days) / 365.25, 0),
            interval(rate.crude, 2),
            interval(rate.standardized, 2),
        ];
        if rate.year.is_some() {
            by_year.row(cells)
        } else {
            all.row(cells)
        }
    }
    part.table(&all);
    let mut cells = Table::new(
        "Rates by sex and age",
        &[
            ("Population", false),
            ("Events", true),
            ("Person-years", true),
            ("Rate", true),
        ],
    );
    for cell in &one.by_sex_age {
        let name = [cell.sex.clone(), cell.age.clone()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ");
        cells.row(vec![
            if name.is_empty() {
                "all".to_owned()
            } else {
                name
            },
            whole(cell.events),
            fixed(float(cell.person_days) / 365.25, 0),
            interval(cell.rate, 2),
        ]);
    }
    part.table(&cells);
    part.folded("By calendar year", &by_year);
}

fn logistic(part: &mut Section, one: &Logistic) {
    part.p(&format!(
        "{} persons whose follow-up ended before without the outcome are left out.",
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
        let mut terms = Table::new(
            &format!("Terms: {}", model_name(model.model)),
            &[("Term", false), ("Odds ratio", true), ("p", true)],
        );
        model.terms.iter().for_each(|term| {
            terms.row(vec![
                term.label.clone(),
                ratio_interval(term.ratio),
                p(term.p_value),
            ])
        });
        part.folded(
            &format!("All terms of the model \"{}\"", model_name(model.model)),
            &terms,
        );
    }
}

fn readmission(part: &mut Section, one: &Readmission) {
    let mut table = Table::new(
        &format!("Stays followed by another within {}", days(one.days)),
        &[
            ("Stays", false),
            ("Discharges", true),
            ("Persons", true),
            ("Readmissions", true),
            ("Share", true),
        ],
    );
    for group in &one.groups {
        table.row(vec![
            group.label.clone(),
            whole(group.discharges),
            whole(group.persons),
            whole(group.readmissions),
            percent_interval(group.share),
        ]);
    }
    part.table(&table);
    part.p(&format!("{} discharges were not followed for {} and are left out. Intervals know that stays of one person are not independent.", whole(one.not_followed), days(one.days)));
}

fn controls(part: &mut Section, id: &str, one: &Controls) {
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

fn subgroups(part: &mut Section, id: &str, one: &Subgroups) {
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

fn grid(part: &mut Section, id: &str, one: &Grid) {
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

fn sql(part: &mut Section, one: &Sql) {
    let heads: Vec<(&str, bool)> = one
        .columns
        .iter()
        .map(String::as_str)
        .zip(one.numeric.iter().copied())
        .collect();
    let mut table = Table::new("Answer", &heads);
    one.rows.iter().for_each(|row| table.row(row.clone()));
    part.table(&table);
    if one.total > crate::steps::count(one.rows.len()) {
        part.p(&format!(
            "The first {} of {} rows; the table's file has all.",
            one.rows.len(),
            whole(one.total)
        ));
    }
    part.html.push_str(&format!(
        "<details><summary>The query</summary><pre>{}</pre></details>",
        escape(&one.query)
    ));
}

/// What readers must know before they believe it.
pub(super) fn limitations(spec: &Spec, found: &[Found<'_>]) -> Section {
    let mut part = Section::new("limitations", "Limitations");
    let mut items: Vec<String> = spec.limitations.clone();
    if spec
        .design
        .as_ref()
        .is_some_and(|design| design.comparator.is_some())
    {
        items.push("This is an observational comparison: confounders that were not recorded are not adjusted for.".to_owned());
    }
    items.push("Diagnoses, drugs and measurements are known as far as they were recorded; what is not recorded counts as absent.".to_owned());
    let subgroups = found.iter().any(|one| {
        matches!(
            one.analysis.kind,
            Kind::Subgroups { .. } | Kind::Sensitivity { .. }
        )
    });
    if subgroups {
        items.push("Intervals and p-values of subgroups and sensitivity analyses are not corrected for their number.".to_owned());
    }
    let list: String = items
        .iter()
        .map(|item| format!("<li>{}</li>", escape(item)))
        .collect();
    part.html = format!("<ul>{list}</ul>");
    part
}

/// What was run on which data.
pub(super) fn provenance(study: &Study, record: &RunRecord) -> Section {
    let mut part = Section::new("provenance", "Provenance");
    let facts = [
        (
            "Specification",
            study
                .path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        ),
        (
            "BLAKE3 of the specification",
            record.specification_hash.clone(),
        ),
        ("Snapshot", record.store.snapshot.to_string()),
        ("Hash of the snapshot", record.store.snapshot_hash.clone()),
        ("Software", format!("Columna {}", record.columna_version)),
        ("On behalf of", record.principal.clone()),
        (
            "Purpose",
            record
                .purpose
                .clone()
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "not stated".to_owned()),
        ),
        ("BLAKE3 of all results", record.hash()),
    ];
    let list: String = facts
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd><code>{}</code></dd>", escape(value)))
        .collect();
    part.html = format!("<dl>{list}</dl>");
    part.p("The same specification on the same snapshot with the same version gives the same bytes, this page included. Times are in run.json.");
    let mut table = Table::new(
        "Files of the steps",
        &[("Step", false), ("File", false), ("BLAKE3", false)],
    );
    for step in record
        .steps
        .iter()
        .filter(|step| matches!(step.status, StepStatus::Computed | StepStatus::Reused))
    {
        for output in &step.outputs {
            table.row(vec![
                step.name.clone(),
                output.path.clone(),
                output.blake3[..16].to_owned(),
            ]);
        }
    }
    part.folded("Every file with its hash", &table);
    part.html.push_str(&format!(
        "<details><summary>The specification</summary><pre>{}</pre></details>",
        escape(&study.text)
    ));
    part
}
