//! Where keys come from: a private file, an environment variable, or a command. Never the store.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::{Zeroize, Zeroizing};

use super::hmac::Keyed;
use crate::{Error, Result};

/// A key has at least this many bytes; fewer could be tried out.
const SHORTEST: usize = 32;

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only its owner can read.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// A command that prints the keys, such as the client of a key vault. It is run without a shell.
    Command(Vec<String>),
}

impl FromStr for KeySource {
    type Err = String;

    /// `file:PATH` (or a path alone), `env:NAME`, `command:PROGRAM ARGUMENTS`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or(("file", text));
        match (kind, rest.trim()) {
            (_, "") => Err("name a file, `env:NAME` or `command:PROGRAM ARGUMENTS`".to_owned()),
            ("file", path) => Ok(Self::File(PathBuf::from(path))),
            ("env", name) => Ok(Self::Env(name.to_owned())),
            ("command", command) => Ok(Self::Command(
                command.split_whitespace().map(str::to_owned).collect(),
            )),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the key file `{}`", path.display()),
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            // Its arguments may hold a token.
            Self::Command(words) => {
                write!(f, "the key command `{}`", words.first().map_or("", |w| w))
            }
        }
    }
}

impl KeySource {
    /// Reads the keys.
    ///
    /// # Errors
    /// When there are none, others than the owner can read the file, or a line is no key.
    pub fn load(&self) -> Result<Keys> {
        let text = match self {
            Self::File(path) => {
                self.refuse_shared(path)?;
                Zeroizing::new(std::fs::read_to_string(path).map_err(|e| self.failed(&e))?)
            }
            Self::Env(name) => Zeroizing::new(
                std::env::var(name).map_err(|_| self.wrong("it is not set, or no text"))?,
            ),
            Self::Command(words) => self.run(words)?,
        };
        self.parse(&text)
    }

    fn run(&self, words: &[String]) -> Result<Zeroizing<String>> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(self.wrong("it is empty"));
        };
        let mut output = std::process::Command::new(program)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|e| self.failed(&e))?;
        if !output.status.success() {
            output.stdout.zeroize();
            return Err(self.wrong("it ended with an error"));
        }
        match String::from_utf8(std::mem::take(&mut output.stdout)) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(self.wrong("what it printed is no text"))
            }
        }
    }

    #[cfg(unix)]
    fn refuse_shared(&self, path: &std::path::Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(path).map_err(|e| self.failed(&e))?;
        let mode = metadata.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(self.wrong(&format!(
                "others than its owner can read or change it (mode {:03o}); run `chmod 600` on it",
                mode & 0o777
            )));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn refuse_shared(&self, _path: &std::path::Path) -> Result<()> {
        Ok(())
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::Keys {
            message: format!("{self} cannot be used: {reason}"),
        }
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        self.wrong(&error.to_string())
    }

    /// `NAME = HEX` or `NAME/VERSION = HEX`, one a line; `#` begins a comment.
    fn parse(&self, text: &str) -> Result<Keys> {
        let mut keys: BTreeMap<(String, u32), Secret> = BTreeMap::new();
        let mut marks: Vec<(String, Zeroizing<[u8; 32]>)> = Vec::new();
        // A byte order mark, which some editors put in front, is no part of a name.
        let text = text.trim_start_matches('\u{feff}');
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let wrong = |reason: &str| self.wrong(&format!("line {}: {reason}", index + 1));
            let (name, hex) = line
                .split_once('=')
                .ok_or_else(|| wrong("a key is written as `NAME/VERSION = HEXADECIMAL`"))?;
            let (name, version) = match name.trim().split_once('/') {
                None => (name.trim(), 1),
                Some((name, version)) => (
                    name.trim(),
                    version
                        .trim()
                        .parse()
                        .map_err(|_| wrong("the version after `/` is a whole number"))?,
                ),
            };
            let secret = Secret::from_hex(hex.trim().trim_matches('"'))
                .ok_or_else(|| wrong("a key is an even number of hexadecimal digits"))?;
            if name.is_empty() {
                return Err(wrong("the key has no name"));
            }
            if secret.0.len() < SHORTEST {
                return Err(wrong(&format!(
                    "a key has at least {SHORTEST} bytes, which are {} hexadecimal digits",
                    SHORTEST * 2
                )));
            }
            if secret.0.iter().all(|byte| *byte == 0) {
                return Err(wrong(
                    "a key of zeros is known to everybody; make one with `columna privacy key new`",
                ));
            }
            let mark = secret.mark()?;
            let twin = marks
                .iter()
                .find(|(known, other)| known != name && *other == mark);
            if let Some((known, _)) = twin {
                return Err(wrong(&format!(
                    "this key makes the same pseudonyms as `{known}`, so that what is made with them can be joined; make another \
                     one with `columna privacy key new`"
                )));
            }
            marks.push((name.to_owned(), mark));
            if keys.insert((name.to_owned(), version), secret).is_some() {
                return Err(wrong("this key and version stands there twice"));
            }
        }
        if keys.is_empty() {
            return Err(self.wrong("it holds no key"));
        }
        Ok(Keys {
            source: self.to_string(),
            keys,
        })
    }
}

/// The bytes of a key: never printed, wiped when dropped.
struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The same for keys of which HMAC makes the same: it fills a short one up with zeros, and hashes a long one.
    fn mark(&self) -> Result<Zeroizing<[u8; 32]>> {
        let keyed = Keyed::new(&self.0)?.derive("columna mark 2")?;
        Ok(Zeroizing::new(keyed.hash(&[])))
    }

    fn from_hex(hex: &str) -> Option<Self> {
        if !hex.is_ascii() || !hex.len().is_multiple_of(2) || hex.is_empty() {
            return None;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(hex.len() / 2));
        for at in (0..hex.len()).step_by(2) {
            let pair = hex.get(at..at + 2)?;
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
        }
        Some(Self(bytes))
    }
}

