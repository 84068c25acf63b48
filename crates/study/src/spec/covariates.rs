//! What is known of persons at their index date.

use serde::Serialize;

use super::cohorts::{ConceptSet, Domain, Sets, concepts, given, ids, plain, records};
use super::decode::{Decoder, Fields, Located};
use super::design::{Window, window};
use super::words;
use crate::yaml::{Node, Value};

/// What every person has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Demographic {
    /// Completed years at the index date.
    Age,
    /// Male sex.
    Sex,
    /// The calendar year of the index date.
    IndexYear,
}

/// A comorbidity index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comorbidity {
    /// Charlson's, by concepts, with the weights of 1987.
    Charlson,
    /// Elixhauser's, by the source's ICD-10 codes, with van Walraven's weights.
    Elixhauser,
}

/// What a named covariate is made from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CovariateSource {
    /// Records of a domain.
    Records(Domain, ConceptSet),
    /// Entry into a cohort.
    Cohort(Located<String>),
    /// A comorbidity index.
    Index(Comorbidity),
    /// A sum of weights of conditions.
    Score(Vec<(ConceptSet, f64)>),
    /// A query with the columns `person_id` and `value`.
    Sql(String),
}

/// Which number the records in the window give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// 1 if there is one.
    Any,
    /// How many there are.
    Count,
    /// The last value.
    Last,
    /// Their mean.
    Mean,
    /// The lowest value.
    Min,
    /// The highest value.
    Max,
}

/// What stands for a value that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The mean of the others, with an indicator of its own.
    Indicator,
    /// The mean of the others.
    Mean,
    /// The person is left out of models.
    Drop,
    /// Zero.
    Zero,
}

/// A covariate by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Covariate {
    /// Its name in the specification.
    pub name: String,
    /// Its name in the report.
    pub label: String,
    /// The unit of its values.
    pub unit: Option<String>,
    /// What it is made from.
    pub source: CovariateSource,
    /// When.
    pub window: Window,
    /// How.
    pub value: Measure,
    /// What stands for a missing value.
    pub missing: Missing,
}

/// Thousands of covariates at once: every concept that is recorded in a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sparse {
    /// Kinds of records.
    pub domains: Vec<Domain>,
    /// When.
    pub window: Window,
    /// Whether what stands above a recorded concept in the hierarchy counts as recorded.
    pub hierarchy: bool,
    /// Concepts recorded of fewer persons are left out.
    pub min_persons: usize,
    /// Concepts that are left out with everything below them.
    pub exclude: Vec<i64>,
}

/// All covariates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Covariates {
    /// What every person has.
    pub demographics: Vec<Demographic>,
    /// By name.
    pub named: Vec<Covariate>,
    /// By the thousand.
    pub sparse: Option<Sparse>,
}

impl Demographic {
    /// All of them.
    pub const ALL: [(&'static str, Self); 3] = [
        ("age", Self::Age),
        ("sex", Self::Sex),
        ("index_year", Self::IndexYear),
    ];

    /// Its name in a specification.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, one)| *one == self)
            .map_or("", |(name, _)| name)
    }

    /// Its name in a report.
    pub fn label(self) -> &'static str {
        match self {
            Self::Age => "Age",
            Self::Sex => "Male sex",
            Self::IndexYear => "Year of index date",
        }
    }
}

impl Sparse {
    /// What is used where nothing is said.
    pub fn standard() -> Self {
        Self {
            domains: vec![Domain::Condition, Domain::Drug, Domain::Procedure],
            window: Window::YEAR,
            hierarchy: true,
            min_persons: 25,
            exclude: Vec::new(),
        }
    }
}

pub(super) fn covariates(decoder: &Decoder, node: Option<&Node>, sets: &Sets) -> Covariates {
    let all: Vec<Demographic> = Demographic::ALL.iter().map(|(_, one)| *one).collect();
    let fields = node.and_then(|node| decoder.fields(node, "covariates", words::COVARIATES));
    let Some(fields) = fields else {
        return Covariates {
            demographics: all,
            named: Vec::new(),
            sparse: Some(Sparse::standard()),
        };
    };
    let demographics = fields.get("demographics").map_or(all, |node| {
        decoder
            .list(node)
            .iter()
            .filter_map(|node| fields.word_of(node, "covariates.demographics", &Demographic::ALL))
            .collect()
    });
    let named = fields
        .get("named")
        .and_then(|node| decoder.entries(node, "covariates.named"))
        .unwrap_or_default()
        .iter()
        .filter_map(|(key, node)| {
            let path = format!("covariates.named.{}", key.name);
            let name = decoder.name(key, &path);
            if Demographic::ALL.iter().any(|(taken, _)| *taken == name) || name == "target" {
                decoder.note(
                    key.at,
                    &path,
                    format!("`{name}` is taken; choose another name"),
                );
            }
            covariate(&decoder.fields(node, &path, words::COVARIATE)?, name, sets)
        })
        .collect();
    Covariates {
        demographics,
        named,
        sparse: sparse(&fields),
    }
}

