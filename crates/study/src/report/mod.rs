//! The report: one HTML file that needs nothing else.

mod figures;
mod html;
use figures::escape as figures_escape;
mod methods;
pub(crate) mod number;
mod sections;
mod summary;

pub(crate) use sections::lower;

use std::fs;
use std::path::{Path, PathBuf};

use askama::Template;

use crate::error::{Error, Result};
use crate::findings::Finding;
use crate::frame::write_shared;
use crate::run::RunRecord;
use crate::spec::{Analysis, Study};

/// The page.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: &'a str,
    authors: String,
    style: String,
    script: &'static str,
    summary: String,
    contents: Vec<(String, String)>,
    body: String,
    version: &'a str,
}

/// One analysis with what it found.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) analysis: &'a Analysis,
    pub(crate) finding: Finding,
}

/// A part of the page: its anchor, heading and text, and the figures in it by name.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) id: String,
    pub(crate) heading: String,
    pub(crate) html: String,
    pub(crate) figures: Vec<(String, String)>,
}

/// Writes the report and the figures of a run.
pub(crate) fn write(study: &Study, record: &RunRecord, out: &Path) -> Result<()> {
    let spec = &study.spec;
    let mut found = Vec::new();
    for analysis in &spec.analyses {
        let path = out.join("findings").join(format!("{}.json", analysis.id));
        let bytes = fs::read(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        found.push(Found {
            analysis,
            finding: serde_json::from_slice(&bytes)?,
        });
    }
    let mut parts: Vec<Section> = found
        .iter()
        .map(|one| sections::section(spec, one))
        .collect();
    if spec.outputs.svg {
        let folder = out.join("figures");
        fs::create_dir_all(&folder).map_err(|source| Error::Write {
            path: folder.clone(),
            source,
        })?;
        for (name, figure) in parts.iter().flat_map(|part| &part.figures) {
            write_shared(
                &folder.join(format!("{name}.svg")),
                figures::alone(figure).as_bytes(),
            )?;
        }
    }
    if !spec.outputs.report {
        return Ok(());
    }
    parts.push(methods::section(spec, &found));
    parts.push(sections::limitations(spec, &found));
    parts.push(sections::provenance(study, record));
    let body: String = parts
        .iter()
        .map(|part| {
            format!(
                "<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{}</h2>{}</section>",
                html::escape(&part.heading),
                part.html,
                id = part.id
            )
        })
        .collect();
    let page = Page {
        title: &spec.title,
        authors: spec.authors.join(", "),
        style: format!(
            "{}{}",
            include_str!("../../templates/page.css"),
            figures::STYLE
        ),
        script: include_str!("../../templates/page.js"),
        summary: summary::summary(spec, &found),
        contents: parts
            .iter()
            .map(|part| (part.id.clone(), part.heading.clone()))
            .collect(),
        body,
        version: &record.columna_version,
    };
    write_shared(&out.join("report.html"), page.render()?.as_bytes())
}

/// Writes the report of a run again.
///
/// # Errors
///
/// [`Error::Folder`] when the folder holds no finished run; whatever reading and writing its files gives.
pub fn report(out: &Path) -> Result<PathBuf> {
    let record = RunRecord::read(out)?
        .ok_or_else(|| Error::Folder(format!("`{}` holds no run of a study", out.display())))?;
    let path = out.join("specification.yaml");
    let text = fs::read_to_string(&path).map_err(|source| Error::Read {
        path: path.clone(),
        source,
    })?;
    let mut study = Study::parse(Path::new(&record.specification), text)?;
    study.spec.outputs.report = true;
    write(&study, &record, out)?;
    Ok(out.join("report.html"))
}
