//! Who is compared, when they are at risk, what may happen to them, how the groups are made comparable.

use columna_model::Day;
use serde::Serialize;

use super::cohorts::{Cohort, plain};
use super::decode::{Decoder, Fields, Located};
use super::words;
use crate::yaml::{Node, Value};

/// Which entry of a person counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexRule {
    /// The first.
    First,
    /// The last.
    Last,
}

/// Which observation period must hold the index date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// Any of the person's.
    Any,
    /// The person's first.
    First,
}

/// What becomes of persons in both cohorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Both {
    /// They are in the group that they entered first; who entered both on one day is left out.
    First,
    /// They are left out.
    Exclude,
}

/// A sex of OMOP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// 8507.
    Male,
    /// 8532.
    Female,
}

/// Days relative to the index date, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The first day; from the beginning of the data if not given.
    pub from: Option<i64>,
    /// The last day.
    pub to: i64,
}

/// A condition of entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Criterion {
    /// The cohort that decides.
    pub cohort: Located<String>,
    /// When its entry must lie.
    pub window: Window,
    /// What the attrition calls it.
    pub label: Option<String>,
}

/// Who is compared, or followed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Design {
    /// The cohort of interest.
    pub target: Located<String>,
    /// The cohort that it is compared with.
    pub comparator: Option<Located<String>>,
    /// Which entry is the index date.
    pub index: IndexRule,
    /// Which observation period counts.
    pub observation: Observation,
    /// Days under observation before the index date.
    pub washout: i64,
    /// Completed years at the index date, both ends included.
    pub age: Option<(i64, i64)>,
    /// Only this sex.
    pub sex: Option<Sex>,
    /// First and last index date.
    pub calendar: Option<(i32, i32)>,
    /// Who does not meet all of these is left out.
    pub require: Vec<Criterion>,
    /// Who meets one of these is left out.
    pub exclude: Vec<Criterion>,
    /// What becomes of persons in both cohorts.
    pub both: Both,
}

/// The end of the time at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskEnd {
    /// The end of the observation period.
    Observation,
    /// So many days after the index date.
    Days(i64),
    /// The end of the cohort entry, plus the grace period: as treated.
    Cohort,
}

/// What ends the time at risk beside the outcome, and is counted as an event of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Competing {
    /// Death.
    Death,
    /// Entry into a cohort.
    Cohort(Located<String>),
}

/// When persons are at risk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeAtRisk {
    /// Days after the index date on which the time at risk begins.
    pub start: i64,
    /// Its end, at the latest that of the observation period.
    pub end: RiskEnd,
    /// Days added to the end of the cohort entry.
    pub grace: i64,
    /// Entry into one of these cohorts ends the time at risk.
    pub censor_at: Vec<Located<String>>,
    /// The competing event.
    pub competing: Option<Competing>,
}

/// An outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Its name in the specification.
    pub name: String,
    /// Its name in the report.
    pub label: String,
    /// Entry into it is the event.
    pub cohort: Located<String>,
    /// Whether persons who had it before are left out.
    pub exclude_prior: bool,
    /// How many days before the time at risk that looks back; all if not given.
    pub prior_days: Option<i64>,
}

/// How the probability of treatment is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PropensityModel {
    /// Lasso for the sparse covariates, then logistic regression on what it selects and on the named ones.
    Lasso,
    /// Logistic regression on the named covariates.
    Logistic,
}

/// How the groups are made comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Weights from the score.
    Weighting,
    /// Pairs with like scores.
    Matching,
    /// Strata of like scores.
    Stratification,
}

/// Whose effect the weights ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimand {
    /// Those who could have had either: overlap weights.
    Overlap,
    /// Everybody, with stabilised weights.
    Ate,
    /// The target group.
    Att,
    /// The comparator group.
    Atc,
    /// Matching weights.
    MatchingWeights,
}

