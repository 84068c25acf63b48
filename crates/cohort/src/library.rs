//! Finds and reads definitions: files, and folders of them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::definition::{Definition, ParsedDefinition, parse};
use crate::error::{Error, Result};

/// A definition as its file has it.
#[derive(Debug)]
pub struct DefinitionFile {
    /// The file.
    pub path: PathBuf,
    /// What it says, and what is wrong with it.
    pub parsed: ParsedDefinition,
}

impl DefinitionFile {
    /// The refusal that this file is; none where it can run.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        self.parsed.is_refused().then(|| Error::Refused {
            name: self.path.display().to_string(),
            problems: self.parsed.problems.clone(),
        })
    }
}

/// Reads definitions. A folder stands for the `.json` files in it, in the order of their numbers and names.
///
/// A definition's number is its own where the file has one (as the web interface of ATLAS wraps it), then the
/// number that the file's name is or begins or ends with, then its position in the list.
///
/// # Errors
/// When a file cannot be read, a folder has no definition, or two definitions have one number.
pub fn load(paths: &[PathBuf]) -> Result<Vec<DefinitionFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(in_folder(path)?);
        } else {
            files.push(path.clone());
        }
    }
    let read = files.par_iter().enumerate().map(|(at, path)| {
        let text = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let id = number_in(&stem)
            .unwrap_or_else(|| i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1));
        Ok(DefinitionFile {
            path: path.clone(),
            parsed: parse(&text, id, &stem),
        })
    });
    let read: Vec<DefinitionFile> = read.collect::<Result<_>>()?;
    unique(&read)?;
    Ok(read)
}

/// The definitions that can run.
#[must_use]
pub fn runnable(files: &[DefinitionFile]) -> Vec<Definition> {
    let definitions = files
        .iter()
        .filter_map(|file| file.parsed.definition.clone());
    definitions.collect()
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let is_json = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("json"));
        if is_json && path.is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Error::NoDefinition(format!(
            "{}: no .json file in this folder",
            folder.display()
        )));
    }
    found.sort_by_cached_key(|path| {
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (number_in(&stem).unwrap_or(i64::MAX), stem)
    });
    Ok(found)
}

/// The number that a name is, begins with or ends with.
fn number_in(stem: &str) -> Option<i64> {
    let digits = |c: char| !c.is_ascii_digit();
    let leading = &stem[..stem.find(digits).unwrap_or(stem.len())];
    let trailing = stem.rfind(digits).map_or(stem, |at| {
        &stem[at + stem[at..].chars().next().map_or(1, char::len_utf8)..]
    });
    let found = if leading.is_empty() {
        trailing
    } else {
        leading
    };
    found.parse().ok()
}

fn unique(files: &[DefinitionFile]) -> Result<()> {
    let mut known: HashMap<i64, &Path> = HashMap::new();
    for file in files {
        let Some(definition) = &file.parsed.definition else {
            continue;
        };
        if let Some(first) = known.insert(definition.id, &file.path) {
            return Err(Error::SameId {
                id: definition.id,
                first: first.display().to_string(),
                second: file.path.display().to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_from_names() {
        for (stem, number) in [
            ("12", Some(12)),
            ("12-diabetes", Some(12)),
            ("cohort_7", Some(7)),
            ("T2DM", None),
            ("diabetes", None),
            ("", None),
        ] {
            assert_eq!(number_in(stem), number, "{stem}");
        }
    }
}
