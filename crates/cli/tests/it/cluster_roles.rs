//! Roles on a cluster: what they get in one process, by guards that scheduler and executors put there themselves.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cluster::{Role, TOKEN, address_of, executor_with};
use crate::desk::Desk;
use crate::support::{Ran, command, files, ran, store, text};

const POLICY: &str = r#"
version = 1

[projects.study]
key = "study"
date_shift_days = 365

[roles.officer]
kind = "steward"
purposes = ["research"]

[roles.analyst]
kind = "analyst"
purposes = ["research"]
projects = ["study"]

[roles.plain]
kind = "analyst"
purposes = ["research"]

[roles.counter]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "opensafely" }

[roles.noisy]
kind = "dp"
purposes = ["research"]
projects = ["study"]
[roles.noisy.dp]
epsilon = 100.0
delta = 1e-6
epsilon_per_query = 40.0
max_groups = 1
max_rows = 1
bounds = { "person.year_of_birth" = [1900, 2025] }

[[rules]]
name = "pseudonyms"
roles = ["analyst"]
tables = ["@clinical", "@derived"]
classes = { person_key = "pseudonym", key = "pseudonym", code = "raw", value = "raw", date = "shift_date", quasi = "raw" }

[[rules]]
name = "women"
roles = ["analyst"]
tables = ["person"]
filter = "gender_concept_id = 8532"

[[rules]]
name = "clinical data"
roles = ["plain", "counter", "noisy"]
tables = ["@clinical", "@derived"]
classes = { person_key = "raw", key = "raw", code = "raw", value = "raw", date = "raw", quasi = "raw" }

[[rules]]
name = "vocabulary"
tables = ["@vocabulary"]
classes = { direct = "raw", key = "raw", code = "raw", value = "raw", date = "raw", quasi = "raw" }
"#;

const CURVE: &str = "SELECT p.gender_concept_id, kaplan_meier(days_between(p.birth_datetime, \
     coalesce(d.death_date, DATE '2030-01-01')), d.person_id IS NOT NULL) AS curve \
     FROM person p LEFT JOIN death d ON d.person_id = p.person_id GROUP BY 1 ORDER BY 1";

/// On the cluster by passes over the executors.
const MODEL: &str = "SELECT t.term, round(t.coefficient, 8), round(t.std_err, 8), t.note FROM (SELECT unnest(cox_ph( \
     days_between(p.birth_datetime, coalesce(d.death_date, DATE '2030-01-01')), d.person_id IS NOT NULL, \
     named_struct('year', p.year_of_birth, 'part', CASE WHEN p.year_of_birth % 2 = 0 THEN 'even' ELSE 'odd' END))) AS t \
     FROM person p LEFT JOIN death d ON d.person_id = p.person_id) AS m";

/// A role, and what it asks: answers, refusals and errors.
const ASKED: [(&str, &str); 31] = [
    ("officer", MODEL),
    ("analyst", MODEL),
    (
        "analyst",
        "SELECT logistic_regression(year_of_birth, named_struct('x', gender_concept_id)) FROM person",
    ),
    (
        "analyst",
        "EXPLAIN SELECT logistic_regression(year_of_birth > 1960, named_struct('x', gender_concept_id)) FROM person",
    ),
    (
        "analyst",
        "EXPLAIN ANALYZE SELECT logistic_regression(year_of_birth > 1960, named_struct('x', gender_concept_id)) FROM person",
    ),
    ("counter", MODEL),
    ("officer", "SELECT count(*), min(person_id) FROM person"),
    (
        "analyst",
        "SELECT gender_concept_id, count(*), min(year_of_birth) FROM person GROUP BY 1 ORDER BY 1",
    ),
    (
        "analyst",
        "SELECT person_id, birth_datetime FROM person ORDER BY 1 LIMIT 20",
    ),
    (
        "analyst",
        "SELECT p.person_id, count(*) AS n, min(c.condition_start_date) FROM person p \
      JOIN condition_occurrence c ON c.person_id = p.person_id GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20",
    ),
    (
        "analyst",
        "SELECT p.person_id, c.person_id FROM person p \
      JOIN condition_occurrence c ON c.person_id = p.person_id ORDER BY 1, 2 LIMIT 5",
    ),
    (
        "analyst",
        "SELECT person_id, measurement_date, lag(measurement_date) OVER (PARTITION BY person_id \
      ORDER BY measurement_date, measurement_id) FROM measurement ORDER BY 1, 2, 3 LIMIT 50",
    ),
    (
        "analyst",
        "SELECT count(*) FROM person UNION ALL SELECT count(*) FROM death ORDER BY 1",
    ),
    ("analyst", "SELECT count(*) FROM person WHERE person_id = 7"),
    (
        "analyst",
        "SELECT c.concept_name, count(DISTINCT o.person_id) AS n FROM condition_occurrence o \
      JOIN concept c ON c.concept_id = o.condition_concept_id GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
    ),
    ("analyst", CURVE),
    (
        "analyst",
        "SELECT count(*) FROM person WHERE 1 // (year_of_birth - 1950) > 0",
    ),
    ("analyst", "EXPLAIN SELECT count(*) FROM person"),
    ("analyst", "EXPLAIN ANALYZE SELECT count(*) FROM person"),
    (
        "analyst",
        "SELECT table_name FROM information_schema.tables ORDER BY 1",
    ),
    ("analyst", "SELECT person_source_value FROM person"),
    (
        "plain",
        "SELECT person_id, lag(measurement_date) OVER (PARTITION BY person_id \
      ORDER BY measurement_date, measurement_id) AS before FROM measurement ORDER BY 1, 2 LIMIT 50",
    ),
    (
        "counter",
        "SELECT gender_concept_id, count(*), avg(year_of_birth) FROM person GROUP BY 1 ORDER BY 1",
    ),
    ("counter", CURVE),
    (
        "counter",
        "SELECT count(*) FROM person WHERE 1 // (year_of_birth - 1950) > 0",
    ),
    (
        "counter",
        "SELECT count(*) FROM person WHERE CAST(CAST(year_of_birth AS VARCHAR) || 'x' AS INT) IS NULL",
    ),
    (
        "counter",
        "SELECT a.y, a.n, b.n FROM (SELECT year_of_birth // 20 AS y, count(*) AS n FROM person GROUP BY 1) a \
      JOIN (SELECT year_of_birth // 20 AS y, count(*) AS n FROM person WHERE gender_concept_id = 8532 GROUP BY 1) b \
      ON a.y = b.y ORDER BY 1",
    ),
    ("counter", "SELECT person_id FROM person"),
    ("counter", "EXPLAIN SELECT count(*) FROM person"),
    // At such an epsilon the noise is none after rounding.
    ("noisy", "SELECT round(count(*)) FROM person"),
    ("noisy", "SELECT round(avg(year_of_birth)) FROM person"),
];

