//! Concept sets and cohorts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::decode::{Decoder, Fields};
use super::words;
use crate::problem::nearest;
use crate::yaml::{Node, Value};

/// Concepts, most often with everything below them in the hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConceptSet {
    /// The concepts.
    pub concepts: Vec<i64>,
    /// Whether what is below them belongs to the set.
    pub descendants: bool,
    /// Concepts that are left out, with everything below them.
    pub exclude: Vec<i64>,
}

/// Where records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// `condition_occurrence`.
    Condition,
    /// `drug_exposure`.
    Drug,
    /// `procedure_occurrence`.
    Procedure,
    /// `measurement`.
    Measurement,
    /// `observation`.
    Observation,
    /// `device_exposure`.
    Device,
    /// `visit_occurrence`.
    Visit,
}

impl Domain {
    /// All of them.
    pub const ALL: [(&'static str, Self); 7] = [
        ("condition", Self::Condition),
        ("drug", Self::Drug),
        ("procedure", Self::Procedure),
        ("measurement", Self::Measurement),
        ("observation", Self::Observation),
        ("device", Self::Device),
        ("visit", Self::Visit),
    ];

    /// Its name in a specification.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, domain)| *domain == self)
            .map_or("", |(name, _)| name)
    }

    /// Table, concept column, start and end of a record, primary key.
    pub fn columns(
        self,
    ) -> (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    ) {
        match self {
            Self::Condition => (
                "condition_occurrence",
                "condition_concept_id",
                "condition_start_date",
                "condition_end_date",
                "condition_occurrence_id",
            ),
            Self::Drug => (
                "drug_exposure",
                "drug_concept_id",
                "drug_exposure_start_date",
                "drug_exposure_end_date",
                "drug_exposure_id",
            ),
            Self::Procedure => (
                "procedure_occurrence",
                "procedure_concept_id",
                "procedure_date",
                "procedure_date",
                "procedure_occurrence_id",
            ),
            Self::Measurement => (
                "measurement",
                "measurement_concept_id",
                "measurement_date",
                "measurement_date",
                "measurement_id",
            ),
            Self::Observation => (
                "observation",
                "observation_concept_id",
                "observation_date",
                "observation_date",
                "observation_id",
            ),
            Self::Device => (
                "device_exposure",
                "device_concept_id",
                "device_exposure_start_date",
                "device_exposure_end_date",
                "device_exposure_id",
            ),
            Self::Visit => (
                "visit_occurrence",
                "visit_concept_id",
                "visit_start_date",
                "visit_end_date",
                "visit_occurrence_id",
            ),
        }
    }
}

/// Where a cohort comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// One entry for each record; with `gap`, records at most so many days apart are one entry.
    Records {
        /// The kind of record.
        domain: Domain,
        /// What is recorded.
        concepts: ConceptSet,
        /// Days between records of one entry.
        gap: Option<i64>,
    },
    /// Deaths.
    Death,
    /// A query with the columns `person_id` (or `subject_id`), `start_date` and, if known, `end_date`.
    Sql(String),
    /// A cohort definition of OHDSI's: its path, and the file's hash.
    Definition {
        /// Relative to the specification.
        path: String,
        /// BLAKE3 of the file.
        hash: String,
    },
    /// A cohort of another run.
    Run {
        /// The run folder, relative to the specification.
        path: String,
        /// The cohort's name there.
        cohort: String,
        /// BLAKE3 of its table.
        hash: String,
    },
}

/// A set of persons with the dates on which they enter and leave it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cohort {
    /// Its name in the specification.
    pub name: String,
    /// Its name in the report.
    pub label: String,
    /// Where it comes from.
    pub source: Source,
}

/// The concept sets of a file, by name.
pub(super) type Sets = BTreeMap<String, ConceptSet>;

pub(super) fn sets(decoder: &Decoder, node: Option<&Node>) -> Sets {
    let mut sets = Sets::new();
    let Some(entries) = node.and_then(|node| decoder.entries(node, "concept_sets")) else {
        return sets;
    };
    for (key, node) in entries {
        let path = format!("concept_sets.{}", key.name);
        let name = decoder.name(key, &path);
        if let Some(set) = concepts(decoder, node, &path, &Sets::new()) {
            sets.insert(name, set);
        }
    }
    sets
}

