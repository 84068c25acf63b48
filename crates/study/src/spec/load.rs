//! Reading a specification and the files that it names.

use std::fs;
use std::path::{Path, PathBuf};

use super::cohorts::{cohorts, sets};
use super::covariates::covariates;
use super::decode::{Decoder, Located};
use super::design::{design, outcomes, propensity, time_at_risk};
use super::listed::{Context, analyses};
use super::references::check;
use super::{Outputs, Spec, words};
use crate::error::{Error, Result};
use crate::problem::Problem;
use crate::yaml;

/// A specification and where it came from.
#[derive(Debug, Clone)]
pub struct Study {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// BLAKE3 of the text.
    pub hash: String,
    /// What it asks for.
    pub spec: Spec,
}

impl Study {
    /// Reads a specification. All mistakes in it are found at once.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if it cannot be read; [`Error::Specification`] with everything that is wrong in it.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, text)
    }

    /// The same from a text; files that it names are looked for beside `path`.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn parse(path: &Path, text: String) -> Result<Self> {
        let wrong = |problems| Error::Specification {
            path: path.to_owned(),
            text: text.clone(),
            problems,
        };
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        match spec(&text, folder) {
            Ok(spec) => Ok(Self {
                path: path.to_owned(),
                hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
                spec,
                text,
            }),
            Err(problems) => Err(wrong(problems)),
        }
    }

    /// The folder that relative paths of the specification start from.
    pub fn folder(&self) -> PathBuf {
        self.path
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default()
    }
}

/// Files that a specification names, relative to its folder.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn text(&mut self, decoder: &Decoder, file: &Located<String>) -> Option<String> {
        let text = fs::read_to_string(self.folder.join(&file.value));
        if let Err(error) = &text {
            decoder.note(
                file.at,
                &file.path,
                format!("cannot read `{}`: {}", file.value, reason(error)),
            );
        }
        text.ok()
    }

    pub(super) fn hash(&mut self, decoder: &Decoder, file: &Located<String>) -> Option<String> {
        let bytes = fs::read(self.folder.join(&file.value));
        if let Err(error) = &bytes {
            decoder.note(
                file.at,
                &file.path,
                format!("cannot read `{}`: {}", file.value, reason(error)),
            );
        }
        Some(blake3::hash(&bytes.ok()?).to_hex().to_string())
    }
}

fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn spec(text: &str, folder: PathBuf) -> Result<Spec, Vec<Problem>> {
    let tree = yaml::parse(text).map_err(|problem| vec![problem])?;
    let decoder = Decoder::default();
    let Some(fields) = decoder.fields(&tree, "", words::STUDY) else {
        return Err(decoder.into_problems());
    };
    let mut files = Files { folder };
    let sets = sets(&decoder, fields.get("concept_sets"));
    let cohorts = cohorts(&decoder, fields.get("cohorts"), &sets, &mut files);
    let design = fields.get("design").and_then(|node| design(&decoder, node));
    let time_at_risk = time_at_risk(&decoder, fields.get("time_at_risk"));
    let outcomes_found = outcomes(&decoder, fields.get("outcomes"), "outcomes", &cohorts);
    let negative_controls = outcomes(
        &decoder,
        fields.get("negative_controls"),
        "negative_controls",
        &cohorts,
    );
    let covariates = covariates(&decoder, fields.get("covariates"), &sets);
    let propensity = propensity(
        &decoder,
        fields.get("propensity"),
        covariates.sparse.is_some(),
    );
    let context = Context {
        sets: &sets,
        primary: outcomes_found.first().map(|outcome| Located {
            value: outcome.name.clone(),
            at: outcome.cohort.at,
            path: outcome.cohort.path.clone(),
        }),
        compares: design
            .as_ref()
            .is_some_and(|design| design.comparator.is_some()),
        designed: design.is_some(),
        controls: !negative_controls.is_empty(),
        competes: time_at_risk.competing.is_some(),
        adjusts: !covariates.named.is_empty() || !covariates.demographics.is_empty(),
    };
    let analyses = analyses(&decoder, fields.get("analyses"), &context, &mut files);
    if analyses.is_empty() && fields.get("design").is_none() {
        decoder.hint(
            tree.at,
            "",
            "this study computes nothing",
            "give it a `design`, or list what to compute under `analyses`",
        );
    }
    let spec = Spec {
        title: fields.required_text("title"),
        question: fields.required_text("question"),
        population: fields.text("population"),
        authors: fields.texts("authors"),
        limitations: fields.texts("limitations"),
        confidence: fields.number_in("confidence", 0.95, 0.5, 0.9999),
        cohorts,
        design,
        time_at_risk,
        outcomes: outcomes_found,
        negative_controls,
        covariates,
        propensity,
        analyses,
        outputs: outputs(&decoder, fields.get("outputs")),
    };
    check(&decoder, &spec);
    let problems = decoder.into_problems();
    if problems.is_empty() {
        Ok(spec)
    } else {
        Err(problems)
    }
}

fn outputs(decoder: &Decoder, node: Option<&yaml::Node>) -> Outputs {
    let mut outputs = Outputs {
        parquet: true,
        csv: true,
        svg: true,
        report: true,
    };
    let Some(fields) = node.and_then(|node| decoder.fields(node, "outputs", words::OUTPUTS)) else {
        return outputs;
    };
    if let Some(node) = fields.get("tables") {
        (outputs.parquet, outputs.csv) = (false, false);
        for node in decoder.list(node) {
            match fields.word_of(node, "outputs.tables", &[("parquet", true), ("csv", false)]) {
                Some(true) => outputs.parquet = true,
                Some(false) => outputs.csv = true,
                None => {}
            }
        }
    }
    outputs.svg = fields.flag("figures", true);
    outputs.report = fields.flag("report", true);
    outputs
}
