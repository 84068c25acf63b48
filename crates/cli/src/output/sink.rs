//! Where results go: standard output, a pager, or a file that appears only when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Stdout, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::SpooledTempFile;
use unicode_width::UnicodeWidthStr;

use crate::error::CliError;
use crate::temporary;

/// Where one result goes.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// Standard output until the result is larger than the screen, then a pager.
    Paged(Paged),
    /// A file, written beside its place and moved there at the end.
    File(WholeFile),
    /// Something that is there already and is no plain file, such as a named pipe.
    Device(BufWriter<File>),
    /// Any of these, which gets the result when it is complete.
    Held(Box<Held>),
}

/// A result that waits until it is complete.
#[derive(Debug)]
pub(crate) struct Held {
    result: SpooledTempFile,
    sink: Sink,
}

/// Bytes of a result that waits in memory; more wait in a temporary file.
const HELD_IN_MEMORY: usize = 64 << 20;

impl Sink {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self::Stdout(BufWriter::with_capacity(1 << 16, stdout()))
    }

    /// Standard output with a pager for results larger than `screen` (columns, rows).
    pub(crate) fn paged(pager: Vec<String>, screen: (usize, usize)) -> Self {
        Self::Paged(Paged {
            pager,
            screen,
            lines: 0,
            held: Vec::new(),
            seen: 0,
            state: PagerState::Holding,
        })
    }

    /// A file.
    pub(crate) fn file(path: &Path) -> Result<Self, CliError> {
        let failed = |error: io::Error| CliError::io("write", path.display(), &error);
        if path.exists() && !path.is_file() {
            if path.is_dir() {
                return Err(CliError::failed(format!(
                    "cannot write `{}`: it is a folder",
                    path.display()
                )));
            }
            return Ok(Self::Device(BufWriter::new(
                File::options().write(true).open(path).map_err(failed)?,
            )));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        // A process of this number may have died; what else is there is not written through.
        let _ = fs::remove_file(&partial);
        let file = private()
            .write(true)
            .create_new(true)
            .open(&partial)
            .map_err(failed)?;
        temporary::hold(&partial);
        Ok(Self::File(WholeFile {
            out: BufWriter::with_capacity(1 << 16, file),
            partial,
            path: path.to_owned(),
            whole: false,
        }))
    }

    /// A file that holds results already, and gets one more.
    pub(crate) fn append(path: &Path) -> Result<Self, CliError> {
        let file = private().append(true).create(true).open(path);
        Ok(Self::Device(BufWriter::new(file.map_err(|error| {
            CliError::io("write", path.display(), &error)
        })?)))
    }

    /// The same, which shows nothing of a result that will not be complete.
    pub(crate) fn held(self) -> Self {
        Self::Held(Box::new(Held {
            result: SpooledTempFile::new(HELD_IN_MEMORY),
            sink: self,
        }))
    }

    /// Ends a result that is complete.
    pub(crate) fn commit(self) -> Result<(), CliError> {
        match self {
            Self::Held(held) => {
                let Held {
                    mut result,
                    mut sink,
                } = *held;
                result.rewind()?;
                io::copy(&mut result, &mut sink)?;
                sink.commit()
            }
            Self::Stdout(mut out) => Ok(out.flush()?),
            Self::Device(mut out) => Ok(out.flush()?),
            Self::Paged(paged) => Ok(paged.close()?),
            Self::File(file) => file.commit(),
        }
    }
}

/// Results may be rows of persons: a file of them is its owner's alone.
fn private() -> OpenOptions {
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// A sink that a printer and its owner share: the printer writes, the owner ends it.
#[derive(Debug, Clone)]
pub(crate) struct SharedSink(Arc<Mutex<Option<Sink>>>);

impl SharedSink {
    /// Shares a sink.
    pub(crate) fn new(sink: Sink) -> Self {
        Self(Arc::new(Mutex::new(Some(sink))))
    }

    /// Ends a result that is complete.
    pub(crate) fn commit(&self) -> Result<(), CliError> {
        let sink = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        sink.map_or(Ok(()), Sink::commit)
    }
}

impl Write for SharedSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .map_or(Ok(0), |sink| sink.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .map_or(Ok(()), Write::flush)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Device(out) => out.write(bytes),
            Self::Paged(out) => out.write(bytes),
            Self::File(out) => out.out.write(bytes),
            Self::Held(held) => held.result.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Device(out) => out.flush(),
            Self::Paged(_) | Self::Held(_) => Ok(()),
            Self::File(out) => out.out.flush(),
        }
    }
}

/// A file that exists under its name only when it is whole.
#[derive(Debug)]
pub(crate) struct WholeFile {
    out: BufWriter<File>,
    partial: PathBuf,
    path: PathBuf,
    whole: bool,
}

