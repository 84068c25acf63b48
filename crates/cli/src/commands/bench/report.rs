//! `columna bench report`: runs as one page with charts, which needs nothing beside itself.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{Write as _, stdout};
use std::path::Path;

use super::args::ReportArgs;
use super::figures::{Figures, Measured};
use crate::error::CliError;
use crate::plot::svg::escaped;
use crate::size::{human_bytes, human_count};

const STYLE: &str = "\
:root{color-scheme:light dark;--bar:#2a6f97;--other:#e07a5f;--line:#8884}\
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line)}\
th:first-child,td:first-child{text-align:left}\
.chart{display:grid;grid-template-columns:max-content 1fr;gap:.3rem .8rem;align-items:center}\
.bar{background:var(--bar);height:.8rem;min-width:1px;display:inline-block;vertical-align:middle}\
.bar+span{font-size:.8rem;margin-left:.4rem}.other .bar{background:var(--other)}\
.key{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem}";

/// Runs `columna bench report`.
pub(super) fn run(args: &ReportArgs) -> Result<(), CliError> {
    let runs = args.files.iter().map(|path| read(path));
    let runs = runs.collect::<Result<Vec<_>, _>>()?;
    let page = page(&runs).map_err(|error| CliError::engine(&error))?;
    fs::write(&args.out, page)
        .map_err(|error| CliError::io("write", args.out.display(), &error))?;
    Ok(writeln!(stdout(), "{}", args.out.display())?)
}

/// A run with the name of its file.
fn read(path: &Path) -> Result<(String, Figures), CliError> {
    let text =
        fs::read_to_string(path).map_err(|error| CliError::io("read", path.display(), &error))?;
    let figures = serde_json::from_str(&text).map_err(|error| {
        CliError::failed(format!("{}: {error}", path.display()))
            .hint("`columna bench run --json FILE` writes what is read here")
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok((name.into_owned(), figures))
}

fn page(runs: &[(String, Figures)]) -> Result<String, fmt::Error> {
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width'><title>Columna: benchmark</title>\
         <style>{STYLE}</style><h1>What a hospital's questions cost</h1>"
    );
    for (at, (name, figures)) in runs.iter().enumerate() {
        key(&mut out, at, name, figures)?;
    }
    charts(&mut out, runs)?;
    for (name, figures) in runs {
        table(&mut out, name, figures)?;
    }
    out.push_str(
        "<p>Warm: in a session that has asked the question before. Cold: in a process of its own, its start \
         included, with the system's cache of files as it was. Spread: the slowest warm run less the fastest. \
         Peak: the most memory of the process of its own.",
    );
    Ok(out)
}

fn key(out: &mut String, at: usize, name: &str, figures: &Figures) -> fmt::Result {
    let limit = figures.memory_limit.map_or_else(String::new, |bytes| {
        format!(", at most {} for operators", human_bytes(bytes as u64))
    });
    write!(
        out,
        "<p><span class=key style='background:var(--{})'></span><b>{}</b>: {} patients, {} rows, {}; Columna {}, {}, \
         threads: {}{limit}",
        if at == 0 { "bar" } else { "other" },
        escaped(name),
        human_count(figures.patients),
        human_count(figures.rows),
        human_bytes(figures.bytes),
        escaped(&figures.columna),
        escaped(&figures.system),
        figures.threads,
    )
}

/// Bars of the median warm run, of all runs side by side.
fn charts(out: &mut String, runs: &[(String, Figures)]) -> fmt::Result {
    let all = runs.iter().flat_map(|(_, figures)| &figures.questions);
    // A question that failed has no median, which `max` passes over.
    let longest = all.map(Measured::median).fold(0.0, f64::max);
    out.push_str("<h2>Seconds, warm</h2><div class=chart>");
    let Some((_, first)) = runs.first() else {
        return Ok(());
    };
    for question in &first.questions {
        write!(out, "<div>{}</div><div>", escaped(&question.name))?;
        for (at, (_, figures)) in runs.iter().enumerate() {
            let same = figures.questions.iter().find(|m| m.name == question.name);
            let Some(measured) = same else { continue };
            let seconds = measured.median();
            if !seconds.is_finite() {
                out.push_str("<div>failed</div>");
                continue;
            }
            let ratio = if at == 0 || !question.median().is_finite() {
                String::new()
            } else {
                format!(", {:.2} times", seconds / question.median())
            };
            write!(
                out,
                "<div class={}><span class=bar style='width:{:.2}%'></span><span>{seconds:.3}{ratio}</span></div>",
                if at == 0 { "first" } else { "other" },
                75.0 * seconds / longest,
            )?;
        }
        out.push_str("</div>");
    }
    out.push_str("</div>");
    Ok(())
}

fn table(out: &mut String, name: &str, figures: &Figures) -> fmt::Result {
    write!(
        out,
        "<h2>{}</h2><table><tr><th>question<th>rows<th>warm s<th>spread s<th>cold s<th>rows/s<th>read<th>peak",
        escaped(name)
    )?;
    for measured in &figures.questions {
        if let Some(reason) = &measured.failed {
            write!(
                out,
                "<tr><td>{}<td colspan=7>failed: {}",
                escaped(&measured.name),
                escaped(reason),
            )?;
            continue;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is not negative, and its fraction does not matter"
        )]
        let rate = measured.rows_per_second() as u64;
        let cold = measured
            .cold
            .map_or_else(|| "–".to_owned(), |s| format!("{s:.3}"));
        write!(
            out,
            "<tr><td>{}<td>{}<td>{:.3}<td>{:.3}<td>{cold}<td>{}<td>{}<td>{}",
            escaped(&measured.name),
            human_count(measured.rows),
            measured.median(),
            measured.spread(),
            human_count(rate),
            human_bytes(measured.scanned_bytes),
            measured.peak.map_or_else(|| "–".to_owned(), human_bytes),
        )?;
    }
    out.push_str("</table>");
    Ok(())
}
