//! The folder of the demo: made new, or one that an earlier demo made.

use std::fs;
use std::path::Path;

use crate::error::CliError;

/// Marks a folder as the demo's own, which a later run may replace.
const MARK: &str = ".columna-demo";
const MARK_TEXT: &str =
    "This folder was made by `columna demo`, and the next run replaces what is in it.\n";
/// What a run makes, and the next one removes: nothing else in the folder is touched.
const MADE: [&str; 3] = ["hospital", "store", "survival.svg"];

/// Makes the folder, or empties it of an earlier run.
pub(crate) fn prepare(dir: &Path) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::io("prepare", dir.display(), &error);
    if dir.join(MARK).is_file() {
        for name in MADE {
            let path = dir.join(name);
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(failed)?;
            } else if path.exists() {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        return Ok(());
    }
    if dir.exists() && fs::read_dir(dir).map_err(failed)?.next().is_some() {
        return Err(CliError::failed(format!(
            "`{}` is not empty, and not an earlier demo",
            dir.display()
        ))
        .hint("name a new folder with `--dir DIR`"));
    }
    fs::create_dir_all(dir).map_err(failed)?;
    fs::write(dir.join(MARK), MARK_TEXT).map_err(failed)
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn only_the_demos_own_files_are_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("demo");
        prepare(&dir).expect("new");
        fs::create_dir(dir.join("store")).expect("made");
        fs::write(dir.join("notes.txt"), "mine").expect("made");
        prepare(&dir).expect("again");
        assert!(!dir.join("store").exists() && dir.join("notes.txt").exists());
        let error = prepare(folder.path()).expect_err("somebody else's folder");
        assert!(error.to_string().contains("not an earlier demo"));
    }
}