/// How the groups are made comparable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Propensity {
    /// The named covariates and demographics to use; all if not given.
    pub covariates: Option<Vec<Located<String>>>,
    /// Whether sparse covariates are used.
    pub sparse: bool,
    /// How the score is estimated.
    pub model: PropensityModel,
    /// What is done with it.
    pub method: Method,
    /// Whose effect weights ask for.
    pub estimand: Estimand,
    /// Scores outside of this are left out.
    pub trim: Option<(f64, f64)>,
    /// Comparators for each of the target group.
    pub ratio: usize,
    /// The largest difference of a pair, in standard deviations of the logit of the score.
    pub caliper: f64,
    /// How many strata.
    pub strata: usize,
    /// Folds of the cross-validation.
    pub folds: u32,
}

impl Window {
    /// Any time up to the index date.
    pub const EVER: Self = Self { from: None, to: 0 };
    /// A year up to the index date.
    pub const YEAR: Self = Self {
        from: Some(-365),
        to: 0,
    };

    /// In words.
    pub fn words(self) -> String {
        let day = |days: i64| match days {
            0 => "the index date".to_owned(),
            days if days < 0 => format!("{} days before", -days),
            days => format!("{days} days after"),
        };
        match (self.from, self.to) {
            (None, 0) => "any time up to the index date".to_owned(),
            (None, to) => format!("any time up to {}", day(to)),
            (Some(from), to) if from == to => format!("on {}", day(to)),
            (Some(from), to) => format!("from {} to {}", day(from), day(to)),
        }
    }
}

/// `any`, or `[first, last]` where the first may be `any`.
pub(super) fn window(fields: &Fields<'_>, key: &str, default: Window) -> Window {
    let Some(node) = fields.get(key) else {
        return default;
    };
    let (decoder, path) = (fields.decoder, fields.path_of(key));
    let wrong = || {
        decoder.hint(
            node.at,
            &path,
            "a window is `any`, or its first and last day relative to the index date",
            "for example [-365, 0] or [any, -1]",
        );
    };
    match &node.value {
        Value::Text(word) if word == "any" => Window::EVER,
        Value::List(ends) => match ends.as_slice() {
            [first, last] => {
                let from = match &first.value {
                    Value::Text(word) if word == "any" => None,
                    Value::Integer(from) => Some(*from),
                    _ => {
                        wrong();
                        None
                    }
                };
                let to = match &last.value {
                    Value::Integer(to) => *to,
                    _ => {
                        wrong();
                        0
                    }
                };
                if from.is_some_and(|from| from > to) {
                    decoder.note(
                        node.at,
                        &path,
                        "the first day of the window is after its last",
                    );
                }
                Window { from, to }
            }
            _ => {
                wrong();
                default
            }
        },
        _ => {
            wrong();
            default
        }
    }
}

/// A calendar day as days since 1970.
pub(super) fn day(decoder: &Decoder, node: &Node, path: &str) -> Option<i32> {
    let text = decoder.text(node, path)?;
    let parts: Vec<&str> = text.split('-').collect();
    let day = match parts.as_slice() {
        [year, month, day] => year
            .parse()
            .ok()
            .zip(month.parse().ok())
            .zip(day.parse().ok())
            .and_then(|((year, month), day)| Day::from_civil(year, month, day)),
        _ => None,
    };
    if day.is_none() {
        decoder.note(
            node.at,
            path,
            format!("`{text}` is not a day; write it as 2024-12-31"),
        );
    }
    day.map(|day| day.0)
}

/// First and last of something.
fn ends<T>(
    fields: &Fields<'_>,
    key: &str,
    read: impl Fn(&Node, &str) -> Option<T>,
) -> Option<(T, T)> {
    let node = fields.get(key)?;
    let path = fields.path_of(key);
    match &node.value {
        Value::List(list) if list.len() == 2 => {
            Some((read(&list[0], &path)?, read(&list[1], &path)?))
        }
        _ => {
            fields.decoder.note(
                node.at,
                &path,
                "a list of two is expected: the first and the last",
            );
            None
        }
    }
}

