//! `columna demo`: the whole way in one command, told to somebody who sees it for the first time.

mod curve;
mod folder;
mod questions;
mod story;
mod truth;

use std::fs;
use std::path::Path;

use columna_ingest::{Format, IngestOptions};
use columna_query::SessionOptions;
use columna_synth::{SynthFormat, SynthOptions};

use crate::args::{DemoArgs, Format as OutputFormat};
use crate::error::CliError;
use crate::plot::{svg, terminal};
use crate::progress::progress;
use crate::settings::Settings;
use crate::shell::results::Target;
use crate::shell::session::Session;
use crate::size::{human_bytes, human_count, human_time, plural};
use crate::sql::engine::Engine;
use crate::temporary;

use story::Story;
use truth::Truth;

/// Runs `columna demo`.
pub(crate) fn run(args: &DemoArgs, settings: &Settings) -> Result<(), CliError> {
    let mut story = Story::new(settings);
    let dir = args.dir.as_path();
    folder::prepare(dir)?;
    let hospital = dir.join("hospital");
    let store = dir.join("store");

    story.intro()?;
    make_hospital(args, &hospital, settings, &mut story)?;
    let truth = Truth::read(&hospital)?;
    fill_store(&hospital, &store, settings, &mut story)?;
    let mut session = open(&store, settings)?;
    story.heading("3", "Questions in SQL")?;
    for question in questions::ALL {
        story.question(question.title, question.about, question.sql)?;
        session.target = Target::new(None);
        session.demonstrate(question.sql)?;
        story.line("")?;
    }
    draw(&mut session, dir, &truth, settings, &mut story)?;
    session.close();
    study(dir, &store, &truth, settings, &mut story)?;
    story.next_steps(dir, &store)?;
    Ok(())
}

fn make_hospital(
    args: &DemoArgs,
    out: &Path,
    settings: &Settings,
    story: &mut Story,
) -> Result<(), CliError> {
    story.heading("1", "A synthetic hospital")?;
    let options = SynthOptions {
        patients: args.patients,
        seed: args.seed,
        format: SynthFormat::OmopCsv,
        progress: progress(settings),
        ..SynthOptions::default()
    };
    story.command(&format!(
        "columna synth --patients {} --seed {} --out {}",
        args.patients,
        args.seed,
        out.display()
    ))?;
    let report = crate::commands::synth::make(out, &options)?;
    let tables = report
        .hospitals
        .iter()
        .map(|hospital| hospital.tables.len())
        .sum::<usize>();
    story.paragraph(&format!(
        "{} made in {}: {} in {} tables of the OMOP Common Data Model, as CSV files. \
         Nobody in it exists, but their illnesses run as real ones do, and `truth.json` beside the tables says \
         exactly what a right analysis must find.",
        plural(report.patients, "patient"),
        human_time(report.elapsed),
        plural(report.rows(), "record"),
        tables,
    ))
}

fn fill_store(
    source: &Path,
    store: &Path,
    settings: &Settings,
    story: &mut Story,
) -> Result<(), CliError> {
    story.heading("2", "The store")?;
    story.command(&format!(
        "columna ingest {} --store {}",
        source.display(),
        store.display()
    ))?;
    let options = IngestOptions {
        format: Format::Omop,
        progress: progress(settings),
        ..IngestOptions::default()
    };
    let started = std::time::Instant::now();
    let url = store.display().to_string();
    let runtime = super::runtime(None)?;
    let (rows, bytes, buckets) = runtime.block_on(async {
        super::ingest::store(source, &url, &options, None).await?;
        let snapshot = super::open(&url)
            .await?
            .snapshot(None)
            .await
            .map_err(|error| CliError::engine(&error))?;
        Ok::<_, CliError>((snapshot.rows(), snapshot.bytes(), snapshot.buckets().len()))
    })?;
    story.paragraph(&format!(
        "{} checked, typed and sorted in {}: {} of Parquet, where every patient's records lie together in \
         every table ({} of patients). The store is a snapshot: later deliveries add a new one, and a \
         study can always name the exact data it ran on.",
        plural(rows, "record"),
        human_time(started.elapsed()),
        human_bytes(bytes),
        plural(u64::try_from(buckets).unwrap_or(0), "range"),
    ))
}

fn open(store: &Path, settings: &Settings) -> Result<Session, CliError> {
    let runtime = super::runtime(None)?;
    let context = runtime.block_on(async {
        let store = super::open(&store.display().to_string()).await?;
        let options = SessionOptions {
            store: Some(store),
            ..temporary::session_options()?
        };
        columna_query::session(options)
            .await
            .map_err(|error| CliError::engine(&error))
    })?;
    Ok(Session {
        engine: Engine { runtime, context },
        settings: settings.clone(),
        snapshot: None,
        format: OutputFormat::Table,
        target: Target::new(None),
        parameters: columna_query::script::Parameters::new(),
        interactive: false,
        timing: None,
        last: None,
        depth: 0,
    })
}