/// Two desks under the same policy, so that none's answers depend on what the other one was told.
struct Ward {
    here: Desk,
    there: Desk,
}

impl Ward {
    fn new() -> Self {
        let ward = Self {
            here: Desk::under(POLICY),
            there: Desk::under(POLICY),
        };
        for desk in [&ward.here, &ward.there] {
            key(&keys(desk), "07");
        }
        ward
    }

    fn there(&self, address: &str, role: &str, sql: &str) -> Ran {
        let mut asking = asking(&self.there, role, sql);
        asking.args(["--cluster", &format!("df://{address}")]);
        asking.args(["--cluster-passes", "0"]);
        ran(asking.env(TOKEN.0, TOKEN.1))
    }
}

fn asking(desk: &Desk, role: &str, sql: &str) -> Command {
    let mut asking = desk.asking(role, sql);
    asking.args(["--keys", &keys(desk)]);
    asking
}

fn keys(desk: &Desk) -> String {
    text(&desk.folder.path().join("keys"))
}

/// A file with a project's key, which its owner alone may read.
fn key(path: &str, byte: &str) {
    fs::write(path, format!("study/1={}\n", byte.repeat(32))).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
    }
}

fn scheduler(options: &[&str]) -> (Role, String) {
    let mut scheduler = command();
    scheduler.args(["cluster", "scheduler", "--bind", "127.0.0.1:0"]);
    address_of(scheduler.args(["--store", &store()]).args(options))
}

fn executor(address: &str, work: &Path, options: &[&str]) -> Role {
    executor_with(&store(), address, work, options)
}

#[test]
fn every_role_gets_what_it_gets_in_one_process() {
    let ward = Ward::new();
    let (policy, keys) = (text(&ward.there.policy()), keys(&ward.there));
    let options = ["--policy", &policy, "--keys", &keys];
    let (_scheduler, address) = scheduler(&options);
    let work = ward.there.folder.path().join("work");
    let _executors: Vec<Role> = (0..3)
        .map(|_| executor(&address, &work, &options))
        .collect();
    for (role, sql) in ASKED {
        let here = ran(&mut asking(&ward.here, role, sql));
        let there = ward.there(&address, role, sql);
        assert_eq!(there.code, here.code, "{role}: {sql}\n{}", there.err);
        assert_eq!(there.out, here.out, "{role}: {sql}");
        assert_eq!(there.err, here.err, "{role}: {sql}");
    }
    let log: String = files(Path::new(&ward.there.state()))
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    for role in ["officer", "analyst", "plain", "counter", "noisy"] {
        assert!(log.contains(role), "{log}");
    }
}

#[test]
fn roles_without_the_policy_or_with_another_key_attach_no_guard() {
    let ward = Ward::new();
    let (policy, keys) = (text(&ward.there.policy()), keys(&ward.there));
    let work = ward.there.folder.path().join("work");
    let (count, births) = (
        "SELECT count(gender_concept_id) FROM person",
        "SELECT count(birth_datetime) FROM person",
    );
    {
        let (_scheduler, address) = scheduler(&[]);
        let refused = ward.there(&address, "plain", count);
        refused.fails(1, "knows of no policy for this store");
    }
    {
        let (_scheduler, address) = scheduler(&["--policy", &policy]);
        let _executor = executor(&address, &work, &["--policy", &policy]);
        assert_eq!(
            ward.there(&address, "plain", count).ok().lines().nth(1),
            Some("300")
        );
        let refused = ward.there(&address, "analyst", births);
        refused.fails(1, "has no key for this role's pseudonyms");
        // A policy that was changed is another one, for scheduler and session alike.
        let other = text(&ward.there.folder.path().join("other.toml"));
        fs::write(&other, POLICY.replace("8532", "8507")).expect("written");
        let (_scheduler, address) = scheduler(&["--policy", &other]);
        let refused = ward.there(&address, "plain", count);
        refused.fails(1, "has another policy than this session");
    }
    // One person's rows would have two pseudonyms.
    let others = text(&ward.there.folder.path().join("others"));
    key(&others, "08");
    let (_scheduler, address) = scheduler(&["--policy", &policy, "--keys", &keys]);
    let _executor = executor(&address, &work, &["--policy", &policy, "--keys", &others]);
    let refused = ward.there(&address, "analyst", births);
    refused.fails(1, "has another key for this role's pseudonyms");
}
