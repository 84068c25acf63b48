//! `columna synth`: a synthetic hospital.

use std::io::{Write, stdout};

use columna_synth::{SynthFormat, SynthOptions, SynthReport, generate};

use crate::args::{SynthArgs, SynthFormatArg};
use crate::error::CliError;
use crate::progress::progress;
use crate::settings::Settings;

/// Runs `columna synth`.
pub(crate) fn run(args: &SynthArgs, settings: &Settings) -> Result<(), CliError> {
    let options = SynthOptions {
        patients: args.patients,
        seed: args.seed,
        format: match args.format {
            SynthFormatArg::OmopCsv => SynthFormat::OmopCsv,
            SynthFormatArg::OmopParquet => SynthFormat::OmopParquet,
            SynthFormatArg::SourceCsv => SynthFormat::SourceCsv,
        },
        hospitals: args.hospitals,
        first_person_id: args.first_person_id,
        threads: args.threads.unwrap_or(0),
        progress: progress(settings),
    };
    let report = make(&args.out, &options)?;
    Ok(writeln!(stdout(), "{report}")?)
}

/// Makes hospitals, and takes the progress bar away whatever happens.
pub(crate) fn make(out: &std::path::Path, options: &SynthOptions) -> Result<SynthReport, CliError> {
    let report = generate(out, options);
    options.progress.finish();
    report.map_err(|error| CliError::engine(&error))
}
