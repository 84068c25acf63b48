//! Files and folders with rows of persons that do not outlive the process.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use columna_query::SessionOptions;

use crate::error::CliError;
use crate::signals;

/// What names of our folders begin with, so that leftovers are recognised.
const PREFIX: &str = "columna-run-";
const LOCK: &str = "lock";

/// The exit code of a process that was asked to end, as after Ctrl-C.
const STOPPED: i32 = 130;

/// What is removed at the end, and the folder of this process.
static HELD: Mutex<Held> = Mutex::new(Held {
    paths: Vec::new(),
    folder: None,
});

#[derive(Debug)]
struct Held {
    paths: Vec<PathBuf>,
    folder: Option<Folder>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Held while we live: a folder whose lock is free was left behind.
    _lock: File,
}

/// What every session begins with: a place for what does not fit in memory, in this process's folder among the system's
/// for temporary files. What killed processes left there is removed.
///
/// # Errors
///
/// When there is no place for it.
pub(crate) fn session_options() -> Result<SessionOptions, CliError> {
    Ok(SessionOptions {
        temp_dir: Some(folder()?),
        ..SessionOptions::default()
    })
}

fn folder() -> Result<PathBuf, CliError> {
    end_cleanly();
    let mut held = held();
    if let Some(folder) = &held.folder {
        return Ok(folder.path.clone());
    }
    let parent = std::env::temp_dir();
    let made = make(&parent).map_err(|error| {
        CliError::io("make a temporary folder in", parent.display(), &error)
            .hint("name a folder that can be written to with TMPDIR")
    })?;
    remove_leftovers(&parent, &made.path);
    let path = made.path.clone();
    held.folder = Some(made);
    Ok(path)
}

/// Remembers to remove a file.
pub(crate) fn hold(path: &Path) {
    end_cleanly();
    held().paths.push(path.to_owned());
}

/// Forgets a file that is gone, or to stay.
pub(crate) fn release(path: &Path) {
    held().paths.retain(|held| held != path);
}

/// Removes everything, for the end of the process.
pub(crate) fn remove() {
    let mut held = held();
    for file in held.paths.drain(..) {
        // Nothing better can be done about what will not go.
        let _ = fs::remove_file(file);
    }
    if let Some(folder) = held.folder.take() {
        // A thread that nobody waits for may write once more. What cannot be removed now is removed by the next session.
        let _ = (0..3).any(|_| remove_folder(&folder.path).is_ok());
    }
}

fn held() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From the first thing to remove on, a request to end is no sudden death.
fn end_cleanly() {
    static READY: Once = Once::new();
    READY.call_once(|| signals::end_when_asked(end));
}

/// Nor is Ctrl-C, in a command that would not hear it.
pub(crate) fn end_cleanly_when_interrupted() {
    signals::end_when_interrupted(end);
}

fn end() {
    columna_query::remove_spilled();
    remove();
    std::process::exit(STOPPED);
}

fn make(parent: &Path) -> io::Result<Folder> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    loop {
        let path = builder.tempdir_in(parent)?.keep();
        let lock = File::create(path.join(LOCK))?;
        lock.lock()?;
        // Another process may have found it before it was locked.
        if path.join(LOCK).exists() {
            return Ok(Folder { path, _lock: lock });
        }
    }
}

/// Removes folders like ours, of the same account, that nobody holds.
fn remove_leftovers(parent: &Path, ours: &Path) {
    let (Ok(entries), Ok(own)) = (fs::read_dir(parent), fs::symlink_metadata(ours)) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let is_alike = |other: &Metadata| other.is_dir() && have_one_owner(&own, other);
        if !is_named || path == ours || !fs::symlink_metadata(&path).is_ok_and(|it| is_alike(&it)) {
            continue;
        }
        // One without a lock is being made at this moment, or not ours.
        if let Ok(lock) = File::options().write(true).open(path.join(LOCK))
            && lock.try_lock().is_ok()
        {
            let _ = remove_folder(&path);
        }
    }
}

/// The lock goes last: a folder without one is nobody's to remove.
fn remove_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir_all(folder)
}

#[cfg(unix)]
fn have_one_owner(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.uid() == b.uid()
}

#[cfg(not(unix))]
fn have_one_owner(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_goes() {
        let parent = tempfile::tempdir().expect("a folder");
        let left = parent.path().join(format!("{PREFIX}left"));
        fs::create_dir(&left).expect("made");
        fs::write(left.join(LOCK), "").expect("written");
        fs::write(left.join("rows"), "4711").expect("written");
        let other = parent.path().join("columna-other");
        fs::create_dir(&other).expect("made");
        fs::write(other.join(LOCK), "").expect("written");

        let alive = make(parent.path()).expect("made");
        let ours = make(parent.path()).expect("made");
        remove_leftovers(parent.path(), &ours.path);
        assert!(!left.exists());
        assert!(other.exists());
        assert!(alive.path.exists());
        assert!(ours.path.exists());
    }
}
