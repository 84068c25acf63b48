//! Running the binary, and a small hospital that the tests share.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The command must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "standard error:\n{}\nstandard output:\n{}",
            self.err, self.out
        );
        self.out
    }

    /// The command must have failed with this exit code, and say this.
    pub(crate) fn fails(self, code: i32, says: &str) -> Self {
        assert_eq!(self.code, code, "standard error:\n{}", self.err);
        assert!(self.err.contains(says), "`{says}` is not in:\n{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

/// The binary, free of the environment's own settings.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_columna"));
    command
        .env_remove("COLUMNA_STORE")
        .env_remove("NO_COLOR")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    command
}

/// Runs the binary.
pub(crate) fn columna<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    ran(command().args(arguments))
}

/// Runs a prepared command.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary runs");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the binary with a script on standard input.
pub(crate) fn piped<S: AsRef<OsStr>>(arguments: &[S], script: &str) -> Ran {
    let mut child = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(script.as_bytes())
        .expect("written");
    let output = child.wait_with_output().expect("the binary ends");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs one statement without a store.
pub(crate) fn sql(statement: &str, format: &str) -> Ran {
    columna(&["sql", "-c", statement, "--format", format])
}

/// A folder for one test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Patients of the shared hospital.
pub(crate) const PATIENTS: u64 = 300;

struct Hospital {
    _folder: TempDir,
    source: PathBuf,
    store: PathBuf,
}

fn hospital() -> &'static Hospital {
    static HOSPITAL: OnceLock<Hospital> = OnceLock::new();
    HOSPITAL.get_or_init(|| {
        let folder = folder();
        let (source, store) = (folder.path().join("hospital"), folder.path().join("store"));
        columna(&[
            "synth",
            "--patients",
            &PATIENTS.to_string(),
            "--seed",
            "7",
            "--out",
            &text(&source),
        ])
        .ok();
        columna(&["ingest", &text(&source), "--store", &text(&store)]).ok();
        Hospital {
            _folder: folder,
            source,
            store,
        }
    })
}

/// The files of the shared hospital: read, never changed.
pub(crate) fn source() -> &'static Path {
    &hospital().source
}

/// The store of the shared hospital: read, never changed.
pub(crate) fn store() -> String {
    text(&hospital().store)
}

/// A copy of a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Whether a program that starts here ends with its terminal: not where the tests themselves run under `nohup`.
#[cfg(unix)]
pub(crate) fn hears_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 0)
}