pub(super) fn calendar(fields: &Fields<'_>) -> Option<(i32, i32)> {
    ends(fields, "calendar", |node, path| {
        day(fields.decoder, node, path)
    })
}

fn criteria(fields: &Fields<'_>, key: &str) -> Vec<Criterion> {
    let Some(node) = fields.get(key) else {
        return Vec::new();
    };
    let decoder = fields.decoder;
    let path = fields.path_of(key);
    let mut found = Vec::new();
    for (number, node) in decoder.list(node).iter().enumerate() {
        let path = format!("{path}[{}]", number + 1);
        if let Value::Text(_) = node.value {
            if let Some(cohort) = decoder.located(node, &path) {
                found.push(Criterion {
                    cohort,
                    window: Window::EVER,
                    label: None,
                });
            }
            continue;
        }
        let Some(fields) = decoder.fields(node, &path, words::CRITERION) else {
            continue;
        };
        fields.require("cohort");
        if let Some(cohort) = fields.located("cohort") {
            found.push(Criterion {
                cohort,
                window: window(&fields, "window", Window::EVER),
                label: fields.text("label"),
            });
        }
    }
    found
}

pub(super) fn design(decoder: &Decoder, node: &Node) -> Option<Design> {
    let fields = decoder.fields(node, "design", words::DESIGN)?;
    fields.require("target");
    Some(Design {
        target: fields.located("target")?,
        comparator: fields.located("comparator"),
        index: fields.word(
            "index",
            IndexRule::First,
            &[("first", IndexRule::First), ("last", IndexRule::Last)],
        ),
        observation: fields.word(
            "observation",
            Observation::Any,
            &[("any", Observation::Any), ("first", Observation::First)],
        ),
        washout: fields.days("washout", 365, 0),
        age: ends(&fields, "age", |node, path| decoder.integer(node, path)),
        sex: fields.get("sex").and_then(|node| {
            fields.word_of(
                node,
                "design.sex",
                &[("male", Sex::Male), ("female", Sex::Female)],
            )
        }),
        calendar: calendar(&fields),
        require: criteria(&fields, "require"),
        exclude: criteria(&fields, "exclude"),
        both: fields.word(
            "both",
            Both::First,
            &[("first", Both::First), ("exclude", Both::Exclude)],
        ),
    })
}

pub(super) fn time_at_risk(decoder: &Decoder, node: Option<&Node>) -> TimeAtRisk {
    let mut risk = TimeAtRisk {
        start: 1,
        end: RiskEnd::Observation,
        grace: 0,
        censor_at: Vec::new(),
        competing: Some(Competing::Death),
    };
    let Some(fields) =
        node.and_then(|node| decoder.fields(node, "time_at_risk", words::TIME_AT_RISK))
    else {
        return risk;
    };
    risk.start = fields.days("start", 1, 0);
    risk.grace = fields.days("grace", 0, 0);
    risk.censor_at = fields.located_list("censor_at");
    if let Some(node) = fields.get("end") {
        risk.end = risk_end(&fields, node, "time_at_risk.end").unwrap_or(risk.end);
    }
    if let Some(node) = fields.get("competing") {
        risk.competing = match decoder.located(node, "time_at_risk.competing") {
            Some(word) if word.value == "none" => None,
            Some(word) if word.value == "death" => Some(Competing::Death),
            Some(word) => Some(Competing::Cohort(word)),
            None => None,
        };
    }
    risk
}

pub(super) fn risk_end(fields: &Fields<'_>, node: &Node, path: &str) -> Option<RiskEnd> {
    match &node.value {
        Value::Integer(days) if *days > 0 => Some(RiskEnd::Days(*days)),
        Value::Integer(_) => {
            fields
                .decoder
                .note(node.at, path, "a number of days from 1 on is expected here");
            None
        }
        _ => fields.word_of(
            node,
            path,
            &[
                ("observation_end", RiskEnd::Observation),
                ("cohort_end", RiskEnd::Cohort),
            ],
        ),
    }
}