impl WholeFile {
    fn commit(mut self) -> Result<(), CliError> {
        let failed = |error: io::Error| CliError::io("write", self.path.display(), &error);
        self.out.flush().map_err(failed)?;
        fs::rename(&self.partial, &self.path).map_err(failed)?;
        self.whole = true;
        Ok(())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.whole {
            // Nothing better can be done about a partial file that will not go.
            let _ = fs::remove_file(&self.partial);
        }
        temporary::release(&self.partial);
    }
}

/// Text that goes to a pager as soon as it is larger than the screen.
#[derive(Debug)]
pub(crate) struct Paged {
    pager: Vec<String>,
    screen: (usize, usize),
    held: Vec<u8>,
    /// Bytes of `held` whose lines were measured.
    seen: usize,
    lines: usize,
    state: PagerState,
}

#[derive(Debug)]
enum PagerState {
    Holding,
    Running(Child),
    /// The pager could not be started.
    Plain,
}

impl Paged {
    /// Measures the complete lines that came in, without colour codes.
    fn overflows(&mut self) -> bool {
        while let Some(length) = self.held[self.seen..]
            .iter()
            .position(|&byte| byte == b'\n')
        {
            let line = &self.held[self.seen..self.seen + length];
            self.seen += length + 1;
            self.lines += 1;
            // The prompt and the row count need two lines.
            if self.lines + 2 > self.screen.1 || columns(line) > self.screen.0 {
                return true;
            }
        }
        self.held.len() - self.seen > 4 * self.screen.0
    }

    fn start(&mut self) -> io::Result<()> {
        let started = Command::new(&self.pager[0])
            .args(&self.pager[1..])
            .env("LESSCHARSET", "utf-8")
            .stdin(Stdio::piped())
            .spawn();
        self.state = match started {
            Ok(child) => PagerState::Running(child),
            Err(_) => PagerState::Plain,
        };
        let held = std::mem::take(&mut self.held);
        self.pass_on(&held)
    }

    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.state {
            PagerState::Running(child) => child
                .stdin
                .as_mut()
                .map_or(Ok(()), |stdin| stdin.write_all(bytes)),
            PagerState::Holding | PagerState::Plain => stdout().write_all(bytes),
        }
    }

    fn close(mut self) -> io::Result<()> {
        match &mut self.state {
            PagerState::Running(child) => {
                drop(child.stdin.take());
                child.wait().map(|_| ())
            }
            PagerState::Holding | PagerState::Plain => {
                let held = std::mem::take(&mut self.held);
                stdout().write_all(&held)?;
                stdout().flush()
            }
        }
    }
}

/// A pager that is left early, because the query failed or was cancelled, keeps the screen until the user
/// closes it.
impl Drop for Paged {
    fn drop(&mut self) {
        if let PagerState::Running(child) = &mut self.state {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

impl Write for Paged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if matches!(self.state, PagerState::Holding) {
            self.held.extend_from_slice(bytes);
            if self.overflows() {
                self.start()?;
            }
        } else {
            self.pass_on(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The columns that a line takes on the screen.
fn columns(line: &[u8]) -> usize {
    let text = String::from_utf8_lossy(line);
    let mut width = 0;
    for (index, part) in text.split('\x1b').enumerate() {
        // After an escape character: `[…m`.
        let part = if index == 0 {
            part
        } else {
            part.split_once('m').map_or(part, |(_, rest)| rest)
        };
        width += part.width();
    }
    width
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("result.csv");
        let names = || fs::read_dir(folder.path()).expect("readable").count();
        let mut sink = Sink::file(&path).expect("a sink");
        sink.write_all(b"half").expect("written");
        assert!(!path.exists());
        drop(sink);
        assert_eq!(names(), 0);
        let mut sink = Sink::file(&path).expect("a sink");
        sink.write_all(b"whole").expect("written");
        sink.commit().expect("moved");
        assert_eq!(fs::read(&path).expect("there"), b"whole");
        assert_eq!(names(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_held_shows_when_it_is_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("result.csv");
        fs::write(&path, "before\n").expect("written");
        let append = || Sink::append(&path).expect("a sink").held();
        let mut sink = append();
        sink.write_all(b"half").expect("held");
        drop(sink);
        let mut sink = append();
        sink.write_all(b"whole\n").expect("held");
        assert_eq!(fs::read(&path).expect("there"), b"before\n");
        sink.commit().expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"before\nwhole\n");
    }

    #[test]
    fn small_results_stay_on_the_screen() {
        let paged = |text: &str| {
            let Sink::Paged(mut paged) = Sink::paged(vec!["true".into()], (20, 6)) else {
                unreachable!()
            };
            paged.held.extend_from_slice(text.as_bytes());
            paged.overflows()
        };
        assert!(!paged("a\nb\nc\nd\n"));
        assert!(paged("a\nb\nc\nd\ne\n"));
        assert!(paged("123456789012345678901\n"));
        assert!(!paged("\x1b[1m12345678901234567890\x1b[0m\n"));
        assert!(paged("김철수김철수김철수김철수\n"));
    }
}
