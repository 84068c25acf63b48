//! Whether a source is a CSV export of Synthea.

use super::rows;
use crate::Result;
use crate::source::{Encoding, Source};

/// Columns of patients.csv in every version of Synthea.
const COLUMNS: [&str; 4] = ["Id", "BIRTHDATE", "RACE", "GENDER"];

/// Whether a source is a CSV export of Synthea: it has patients.csv with Synthea's columns, and no table of persons.
pub(crate) fn is_synthea(source: &Source) -> Result<bool> {
    let file = source
        .table("patients")
        .and_then(|table| table.files.first());
    let Some(file) = file.filter(|_| source.table("person").is_none()) else {
        return Ok(false);
    };
    if file.encoding == Encoding::Parquet {
        return Ok(false);
    }
    let header = rows::header(file)?;
    Ok(header.is_some_and(|(_, header)| {
        COLUMNS
            .iter()
            .all(|column| header.position(column).is_some())
    }))
}
