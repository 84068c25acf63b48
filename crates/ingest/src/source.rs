//! The tables of a source folder: which files there are, and what they are written in.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

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
        let mut tables = BTreeMap::new();
        if found.is_file() {
            source.add_file(
                &mut tables,
                path,
                Path::new(path.file_name().unwrap_or(OsStr::new("source"))),
                None,
            )?;
        } else {
            for entry in sorted_entries(path)? {
                let relative = PathBuf::from(entry.file_name().unwrap_or_default());
                if entry.is_dir() {
                    source.add_folder(&mut tables, &entry, &relative)?;
                } else {
                    source.add_file(&mut tables, &entry, &relative, None)?;
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

    fn add_folder(
        &mut self,
        tables: &mut BTreeMap<String, (SourceTable, String)>,
        folder: &Path,
        relative: &Path,
    ) -> Result<()> {
        let Some(name) = table_name(relative) else {
            return Ok(());
        };
        for entry in sorted_entries(folder)? {
            let relative = relative.join(entry.file_name().unwrap_or_default());
            if entry.is_dir() {
                self.ignored.push(format!("{}/", relative.display()));
            } else {
                self.add_file(tables, &entry, &relative, Some(&name))?;
            }
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        tables: &mut BTreeMap<String, (SourceTable, String)>,
        path: &Path,
        relative: &Path,
        folder: Option<&str>,
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
        let name = folder.map_or(stem, str::to_owned);
        // The folder of a table's parts counts as one place; anything else is a second copy.
        let place = folder.map_or_else(
            || file.name.clone(),
            |_| relative.parent().unwrap_or(relative).display().to_string(),
        );
        match tables.get_mut(&name) {
            None => {
                tables.insert(
                    name.clone(),
                    (
                        SourceTable {
                            name,
                            files: vec![file],
                        },
                        place,
                    ),
                );
            }
            Some((table, first)) if *first == place => table.files.push(file),
            Some((_, first)) => {
                return Err(Error::TableTwice {
                    table: name,
                    first: first.clone(),
                    second: place,
                });
            }
        }
        Ok(())
    }
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
    fn two_copies_of_a_table_are_refused() {
        let twice = folder(&["person.csv", "PERSON.parquet"]);
        let message = Source::discover(twice.path()).unwrap_err().to_string();
        assert!(
            message.contains("PERSON.parquet") && message.contains("person.csv"),
            "{message}"
        );
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
