//! A store that is under its own policy, through the binary: no option, no other name of the store and no other command
//! is a way around it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{columna, copy, folder, store, text};

/// What the store's keeper decided.
const OWN: &str = r#"
version = 1
[roles.counter]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "opensafely" }
[[rules]]
tables = ["person"]
roles = ["counter"]
classes = { person_key = "raw", code = "raw" }
"#;

/// What somebody else would like.
const WIDER: &str = r#"
version = 1
[roles.counter]
kind = "steward"
purposes = ["research"]
"#;

const COUNT: &str = "SELECT count(*) AS n FROM person";
const ROWS: &str = "SELECT person_id FROM person";

struct Kept {
    folder: TempDir,
    store: String,
}

impl Kept {
    fn new() -> Self {
        let folder = folder();
        let path = folder.path().join("store");
        copy(Path::new(&store()), &path);
        let kept = folder.path().join("store.privacy");
        fs::create_dir(&kept).expect("made");
        fs::write(kept.join("policy.toml"), OWN).expect("written");
        fs::write(folder.path().join("wider.toml"), WIDER).expect("written");
        fs::write(folder.path().join("copy.toml"), OWN).expect("written");
        Self {
            store: text(&path),
            folder,
        }
    }

    fn path(&self, name: &str) -> String {
        text(&self.folder.path().join(name))
    }

    fn ask(&self, store: &str, sql: &str, more: &[&str]) -> crate::support::Ran {
        let mut arguments = vec!["sql", "--store", store, "--format", "csv", "-c", sql];
        arguments.extend(more);
        columna(&arguments)
    }
}

const ROLE: [&str; 6] = [
    "--role",
    "counter",
    "--purpose",
    "research",
    "--principal",
    "kim",
];

/// Whoever names a policy thinks that it holds, and is not shown everything for leaving the role out.
#[test]
fn a_policy_or_purpose_asks_for_a_role() {
    let (folder, store) = (folder(), text(Path::new(&store())));
    let policy = text(&folder.path().join("policy.toml"));
    fs::write(&policy, OWN).expect("written");
    let ask = |more: &[&str]| {
        let mut arguments = vec!["sql", "--store", &store, "--format", "csv", "-c", COUNT];
        arguments.extend(more);
        columna(&arguments)
    };
    for more in [
        ["--policy", policy.as_str()],
        ["--policy", "none.toml"],
        ["--purpose", "research"],
        ["--project", "study"],
    ] {
        ask(&more).fails(2, "say which with `--role`");
    }
    ask(&[]).ok();
}

#[test]
fn no_option_stands_in_place_of_a_stores_own_policy() {
    let kept = Kept::new();
    let (wider, same, elsewhere) = (
        kept.path("wider.toml"),
        kept.path("copy.toml"),
        kept.path("elsewhere"),
    );
    let with = |more: &[&str]| kept.ask(&kept.store, ROWS, more);
    with(&[]).fails(2, "this store is under the policy");
    with(&["--state", &elsewhere]).fails(2, "this store is under the policy");
    with(&["--policy", &wider]).fails(2, "this store is under the policy");
    let role = |more: &[&str]| {
        let mut all = ROLE.to_vec();
        all.extend(more);
        with(&all)
    };
    role(&["--policy", &wider]).fails(2, "cannot stand in place of the store's own policy");
    role(&["--policy", &kept.path("none.toml")]).fails(2, "cannot stand in place");
    role(&["--state", &elsewhere]).fails(2, "`--state");
    // A folder with a wider policy in it is no other way.
    fs::create_dir(&elsewhere).expect("made");
    fs::write(Path::new(&elsewhere).join("policy.toml"), WIDER).expect("written");
    role(&["--state", &elsewhere]).fails(2, "cannot stand in place of");
    role(&[]).fails(1, "[rows]");
    // The sibling: under the policy there is, by whatever way it is named.
    let kept_folder = kept.path("store.privacy");
    for more in [
        vec![],
        vec!["--policy", same.as_str()],
        vec!["--state", kept_folder.as_str()],
    ] {
        let mut all = ROLE.to_vec();
        all.extend(more);
        assert_eq!(kept.ask(&kept.store, COUNT, &all).ok(), "n\n300\n");
    }
}