fn draw(
    session: &mut Session,
    dir: &Path,
    truth: &Truth,
    settings: &Settings,
    story: &mut Story,
) -> Result<(), CliError> {
    story.heading("4", "A survival curve")?;
    story.paragraph(&format!(
        "Two drugs against high blood pressure: does {} prevent strokes better than {}? New users of either \
         drug are followed from their first prescription to a stroke, death, or the end of their records; \
         `kaplan_meier(time, event)` is an aggregate like `count`, so one query gives both curves.",
        truth.treatment, truth.comparator
    ))?;
    session.demonstrate(&questions::new_users(truth))?;
    story.sql(questions::CURVE)?;
    let found = curve::ask(session, truth)?;
    story.text(&terminal::draw(
        &found.chart,
        terminal::Screen {
            width: settings.screen().0,
            height: 14,
            utf8: settings.utf8,
            colour: settings.colour_out,
        },
    ))?;
    let path = dir.join("survival.svg");
    fs::write(&path, svg::write(&found.chart))
        .map_err(|error| CliError::io("write", path.display(), &error))?;
    story.paragraph(&format!("The same curves as a picture: {}", path.display()))?;

    story.heading("5", "What is true")?;
    let naive = found.rate_ratio();
    story.paragraph(&format!(
        "Counting strokes per year, users of {t} have {naive:.2} times as many as users of {c} \
         ({te} in {tn} patients against {ce} in {cn}). The truth, planted in the data, is a hazard ratio of \
         {hr:.2}: {t} prevents strokes.",
        t = truth.treatment,
        c = truth.comparator,
        te = human_count(found.groups[0].events),
        tn = human_count(found.groups[0].persons),
        ce = human_count(found.groups[1].events),
        cn = human_count(found.groups[1].persons),
        hr = truth.hazard_ratio,
    ))?;
    story.paragraph(&format!(
        "So the crude curves above do not show what the drug does: doctors give {t} to older and sicker \
         patients, who would have more strokes with any drug. That is confounding, and an honest study \
         adjusts for {confounders}.",
        t = truth.treatment,
        confounders = truth.confounders.join(", "),
    ))?;
    if found.groups[0].events == truth.treatment_events
        && found.groups[1].events == truth.comparator_events
    {
        story.paragraph(
            "The query counted exactly the strokes that `truth.json` says are there to be found.",
        )?;
    }
    Ok(())
}

/// The study that finds what the curves do not show.
fn study(
    dir: &Path,
    store: &Path,
    truth: &Truth,
    settings: &Settings,
    story: &mut Story,
) -> Result<(), CliError> {
    story.heading("6", "A study")?;
    let specification = dir.join("study.yaml");
    let out = dir.join("study");
    for (path, text) in [
        (&specification, columna_study::EXAMPLE),
        (&dir.join(columna_study::SCHEMA_FILE), columna_study::SCHEMA),
    ] {
        fs::write(path, text).map_err(|error| CliError::io("write", path.display(), &error))?;
    }
    story.command(&format!(
        "columna study run {} --store {} --out {}",
        specification.display(),
        store.display(),
        out.display()
    ))?;
    let quiet = Settings {
        quiet: true,
        ..settings.clone()
    };
    match crate::commands::study::demonstrate(&specification, store, &out, &quiet) {
        Ok(record) => {
            story.paragraph(&format!(
                "{} steps in {:.1} s: cohorts, covariates, a propensity score, models, sensitivity analyses, and a \
                 report that opens in any browser: {}",
                record.steps.len(),
                record.seconds,
                out.join("report.html").display()
            ))?;
            if let Some([value, lower, upper]) = hazard_ratio(&out) {
                let truth = truth.hazard_ratio;
                let judged = if (lower..=upper).contains(&truth) {
                    "which the interval holds"
                } else {
                    "which the interval misses, as one in twenty does"
                };
                story.paragraph(&format!(
                    "Adjusted, the hazard ratio is {value:.2} ({lower:.2} to {upper:.2}); the truth is {truth:.2}, \
                     {judged}. More patients narrow it: `columna demo --patients 100000`."
                ))?;
            }
            Ok(())
        }
        Err(CliError::Failed(report)) => story.paragraph(&format!(
            "This hospital is too small for the whole study ({}); try `columna demo --patients 10000`.",
            report.message
        )),
        Err(other) => Err(other),
    }
}

/// The main result of the study.
fn hazard_ratio(out: &Path) -> Option<[f64; 3]> {
    let bytes = fs::read(out.join("findings/cox.json")).ok()?;
    let finding: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let found = &finding["found"];
    let main = found["models"]
        .as_array()?
        .iter()
        .find(|model| model["model"] == found["main"])?;
    let number = |name: &str| main["ratio"][name].as_f64();
    Some([number("value")?, number("lower")?, number("upper")?])
}