/// Keys by name and version.
pub struct Keys {
    source: String,
    keys: BTreeMap<(String, u32), Secret>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.keys()).finish()
    }
}

impl Keys {
    /// A key by its name: this version, or the newest.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn get(&self, name: &str, version: Option<u32>) -> Result<&[u8]> {
        let found = self.keys.iter().rfind(|((known, number), _)| {
            known == name && version.is_none_or(|wanted| wanted == *number)
        });
        found
            .map(|(_, secret)| secret.0.as_slice())
            .ok_or_else(|| Error::Keys {
                message: match version {
                    None => format!("{} holds no key `{name}`", self.source),
                    Some(version) => {
                        format!("{} holds no key `{name}/{version}`", self.source)
                    }
                },
            })
    }

    /// The newest version of a key.
    #[must_use]
    pub fn newest(&self, name: &str) -> Option<u32> {
        let versions = self.names().filter(|(known, _)| *known == name);
        versions.map(|(_, version)| version).max()
    }

    /// The names and versions that are there.
    pub fn names(&self) -> impl Iterator<Item = (&str, u32)> {
        self.keys
            .keys()
            .map(|(name, version)| (name.as_str(), *version))
    }
}

/// A new random key, as a line of a key file.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_key_line(name: &str, version: u32) -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0u8; SHORTEST]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|e| Error::Keys {
        message: format!("the system gives no random numbers: {e}"),
    })?;
    let mut line = Zeroizing::new(format!("{name}/{version} = "));
    for byte in bytes.iter() {
        line.push_str(&format!("{byte:02x}"));
    }
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use sha2::Digest;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parse(text: &str) -> Result<Keys> {
        KeySource::Env("KEYS".to_owned()).parse(text)
    }

    #[test]
    fn the_newest_version_counts_unless_one_is_named() {
        let text = format!(
            "# keys\nstroke/1 = {}\nstroke/2={} # newer\nother = {}\n",
            "01".repeat(32),
            "02".repeat(32),
            "03".repeat(32)
        );
        let keys = parse(&text).unwrap();
        assert_eq!(keys.get("stroke", None).unwrap(), [2u8; 32]);
        assert_eq!(keys.get("stroke", Some(1)).unwrap(), [1u8; 32]);
        assert_eq!(keys.get("other", None).unwrap(), [3u8; 32]);
        assert!(keys.get("stroke", Some(3)).is_err());
        assert!(keys.get("nobody", None).is_err());
        assert!(!format!("{keys:?}").contains("0101"));
    }

    #[test]
    fn a_wrong_line_is_named_and_its_text_is_not() {
        let good = format!("a = {}\n", "01".repeat(32));
        for bad in ["b = 1234", "b = xyz", "b", "/1 = 00", "b/x = 00"] {
            let message = parse(&format!("{good}{bad}")).unwrap_err().to_string();
            assert!(message.contains("line 2"), "{message}");
            assert!(
                !message.contains("1234") && !message.contains("xyz"),
                "{message}"
            );
        }
        for (key, twin) in [
            ("01".repeat(32), "01".repeat(32)),
            // HMAC fills a key up with zeros, and hashes one that is longer than its block.
            ("01".repeat(32), format!("{}00", "01".repeat(32))),
            (format!("{}00", "01".repeat(63)), "01".repeat(63)),
            ("03".repeat(65), hex(&sha2::Sha256::digest([3u8; 65]))),
        ] {
            let twin = parse(&format!("a = {key}\nb = {twin}"));
            let message = twin.unwrap_err().to_string();
            assert!(
                message.contains("line 2") && message.contains("same pseudonyms as `a`"),
                "{message}"
            );
        }
        // Those that differ within, or in front.
        let others = format!("{good}b = 00{0}\nc = {0}0001", "01".repeat(32));
        assert_eq!(parse(&others).unwrap().names().count(), 3);
        let zeros = parse(&format!("{good}b = {}", "00".repeat(40)));
        let message = zeros.unwrap_err().to_string();
        assert!(message.contains("line 2: a key of zeros"), "{message}");
        assert!(
            parse(&format!("\u{feff}{good}"))
                .unwrap()
                .get("a", None)
                .is_ok()
        );
        let twice = format!("{good}{good}");
        assert!(parse(&twice).unwrap_err().to_string().contains("twice"));
        assert!(parse("").unwrap_err().to_string().contains("no key"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, new_key_line("a", 1).unwrap().as_str()).unwrap();
        let source: KeySource = path.display().to_string().parse().unwrap();
        for (mode, usable) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(source.load().is_ok(), usable, "{mode:o}");
        }
    }

    #[test]
    fn a_command_prints_keys() {
        let source: KeySource = format!("command:echo a = {}", "0a".repeat(32))
            .parse()
            .unwrap();
        assert_eq!(source.load().unwrap().get("a", None).unwrap(), [10u8; 32]);
        let source: KeySource = "command:false".parse().unwrap();
        let message = source.load().unwrap_err().to_string();
        assert_eq!(
            message,
            "the key command `false` cannot be used: it ended with an error"
        );
    }

    #[test]
    fn new_keys_differ() {
        let (a, b) = (new_key_line("a", 1).unwrap(), new_key_line("a", 1).unwrap());
        assert_ne!(a.as_str(), b.as_str());
        assert!(parse(&a).is_ok());
    }
}
