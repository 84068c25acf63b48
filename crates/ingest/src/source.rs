//! The tables of a source folder: which files there are, and what they are written in.
//!
//! A table is one file, or several that are parts of it: the files of a folder of the table's name, and of folders in it
//! that are named by a value or a number (`visit_occurrence/year=2019/0.parquet`), or files whose names are that of a table
//! of the model with a number (`visit_occurrence_1.csv`, `visit_occurrence-00004-of-00009.csv`).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use columna_model::{CdmVersion, tables};

use crate::{Error, Result};

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Text(Compression),
    Parquet,
}

/// A file of a source.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    /// The path within the source, for messages.
    pub(crate) name: String,
    pub(crate) encoding: Encoding,
    pub(crate) bytes: u64,
}

/// A table of a source: one file, or the files of a folder.
#[derive(Debug, Clone)]
pub(crate) struct SourceTable {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) files: Vec<SourceFile>,
}

/// Tables by name, with the place of the first of their files.
type Tables = BTreeMap<String, (SourceTable, Place)>;

/// Where files of a table are. Those of one folder, and those with numbers, are its parts; anything else is a second copy.
#[derive(Clone)]
enum Place {
    File(String),
    Numbered(String),
    Folder(String),
}

impl Place {
    fn shown(&self) -> String {
        match self {
            Self::File(name) | Self::Numbered(name) | Self::Folder(name) => name.clone(),
        }
    }
}

/// A source folder.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// What the user calls it: the folder's name.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) tables: Vec<SourceTable>,
    /// Files that are no tables, by name.
    pub(crate) ignored: Vec<String>,
}

impl Source {
    /// The same, of which no file's or folder's name is told.
    pub(crate) fn nameless(&self, number: usize) -> Self {
        let ignored = (1..=self.ignored.len()).map(|at| format!("file {at}"));
        Self {
            name: format!("delivery {number}"),
            ignored: ignored.collect(),
            ..self.clone()
        }
    }

    /// Looks for tables in a folder, or takes a single file.
    pub(crate) fn discover(path: &Path) -> Result<Self> {
        let found = fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NoSuchSource {
                path: path.display().to_string(),
            },
            _ => Error::io(path, error),
        })?;
        let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = absolute.file_name().map_or_else(
            || "source".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        let mut source = Self {
            name,
            path: path.to_owned(),
            tables: Vec::new(),
            ignored: Vec::new(),
        };
        let mut tables = Tables::new();
        if found.is_file() {
            let relative = Path::new(path.file_name().unwrap_or(OsStr::new("source")));
            source.add_file(&mut tables, path, relative, None)?;
        } else {
            for entry in sorted_entries(path)? {
                let relative = PathBuf::from(entry.file_name().unwrap_or_default());
                if !entry.is_dir() {
                    source.add_file(&mut tables, &entry, &relative, None)?;
                } else if let Some(folder) = table_name(&relative) {
                    refuse_deeper(&entry, &relative, &folder)?;
                    let shown = relative.display().to_string();
                    let (table, place) = match numbered(&folder) {
                        Some(table) => (table.to_owned(), Place::Numbered(shown)),
                        None => (folder, Place::Folder(shown)),
                    };
                    source.add_folder(&mut tables, &entry, &relative, (&table, &place))?;
                }
            }
        }
        source.tables = tables.into_values().map(|(table, _)| table).collect();
        if source.tables.is_empty() {
            return Err(Error::NothingToRead {
                path: path.display().to_string(),
                hint: "expected files such as person.csv, person.csv.gz, person.csv.zst or person.parquet, or folders of them".to_owned(),
            });
        }
        Ok(source)
    }

    /// A table by its name.
    pub(crate) fn table(&self, name: &str) -> Option<&SourceTable> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Adds the files of a table's folder, and of those in it that are parts of it by their names.
    fn add_folder(
        &mut self,
        tables: &mut Tables,
        folder: &Path,
        relative: &Path,
        of: (&str, &Place),
    ) -> Result<()> {
        for entry in sorted_entries(folder)? {
            let relative = relative.join(entry.file_name().unwrap_or_default());
            if !entry.is_dir() {
                self.add_file(tables, &entry, &relative, Some(of))?;
            } else if table_name(&relative).is_some_and(|name| is_value(&name)) {
                self.add_folder(tables, &entry, &relative, of)?;
            } else {
                self.ignored.push(format!("{}/", relative.display()));
            }
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        tables: &mut Tables,
        path: &Path,
        relative: &Path,
        of: Option<(&str, &Place)>,
    ) -> Result<()> {
        let Some((stem, encoding)) = kind_of(relative) else {
            if !is_hidden(relative) {
                self.ignored.push(relative.display().to_string());
            }
            return Ok(());
        };
        let bytes = fs::metadata(path)
            .map_err(|error| Error::io(path, error))?
            .len();
        let file = SourceFile {
            path: path.to_owned(),
            name: relative.display().to_string(),
            encoding,
            bytes,
        };
        let (name, place) = match of {
            Some((table, place)) => (table.to_owned(), place.clone()),
            None => match numbered(&stem) {
                Some(table) => (table.to_owned(), Place::Numbered(file.name.clone())),
                None => (stem.clone(), Place::File(file.name.clone())),
            },
        };
        let Some((table, first)) = tables.get_mut(&name) else {
            let files = vec![file];
            tables.insert(name.clone(), (SourceTable { name, files }, place));
            return Ok(());
        };
        let part = match (&*first, &place) {
            (Place::Folder(first), Place::Folder(second)) => first == second,
            (Place::Numbered(_), Place::Numbered(_)) => {
                let copy = |known: &SourceFile| {
                    kind_of(Path::new(&known.name)).is_some_and(|(known, _)| known == stem)
                };
                of.is_some() || !table.files.iter().any(copy)
            }
            _ => false,
        };
        if !part {
            return Err(Error::TableTwice {
                table: name,
                first: first.shown(),
                second: place.shown(),
            });
        }
        table.files.push(file);
        *first = place;
        Ok(())
    }
}

