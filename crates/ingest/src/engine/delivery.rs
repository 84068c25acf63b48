//! Whether files of a source were stored before.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use parquet::file::reader::{FileReader, SerializedFileReader};

use columna_store::{Delivery, Snapshot, Store};

use super::pipeline::silent;
use crate::files::{Text, hash};
use crate::findings::{Finding, FindingKind};
use crate::reader::{Input, Reader};
use crate::source::{Compression, Encoding};
use crate::{Error, Result};

/// What the store knows of a source's files.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Inputs that need not be read: stored before, and not bound to persons.
    pub(crate) unchanged: BTreeMap<usize, Delivery>,
    pub(crate) findings: Vec<Finding>,
    /// Stored before and bound to persons: their names and the delivery.
    repeated: Vec<(String, Delivery)>,
}

impl Known {
    /// Compares files with all earlier deliveries. Only files of the same size are hashed for it.
    pub(crate) fn find(reader: &dyn Reader, base: &Snapshot) -> Result<Self> {
        let mut earlier: BTreeMap<u64, Vec<(&str, &Delivery)>> = BTreeMap::new();
        for delivery in base.deliveries() {
            for file in &delivery.files {
                earlier
                    .entry(file.bytes)
                    .or_default()
                    .push((&file.blake3, delivery));
            }
        }
        let mut known = Self::default();
        let mut within: BTreeMap<(usize, u64), Vec<(String, &str)>> = BTreeMap::new();
        for (at, input) in reader.inputs().iter().enumerate() {
            if !has_rows(input) {
                continue;
            }
            let target = &reader.targets()[input.home].spec;
            let siblings = reader
                .inputs()
                .iter()
                .filter(|other| other.home == input.home && other.file.bytes == input.file.bytes);
            let is_twin = input.file.bytes > 0 && siblings.count() > 1;
            let same_size = earlier.get(&input.file.bytes);
            if same_size.is_none() && !is_twin {
                continue;
            }
            let hash = reader.fingerprint(hash(&input.file, &silent())?);
            if is_twin {
                let seen = within.entry((input.home, input.file.bytes)).or_default();
                if let Some((_, first)) = seen.iter().find(|(other, _)| *other == hash) {
                    return Err(Error::TableTwice {
                        table: input.table.clone(),
                        first: (*first).to_owned(),
                        second: input.file.name.clone(),
                    });
                }
                seen.push((hash.clone(), &input.file.name));
            }
            let Some((_, delivery)) = same_size
                .into_iter()
                .flatten()
                .find(|(other, _)| *other == hash)
            else {
                continue;
            };
            if target.is_bucketed() {
                known
                    .repeated
                    .push((input.file.name.clone(), (*delivery).clone()));
            } else {
                known.unchanged.insert(at, (*delivery).clone());
                known.findings.push(Finding::new(
                    &input.file.name,
                    None,
                    FindingKind::UnchangedFile,
                    1,
                ));
            }
        }
        Ok(known)
    }

    /// Refuses a source that would store the same rows again.
    pub(crate) async fn refuse(&self, reader: &dyn Reader, store: &Store) -> Result<()> {
        let nothing_new = !self.unchanged.is_empty()
            && reader
                .inputs()
                .iter()
                .enumerate()
                .all(|(at, input)| self.unchanged.contains_key(&at) || !has_rows(input));
        let files: Vec<&str> = if nothing_new {
            self.findings
                .iter()
                .map(|finding| finding.table.as_str())
                .collect()
        } else {
            self.repeated
                .iter()
                .map(|(name, _)| name.as_str())
                .collect()
        };
        let Some(first) = files.first() else {
            return Ok(());
        };
        let unchanged = self.unchanged.values().next();
        let delivery = self
            .repeated
            .first()
            .map(|(_, delivery)| delivery)
            .or(unchanged);
        let Some(Delivery { name, snapshot, .. }) = delivery.cloned() else {
            return Ok(());
        };
        // The snapshot may have been vacuumed away; its number still names the delivery.
        let time = store.snapshot(Some(snapshot)).await.map_or_else(
            |_| "time unknown".to_owned(),
            |snapshot| snapshot.time().format("%Y-%m-%d %H:%M UTC").to_string(),
        );
        let count = files.len();
        let files = match files.as_slice() {
            [one] => (*one).to_owned(),
            [one, two] => format!("{one} and {two}"),
            _ => format!("{first}, {} and {} more files", files[1], count - 2),
        };
        Err(Error::DeliveredBefore {
            files,
            count,
            delivery: name,
            snapshot,
            time,
        })
    }
}

/// Whether a file holds more than a header. Files that hold no more are alike in every delivery.
fn has_rows(input: &Input) -> bool {
    let file = &input.file;
    match (file.encoding, input.dialect) {
        (Encoding::Text(Compression::None), Some(dialect)) => {
            file.bytes > dialect.header_bytes as u64
        }
        (Encoding::Text(compression), Some(dialect)) => {
            let mut bytes = Vec::new();
            let most = dialect.header_bytes as u64 + 1;
            let read = Text::open(file, compression, &silent())
                .map(|text| text.take(most).read_to_end(&mut bytes));
            // A file that cannot be read is named when its turn comes.
            !matches!(read, Ok(Ok(_))) || bytes.len() > dialect.header_bytes
        }
        (Encoding::Text(_), None) => false,
        (Encoding::Parquet, _) => {
            let opened = File::open(&file.path)
                .ok()
                .and_then(|file| SerializedFileReader::new(file).ok());
            file.bytes > 0
                && opened.is_none_or(|reader| reader.metadata().file_metadata().num_rows() > 0)
        }
    }
}