/// A set by name, one concept, a list of concepts, or a set in full.
pub(super) fn concepts(
    decoder: &Decoder,
    node: &Node,
    path: &str,
    sets: &Sets,
) -> Option<ConceptSet> {
    match &node.value {
        Value::Text(name) => {
            let found = sets.get(name).cloned();
            if found.is_none() {
                let hint = nearest(name, sets.keys().map(String::as_str)).map_or_else(
                    || "name it under `concept_sets`, or give concept ids here".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                decoder.hint(
                    node.at,
                    path,
                    format!("there is no concept set `{name}`"),
                    hint,
                );
            }
            found
        }
        Value::Map(_) => {
            let fields = decoder.fields(node, path, words::CONCEPT_SET)?;
            Some(ConceptSet {
                concepts: ids(&fields, "concepts", true),
                descendants: fields.flag("descendants", true),
                exclude: ids(&fields, "exclude", false),
            })
        }
        _ => {
            let concepts: Vec<i64> = decoder
                .list(node)
                .iter()
                .filter_map(|node| concept(decoder, node, path))
                .collect();
            if concepts.is_empty() {
                decoder.note(node.at, path, "no concept is given");
                return None;
            }
            Some(ConceptSet {
                concepts,
                descendants: true,
                exclude: Vec::new(),
            })
        }
    }
}

fn concept(decoder: &Decoder, node: &Node, path: &str) -> Option<i64> {
    let id = decoder.integer(node, path)?;
    if id < 0 {
        decoder.note(node.at, path, "a concept id is a whole number from 0 on");
        return None;
    }
    Some(id)
}

pub(super) fn ids(fields: &Fields<'_>, key: &str, required: bool) -> Vec<i64> {
    let node = if required {
        fields.require(key)
    } else {
        fields.get(key)
    };
    let Some(node) = node else { return Vec::new() };
    let path = fields.path_of(key);
    fields
        .decoder
        .list(node)
        .iter()
        .filter_map(|node| concept(fields.decoder, node, &path))
        .collect()
}

/// The records that a mapping asks for, if it names a domain.
pub(super) fn records(fields: &Fields<'_>, sets: &Sets) -> Option<(Domain, ConceptSet)> {
    let (name, domain, node) = Domain::ALL
        .iter()
        .find_map(|(name, domain)| fields.get(name).map(|node| (*name, *domain, node)))?;
    Some((
        domain,
        concepts(fields.decoder, node, &fields.path_of(name), sets).unwrap_or_default(),
    ))
}

/// Which of these fields are given.
pub(super) fn given<'a>(fields: &Fields<'_>, names: &[&'a str]) -> Vec<&'a str> {
    names
        .iter()
        .filter(|name| fields.get(name).is_some())
        .copied()
        .collect()
}

pub(super) fn cohorts(
    decoder: &Decoder,
    node: Option<&Node>,
    sets: &Sets,
    files: &mut super::load::Files,
) -> Vec<Cohort> {
    let Some(entries) = node.and_then(|node| decoder.entries(node, "cohorts")) else {
        return Vec::new();
    };
    let mut cohorts = Vec::new();
    for (key, node) in entries {
        let path = format!("cohorts.{}", key.name);
        let name = decoder.name(key, &path);
        let Some(fields) = decoder.fields(node, &path, words::COHORT) else {
            continue;
        };
        if let Some(source) = source(&fields, sets, files) {
            cohorts.push(Cohort {
                label: fields.text("label").unwrap_or_else(|| plain(&name)),
                name,
                source,
            });
        }
    }
    cohorts
}

/// A name as words.
pub(crate) fn plain(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn source(fields: &Fields<'_>, sets: &Sets, files: &mut super::load::Files) -> Option<Source> {
    const SOURCES: [&str; 12] = [
        "condition",
        "drug",
        "procedure",
        "measurement",
        "observation",
        "device",
        "visit",
        "death",
        "sql",
        "sql_file",
        "definition",
        "run",
    ];
    let decoder = fields.decoder;
    let given = given(fields, &SOURCES);
    let [kind] = given.as_slice() else {
        let message = if given.is_empty() {
            "a cohort needs a source".to_owned()
        } else {
            format!("a cohort has one source; here are {}", given.join(" and "))
        };
        decoder.hint(
            fields.at,
            &fields.path,
            message,
            format!("one of: {}", SOURCES.join(", ")),
        );
        return None;
    };
    let path = fields.path_of(kind);
    Some(match *kind {
        "death" => Source::Death,
        "sql" => Source::Sql(fields.text("sql")?),
        "sql_file" => {
            let file = fields.located("sql_file")?;
            Source::Sql(files.text(decoder, &file)?)
        }
        "definition" => {
            let file = fields.located("definition")?;
            let hash = files.hash(decoder, &file)?;
            Source::Definition {
                path: file.value,
                hash,
            }
        }
        "run" => {
            let folder = fields.located("run")?;
            let cohort = fields.located("cohort").or_else(|| {
                decoder.hint(
                    folder.at,
                    &path,
                    "which cohort of that run?",
                    "add `cohort: NAME`",
                );
                None
            })?;
            let table = super::Located {
                value: format!(
                    "{}/work/cohort-{}.parquet",
                    folder.value.trim_end_matches('/'),
                    cohort.value
                ),
                at: cohort.at,
                path,
            };
            let hash = files.hash(decoder, &table)?;
            Source::Run {
                path: folder.value,
                cohort: cohort.value,
                hash,
            }
        }
        _ => {
            let (domain, concepts) = records(fields, sets)?;
            Source::Records {
                domain,
                concepts,
                gap: fields.get("gap").map(|_| fields.days("gap", 0, 0)),
            }
        }
    })
}