/// Refuses a folder that holds tables of its own: it is a delivery, and not a table.
fn refuse_deeper(path: &Path, relative: &Path, folder: &str) -> Result<()> {
    for entry in sorted_entries(path)? {
        let within = relative.join(entry.file_name().unwrap_or_default());
        let name = match entry.is_dir() {
            true => table_name(&within),
            false => kind_of(&within).map(|(stem, _)| stem),
        };
        let Some(name) = name else { continue };
        let table = numbered(&name).unwrap_or(&name);
        // Synthea's own name for persons.
        let known = is_known(table) || table == "patients";
        if known && table != numbered(folder).unwrap_or(folder) {
            return Err(Error::Deeper {
                folder: relative.display().to_string(),
                found: within.display().to_string(),
                path: path.display().to_string(),
            });
        }
    }
    Ok(())
}

fn known_tables() -> impl Iterator<Item = &'static str> {
    let versions = [CdmVersion::V5_4, CdmVersion::V5_3];
    versions
        .into_iter()
        .flat_map(|version| tables(version).iter().map(|table| table.name))
}

fn is_known(name: &str) -> bool {
    known_tables().any(|known| known == name)
}

/// The table of the model of which a file is a part by its name, which is the table's and then a number:
/// `person_1`, `person.part3`, `person-00004-of-00009`. `None` for a name that is a table's itself.
fn numbered(name: &str) -> Option<&'static str> {
    if is_known(name) {
        return None;
    }
    known_tables().find(|table| {
        name.strip_prefix(table).is_some_and(|rest| {
            rest.contains(|c: char| c.is_ascii_digit())
                && rest
                    .split(|c: char| c.is_ascii_digit() || "._- ".contains(c))
                    .all(|word| ["", "chunk", "file", "of", "part", "shard"].contains(&word))
        })
    })
}

/// Whether a folder is named by a value of a column (`year=2019`) or by a number, as parts of a table are.
fn is_value(name: &str) -> bool {
    name.contains('=') || name.chars().all(|c| c.is_ascii_digit())
}

fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    let paths: std::io::Result<Vec<PathBuf>> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = paths.map_err(|error| Error::io(folder, error))?;
    paths.sort();
    Ok(paths)
}

fn is_hidden(relative: &Path) -> bool {
    let name = relative
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    name.starts_with('.') || name.starts_with('_')
}

/// The name of a table from a folder's.
fn table_name(relative: &Path) -> Option<String> {
    (!is_hidden(relative)).then(|| {
        relative
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase()
    })
}