fn covariate(fields: &Fields<'_>, name: String, sets: &Sets) -> Option<Covariate> {
    const SOURCES: [&str; 11] = [
        "condition",
        "drug",
        "procedure",
        "measurement",
        "observation",
        "device",
        "visit",
        "cohort",
        "index",
        "score",
        "sql",
    ];
    let decoder = fields.decoder;
    let given = given(fields, &SOURCES);
    let [kind] = given.as_slice() else {
        let message = if given.is_empty() {
            "a covariate needs a source".to_owned()
        } else {
            format!(
                "a covariate has one source; here are {}",
                given.join(" and ")
            )
        };
        decoder.hint(
            fields.at,
            &fields.path,
            message,
            format!("one of: {}", SOURCES.join(", ")),
        );
        return None;
    };
    let source = match *kind {
        "cohort" => CovariateSource::Cohort(fields.located("cohort")?),
        "index" => fields
            .word_of(
                fields.get("index")?,
                &fields.path_of("index"),
                &[
                    ("charlson", Comorbidity::Charlson),
                    ("elixhauser", Comorbidity::Elixhauser),
                ],
            )
            .map(CovariateSource::Index)?,
        "score" => score(fields, sets)?,
        "sql" => CovariateSource::Sql(fields.text("sql")?),
        _ => {
            let (domain, concepts) = records(fields, sets)?;
            CovariateSource::Records(domain, concepts)
        }
    };
    let numeric = matches!(
        source,
        CovariateSource::Records(Domain::Measurement | Domain::Observation, _)
    );
    let (value, everything_else) = if numeric {
        (Measure::Last, Missing::Indicator)
    } else {
        (Measure::Any, Missing::Zero)
    };
    let value = fields.word(
        "value",
        value,
        &[
            ("any", Measure::Any),
            ("count", Measure::Count),
            ("last", Measure::Last),
            ("mean", Measure::Mean),
            ("min", Measure::Min),
            ("max", Measure::Max),
        ],
    );
    let of_values = matches!(
        value,
        Measure::Last | Measure::Mean | Measure::Min | Measure::Max
    );
    if of_values && !numeric && !matches!(source, CovariateSource::Sql(_)) {
        decoder.hint(
            fields.at,
            &fields.path,
            "only measurements and observations have values",
            "use `value: any` or `value: count`",
        );
    }
    let missing = match (&source, of_values) {
        (CovariateSource::Sql(_), _) => Missing::Indicator,
        (_, true) => Missing::Indicator,
        _ => everything_else,
    };
    Some(Covariate {
        label: fields.text("label").unwrap_or_else(|| plain(&name)),
        unit: fields.text("unit"),
        name,
        window: window(
            fields,
            "window",
            if of_values {
                Window::YEAR
            } else {
                Window::EVER
            },
        ),
        value,
        missing: fields.word(
            "missing",
            if of_values || matches!(source, CovariateSource::Sql(_)) {
                missing
            } else {
                Missing::Zero
            },
            &[
                ("indicator", Missing::Indicator),
                ("mean", Missing::Mean),
                ("drop", Missing::Drop),
                ("zero", Missing::Zero),
            ],
        ),
        source,
    })
}

fn score(fields: &Fields<'_>, sets: &Sets) -> Option<CovariateSource> {
    let decoder = fields.decoder;
    let node = fields.get("score")?;
    let mut items = Vec::new();
    for (number, node) in decoder.list(node).iter().enumerate() {
        let path = format!("{}[{}]", fields.path_of("score"), number + 1);
        let item = decoder.fields(node, &path, words::SCORE)?;
        let set = concepts(
            decoder,
            item.require("condition")?,
            &item.path_of("condition"),
            sets,
        )?;
        items.push((set, item.number_in("weight", 1.0, -1000.0, 1000.0)));
    }
    Some(CovariateSource::Score(items))
}

fn sparse(fields: &Fields<'_>) -> Option<Sparse> {
    let decoder = fields.decoder;
    let node = match fields.get("sparse") {
        None => return Some(Sparse::standard()),
        Some(Node {
            value: Value::Bool(wanted),
            ..
        }) => return wanted.then(Sparse::standard),
        Some(node) => node,
    };
    let fields = decoder.fields(node, "covariates.sparse", words::SPARSE)?;
    let standard = Sparse::standard();
    Some(Sparse {
        domains: fields.get("domains").map_or(standard.domains, |node| {
            decoder
                .list(node)
                .iter()
                .filter_map(|node| fields.word_of(node, "covariates.sparse.domains", &Domain::ALL))
                .collect()
        }),
        window: window(&fields, "window", standard.window),
        hierarchy: fields.flag("hierarchy", true),
        min_persons: usize::try_from(fields.days("min_persons", 25, 1)).unwrap_or(25),
        exclude: ids(&fields, "exclude", false),
    })
}
