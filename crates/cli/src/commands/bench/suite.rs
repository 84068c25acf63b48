//! The questions, and which of them are meant.

use std::fs;
use std::path::MAIN_SEPARATOR;

use glob::Pattern;

use crate::error::CliError;

/// A question in SQL.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The file's name, without its ending.
    pub(super) name: String,
    pub(super) sql: String,
}

macro_rules! questions {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../../../benches/queries/", $name, ".sql")))),*]
    };
}

/// The suite, in the order of `benches/queries/`.
const SUITE: &[(&str, &str)] = &questions![
    "01_population_pyramid",
    "02_top_conditions",
    "03_prevalence",
    "04_new_users",
    "05_readmission",
    "06_return_visits",
    "07_length_of_stay",
    "08_last_value_before_index",
    "09_incidence",
    "10_comorbidity_score",
    "11_drug_eras_one_class",
    "12_drug_eras_all",
    "13_co_medication",
    "14_measurement_quartiles",
    "15_survival_extract",
    "16_kaplan_meier_sql",
    "17_feature_matrix",
    "18_patient_timeline",
    "19_wide_filter",
    "20_persons_by_month",
    "21_funnel",
    "22_event_sequences",
    "23_calendar_rates",
    "24_latest_measurement",
    "25_drugs_of_visits",
    "26_measured_on_the_day",
    "27_persons_by_ingredient",
    "28_change_since_last",
    "29_never_treated",
    "30_events_per_person_year",
];

/// The questions that a pattern means: by name those of the suite, by path files.
///
/// # Errors
///
/// When it is no pattern, means nothing, or a file can't be read.
pub(super) fn chosen(pattern: &str) -> Result<Vec<Question>, CliError> {
    let is_path = pattern.contains(['/', MAIN_SEPARATOR]) || pattern.ends_with(".sql");
    let questions = if is_path {
        files(pattern)?
    } else {
        named(pattern)?
    };
    if questions.is_empty() {
        let hint =
            "the suite's questions are called 01_population_pyramid to 30_events_per_person_year";
        return Err(CliError::failed(format!("no question matches `{pattern}`")).hint(hint));
    }
    Ok(questions)
}

fn named(pattern: &str) -> Result<Vec<Question>, CliError> {
    let matcher = Pattern::new(pattern).map_err(|error| no_pattern(pattern, &error))?;
    let meant = SUITE.iter().filter(|(name, _)| matcher.matches(name));
    Ok(meant
        .map(|(name, sql)| Question {
            name: (*name).to_owned(),
            sql: (*sql).to_owned(),
        })
        .collect())
}

fn files(pattern: &str) -> Result<Vec<Question>, CliError> {
    let paths = glob::glob(pattern).map_err(|error| no_pattern(pattern, &error))?;
    let mut questions = Vec::new();
    for path in paths {
        let path = path.map_err(|error| CliError::failed(error.to_string()))?;
        let sql = fs::read_to_string(&path)
            .map_err(|error| CliError::io("read", path.display(), &error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        questions.push(Question {
            name: name.into_owned(),
            sql,
        });
    }
    Ok(questions)
}

fn no_pattern(pattern: &str, error: &glob::PatternError) -> CliError {
    CliError::failed(format!("`{pattern}` is no pattern: {error}"))
}