/// The table's name and the encoding, from a file's name. `None` for a file that is no table.
fn kind_of(relative: &Path) -> Option<(String, Encoding)> {
    let name = table_name(relative)?;
    let (rest, compression) = match name.rsplit_once('.')? {
        (rest, "gz" | "gzip") => (rest, Compression::Gzip),
        (rest, "zst" | "zstd") => (rest, Compression::Zstd),
        _ => (name.as_str(), Compression::None),
    };
    let (stem, extension) = rest.rsplit_once('.')?;
    let encoding = match extension {
        "csv" | "tsv" | "tab" | "psv" | "txt" => Encoding::Text(compression),
        "parquet" | "pq" if compression == Compression::None => Encoding::Parquet,
        _ => return None,
    };
    // A note to people lies beside many data sets.
    let is_note = extension == "txt"
        && ["readme", "license", "licence", "notice", "changelog"].contains(&stem);
    (!stem.is_empty() && !is_note).then(|| (stem.to_owned(), encoding))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a\n").unwrap();
        }
        folder
    }

    #[test]
    fn files_and_folders_in_any_case() {
        let folder = folder(&[
            "PERSON.CSV",
            "Death/part-0.parquet",
            "Death/part-1.csv.gz",
            "visit.csv.zst",
            "README.txt",
            ".hidden.csv",
            "notes.doc",
            "Death/_SUCCESS",
        ]);
        let source = Source::discover(folder.path()).unwrap();
        let tables: Vec<_> = source
            .tables
            .iter()
            .map(|table| (table.name.as_str(), table.files.len()))
            .collect();
        assert_eq!(tables, [("death", 2), ("person", 1), ("visit", 1)]);
        assert_eq!(source.ignored, ["README.txt", "notes.doc"]);
        assert_eq!(
            source.table("death").unwrap().files[1].encoding,
            Encoding::Text(Compression::Gzip)
        );
    }

    #[test]
    fn parts_of_a_table_by_number_and_by_folder() {
        let folder = folder(&[
            "VISIT_OCCURRENCE_1.csv",
            "visit_occurrence_part_5.csv",
            "visit_occurrence-00004-of-00009.csv.gz",
            "visit_occurrence.1.parquet",
            "note_nlp_2.csv",
            "cost_2019/a.csv",
            "cost_2019/b.csv",
            "cost_2020/a.csv",
            "death/year=2019/month=1/0.parquet",
            "death/2020/0.parquet",
            "death/old/0.parquet",
            "drug_exposure_backup.csv",
            "visits_1.csv",
            "person (1).csv",
        ]);
        let source = Source::discover(folder.path()).unwrap();
        let tables: Vec<_> = source
            .tables
            .iter()
            .map(|table| (table.name.as_str(), table.files.len()))
            .collect();
        let expected = [
            ("cost", 3),
            ("death", 2),
            ("drug_exposure_backup", 1),
            ("note_nlp", 1),
            ("person (1)", 1),
            ("visit_occurrence", 4),
            ("visits_1", 1),
        ];
        assert_eq!(tables, expected);
        assert_eq!(source.ignored, ["death/old/"]);
    }

    #[test]
    fn a_delivery_within_the_folder_is_refused() {
        for file in [
            "cdm/person.csv",
            "cdm/visit_occurrence_1.parquet",
            "cdm/death/0.parquet",
            "vocabulary/CONCEPT.csv",
            "csv/patients.csv",
        ] {
            let folder = folder(&["person/person.csv", file]);
            let error = Source::discover(folder.path()).unwrap_err();
            assert!(matches!(error, Error::Deeper { .. }), "{error}");
            let below = file.split('/').next().unwrap();
            let below = folder.path().join(below).display().to_string();
            assert!(error.to_string().contains(&below), "{error}");
        }
    }

    #[test]
    fn two_copies_of_a_table_are_refused() {
        let twice = folder(&["person.csv", "PERSON.parquet"]);
        let message = Source::discover(twice.path()).unwrap_err().to_string();
        assert!(
            message.contains("PERSON.parquet") && message.contains("person.csv"),
            "{message}"
        );
        for files in [
            ["person.csv", "person_1.csv"],
            ["person_1.csv", "person_1.parquet"],
            ["person/0.csv", "person_1.csv"],
        ] {
            let twice = Source::discover(folder(&files).path());
            assert!(matches!(twice, Err(Error::TableTwice { .. })), "{files:?}");
        }
        assert!(matches!(
            Source::discover(Path::new("/no/such/folder")),
            Err(Error::NoSuchSource { .. })
        ));
        assert!(matches!(
            Source::discover(folder(&["a.doc"]).path()),
            Err(Error::NothingToRead { .. })
        ));
        let single = folder(&["person.csv"]);
        assert_eq!(
            Source::discover(&single.path().join("person.csv"))
                .unwrap()
                .tables[0]
                .name,
            "person"
        );
    }
}
