//! The audit log: every statement of every principal, in a chain of hashes.
//!
//! Each line is a JSON object with the hash of the line before it, so that a line that was changed, removed, added or
//! moved breaks the chain there. The newest hash is also kept in a file of its own, which shows where lines
//! were cut off the end. Whoever can write both files can forge both: `verify` prints the newest hash, to be noted
//! elsewhere. Lines hold no values: every literal of a statement is replaced by `?`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ledger::AccountKey;
use crate::{Error, Principal, Result};

/// The hash before the first line.
const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// A statement is kept up to so many characters.
const LONGEST: usize = 64_000;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A statement was let through.
    Asked,
    /// A statement was refused, by this rule.
    Refused(String),
    /// Its answer was given.
    Answered,
    /// It ended without an answer.
    Failed,
    /// A budget was changed by whoever keeps the store.
    Budget {
        /// Whose.
        account: String,
        /// How.
        change: String,
    },
    /// Its answer was made safe: groups and numbers that were withheld.
    Withheld {
        /// Groups that are not listed.
        groups: usize,
        /// Numbers of listed groups.
        numbers: usize,
    },
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When, in UTC.
    pub time: String,
    /// Who.
    pub principal: String,
    /// In which role.
    pub role: String,
    /// What for.
    pub purpose: String,
    /// In which project.
    pub project: Option<String>,
    /// Under which policy: its version and the start of its hash.
    pub policy: String,
    /// On which snapshot: its version and the start of its hash.
    pub snapshot: String,
    /// What happened.
    pub event: Event,
    /// The statement without its values, up to its first 64,000 characters.
    pub statement: String,
    /// Where those are not all: what the whole is known by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Whole>,
    /// The hash of the line before.
    pub before: String,
}

/// What a statement is known by that is kept in part. It is of the text without its values, so that no value can be found by
/// trying all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// Its characters.
    pub characters: usize,
    /// BLAKE3 of its UTF-8, in hexadecimal.
    pub blake3: String,
}

impl Whole {
    fn of(statement: &str) -> Option<Self> {
        let characters = statement.chars().count();
        (characters > LONGEST).then(|| Self {
            characters,
            blake3: blake3::hash(statement.as_bytes()).to_hex().to_string(),
        })
    }
}

/// What stays the same in the lines of a session.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) principal: Principal,
    pub(crate) policy: String,
    pub(crate) snapshot: String,
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whole lines; of one that is damaged, those that are certainly in place.
    pub entries: u64,
    /// The newest hash.
    pub hash: String,
    /// What is wrong, and in which line; nothing if the log is whole.
    pub problem: Option<(u64, String)>,
}

/// An audit log, appended to by many processes.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    number: u64,
    hash: String,
    /// Bytes of the log up to here.
    bytes: u64,
}

