//! Where budgets, releases and the like are kept: beside the store, for the steward's eyes alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// The folder of a store's private records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    folder: PathBuf,
}

/// Why there is no such folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store is not on this machine.
    #[error(
        "budgets and releases of `{0}` have no place on this machine; name a folder with `--state DIR` or COLUMNA_PRIVACY"
    )]
    Remote(String),
    /// The store's own policy is not kept as it must be.
    #[error("the store's policy `{}` {reason}", policy.display())]
    Policy {
        /// Its file.
        policy: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// The folder can't be used.
    #[error("cannot use `{}` for budgets and releases: {source}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl State {
    /// The folder that was named, or the one beside the store: `STORE.privacy`.
    ///
    /// # Errors
    ///
    /// When none was named and the store is elsewhere.
    pub fn of(store: &str, named: Option<&Path>) -> Result<Self, StateError> {
        if let Some(folder) = named {
            return Ok(Self {
                folder: folder.to_path_buf(),
            });
        }
        match local(store) {
            Some(path) => Ok(Self {
                folder: beside(path),
            }),
            None => Err(StateError::Remote(store.to_owned())),
        }
    }

    /// The policy that a store is under, by whatever name and with whatever other folder for its records it is opened:
    /// the one that is kept beside it. One that may not be looked at counts, and so does a link that leads nowhere, such as
    /// to a disk that is not mounted, and one of a wrong name: it must not be passed over.
    #[must_use]
    pub fn own_policy(store: &str) -> Option<PathBuf> {
        let folder = beside(local(store)?);
        policy_in(&folder)
    }

    /// Refuses a store's own policy that it is not kept in the right file, or that others can change: whoever can write it
    /// decides who sees what.
    ///
    /// # Errors
    ///
    /// What to do.
    pub fn keeps_well(policy: &Path) -> Result<(), StateError> {
        let failed = |reason: String| StateError::Policy {
            policy: policy.to_path_buf(),
            reason,
        };
        if policy.file_name().is_none_or(|name| name != "policy.toml") {
            return Err(failed(
                "is not read: a store's policy is TOML, in a file of the name `policy.toml`; rename it, or take it away"
                    .to_owned(),
            ));
        }
        let metadata = fs::metadata(policy)
            .map_err(|error| failed(format!("is there and cannot be read: {error}")))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode();
            if mode & 0o022 != 0 {
                return Err(failed(format!(
                    "can be changed by others than its owner (mode {:03o}); run `chmod go-w` on it",
                    mode & 0o777
                )));
            }
            // Whoever can write the folder can put another file in its place.
            if let Some(folder) = policy.parent().filter(|folder| *folder != Path::new("")) {
                let folder = fs::metadata(folder)
                    .map_err(|error| failed(format!("is there and cannot be read: {error}")))?;
                let mode = folder.permissions().mode();
                if mode & 0o022 != 0 {
                    return Err(failed(format!(
                        "is in a folder that others than its owner can write (mode {:03o}); run `chmod go-w` on the folder",
                        mode & 0o777
                    )));
                }
            }
        }
        #[cfg(not(unix))]
        drop(metadata);
        Ok(())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The budget ledger's file.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.sqlite")
    }

    /// The file of what was released.
    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.folder.join("releases.sqlite")
    }

    /// The audit log's file.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.folder.join("audit.jsonl")
    }

    /// The policy that the store's sessions are under, where one is kept here.
    #[must_use]
    pub fn policy(&self) -> PathBuf {
        self.folder.join("policy.toml")
    }

    /// Names the data set: the name that was kept here, or `first`, which is kept from now on. No new snapshot and no
    /// new name of the store changes it.
    ///
    /// # Errors
    ///
    /// When the name can't be read or kept.
    pub fn dataset(&self, first: &str) -> Result<String, StateError> {
        let failed = |source| StateError::Io {
            folder: self.folder.clone(),
            source,
        };
        self.create().map_err(failed)?;
        let path = self.folder.join("dataset");
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        match options.open(&path) {
            Ok(mut file) => {
                file.write_all(first.as_bytes()).map_err(failed)?;
                file.sync_all().map_err(failed)?;
                Ok(first.to_owned())
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // Another process may be about to write it.
                for _ in 0..100 {
                    let name = fs::read_to_string(&path).map_err(failed)?;
                    if !name.is_empty() {
                        return Ok(name);
                    }
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                fs::write(&path, first).map_err(failed)?;
                Ok(first.to_owned())
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether a role that reads may have a file written: a new one, outside of the store and of what is kept beside it.
    #[must_use]
    pub fn lets_write(&self, store: &str, file: &Path) -> bool {
        if file.symlink_metadata().is_ok() {
            return false;
        }
        file.parent()
            .is_some_and(|folder| self.lies_apart(store, folder))
    }

    /// Whether a folder, which need not be there yet, is outside of the store and of what is kept beside it.
    fn lies_apart(&self, store: &str, folder: &Path) -> bool {
        let Ok(folder) = resolved(folder) else {
            return false;
        };
        let own = local(store).map(|path| {
            let kept = beside(path);
            // The store whose folder it is, of which this one may only have links.
            let real = kept.with_extension("");
            let all = [PathBuf::from(path), kept, real].into_iter();
            all.chain(parts_of(Path::new(path)))
        });
        let kept = own.into_iter().flatten().chain([self.folder.clone()]);
        kept.filter_map(|kept| fs::canonicalize(kept).ok())
            .all(|kept| !folder.starts_with(kept))
    }

    /// Whether a role that reads may have the results of a study written into a folder: a new or empty one, or that of another
    /// run, outside of the store and of what is kept beside it.
    #[must_use]
    pub fn lets_run(&self, store: &str, folder: &Path) -> bool {
        let empty = || fs::read_dir(folder).is_ok_and(|mut files| files.next().is_none());
        let usable =
            folder.symlink_metadata().is_err() || folder.join("run.json").is_file() || empty();
        usable && self.lies_apart(store, folder)
    }

    /// Makes the folder, for its owner alone.
    pub(crate) fn create(&self) -> std::io::Result<()> {
        if self.folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
}

/// Where a path leads, whether or not all of it is there yet.
fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    let mut at = std::env::current_dir()?;
    for part in path.components() {
        match part {
            Component::ParentDir => {
                at.pop();
            }
            Component::CurDir => {}
            part => at.push(part),
        }
        at = fs::canonicalize(&at).unwrap_or(at);
    }
    Ok(at)
}

/// The folder of a store on this machine: what `Store::open` takes for one.
fn local(store: &str) -> Option<&str> {
    if let Some(path) = store.strip_prefix("file://") {
        return Some(path);
    }
    let scheme = store.split_once("://").map(|(scheme, _)| scheme);
    let is_scheme =
        |scheme: &str| scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric());
    (!scheme.is_some_and(is_scheme)).then_some(store)
}

/// The policy in a folder of records.
fn policy_in(folder: &Path) -> Option<PathBuf> {
    let policy = folder.join("policy.toml");
    let gone = |path: &Path, read: fn(&Path) -> std::io::Result<fs::Metadata>| matches!(read(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound);
    let dangling = folder.is_symlink() && gone(folder, |path| path.metadata());
    if dangling || !gone(&policy, |path| path.symlink_metadata()) {
        return Some(policy);
    }
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let misnamed = |name: &str| {
        ["policy.toml", "policy.yaml", "policy.yml"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(misnamed))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.into_iter().next()
}

/// The folders of a store.
const PARTS: [&str; 4] = ["manifests", "projections", "snapshots", "tables"];

/// Where a store's parts really lie: its folders, and whatever in them is a link to somewhere else, be it to one file.
fn parts_of(store: &Path) -> Vec<PathBuf> {
    let mut parts = BTreeSet::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut links: Vec<PathBuf> = PARTS.map(|part| store.join(part)).into();
    loop {
        if let Some(link) = links.pop() {
            if let Ok(real) = fs::canonicalize(link)
                && parts.insert(real.clone())
            {
                folders.push(real);
            }
        } else if let Some(folder) = folders.pop() {
            // What is no folder has no entries.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_symlink() => links.push(entry.path()),
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => {}
                }
            }
        } else {
            return parts.into_iter().collect();
        }
    }
}

/// The folder beside another store, of which this one has a part by a link: it is the same data, under the same policy.
fn beside_parts(store: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(store).ok()?;
    let parts = parts_of(store);
    let elsewhere = parts.iter().filter(|part| !part.starts_with(&real));
    let folders: BTreeSet<&Path> = elsewhere.flat_map(|part| part.ancestors()).collect();
    let found: Vec<PathBuf> = folders
        .into_iter()
        .filter_map(|folder| {
            let mut name = folder.file_name()?.to_os_string();
            name.push(".privacy");
            Some(folder.with_file_name(name))
        })
        .filter(|kept| kept.symlink_metadata().is_ok())
        .collect();
    // One with a policy before one without.
    let with = found.iter().find(|kept| policy_in(kept).is_some());
    with.or(found.first()).cloned()
}

/// The folder beside a store. A link to the store has none of its own, and nor has a folder of links to its parts: it would be
/// a way around the policy, and back to an unspent budget.
fn beside(path: &str) -> PathBuf {
    if let Some(kept) = beside_parts(Path::new(path)) {
        return kept;
    }
    let named = PathBuf::from(format!("{}.privacy", path.trim_end_matches('/')));
    let Ok(real) = fs::canonicalize(path) else {
        return named;
    };
    let mut name = real.clone().into_os_string();
    name.push(".privacy");
    let real = PathBuf::from(name);
    let parent = match named.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return real,
    };
    // As it was written, where that is the same: messages show it.
    match (fs::canonicalize(parent), named.file_name()) {
        (Ok(parent), Some(name)) if parent.join(name) == real => named,
        _ => real,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn records_stand_beside_the_store() {
        let place = |store: &str| State::of(store, None).map(|state| state.folder);
        assert_eq!(
            place("data/store/").unwrap(),
            Path::new("data/store.privacy")
        );
        assert_eq!(
            place("file:///data/store").unwrap(),
            Path::new("/data/store.privacy")
        );
        assert!(place("s3://bucket/store").is_err());
        let named = State::of("s3://bucket/store", Some(Path::new("here"))).unwrap();
        assert_eq!(named.folder(), Path::new("here"));
    }

    #[cfg(unix)]
    #[test]
    fn another_name_of_a_store_has_no_records_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let store = root.join("store");
        fs::create_dir(&store).unwrap();
        fs::create_dir(root.join("a:")).unwrap();
        std::os::unix::fs::symlink(&store, root.join("link")).unwrap();
        let kept = root.join("store.privacy");
        let root = root.display();
        let names = [
            format!("{root}/store"),
            format!("{root}/link"),
            format!("{root}/link/"),
            format!("{root}/store/."),
            format!("{root}/./store//"),
            format!("{root}/store/../link"),
            format!("file://{root}/link"),
            format!("{root}/a://../store"),
        ];
        fs::create_dir(&kept).unwrap();
        for name in &names {
            let state = State::of(name, None).unwrap();
            assert_eq!(state.folder.canonicalize().unwrap(), kept, "{name}");
            assert_eq!(State::own_policy(name), None, "{name}");
        }
        fs::write(kept.join("policy.toml"), "version = 1").unwrap();
        for name in &names {
            let found = State::own_policy(name).unwrap().canonicalize().unwrap();
            assert_eq!(found, kept.join("policy.toml"), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_of_links_to_a_stores_parts_is_under_its_policy() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let store = root.join("store");
        for part in ["manifests", "snapshots", "tables/person"] {
            fs::create_dir_all(store.join(part)).unwrap();
        }
        let kept = root.join("store.privacy");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("policy.toml"), "version = 1").unwrap();
        let made = |name: &str, links: &[&str]| {
            let other = root.join(name);
            for part in ["manifests", "snapshots", "tables"] {
                let place = other.join(part);
                fs::create_dir_all(&other).unwrap();
                match links.contains(&part) {
                    true => symlink(store.join(part), place).unwrap(),
                    false => fs::create_dir(place).unwrap(),
                }
            }
            other
        };
        let all = made("all", &["manifests", "snapshots", "tables"]);
        let some = made("some", &["tables"]);
        let deep = made("deep", &[]);
        symlink(store.join("tables/person"), deep.join("tables/person")).unwrap();
        // Links to single files, to folders of buckets, and to folders that hold such links.
        for file in [
            "snapshots/0.json",
            "manifests/a.json",
            "tables/person/00000/a.parquet",
        ] {
            fs::create_dir_all(store.join(file).parent().unwrap()).unwrap();
            fs::write(store.join(file), "").unwrap();
        }
        let files = made("files", &[]);
        let place = "snapshots/0.json";
        symlink(
            Path::new("../..").join("store").join(place),
            files.join(place),
        )
        .unwrap();
        let buckets = made("buckets", &[]);
        fs::create_dir_all(buckets.join("tables/person")).unwrap();
        let bucket = "tables/person/00000";
        symlink(store.join(bucket), buckets.join(bucket)).unwrap();
        let far = root.join("far/other/tables/person");
        fs::create_dir_all(&far).unwrap();
        symlink(store.join(bucket).join("a.parquet"), far.join("b.parquet")).unwrap();
        let through = made("through", &["none"]);
        fs::remove_dir(through.join("tables")).unwrap();
        symlink(root.join("far/other/tables"), through.join("tables")).unwrap();
        // A loop ends.
        symlink(through.join("tables"), through.join("snapshots/round")).unwrap();
        let projected = made("projected", &[]);
        fs::create_dir_all(projected.join("projections/person")).unwrap();
        symlink(
            store.join(bucket),
            projected.join("projections/person/00000"),
        )
        .unwrap();
        // A folder of its own makes no difference.
        fs::create_dir(root.join("some.privacy")).unwrap();
        for other in [all, some, deep, files, buckets, through, projected] {
            let name = other.to_str().unwrap();
            let state = State::of(name, None).unwrap();
            assert_eq!(state.folder, kept, "{name}");
            let found = State::own_policy(name).unwrap();
            assert_eq!(found, kept.join("policy.toml"), "{name}");
            assert!(
                !state.lets_write(name, &store.join("tables/new.csv")),
                "{name}"
            );
        }
        // Parts on another disk, beside which nothing is kept, are the store's own.
        let large = root.join("large");
        fs::create_dir_all(large.join("tables")).unwrap();
        let spread = made("spread", &["none"]);
        fs::remove_dir(spread.join("tables")).unwrap();
        symlink(large.join("tables"), spread.join("tables")).unwrap();
        let name = spread.to_str().unwrap();
        assert_eq!(
            State::of(name, None).unwrap().folder,
            root.join("spread.privacy")
        );
        assert_eq!(State::own_policy(name), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_policy_is_not_passed_over() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        fs::create_dir(&store).unwrap();
        let kept = folder.path().join("store.privacy");
        let name = store.to_str().unwrap();
        // A folder, and a file, on a disk that is not there.
        symlink("/nowhere/at/all", &kept).unwrap();
        let found = State::own_policy(name).unwrap();
        assert!(State::keeps_well(&found).is_err());
        fs::remove_file(&kept).unwrap();
        fs::create_dir(&kept).unwrap();
        symlink("/nowhere/gone.toml", kept.join("policy.toml")).unwrap();
        let found = State::own_policy(name).unwrap();
        let said = State::keeps_well(&found).unwrap_err().to_string();
        assert!(said.contains("cannot be read"), "{said}");
        fs::remove_file(&found).unwrap();
        for wrong in ["policy.yaml", "policy.yml", "Policy.toml"] {
            fs::write(kept.join(wrong), "version = 1").unwrap();
            let found = State::own_policy(name).unwrap();
            let said = State::keeps_well(&found).unwrap_err().to_string();
            assert!(
                said.contains(wrong) && said.contains("is not read"),
                "{said}"
            );
            fs::remove_file(found).unwrap();
        }
        let policy = kept.join("policy.toml");
        fs::write(&policy, "version = 1").unwrap();
        for (mode, usable) in [(0o600, true), (0o644, true), (0o664, false), (0o646, false)] {
            fs::set_permissions(&policy, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(State::keeps_well(&policy).is_ok(), usable, "{mode:o}");
        }
        // A folder that others can write lets them exchange the file.
        fs::set_permissions(&policy, fs::Permissions::from_mode(0o600)).unwrap();
        for (mode, usable) in [(0o700, true), (0o755, true), (0o770, false), (0o757, false)] {
            fs::set_permissions(&kept, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(State::keeps_well(&policy).is_ok(), usable, "{mode:o}");
        }
        let said = State::keeps_well(&policy).unwrap_err().to_string();
        assert!(said.contains("in a folder"), "{said}");
    }

    #[test]
    fn a_data_set_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::of("", Some(&folder.path().join("s.privacy"))).unwrap();
        assert_eq!(state.dataset("first").unwrap(), "first");
        assert_eq!(state.dataset("later").unwrap(), "first");
    }
}
