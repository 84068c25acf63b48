//! CSV output: chunks of persons are written as text by all threads and appended to one file per table in order.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;

use crate::hospital::Hospital;
use crate::output::{Run, Written};
use crate::records::Records;
use crate::truth::Tally;
use crate::{Error, csv, omop, reference, source};

/// Persons of a chunk; output does not depend on it, memory does.
const CHUNK: u64 = 512;

struct Chunk {
    tables: Vec<Vec<u8>>,
    rows: Vec<u64>,
    tally: Tally,
}

/// Writes OMOP tables as `table.csv`.
pub(crate) fn omop(
    run: &Run<'_>,
    hospital: &Hospital,
    folder: &Path,
) -> Result<(Written, Tally), Error> {
    let mut written = Written::default();
    for (name, batch) in reference::tables(hospital)? {
        let mut text = Vec::new();
        csv::header(&columns(name)?, &mut text);
        csv::rows(&batch, &mut text)?;
        let path = folder.join(format!("{name}.csv"));
        std::fs::write(&path, text).map_err(|error| Error::write(&path, error))?;
        written.add(name, u64::try_from(batch.num_rows()).unwrap_or(0));
    }
    let headers = omop::CLINICAL
        .iter()
        .map(|name| Ok((*name, columns(name)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let tally = append(run, hospital, folder, &headers, &mut written, |records| {
        let mut tables = Vec::with_capacity(headers.len());
        let mut rows = Vec::with_capacity(headers.len());
        for batch in omop::clinical(hospital, records)? {
            let mut text = Vec::with_capacity(batch.num_rows() * 128);
            csv::rows(&batch, &mut text)?;
            tables.push(text);
            rows.push(u64::try_from(batch.num_rows()).unwrap_or(0));
        }
        Ok((tables, rows))
    })?;
    Ok((written, tally))
}

/// Writes the hospital's own extract.
pub(crate) fn source(
    run: &Run<'_>,
    hospital: &Hospital,
    folder: &Path,
) -> Result<(Written, Tally), Error> {
    let mut written = Written::default();
    let headers: Vec<(&str, Vec<&str>)> = source::TABLES
        .iter()
        .map(|(name, columns)| (*name, columns.to_vec()))
        .collect();
    let tally = append(run, hospital, folder, &headers, &mut written, |records| {
        let tables = source::rows(hospital, records);
        let count = |rows: usize| u64::try_from(rows).unwrap_or(0);
        let rows = vec![
            count(records.persons.len()),
            count(records.visits.len()),
            count(records.diagnoses.len()),
            count(records.prescriptions.len()),
            count(records.procedures.len()),
            count(records.values.len()),
            count(records.answers.len()),
            count(records.deaths.len()),
        ];
        Ok((tables, rows))
    })?;
    Ok((written, tally))
}

fn columns(name: &str) -> Result<Vec<&'static str>, Error> {
    let definition = columna_model::table(name)
        .ok_or_else(|| Error::Internal(format!("the model has no table {name}")))?;
    Ok(definition
        .columns
        .iter()
        .map(|column| column.name)
        .collect())
}

/// Simulates all persons and appends their rows; while one wave of chunks is written, the next is simulated.
fn append(
    run: &Run<'_>,
    hospital: &Hospital,
    folder: &Path,
    headers: &[(&str, Vec<&str>)],
    written: &mut Written,
    text: impl Fn(&Records) -> Result<(Vec<Vec<u8>>, Vec<u64>), Error> + Sync,
) -> Result<Tally, Error> {
    let mut files = Vec::with_capacity(headers.len());
    for (name, columns) in headers {
        let path = folder.join(format!("{name}.csv"));
        let mut file = File::create(&path).map_err(|error| Error::write(&path, error))?;
        let mut line = Vec::new();
        csv::header(columns, &mut line);
        file.write_all(&line)
            .map_err(|error| Error::write(&path, error))?;
        files.push((path, file));
    }
    let chunks = hospital.patients.div_ceil(CHUNK);
    let wave = u64::try_from(run.threads).unwrap_or(1) * 4;
    let mut tally = Tally::default();
    let mut waiting: Vec<Chunk> = Vec::new();
    let mut next = 0;
    while next < chunks || !waiting.is_empty() {
        let numbers = next..(next + wave).min(chunks);
        next = numbers.end;
        let simulate = || {
            numbers
                .into_par_iter()
                .map(|number| {
                    let positions = number * CHUNK..((number + 1) * CHUNK).min(hospital.patients);
                    let persons = positions.end - positions.start;
                    let mut records = Records::default();
                    let mut tally = Tally::default();
                    for position in positions {
                        hospital.simulate(position, &mut records, &mut tally);
                    }
                    let (tables, rows) = text(&records)?;
                    run.progress.advance(persons);
                    Ok(Chunk {
                        tables,
                        rows,
                        tally,
                    })
                })
                .collect::<Result<Vec<Chunk>, Error>>()
        };
        let write = || -> Result<(), Error> {
            for chunk in &waiting {
                for ((path, file), bytes) in files.iter_mut().zip(&chunk.tables) {
                    file.write_all(bytes)
                        .map_err(|error| Error::write(path, error))?;
                }
            }
            Ok(())
        };
        let (simulated, stored) = rayon::join(simulate, write);
        stored?;
        for chunk in &waiting {
            tally.merge(&chunk.tally);
            for ((name, _), rows) in headers.iter().zip(&chunk.rows) {
                written.add(name, *rows);
            }
        }
        waiting = simulated?;
    }
    Ok(tally)
}