impl AuditLog {
    /// The log at this path, whether or not it is there yet.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    fn head_path(&self) -> PathBuf {
        self.path.with_extension("head")
    }

    /// What says that there was a log, wherever its lines and its head are now.
    fn begun_path(&self) -> PathBuf {
        self.path.with_extension("begun")
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::Audit {
            message: format!(
                "the audit log `{}` cannot be written, so that nothing is answered: {error}",
                self.path.display()
            ),
        }
    }

    fn damaged(&self, why: &str) -> Error {
        Error::Audit {
            message: format!(
                "the audit log `{}` is damaged, so that nothing is answered: {why}; \
                 see `columna privacy audit verify`",
                self.path.display()
            ),
        }
    }

    /// Puts on record that `who` changes a budget: before it is changed.
    ///
    /// # Errors
    /// When the log can't be written: then the budget must stay as it is.
    pub fn budget(&self, who: &str, account: &AccountKey, change: String) -> Result<()> {
        let mut principal = Principal::new(who, "", "");
        principal.project = Some(account.project.clone()).filter(|project| !project.is_empty());
        let subject = Subject {
            principal,
            policy: String::new(),
            snapshot: String::new(),
        };
        let event = Event::Budget {
            account: account.principal.clone(),
            change,
        };
        self.append(&subject, event, "")
    }

    /// Appends a line; it is on disk when this returns.
    pub(crate) fn append(&self, subject: &Subject, event: Event, statement: &str) -> Result<()> {
        let failed = |error: std::io::Error| self.failed(&error);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut log = private(&self.path).map_err(failed)?;
        // Other processes wait here; the lock goes with the file.
        log.lock().map_err(failed)?;
        let mut head_file = private(&self.head_path()).map_err(failed)?;
        let mut text = String::new();
        head_file.read_to_string(&mut text).map_err(failed)?;
        let end = log.seek(SeekFrom::End(0)).map_err(failed)?;
        let head: Head = if text.is_empty() {
            if end > 0 || self.begun_path().exists() {
                return Err(self.damaged("its head is gone"));
            }
            let head = Head {
                hash: START.to_owned(),
                ..Head::default()
            };
            // From here on lines without a head are lines that lost it.
            self.keep(&head, &mut head_file)?;
            head
        } else {
            serde_json::from_str(&text).map_err(|_| self.damaged("its head cannot be read"))?
        };
        let head = self.caught_up(head, end, &mut log)?;
        let before = head.bytes;
        let entry = Entry {
            number: head.number + 1,
            time: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            principal: subject.principal.name.clone(),
            role: subject.principal.role.clone(),
            purpose: subject.principal.purpose.clone(),
            project: subject.principal.project.clone(),
            policy: subject.policy.clone(),
            snapshot: subject.snapshot.clone(),
            event,
            statement: statement.chars().take(LONGEST).collect(),
            whole: Whole::of(statement),
            before: head.hash,
        };
        let mut line =
            serde_json::to_vec(&entry).map_err(|error| self.damaged(&error.to_string()))?;
        let hash = blake3::hash(&line).to_hex().to_string();
        line.push(b'\n');
        log.write_all(&line).map_err(failed)?;
        log.sync_data().map_err(failed)?;
        let head = Head {
            number: entry.number,
            hash,
            bytes: before + line.len() as u64,
        };
        self.keep(&head, &mut head_file)?;
        if !self.begun_path().exists() {
            let begun = private(&self.begun_path()).map_err(failed)?;
            begun.sync_all().map_err(failed)?;
        }
        Ok(())
    }

    /// Writes a head over the one before, which is no longer: a process that dies meanwhile leaves one of them.
    fn keep(&self, head: &Head, file: &mut File) -> Result<()> {
        let failed = |error: std::io::Error| self.failed(&error);
        let text = serde_json::to_string(head).map_err(|error| self.damaged(&error.to_string()))?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.set_len(text.len() as u64).map_err(failed)?;
        file.sync_data().map_err(failed)
    }

    /// A process that died between the line and the head leaves lines beyond it; fewer than it knows were cut off.
    fn caught_up(&self, head: Head, end: u64, log: &mut File) -> Result<Head> {
        if head.bytes == end {
            return Ok(head);
        }
        if end < head.bytes {
            return Err(self.damaged("lines are missing at its end"));
        }
        let failed = |error: std::io::Error| self.failed(&error);
        log.seek(SeekFrom::Start(head.bytes)).map_err(failed)?;
        let mut head = head;
        let mut rest = Vec::new();
        log.read_to_end(&mut rest).map_err(failed)?;
        let mut whole = head.bytes;
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else {
                break;
            };
            let entry: Entry = serde_json::from_slice(line)
                .map_err(|_| self.damaged("its last line cannot be read"))?;
            if entry.before != head.hash || entry.number != head.number + 1 {
                return Err(self.damaged("its last lines do not follow from those before"));
            }
            whole += line.len() as u64 + 1;
            head = Head {
                number: entry.number,
                hash: blake3::hash(line).to_hex().to_string(),
                bytes: whole,
            };
        }
        // A line that was cut short by a crash said nothing yet.
        log.set_len(whole).map_err(failed)?;
        log.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(head)
    }

    fn kept_head(&self) -> Option<Head> {
        let text = std::fs::read_to_string(self.head_path()).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Goes through the whole log: each line follows from the one before, and they lead to the line that the head names.
    /// Only whole lines that follow from that one may come after it.
    ///
    /// # Errors
    /// When a file can't be read. What is wrong with the log is no error, but what was asked.
    pub fn verify(&self) -> Result<Verified> {
        let unread = |source| Error::Io {
            doing: "read the audit log",
            what: self.path.display().to_string(),
            source,
        };
        let mut found = Verified {
            entries: 0,
            hash: START.to_owned(),
            problem: None,
        };
        // Before the lines: others may add some meanwhile.
        let head = self.kept_head();
        let log = match File::open(&self.path) {
            Ok(log) => {
                // Nobody is in the middle of a line.
                log.lock_shared().map_err(unread)?;
                Some(log)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unread(error)),
        };
        let mut bytes: u64 = 0;
        let mut reader = log.map(BufReader::new);
        let mut line = Vec::new();
        while let Some(reader) = &mut reader {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(unread)? == 0 {
                break;
            }
            let begin = bytes;
            bytes += line.len() as u64;
            let number = found.entries + 1;
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let problem = match serde_json::from_slice::<Entry>(text) {
                _ if text.len() == line.len() => Some("the line is cut short"),
                Err(_) => Some("the line cannot be read"),
                Ok(entry) if entry.number != number => Some("the line has another number"),
                Ok(entry) if entry.before != found.hash => Some(CHANGED),
                Ok(_) => None,
            };
            if let Some(problem) = problem {
                // Of the one before it nothing is certain.
                if problem == CHANGED {
                    found.entries = found.entries.saturating_sub(1);
                }
                found.problem = Some((number, problem.to_owned()));
                return Ok(found);
            }
            found.entries = number;
            found.hash = blake3::hash(text).to_hex().to_string();
            let here = Head {
                number,
                hash: found.hash.clone(),
                bytes,
            };
            let ends_here = |head: &Head| (begin + 1..=bytes).contains(&head.bytes);
            if head
                .as_ref()
                .is_some_and(|head| ends_here(head) && *head != here)
            {
                // Each line follows from the one before, but this is not where they led to.
                found.entries = 0;
                found.problem = Some((number, EXCHANGED.to_owned()));
                return Ok(found);
            }
        }
        let missing = |what: &str| Some((found.entries + 1, what.to_owned()));
        found.problem = match head {
            None if found.entries == 0 && !self.begun_path().exists() => None,
            None => missing("the head file is missing or cannot be read"),
            Some(head) if head.bytes > bytes => missing("lines are missing at the end"),
            Some(_) => None,
        };
        Ok(found)
    }
}