/// What a rule was to hide by a wrong name would be open.
#[test]
fn a_rule_that_hides_what_is_not_there_refuses_its_role() {
    let kept = Kept::new();
    let role = "[roles.looker]\nkind = \"analyst\"\npurposes = [\"research\"]\n";
    let wrong = format!(
        "{OWN}{role}[[rules]]\ntables = [\"person\"]\nroles = [\"looker\"]\nclasses = {{ person_key = \"raw\" }}\n[[rules]]\n\
         tables = [\"persons\"]\nroles = [\"looker\"]\nfilter = \"person_id > 100\"\n"
    );
    let line = wrong
        .lines()
        .position(|line| line.contains("persons"))
        .expect("there")
        + 1;
    let place = format!("policy.toml:{line}:11: the store has no table `persons`");
    let asker = [
        "--role",
        "looker",
        "--purpose",
        "research",
        "--principal",
        "kim",
    ];
    let refused = |ran: crate::support::Ran| {
        let ran = ran.fails(1, "[policy]");
        assert!(ran.err.contains(&place), "{}", ran.err);
        assert!(!ran.err.contains("did you mean"), "{}", ran.err);
    };
    fs::write(kept.path("store.privacy/policy.toml"), &wrong).expect("written");
    refused(kept.ask(&kept.store, ROWS, &asker));
    // Others are who they were.
    assert_eq!(kept.ask(&kept.store, COUNT, &ROLE).ok(), "n\n300\n");
    let mended = wrong.replace("persons", "person");
    fs::write(kept.path("store.privacy/policy.toml"), &mended).expect("written");
    kept.ask(&kept.store, ROWS, &asker).ok();
    // A policy that is named is no other.
    let (policy, state) = (kept.path("policy.toml"), kept.path("state"));
    fs::write(&policy, &wrong).expect("written");
    let mut named = vec!["--policy", policy.as_str(), "--state", state.as_str()];
    named.extend(asker);
    refused(kept.ask(&store(), ROWS, &named));
}

#[cfg(unix)]
#[test]
fn no_other_name_of_a_store_is_without_its_policy() {
    let kept = Kept::new();
    let link = kept.path("link");
    std::os::unix::fs::symlink(&kept.store, &link).expect("linked");
    // A folder that has nothing but the store's parts.
    let parts = kept.path("parts");
    fs::create_dir(&parts).expect("made");
    for part in ["manifests", "snapshots", "tables"] {
        let of = Path::new(&kept.store).join(part);
        std::os::unix::fs::symlink(of, Path::new(&parts).join(part)).expect("linked");
    }
    for name in [
        link.clone(),
        parts,
        format!("{link}/"),
        format!("{}/.", kept.store),
        format!("file://{link}"),
        format!("{}/tables/..", kept.store),
    ] {
        kept.ask(&name, ROWS, &[])
            .fails(2, "this store is under the policy");
        assert_eq!(kept.ask(&name, COUNT, &ROLE).ok(), "n\n300\n", "{name}");
    }
    // One record for all of them.
    assert!(!Path::new(&kept.path("link.privacy")).exists());
    assert!(!Path::new(&kept.path("parts.privacy")).exists());
    let log = fs::read_to_string(kept.path("store.privacy/audit.jsonl")).expect("a log");
    assert_eq!(log.matches("\"answered\"").count(), 6);
}

#[test]
fn commands_that_ask_past_a_policy_refuse() {
    let kept = Kept::new();
    let out = kept.path("out");
    let spec = kept.path("study.yaml");
    columna(&["study", "init", "--example", &spec]).ok();
    columna(&["study", "run", &spec, "--store", &kept.store, "--out", &out])
        .fails(2, "this store is under the policy");
    columna(&["bench", "run", "--store", &kept.store]).fails(2, "this store is under the policy");
    assert!(!Path::new(&out).exists());
}
