//! Makes a synthetic hospital and says how long it took: `synth OUT PATIENTS [omop-csv|omop-parquet|source-csv] [SEED] [THREADS] [HOSPITALS]`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::path::Path;

use columna_synth::{SynthFormat, SynthOptions, generate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, patients, rest @ ..] = arguments.as_slice() else {
        return Err("usage: synth OUT PATIENTS [FORMAT] [SEED] [THREADS] [HOSPITALS]".into());
    };
    let argument =
        |number: usize, default: &'static str| rest.get(number).map_or(default, String::as_str);
    let options = SynthOptions {
        patients: patients.parse()?,
        format: match argument(0, "omop-parquet") {
            "omop-csv" => SynthFormat::OmopCsv,
            "omop-parquet" => SynthFormat::OmopParquet,
            "source-csv" => SynthFormat::SourceCsv,
            other => return Err(format!("no format {other}").into()),
        },
        seed: argument(1, "1").parse()?,
        threads: argument(2, "0").parse()?,
        hospitals: argument(3, "1").parse()?,
        ..SynthOptions::default()
    };
    println!("{}", generate(Path::new(out), &options)?);
    Ok(())
}
