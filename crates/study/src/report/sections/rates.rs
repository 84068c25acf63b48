//! Rates: incidence in the study and in the population, readmission.

use super::lower;
use crate::findings::{Incidence, Rates, Readmission};
use crate::report::Section;
use crate::report::figures;
use crate::report::html::Table;
use crate::report::number::{
    days, fixed, interval, p_words, percent_interval, plain, ratio_interval, whole, years,
};

pub(super) fn incidence(part: &mut Section, one: &Incidence) {
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
            years(arm.person_days),
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

pub(super) fn rates(part: &mut Section, id: &str, one: &Rates) {
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
            years(rate.person_days),
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
    let parts: Vec<&str> = [
        (one.by_sex_age.iter().any(|cell| cell.sex.is_some()), "sex"),
        (one.by_sex_age.iter().any(|cell| cell.age.is_some()), "age"),
    ]
    .into_iter()
    .filter_map(|(is, name)| is.then_some(name))
    .collect();
    let title = if parts.is_empty() {
        "Rate".to_owned()
    } else {
        format!("Rates by {}", parts.join(" and "))
    };
    let mut cells = Table::new(
        &title,
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
            years(cell.person_days),
            interval(cell.rate, 2),
        ]);
    }
    part.table(&cells);
    part.folded("By calendar year", &by_year);
}

pub(super) fn readmission(part: &mut Section, one: &Readmission) {
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