pub(super) fn outcomes(
    decoder: &Decoder,
    node: Option<&Node>,
    key: &str,
    cohorts: &[Cohort],
) -> Vec<Outcome> {
    // Unless it has a label of its own, an outcome is called as its cohort is.
    let label = |name: &str, cohort: &str| {
        let cohort = cohorts.iter().find(|one| one.name == cohort);
        cohort.map_or_else(|| plain(name), |one| one.label.clone())
    };
    let Some(entries) = node.and_then(|node| decoder.entries(node, key)) else {
        return Vec::new();
    };
    let mut outcomes = Vec::new();
    for (name, node) in entries {
        let path = format!("{key}.{}", name.name);
        let known = decoder.name(name, &path);
        if let Value::Text(_) = node.value {
            if let Some(cohort) = decoder.located(node, &path) {
                outcomes.push(Outcome {
                    label: label(&known, &cohort.value),
                    name: known,
                    cohort,
                    exclude_prior: true,
                    prior_days: None,
                });
            }
            continue;
        }
        let Some(fields) = decoder.fields(node, &path, words::OUTCOME) else {
            continue;
        };
        // An outcome is most often the cohort of its own name.
        let cohort = fields.located("cohort").unwrap_or(Located {
            value: known.clone(),
            at: name.at,
            path: path.clone(),
        });
        outcomes.push(Outcome {
            label: fields
                .text("label")
                .unwrap_or_else(|| label(&known, &cohort.value)),
            name: known,
            cohort,
            exclude_prior: fields.word("prior", true, &[("exclude", true), ("allow", false)]),
            prior_days: fields
                .get("prior_days")
                .map(|_| fields.days("prior_days", 0, 1)),
        });
    }
    outcomes
}

pub(super) const METHODS: [(&str, Method); 3] = [
    ("weighting", Method::Weighting),
    ("matching", Method::Matching),
    ("stratification", Method::Stratification),
];
pub(super) const ESTIMANDS: [(&str, Estimand); 5] = [
    ("overlap", Estimand::Overlap),
    ("ate", Estimand::Ate),
    ("att", Estimand::Att),
    ("atc", Estimand::Atc),
    ("matching_weights", Estimand::MatchingWeights),
];

pub(super) fn propensity(decoder: &Decoder, node: Option<&Node>, sparse: bool) -> Propensity {
    let empty = Node {
        value: Value::Null,
        at: crate::problem::Spot::default(),
    };
    let found = decoder.fields(node.unwrap_or(&empty), "propensity", words::PROPENSITY);
    let default = |sparse: bool| Propensity {
        covariates: None,
        sparse,
        model: if sparse {
            PropensityModel::Lasso
        } else {
            PropensityModel::Logistic
        },
        method: Method::Weighting,
        estimand: Estimand::Overlap,
        trim: None,
        ratio: 1,
        caliper: 0.2,
        strata: 5,
        folds: 5,
    };
    let Some(fields) = found else {
        return default(sparse);
    };
    let sparse = sparse && fields.flag("sparse", true);
    let defaults = default(sparse);
    Propensity {
        covariates: fields
            .get("covariates")
            .map(|_| fields.located_list("covariates")),
        sparse,
        model: fields.word(
            "model",
            defaults.model,
            &[
                ("lasso", PropensityModel::Lasso),
                ("logistic", PropensityModel::Logistic),
            ],
        ),
        method: fields.word("method", defaults.method, &METHODS),
        estimand: fields.word("estimand", defaults.estimand, &ESTIMANDS),
        trim: ends(&fields, "trim", |node, path| decoder.number(node, path)),
        ratio: usize::try_from(fields.days("ratio", 1, 1)).unwrap_or(1),
        caliper: fields.number_in("caliper", defaults.caliper, 0.0, 10.0),
        strata: usize::try_from(fields.days("strata", 5, 2))
            .unwrap_or(5)
            .min(100),
        folds: u32::try_from(fields.days("folds", 5, 2))
            .unwrap_or(5)
            .min(50),
    }
}