/// What is wrong where a line has not the hash of the one before it.
const CHANGED: &str = "this line or the one before it was changed";
/// What is wrong where the lines lead to another one than the head knows.
const EXCHANGED: &str =
    "the head knows another line here: this one was changed, or the log exchanged for another";

fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn log(lines: usize) -> (tempfile::TempDir, AuditLog) {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::at(folder.path().join("audit.jsonl"));
        for _ in 0..lines {
            log.append(&subject(), Event::Asked, "SELECT ?").unwrap();
        }
        (folder, log)
    }

    fn subject() -> Subject {
        Subject {
            principal: Principal::new("kim", "researcher", "research"),
            policy: "1 abc".to_owned(),
            snapshot: "1 def".to_owned(),
        }
    }

    fn lines(log: &AuditLog) -> Vec<String> {
        let text = std::fs::read_to_string(&log.path).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn rewritten(change: impl Fn(&mut Vec<String>)) -> Option<(u64, String)> {
        let (_folder, log) = log(5);
        let mut lines = lines(&log);
        change(&mut lines);
        std::fs::write(&log.path, lines.join("\n") + "\n").unwrap();
        log.verify().unwrap().problem
    }

    /// The hash in the line after it does not fit: either of both may have been changed, and those before are in place.
    #[test]
    fn a_changed_line_is_told_from_those_before_it() {
        let (_folder, log) = log(5);
        let mut lines = lines(&log);
        lines[2] = lines[2].replacen("\"number\":3", "\"number\": 3", 1);
        std::fs::write(&log.path, lines.join("\n") + "\n").unwrap();
        let found = log.verify().unwrap();
        assert_eq!(found.problem, Some((4, CHANGED.to_owned())));
        assert_eq!(found.entries, 2);
    }

    #[test]
    fn a_log_that_nobody_touched_is_whole() {
        let (_folder, log) = log(5);
        let found = log.verify().unwrap();
        assert_eq!((found.entries, found.problem), (5, None));
        // Known answer: each line names the hash of the one before.
        let lines = lines(&log);
        assert!(lines[0].contains(START));
        let hash = blake3::hash(lines[3].as_bytes()).to_hex().to_string();
        assert!(lines[4].contains(&hash));
        assert_eq!(
            found.hash,
            blake3::hash(lines[4].as_bytes()).to_hex().to_string()
        );
    }

    #[test]
    fn every_change_is_found() {
        assert_eq!(rewritten(|_| ()), None);
        let line = |change: fn(&mut Vec<String>)| rewritten(change).unwrap().0;
        assert_eq!(line(|l| l[2] = l[2].replace("kim", "lee")), 4);
        assert_eq!(line(|l| drop(l.remove(2))), 3);
        assert_eq!(line(|l| l.swap(1, 2)), 2);
        assert_eq!(line(|l| l.insert(2, l[1].clone())), 3);
        assert_eq!(line(|l| drop(l.pop())), 5);
        assert_eq!(line(|l| l[4] = l[4].replace("kim", "lee")), 5);
        assert_eq!(line(Vec::clear), 1);
    }

    /// A log of the same chain that leads elsewhere, and a last line that became longer, have more bytes than the head knows.
    #[test]
    fn a_log_that_was_exchanged_is_found() {
        let at_head = |found: &Verified| {
            found
                .problem
                .as_ref()
                .map(|(line, what)| (*line, what.contains("the head knows")))
        };
        for others in 1..12 {
            let (_folder, log) = log(5);
            let (_other, other) = self::log(others);
            std::fs::copy(&other.path, &log.path).unwrap();
            let found = log.verify().unwrap();
            assert!(found.problem.is_some(), "{others}: {found:?}");
        }
        for (name, line) in [("a longer name than kim", 5), ("k", 5)] {
            let (_folder, log) = log(5);
            let mut lines = lines(&log);
            lines[4] = lines[4].replace("kim", name);
            std::fs::write(&log.path, lines.join("\n") + "\n").unwrap();
            let found = log.verify().unwrap();
            if name.len() > 3 {
                assert_eq!(at_head(&found), Some((line, true)), "{found:?}");
                assert_eq!(found.entries, 0);
            } else {
                assert!(found.problem.is_some());
            }
        }
        // What a process left that died before it wrote the head follows, if it is whole.
        let (_folder, log) = log(3);
        let head = std::fs::read(log.head_path()).unwrap();
        log.append(&subject(), Event::Asked, "SELECT ?").unwrap();
        std::fs::write(log.head_path(), head).unwrap();
        assert_eq!(log.verify().unwrap().problem, None);
        let whole = std::fs::read_to_string(&log.path).unwrap();
        std::fs::write(&log.path, whole.trim_end()).unwrap();
        let found = log.verify().unwrap();
        assert_eq!(found.problem, Some((4, "the line is cut short".to_owned())));
    }

    #[test]
    fn a_line_cut_short_by_a_crash_is_taken_back_and_one_before_its_head_is_kept() {
        let (_folder, log) = log(2);
        let head = std::fs::read(log.head_path()).unwrap();
        log.append(&subject(), Event::Answered, "SELECT ?").unwrap();
        std::fs::write(log.head_path(), head).unwrap();
        let mut file = OpenOptions::new().append(true).open(&log.path).unwrap();
        file.write_all(b"{\"number\":4,").unwrap();
        log.append(&subject(), Event::Asked, "SELECT ?").unwrap();
        let found = log.verify().unwrap();
        assert_eq!((found.entries, found.problem), (4, None));
    }

    /// Lines that are cut off together with the head would otherwise begin a chain of their own with the next statement.
    #[test]
    fn a_log_without_its_head_is_not_begun_anew() {
        for (cut, name) in [(3, "cut"), (0, "emptied"), (5, "whole")] {
            for head_is_empty in [false, true] {
                let (_folder, log) = log(5);
                let kept = lines(&log)[..cut].join("\n") + if cut > 0 { "\n" } else { "" };
                std::fs::write(&log.path, kept).unwrap();
                std::fs::remove_file(log.head_path()).unwrap();
                if head_is_empty {
                    std::fs::write(log.head_path(), "").unwrap();
                }
                for _ in 0..2 {
                    let refused = log.append(&subject(), Event::Asked, "SELECT ?");
                    let refused = refused.unwrap_err().to_string();
                    assert!(refused.contains("its head is gone"), "{name}: {refused}");
                    assert!(log.verify().unwrap().problem.is_some(), "{name}");
                }
            }
        }
        // Neither is one of which nothing is left.
        let (_folder, log) = log(5);
        std::fs::remove_file(&log.path).unwrap();
        std::fs::remove_file(log.head_path()).unwrap();
        assert!(log.verify().unwrap().problem.is_some());
        assert!(log.append(&subject(), Event::Asked, "SELECT ?").is_err());
    }

    /// Who puts what it asks for behind a long text is told from one who does not.
    #[test]
    fn a_long_statement_is_marked_and_known_by_its_hash() {
        let (_folder, log) = log(0);
        let padded = |last: &str| format!("SELECT ? {}{last}", "AND ? = ? ".repeat(LONGEST / 10));
        for statement in [
            "SELECT ?".to_owned(),
            padded("AND zip = ?"),
            padded("AND age = ?"),
        ] {
            log.append(&subject(), Event::Asked, &statement).unwrap();
        }
        let entries: Vec<Entry> = lines(&log)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(entries[0].whole, None);
        assert!(!lines(&log)[0].contains("whole"));
        assert_eq!(entries[1].statement, entries[2].statement);
        let whole = entries[1].whole.as_ref().unwrap();
        assert_eq!(whole.characters, padded("AND zip = ?").len());
        let hash = blake3::hash(padded("AND zip = ?").as_bytes());
        assert_eq!(whole.blake3, hash.to_hex().to_string());
        assert_ne!(entries[1].whole, entries[2].whole);
        assert_eq!(log.verify().unwrap().problem, None);
    }

    #[test]
    fn many_writers_make_one_chain() {
        let (_folder, log) = log(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        log.append(&subject(), Event::Asked, "SELECT ?").unwrap();
                    }
                });
            }
        });
        let found = log.verify().unwrap();
        assert_eq!((found.entries, found.problem), (40, None));
    }
}
