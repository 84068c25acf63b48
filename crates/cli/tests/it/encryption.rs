//! Encryption at rest through the binary: made, asked, changed, and refused without the key.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{PATIENTS, Ran, columna, files, folder, source, text};

struct Sealed {
    _folder: TempDir,
    at: PathBuf,
}

impl Sealed {
    /// The shared hospital, ingested into a store of which this is encrypted.
    fn new(what: &str) -> Self {
        let folder = folder();
        let sealed = Self {
            at: folder.path().to_path_buf(),
            _folder: folder,
        };
        sealed.key_file("keys", &[("store", 1), ("study", 1)]);
        let said = sealed.run(
            &["ingest", &text(source()), "--encrypt", what],
            Some("keys"),
        );
        said.ok();
        sealed
    }

    fn key_file(&self, name: &str, keys: &[(&str, u32)]) {
        let lines = keys.iter().map(|(key, version)| {
            columna(&[
                "privacy",
                "key",
                "new",
                key,
                "--version",
                &version.to_string(),
            ])
            .ok()
        });
        let path = self.at.join(name);
        fs::write(&path, lines.collect::<String>()).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        }
    }

    fn run(&self, arguments: &[&str], keys: Option<&str>) -> Ran {
        let store = text(&self.at.join("store"));
        let mut all = arguments.to_vec();
        all.extend(["--store", &store]);
        let keys = keys.map(|name| text(&self.at.join(name)));
        if let Some(keys) = &keys {
            all.extend(["--keys", keys]);
        }
        columna(&all)
    }

    fn count(&self, table: &str, keys: Option<&str>) -> Ran {
        let sql = format!("SELECT count(*) FROM {table} WHERE person_id > 0");
        self.run(&["sql", "-c", &sql, "--format", "csv"], keys)
    }

    fn data(&self) -> Vec<PathBuf> {
        files(&self.at.join("store/tables"))
    }
}

fn begins(path: &Path) -> Vec<u8> {
    fs::read(path).expect("readable")[..4].to_vec()
}

#[test]
fn an_encrypted_store_opens_with_its_key_and_says_which_one_is_missing() {
    let sealed = Sealed::new("all");
    assert!(sealed.data().len() > 10);
    for file in sealed.data() {
        assert_eq!(begins(&file), b"PARE", "{}", file.display());
    }
    let answered = sealed.count("person", Some("keys")).ok();
    assert_eq!(answered.trim(), format!("count(*)\n{PATIENTS}"));
    sealed.run(&["store", "verify"], Some("keys")).ok();

    sealed.key_file("others", &[("study", 1)]);
    sealed.key_file("strangers", &[("store", 1)]);
    for (keys, why) in [
        (None, "no keys were given"),
        (Some("others"), "holds no key `store/1`"),
        (Some("strangers"), "is another one"),
    ] {
        let refused = sealed.count("person", keys).fails(1, "the key `store/1`");
        assert!(refused.err.contains(why), "{}", refused.err);
        assert!(refused.err.contains("--keys FILE"), "{}", refused.err);
        for command in [&["store", "verify"][..], &["store", "compact"]] {
            sealed.run(command, keys).fails(1, why);
        }
        sealed
            .run(&["ingest", &text(source()), "--replace"], keys)
            .fails(1, why);
        let info = sealed.run(&["info"], keys).ok();
        assert!(
            info.contains("encrypts all under the key store/1"),
            "{info}"
        );
    }
}

#[test]
fn a_benchmark_hands_the_keys_to_the_processes_that_it_starts() {
    let sealed = Sealed::new("all");
    let run = ["bench", "run", "--queries", "01*", "--runs", "1"];
    let said = sealed.run(&run, Some("keys")).ok();
    assert!(said.contains("01_"), "{said}");
    sealed.run(&run, None).fails(1, "no keys were given");
}

#[test]
fn a_role_is_told_of_the_missing_key_and_not_that_its_query_failed() {
    let sealed = Sealed::new("persons");
    sealed.key_file("others", &[("study", 1)]);
    let policy = sealed
        .run(
            &["privacy", "policy", "init", "--profile", "korea"],
            Some("keys"),
        )
        .ok();
    let file = sealed.at.join("policy.toml");
    fs::write(&file, policy).expect("written");
    let ask = |keys| {
        let sql = "SELECT count(DISTINCT person_id) FROM condition_occurrence";
        let file = text(&file);
        let role = [
            "--policy",
            &file,
            "--role",
            "researcher",
            "--purpose",
            "research",
        ];
        let mut all = vec!["sql", "-c", sql, "--principal", "kim"];
        all.extend(role);
        sealed.run(&all, keys)
    };
    ask(Some("keys")).ok();
    ask(Some("others")).fails(1, "holds no key `store/1`");
}

#[test]
fn what_is_encrypted_can_be_changed_and_ingests_keep_it() {
    let sealed = Sealed::new("direct,free_text");
    let encrypted = |sealed: &Sealed| {
        let data = sealed.data();
        (
            data.iter().filter(|f| begins(f) == b"PARE").count(),
            data.len(),
        )
    };
    let (few, all) = encrypted(&sealed);
    assert!(few > 0 && few < all, "{few} of {all}");
    // Vocabularies and the like stay open to whoever has no key.
    let open = sealed.run(
        &["sql", "-c", "SELECT min(concept_id) > 0 FROM concept"],
        None,
    );
    open.ok();
    sealed
        .run(&["ingest", &text(source()), "--replace"], Some("keys"))
        .ok();
    sealed
        .run(
            &["ingest", &text(source()), "--replace", "--encrypt", "all"],
            Some("keys"),
        )
        .fails(2, "columna store encrypt all");
    sealed.run(&["store", "vacuum", "--everything"], None).ok();
    assert_eq!(encrypted(&sealed), (few, all));

    let said = sealed.run(&["store", "encrypt", "all"], Some("keys")).ok();
    assert!(said.contains("vacuum --everything"), "{said}");
    sealed.run(&["store", "vacuum", "--everything"], None).ok();
    assert_eq!(encrypted(&sealed), (all, all));
    sealed
        .run(&["store", "encrypt", "none"], None)
        .fails(1, "no keys were given");
    sealed.run(&["store", "encrypt", "none"], Some("keys")).ok();
    sealed.run(&["store", "vacuum", "--everything"], None).ok();
    assert_eq!(encrypted(&sealed), (0, all));
    sealed.count("person", None).ok();
}

#[test]
fn encrypting_without_a_key_or_nothing_in_particular_is_refused_before_anything_is_stored() {
    let folder = folder();
    let store = text(&folder.path().join("store"));
    let from = text(source());
    columna(&["ingest", &from, "--store", &store, "--encrypt", "all"])
        .fails(2, "columna privacy key new store");
    let keys = folder.path().join("keys");
    fs::write(&keys, columna(&["privacy", "key", "new", "store"]).ok()).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).expect("changed");
    }
    let keys = text(&keys);
    let mut arguments = vec![
        "ingest",
        &from,
        "--store",
        &store,
        "--keys",
        &keys,
        "--encrypt",
    ];
    arguments.push("notes");
    columna(&arguments).fails(1, "`notes` cannot be encrypted");
    assert!(
        files(&folder.path().join("store"))
            .iter()
            .all(|f| !text(f).contains("tables"))
    );
}
