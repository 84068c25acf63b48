//! Who is in the study: attrition, table one, propensity score.

use crate::findings::{Attrition, BalanceRow, Distribution, Num, Propensity, TableOne};
use crate::report::Section;
use crate::report::figures;
use crate::report::html::Table;
use crate::report::number::{fixed, plain, ratio_interval, whole};
use crate::steps::float;

pub(super) fn attrition(part: &mut Section, id: &str, one: &Attrition) {
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

pub(super) fn table_one(part: &mut Section, one: &TableOne) {
    let numbers = "Numbers are mean (standard deviation) or persons (%).";
    let compares = one.groups.len() == 2;
    if compares {
        part.p(&format!("{numbers} SMD is the standardised mean difference; below 0.1 in size, groups count as balanced."));
    } else {
        part.p(numbers);
    }
    let title = if compares {
        "Before adjustment"
    } else {
        "Characteristics"
    };
    let mut table = Table::new(title, &[("Characteristic", false)]);
    for (group, persons) in one.groups.iter().zip(&one.persons) {
        table.head(&format!("{group} (n = {})", whole(*persons)), true);
    }
    if compares {
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
        if compares {
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

pub(super) fn propensity(part: &mut Section, id: &str, one: &Propensity) {
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
